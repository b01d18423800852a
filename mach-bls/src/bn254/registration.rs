//! What a registry asks for before it takes a key.

use mach_core::{G1Bytes, G2Bytes};

use super::{KeyError, MessagePoint, PublicKey, SecretKey, Signature};

/// A public key with the proof that its owner has the secret key.
///
/// Source: `IBLSApkRegistry.PubkeyRegistrationParams` in eigenlayer-middleware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PossessionProof {
    /// Public key in G1.
    pub key_g1: G1Bytes,
    /// Public key in G2.
    pub key_g2: G2Bytes,
    /// Signature of the registration message.
    pub signature: G1Bytes,
}

impl SecretKey {
    /// Proves to a registry that its caller has this key.
    ///
    /// `message` is [`hash_to_g1`] of the digest that the registry demands: compute it yourself.
    /// Of a registry whose rule you do not know, `pubkeyRegistrationMessageHash(operator)` answers
    /// the point; then the L1 node decides what is signed, and has to be trusted not to slip in the
    /// point of a statement.
    ///
    /// [`hash_to_g1`]: super::hash_to_g1
    pub fn prove_possession(&self, message: &MessagePoint) -> PossessionProof {
        PossessionProof {
            key_g1: self.public_key().g1_bytes(),
            key_g2: self.public_key().g2_bytes(),
            signature: self.sign_point(message).to_bytes(),
        }
    }
}

impl PossessionProof {
    /// The key, if both halves belong together and its owner signed `message`.
    ///
    /// Errors: [`KeyError`].
    pub fn verify(&self, message: &MessagePoint) -> Result<PublicKey, KeyError> {
        let key = PublicKey::from_bytes(&self.key_g1, &self.key_g2)?;
        let signature =
            Signature::from_bytes(&self.signature).map_err(|_| KeyError::NotPossessed)?;
        key.verify_point(message, &signature)
            .map_err(|_| KeyError::NotPossessed)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash_to_g1;
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_proof_is_of_one_key_and_one_message() {
        let (key, other) = (SecretKey::random(), SecretKey::random());
        let message = hash_to_g1(B256::repeat_byte(1));
        let proof = key.prove_possession(&message);
        assert_eq!(proof.verify(&message).as_ref(), Ok(key.public_key()));
        let moved = hash_to_g1(B256::repeat_byte(2));
        assert_eq!(proof.verify(&moved), Err(KeyError::NotPossessed));
        let stolen = PossessionProof {
            signature: other.prove_possession(&message).signature,
            ..proof
        };
        assert_eq!(stolen.verify(&message), Err(KeyError::NotPossessed));
        let rogue = PossessionProof {
            key_g2: other.public_key().g2_bytes(),
            ..proof
        };
        assert_eq!(rogue.verify(&message), Err(KeyError::Unlinked));
    }
}
