//! What a registry asks for before it takes a key.

use alloy_primitives::B256;
use mach_core::{Bn254, G1Bytes, G2Bytes};

use crate::{KeyError, MessagePoint, Scheme, SecretKey, Signature, ValidKey};

/// A public key with the proof that its owner has the secret key.
///
/// Source: `IBLSApkRegistry.PubkeyRegistrationParams` in eigenlayer-middleware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossessionProof<S: Scheme = Bn254> {
    /// Public key in G1.
    pub key_g1: G1Bytes<S>,
    /// Public key in G2.
    pub key_g2: G2Bytes<S>,
    /// Signature of the registration message.
    pub signature: G1Bytes<S>,
}

impl<S: Scheme> SecretKey<S> {
    /// Proves to a registry, with a signature of the digest that it demands, that its caller has
    /// this key. Compute the digest yourself: it is signed like that of a statement.
    pub fn prove_possession_of(&self, digest: B256) -> PossessionProof<S> {
        self.possession(self.sign(digest))
    }

    pub(crate) fn possession(&self, signature: Signature<S>) -> PossessionProof<S> {
        PossessionProof {
            key_g1: self.public_key().g1_bytes(),
            key_g2: self.public_key().g2_bytes(),
            signature: signature.to_bytes(),
        }
    }
}

impl<S: Scheme> PossessionProof<S> {
    /// The key, if both halves belong together and its owner signed `message`.
    ///
    /// Errors: [`KeyError`].
    pub fn verify(&self, message: &MessagePoint<S>) -> Result<ValidKey<S>, KeyError> {
        let key = ValidKey::from_registry(&self.key_g1, &self.key_g2)?;
        let signature =
            Signature::from_bytes(&self.signature).map_err(|_| KeyError::NotPossessed)?;
        key.verify_point(message, &signature)
            .map_err(|_| KeyError::NotPossessed)?;
        Ok(key)
    }
}
