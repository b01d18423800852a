use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Read, Write, stderr, stdin, stdout},
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use alloy_primitives::Bytes;

use super::{
    CommittedProgram, Proof, memory,
    protocol::{BoxError, Failure, Job, Message, Prover, ProverError},
};
use crate::{Journal, MAX_INPUT_BYTES, Program};

/// Longest message of a failure, in characters.
const MAX_REASON: usize = 1024;

/// The whole of a program that proves: does what its arguments ask for, on standard output.
pub fn run(prover: &impl Prover) -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let is_done = match &arguments[..] {
        [command, folder, recipe] if command == "commit" => {
            let committed = commit(prover, folder.as_ref(), &recipe.to_string_lossy());
            match committed {
                Ok(programs) => writeln!(stdout(), "{programs}").is_ok(),
                Err(error) => {
                    let _ = writeln!(stderr(), "{}", chain(&error.source));
                    false
                }
            }
        }
        _ => serve(prover, arguments, &mut stdout()),
    };
    if is_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Does what `arguments` (without the program's name) ask for and tells `out`. Answers whether it
/// was done; a program exits with 0 then.
///
/// With `--watch-stdin` the process ends, with code 1, when its standard input does.
pub fn serve(
    prover: &impl Prover,
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
) -> bool {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let given = arguments.len();
    arguments.retain(|it| it != "--watch-stdin");
    if arguments.len() < given {
        watch_stdin();
    }
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

/// Whoever started this process holds the other end, and says nothing.
fn watch_stdin() {
    std::thread::spawn(|| {
        let mut bytes = [0; 64];
        while !matches!(stdin().read(&mut bytes), Ok(0) | Err(_)) {}
        process::exit(1);
    });
}

/// Writes the verifying keys of the guests in `folder` beside them. Answers what `programs.json` says of
/// the guests.
fn commit(prover: &impl Prover, folder: &Path, recipe: &str) -> Result<String, ProverError> {
    let entries = Program::ALL.into_iter().map(|program| {
        let elf = read(&folder.join(format!("{program}.elf")))?;
        let commitment = prover.commit(program, &elf)?;
        if let Some(key) = &commitment.key {
            fs::write(folder.join(format!("{program}.key")), key)?;
        }
        let (backend, id) = (prover.name(), commitment.id);
        let entry = CommittedProgram::new(program, backend, id, &elf, recipe);
        Ok(entry.with_key(commitment.key.as_deref()))
    });
    let entries: Vec<_> = entries.collect::<Result<_, ProverError>>()?;
    Ok(serde_json::to_string(&entries)?)
}

fn answer(
    prover: &impl Prover,
    arguments: &[OsString],
    out: &mut dyn Write,
) -> Result<(), ProverError> {
    let (command, flags) = (arguments.split_first()).ok_or_else(|| unable("no command"))?;
    let flags = Flags(flags);
    match command.to_str() {
        Some("info") => {
            for program in Program::ALL {
                tell(out, &Message::Program(prover.guest(program)?.info));
            }
            Ok(())
        }
        Some("verify") => {
            let proof = Proof::read(flags.path("--proof")?).map_err(ProverError::invalid)?;
            check(prover, &proof)
        }
        Some("prove") => prove(prover, &flags, out),
        Some("execute") => execute(prover, &flags, out),
        _ => Err(unable(
            "there are `info`, `prove`, `verify`, `execute` and `commit`",
        )),
    }
}

fn prove(prover: &impl Prover, flags: &Flags<'_>, out: &mut dyn Write) -> Result<(), ProverError> {
    let program: Program = flags.text("--program")?.parse()?;
    let memory_limit = match flags.value("--memory-limit") {
        Ok(_) => Some(flags.text("--memory-limit")?.parse()?),
        Err(_) => None,
    };
    if let Some(limit) = memory_limit {
        memory::watch(limit);
    }
    let work_dir = flags.path("--work-dir")?;
    let file = flags.path("--out")?;
    tell(out, &step("loading"));
    let job = Job {
        guest: prover.guest(program)?,
        input: read(&flags.path("--input")?)?,
        journal: read_journal(&work_dir.join("journal.json"))?,
        work_dir,
        memory_limit,
    };
    let bytes = prover.prove(&job, &mut |progress| tell(out, &progress.into()))?;
    let proof = Proof {
        backend: prover.name(),
        program,
        program_id: job.guest.info.id,
        journal: job.journal,
        proof: bytes.into(),
    };
    tell(out, &step("verifying"));
    check(prover, &proof)?;
    Ok(proof.write(file)?)
}

/// Verifies what is one of this prover's proofs.
fn check(prover: &impl Prover, proof: &Proof) -> Result<(), ProverError> {
    let invalid = |reason: &'static str| ProverError::invalid(reason);
    if proof.backend != prover.name() {
        return Err(invalid("the proof is of another backend"));
    }
    let guest = prover.guest(proof.program)?;
    if proof.program_id != guest.info.id {
        return Err(invalid("the proof is of another program"));
    }
    prover.verify(&guest, proof)
}

/// Runs a guest on all inputs of a folder.
fn execute(
    prover: &impl Prover,
    flags: &Flags<'_>,
    out: &mut dyn Write,
) -> Result<(), ProverError> {
    let mut guest = prover.guest(flags.text("--program")?.parse()?)?;
    if let Ok(elf) = flags.path("--elf") {
        guest.elf = read(&elf)?.to_vec().into();
    }
    let entries = flags.path("--inputs")?.read_dir()?;
    let files = entries.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_, std::io::Error>>()?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(guest.info.program.name()) && name.ends_with(".bin")
    });
    files.sort();
    if files.is_empty() {
        return Err(ProverError::other("there is no input for the program"));
    }
    let mut executor = prover.executor(&guest)?;
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let at = |error: ProverError| {
            let reason = format!("{name}: {}", chain(&error.source));
            ProverError::new(error.failure, reason)
        };
        let journal = read_journal(&file.with_extension("json")).map_err(at)?;
        let input = read(&file).map_err(at)?;
        let run = executor(&input).map_err(at)?;
        if run.digest != journal.digest() {
            return Err(at(ProverError::invalid(
                "the guest gives another journal than native code",
            )));
        }
        let message = Message::Run {
            input: name.into_owned(),
            bytes: input.len() as u64,
            instructions: run.instructions,
            segments: run.segments,
            phases: run.phases,
        };
        tell(out, &message);
    }
    Ok(())
}

/// Flags with a value each.
struct Flags<'a>(&'a [OsString]);

impl Flags<'_> {
    fn value(&self, name: &str) -> Result<&OsString, ProverError> {
        let mut pairs = self.0.chunks_exact(2);
        let found = pairs.find_map(|pair| match pair {
            [flag, value] if flag == name => Some(value),
            _ => None,
        });
        found.ok_or_else(|| unable(&format!("{name} is missing")))
    }

    fn path(&self, name: &str) -> Result<PathBuf, ProverError> {
        self.value(name).map(PathBuf::from)
    }

    fn text(&self, name: &str) -> Result<&str, ProverError> {
        let text = self.value(name)?.to_str();
        text.ok_or_else(|| unable(&format!("{name} is no text")))
    }
}

fn read(path: &Path) -> Result<Bytes, ProverError> {
    let mut bytes = Vec::new();
    let most = MAX_INPUT_BYTES as u64;
    let at = |error: std::io::Error| ProverError::other(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(at)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(at)?;
    if bytes.len() as u64 > most {
        let reason = format!("{} is larger than {most} bytes", path.display());
        return Err(ProverError::other(reason));
    }
    Ok(bytes.into())
}

fn read_journal(path: &Path) -> Result<Journal, ProverError> {
    let malformed = |error| ProverError::other(format!("{} is malformed: {error}", path.display()));
    serde_json::from_slice(&read(path)?).map_err(malformed)
}

fn unable(reason: &str) -> ProverError {
    ProverError::new(Failure::Unable, reason)
}

fn step(name: &str) -> Message {
    Message::Step {
        name: name.to_owned(),
    }
}

/// Whoever listens may have gone: the work is theirs to stop.
pub(super) fn tell(out: &mut dyn Write, message: &Message) {
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
    text.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, U256};

    use super::*;
    use crate::{
        BackendName, Progress, Worth,
        protocol::{Commitment, Guest, ProgramInfo, Run},
    };

    /// A prover whose proofs are the digest of the journal, and whose guest says its input.
    struct Digests {
        fails: Option<Failure>,
    }

    impl Prover for Digests {
        fn name(&self) -> BackendName {
            BackendName::OpenVm
        }

        fn guest(&self, program: Program) -> Result<Guest, ProverError> {
            let info = ProgramInfo {
                program,
                id: B256::repeat_byte(program as u8),
                file: "guest.elf".to_owned(),
                sha256: B256::repeat_byte(8),
                worth: Worth::Proof,
                missing: None,
            };
            Ok(Guest {
                info,
                elf: b"elf"[..].into(),
            })
        }

        fn executor(
            &self,
            guest: &Guest,
        ) -> Result<impl FnMut(&[u8]) -> Result<Run, ProverError>, ProverError> {
            let instructions = guest.elf.len() as u64;
            Ok(move |input: &[u8]| {
                let digest = B256::try_from(input);
                Ok(Run {
                    instructions,
                    segments: 1,
                    digest: digest.map_err(|error| ProverError::new(Failure::Refused, error))?,
                    phases: vec![("keccak".to_owned(), 7)],
                })
            })
        }

        fn prove(
            &self,
            job: &Job,
            progress: &mut dyn FnMut(Progress),
        ) -> Result<Vec<u8>, ProverError> {
            if let Some(failure) = self.fails {
                return Err(ProverError::new(failure, "as told"));
            }
            progress(Progress::Segment { done: 1, total: 1 });
            Ok(job.journal.digest().to_vec())
        }

        fn verify(&self, _: &Guest, proof: &Proof) -> Result<(), ProverError> {
            if proof.proof[..] != proof.journal.digest()[..] {
                return Err(ProverError::invalid("another digest"));
            }
            Ok(())
        }

        fn commit(&self, program: Program, elf: &[u8]) -> Result<Commitment, ProverError> {
            Ok(Commitment {
                id: B256::repeat_byte(9),
                key: (program == Program::Block).then(|| [b"key of ", elf].concat()),
            })
        }
    }

    fn journal() -> Journal {
        Journal {
            l1_chain_id: U256::from(900),
            service_manager: Address::repeat_byte(1),
            prover: Address::repeat_byte(2),
            rollup_chain_id: U256::from(901),
            config_hash: B256::repeat_byte(3),
            parent_hash: B256::repeat_byte(4),
            block_hash: B256::repeat_byte(5),
            block_number: 8,
            fault: 128,
            claimed: B256::repeat_byte(6),
            computed: B256::repeat_byte(7),
            output_root: B256::repeat_byte(7),
        }
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
            matches!(&messages[..], [Message::Program(block), Message::Program(output), Message::Done]
            if (block.program, output.program) == (Program::Block, Program::Output))
        );
    }

    #[test]
    fn what_is_proved_is_verified_and_what_is_altered_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("input"), b"input").unwrap();
        let json = serde_json::to_vec(&journal()).unwrap();
        std::fs::write(at("journal.json"), &json).unwrap();
        let prove = format!(
            "prove --program output --input {} --out {} --work-dir {} --memory-limit 99999999999999",
            at("input"),
            at("proof"),
            folder.path().display()
        );
        let (is_done, messages) = say(None, &prove);
        assert!(is_done, "{messages:?}");
        assert!(messages.contains(&Message::Segment { done: 1, total: 1 }));
        let verify = format!("verify --proof {}", at("proof"));
        assert_eq!(say(None, &verify), (true, vec![Message::Done]));

        let good = Proof::read(at("proof")).unwrap();
        assert_eq!(good.journal, journal());
        type Change = fn(&mut Proof);
        let changes: [(Change, &str); 5] = [
            (|it| it.journal.fault ^= 1, "another digest"),
            (|it| it.proof = Bytes::new(), "another digest"),
            (
                |it| it.program_id = B256::repeat_byte(9),
                "the proof is of another program",
            ),
            (
                |it| it.program = Program::Block,
                "the proof is of another program",
            ),
            (
                |it| it.backend = BackendName::Sp1,
                "the proof is of another backend",
            ),
        ];
        for (change, reason) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            bad.write(at("proof")).unwrap();
            let failed = Message::Failed {
                failure: Failure::Invalid,
                message: reason.to_owned(),
            };
            assert_eq!(say(None, &verify), (false, vec![failed]));
        }

        for kind in [Failure::Memory, Failure::Refused] {
            assert_eq!(failure(&say(Some(kind), &prove).1), Some(kind));
        }
        std::fs::write(at("journal.json"), b"{}").unwrap();
        assert_eq!(failure(&say(None, &prove).1), Some(Failure::Other));
        std::fs::write(at("journal.json"), &json).unwrap();
        std::fs::remove_file(at("input")).unwrap();
        assert_eq!(failure(&say(None, &prove).1), Some(Failure::Other));
        for line in ["", "prove", "verify", "execute", "mine --proof x"] {
            assert_eq!(failure(&say(None, line).1), Some(Failure::Unable), "{line}");
        }
    }

    #[test]
    fn what_is_committed_beside_a_guest_is_made_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let prover = Digests { fails: None };
        assert!(commit(&prover, folder.path(), "a recipe").is_err());
        std::fs::write(at("block.elf"), b"one").unwrap();
        std::fs::write(at("output.elf"), b"other").unwrap();
        let programs = commit(&prover, folder.path(), "a recipe").unwrap();
        let programs: Vec<CommittedProgram> = serde_json::from_str(&programs).unwrap();
        let [block, output] = &programs[..] else {
            panic!("two programs")
        };
        assert_eq!(
            (block.file.as_str(), block.program),
            ("guests/openvm/block.elf", Program::Block)
        );
        assert_eq!(
            block.ids,
            [(BackendName::OpenVm, B256::repeat_byte(9))].into()
        );
        // `printf one | sha256sum`, and the same of `key of one`.
        let sha256 = "0x7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        assert_eq!(block.sha256.to_string(), sha256);
        assert_eq!(std::fs::read(at("block.key")).unwrap(), b"key of one");
        let sha256 = "0x0f0189bb47c186fb5b4292820f1795e43816026e276a77e04406b1da800ad0f2";
        assert_eq!(block.key_sha256.unwrap().to_string(), sha256);
        assert_eq!(
            (output.key_sha256, output.recipe.as_str()),
            (None, "a recipe")
        );
        assert!(!at("output.key").exists());
    }

    #[test]
    fn a_guest_has_to_give_the_journal_of_native_code() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
        let json = serde_json::to_vec(&journal()).unwrap();
        let empty = format!(
            "execute --program block --inputs {}",
            folder.path().display()
        );
        assert_eq!(failure(&say(None, &empty).1), Some(Failure::Other));
        write("block-a.json", &json).unwrap();
        write("block-a.bin", journal().digest().as_slice()).unwrap();
        write("output.bin", b"of the other program").unwrap();
        write("elf", b"other elf").unwrap();
        let execute = format!(
            "execute --program block --inputs {}",
            folder.path().display()
        );
        let run = |instructions| Message::Run {
            input: "block-a".to_owned(),
            bytes: 32,
            instructions,
            segments: 1,
            phases: vec![("keccak".to_owned(), 7)],
        };
        assert_eq!(say(None, &execute), (true, vec![run(3), Message::Done]));
        let other = format!("{execute} --elf {}", folder.path().join("elf").display());
        assert_eq!(say(None, &other).1, [run(9), Message::Done]);

        write("block-b.json", &json).unwrap();
        write("block-b.bin", B256::ZERO.as_slice()).unwrap();
        let (_, messages) = say(None, &execute);
        let failed = Message::Failed {
            failure: Failure::Invalid,
            message: "block-b: the guest gives another journal than native code".to_owned(),
        };
        assert_eq!(messages, [run(3), failed]);
        write("block-b.bin", b"short").unwrap();
        assert_eq!(failure(&say(None, &execute).1), Some(Failure::Refused));
    }
}
