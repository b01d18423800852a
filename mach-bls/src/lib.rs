#![doc = include_str!("../README.md")]

pub mod bn254;
mod certificate;
#[cfg(feature = "keystore")]
pub mod keystore;
mod operators;
mod signer;
mod tally;

pub use certificate::{CertificateError, verify_certificate};
pub use operators::{OperatorKeys, OperatorKeysError};
pub use signer::LocalSigner;
pub use tally::{Added, Attempt, Tally, TallyError};
