//! What runs beside a guest.

mod backend;
mod committed;
mod native;
mod proof;
pub mod protocol;
mod request;

pub use backend::{
    BackendName, Digests, Progress, ProofBackend, ProveError, UnknownBackend, Worth,
};
pub use committed::CommittedProgram;
pub use native::Native;
pub use proof::{MAX_PROOF_BYTES, PROOF_VERSION, Proof, ProofFileError};
pub use request::{ProofRequest, RequestError};
