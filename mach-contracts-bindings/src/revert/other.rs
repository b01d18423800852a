//! Errors that are known by their selector.

use std::{collections::BTreeMap, sync::LazyLock};

use alloy_primitives::{Address, B256, U256, hex, keccak256};

use super::{known::ERRORS, known_zk::ZK_ERRORS};

/// A custom error of a contract that is not mach's, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomError {
    signature: &'static str,
    arguments: Vec<String>,
}

impl CustomError {
    /// Reads revert data; `None` if no error is known that has the selector and as many arguments.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let (selector, words) = data.split_first_chunk::<4>()?;
        let (signature, _) = KNOWN.get(selector)?;
        let types = types(signature);
        let (words, rest) = words.as_chunks::<32>();
        let dynamic = types.clone().any(|kind| kind == "string");
        if !dynamic && (words.len() != types.clone().count() || !rest.is_empty()) {
            return None;
        }
        let arguments = types.zip(words).map(|(kind, word)| shown(kind, word));
        Some(Self {
            signature,
            arguments: arguments.collect(),
        })
    }

    /// Name of the error.
    pub fn name(&self) -> &'static str {
        self.signature
            .split_once('(')
            .map_or(self.signature, |(name, _)| name)
    }

    /// Types of the arguments, as the selector is made of them.
    pub const fn signature(&self) -> &'static str {
        self.signature
    }

    /// Arguments as text: addresses and hashes in hexadecimal, numbers in decimal.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What is wrong and what to do about it, in a sentence.
    pub(super) fn explanation(&self) -> Option<String> {
        let (_, sentence) = errors().find(|(signature, _)| *signature == self.signature)?;
        if sentence.is_empty() {
            return None;
        }
        let mut told = (*sentence).to_owned();
        for (index, argument) in self.arguments.iter().enumerate() {
            told = told.replace(&format!("{{{index}}}"), argument);
        }
        Some(told)
    }
}

impl core::fmt::Display for CustomError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())?;
        if self.arguments.is_empty() {
            return Ok(());
        }
        write!(f, "({})", self.arguments.join(", "))
    }
}

static KNOWN: LazyLock<BTreeMap<[u8; 4], (&str, &str)>> = LazyLock::new(|| {
    errors()
        .filter_map(|(signature, sentence)| {
            let selector = *keccak256(signature).first_chunk::<4>()?;
            Some((selector, (*signature, *sentence)))
        })
        .collect()
});

fn errors() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    ERRORS.iter().chain(ZK_ERRORS)
}

fn types(signature: &'static str) -> impl Iterator<Item = &'static str> + Clone {
    let list = signature
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or_default();
    list.split(',').filter(|kind| !kind.is_empty())
}

fn shown(kind: &str, word: &[u8; 32]) -> String {
    match kind {
        "address" => Address::from_word(B256::from(*word)).to_string(),
        "string" => "...".to_owned(),
        "bytes4" => hex::encode_prefixed(word.first_chunk::<4>().unwrap_or(&[0; 4])),
        _ if kind.starts_with("uint") => U256::from_be_bytes(*word).to_string(),
        _ => B256::from(*word).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_errors_have_a_selector() {
        assert_eq!(KNOWN.len(), errors().count());
    }

    #[test]
    fn every_argument_of_a_sentence_is_there() {
        for (signature, sentence) in errors() {
            let count = types(signature).count();
            for index in 0..9 {
                let used = sentence.contains(&format!("{{{index}}}"));
                assert!(!used || index < count, "{signature}: {sentence}");
            }
        }
    }
}
