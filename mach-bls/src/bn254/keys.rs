//! Secret and public keys.

use core::fmt;

use alloy_primitives::B256;
use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::PrimeField;
use mach_core::{G1Bytes, G2Bytes, OperatorId};
use rand::RngCore;
use zeroize::Zeroizing;

use super::curve::{Fe, Fe2, Point};
use super::encoding::{PointError, decode_g1, decode_g2, encode_g1, encode_g2, integer};
use super::sum::{sum_g1, sum_g2};
use super::{MessagePoint, Signature, hash_to_g1, same_discrete_log};

/// A BLS secret key: a number from 1 to r - 1, wiped from memory when dropped.
///
/// Nothing that is done with it takes a branch or an address from it: signing and deriving the
/// public key run the same instructions for every key. `Debug` shows the operator id only.
pub struct SecretKey {
    /// Limbs, least significant first.
    scalar: Zeroizing<[u64; 4]>,
    public: PublicKey,
}

impl SecretKey {
    /// The key with this big-endian encoding.
    ///
    /// Errors: [`SecretKeyError`] for zero and for numbers from the group order r on.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        let scalar = Zeroizing::new(integer(bytes).0);
        let mut below_order = false;
        let mut any_bit = 0;
        for (limb, order) in scalar.iter().zip(Fr::MODULUS.0) {
            (_, below_order) = limb.borrowing_sub(order, below_order);
            any_bit |= limb;
        }
        // That the bytes are no key is no secret.
        if !below_order || any_bit == 0 {
            return Err(SecretKeyError);
        }
        let public = PublicKey {
            g1: multiply_g1(G1Affine::generator(), &scalar),
            g2: multiply_g2(G2Affine::generator(), &scalar),
        };
        Ok(Self { scalar, public })
    }

    /// A new key from the thread's cryptographic random number generator.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rand::rng().fill_bytes(bytes.as_mut_slice());
            // r has 254 bits: three of four tries are below it.
            if let [first, ..] = bytes.as_mut() {
                *first &= 0x3f;
            }
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// 32 bytes, big-endian; wiped from memory when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (chunk, limb) in chunks.iter_mut().rev().zip(self.scalar.iter()) {
            *chunk = limb.to_be_bytes();
        }
        bytes
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a digest. The same digest gives the same signature.
    pub fn sign(&self, digest: B256) -> Signature {
        self.sign_point(&hash_to_g1(digest))
    }

    /// Signs whatever hashes to `message`: only for messages that the caller hashed, or that it
    /// compared with what it expects.
    pub(crate) fn sign_point(&self, message: &MessagePoint) -> Signature {
        // Never the identity: the scalar is not zero and the order of the point is r.
        Signature(multiply_g1(message.0, &self.scalar))
    }
}

fn multiply_g1(base: G1Affine, scalar: &[u64; 4]) -> G1Affine {
    Point::<Fe>::from_affine(base.x.into(), base.y.into())
        .mul_secret(scalar)
        .into()
}

fn multiply_g2(base: G2Affine, scalar: &[u64; 4]) -> G2Affine {
    Point::<Fe2>::from_affine(base.x.into(), base.y.into())
        .mul_secret(scalar)
        .into()
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("operator", &self.public.operator_id().0)
            .finish_non_exhaustive()
    }
}

/// The bytes are no secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret key is zero or not below the group order")]
pub struct SecretKeyError;

/// A public key: the same multiple of both generators.
///
/// A value of this type is proved: both points are valid, neither is the identity, and they belong
/// together. That its owner has the secret key is another proof: [`PossessionProof`].
///
/// [`PossessionProof`]: super::PossessionProof
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) g1: G1Affine,
    pub(crate) g2: G2Affine,
}

impl PublicKey {
    /// Decodes both halves and checks that they belong together, which costs a pairing.
    ///
    /// Errors: [`KeyError`].
    pub fn from_bytes(g1: &G1Bytes, g2: &G2Bytes) -> Result<Self, KeyError> {
        let key = Self::decode(g1, g2)?;
        if !key.is_linked() {
            return Err(KeyError::Unlinked);
        }
        Ok(key)
    }

    /// The key of all: its signature is the sum of theirs.
    ///
    /// Only for keys whose owners proved to have the secret key; else one of them could have been
    /// made from the others.
    ///
    /// Errors: [`PointError::Identity`] if there are none, or if they cancel out.
    pub fn sum(keys: impl IntoIterator<Item = Self>) -> Result<Self, PointError> {
        let (g1, g2): (Vec<_>, Vec<_>) = keys.into_iter().map(|key| (key.g1, key.g2)).unzip();
        let (g1, g2) = (sum_g1(g1), sum_g2(g2));
        if g1.is_zero() {
            return Err(PointError::Identity);
        }
        Ok(Self { g1, g2 })
    }

    /// Both halves valid, their link not yet checked.
    pub(crate) fn decode(g1: &G1Bytes, g2: &G2Bytes) -> Result<Self, KeyError> {
        let g1 = decode_g1(g1).map_err(|source| KeyError::Point {
            group: "G1",
            source,
        })?;
        let g2 = decode_g2(g2).map_err(|source| KeyError::Point {
            group: "G2",
            source,
        })?;
        Ok(Self { g1, g2 })
    }

    pub(crate) fn is_linked(&self) -> bool {
        same_discrete_log(self.g1, G1Affine::generator(), self.g2)
    }

    /// The half in G1: 64 bytes, X then Y, big-endian.
    pub fn g1_bytes(&self) -> G1Bytes {
        encode_g1(&self.g1)
    }

    /// The half in G2: 128 bytes, X.c0, X.c1, Y.c0, Y.c1, big-endian.
    pub fn g2_bytes(&self) -> G2Bytes {
        encode_g2(&self.g2)
    }

    /// Id of the operator whose key this is.
    pub fn operator_id(&self) -> OperatorId {
        OperatorId::from_key(&self.g1_bytes())
    }
}

/// Why bytes are not a public key.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// One half is not a usable point.
    #[error("the key in {group} is not valid")]
    Point {
        /// `G1` or `G2`.
        group: &'static str,
        /// Which rule it breaks.
        #[source]
        source: PointError,
    },
    /// The halves are different multiples of their generators.
    #[error("the keys in G1 and G2 do not belong together")]
    Unlinked,
    /// Nobody proved to have the secret key.
    #[error("the proof of possession is not valid")]
    NotPossessed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, U256, b256, hex};

    /// EIP-197: the group order.
    const R: [u8; 32] = hex!("30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001");

    fn key(number: u64) -> SecretKey {
        SecretKey::from_bytes(&U256::from(number).to_be_bytes()).unwrap()
    }

    #[test]
    fn zero_and_numbers_from_the_group_order_on_are_no_keys() {
        let r = U256::from_be_bytes(R);
        for number in [U256::ZERO, r, r + U256::from(1), U256::MAX] {
            assert_eq!(
                SecretKey::from_bytes(&number.to_be_bytes()).err(),
                Some(SecretKeyError),
                "{number}"
            );
        }
        let last = (r - U256::from(1)).to_be_bytes();
        let key = SecretKey::from_bytes(&last).unwrap();
        assert_eq!(*key.to_bytes(), last);
    }

    /// COMPAT 1.4, golden vector 3: computed with another implementation.
    #[test]
    fn key_12345_has_its_id_and_its_signature() {
        let key = key(12345);
        assert_eq!(
            key.public_key().operator_id().0,
            b256!("26e12805541af2be0505cba0230e232b7c6648371f78b16d2f8301a24bf590b7")
        );
        let digest = b256!("6faaac024b3e0787185d316c6d59ac0f1dafde01ea0183457055165fb6e2b403");
        let signature = key.sign(digest);
        let expected = hex!(
            "20f609548b9d336473d42f66d546cd7d70d419466cc69530db42e679aa0e93ec"
            "195cdb2dcef01e9048ebd1158db6c0f0942c105cdfa78974860b2807f22ff9e8"
        );
        assert_eq!(signature.to_bytes(), G1Bytes(expected.into()));
        key.public_key().verify(digest, &signature).unwrap();
        assert!(key.public_key().verify(B256::ZERO, &signature).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = key(0xdead_beef_dead_beef);
        let shown = format!("{key:?}");
        assert_eq!(
            shown,
            format!(
                "SecretKey {{ operator: {:?}, .. }}",
                key.public_key().operator_id().0
            )
        );
    }

    #[test]
    fn halves_of_different_keys_are_refused() {
        let (a, b) = (key(2), key(3));
        let (a, b) = (a.public_key(), b.public_key());
        assert_eq!(PublicKey::from_bytes(&a.g1_bytes(), &a.g2_bytes()), Ok(*a));
        assert_eq!(
            PublicKey::from_bytes(&a.g1_bytes(), &b.g2_bytes()),
            Err(KeyError::Unlinked)
        );
        assert_eq!(
            PublicKey::from_bytes(&G1Bytes([0; 64].into()), &b.g2_bytes()),
            Err(KeyError::Point {
                group: "G1",
                source: PointError::Identity
            })
        );
    }

    #[test]
    fn random_keys_differ() {
        let (a, b) = (SecretKey::random(), SecretKey::random());
        assert_ne!(a.public_key(), b.public_key());
    }
}
