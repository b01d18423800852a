use alloy_primitives::{B256, hex};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::ports::BoxError;

use super::ProofRequest;
use crate::{BackendName, Journal, Program, Progress, Proof, Worth, guest::Refusal};

/// Makes and verifies proofs that a guest program gave a journal.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait ProofBackend: Send + Sync {
    /// Which one it is.
    fn name(&self) -> BackendName;

    /// What its proofs are worth: that of its name, unless it knows better.
    ///
    /// Errors: [`ProveError`], where the prover has to be asked.
    async fn worth(&self) -> Result<Worth, ProveError> {
        Ok(self.name().worth())
    }

    /// 32 bytes that name the code of `program`: RISC Zero's image id, the hash of SP1's verifying
    /// key, OpenVM's commitment to the executable.
    ///
    /// Errors: [`ProveError`].
    async fn program_id(&self, program: Program) -> Result<B256, ProveError>;

    /// Proves what `request` asks for, and verifies the proof before it is given out. `progress` is
    /// told how far it is.
    ///
    /// Dropping the future stops the work.
    ///
    /// Errors: [`ProveError`].
    async fn prove(
        &self,
        request: &ProofRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Proof, ProveError>;

    /// Checks that the programs of this backend gave the journal of `proof`.
    ///
    /// Errors: [`ProveError::NotAProof`] always, where [`BackendName::worth`] says so.
    async fn verify(&self, proof: &Proof) -> Result<(), ProveError>;
}

/// Why there is no proof, or why it proves nothing.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The guest makes no journal of the input.
    #[error("the guest refuses")]
    Refused(#[from] Refusal),
    /// The backend is for development: what it gives is not a proof.
    #[error("the backend {0} is for development: this is not a proof")]
    NotAProof(BackendName),
    /// The proof was made by another backend.
    #[error("the proof is one of {given}, and {expected} is asked")]
    OtherBackend {
        /// Who is asked.
        expected: BackendName,
        /// Who made it.
        given: BackendName,
    },
    /// The proof belongs to another program.
    #[error("the proof is of program {given}, and {program} is {expected}")]
    OtherProgram {
        /// Which guest.
        program: Program,
        /// Its id here.
        expected: B256,
        /// The id that the proof says.
        given: B256,
    },
    /// The proof commits to another journal.
    #[error("the proof commits to {given}, the journal is {expected}", expected = hex::encode_prefixed(.0.expected), given = hex::encode_prefixed(.0.given))]
    OtherJournal(Box<Digests>),
    /// The proof does not verify.
    #[error("the proof does not verify")]
    Invalid(#[source] BoxError),
    /// The prover needs more memory than it may take.
    #[error("the prover needs more than {limit} bytes of memory")]
    Memory {
        /// What it may take, in bytes.
        limit: u64,
    },
    /// Another process has the folder where this is proved.
    #[error("another process proves this in {0}")]
    InUse(String),
    /// The prover cannot do that.
    #[error("the backend {backend} cannot do that: {reason}")]
    Unable {
        /// Which one.
        backend: BackendName,
        /// Why, for people.
        reason: String,
    },
    /// The prover failed, or is not there.
    #[error("the prover does not work")]
    Backend(#[source] BoxError),
}

/// Digest of the journal that was expected, and of the one that the proof commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// What the journal gives.
    pub expected: B256,
    /// What the proof commits to.
    pub given: B256,
}

impl ProveError {
    /// The proof commits to another journal than `expected`.
    pub fn other_journal(expected: &Journal, given: B256) -> Self {
        let expected = expected.digest();
        Self::OtherJournal(Box::new(Digests { expected, given }))
    }

    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_) | Self::InUse(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct _DynCompatible(Box<dyn ProofBackend>);

    #[test]
    fn an_error_names_both_sides() {
        let error = ProveError::OtherBackend {
            expected: BackendName::OpenVm,
            given: BackendName::Native,
        };
        assert_eq!(
            error.to_string(),
            "the proof is one of native, and openvm is asked"
        );
        assert!(!error.is_transient());
        assert!(ProveError::Backend("gone".into()).is_transient());
    }
}
