//! Why bytes are no point.

/// Why bytes are not a point that may be used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// A coordinate is not below the field modulus.
    #[error("a coordinate is not below the field modulus")]
    Coordinate,
    /// The coordinates do not satisfy the curve equation.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// The point is on the curve and not in the subgroup of prime order.
    #[error("the point is not in the subgroup")]
    NotInSubgroup,
    /// All coordinates are zero: the identity, which is neither a key nor a signature.
    #[error("the point is the identity")]
    Identity,
}
