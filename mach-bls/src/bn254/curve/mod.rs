//! Arithmetic on the curve and its twist that ark-ec does not have, or has slower.

mod complete;
mod extension;
mod field;

pub(super) use complete::Point;
pub(super) use extension::Fe2;
pub(super) use field::{Coordinate, Fe};
