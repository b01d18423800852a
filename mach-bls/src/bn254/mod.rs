//! BLS on BN254, as EigenLayer's contracts check it: keys in G1 and G2, signatures in G1.
//!
//! What touches a secret key takes the same time for every key: it runs on a field and on formulas
//! of its own, without a branch or an address that depends on the key. Everything else is public
//! and may take as long as its input makes it.

mod curve;
mod encoding;
mod hash;
mod registration;
mod scheme;
mod secret;
mod sum;

use mach_core::Bn254;

pub use curve::{Lines, Product};
pub use hash::hash_to_g1;
pub use secret::SecretScalar;

/// A secret key on BN254.
pub type SecretKey = crate::SecretKey<Bn254>;
/// A public key on BN254.
pub type ValidKey = crate::ValidKey<Bn254>;
/// A signature on BN254.
pub type Signature = crate::Signature<Bn254>;
/// A digest as a point of BN254's G1.
pub type MessagePoint = crate::MessagePoint<Bn254>;
/// A public key on BN254 with the proof of its possession.
pub type PossessionProof = crate::PossessionProof<Bn254>;

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
        super::sum::sum_g1(points)
    }

    /// Sum of points of G2.
    pub fn sum_g2(points: &[G2Affine]) -> G2Affine {
        super::sum::sum_g2(points)
    }
}
