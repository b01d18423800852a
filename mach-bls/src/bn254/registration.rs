//! What a registry asks for before it takes a key.

use alloy_primitives::{Address, B256, ChainId, U256, keccak256};
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
    /// `message` is [`hash_to_g1`] of [`registration_digest`], or, from a registry with another
    /// rule, what its `pubkeyRegistrationMessageHash(operator)` answers. In that case the L1 node
    /// decides what is signed, so it has to be trusted not to slip in the digest of a statement.
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

/// EIP-712 digest that EigenLayer's registry has an operator sign with its BLS key.
///
/// Source: `RegistryCoordinator.calculatePubkeyRegistrationMessageHash`, whose domain has the name
/// `AVSRegistryCoordinator` and the version `v0.0.1`.
pub fn registration_digest(l1_chain_id: ChainId, coordinator: Address, operator: Address) -> B256 {
    let domain = keccak256(
        [
            keccak256(
                "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            ),
            keccak256("AVSRegistryCoordinator"),
            keccak256("v0.0.1"),
            U256::from(l1_chain_id).into(),
            coordinator.into_word(),
        ]
        .concat(),
    );
    let body = keccak256(
        [
            keccak256("BN254PubkeyRegistration(address operator)"),
            operator.into_word(),
        ]
        .concat(),
    );
    keccak256([&[0x19, 0x01], domain.as_slice(), body.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::super::hash_to_g1;
    use super::*;
    use alloy_primitives::address;

    /// Operator 1 of a run on the genuine contracts of EigenLayer M2.
    #[test]
    fn the_registration_message_is_the_contracts() {
        let digest = registration_digest(
            31337,
            address!("B7f8BC63BbcaD18155201308C8f3540b07f84F5e"),
            address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        );
        let decimal = |text: &str| text.parse::<U256>().unwrap().to_be_bytes::<32>();
        let x = "18268998111628574309641718620478843489541979117598503054168429106668934402408";
        let y = "4728973631900184819145376915904854908930273255435069155637050218283913117004";
        let point = hash_to_g1(digest).to_bytes();
        assert_eq!(point.0.as_slice(), [decimal(x), decimal(y)].concat());
    }

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
