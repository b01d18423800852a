//! The prover by its public API, with a genuine Groth16 receipt of RISC Zero.

#[cfg(feature = "local")]
mod local;
mod process;
mod receipt;
mod remote;
mod service;
