//! Sums of many points at six products each: affine addition with shared inversions.
//!
//! The slope of a sum needs a division. Montgomery's trick makes the inverses of n numbers from one
//! inversion and 3 (n - 1) products, so that points are added in pairs, all pairs of a round together.
//! Takes variable time: for public points.

use ark_ec::AffineRepr;
use ark_ec::short_weierstrass::SWCurveConfig;

use super::complete::Point;
use super::field::{Coordinate, Fe};
use super::jacobian::Jacobian;
use super::parallel::map_pieces;

/// Points whose sum pays for waking a thread up.
const WORTH_A_THREAD: usize = 512;

/// A point in affine coordinates; both are zero for the identity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<F> {
    pub(super) x: F,
    pub(super) y: F,
}

impl<C, F> From<ark_ec::short_weierstrass::Affine<C>> for Affine<F>
where
    C: SWCurveConfig,
    F: Coordinate + From<C::BaseField>,
{
    fn from(point: ark_ec::short_weierstrass::Affine<C>) -> Self {
        if point.is_zero() {
            return Self::IDENTITY;
        }
        Self {
            x: point.x.into(),
            y: point.y.into(),
        }
    }
}

impl<F: Coordinate> Affine<F> {
    pub(super) const IDENTITY: Self = Self {
        x: F::ZERO,
        y: F::ZERO,
    };

    pub(super) fn is_identity(&self) -> bool {
        self.x.is_zero() && self.y.is_zero()
    }

    pub(super) fn neg(self) -> Self {
        Self {
            x: self.x,
            y: self.y.neg(),
        }
    }

    /// λ times this point.
    pub(super) fn endomorphism(self) -> Self {
        Self {
            x: self.x.mul(F::ENDOMORPHISM),
            y: self.y,
        }
    }

    pub(super) fn to_point(self) -> Point<F> {
        if self.is_identity() {
            return Point::IDENTITY;
        }
        Point::from_affine(self.x, self.y)
    }

    fn slope(&self, other: &Self) -> Slope<F> {
        if self.is_identity() {
            return Slope::None(*other);
        }
        if other.is_identity() {
            return Slope::None(*self);
        }
        let width = other.x.sub(self.x);
        if !width.is_zero() {
            return Slope::Chord(width);
        }
        if other.y.sub(self.y).is_zero() {
            // Never zero: the order of the curve is odd.
            return Slope::Tangent(self.y.double());
        }
        Slope::None(Self::IDENTITY)
    }

    fn add_with(&self, other: &Self, slope: F) -> Self {
        let x = slope.square().sub(self.x).sub(other.x);
        let y = slope.mul(self.x.sub(x)).sub(self.y);
        Self { x, y }
    }
}

/// What two points are added with.
enum Slope<F> {
    /// The sum needs none: one of the points is the identity, or they are opposite.
    None(Affine<F>),
    /// Through two points: their distance in x.
    Chord(F),
    /// Of one point twice: 2y.
    Tangent(F),
}

/// Additions that share one inversion: [`Self::plan`] all, [`Self::invert`], then [`Self::add`] the
/// same pairs in reverse order.
#[derive(Debug)]
pub(super) struct Batch {
    product: Fe,
    /// Of each divisor its norm, and the product of the norms before it.
    steps: Vec<(Fe, Fe)>,
}

impl Batch {
    pub(super) const fn new() -> Self {
        Self {
            product: Fe::ONE,
            steps: Vec::new(),
        }
    }

    #[inline]
    fn plan<F: Coordinate>(&mut self, a: &Affine<F>, b: &Affine<F>) {
        if let Slope::Chord(divisor) | Slope::Tangent(divisor) = a.slope(b) {
            let norm = divisor.norm();
            self.steps.push((norm, self.product));
            self.product = self.product.mul(norm);
        }
    }

    fn invert(&mut self) {
        self.product = self.product.invert();
    }

    #[inline]
    fn add<F: Coordinate>(&mut self, a: &Affine<F>, b: &Affine<F>) -> Affine<F> {
        match a.slope(b) {
            Slope::None(sum) => sum,
            Slope::Chord(divisor) => {
                let slope = b.y.sub(a.y).mul(self.inverse(divisor));
                a.add_with(b, slope)
            }
            Slope::Tangent(divisor) => {
                let xx = a.x.square();
                let slope = xx.double().add(xx).mul(self.inverse(divisor));
                a.add_with(b, slope)
            }
        }
    }

    fn inverse<F: Coordinate>(&mut self, divisor: F) -> F {
        // Each pair was planned, and plans are taken back in reverse order.
        let (norm, product) = self.steps.pop().unwrap_or((Fe::ONE, Fe::ONE));
        let inverse = divisor.inverse_by_norm(self.product.mul(product));
        self.product = self.product.mul(norm);
        inverse
    }
}

/// Sum of all points.
pub(crate) fn sum<P, F>(points: &[P]) -> Point<F>
where
    P: Copy + Sync,
    F: Coordinate,
    Affine<F>: From<P>,
{
    let sums = map_pieces(points, WORTH_A_THREAD, sum_piece);
    sums.into_iter().fold(Point::IDENTITY, Point::add)
}

fn sum_piece<P, F>(points: &[P]) -> Point<F>
where
    P: Copy,
    F: Coordinate,
    Affine<F>: From<P>,
{
    let mut points: Vec<_> = points.iter().map(|point| Affine::from(*point)).collect();
    let mut batch = Batch::new();
    batch.steps.reserve(points.len() / 2);
    let mut groups = [points.len()];
    while points.len() / 2 >= F::WORTH_AN_INVERSION {
        halve(&mut points, &mut groups, &mut batch);
    }
    let rest = points.iter();
    rest.fold(Jacobian::IDENTITY, Jacobian::add)
        .to_homogeneous()
}

/// The sum of each group of points that stand next to each other; `groups` has their lengths.
pub(super) fn sum_groups<F: Coordinate>(
    mut points: Vec<Affine<F>>,
    mut groups: Vec<usize>,
    batch: &mut Batch,
) -> impl Iterator<Item = Affine<F>> {
    while groups.iter().any(|length| *length > 1) {
        halve(&mut points, &mut groups, batch);
    }
    let mut sums = points.into_iter();
    groups.into_iter().map(move |length| match length {
        0 => Affine::IDENTITY,
        _ => sums.next().unwrap_or(Affine::IDENTITY),
    })
}

/// `sums[i] += points[i]` for all.
pub(super) fn add_each<'a, F: Coordinate>(
    sums: &mut [Affine<F>],
    points: impl DoubleEndedIterator<Item = &'a Affine<F>> + ExactSizeIterator + Clone,
    batch: &mut Batch,
) {
    for (sum, point) in sums.iter().zip(points.clone()).rev() {
        batch.plan(sum, point);
    }
    batch.invert();
    for (sum, point) in sums.iter_mut().zip(points) {
        *sum = batch.add(sum, point);
    }
    batch.product = Fe::ONE;
}

/// Adds the points of each group in pairs. The last of an odd number stays.
#[expect(
    clippy::indexing_slicing,
    reason = "the lengths of the groups add up to that of the points"
)]
fn halve<F: Coordinate>(points: &mut Vec<Affine<F>>, groups: &mut [usize], batch: &mut Batch) {
    debug_assert_eq!(groups.iter().sum::<usize>(), points.len());
    batch.product = Fe::ONE;
    let mut end = points.len();
    for length in groups.iter().rev() {
        let start = end - length;
        for [a, b] in points[start..end].as_chunks::<2>().0.iter().rev() {
            batch.plan(a, b);
        }
        end = start;
    }
    batch.invert();
    // Forward, so that what is written was read before.
    let (mut read, mut written) = (0, 0);
    for length in groups {
        let end = read + *length;
        while read < end {
            points[written] = if read + 1 < end {
                batch.add(&points[read], &points[read + 1])
            } else {
                points[read]
            };
            read += 2;
            written += 1;
        }
        read = end;
        *length = length.div_ceil(2);
    }
    points.truncate(written);
}

#[cfg(test)]
mod tests {
    use super::super::complete::tests::{g1, g2};
    use super::super::extension::Fe2;
    use super::*;
    use ark_bn254::{G1Affine, G1Projective, G2Affine, G2Projective};
    use ark_ec::{AffineRepr, CurveGroup};
    use proptest::prelude::*;

    fn g1_points(multiples: &[i8]) -> Vec<G1Affine> {
        let point = |multiple: &i8| {
            let size = G1Affine::generator().mul_bigint([u64::from(multiple.unsigned_abs())]);
            if *multiple < 0 { -size } else { size }.into_affine()
        };
        multiples.iter().map(point).collect()
    }

    fn g2_points(multiples: &[i8]) -> Vec<G2Affine> {
        let point = |multiple: &i8| {
            let size = G2Affine::generator().mul_bigint([u64::from(multiple.unsigned_abs())]);
            if *multiple < 0 { -size } else { size }.into_affine()
        };
        multiples.iter().map(point).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against mixed Jacobian addition of ark-ec. Small multiples of one point make equal and
        /// opposite points and identities of every kind, at every level.
        #[test]
        fn the_sum_is_that_of_ark(
            multiples in prop_oneof![
                proptest::collection::vec(-2i8..3, 0..300),
                proptest::collection::vec(any::<i8>(), 0..300),
            ]
        ) {
            let points = g1_points(&multiples);
            let expected: G1Projective = points.iter().sum();
            let ours = sum::<_, Fe>(&points);
            prop_assert_eq!(g1(ours), expected.into_affine());
            let points = g2_points(&multiples);
            let expected: G2Projective = points.iter().sum();
            let ours = sum::<_, Fe2>(&points);
            prop_assert_eq!(g2(ours), expected.into_affine());
        }

        #[test]
        fn each_group_has_its_sum(
            groups in proptest::collection::vec(proptest::collection::vec(-3i8..4, 0..9), 0..40)
        ) {
            let points = g1_points(&groups.concat());
            let points = points.into_iter().map(Affine::<Fe>::from).collect();
            let lengths = groups.iter().map(Vec::len).collect();
            let mut batch = Batch::new();
            let sums = sum_groups(points, lengths, &mut batch);
            let sums: Vec<_> = sums.map(|sum| g1(sum.to_point())).collect();
            let expected: Vec<_> = groups
                .iter()
                .map(|group| g1_points(group).iter().sum::<G1Projective>().into_affine())
                .collect();
            prop_assert_eq!(sums, expected);
        }
    }

    #[test]
    fn sums_of_lanes_are_independent() {
        let (mut left, right) = (g1_points(&[0, 1, 2, 3, 5]), g1_points(&[4, 0, 2, -3, 7]));
        let mut sums: Vec<_> = left
            .iter()
            .map(|point| Affine::<Fe>::from(*point))
            .collect();
        let points: Vec<_> = right.iter().map(|point| Affine::from(*point)).collect();
        add_each(&mut sums, points.iter(), &mut Batch::new());
        for ((left, right), sum) in left.iter_mut().zip(right).zip(sums) {
            assert_eq!(g1(sum.to_point()), (*left + right).into_affine());
        }
    }
}
