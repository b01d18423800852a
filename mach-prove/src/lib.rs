#![doc = include_str!("../README.md")]

#[cfg(feature = "guest")]
pub mod guest;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "guest")]
mod input;
mod journal;
#[cfg(feature = "process")]
mod process;
mod program;
#[cfg(feature = "prover")]
mod prover;

#[cfg(feature = "host")]
pub use host::{Digests, Native, ProofBackend, ProofRequest, ProveError, RequestError};
#[cfg(feature = "guest")]
pub use input::{BlockInput, InputError, OutputInput, Task};
pub use journal::{JOURNAL_BYTES, JOURNAL_VERSION, Journal, JournalError};
#[cfg(feature = "process")]
pub use process::ProcessBackend;
pub use program::{Context, MAX_INPUT_BYTES, Program, UnknownProgram};
#[cfg(feature = "prover")]
pub use prover::{
    BackendName, CommittedProgram, MAX_PROOF_BYTES, PROOF_VERSION, Progress, Proof, ProofFileError,
    UnknownBackend, Worth, protocol,
};
