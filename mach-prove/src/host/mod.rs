//! What runs beside a guest.

mod backend;
mod native;
mod request;

pub use backend::{Digests, ProofBackend, ProveError};
pub use native::Native;
pub use request::{ProofRequest, RequestError};
