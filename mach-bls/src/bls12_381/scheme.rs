//! The arithmetic of BLS12-381 as a [`Scheme`].
//!
//! Through blst's safe interface only. What it lacks is a hash to the curve without a key, which the
//! signature of the key 1 is, and pairings with prepared lines.

use core::fmt;
use std::sync::LazyLock;

use alloy_primitives::B256;
use blst::min_pk::{AggregatePublicKey as SumG1, PublicKey as BlstG1, SecretKey as G1Secret};
use blst::min_sig::{
    AggregatePublicKey as SumG2, PublicKey as BlstG2, SecretKey as G2Secret,
    Signature as BlstSignature,
};
use blst::{BLST_ERROR, MultiPoint, blst_fp12, blst_p1_affine, blst_p2_affine, blst_scalar};
use mach_core::{Bls12381, G1Bytes, G2Bytes};
use zeroize::Zeroizing;

use super::{MessagePoint, encoding};
use crate::{PointError, Scheme, Signature, ValidKey};

/// The domain separation tag of mach's signatures.
///
/// A tag keeps signatures of one protocol from meaning anything in another. This one is in the form
/// that RFC 9380, section 3.1, recommends.
pub const DEFAULT_DST: &[u8] = b"MACH-V3-BLS12381G1_XMD:SHA-256_SSWU_RO_";

/// Hashes a message of any length to G1 under a domain separation tag.
///
/// Source: RFC 9380, suite `BLS12381G1_XMD:SHA-256_SSWU_RO_`.
pub fn hash_to_g1(message: &[u8], dst: &[u8]) -> MessagePoint {
    crate::MessagePoint(ONE.0.sign(message, dst, &[]).into())
}

impl crate::SecretKey<Bls12381> {
    /// Signs a message of any length under a domain separation tag: its signature of
    /// [`hash_to_g1`] of both.
    pub fn sign_message(&self, message: &[u8], dst: &[u8]) -> crate::Signature<Bls12381> {
        crate::Signature(self.secret.0.sign(message, dst, &[]).into())
    }
}

/// The secret key 1, whose signature of a message is the message's point.
static ONE: LazyLock<SecretScalar> = LazyLock::new(|| {
    let mut bytes = [0; 32];
    bytes[31] = 1;
    SecretScalar(G2Secret::from_bytes(&bytes).unwrap_or_default())
});

/// A number from 1 to r - 1, wiped from memory when dropped. `Debug` shows nothing of it, as blst's
/// own type would.
pub struct SecretScalar(G2Secret);

impl fmt::Debug for SecretScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretScalar")
    }
}

impl Scheme for Bls12381 {
    type Secret = SecretScalar;
    type G1Point = blst_p1_affine;
    type G2Point = blst_p2_affine;
    type Lines = blst_p2_affine;
    type Target = blst_fp12;

    const PART: usize = 2048;

    fn secret_from_bytes(bytes: &[u8; 32]) -> Option<SecretScalar> {
        G2Secret::from_bytes(bytes).ok().map(SecretScalar)
    }

    fn secret_to_bytes(secret: &SecretScalar) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(secret.0.to_bytes())
    }

    fn public_points(secret: &SecretScalar) -> (blst_p1_affine, blst_p2_affine) {
        let scalar: &blst_scalar = (&secret.0).into();
        // The secret is valid in both variants: they have one group order.
        let g1 =
            <&G1Secret>::try_from(scalar).map_or_else(|_| BlstG1::default(), G1Secret::sk_to_pk);
        (g1.into(), secret.0.sk_to_pk().into())
    }

    fn sign(secret: &SecretScalar, digest: B256) -> blst_p1_affine {
        secret.0.sign(digest.as_slice(), DEFAULT_DST, &[]).into()
    }

    fn hash_to_g1(digest: B256) -> blst_p1_affine {
        hash_to_g1(digest.as_slice(), DEFAULT_DST).0
    }

    fn decode_g1(bytes: &G1Bytes<Self>) -> Result<blst_p1_affine, PointError> {
        encoding::decode_g1(bytes)
    }

    fn decode_g2(bytes: &G2Bytes<Self>) -> Result<blst_p2_affine, PointError> {
        encoding::decode_g2(bytes)
    }

    fn encode_g1(point: &blst_p1_affine) -> G1Bytes<Self> {
        encoding::encode_g1(point)
    }

    fn encode_g2(point: &blst_p2_affine) -> G2Bytes<Self> {
        encoding::encode_g2(point)
    }

    fn generator_g1() -> blst_p1_affine {
        static GENERATOR: LazyLock<blst_p1_affine> =
            LazyLock::new(|| Bls12381::public_points(&ONE).0);
        *GENERATOR
    }

    fn sum_g1(points: &[blst_p1_affine]) -> blst_p1_affine {
        if points.is_empty() {
            return blst_p1_affine::default();
        }
        SumG1::from(points.add()).to_public_key().into()
    }

    fn sum_g2(points: &[blst_p2_affine]) -> blst_p2_affine {
        if points.is_empty() {
            return blst_p2_affine::default();
        }
        SumG2::from(points.add()).to_public_key().into()
    }

    fn subtract_g1(from: &blst_p1_affine, point: &blst_p1_affine) -> blst_p1_affine {
        let mut sum = SumG1::from_public_key(&BlstG1::from(*from));
        sum.sub_aggregate(&SumG1::from_public_key(&BlstG1::from(*point)));
        sum.to_public_key().into()
    }

    fn subtract_g2(from: &blst_p2_affine, point: &blst_p2_affine) -> blst_p2_affine {
        let mut sum = SumG2::from_public_key(&BlstG2::from(*from));
        sum.sub_aggregate(&SumG2::from_public_key(&BlstG2::from(*point)));
        sum.to_public_key().into()
    }

    fn weighted_sums(
        g1: &[blst_p1_affine],
        g2: &[blst_p2_affine],
        weights: &[[u8; 16]],
    ) -> (Vec<blst_p1_affine>, Vec<blst_p2_affine>) {
        let weights = || weights.chunks(Self::PART).map(<[_]>::as_flattened);
        let g1 = g1
            .chunks(Self::PART)
            .zip(weights())
            .map(|(points, weights)| {
                SumG1::from(points.mult(weights, 128))
                    .to_public_key()
                    .into()
            });
        let g2 = g2
            .chunks(Self::PART)
            .zip(weights())
            .map(|(points, weights)| {
                SumG2::from(points.mult(weights, 128))
                    .to_public_key()
                    .into()
            });
        (g1.collect(), g2.collect())
    }

    fn lines(point: &blst_p2_affine) -> blst_p2_affine {
        *point
    }

    fn negative_generator_lines() -> &'static blst_p2_affine {
        static NEGATIVE: LazyLock<blst_p2_affine> = LazyLock::new(|| {
            let generator = ONE.0.sk_to_pk().into();
            Bls12381::subtract_g2(&blst_p2_affine::default(), &generator)
        });
        &NEGATIVE
    }

    fn pairing_product(pairs: &[(blst_p1_affine, &blst_p2_affine)]) -> blst_fp12 {
        // blst's loop knows no identity, whose pairings are one.
        let (g1, g2): (Vec<_>, Vec<_>) = pairs
            .iter()
            .filter(|(g1, g2)| {
                *g1 != blst_p1_affine::default() && **g2 != blst_p2_affine::default()
            })
            .map(|(g1, g2)| (*g1, **g2))
            .unzip();
        if g1.is_empty() {
            return Self::one();
        }
        blst_fp12::miller_loop_n(&g2, &g1).final_exp()
    }

    fn one() -> blst_fp12 {
        blst_fp12::default()
    }

    /// blst hashes faster inside its check than [`hash_to_g1`] can through its safe interface.
    fn verify(key: &ValidKey<Self>, digest: B256, signature: &Signature<Self>) -> bool {
        let (signature, key) = (BlstSignature::from(signature.0), BlstG2::from(*key.g2()));
        // Both points were checked when they were decoded.
        let outcome = signature.verify(false, digest.as_slice(), DEFAULT_DST, &[], &key, false);
        outcome == BLST_ERROR::BLST_SUCCESS
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use alloy_primitives::hex;

    pub(in super::super) fn generators() -> (blst_p1_affine, blst_p2_affine) {
        Bls12381::public_points(&ONE)
    }

    /// RFC 9380, J.9.1: the suite's first two vectors.
    #[test]
    fn a_message_hashes_to_the_point_of_the_rfc() {
        const DST: &[u8] = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";
        let vectors = [
            (
                "",
                hex!(
                    "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1"
                ),
                hex!(
                    "08ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265"
                ),
            ),
            (
                "abc",
                hex!(
                    "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903"
                ),
                hex!(
                    "0b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d"
                ),
            ),
        ];
        for (message, x, y) in vectors {
            let point = hash_to_g1(message.as_bytes(), DST).to_bytes();
            assert_eq!(point.0[16..64], x, "{message}");
            assert_eq!(point.0[80..], y, "{message}");
        }
    }

    #[test]
    fn what_is_signed_depends_on_the_tag() {
        let key = crate::SecretKey::<Bls12381>::random();
        let digest = B256::repeat_byte(1);
        let signature = key.sign(digest);
        assert_eq!(key.sign_message(digest.as_slice(), DEFAULT_DST), signature);
        let other = key.sign_message(digest.as_slice(), b"another protocol's tag");
        assert!(key.public_key().verify(digest, &other).is_err());
        let message = hash_to_g1(digest.as_slice(), b"another protocol's tag");
        assert_eq!(key.public_key().verify_point(&message, &other), Ok(()));
    }

    /// blst's own check of the same equation, with its own hash.
    #[test]
    fn a_signature_is_one_of_blst() {
        let key = crate::SecretKey::<Bls12381>::random();
        let digest = B256::repeat_byte(2);
        let theirs = blst::min_sig::Signature::from(key.sign(digest).0);
        let public = BlstG2::from(*key.public_key().g2());
        let verified = theirs.verify(true, digest.as_slice(), DEFAULT_DST, &[], &public, true);
        assert_eq!(verified, BLST_ERROR::BLST_SUCCESS);
        // Our equation on the point of the same hash.
        let message = MessagePoint::of(digest);
        let ours = key.public_key().verify_point(&message, &key.sign(digest));
        assert_eq!(ours, Ok(()));
    }

    /// Against what the definition says, with what a sum of different points never meets.
    #[test]
    fn sums_know_the_identity_repeated_and_opposite_points() {
        let (g1, g2) = generators();
        let (zero_g1, zero_g2) = (blst_p1_affine::default(), blst_p2_affine::default());
        let minus_g1 = Bls12381::subtract_g1(&zero_g1, &g1);
        let minus_g2 = Bls12381::subtract_g2(&zero_g2, &g2);
        let mut two = [0; 32];
        two[31] = 2;
        let two = Bls12381::public_points(&Bls12381::secret_from_bytes(&two).unwrap());
        assert_eq!(Bls12381::sum_g1(&[g1, zero_g1, g1]), two.0);
        assert_eq!(Bls12381::sum_g2(&[g2, g2, zero_g2]), two.1);
        assert_eq!(Bls12381::sum_g1(&[g1, minus_g1]), zero_g1);
        assert_eq!(Bls12381::sum_g2(&[g2, zero_g2, minus_g2]), zero_g2);
        assert_eq!(Bls12381::sum_g1(&[]), zero_g1);
        // Weights that are equal, so that they do not keep the points apart.
        let mut one = [0; 16];
        one[0] = 1;
        let sums =
            Bls12381::weighted_sums(&[g1, minus_g1, g1, g1], &[g2, g2, minus_g2, g2], &[one; 4]);
        assert_eq!(sums, (vec![two.0], vec![two.1]));
        let sums = Bls12381::weighted_sums(
            &[g1, minus_g1, zero_g1],
            &[g2, minus_g2, zero_g2],
            &[one; 3],
        );
        assert_eq!(sums, (vec![zero_g1], vec![zero_g2]));
    }
}
