//! How a prover that is a program of its own is talked to.
//!
//! | arguments | does |
//! |---|---|
//! | `info` | says its programs |
//! | `prove --program NAME --input FILE --out FILE --work-dir FOLDER [--memory-limit BYTES]` | proves, and writes a proof file |
//! | `verify --proof FILE` | verifies a proof file |
//! | `execute --program NAME --inputs FOLDER [--elf FILE]` | runs a guest on each `NAME*.bin` of the folder without proving: it has to give the journal in the `.json` beside it |
//! | `commit FOLDER RECIPE` | makes what is committed beside the guests in a folder, and prints nothing but their part of `programs.json` |
//!
//! `--memory-limit` is what the process may take: a prover that takes more ends and says so
//! ([`Failure::Memory`]), on Linux.
//!
//! With `--watch-stdin`, which comes last, the prover ends when its standard input does: whoever started
//! it holds the other end and is gone then, also after kill -9.
//!
//! On standard output it says a [`Message`] a line, as JSON, and at the end [`Message::Done`] or
//! [`Message::Failed`]; without either it has failed. In the work folder, which belongs to one
//! request, it may keep what lets it go on after it was stopped; `journal.json` in it has the journal
//! that native code gave, since a prover has no such code. Standard error is for people.
//!
//! A prover in Rust implements [`Prover`] and leaves the rest to [`serve`].

use std::{borrow::Cow, path::PathBuf};

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackendName, CommittedProgram, Progress, Proof, Worth};
use crate::{Journal, Program};

pub use super::{
    file::write_whole,
    memory::peak,
    serve::{run, serve},
};

/// Longest line that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// What a prover says.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Message {
    /// [`Progress::Executed`].
    Executed {
        /// Instructions, or cycles.
        instructions: u64,
    },
    /// [`Progress::Segment`].
    Segment {
        /// So many are proved.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// [`Progress::Step`].
    Step {
        /// What is being done, for people.
        name: String,
    },
    /// A program that it proves.
    Program(ProgramInfo),
    /// A guest gave the journal that it should, without being proved.
    Run {
        /// Name of the input.
        input: String,
        /// Bytes of the input.
        bytes: u64,
        /// Instructions, or cycles.
        instructions: u64,
        /// Segments that a proof would have.
        segments: u64,
        /// Instructions of the parts of it that the guest tells of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<(String, u64)>,
    },
    /// It did not do what it was asked for.
    Failed {
        /// Why.
        failure: Failure,
        /// The same for people.
        message: String,
    },
    /// It did what it was asked for.
    Done,
}

impl From<Progress> for Message {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Executed { instructions } => Self::Executed { instructions },
            Progress::Segment { done, total } => Self::Segment { done, total },
            Progress::Step { name } => Self::Step { name },
        }
    }
}

/// A guest program as one prover knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramInfo {
    /// Which guest.
    pub program: Program,
    /// 32 bytes that name its code to this prover's verifiers.
    pub id: B256,
    /// Name of the executable.
    pub file: String,
    /// SHA-256 of the executable.
    pub sha256: B256,
    /// What proofs of it are worth, as the prover is set up; those of a prover that does not say
    /// so are for no contract.
    #[serde(default)]
    pub worth: Worth,
    /// What has to be set for proofs that a contract takes, for people; nothing where they are such, and
    /// where this prover makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Why a prover failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// The guest makes no journal.
    Refused,
    /// The proof proves nothing.
    Invalid,
    /// More memory than it may take is needed.
    Memory,
    /// This prover cannot do that.
    Unable,
    /// Anything else.
    Other,
}

/// Any error, with its causes.
pub type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// A failure with its reason. Any error is one by `?`, as [`Failure::Other`].
#[derive(Debug)]
pub struct ProverError {
    /// What the other side is told.
    pub failure: Failure,
    /// Why.
    pub source: BoxError,
}

impl ProverError {
    /// A failure of a kind.
    pub fn new(failure: Failure, source: impl Into<BoxError>) -> Self {
        Self {
            failure,
            source: source.into(),
        }
    }

    /// [`Failure::Other`], of what is no error by itself.
    pub fn other(source: impl Into<BoxError>) -> Self {
        Self::new(Failure::Other, source)
    }

    /// [`Failure::Invalid`].
    pub fn invalid(source: impl Into<BoxError>) -> Self {
        Self::new(Failure::Invalid, source)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for ProverError {
    fn from(source: E) -> Self {
        Self::other(source)
    }
}

/// A guest that a prover can load.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What the prover calls it.
    pub info: ProgramInfo,
    /// What runs.
    pub elf: Cow<'static, [u8]>,
}

impl Guest {
    /// The guest of `backend` as it is committed, whose executable is `elf`.
    ///
    /// Errors: [`ProverError`], if the executable is another one.
    pub fn committed(
        backend: BackendName,
        program: Program,
        elf: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, ProverError> {
        let elf = elf.into();
        let sha256 = B256::new(Sha256::digest(&elf).into());
        let mut all = CommittedProgram::all().into_iter();
        let found = all.find(|it| it.program == program && it.ids.contains_key(&backend));
        let unable = || ProverError::new(Failure::Unable, format!("there is no program {program}"));
        let found = found.ok_or_else(unable)?;
        if found.sha256 != sha256 {
            return Err(ProverError::other("the guest is not the committed one"));
        }
        let id = found.ids.get(&backend).copied().ok_or_else(unable)?;
        let info = ProgramInfo {
            program,
            id,
            file: found.file,
            sha256,
            worth: backend.worth(),
            missing: None,
        };
        Ok(Self { info, elf })
    }

    /// The same, where a service makes proofs that contracts take: if there is one, as the environment
    /// says. `absent` says what has to be set if there is none.
    #[must_use]
    pub fn with_service<S>(
        mut self,
        service: Result<Option<S>, ProverError>,
        absent: &str,
    ) -> Self {
        match service {
            Ok(Some(_)) => self.info.worth = Worth::OnChain,
            Ok(None) => self.info.missing = Some(absent.to_owned()),
            Err(error) => self.info.missing = Some(error.source.to_string()),
        }
        self
    }
}

/// What is to be proved, and what for.
#[derive(Debug)]
pub struct Job {
    /// What runs.
    pub guest: Guest,
    /// What it reads.
    pub input: Bytes,
    /// What it has to give: native code did.
    pub journal: Journal,
    /// Folder for what lets the work go on after it was stopped.
    pub work_dir: PathBuf,
    /// Memory that may be taken, in bytes.
    pub memory_limit: Option<u64>,
}

/// What a guest did without being proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Instructions, or cycles.
    pub instructions: u64,
    /// Segments that a proof would have.
    pub segments: u64,
    /// Digest of the journal that it committed to.
    pub digest: B256,
    /// Instructions of the parts of it that the guest tells of.
    pub phases: Vec<(String, u64)>,
}

/// What names an executable to a prover's verifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// 32 bytes that name its code.
    pub id: B256,
    /// Verifying key, where it does not belong to the prover.
    pub key: Option<Vec<u8>>,
}

/// What a program has to bring to be a prover: [`serve`] does the rest.
pub trait Prover {
    /// Whose proofs they are.
    fn name(&self) -> BackendName;

    /// The committed guest.
    ///
    /// Errors: [`ProverError`].
    fn guest(&self, program: Program) -> Result<Guest, ProverError>;

    /// Loads a guest, to run it without proving: on one input after the other.
    ///
    /// Errors: [`ProverError`]; with [`Failure::Refused`] where the guest makes no journal.
    fn executor(
        &self,
        guest: &Guest,
    ) -> Result<impl FnMut(&[u8]) -> Result<Run, ProverError>, ProverError>;

    /// Makes the bytes of a proof that the guest gives the journal of the job.
    ///
    /// Errors: [`ProverError`].
    fn prove(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>, ProverError>;

    /// Verifies the bytes of a proof of `guest`, and that they commit to its journal.
    ///
    /// Errors: [`ProverError`], with [`Failure::Invalid`] if they do not.
    fn verify(&self, guest: &Guest, proof: &Proof) -> Result<(), ProverError>;

    /// What the prover calls the executable `elf`, with the verifying key that is committed beside it if
    /// there is one.
    ///
    /// Errors: [`ProverError`]; always, if the prover makes none.
    fn commit(&self, _program: Program, _elf: &[u8]) -> Result<Commitment, ProverError> {
        let reason = "this prover, as it was built, makes nothing to be committed";
        Err(ProverError::new(Failure::Unable, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bonds are locked for proofs that count on L1: only what is there makes them.
    #[test]
    fn proofs_are_for_a_contract_only_if_the_service_is_set_up() {
        let guest = |service: Result<Option<()>, ProverError>| {
            let info = ProgramInfo {
                program: Program::Block,
                id: B256::ZERO,
                file: "guest.elf".to_owned(),
                sha256: B256::ZERO,
                worth: Worth::Proof,
                missing: None,
            };
            let elf = b"elf"[..].into();
            let info = Guest { info, elf }.with_service(service, "set A").info;
            (info.worth, info.missing)
        };
        assert_eq!(guest(Ok(Some(()))), (Worth::OnChain, None));
        let missing = |words: &str| (Worth::Proof, Some(words.to_owned()));
        assert_eq!(guest(Ok(None)), missing("set A"));
        let error = ProverError::other("A is no key");
        assert_eq!(guest(Err(error)), missing("A is no key"));
    }
}
