//! Signatures and the one equation that everything is checked with.

use std::sync::LazyLock;

use alloy_primitives::B256;
use ark_bn254::{Bn254, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use mach_core::G1Bytes;

use super::encoding::{PointError, decode_g1, encode_g1};
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

/// Whether `multiple` is to `base` what `key` is to the generator of G2.
///
/// One equation for a signature (`base` is the message) and for the link between the two halves of
/// a key (`base` is the generator of G1): e(multiple, -G2) · e(base, key) = 1.
pub(crate) fn same_discrete_log(multiple: G1Affine, base: G1Affine, key: G2Affine) -> bool {
    type Prepared = <Bn254 as Pairing>::G2Prepared;
    static NEGATIVE_GENERATOR: LazyLock<Prepared> =
        LazyLock::new(|| Prepared::from(-G2Affine::generator()));

    let product = Bn254::multi_miller_loop(
        [multiple, base],
        [NEGATIVE_GENERATOR.clone(), Prepared::from(key)],
    );
    Bn254::final_exponentiation(product).is_some_and(|output| output == Default::default())
}
