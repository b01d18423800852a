//! BLS on BLS12-381, as the precompiles of EIP-2537 can check it: keys in G1 and G2, signatures in
//! G1, over blst.
//!
//! [`min_pk`] is the other variant, with signatures in G2, that Ethereum's consensus uses.
//!
//! Signing and deriving public keys take the same time for every key; blst sees to that. blst runs
//! sums of hundreds of points, and pairings, on a pool of threads of its own.

mod encoding;
pub mod min_pk;
mod scheme;

use alloy_primitives::hex;
use mach_core::Bls12381;

pub use scheme::{DEFAULT_DST, SecretScalar, hash_to_g1};

/// A secret key on BLS12-381.
pub type SecretKey = crate::SecretKey<Bls12381>;
/// A public key on BLS12-381.
pub type ValidKey = crate::ValidKey<Bls12381>;
/// A signature on BLS12-381.
pub type Signature = crate::Signature<Bls12381>;
/// A message as a point of BLS12-381's G1.
pub type MessagePoint = crate::MessagePoint<Bls12381>;
/// A public key on BLS12-381 with the proof of its possession.
pub type PossessionProof = crate::PossessionProof<Bls12381>;

/// The modulus of the base field, big-endian. Source: EIP-2537.
const P: [u8; 48] = hex!(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
);
