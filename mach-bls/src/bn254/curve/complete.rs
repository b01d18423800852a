//! Multiplication by a secret: the same instructions and the same addresses for every scalar.
//!
//! - The formulas of the group are complete: doubling, the identity and opposite points are no
//!   cases of their own. Source: Renes, Costello and Batina, "Complete addition formulas for prime
//!   order elliptic curves", eprint 2015/1060, algorithms 7 and 9 (a = 0). They hold for every
//!   curve of odd order, as G1's curve and the twist of G2 are.
//! - The scalar is cut in two halves by the endomorphism, with products and no comparison; each is
//!   read as 33 signed digits of four bits, whatever its value.
//! - For each digit the whole table is read and the entry kept by masks.

use core::hint::black_box;

use ark_bn254::{G1Affine, G2Affine};
use zeroize::Zeroize;

use super::extension::Fe2;
use super::field::{Coordinate, Fe};
use super::scalar::decompose;

/// A point in homogeneous coordinates: `x = X / Z`, `y = Y / Z`; the identity is (0 : 1 : 0).
#[derive(Clone, Copy, Debug, Zeroize)]
pub(crate) struct Point<F> {
    pub(super) x: F,
    pub(super) y: F,
    pub(super) z: F,
}

impl<F: Coordinate> Point<F> {
    pub(crate) const IDENTITY: Self = Self {
        x: F::ZERO,
        y: F::ONE,
        z: F::ZERO,
    };

    /// The point with these coordinates, which have to be on the curve.
    pub(crate) const fn from_affine(x: F, y: F) -> Self {
        Self { x, y, z: F::ONE }
    }

    /// The affine coordinates; both are zero for the identity.
    pub(crate) fn to_affine(mut self) -> (F, F) {
        let mut inverse = self.z.invert();
        let affine = (self.x.mul(inverse), self.y.mul(inverse));
        // Z tells about the scalar; X / Z and Y / Z are what is published.
        inverse.zeroize();
        self.zeroize();
        affine
    }

    pub(crate) fn double(self) -> Self {
        let Self { x, y, z } = self;
        let yy = y.square();
        let eight_yy = yy.times_8();
        let bzz = z.square().mul_b3();
        let rest = yy.sub(bzz.double().add(bzz));
        Self {
            x: rest.mul(x.mul(y)).double(),
            y: bzz.mul(eight_yy).add(rest.mul(yy.add(bzz))),
            z: y.mul(z).mul(eight_yy),
        }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        let (
            Self {
                x: x1,
                y: y1,
                z: z1,
            },
            Self {
                x: x2,
                y: y2,
                z: z2,
            },
        ) = (self, other);
        let xx = x1.mul(x2);
        let yy = y1.mul(y2);
        let zz = z1.mul(z2);
        let xy = x1.add(y1).mul(x2.add(y2)).sub(xx.add(yy));
        let yz = y1.add(z1).mul(y2.add(z2)).sub(yy.add(zz));
        let xz = x1.add(z1).mul(x2.add(z2)).sub(xx.add(zz)).mul_b3();
        let xx3 = xx.double().add(xx);
        let bzz = zz.mul_b3();
        let (plus, minus) = (yy.add(bzz), yy.sub(bzz));
        Self {
            x: xy.mul(minus).sub(yz.mul(xz)),
            y: xz.mul(xx3).add(minus.mul(plus)),
            z: xx3.mul(xy).add(yz.mul(plus)),
        }
    }

    /// λ times this point, which is in the group of order r.
    fn endomorphism(self) -> Self {
        let x = self.x.mul(F::ENDOMORPHISM);
        Self { x, ..self }
    }

    /// `self`, which is in the group of order r, times a number below r, limbs least significant first.
    pub(crate) fn mul_secret(self, scalar: &[u64; 4]) -> Self {
        let table = Table::new(self);
        let halves = decompose(scalar);
        let [low, high] = &*halves;
        let mut result = Self::IDENTITY;
        for (low, high) in low.iter().zip(high).rev() {
            result = result.double().double().double().double();
            result = result.add(table.entry(*low));
            result = result.add(table.entry(*high).endomorphism());
        }
        result
    }
}

impl From<Point<Fe>> for G1Affine {
    fn from(point: Point<Fe>) -> Self {
        let (x, y) = point.to_affine();
        if x.is_zero() && y.is_zero() {
            return Self::identity();
        }
        Self::new_unchecked(x.into(), y.into())
    }
}

impl From<Point<Fe2>> for G2Affine {
    fn from(point: Point<Fe2>) -> Self {
        let (x, y) = point.to_affine();
        if x.is_zero() && y.is_zero() {
            return Self::identity();
        }
        Self::new_unchecked(x.into(), y.into())
    }
}

/// 1 to 8 times a point.
struct Table<F: Coordinate>([Point<F>; 8]);

impl<F: Coordinate> Table<F> {
    fn new(point: Point<F>) -> Self {
        let two = point.double();
        let three = two.add(point);
        let four = two.double();
        let five = four.add(point);
        let six = three.double();
        let seven = six.add(point);
        Self([point, two, three, four, five, six, seven, four.double()])
    }

    /// `digit` times the point, for -8 <= digit <= 8.
    fn entry(&self, digit: i8) -> Point<F> {
        // -1 for a negative digit, else 0.
        let sign = i64::from(digit) >> 63;
        let size = ((i64::from(digit) ^ sign) - sign) as u64;
        let mut entry = Point::<F>::IDENTITY;
        for (number, candidate) in (1u64..).zip(&self.0) {
            let mask = black_box(is_equal(number, size));
            entry.x.assign_if(mask, candidate.x);
            entry.y.assign_if(mask, candidate.y);
            entry.z.assign_if(mask, candidate.z);
        }
        entry.y.assign_if(black_box(sign as u64), entry.y.neg());
        entry
    }
}

/// All ones if `a` and `b`, both below 2^63, are equal, else zero.
const fn is_equal(a: u64, b: u64) -> u64 {
    // Only zero minus one has the top bit.
    let difference = (a ^ b) as i64;
    ((difference - 1) >> 63) as u64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ark_bn254::{Fq, Fq2, Fr};
    use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::{BigInt, Field, PrimeField};
    use proptest::prelude::*;

    fn point<C, F>(affine: Affine<C>) -> Point<F>
    where
        C: SWCurveConfig,
        F: Coordinate + From<C::BaseField>,
    {
        if affine.is_zero() {
            return Point::IDENTITY;
        }
        Point::from_affine(affine.x().unwrap().into(), affine.y().unwrap().into())
    }

    pub(in super::super) fn g1(point: Point<Fe>) -> G1Affine {
        point.into()
    }

    pub(in super::super) fn g2(point: Point<Fe2>) -> G2Affine {
        point.into()
    }

    #[test]
    fn addition_has_no_exceptions() {
        let g = G1Affine::generator();
        let points = [G1Affine::identity(), g, -g, (g + g).into_affine()];
        for a in points {
            let doubled = point::<_, Fe>(a).double();
            assert_eq!(g1(doubled), (a + a).into_affine(), "{a:?}");
            for b in points {
                // With Z other than one, too.
                let sum = point::<_, Fe>(a).add(point(b));
                assert_eq!(g1(sum), (a + b).into_affine(), "{a:?} {b:?}");
                assert_eq!(g1(sum.add(sum)), (a + b + a + b).into_affine());
                assert_eq!(g1(sum.add(point(-b))), a);
            }
        }
    }

    #[test]
    fn the_twist_has_no_exceptions_outside_the_subgroup() {
        let outside = (0..)
            .filter_map(|x| {
                G2Affine::get_point_from_x_unchecked(Fq2::new(Fq::from(x), Fq::from(1)), false)
            })
            .take(8);
        for a in outside {
            for b in [a, -a, G2Affine::generator(), G2Affine::identity()] {
                let sum = point::<_, Fe2>(a).add(point(b));
                assert_eq!(g2(sum), (a + b).into_affine());
            }
            assert_eq!(g2(point::<_, Fe2>(a).double()), (a + a).into_affine());
        }
    }

    fn scalar() -> impl Strategy<Value = BigInt<4>> {
        let edges = [0u64, 1, 2, 7, 8, 9, 15, 16, 17].map(Fr::from);
        let edges: Vec<_> = edges.into_iter().flat_map(|edge| [edge, -edge]).collect();
        // Digits that all carry, that almost carry, and that are all zero but one.
        let digits = (0u64..16, 0usize..63).prop_map(|(digit, shift)| {
            let repeated = Fr::from(digit) * Fr::from(-1i64) / Fr::from(15u64);
            repeated + Fr::from(digit) * Fr::from(2u64).pow([4 * shift as u64])
        });
        prop_oneof![
            any::<[u8; 32]>().prop_map(|bytes| Fr::from_be_bytes_mod_order(&bytes)),
            any::<u64>().prop_map(Fr::from),
            proptest::sample::select(edges),
            digits,
        ]
        .prop_map(PrimeField::into_bigint)
    }

    proptest! {
        /// Against the variable-time multiplication of ark-ec.
        #[test]
        fn the_product_is_that_of_ark(scalar in scalar(), seed: u64) {
            let base = G1Affine::generator().mul_bigint([seed | 1]).into_affine();
            let product = point::<_, Fe>(base).mul_secret(&scalar.0);
            prop_assert_eq!(g1(product), base.mul_bigint(scalar).into_affine());
            let base = G2Affine::generator().mul_bigint([seed | 1]).into_affine();
            let product = point::<_, Fe2>(base).mul_secret(&scalar.0);
            prop_assert_eq!(g2(product), base.mul_bigint(scalar).into_affine());
        }
    }
}
