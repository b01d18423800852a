//! What a contract says when it refuses.

mod known;
mod known_zk;
mod messages;
mod other;

use core::fmt::Write;

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Panic, Revert as Message, SolError, SolInterface};

use crate::abi::{
    IMachRegistry, IMachServiceManager, IMachServiceManagerRegistry, IOperatorStateRetriever,
    IPauserRegistry, bls12381::IMachBls12381Verifier,
};
use crate::zk::abi::IMachZkServiceManager;

use self::messages::MESSAGES;

pub use other::CustomError;

/// Why a contract reverted, decoded.
///
/// As text it is the error's name with its arguments, or the contract's message.
/// [`explanation`](Self::explanation) says what to do about it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revert {
    /// Error of the service manager.
    ServiceManager(IMachServiceManager::IMachServiceManagerErrors),
    /// Error of the stand-alone registry.
    Registry(IMachRegistry::IMachRegistryErrors),
    /// Error of the reads that clients need.
    Retriever(IOperatorStateRetriever::IOperatorStateRetrieverErrors),
    /// Error of the registry of service managers, unless the service manager has the same.
    ServiceManagers(IMachServiceManagerRegistry::IMachServiceManagerRegistryErrors),
    /// Error of the verifier on BLS12-381, unless one of the above has the same.
    Bls12381Verifier(IMachBls12381Verifier::IMachBls12381VerifierErrors),
    /// Error of the list of pausers.
    Pausers(IPauserRegistry::IPauserRegistryErrors),
    /// Error of the ZK service manager, unless one of the above has the same.
    Zk(IMachZkServiceManager::IMachZkServiceManagerErrors),
    /// Error of another contract that is known here, such as EigenLayer's.
    Other(CustomError),
    /// A message, which is how EigenLayer's contracts and the checks taken over from them answer.
    Message(String),
    /// Failed assertion of the compiler, with its code: 0x11 overflow, 0x32 index out of bounds.
    Panic(u64),
    /// Nothing that is known here.
    Unknown(Bytes),
}

impl Revert {
    /// Reads revert data.
    pub fn decode(data: &[u8]) -> Self {
        if let Ok(error) = IMachServiceManager::IMachServiceManagerErrors::abi_decode(data) {
            return Self::ServiceManager(error);
        }
        if let Ok(error) = IMachRegistry::IMachRegistryErrors::abi_decode(data) {
            return Self::Registry(error);
        }
        if let Ok(error) = IOperatorStateRetriever::IOperatorStateRetrieverErrors::abi_decode(data)
        {
            return Self::Retriever(error);
        }
        if let Ok(error) =
            IMachServiceManagerRegistry::IMachServiceManagerRegistryErrors::abi_decode(data)
        {
            return Self::ServiceManagers(error);
        }
        if let Ok(error) = IMachBls12381Verifier::IMachBls12381VerifierErrors::abi_decode(data) {
            return Self::Bls12381Verifier(error);
        }
        if let Ok(error) = IPauserRegistry::IPauserRegistryErrors::abi_decode(data) {
            return Self::Pausers(error);
        }
        if let Ok(error) = IMachZkServiceManager::IMachZkServiceManagerErrors::abi_decode(data) {
            return Self::Zk(error);
        }
        if let Some(error) = CustomError::decode(data) {
            return Self::Other(error);
        }
        if let Ok(message) = Message::abi_decode(data) {
            return Self::Message(message.reason);
        }
        if let Ok(panic) = Panic::abi_decode(data) {
            return Self::Panic(panic.code.saturating_to());
        }
        Self::Unknown(Bytes::copy_from_slice(data))
    }

    /// What is wrong and what to do about it, in a sentence of lower case without a full stop; `None`
    /// where nothing is known but the name.
    pub fn explanation(&self) -> Option<String> {
        let data = match self {
            Self::ServiceManager(error) => error.abi_encode(),
            Self::Registry(error) => error.abi_encode(),
            Self::Retriever(error) => error.abi_encode(),
            Self::ServiceManagers(error) => error.abi_encode(),
            Self::Bls12381Verifier(error) => error.abi_encode(),
            Self::Pausers(error) => error.abi_encode(),
            Self::Zk(error) => error.abi_encode(),
            Self::Other(error) => return error.explanation(),
            Self::Message(message) => {
                let known = MESSAGES.iter().find(|(part, _)| message.contains(part));
                return known.map(|(_, sentence)| (*sentence).to_owned());
            }
            Self::Panic(code) => return panicked(*code),
            Self::Unknown(data) => return unknown(data),
        };
        CustomError::decode(&data)?.explanation()
    }
}

/// Source: the compiler's documentation of `Panic(uint256)`.
fn panicked(code: u64) -> Option<String> {
    let what = match code {
        0x01 => "an assertion of the contract failed",
        0x11 => "a number is too large or below zero",
        0x12 => "the contract divides by zero",
        0x21 => "a value is none of those that the contract knows",
        0x31 => "the contract takes from an empty list",
        0x32 => "the contract reads past the end of a list: something named is not there",
        0x41 => "the contract wants too much memory: ask for less at once",
        _ => return None,
    };
    Some(what.to_owned())
}

fn unknown(data: &Bytes) -> Option<String> {
    if data.is_empty() {
        let told = "the contract gives no reason: it may lack the function, or the gas ran out";
        return Some(told.to_owned());
    }
    let selector = data.get(..4)?;
    Some(format!(
        "error {} is not known here: look its selector up in the contract's ABI",
        hex::encode_prefixed(selector)
    ))
}

impl core::fmt::Display for Revert {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ServiceManager(error) => inner(f, format!("{error:?}")),
            Self::Registry(error) => inner(f, format!("{error:?}")),
            Self::Retriever(error) => inner(f, format!("{error:?}")),
            Self::ServiceManagers(error) => inner(f, format!("{error:?}")),
            Self::Bls12381Verifier(error) => inner(f, format!("{error:?}")),
            Self::Pausers(error) => inner(f, format!("{error:?}")),
            Self::Zk(error) => inner(f, format!("{error:?}")),
            Self::Other(error) => error.fmt(f),
            Self::Message(message) => shown(f, message),
            Self::Panic(code) => write!(f, "panic 0x{code:02x}"),
            Self::Unknown(data) if data.is_empty() => f.write_str("no reason given"),
            Self::Unknown(data) if data.len() > MAX_SHOWN => {
                let start = data.get(..MAX_SHOWN).unwrap_or_default();
                write!(f, "unknown error {}...", hex::encode_prefixed(start))
            }
            Self::Unknown(data) => write!(f, "unknown error {data}"),
        }
    }
}

/// Most bytes or characters of a contract's own words that are shown.
const MAX_SHOWN: usize = 512;

/// A contract may say anything, at any length, and terminals obey some characters.
fn shown(f: &mut core::fmt::Formatter<'_>, message: &str) -> core::fmt::Result {
    let mut characters = message.chars();
    for character in characters.by_ref().take(MAX_SHOWN) {
        let shown = if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        };
        f.write_char(shown)?;
    }
    match characters.next() {
        Some(_) => f.write_str("..."),
        None => Ok(()),
    }
}

/// `Variant(Error { fields })` without the variant, which repeats the error's name.
fn inner(f: &mut core::fmt::Formatter<'_>, debug: String) -> core::fmt::Result {
    let text = debug
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(&debug);
    f.write_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, address, aliases::U96, hex};
    use alloy_sol_types::{SolError, SolValue};

    use crate::Artifact;

    #[test]
    fn reverts_are_told_in_words() {
        let threshold = IMachServiceManager::ThresholdNotMet {
            quorumNumber: 0,
            signedStake: U96::from(65),
            totalStake: U96::from(100),
            threshold: 66,
        };
        let cases = [
            (hex!("fc4a01bd").to_vec(), "InvalidConfirmer"),
            (
                threshold.abi_encode(),
                "ThresholdNotMet { quorumNumber: 0, signedStake: 65, totalStake: 100, threshold: 66 }",
            ),
            (
                Message::from("signature is invalid").abi_encode(),
                "signature is invalid",
            ),
            (Panic::from(0x32).abi_encode(), "panic 0x32"),
            (Vec::new(), "no reason given"),
            (vec![1, 2, 3], "unknown error 0x010203"),
        ];
        for (data, words) in cases {
            assert_eq!(Revert::decode(&data).to_string(), words);
        }
    }

    #[test]
    fn a_contracts_words_do_nothing_to_a_terminal() {
        let told = |text: &str| Revert::decode(&Message::from(text).abi_encode()).to_string();
        assert_eq!(told("\u{1b}[2Jfine\n"), "\u{fffd}[2Jfine\u{fffd}");
        assert_eq!(told(&"é".repeat(MAX_SHOWN)), "é".repeat(MAX_SHOWN));
        assert_eq!(
            told(&"é".repeat(MAX_SHOWN + 1)),
            "é".repeat(MAX_SHOWN) + "..."
        );
        let long = Revert::decode(&vec![0xab; 1 << 20]).to_string();
        assert_eq!(
            long,
            format!("unknown error 0x{}...", "ab".repeat(MAX_SHOWN))
        );
    }

    /// Selectors of the original's contracts, as they were computed from their sources.
    #[test]
    fn the_originals_errors_are_known_by_their_selectors() {
        let cases = [
            ("ZeroAddress", hex!("d92e233d")),
            ("InvalidStartIndex", hex!("92c44259")),
            ("InvalidConfirmer", hex!("fc4a01bd")),
            ("NotWhitelister", hex!("b8088f87")),
            ("InvalidSender", hex!("ddb5de5e")),
            ("NoStatusChange", hex!("e79eac98")),
            ("InvalidRollupChainID", hex!("daf4a8a3")),
            ("InvalidReferenceBlockNum", hex!("c15ef5b5")),
            ("InsufficientThreshold", hex!("e459c524")),
            ("InsufficientThresholdPercentages", hex!("bbf727c1")),
            ("InvalidQuorumParam", hex!("c9df75a5")),
            ("InvalidQuorumThresholdPercentage", hex!("48278b70")),
            ("AlreadyInAllowlist", hex!("2eeeca90")),
            ("NotInAllowlist", hex!("57afcad4")),
            ("NotAdded", hex!("4414c633")),
            ("AlreadyAdded", hex!("f411c327")),
            ("ResolvedAlert", hex!("939bc9df")),
            ("AlreadyEnabled", hex!("f2a5f75a")),
            ("AlreadyDisabled", hex!("005ecddb")),
            ("AlreadyInitialized", hex!("0dc149f0")),
            ("NotInitialized", hex!("87138d5c")),
            ("ZeroValue", hex!("7c946ed7")),
            ("UselessAlert", hex!("91dc99ca")),
            ("InvalidAlert", hex!("3bc9dac5")),
            ("InvalidAlertType", hex!("09191f68")),
            ("InvalidProvedIndex", hex!("0c8012da")),
            ("InvalidCheckpoint", hex!("0f0f97d1")),
            ("InvalidIndex", hex!("63df8171")),
            ("ProveImageIdMismatch", hex!("08dbddfb")),
            ("ProveBlockNumberMismatch", hex!("8a9e180b")),
            ("ProveOutputRootMismatch", hex!("d617eb76")),
            ("ParentCheckpointNumberMismatch", hex!("c47fbad1")),
            ("ParentCheckpointOutputRootMismatch", hex!("b4b3963c")),
            ("ProveVerifyFailed", hex!("7aa7b8df")),
            ("InvalidJournal", hex!("8bafca02")),
            ("NoAlert", hex!("aeff7980")),
            ("NotOperator", hex!("7c214f04")),
        ];
        for (name, selector) in cases {
            assert_eq!(Revert::decode(&selector).to_string(), name);
        }
    }

    #[test]
    fn a_sentence_says_what_to_do() {
        let account = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
        let below = IMachRegistry::BelowMinimumStake {
            quorumNumber: 0,
            weight: U96::from(12),
            minimumStake: U96::from(32),
        };
        // `ERC20InsufficientBalance(address,uint256,uint256)` of ERC-6093.
        let balance = [
            hex!("e450d38c").to_vec(),
            (account, U256::from(5), U256::from(7)).abi_encode(),
        ]
        .concat();
        let cases = [
            (
                below.abi_encode(),
                "operator does not meet the minimum stake of quorum 0: has 12, needs 32",
            ),
            (
                hex!("4414c633").to_vec(),
                "the operator is not on the allowlist: ask the whitelister of the service manager to allow it",
            ),
            (
                balance,
                "0x70997970C51812dc3A010C7d01b50e0d17dc79C8 has 5 of the token and needs 7: send it more",
            ),
            (
                Message::from("RegistryCoordinator._registerOperator: operator already registered for some quorums being registered for").abi_encode(),
                "the operator is registered already for one of these quorums: leave it out",
            ),
            (
                Message::from("StakeRegistry.registerOperator: Operator does not meet minimum stake requirement for quorum").abi_encode(),
                "operator does not meet the minimum stake of a quorum: have more delegated to it",
            ),
            (
                Message::from("BLSSignatureChecker.checkSignatures: signature is invalid").abi_encode(),
                "the aggregate signature is not valid for this digest and these signers",
            ),
            (
                Panic::from(0x32).abi_encode(),
                "the contract reads past the end of a list: something named is not there",
            ),
            (
                hex!("01020304").to_vec(),
                "error 0x01020304 is not known here: look its selector up in the contract's ABI",
            ),
            (
                Vec::new(),
                "the contract gives no reason: it may lack the function, or the gas ran out",
            ),
        ];
        for (data, sentence) in cases {
            assert_eq!(
                Revert::decode(&data).explanation().as_deref(),
                Some(sentence)
            );
        }
        assert_eq!(Revert::decode(&[1, 2]).explanation(), None);
        // Too short for its arguments: another error with the same selector.
        let short = hex!("e450d38c").to_vec();
        assert!(matches!(Revert::decode(&short), Revert::Unknown(_)));
    }

    /// Whatever our own contracts may answer has a sentence.
    #[test]
    fn every_error_of_the_artifacts_has_a_sentence() {
        let mut seen = 0;
        for artifact in Artifact::ALL {
            let json: serde_json::Value = serde_json::from_str(artifact.json()).unwrap();
            let abi: alloy_json_abi::JsonAbi = serde_json::from_value(json["abi"].clone()).unwrap();
            for error in abi.errors() {
                let words = vec![0; 32 * error.inputs.len()];
                let data = [error.selector().as_slice(), &words].concat();
                let revert = Revert::decode(&data);
                assert!(revert.to_string().contains(&error.name), "{revert}");
                let told = revert.explanation();
                assert!(
                    told.is_some_and(|told| !told.contains("not known") && !told.contains('{')),
                    "{artifact:?}: {}",
                    error.signature()
                );
                seen += 1;
            }
        }
        assert!(seen > 60, "{seen}");
    }
}
