//! The variant of Ethereum's consensus layer: keys in G1, signatures in G2.
//!
//! Points are compressed, as the consensus layer and EIP-2335 key files have them. A thin layer over
//! blst that refuses what must not be a key, and says which rule the bytes break.
//!
//! ```
//! use mach_bls::bls12_381::min_pk::SecretKey;
//!
//! let key = SecretKey::random();
//! let signature = key.sign(b"message");
//! assert!(signature.verify(b"message", &key.public_key()));
//! assert_eq!(key.public_key().to_bytes().len(), 48);
//! ```
//!
//! Source: draft-irtf-cfrg-bls-signature, proof-of-possession scheme, and the consensus
//! specifications. A public key that others are aggregated with has to have proved possession.

use core::fmt;

use blst::min_pk::{self, AggregatePublicKey, AggregateSignature};
use blst::{BLST_ERROR, blst_scalar};
use rand::RngCore;
use zeroize::Zeroizing;

use super::P;
use super::encoding::point_error;
use crate::{PointError, SecretKeyError};

/// The domain separation tag of the consensus layer.
pub const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// A secret key: a number from 1 to r - 1, wiped from memory when dropped.
///
/// Signing and deriving the public key take the same time for every key. `Debug` shows the public
/// key only.
pub struct SecretKey(min_pk::SecretKey);

impl SecretKey {
    /// The key with this big-endian encoding.
    ///
    /// Errors: [`SecretKeyError`] for zero and for numbers from the group order r on.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        match min_pk::SecretKey::from_bytes(bytes) {
            Ok(key) => Ok(Self(key)),
            Err(_) => Err(SecretKeyError),
        }
    }

    /// A new key from the thread's cryptographic random number generator.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rand::rng().fill_bytes(bytes.as_mut_slice());
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// 32 bytes, big-endian; wiped from memory when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// Signs a message of any length under [`DST`].
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.sign_under(message, DST)
    }

    /// Signs a message of any length under a domain separation tag.
    pub fn sign_under(&self, message: &[u8], dst: &[u8]) -> Signature {
        Signature(self.0.sign(message, dst, &[]))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public_key", &self.public_key())
            .finish_non_exhaustive()
    }
}

/// A public key: a point of G1's subgroup, not the identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(min_pk::PublicKey);

impl PublicKey {
    /// Decodes 48 bytes.
    ///
    /// Errors: [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if check_form::<48>(bytes)? {
            return Err(DecodeError::Point(PointError::Identity));
        }
        let key = min_pk::PublicKey::uncompress(bytes).map_err(point_error)?;
        key.validate().map_err(point_error)?;
        Ok(Self(key))
    }

    /// 48 bytes.
    pub fn to_bytes(&self) -> [u8; 48] {
        self.0.compress()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", alloy_primitives::hex::encode(self.to_bytes()))
    }
}

/// A signature or a sum of signatures: a point of G2's subgroup, the identity included, which is no
/// signature by any key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(min_pk::Signature);

impl Signature {
    /// Decodes 96 bytes.
    ///
    /// Errors: [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_form::<96>(bytes)?;
        let signature = min_pk::Signature::uncompress(bytes).map_err(point_error)?;
        signature.validate(false).map_err(point_error)?;
        Ok(Self(signature))
    }

    /// 96 bytes.
    pub fn to_bytes(&self) -> [u8; 96] {
        self.0.compress()
    }

    /// 192 bytes, not compressed: X.c1, X.c0, Y.c1, Y.c0, each big-endian.
    pub fn to_uncompressed_bytes(&self) -> [u8; 192] {
        self.0.serialize()
    }

    /// The sum; `None` of nothing.
    pub fn aggregate(signatures: &[Self]) -> Option<Self> {
        let signatures: Vec<_> = signatures.iter().map(|signature| &signature.0).collect();
        let sum = AggregateSignature::aggregate(&signatures, false).ok()?;
        Some(Self(sum.to_signature()))
    }

    /// Whether this is the key's signature of `message`.
    pub fn verify(&self, message: &[u8], key: &PublicKey) -> bool {
        self.aggregate_verify(&[(*key, message)])
    }

    /// Whether this is the sum of the signatures of each message by its key. False for nothing.
    pub fn aggregate_verify(&self, pairs: &[(PublicKey, &[u8])]) -> bool {
        let keys: Vec<_> = pairs.iter().map(|(key, _)| &key.0).collect();
        let messages: Vec<_> = pairs.iter().map(|(_, message)| *message).collect();
        is_success(self.0.aggregate_verify(false, &messages, DST, &keys, false))
    }

    /// Whether this is the sum of the signatures of one message by all keys. False for nothing, and
    /// for keys whose sum is the identity.
    pub fn fast_aggregate_verify(&self, message: &[u8], keys: &[PublicKey]) -> bool {
        let keys: Vec<_> = keys.iter().map(|key| &key.0).collect();
        match AggregatePublicKey::aggregate(&keys, false) {
            Ok(sum) => self.verify(message, &PublicKey(sum.to_public_key())),
            Err(_) => false,
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", alloy_primitives::hex::encode(self.to_bytes()))
    }
}

/// Whether each signature is its key's signature of its message, with random weights of 128 bits and
/// one final exponentiation. False for nothing.
pub fn verify_batch(items: &[(PublicKey, &[u8], Signature)]) -> bool {
    let messages: Vec<_> = items.iter().map(|(_, message, _)| *message).collect();
    let keys: Vec<_> = items.iter().map(|(key, ..)| &key.0).collect();
    let signatures: Vec<_> = items.iter().map(|(.., signature)| &signature.0).collect();
    let mut weights = vec![blst_scalar::default(); items.len()];
    for weight in &mut weights {
        let (half, _) = weight.b.split_at_mut(16);
        rand::rng().fill_bytes(half);
    }
    is_success(min_pk::Signature::verify_multiple_aggregate_signatures(
        &messages,
        DST,
        &keys,
        false,
        &signatures,
        false,
        &weights,
        128,
    ))
}

/// Hashes a message of any length to G2 under a domain separation tag.
///
/// Source: RFC 9380, suite `BLS12381G2_XMD:SHA-256_SSWU_RO_`.
pub fn hash_to_g2(message: &[u8], dst: &[u8]) -> Signature {
    let mut one = [0; 32];
    one[31] = 1;
    // The signature of the key 1 is the point of the message.
    let one = min_pk::SecretKey::from_bytes(&one).unwrap_or_default();
    Signature(one.sign(message, dst, &[]))
}

/// Why bytes are no compressed point that may be used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Too few or too many bytes.
    #[error("{found} bytes, not {expected}")]
    Length {
        /// Bytes that a point has.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The first bit, which says that the point is compressed, is zero.
    #[error("the point is not compressed")]
    NotCompressed,
    /// The second bit says that the point is the identity, and another bit is not zero.
    #[error("the identity has bits that are not zero")]
    Infinity,
    /// The encoding is right, the point is not.
    #[error(transparent)]
    Point(#[from] PointError),
}

/// Checks the flags and that every number is below the modulus. Answers whether the point is the
/// identity.
fn check_form<const N: usize>(bytes: &[u8]) -> Result<bool, DecodeError> {
    let Ok(mut bytes) = <[u8; N]>::try_from(bytes) else {
        return Err(DecodeError::Length {
            expected: N,
            found: bytes.len(),
        });
    };
    let flags = bytes[0] >> 5;
    bytes[0] &= 0x1f;
    if flags & 0b100 == 0 {
        return Err(DecodeError::NotCompressed);
    }
    if flags & 0b010 != 0 {
        // The third bit is the sign of Y, which the identity has not.
        if flags & 0b001 != 0 || bytes.iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Infinity);
        }
        return Ok(true);
    }
    let (numbers, _) = bytes.as_chunks::<48>();
    if numbers.iter().any(|number| *number >= P) {
        return Err(DecodeError::Point(PointError::Coordinate));
    }
    Ok(false)
}

const fn is_success(error: BLST_ERROR) -> bool {
    matches!(error, BLST_ERROR::BLST_SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    /// `sign_case_37286e1a6d1f6eb3` and its like of ethereum/bls12-381-tests.
    const SECRET: [u8; 32] =
        hex!("47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138");
    const KEY: [u8; 48] = hex!(
        "b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81"
    );
    const SIGNATURE: [u8; 96] = hex!(
        "b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63"
        "926da3388979e5321012fb1a0526bcd100b5ef5fe72628ce4cd5e904aeaa3279"
        "527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9"
    );

    #[test]
    fn a_key_signs_as_the_consensus_layer_has_it() {
        let key = SecretKey::from_bytes(&SECRET).unwrap();
        assert_eq!(key.public_key().to_bytes(), KEY);
        let signature = key.sign(&[0; 32]);
        assert_eq!(signature.to_bytes(), SIGNATURE);
        assert!(signature.verify(&[0; 32], &key.public_key()));
        assert!(!signature.verify(&[1; 32], &key.public_key()));
        assert_eq!(*key.to_bytes(), SECRET);
        assert!(!format!("{key:?}").contains("47b8"));
    }

    #[test]
    fn each_broken_rule_has_its_error() {
        let changed = |index: usize, value: u8| {
            let mut bytes = KEY;
            bytes[index] = value;
            PublicKey::from_bytes(&bytes)
        };
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        let mut modulus = P;
        modulus[0] |= 0x80;
        assert_eq!(changed(0, KEY[0]).unwrap().to_bytes(), KEY);
        assert_eq!(changed(0, KEY[0] & 0x7f), Err(DecodeError::NotCompressed));
        assert_eq!(changed(0, KEY[0] | 0x40), Err(DecodeError::Infinity));
        assert_eq!(
            PublicKey::from_bytes(&infinity),
            Err(DecodeError::Point(PointError::Identity))
        );
        assert_eq!(
            PublicKey::from_bytes(&modulus),
            Err(DecodeError::Point(PointError::Coordinate))
        );
        assert_eq!(
            PublicKey::from_bytes(&KEY[1..]),
            Err(DecodeError::Length {
                expected: 48,
                found: 47
            })
        );
        let mut signature = [0; 96];
        signature[0] = 0xc0;
        let identity = Signature::from_bytes(&signature).unwrap();
        let key = SecretKey::from_bytes(&SECRET).unwrap().public_key();
        assert!(!identity.verify(&[0; 32], &key));
    }

    #[test]
    fn a_batch_with_one_wrong_signature_is_refused() {
        let keys: [SecretKey; 3] = core::array::from_fn(|_| SecretKey::random());
        let messages: [&[u8]; 3] = [b"a", b"b", b"c"];
        let mut items: Vec<_> = keys
            .iter()
            .zip(messages)
            .map(|(key, message)| (key.public_key(), message, key.sign(message)))
            .collect();
        assert!(verify_batch(&items));
        items[2].2 = items[0].2;
        assert!(!verify_batch(&items));
        assert!(!verify_batch(&[]));
    }
}
