//! Keys, signatures and proofs of possession on both curves.

use alloy_primitives::B256;
use mach_bls::bls12_381::min_pk;
use mach_bls::{MessagePoint, PossessionProof, Scheme, SecretKey, Signature, ValidKey};
use mach_core::{Bls12381, Bn254, G1Bytes, G2Bytes};

/// Points and a secret, on BN254, on BLS12-381 and in the consensus layer's form: each a point or an
/// error, and a point has one encoding only.
pub fn points(data: &[u8]) {
    on::<Bn254>(data);
    on::<Bls12381>(data);
    compressed(data);
}

/// A point of G1, one of G2, one of G1, and 32 bytes of a secret.
fn on<S: Scheme>(data: &[u8]) {
    let mut rest = data;
    let mut key_g1 = G1Bytes::<S>(Default::default());
    let mut key_g2 = G2Bytes::<S>(Default::default());
    let mut point = key_g1;
    let mut secret = [0; 32];
    take(&mut rest, key_g1.0.as_mut());
    take(&mut rest, key_g2.0.as_mut());
    take(&mut rest, point.0.as_mut());
    take(&mut rest, &mut secret);

    for bytes in [key_g1, point] {
        if let Ok(signature) = Signature::<S>::from_bytes(&bytes) {
            assert_eq!(signature.to_bytes(), bytes);
        }
        if let Ok(message) = MessagePoint::<S>::from_bytes(&bytes) {
            assert_eq!(message.to_bytes(), bytes);
        }
    }
    let proof = PossessionProof::<S> {
        key_g1,
        key_g2,
        signature: point,
    };
    if let Ok(key) = ValidKey::from_registry(&key_g1, &key_g2) {
        assert_eq!((key.g1_bytes(), key.g2_bytes()), (key_g1, key_g2));
        let message = MessagePoint::of(key.operator_id().0);
        if let Ok(proven) = proof.verify(&message) {
            assert_eq!(proven.operator_id(), key.operator_id());
        }
    } else {
        assert!(proof.verify(&MessagePoint::of(B256::ZERO)).is_err());
    }
    if let Ok(key) = SecretKey::<S>::from_bytes(&secret) {
        assert_eq!(*key.to_bytes(), secret);
        let digest = key.public_key().operator_id().0;
        let message = MessagePoint::of(digest);
        assert!(key.prove_possession_of(digest).verify(&message).is_ok());
    }
}

/// 48 bytes of G1 and 96 of G2; what is left has another length.
fn compressed(data: &[u8]) {
    let (key, rest) = data.split_at(data.len().min(48));
    let (signature, rest) = rest.split_at(rest.len().min(96));
    if let Ok(key) = min_pk::PublicKey::from_bytes(key) {
        assert_eq!(key.to_bytes(), data[..48]);
    }
    if let Ok(point) = min_pk::Signature::from_bytes(signature) {
        assert_eq!(point.to_bytes(), signature);
    }
    if let Ok(key) = min_pk::PublicKey::from_bytes(rest) {
        assert_eq!(key.to_bytes(), rest);
    }
}

/// Fills `bytes` with what comes next, and leaves zeros for what is missing.
fn take(rest: &mut &[u8], bytes: &mut [u8]) {
    let length = rest.len().min(bytes.len());
    let (head, tail) = rest.split_at(length);
    bytes[..length].copy_from_slice(head);
    *rest = tail;
}
