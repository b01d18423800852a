#![doc = include_str!("../README.md")]

pub mod guest;
#[cfg(feature = "host")]
mod host;
mod input;
mod journal;
mod program;

#[cfg(feature = "host")]
pub use host::{
    BackendName, Digests, MAX_PROOF_BYTES, Native, PROOF_VERSION, Progress, Proof, ProofBackend,
    ProofFileError, ProofRequest, ProveError, RequestError, UnknownBackend, Worth,
};
pub use input::{BlockInput, InputError, MAX_INPUT_BYTES, OutputInput, Task};
pub use journal::{JOURNAL_BYTES, JOURNAL_VERSION, Journal, JournalError};
pub use program::{Context, Program, UnknownProgram};
