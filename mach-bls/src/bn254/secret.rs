//! SecretScalar keys: all that touches one takes the same time for every key.

use core::fmt;

use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ff::PrimeField;
use zeroize::Zeroizing;

use super::curve::{Fe, Fe2, Point};
use super::encoding::integer;

/// A number from 1 to r - 1: limbs, least significant first. Wiped from memory when dropped;
/// `Debug` shows nothing of it.
pub struct SecretScalar(Zeroizing<[u64; 4]>);

impl fmt::Debug for SecretScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretScalar")
    }
}

pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<SecretScalar> {
    let limbs = Zeroizing::new(integer(bytes).0);
    let mut below_order = false;
    let mut any_bit = 0;
    for (limb, order) in limbs.iter().zip(Fr::MODULUS.0) {
        (_, below_order) = limb.borrowing_sub(order, below_order);
        any_bit |= limb;
    }
    // That the bytes are no key is no secret.
    (below_order && any_bit != 0).then_some(SecretScalar(limbs))
}

pub(super) fn to_bytes(secret: &SecretScalar) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, limb) in chunks.iter_mut().rev().zip(secret.0.iter()) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}

pub(super) fn multiply_g1(base: G1Affine, secret: &SecretScalar) -> G1Affine {
    Point::<Fe>::from_affine(base.x.into(), base.y.into())
        .mul_secret(&secret.0)
        .into()
}

pub(super) fn multiply_g2(base: G2Affine, secret: &SecretScalar) -> G2Affine {
    Point::<Fe2>::from_affine(base.x.into(), base.y.into())
        .mul_secret(&secret.0)
        .into()
}
