//! Sums of public points.

use ark_bn254::{G1Affine, G2Affine};

use super::curve::{Affine, Fe, Fe2, sum};

/// The sum of any number of points of G1.
pub(crate) fn sum_g1(points: impl IntoIterator<Item = G1Affine>) -> G1Affine {
    let points: Vec<_> = points.into_iter().map(Affine::<Fe>::from).collect();
    sum(&points).into()
}

/// The sum of any number of points of G2.
pub(crate) fn sum_g2(points: impl IntoIterator<Item = G2Affine>) -> G2Affine {
    let points: Vec<_> = points.into_iter().map(Affine::<Fe2>::from).collect();
    sum(&points).into()
}
