//! How a prover that is a program of its own is talked to.
//!
//! | arguments | does |
//! |---|---|
//! | `info` | says its programs |
//! | `prove --program NAME --input FILE --out FILE --work-dir FOLDER [--memory-limit BYTES] [--watch-stdin]` | proves, and writes a proof file |
//! | `verify --proof FILE` | verifies a proof file |
//!
//! On standard output it says a [`Message`] a line, as JSON, and at the end [`Message::Done`] or
//! [`Message::Failed`]; without either it has failed. In the work folder, which belongs to one
//! request, it may keep what lets it go on after it was stopped; `journal.json` in it has the journal
//! that native code gave, for provers that have no such code. Standard error is for people.
//!
//! With `--watch-stdin`, which comes last, the prover ends when its standard input does: whoever started
//! it holds the other end and is gone then, also after kill -9.

use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, Bytes};
use mach_core::ports::BoxError;
use serde::{Deserialize, Serialize};

use super::{BackendName, Progress, Proof, ProofRequest, Worth};
use crate::{MAX_INPUT_BYTES, Program};

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
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for ProverError {
    fn from(source: E) -> Self {
        Self::new(Failure::Other, source)
    }
}

/// What is to be proved, and what for.
#[derive(Debug)]
pub struct Job {
    /// The request; the guest gave its journal in this process.
    pub request: ProofRequest,
    /// Folder for what lets the work go on after it was stopped.
    pub work_dir: PathBuf,
    /// Memory that may be taken, in bytes.
    pub memory_limit: Option<u64>,
}

/// What a program has to bring to be a prover: [`serve`] does the rest.
pub trait Prover {
    /// Whose proofs they are.
    fn name(&self) -> BackendName;

    /// The programs that it proves.
    ///
    /// Errors: [`ProverError`].
    fn programs(&self) -> Result<Vec<ProgramInfo>, ProverError>;

    /// Makes the bytes of a proof.
    ///
    /// Errors: [`ProverError`].
    fn prove(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Bytes, ProverError>;

    /// Verifies bytes under the program's id, and that they commit to the journal.
    ///
    /// Errors: [`ProverError`], with [`Failure::Invalid`] if they do not.
    fn verify(&self, proof: &Proof) -> Result<(), ProverError>;
}

/// Does what `arguments` (without the program's name) ask for and tells `out`. Answers whether it
/// was done; a program exits with 0 then.
pub fn serve(
    prover: &impl Prover,
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
) -> bool {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let message = match answer(prover, &arguments, out) {
        Ok(()) => Message::Done,
        Err(error) => Message::Failed {
            failure: error.failure,
            message: chain(&error.source),
        },
    };
    tell(out, &message);
    message == Message::Done
}

fn answer(
    prover: &impl Prover,
    arguments: &[OsString],
    out: &mut dyn Write,
) -> Result<(), ProverError> {
    let unable = |what: &str| ProverError::new(Failure::Unable, what.to_owned());
    let (command, flags) = (arguments.split_first()).ok_or_else(|| unable("no command"))?;
    let flag = |name: &str| {
        let mut pairs = flags.chunks_exact(2);
        let found = pairs.find_map(|pair| match pair {
            [flag, value] if flag == name => Some(value.clone()),
            _ => None,
        });
        found.ok_or_else(|| unable(&format!("{name} is missing")))
    };
    match command.to_str() {
        Some("info") => {
            for program in prover.programs()? {
                tell(out, &Message::Program(program));
            }
            Ok(())
        }
        Some("verify") => {
            let proof = Proof::read(PathBuf::from(flag("--proof")?))
                .map_err(|error| ProverError::new(Failure::Invalid, error))?;
            check(prover, &proof)
        }
        Some("prove") => {
            let program: Program = text(flag("--program")?)?.parse()?;
            let memory_limit = match flag("--memory-limit") {
                Ok(bytes) => Some(text(bytes)?.parse()?),
                Err(_) => None,
            };
            let input = read_input(flag("--input")?.as_ref())?;
            let request = ProofRequest::new(program, input)
                .map_err(|error| ProverError::new(Failure::Refused, error))?;
            let work_dir = PathBuf::from(flag("--work-dir")?);
            let job = Job {
                request,
                work_dir,
                memory_limit,
            };
            let bytes = prover.prove(&job, &mut |progress| tell(out, &progress.into()))?;
            let proof = Proof {
                backend: prover.name(),
                program,
                program_id: program_id(prover, program)?,
                journal: *job.request.journal(),
                proof: bytes,
            };
            tell(
                out,
                &Message::Step {
                    name: "verifying".to_owned(),
                },
            );
            check(prover, &proof)?;
            Ok(proof.write(PathBuf::from(flag("--out")?))?)
        }
        _ => Err(unable("there are `info`, `prove` and `verify`")),
    }
}

/// Verifies what is one of this prover's proofs.
fn check(prover: &impl Prover, proof: &Proof) -> Result<(), ProverError> {
    let invalid = |reason: &'static str| ProverError::new(Failure::Invalid, reason);
    if proof.backend != prover.name() {
        return Err(invalid("the proof is of another backend"));
    }
    if proof.program_id != program_id(prover, proof.program)? {
        return Err(invalid("the proof is of another program"));
    }
    prover.verify(proof)
}

fn program_id(prover: &impl Prover, program: Program) -> Result<B256, ProverError> {
    let programs = prover.programs()?;
    let found = programs.into_iter().find(|it| it.program == program);
    let unable = || ProverError::new(Failure::Unable, format!("there is no program {program}"));
    Ok(found.ok_or_else(unable)?.id)
}

fn read_input(path: &Path) -> Result<Bytes, ProverError> {
    let mut input = Vec::new();
    let most = MAX_INPUT_BYTES as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut input)?;
    Ok(input.into())
}

fn text(argument: OsString) -> Result<String, ProverError> {
    let not_text = |_| ProverError::new(Failure::Unable, "an argument is no text");
    argument.into_string().map_err(not_text)
}

/// Whoever listens may have gone: the work is theirs to stop.
fn tell(out: &mut dyn Write, message: &Message) {
    if let Ok(mut line) = serde_json::to_vec(message) {
        line.push(b'\n');
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

/// An error with its causes, short enough for a line.
fn chain(error: &BoxError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.chars().take(1024).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prover whose proofs are the digest of the journal.
    struct Digests {
        fails: Option<Failure>,
    }

    impl Prover for Digests {
        fn name(&self) -> BackendName {
            BackendName::OpenVm
        }

        fn programs(&self) -> Result<Vec<ProgramInfo>, ProverError> {
            Ok(vec![ProgramInfo {
                program: Program::Output,
                id: B256::repeat_byte(7),
                file: "output.elf".to_owned(),
                sha256: B256::repeat_byte(8),
                worth: Worth::Proof,
            }])
        }

        fn prove(
            &self,
            job: &Job,
            progress: &mut dyn FnMut(Progress),
        ) -> Result<Bytes, ProverError> {
            if let Some(failure) = self.fails {
                return Err(ProverError::new(failure, "as told"));
            }
            progress(Progress::Segment { done: 1, total: 1 });
            Ok(job.request.journal().digest().to_vec().into())
        }

        fn verify(&self, proof: &Proof) -> Result<(), ProverError> {
            if proof.proof[..] != proof.journal.digest()[..] {
                return Err(ProverError::new(Failure::Invalid, "another digest"));
            }
            Ok(())
        }
    }

    fn input() -> Bytes {
        let header = alloy_consensus::Header {
            withdrawals_root: Some(B256::repeat_byte(1)),
            base_fee_per_gas: Some(1),
            number: 1,
            ..Default::default()
        };
        let input = crate::OutputInput {
            context: Default::default(),
            spec: mach_verify::ChainSpec::optimism(901)
                .with_op_forks_from_genesis(alloy_op_hardforks::OpHardfork::Isthmus),
            header: alloy_primitives::Sealed::new(header),
            claimed: B256::ZERO,
            proof: vec![],
        };
        input.encode().unwrap()
    }

    fn say(fails: Option<Failure>, line: &str) -> (bool, Vec<Message>) {
        let mut out = Vec::new();
        let arguments = line.split(' ').map(OsString::from);
        let is_done = serve(&Digests { fails }, arguments, &mut out);
        let lines = out.split(|byte| *byte == b'\n').filter(|it| !it.is_empty());
        let messages = lines.map(|line| serde_json::from_slice(line).unwrap());
        (is_done, messages.collect())
    }

    fn failure(messages: &[Message]) -> Option<Failure> {
        match messages.last() {
            Some(Message::Failed { failure, .. }) => Some(*failure),
            _ => None,
        }
    }

    #[test]
    fn a_message_is_one_line_of_json() {
        let line = serde_json::to_string(&Message::Segment { done: 3, total: 7 }).unwrap();
        assert_eq!(line, r#"{"type":"segment","done":3,"total":7}"#);
        let (is_done, messages) = say(None, "info");
        assert!(is_done);
        assert!(
            matches!(&messages[..], [Message::Program(info), Message::Done]
            if info.program == Program::Output)
        );
    }

    #[test]
    fn what_is_proved_is_verified_and_what_is_altered_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("input"), input()).unwrap();
        let prove = format!(
            "prove --program output --input {} --out {} --work-dir {} --memory-limit 9",
            at("input"),
            at("proof"),
            at("work")
        );
        let (is_done, messages) = say(None, &prove);
        assert!(is_done, "{messages:?}");
        assert!(messages.contains(&Message::Segment { done: 1, total: 1 }));
        let verify = format!("verify --proof {}", at("proof"));
        assert_eq!(say(None, &verify), (true, vec![Message::Done]));

        let good = Proof::read(at("proof")).unwrap();
        type Change = fn(&mut Proof);
        let changes: [Change; 5] = [
            |it| it.journal.fault ^= 1,
            |it| it.proof = Bytes::new(),
            |it| it.program_id = B256::ZERO,
            |it| it.program = Program::Block,
            |it| it.backend = BackendName::Sp1,
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            bad.write(at("proof")).unwrap();
            let (is_done, messages) = say(None, &verify);
            assert!(!is_done);
            let failure = failure(&messages);
            assert!(
                matches!(failure, Some(Failure::Invalid | Failure::Unable)),
                "{messages:?}"
            );
        }

        assert_eq!(
            failure(&say(Some(Failure::Memory), &prove).1),
            Some(Failure::Memory)
        );
        std::fs::write(at("input"), b"no input").unwrap();
        assert_eq!(failure(&say(None, &prove).1), Some(Failure::Refused));
        std::fs::remove_file(at("input")).unwrap();
        assert_eq!(failure(&say(None, &prove).1), Some(Failure::Other));
        for line in ["", "prove", "verify", "mine --proof x"] {
            assert_eq!(failure(&say(None, line).1), Some(Failure::Unable), "{line}");
        }
    }
}
