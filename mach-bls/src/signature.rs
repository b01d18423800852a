//! Signatures and what they are of.

use alloy_primitives::B256;
use mach_core::{Bn254, G1Bytes};

use crate::{PointError, Scheme};

/// A point of G1, not the identity, that may be somebody's signature of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<S: Scheme = Bn254>(pub(crate) S::G1Point);

impl<S: Scheme> Signature<S> {
    /// Errors: [`PointError`]; the identity would be a signature of every message under the
    /// identity key.
    pub fn from_bytes(bytes: &G1Bytes<S>) -> Result<Self, PointError> {
        S::decode_g1(bytes).map(Self)
    }

    /// The signature that belongs to the sum of the signers' keys, if all signed the same message.
    ///
    /// Errors: [`PointError::Identity`] if there are none, or if they cancel out.
    pub fn sum(signatures: impl IntoIterator<Item = Self>) -> Result<Self, PointError> {
        let points: Vec<_> = signatures
            .into_iter()
            .map(|signature| signature.0)
            .collect();
        let sum = S::sum_g1(&points);
        if sum == S::sum_g1(&[]) {
            return Err(PointError::Identity);
        }
        Ok(Self(sum))
    }

    /// The bytes that a statement carries.
    pub fn to_bytes(&self) -> G1Bytes<S> {
        S::encode_g1(&self.0)
    }
}

/// What is multiplied by a secret key to make a signature: a digest as a point of G1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagePoint<S: Scheme = Bn254>(pub(crate) S::G1Point);

impl<S: Scheme> MessagePoint<S> {
    /// The point that stands for a digest: on BN254 that of `BN254.hashToG1`, on BLS12-381 that of
    /// RFC 9380 under mach's domain separation tag.
    pub fn of(digest: B256) -> Self {
        Self(S::hash_to_g1(digest))
    }

    /// A point that a contract says a message hashes to.
    ///
    /// Whoever names the point decides what is signed: prefer [`Self::of`] a digest that you
    /// computed.
    ///
    /// Errors: [`PointError`].
    pub fn from_bytes(bytes: &G1Bytes<S>) -> Result<Self, PointError> {
        S::decode_g1(bytes).map(Self)
    }

    /// The bytes of the point.
    pub fn to_bytes(&self) -> G1Bytes<S> {
        S::encode_g1(&self.0)
    }
}

/// The signature is not the key's signature of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not the key's signature of the message")]
pub struct InvalidSignature;
