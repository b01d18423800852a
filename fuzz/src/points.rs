//! Keys, signatures and proofs of possession.

use alloy_primitives::B256;
use mach_bls::bn254::{MessagePoint, PossessionProof, ValidKey, SecretKey, Signature, hash_to_g1};
use mach_core::{G1Bytes, G2Bytes};

/// Up to 64 bytes of G1, 128 of G2, 64 of G1 and 32 of a secret: each a point or an error, and a
/// point has one encoding only.
pub fn points(data: &[u8]) {
    let mut rest = data;
    let key_g1 = G1Bytes(take::<64>(&mut rest).into());
    let key_g2 = G2Bytes(take::<128>(&mut rest).into());
    let point = G1Bytes(take::<64>(&mut rest).into());
    let secret = take::<32>(&mut rest);

    for bytes in [key_g1, point] {
        if let Ok(signature) = Signature::from_bytes(&bytes) {
            assert_eq!(signature.to_bytes(), bytes);
        }
        if let Ok(message) = MessagePoint::from_bytes(&bytes) {
            assert_eq!(message.to_bytes(), bytes);
        }
    }
    let proof = PossessionProof {
        key_g1,
        key_g2,
        signature: point,
    };
    if let Ok(key) = ValidKey::from_registry(&key_g1, &key_g2) {
        assert_eq!((key.g1_bytes(), key.g2_bytes()), (key_g1, key_g2));
        let message = hash_to_g1(key.operator_id().0);
        if let Ok(proven) = proof.verify(&message) {
            assert_eq!(proven.operator_id(), key.operator_id());
        }
    } else {
        assert!(proof.verify(&hash_to_g1(B256::ZERO)).is_err());
    }
    if let Ok(key) = SecretKey::from_bytes(&secret) {
        assert_eq!(*key.to_bytes(), secret);
        let message = hash_to_g1(key.public_key().operator_id().0);
        assert!(key.prove_possession(&message).verify(&message).is_ok());
    }
}

/// The next `N` bytes, with zeros for those that are missing.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let length = rest.len().min(N);
    let (head, tail) = rest.split_at(length);
    bytes[..length].copy_from_slice(head);
    *rest = tail;
    bytes
}
