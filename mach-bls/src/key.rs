//! Secret and public keys.

use core::fmt;
use std::sync::{Arc, OnceLock};

use alloy_primitives::B256;
use mach_core::{Bn254, G1Bytes, G2Bytes, OperatorId};
use rand::RngCore;
use zeroize::Zeroizing;

use crate::scheme::same_discrete_log;
use crate::{InvalidSignature, MessagePoint, PointError, Scheme, Signature};

/// A BLS secret key: a number from 1 to r - 1, wiped from memory when dropped.
///
/// Signing and deriving the public key run the same instructions for every key. `Debug` shows the
/// operator id only.
pub struct SecretKey<S: Scheme = Bn254> {
    pub(crate) secret: S::Secret,
    public: ValidKey<S>,
}

impl<S: Scheme> SecretKey<S> {
    /// The key with this big-endian encoding.
    ///
    /// Errors: [`SecretKeyError`] for zero and for numbers from the group order r on.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        let secret = S::secret_from_bytes(bytes).ok_or(SecretKeyError)?;
        let (g1, g2) = S::public_points(&secret);
        let public = ValidKey::new(g1, g2);
        Ok(Self { secret, public })
    }

    /// A new key from the thread's cryptographic random number generator.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rand::rng().fill_bytes(bytes.as_mut_slice());
            // A group order has 254 or 255 bits: of numbers of 255 bits about a third is below it.
            if let [first, ..] = bytes.as_mut() {
                *first &= 0x7f;
            }
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// 32 bytes, big-endian; wiped from memory when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        S::secret_to_bytes(&self.secret)
    }

    /// The public half.
    pub const fn public_key(&self) -> &ValidKey<S> {
        &self.public
    }

    /// Signs a digest. The same digest gives the same signature.
    pub fn sign(&self, digest: B256) -> Signature<S> {
        // Never the identity: the secret is not zero and the order of the point is r.
        Signature(S::sign(&self.secret, digest))
    }
}

impl<S: Scheme> fmt::Debug for SecretKey<S> {
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

/// A public key that may be in an operator set: the same multiple of both generators, whose owner
/// has the secret key.
///
/// A value of this type is made by [`PossessionProof::verify`], by a [`SecretKey`], by
/// [`Self::from_registry`], which leaves the proof of possession to a contract, or by [`Self::sum`]
/// of such keys. In each case both points are valid, neither is the identity, and they belong
/// together. That is checked once:
/// clones share the key and what is prepared for its pairings at the first verification (about
/// 12 kB on BN254, 200 bytes on BLS12-381).
///
/// [`PossessionProof::verify`]: crate::PossessionProof::verify
#[derive(Clone)]
pub struct ValidKey<S: Scheme = Bn254>(Arc<Inner<S>>);

struct Inner<S: Scheme> {
    operator: OperatorId,
    g1: S::G1Point,
    g2: S::G2Point,
    lines: OnceLock<S::Lines>,
}

impl<S: Scheme> ValidKey<S> {
    /// A key that is registered with a contract which has checked the proof of possession, as
    /// `BLSApkRegistry` and `MachRegistry` do.
    ///
    /// Checks all else: both points and, with a pairing, that they belong together. Trusts the
    /// contract, and the L1 node that it was read from, for the possession: with a key that nobody
    /// possesses, a rogue operator signs for others.
    ///
    /// Errors: [`KeyError`].
    pub fn from_registry(g1: &G1Bytes<S>, g2: &G2Bytes<S>) -> Result<Self, KeyError> {
        let key = Self::decode(g1, g2)?;
        if !key.is_linked() {
            return Err(KeyError::Unlinked);
        }
        Ok(key)
    }

    /// The key of all: its signature is the sum of theirs.
    ///
    /// Errors: [`PointError::Identity`] if there are none, or if they cancel out.
    pub fn sum<'a>(keys: impl IntoIterator<Item = &'a Self>) -> Result<Self, PointError> {
        let halves = keys.into_iter().map(|key| (key.0.g1, key.0.g2));
        let (g1, g2): (Vec<_>, Vec<_>) = halves.unzip();
        let g1 = S::sum_g1(&g1);
        if g1 == S::sum_g1(&[]) {
            return Err(PointError::Identity);
        }
        Ok(Self::new(g1, S::sum_g2(&g2)))
    }

    pub(crate) fn new(g1: S::G1Point, g2: S::G2Point) -> Self {
        Self(Arc::new(Inner {
            operator: OperatorId::from_key(&S::encode_g1(&g1)),
            g1,
            g2,
            lines: OnceLock::new(),
        }))
    }

    /// Both halves valid, their link not yet checked.
    pub(crate) fn decode(g1: &G1Bytes<S>, g2: &G2Bytes<S>) -> Result<Self, KeyError> {
        let g1 = S::decode_g1(g1).map_err(|source| KeyError::Point {
            group: "G1",
            source,
        })?;
        let g2 = S::decode_g2(g2).map_err(|source| KeyError::Point {
            group: "G2",
            source,
        })?;
        Ok(Self::new(g1, g2))
    }

    pub(crate) fn is_linked(&self) -> bool {
        let lines = S::lines(&self.0.g2);
        same_discrete_log::<S>(&self.0.g1, &S::generator_g1(), &lines)
    }

    /// Checks that `signature` is this key's signature of `digest`.
    ///
    /// Errors: [`InvalidSignature`].
    pub fn verify(&self, digest: B256, signature: &Signature<S>) -> Result<(), InvalidSignature> {
        if S::verify(self, digest, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    /// [`Self::verify`] for a message that was hashed before.
    ///
    /// Errors: [`InvalidSignature`].
    pub fn verify_point(
        &self,
        message: &MessagePoint<S>,
        signature: &Signature<S>,
    ) -> Result<(), InvalidSignature> {
        if same_discrete_log::<S>(&signature.0, &message.0, self.lines()) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    /// The half in G1.
    pub fn g1_bytes(&self) -> G1Bytes<S> {
        S::encode_g1(&self.0.g1)
    }

    /// The half in G2.
    pub fn g2_bytes(&self) -> G2Bytes<S> {
        S::encode_g2(&self.0.g2)
    }

    /// Id of the operator whose key this is.
    pub fn operator_id(&self) -> OperatorId {
        self.0.operator
    }

    pub(crate) fn g1(&self) -> &S::G1Point {
        &self.0.g1
    }

    pub(crate) fn g2(&self) -> &S::G2Point {
        &self.0.g2
    }

    pub(crate) fn lines(&self) -> &S::Lines {
        self.0.lines.get_or_init(|| S::lines(&self.0.g2))
    }
}

impl<S: Scheme> PartialEq for ValidKey<S> {
    fn eq(&self, other: &Self) -> bool {
        // The halves belong together.
        self.0.g1 == other.0.g1
    }
}

impl<S: Scheme> Eq for ValidKey<S> {}

impl<S: Scheme> fmt::Debug for ValidKey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidKey")
            .field("operator", &self.0.operator.0)
            .finish_non_exhaustive()
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
    use crate::bn254::SecretKey;
    use alloy_primitives::{B256, U256, b256, hex};

    fn key(number: u64) -> SecretKey {
        SecretKey::from_bytes(&U256::from(number).to_be_bytes()).unwrap()
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

    /// Fails to compile where the type has the trait: then two implementations of `Either` fit.
    macro_rules! assert_lacks {
        ($trait:path: $($type:ty),*) => {
            const _: fn() = || {
                trait Either<T> {
                    fn fits() {}
                }
                struct Has;
                impl<T: ?Sized> Either<()> for T {}
                impl<T: ?Sized + $trait> Either<Has> for T {}
                $(let _ = <$type as Either<_>>::fits;)*
            };
        };
    }

    type Number<S> = <S as Scheme>::Secret;

    assert_lacks!(Clone: SecretKey, Number<Bn254>);
    #[cfg(feature = "bls12-381")]
    assert_lacks!(Clone: crate::bls12_381::SecretKey, Number<mach_core::Bls12381>);
    #[cfg(feature = "bls12-381")]
    assert_lacks!(Clone: crate::bls12_381::min_pk::SecretKey);
    #[cfg(feature = "keystore")]
    assert_lacks!(Clone: crate::keystore::Secret, crate::keystore::EcdsaKey, crate::keystore::Password, crate::keystore::Mnemonic);

    fn debug_shows_no_secret<S: Scheme>() {
        let key =
            crate::SecretKey::<S>::from_bytes(&U256::from(0xdead_beef_u64).to_be_bytes()).unwrap();
        let operator = key.public_key().operator_id().0;
        let shown = format!("SecretKey {{ operator: {operator:?}, .. }}");
        assert_eq!(format!("{key:?}"), shown);
        assert_eq!(format!("{:?}", key.secret), "SecretScalar");
    }

    #[test]
    fn debug_shows_no_secret_on_any_curve() {
        debug_shows_no_secret::<Bn254>();
        #[cfg(feature = "bls12-381")]
        debug_shows_no_secret::<mach_core::Bls12381>();
    }

    #[test]
    fn random_keys_differ() {
        let (a, b) = (SecretKey::random(), SecretKey::random());
        assert_ne!(a.public_key(), b.public_key());
    }
}
