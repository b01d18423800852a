//! Keys from mnemonics: BIP-39 words to a seed, EIP-2333 from the seed to a key.

use core::{fmt, str::FromStr};

use blst::min_pk;
use zeroize::Zeroizing;

use super::{KeyFileError, KeyKind, Password, Secret, plaintext::reduced, sealed::fill};

/// A language of BIP-39's word lists.
pub use bip39::Language;

/// The words that stand for a seed. `Debug` shows none of them.
pub struct Mnemonic(bip39::Mnemonic);

impl Mnemonic {
    /// 24 new words.
    ///
    /// Errors: [`DerivationError::Randomness`].
    pub fn random(language: Language) -> Result<Self, DerivationError> {
        let mut entropy = Zeroizing::new([0; 32]);
        fill(entropy.as_mut_slice()).map_err(|_| DerivationError::Randomness)?;
        bip39::Mnemonic::from_entropy_in(language, entropy.as_slice())
            .map(Self)
            .map_err(|_| DerivationError::Words)
    }

    /// 12, 15, 18, 21 or 24 words of one language, whichever, with the right checksum.
    ///
    /// Errors: [`DerivationError::Words`].
    pub fn parse(words: &str) -> Result<Self, DerivationError> {
        // Some words are in several lists; the seed does not depend on which is meant.
        Language::ALL
            .iter()
            .find_map(|language| bip39::Mnemonic::parse_in(*language, words).ok())
            .map(Self)
            .ok_or(DerivationError::Words)
    }

    /// The words.
    pub fn words(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }

    /// The seed, as BIP-39 computes it from the words and a passphrase, which may be empty.
    ///
    /// Errors: [`DerivationError::Passphrase`].
    pub fn seed(&self, passphrase: &Password) -> Result<Zeroizing<[u8; 64]>, DerivationError> {
        let passphrase = passphrase
            .as_text()
            .map_err(|_| DerivationError::Passphrase)?;
        Ok(Zeroizing::new(self.0.to_seed(passphrase)))
    }

    /// The key of this kind at `path`.
    ///
    /// BLS12-381: EIP-2333. BN254: the same number modulo BN254's order, which is what
    /// bn254-keystore-go's keys are when they sign.
    ///
    /// Errors: [`DerivationError::NotBls`] for ECDSA, [`DerivationError::Passphrase`].
    pub fn derive(
        &self,
        passphrase: &Password,
        kind: KeyKind,
        path: &DerivationPath,
    ) -> Result<Secret, DerivationError> {
        path.derive(self.seed(passphrase)?.as_slice(), kind)
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mnemonic({} words)", self.0.word_count())
    }
}

/// A path in the tree of EIP-2334: `m/12381/3600/0/0/0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivationPath(Vec<u32>);

/// Most steps of a path.
const MAX_STEPS: usize = 16;

impl DerivationPath {
    /// Where keys of this kind are by custom: EIP-2334's first signing key, Cerberus' first key.
    pub fn usual(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Bn254 => Self(vec![254, 60, 0, 0]),
            KeyKind::Bls12381 | KeyKind::Ecdsa => Self(vec![12381, 3600, 0, 0, 0]),
        }
    }

    /// The key at this path of the tree that grows from `seed`.
    ///
    /// Errors: [`DerivationError::Seed`] for less than 32 bytes, [`DerivationError::NotBls`].
    pub fn derive(&self, seed: &[u8], kind: KeyKind) -> Result<Secret, DerivationError> {
        let mut key =
            min_pk::SecretKey::derive_master_eip2333(seed).map_err(|_| DerivationError::Seed)?;
        for step in &self.0 {
            key = key.derive_child_eip2333(*step);
        }
        let bytes = Zeroizing::new(key.to_bytes());
        match kind {
            KeyKind::Bn254 => reduced(bytes.as_slice()),
            KeyKind::Bls12381 => Secret::from_bytes(kind, &bytes),
            KeyKind::Ecdsa => return Err(DerivationError::NotBls),
        }
        .map_err(DerivationError::Key)
    }
}

impl FromStr for DerivationPath {
    type Err = DerivationError;

    fn from_str(text: &str) -> Result<Self, DerivationError> {
        let mut steps = text.split('/');
        if steps.next() != Some("m") {
            return Err(DerivationError::Path);
        }
        let step = |step: &str| match step.as_bytes() {
            [b'0'..=b'9', ..] => step.parse().map_err(|_| DerivationError::Path),
            _ => Err(DerivationError::Path),
        };
        let steps: Vec<u32> = steps.map(step).collect::<Result<_, _>>()?;
        if steps.len() > MAX_STEPS {
            return Err(DerivationError::Path);
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|step| write!(f, "/{step}"))
    }
}

/// Why there is no key.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DerivationError {
    /// Not in a word list, a wrong number of words, or a wrong checksum.
    #[error("not a mnemonic: a word is in no list, words are missing, or the checksum is wrong")]
    Words,
    /// Not `m`, or not followed by up to 16 numbers below 2^32.
    #[error("not a derivation path such as m/12381/3600/0/0/0")]
    Path,
    /// BIP-39 defines passphrases as text.
    #[error("the passphrase is not UTF-8")]
    Passphrase,
    /// EIP-2333 wants more bytes.
    #[error("the seed has less than 32 bytes")]
    Seed,
    /// EIP-2333 is for BLS keys.
    #[error("mnemonics give BLS keys here, no ECDSA keys")]
    NotBls,
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system")]
    Randomness,
    /// The number at this path is no key; does not happen.
    #[error("no key at this path")]
    Key(#[source] KeyFileError),
}
