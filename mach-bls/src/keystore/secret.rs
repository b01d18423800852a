//! Secret keys of the three kinds that key files hold.

use core::fmt;

use alloy_primitives::Address;
use zeroize::Zeroizing;

use super::{KeyFileError, PublicPart, public::compressed_g1, sealed::fill};
use crate::{bls12_381, bn254};

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// BLS on BN254.
    Bn254,
    /// BLS on BLS12-381.
    Bls12381,
    /// ECDSA on secp256k1: an account of Ethereum.
    Ecdsa,
}

impl KeyKind {
    /// `bn254`, `bls12-381` or `ecdsa`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bn254 => "bn254",
            Self::Bls12381 => "bls12-381",
            Self::Ecdsa => "ecdsa",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A secret key. `Debug` shows its public part only.
pub enum Secret {
    /// Of an operator whose contracts use BN254.
    Bn254(bn254::SecretKey),
    /// Of an operator or a validator on BLS12-381.
    Bls12381(bls12_381::SecretKey),
    /// Of an account.
    Ecdsa(EcdsaKey),
}

impl Secret {
    /// A new key of this kind, from the operating system's random numbers.
    ///
    /// Errors: [`KeyFileError::Randomness`].
    pub fn random(kind: KeyKind) -> Result<Self, KeyFileError> {
        loop {
            let mut bytes = Zeroizing::new([0; 32]);
            fill(bytes.as_mut_slice())?;
            if let (KeyKind::Bn254 | KeyKind::Bls12381, [first, ..]) = (kind, bytes.as_mut()) {
                // Both orders have 254 or 255 bits; without it most tries are above them.
                *first &= 0x7f;
            }
            if let Ok(key) = Self::from_bytes(kind, &bytes) {
                return Ok(key);
            }
        }
    }

    /// The key with this big-endian encoding.
    ///
    /// Errors: [`KeyFileError::NoKey`] for zero and for numbers from the group order on.
    pub fn from_bytes(kind: KeyKind, bytes: &[u8; 32]) -> Result<Self, KeyFileError> {
        match kind {
            KeyKind::Bn254 => bn254::SecretKey::from_bytes(bytes).ok().map(Self::Bn254),
            KeyKind::Bls12381 => bls12_381::SecretKey::from_bytes(bytes)
                .ok()
                .map(Self::Bls12381),
            KeyKind::Ecdsa => EcdsaKey::from_bytes(bytes).map(Self::Ecdsa),
        }
        .ok_or(KeyFileError::NoKey(kind))
    }

    /// The key that `text` writes: up to 64 hexadecimal digits after `0x`, or 64 of them, or a
    /// decimal number.
    ///
    /// Errors: [`KeyFileError::NoKey`].
    pub fn from_text(kind: KeyKind, text: &str) -> Result<Self, KeyFileError> {
        let number = number(text.trim().as_bytes()).ok_or(KeyFileError::NoKey(kind))?;
        Self::from_bytes(kind, &number)
    }

    /// What it signs with.
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::Bn254(_) => KeyKind::Bn254,
            Self::Bls12381(_) => KeyKind::Bls12381,
            Self::Ecdsa(_) => KeyKind::Ecdsa,
        }
    }

    /// 32 bytes, big-endian; wiped from memory when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Bn254(key) => key.to_bytes(),
            Self::Bls12381(key) => key.to_bytes(),
            Self::Ecdsa(key) => key.to_bytes(),
        }
    }

    /// The public part in its shortest form: a point in G1, or an address.
    pub fn public(&self) -> PublicPart {
        match self {
            Self::Bn254(key) => PublicPart::Bn254G1(key.public_key().g1_bytes()),
            Self::Bls12381(key) => PublicPart::Encoded(compressed_g1(key).to_vec()),
            Self::Ecdsa(key) => PublicPart::Address(key.address()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} {})", self.kind(), self.public())
    }
}

/// A secret key on secp256k1, wiped from memory when dropped. `Debug` shows the address only.
pub struct EcdsaKey {
    bytes: Zeroizing<[u8; 32]>,
    address: Address,
}

impl EcdsaKey {
    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let key = k256::SecretKey::from_bytes(bytes.into()).ok()?;
        let point = k256::AffinePoint::from(key.public_key());
        let encoded = k256::elliptic_curve::sec1::ToEncodedPoint::to_encoded_point(&point, false);
        let coordinates = encoded.as_bytes().get(1..)?;
        Some(Self {
            bytes: Zeroizing::new(*bytes),
            address: Address::from_raw_public_key(coordinates),
        })
    }

    /// The account's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// 32 bytes, big-endian; wiped from memory when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.bytes.clone()
    }
}

impl fmt::Debug for EcdsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaKey")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The number that `text` writes: up to 64 hexadecimal digits after `0x`, or 64 of them, or a
/// decimal number below 2^256.
pub(super) fn number(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (digits, base) = match text {
        [b'0', b'x' | b'X', digits @ ..] if digits.len() <= 64 => (digits, 16),
        digits if digits.len() == 64 => (digits, 16),
        digits => (digits, 10),
    };
    digits_of(digits, base)
}

/// The number with these digits, below 2^256.
fn digits_of(digits: &[u8], base: u32) -> Option<Zeroizing<[u8; 32]>> {
    if digits.is_empty() {
        return None;
    }
    let mut number = Zeroizing::new([0; 32]);
    for &digit in digits {
        let mut carry = char::from(digit).to_digit(base)?;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * base;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

/// The number with these decimal digits, below 2^256, also if they are 64.
pub(super) fn from_decimal(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    digits_of(digits, 10)
}

/// `number` in decimal digits, without leading zeros.
pub(super) fn decimal(number: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut rest = Zeroizing::new(*number);
    // 2^256 has 78 digits.
    let mut digits = Zeroizing::new(Vec::with_capacity(78));
    while digits.is_empty() || rest.iter().any(|byte| *byte != 0) {
        let mut remainder = 0u32;
        for byte in rest.iter_mut() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 10) as u8;
            remainder = value % 10;
        }
        digits.push(b'0' + remainder as u8);
    }
    digits.reverse();
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, address};
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_in_both_bases() {
        let one = U256::ONE.to_be_bytes::<32>();
        let hex = |digits: &str| number(digits.as_bytes()).map(|n| *n);
        assert_eq!(hex("1"), Some(one));
        assert_eq!(hex("0001"), Some(one));
        assert_eq!(hex("0x1"), Some(one));
        assert_eq!(hex(&format!("{:064x}", 1)), Some(one));
        assert_eq!(hex(&U256::MAX.to_string()), Some([0xff; 32]));
        let above = format!("{}6", &U256::MAX.to_string()[..77]);
        for wrong in [
            "", "0x", "-1", "+1", "1.5", "1e3", " 1", "0xg", "a", "𝟏", &above,
        ] {
            assert_eq!(hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_that_are_no_keys_are_refused() {
        for kind in [KeyKind::Bn254, KeyKind::Bls12381, KeyKind::Ecdsa] {
            for bytes in [[0; 32], [0xff; 32]] {
                assert!(matches!(
                    Secret::from_bytes(kind, &bytes),
                    Err(KeyFileError::NoKey(refused)) if refused == kind
                ));
            }
            let (a, b) = (Secret::random(kind).unwrap(), Secret::random(kind).unwrap());
            assert_eq!(a.kind(), kind);
            assert_ne!(a.public(), b.public());
        }
    }

    /// The first account of the mnemonic `test test … junk`, which every Ethereum node for
    /// development prints.
    #[test]
    fn an_address_is_that_of_its_key() {
        let text = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let secret = Secret::from_text(KeyKind::Ecdsa, text).unwrap();
        assert_eq!(
            secret.public(),
            PublicPart::Address(address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"))
        );
        assert_eq!(
            format!("{secret:?}"),
            "Secret(ecdsa 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266)"
        );
    }

    proptest! {
        #[test]
        fn decimal_text_is_the_number(bytes in any::<[u8; 32]>()) {
            let text = decimal(&bytes);
            let expected = U256::from_be_bytes(bytes).to_string();
            prop_assert_eq!(&*text, expected.as_bytes());
            prop_assert_eq!(from_decimal(&text).map(|number| *number), Some(bytes));
            if text.len() != 64 {
                prop_assert_eq!(number(&text).map(|number| *number), Some(bytes));
            }
        }
    }
}
