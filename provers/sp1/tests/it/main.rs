//! The prover as a process.

#[cfg(feature = "local")]
mod local;
mod process;
