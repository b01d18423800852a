//! BLS on BN254, as EigenLayer's contracts check it: keys in G1 and G2, signatures in G1.
//!
//! What touches a secret key takes the same time for every key: it runs on a field and on formulas
//! of its own, without a branch or an address that depends on the key. Everything else is public
//! and may take as long as its input makes it.

mod batch;
mod curve;
mod encoding;
mod hash;
mod keys;
mod registration;
mod signature;
mod sum;

pub use batch::invalid_shares;
pub(crate) use batch::links_hold;
pub use encoding::PointError;
pub(crate) use encoding::{encode_g1, encode_g2};
pub use hash::{MessagePoint, hash_to_g1};
pub use keys::{KeyError, PublicKey, SecretKey, SecretKeyError};
pub use registration::PossessionProof;
pub(crate) use signature::same_discrete_log;
pub use signature::{InvalidSignature, PreparedKey, Signature};

/// For measuring parts by themselves; not covered by semantic versioning.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    use ark_bn254::{G1Affine, G2Affine};

    /// Whether a point of the twist is in the group of order r.
    pub fn is_in_subgroup(point: &G2Affine) -> bool {
        super::curve::is_in_subgroup(point)
    }

    /// Sum of points of G1.
    pub fn sum_g1(points: &[G1Affine]) -> G1Affine {
        super::sum::sum_g1(points.iter().copied())
    }

    /// Sum of points of G2.
    pub fn sum_g2(points: &[G2Affine]) -> G2Affine {
        super::sum::sum_g2(points.iter().copied())
    }
}
