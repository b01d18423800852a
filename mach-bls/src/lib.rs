#![doc = include_str!("../README.md")]

mod batch;
#[cfg(feature = "bls12-381")]
pub mod bls12_381;
pub mod bn254;
mod certificate;
mod key;
#[cfg(feature = "keystore")]
pub mod keystore;
mod operators;
mod point;
mod possession;
mod scheme;
mod signature;
mod signer;
mod tally;

pub use batch::invalid_shares;
pub use certificate::{CertificateError, verify_certificate, verify_self_contained};
pub use key::{KeyError, SecretKey, SecretKeyError, ValidKey};
pub use operators::{Aggregate, OperatorKeys, OperatorKeysError};
pub use point::PointError;
pub use possession::PossessionProof;
pub use scheme::Scheme;
pub use signature::{InvalidSignature, MessagePoint, Signature};
pub use signer::LocalSigner;
pub use tally::{Added, Attempt, Mode, Tally, TallyError};
