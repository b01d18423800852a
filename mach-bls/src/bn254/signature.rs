//! Signatures and the one equation that everything is checked with.

use std::sync::LazyLock;

use alloy_primitives::B256;
use ark_bn254::{Bn254, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::pairing::{Pairing, PairingOutput};
use ark_ff::Zero;
use mach_core::G1Bytes;

use super::encoding::{PointError, decode_g1, encode_g1};
use super::sum::sum_g1;
use super::{MessagePoint, PublicKey, hash_to_g1};

/// A point of G1, not the identity, that may be somebody's signature of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub(crate) G1Affine);

impl Signature {
    /// Errors: [`PointError`]; the identity would be a signature of every message under the
    /// identity key.
    pub fn from_bytes(bytes: &G1Bytes) -> Result<Self, PointError> {
        decode_g1(bytes).map(Self)
    }

    /// 64 bytes, X then Y, big-endian.
    pub fn to_bytes(&self) -> G1Bytes {
        encode_g1(&self.0)
    }

    /// The signature that belongs to the sum of the signers' keys, if all signed the same message.
    ///
    /// Errors: [`PointError::Identity`] if there are none, or if they cancel out.
    pub fn sum(signatures: impl IntoIterator<Item = Self>) -> Result<Self, PointError> {
        let sum = sum_g1(signatures.into_iter().map(|signature| signature.0));
        if sum.is_zero() {
            return Err(PointError::Identity);
        }
        Ok(Self(sum))
    }
}

/// The signature is not the key's signature of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not the key's signature of the message")]
pub struct InvalidSignature;

impl PublicKey {
    /// Checks that `signature` is this key's signature of `digest`.
    ///
    /// Errors: [`InvalidSignature`].
    pub fn verify(&self, digest: B256, signature: &Signature) -> Result<(), InvalidSignature> {
        self.verify_point(&hash_to_g1(digest), signature)
    }

    /// [`Self::verify`] for a message that was hashed before.
    ///
    /// Errors: [`InvalidSignature`].
    pub fn verify_point(
        &self,
        message: &MessagePoint,
        signature: &Signature,
    ) -> Result<(), InvalidSignature> {
        if same_discrete_log(signature.0, message.0, self.g2) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }
}

/// A public key with the lines of its pairing computed: what a check repeats for every signature of
/// the same key. About 20 kB.
#[derive(Clone, Debug)]
pub struct PreparedKey {
    key: PublicKey,
    lines: Lines,
}

impl PreparedKey {
    /// The key itself.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// As [`PublicKey::verify`].
    ///
    /// Errors: [`InvalidSignature`].
    pub fn verify(&self, digest: B256, signature: &Signature) -> Result<(), InvalidSignature> {
        self.verify_point(&hash_to_g1(digest), signature)
    }

    /// As [`PublicKey::verify_point`].
    ///
    /// Errors: [`InvalidSignature`].
    pub fn verify_point(
        &self,
        message: &MessagePoint,
        signature: &Signature,
    ) -> Result<(), InvalidSignature> {
        if discrepancy(signature.0, message.0, self.lines.clone()).is_zero() {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }
}

impl From<PublicKey> for PreparedKey {
    fn from(key: PublicKey) -> Self {
        Self {
            lines: key.g2.into(),
            key,
        }
    }
}

/// Whether `multiple` is to `base` what `key` is to the generator of G2.
///
/// One equation for a signature (`base` is the message) and for the link between the two halves of
/// a key (`base` is the generator of G1): e(multiple, -G2) · e(base, key) = 1.
pub(crate) fn same_discrete_log(multiple: G1Affine, base: G1Affine, key: G2Affine) -> bool {
    discrepancy(multiple, base, key.into()).is_zero()
}

type Lines = <Bn254 as Pairing>::G2Prepared;

/// e(multiple, -G2) · e(base, key), of which the neutral element is called zero.
pub(super) fn discrepancy(multiple: G1Affine, base: G1Affine, key: Lines) -> PairingOutput<Bn254> {
    static NEGATIVE_GENERATOR: LazyLock<Lines> =
        LazyLock::new(|| Lines::from(-G2Affine::generator()));

    let product = Bn254::multi_miller_loop([multiple, base], [NEGATIVE_GENERATOR.clone(), key]);
    Bn254::final_exponentiation(product)
        .expect("no line through points of the twist is zero at a point of the curve")
}

#[cfg(test)]
mod tests {
    use super::super::{SecretKey, encode_g1};
    use super::*;

    #[test]
    fn the_sum_of_signatures_belongs_to_the_sum_of_keys() {
        let digest = B256::repeat_byte(1);
        let signers: Vec<_> = (0..5).map(|_| SecretKey::random()).collect();
        let signature = Signature::sum(signers.iter().map(|key| key.sign(digest))).unwrap();
        let key = PublicKey::sum(signers.iter().map(|key| *key.public_key())).unwrap();
        assert!(key.is_linked());
        assert_eq!(key.verify(digest, &signature), Ok(()));
        assert!(signers[0].public_key().verify(digest, &signature).is_err());
    }

    #[test]
    fn a_sum_of_nothing_is_refused() {
        let signature = SecretKey::random().sign(B256::ZERO);
        let opposite = Signature(-signature.0);
        assert_eq!(encode_g1(&opposite.0).0[..32], signature.to_bytes().0[..32]);
        for signatures in [vec![], vec![signature, opposite]] {
            assert_eq!(Signature::sum(signatures), Err(PointError::Identity));
        }
        assert_eq!(PublicKey::sum([]), Err(PointError::Identity));
    }

    #[test]
    fn a_prepared_key_answers_as_the_key() {
        let (key, other) = (SecretKey::random(), SecretKey::random());
        let prepared = PreparedKey::from(*key.public_key());
        assert_eq!(prepared.key(), key.public_key());
        let digest = B256::repeat_byte(1);
        assert_eq!(prepared.verify(digest, &key.sign(digest)), Ok(()));
        assert_eq!(
            prepared.verify(digest, &other.sign(digest)),
            Err(InvalidSignature)
        );
        assert_eq!(
            prepared.verify(B256::ZERO, &key.sign(digest)),
            Err(InvalidSignature)
        );
    }
}
