//! Sums of public points.

use ark_bn254::{G1Affine, G2Affine};
use ark_ec::short_weierstrass::{Affine as ArkAffine, SWCurveConfig};

use super::curve::weighted::{self, Weight};
use super::curve::{Affine, Coordinate, Fe, Fe2, sum};

/// The sum of any number of points of G1.
pub(super) fn sum_g1(points: &[G1Affine]) -> G1Affine {
    sum::<_, Fe>(points).into()
}

/// The sum of any number of points of G2.
pub(super) fn sum_g2(points: &[G2Affine]) -> G2Affine {
    sum::<_, Fe2>(points).into()
}

/// The weighted sums of each [`weighted::PART`] points.
pub(super) fn weighted_sums(
    g1: &[G1Affine],
    g2: &[G2Affine],
    weights: &[[u8; 16]],
) -> (Vec<G1Affine>, Vec<G2Affine>) {
    let weights: Vec<_> = weights.iter().copied().map(Weight::from).collect();
    // One after the other, each on all threads: the halves of one sum cost the same, the two groups do not.
    let g1 = weighted::sums(&converted::<_, Fe>(g1), &weights).into_iter();
    let g2 = weighted::sums(&converted::<_, Fe2>(g2), &weights).into_iter();
    (g1.map(Into::into).collect(), g2.map(Into::into).collect())
}

fn converted<C, F>(points: &[ArkAffine<C>]) -> Vec<Affine<F>>
where
    C: SWCurveConfig,
    F: Coordinate + From<C::BaseField>,
{
    points.iter().map(|point| Affine::from(*point)).collect()
}
