//! Proofs, who makes them, and how those are talked to.

mod committed;
mod file;
mod memory;
mod name;
mod proof;
pub mod protocol;
mod serve;

pub use committed::CommittedProgram;
pub use name::{BackendName, Progress, UnknownBackend, Worth};
pub use proof::{MAX_PROOF_BYTES, PROOF_VERSION, Proof, ProofFileError};
