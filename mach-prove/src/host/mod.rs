//! What runs beside a guest.

mod backend;
mod native;
mod proof;
mod request;

pub use backend::{
    BackendName, Digests, Progress, ProofBackend, ProveError, UnknownBackend, Worth,
};
pub use native::Native;
pub use proof::{MAX_PROOF_BYTES, PROOF_VERSION, Proof, ProofFileError};
pub use request::{ProofRequest, RequestError};
