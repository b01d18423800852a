#![doc = include_str!("../README.md")]

pub mod guest;
#[cfg(feature = "host")]
mod host;
mod input;
mod journal;
#[cfg(feature = "process")]
mod process;
mod program;

#[cfg(feature = "host")]
pub use host::{
    BackendName, CommittedProgram, Digests, MAX_PROOF_BYTES, Native, PROOF_VERSION, Progress,
    Proof, ProofBackend, ProofFileError, ProofRequest, ProveError, RequestError, UnknownBackend,
    Worth, protocol,
};
pub use input::{BlockInput, InputError, MAX_INPUT_BYTES, OutputInput, Task};
pub use journal::{JOURNAL_BYTES, JOURNAL_VERSION, Journal, JournalError};
#[cfg(feature = "process")]
pub use process::ProcessBackend;
pub use program::{Context, Program, UnknownProgram};
