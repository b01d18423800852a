//! Arithmetic on the curve and its twist that ark-ec does not have, or has slower.

mod affine;
mod complete;
mod extension;
mod field;
mod jacobian;
mod pairing;
mod parallel;
mod scalar;
mod subgroup;
mod tower;
pub(super) mod weighted;

pub(super) use affine::{Affine, sum};
pub(super) use complete::Point;
pub(super) use extension::Fe2;
pub(super) use field::{Coordinate, Fe};
pub use pairing::{Lines, Product};
pub(super) use subgroup::is_in_subgroup;
