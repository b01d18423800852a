//! BLS on BN254, as EigenLayer's contracts check it: keys in G1 and G2, signatures in G1.
//!
//! Scalar multiplication is variable-time today: whoever can measure how long a signature takes
//! learns about the key. Signing happens once per statement, behind a network, and nowhere on a
//! path that answers an attacker's questions; constant-time signing goes into `sign_point`, the one
//! function that touches the scalar.

mod batch;
mod encoding;
mod hash;
mod keys;
mod registration;
mod signature;

pub(crate) use batch::{invalid_shares, links_hold};
pub use encoding::PointError;
pub(crate) use encoding::{encode_g1, encode_g2};
pub use hash::{MessagePoint, hash_to_g1};
pub use keys::{KeyError, PublicKey, SecretKey, SecretKeyError};
pub use registration::PossessionProof;
pub(crate) use signature::same_discrete_log;
pub use signature::{InvalidSignature, Signature};
