//! Keys that are elsewhere.

mod cerberus;

pub use cerberus::{CerberusConfig, CerberusError, CerberusSigner};
