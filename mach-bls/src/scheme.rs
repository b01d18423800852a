//! What a curve has to compute for everything else in this crate.

use core::fmt::Debug;

use alloy_primitives::B256;
use mach_core::{Curve, G1Bytes, G2Bytes};
use zeroize::Zeroizing;

use crate::{MessagePoint, PointError, Signature, ValidKey};

/// BLS on one curve: secrets, points and pairings. [`Bn254`] and [`Bls12381`] implement it.
///
/// This is arithmetic; the rules about keys and signatures are in [`SecretKey`], [`ValidKey`],
/// [`Signature`] and [`Tally`], once for all curves. Points are those of the crate underneath, and
/// which crate that is may change: keep to the bytes where you can.
///
/// A point that a method takes is in the subgroup of prime order. It may be the identity, may be
/// given twice, and may be the negative of another.
///
/// [`Bn254`]: mach_core::Bn254
/// [`Bls12381`]: mach_core::Bls12381
/// [`SecretKey`]: crate::SecretKey
/// [`ValidKey`]: crate::ValidKey
/// [`Signature`]: crate::Signature
/// [`Tally`]: crate::Tally
pub trait Scheme: Curve {
    /// A number from 1 to r - 1, which wipes itself when dropped, has no `Clone`, and shows nothing of
    /// itself.
    type Secret: Debug + Send + Sync + 'static;
    /// A point of G1's subgroup.
    type G1Point: Copy + Debug + Eq + Send + Sync + 'static;
    /// A point of G2's subgroup.
    type G2Point: Copy + Debug + Eq + Send + Sync + 'static;
    /// A point of G2, prepared for pairings.
    type Lines: Debug + Send + Sync + 'static;
    /// What a product of pairings comes to.
    type Target: Copy + Debug + Eq + Send + Sync + 'static;

    /// Points of which a weighted sum is made at once.
    const PART: usize;

    /// The secret with this big-endian encoding; `None` for zero and from the group order on.
    fn secret_from_bytes(bytes: &[u8; 32]) -> Option<Self::Secret>;

    /// 32 bytes, big-endian.
    fn secret_to_bytes(secret: &Self::Secret) -> Zeroizing<[u8; 32]>;

    /// The multiples of both generators, in constant time.
    fn public_points(secret: &Self::Secret) -> (Self::G1Point, Self::G2Point);

    /// The multiple of [`Self::hash_to_g1`] of `digest`, in constant time as far as `secret` goes.
    fn sign(secret: &Self::Secret, digest: B256) -> Self::G1Point;

    /// The point of G1 that stands for a digest.
    fn hash_to_g1(digest: B256) -> Self::G1Point;

    /// Decodes any point of the subgroup of G1 but the identity.
    ///
    /// Errors: [`PointError`].
    fn decode_g1(bytes: &G1Bytes<Self>) -> Result<Self::G1Point, PointError>;

    /// Decodes any point of the subgroup of G2 but the identity.
    ///
    /// Errors: [`PointError`].
    fn decode_g2(bytes: &G2Bytes<Self>) -> Result<Self::G2Point, PointError>;

    /// The wire form; zeros for the identity.
    fn encode_g1(point: &Self::G1Point) -> G1Bytes<Self>;

    /// The wire form; zeros for the identity.
    fn encode_g2(point: &Self::G2Point) -> G2Bytes<Self>;

    /// The generator of G1.
    fn generator_g1() -> Self::G1Point;

    /// The sum; the identity of nothing.
    fn sum_g1(points: &[Self::G1Point]) -> Self::G1Point;

    /// The sum; the identity of nothing.
    fn sum_g2(points: &[Self::G2Point]) -> Self::G2Point;

    /// `from - point`.
    fn subtract_g1(from: &Self::G1Point, point: &Self::G1Point) -> Self::G1Point;

    /// `from - point`.
    fn subtract_g2(from: &Self::G2Point, point: &Self::G2Point) -> Self::G2Point;

    /// The sums of `weights[i] * g1[i]` and of `weights[i] * g2[i]`, each of [`Self::PART`] points.
    ///
    /// Which number 16 bytes stand for is up to the scheme; no two stand for the same one.
    fn weighted_sums(
        g1: &[Self::G1Point],
        g2: &[Self::G2Point],
        weights: &[[u8; 16]],
    ) -> (Vec<Self::G1Point>, Vec<Self::G2Point>);

    /// Prepares a point for pairings.
    fn lines(point: &Self::G2Point) -> Self::Lines;

    /// The negative of the generator of G2, prepared once.
    fn negative_generator_lines() -> &'static Self::Lines;

    /// The product of the pairings of each pair.
    fn pairing_product(pairs: &[(Self::G1Point, &Self::Lines)]) -> Self::Target;

    /// The product of nothing: one.
    fn one() -> Self::Target;

    /// Whether `signature` is the key's signature of `digest`.
    fn verify(key: &ValidKey<Self>, digest: B256, signature: &Signature<Self>) -> bool {
        let message = MessagePoint::of(digest);
        key.verify_point(&message, signature).is_ok()
    }
}

/// One, if `multiple` is to `base` what the key of `lines` is to the generator of G2; else something
/// that depends on nothing but how far it is off.
///
/// One equation for a signature (`base` is the message) and for the link between the two halves of
/// a key (`base` is the generator of G1): e(multiple, -G2) · e(base, key) = 1.
pub(crate) fn residue<S: Scheme>(
    multiple: &S::G1Point,
    base: &S::G1Point,
    lines: &S::Lines,
) -> S::Target {
    S::pairing_product(&[(*multiple, S::negative_generator_lines()), (*base, lines)])
}

/// Whether `multiple` is to `base` what the key of `lines` is to the generator of G2.
pub(crate) fn same_discrete_log<S: Scheme>(
    multiple: &S::G1Point,
    base: &S::G1Point,
    lines: &S::Lines,
) -> bool {
    residue::<S>(multiple, base, lines) == S::one()
}
