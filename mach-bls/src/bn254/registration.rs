//! Registration with a contract that names the point to sign.

use super::{MessagePoint, PossessionProof, SecretKey, secret::multiply_g1};
use crate::Signature;

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
        self.possession(Signature(multiply_g1(message.0, &self.secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyError;
    use crate::bn254::hash_to_g1;
    use alloy_primitives::B256;

    #[test]
    fn a_proof_is_of_one_key_and_one_message() {
        let (key, other) = (SecretKey::random(), SecretKey::random());
        let digest = B256::repeat_byte(1);
        let message = hash_to_g1(digest);
        let proof = key.prove_possession(&message);
        assert_eq!(proof, key.prove_possession_of(digest));
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
