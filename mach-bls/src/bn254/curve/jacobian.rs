//! Public points in Jacobian coordinates: with branches, and for less than complete formulas.

use super::affine::Affine;
use super::complete::Point;
use super::field::Coordinate;

/// `x = X / Z²`, `y = Y / Z³`.
#[derive(Clone, Copy)]
pub(super) struct Jacobian<F> {
    x: F,
    y: F,
    z: F,
}

impl<F: Coordinate> Jacobian<F> {
    pub(super) const IDENTITY: Self = Self {
        x: F::ONE,
        y: F::ONE,
        z: F::ZERO,
    };

    /// Right for every point, the identity included.
    pub(super) fn double(self) -> Self {
        let Self { x, y, z } = self;
        let xx = x.square();
        let yy = y.square();
        let slope = xx.double().add(xx);
        let s = x.mul(yy).double().double();
        let x = slope.square().sub(s.double());
        Self {
            x,
            y: slope.mul(s.sub(x)).sub(yy.square().times_8()),
            z: y.mul(z).double(),
        }
    }

    pub(super) fn add(self, other: &Affine<F>) -> Self {
        if other.is_identity() {
            return self;
        }
        if self.z.is_zero() {
            let (x, y, z) = (other.x, other.y, F::ONE);
            return Self { x, y, z };
        }
        let zz = self.z.square();
        let width = other.x.mul(zz).sub(self.x);
        let height = other.y.mul(zz.mul(self.z)).sub(self.y);
        if width.is_zero() {
            // The same point, or the opposite one.
            return if height.is_zero() {
                self.double()
            } else {
                Self::IDENTITY
            };
        }
        let square = width.square();
        let cube = square.mul(width);
        let s = self.x.mul(square);
        let x = height.square().sub(cube).sub(s.double());
        Self {
            x,
            y: height.mul(s.sub(x)).sub(self.y.mul(cube)),
            z: self.z.mul(width),
        }
    }

    pub(super) fn to_homogeneous(self) -> Point<F> {
        Point {
            x: self.x.mul(self.z),
            y: self.y,
            z: self.z.square().mul(self.z),
        }
    }
}
