use alloy_primitives::{B256, hex};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::ports::BoxError;
use serde::{Deserialize, Serialize};

use super::{Proof, ProofRequest};
use crate::{Journal, Program, guest::Refusal};

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

/// How far a proof is.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Progress {
    /// The guest ran through without being proved.
    Executed {
        /// Instructions, or cycles.
        instructions: u64,
    },
    /// Segments are proved.
    Segment {
        /// So many are.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// A step that has no segments.
    Step {
        /// What is being done, for people.
        name: String,
    },
}

/// Which prover made a proof.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// The guest's code in this process. Not a proof.
    Native,
    /// OpenVM.
    OpenVm,
    /// RISC Zero.
    Risc0,
    /// SP1.
    Sp1,
}

/// What the word of a backend is worth; the more, the greater.
#[non_exhaustive]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Worth {
    /// Nothing to anybody else: for development.
    NotAProof,
    /// Whoever verifies it with the prover's own verifier knows. It is too large, or of another form,
    /// for a contract: OpenVM's STARK proofs and RISC Zero's composite receipts are such.
    #[default]
    Proof,
    /// A contract verifies it too: it is wrapped for the EVM.
    OnChain,
}

impl BackendName {
    /// All backends.
    pub const ALL: [Self; 4] = [Self::Native, Self::OpenVm, Self::Risc0, Self::Sp1];

    /// Name in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::OpenVm => "openvm",
            Self::Risc0 => "risc0",
            Self::Sp1 => "sp1",
        }
    }

    /// What its word is worth at least. Whether the EVM takes its proofs says
    /// [`ProofBackend::worth`]: that depends on how the prover is set up.
    pub const fn worth(self) -> Worth {
        match self {
            Self::Native => Worth::NotAProof,
            _ => Worth::Proof,
        }
    }
}

impl core::fmt::Display for BackendName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::str::FromStr for BackendName {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == name);
        found.ok_or(UnknownBackend)
    }
}

/// A name that no backend has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a backend: there are native, openvm, risc0 and sp1")]
pub struct UnknownBackend;

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
    fn names_are_read_as_they_are_written() {
        for name in BackendName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
        }
        assert_eq!("sp2".parse::<BackendName>(), Err(UnknownBackend));
    }

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
