use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;

use super::{ProofBackend, ProofRequest, ProveError};
use crate::{BackendName, Program, Progress, Proof};

/// Runs the guest's code in this process, for development. What it gives is **not a proof**: it has
/// no bytes, no program and no verifier, and every contract rejects it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

#[async_trait]
impl ProofBackend for Native {
    fn name(&self) -> BackendName {
        BackendName::Native
    }

    /// Zero: there is no program.
    async fn program_id(&self, _program: Program) -> Result<B256, ProveError> {
        Ok(B256::ZERO)
    }

    /// The guest has run when the request was made.
    async fn prove(
        &self,
        request: &ProofRequest,
        _progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Proof, ProveError> {
        Ok(Proof {
            backend: BackendName::Native,
            program: request.program(),
            program_id: B256::ZERO,
            journal: *request.journal(),
            proof: Bytes::new(),
        })
    }

    /// Always [`ProveError::NotAProof`].
    async fn verify(&self, _proof: &Proof) -> Result<(), ProveError> {
        Err(ProveError::NotAProof(BackendName::Native))
    }
}
