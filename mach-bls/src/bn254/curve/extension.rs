//! The quadratic extension that G2's coordinates are in: u^2 = -1.

use ark_bn254::{Fq, Fq2, g2};
use ark_ec::short_weierstrass::SWCurveConfig;
use ark_ff::MontFp;
use zeroize::Zeroize;

use super::field::{Coordinate, Fe};

/// `c0 + c1 u`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroize)]
pub(crate) struct Fe2 {
    pub(super) c0: Fe,
    pub(super) c1: Fe,
}

impl Fe2 {
    pub(super) const fn new(c0: Fe, c1: Fe) -> Self {
        Self { c0, c1 }
    }

    /// The p-th power.
    pub(super) fn conjugate(self) -> Self {
        Self::new(self.c0, self.c1.neg())
    }

    pub(super) fn scale(self, factor: Fe) -> Self {
        Self::new(self.c0.mul(factor), self.c1.mul(factor))
    }
}

impl Coordinate for Fe2 {
    const ZERO: Self = Self::new(Fe::ZERO, Fe::ZERO);
    const ONE: Self = Self::new(Fe::ONE, Fe::ZERO);
    const WORTH_AN_INVERSION: usize = 18;
    /// The other root than G1's: the same power of λ belongs to it.
    const ENDOMORPHISM: Self = {
        const ROOT: Fq = MontFp!(
            "21888242871839275220042445260109153167277707414472061641714758635765020556616"
        );
        Self::new(Fe::from_ark(ROOT), Fe::ZERO)
    };

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self::new(self.c0.add(other.c0), self.c1.add(other.c1))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self::new(self.c0.sub(other.c0), self.c1.sub(other.c1))
    }

    #[inline]
    fn mul(self, other: Self) -> Self {
        Self::new(
            Fe::dot(self.c0, other.c0, self.c1.neg(), other.c1),
            Fe::dot(self.c0, other.c1, self.c1, other.c0),
        )
    }

    #[inline]
    fn square(self) -> Self {
        let c0 = self.c0.add(self.c1).mul(self.c0.sub(self.c1));
        Self::new(c0, self.c0.mul(self.c1).double())
    }

    /// b = 3 / (9 + u).
    fn mul_b3(self) -> Self {
        const B: Fq2 = <g2::Config as SWCurveConfig>::COEFF_B;
        let b = Self::from(B);
        self.mul(b.double().add(b))
    }

    #[inline(always)]
    fn times_8(self) -> Self {
        Self::new(self.c0.times_8(), self.c1.times_8())
    }

    fn invert(self) -> Self {
        self.inverse_by_norm(self.norm().invert())
    }

    /// c0^2 + c1^2: `self` times its conjugate.
    #[inline(always)]
    fn norm(self) -> Fe {
        Fe::dot(self.c0, self.c0, self.c1, self.c1)
    }

    #[inline(always)]
    fn inverse_by_norm(self, inverse: Fe) -> Self {
        self.conjugate().scale(inverse)
    }

    #[inline(always)]
    fn assign_if(&mut self, mask: u64, other: Self) {
        self.c0.assign_if(mask, other.c0);
        self.c1.assign_if(mask, other.c1);
    }

    #[inline(always)]
    fn is_zero(&self) -> bool {
        self.c0.is_zero() & self.c1.is_zero()
    }
}

impl From<Fq2> for Fe2 {
    #[inline(always)]
    fn from(element: Fq2) -> Self {
        Self::new(element.c0.into(), element.c1.into())
    }
}

impl From<Fe2> for Fq2 {
    fn from(element: Fe2) -> Self {
        Self::new(element.c0.into(), element.c1.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fq;
    use ark_ff::{AdditiveGroup, Field, PrimeField};
    use proptest::prelude::*;

    fn element() -> impl Strategy<Value = Fq> {
        // The ends of the range are where a missing reduction shows.
        let edges = [0u64, 1, 2].map(Fq::from);
        let edges = edges.into_iter().flat_map(|edge| [edge, -edge]);
        prop_oneof![
            3 => any::<[u8; 32]>().prop_map(|bytes| Fq::from_be_bytes_mod_order(&bytes)),
            1 => proptest::sample::select(edges.collect::<Vec<_>>()),
        ]
    }

    proptest! {
        /// Against ark-ff. The sums come first, so that the factors are not reduced.
        #[test]
        fn the_field_is_that_of_ark(a in element(), b in element(), c in element(), d in element()) {
            let (x, y, z, w) = (Fe::from(a), Fe::from(b), Fe::from(c), Fe::from(d));
            prop_assert_eq!(Fq::from(x), a);
            prop_assert_eq!(Fq::from(x.add(y)), a + b);
            prop_assert_eq!(Fq::from(x.sub(y)), a - b);
            prop_assert_eq!(Fq::from(x.neg()), -a);
            prop_assert_eq!(Fq::from(x.mul_b3()), a * Fq::from(9));
            prop_assert_eq!(Fq::from(x.add(y).times_8().mul_b3()), (a + b) * Fq::from(72));
            prop_assert_eq!(Fq::from(x.add(y).mul(z.sub(w))), (a + b) * (c - d));
            prop_assert_eq!(Fq::from(x.sub(y).square()), (a - b).square());
            prop_assert_eq!(Fq::from(x.add(y).invert()), (a + b).inverse().unwrap_or(Fq::ZERO));
            prop_assert_eq!(
                Fq::from(Fe::dot(x.add(y), z.add(w), x.sub(w), y.sub(z))),
                (a + b) * (c + d) + (a - d) * (b - c)
            );
            prop_assert_eq!(x == y, a == b);
            prop_assert_eq!(x.sub(y).is_zero(), a == b);
            prop_assert!(x.sub(x).is_zero() && x.add(x.neg()).is_zero());
            let mut either = x;
            either.assign_if(0, y);
            prop_assert_eq!(Fq::from(either), a);
            either.assign_if(u64::MAX, y);
            prop_assert_eq!(Fq::from(either), b);
        }

        #[test]
        fn the_extension_is_that_of_ark(a in element(), b in element(), c in element(), d in element()) {
            let (a, b) = (Fq2::new(a, b), Fq2::new(c, d));
            let (x, y) = (Fe2::from(a), Fe2::from(b));
            prop_assert_eq!(Fq2::from(x.add(y)), a + b);
            prop_assert_eq!(Fq2::from(x.sub(y)), a - b);
            prop_assert_eq!(Fq2::from(x.add(y).mul(x.sub(y))), (a + b) * (a - b));
            prop_assert_eq!(Fq2::from(x.sub(y).square()), (a - b).square());
            prop_assert_eq!(Fq2::from(x.mul_b3()), a * g2::Config::COEFF_B * Fq2::from(3));
            prop_assert_eq!(Fq2::from(x.invert()), a.inverse().unwrap_or(Fq2::ZERO));
            let mut conjugate = a;
            conjugate.frobenius_map_in_place(1);
            prop_assert_eq!(Fq2::from(x.conjugate()), conjugate);
            prop_assert_eq!(x.sub(y).is_zero(), a == b);
        }
    }
}
