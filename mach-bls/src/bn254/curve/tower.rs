//! The field that pairings are in: `Fe12 = Fe6[w] / (w² - v)`, `Fe6 = Fe2[v] / (v³ - ξ)`, ξ = 9 + u.

use ark_bn254::{Fq6Config, Fq12Config};
use ark_ff::{Fp6Config, Fp12Config};

use super::extension::Fe2;
use super::field::{Coordinate, Fe};

/// `c0 + c1 v + c2 v²`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fe6 {
    pub(super) c0: Fe2,
    pub(super) c1: Fe2,
    pub(super) c2: Fe2,
}

impl Fe6 {
    const ZERO: Self = Self::new(Fe2::ZERO, Fe2::ZERO, Fe2::ZERO);
    const ONE: Self = Self::new(Fe2::ONE, Fe2::ZERO, Fe2::ZERO);

    pub(super) const fn new(c0: Fe2, c1: Fe2, c2: Fe2) -> Self {
        Self { c0, c1, c2 }
    }

    fn add(self, other: Self) -> Self {
        Self::new(
            self.c0.add(other.c0),
            self.c1.add(other.c1),
            self.c2.add(other.c2),
        )
    }

    fn sub(self, other: Self) -> Self {
        Self::new(
            self.c0.sub(other.c0),
            self.c1.sub(other.c1),
            self.c2.sub(other.c2),
        )
    }

    fn neg(self) -> Self {
        Self::ZERO.sub(self)
    }

    fn mul(self, other: Self) -> Self {
        let (a, b) = (self, other);
        let v0 = a.c0.mul(b.c0);
        let v1 = a.c1.mul(b.c1);
        let v2 = a.c2.mul(b.c2);
        let v12 = a.c1.add(a.c2).mul(b.c1.add(b.c2)).sub(v1.add(v2));
        let v01 = a.c0.add(a.c1).mul(b.c0.add(b.c1)).sub(v0.add(v1));
        let v02 = a.c0.add(a.c2).mul(b.c0.add(b.c2)).sub(v0.add(v2));
        Self::new(v0.add(v12.times_xi()), v01.add(v2.times_xi()), v02.add(v1))
    }

    /// Times `b0 + b1 v`.
    fn mul_short(self, b0: Fe2, b1: Fe2) -> Self {
        let v0 = self.c0.mul(b0);
        let v1 = self.c1.mul(b1);
        let v01 = self.c0.add(self.c1).mul(b0.add(b1)).sub(v0.add(v1));
        Self::new(
            v0.add(self.c2.mul(b1).times_xi()),
            v01,
            self.c2.mul(b0).add(v1),
        )
    }

    fn times_v(self) -> Self {
        Self::new(self.c2.times_xi(), self.c0, self.c1)
    }

    fn invert(self) -> Self {
        let Self { c0, c1, c2 } = self;
        let a = c0.square().sub(c1.mul(c2).times_xi());
        let b = c2.square().times_xi().sub(c0.mul(c1));
        let c = c1.square().sub(c0.mul(c2));
        let norm = c0.mul(a).add(c2.mul(b).add(c1.mul(c)).times_xi());
        let inverse = norm.invert();
        Self::new(a.mul(inverse), b.mul(inverse), c.mul(inverse))
    }

    #[expect(clippy::indexing_slicing, reason = "the tables have six entries")]
    fn frobenius(self, power: usize) -> Self {
        let c1 = Fe2::from(Fq6Config::FROBENIUS_COEFF_FP6_C1[power % 6]);
        let c2 = Fe2::from(Fq6Config::FROBENIUS_COEFF_FP6_C2[power % 6]);
        Self::new(
            self.c0.frobenius(power),
            self.c1.frobenius(power).mul(c1),
            self.c2.frobenius(power).mul(c2),
        )
    }
}

/// `c0 + c1 w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fe12 {
    pub(super) c0: Fe6,
    pub(super) c1: Fe6,
}

impl Fe12 {
    pub(super) const ONE: Self = Self::new(Fe6::ONE, Fe6::ZERO);

    pub(super) const fn new(c0: Fe6, c1: Fe6) -> Self {
        Self { c0, c1 }
    }

    pub(super) fn mul(self, other: Self) -> Self {
        let v0 = self.c0.mul(other.c0);
        let v1 = self.c1.mul(other.c1);
        let cross = self.c0.add(self.c1).mul(other.c0.add(other.c1));
        Self::new(v0.add(v1.times_v()), cross.sub(v0.add(v1)))
    }

    /// Times `1 + a w + b w³`.
    pub(super) fn mul_line(self, a: Fe2, b: Fe2) -> Self {
        let Self { c0, c1 } = self;
        Self::new(
            c0.add(c1.mul_short(a, b).times_v()),
            c1.add(c0.mul_short(a, b)),
        )
    }

    pub(super) fn square(self) -> Self {
        let Self { c0, c1 } = self;
        let product = c0.mul(c1);
        let sum = c0.add(c1).mul(c0.add(c1.times_v()));
        Self::new(
            sum.sub(product.add(product.times_v())),
            product.add(product),
        )
    }

    /// The square of an element whose power p^6 is its inverse and whose power p^4 - p^2 + 1 is one,
    /// as everything is after the easy part of the final exponentiation.
    ///
    /// Source: Granger and Scott, "Faster squaring in the cyclotomic subgroup of sixth degree
    /// extensions", eprint 2009/565.
    pub(super) fn cyclotomic_square(self) -> Self {
        // (a + b s)² with s² = ξ.
        let square = |a: Fe2, b: Fe2| {
            let product = a.mul(b);
            let sum = a.add(b).mul(a.add(b.times_xi()));
            (sum.sub(product.add(product.times_xi())), product.double())
        };
        // 3 t - 2 z and 3 t + 2 z.
        let minus = |t: Fe2, z: Fe2| t.sub(z).double().add(t);
        let plus = |t: Fe2, z: Fe2| t.add(z).double().add(t);
        let Self { c0: a, c1: b } = self;
        let (t0, t1) = square(a.c0, b.c1);
        let (t2, t3) = square(b.c0, a.c2);
        let (t4, t5) = square(a.c1, b.c2);
        Self::new(
            Fe6::new(minus(t0, a.c0), minus(t2, a.c1), minus(t4, a.c2)),
            Fe6::new(plus(t5.times_xi(), b.c0), plus(t1, b.c1), plus(t3, b.c2)),
        )
    }

    /// The power p^6; the inverse, after the easy part of the final exponentiation.
    pub(super) fn conjugate(self) -> Self {
        Self::new(self.c0, self.c1.neg())
    }

    pub(super) fn invert(self) -> Self {
        let Self { c0, c1 } = self;
        let norm = c0.mul(c0).sub(c1.mul(c1).times_v());
        let inverse = norm.invert();
        Self::new(c0.mul(inverse), c1.mul(inverse).neg())
    }

    /// The power p^`power`.
    #[expect(clippy::indexing_slicing, reason = "the table has twelve entries")]
    pub(super) fn frobenius(self, power: usize) -> Self {
        let factor = Fe2::from(Fq12Config::FROBENIUS_COEFF_FP12_C1[power % 12]);
        let c1 = self.c1.frobenius(power);
        let c1 = Fe6::new(c1.c0.mul(factor), c1.c1.mul(factor), c1.c2.mul(factor));
        Self::new(self.c0.frobenius(power), c1)
    }
}

impl Fe2 {
    /// Times ξ = 9 + u.
    fn times_xi(self) -> Self {
        let nine = |element: Fe| element.times_9();
        Self::new(nine(self.c0).sub(self.c1), nine(self.c1).add(self.c0))
    }

    fn frobenius(self, power: usize) -> Self {
        if power % 2 == 1 {
            self.conjugate()
        } else {
            self
        }
    }
}
