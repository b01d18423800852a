//! The prover as a process: what it proves, what it refuses, and what it calls wrong.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use mach_prove::Proof;
use mach_prover_openvm::{
    machine::Kind,
    prove::{Machine, Run},
    verify::{AppProof, VerifyError, decode_key},
    work::Work,
};
use openvm_circuit::arch::execution_mode::metered::segment_ctx::Segment;
use serde_json::{Value, json};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// An empty folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn prover(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-openvm"));
    command.args(arguments).output().unwrap()
}

/// The last line that it says.
fn last_line(output: &Output) -> Value {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// A process that proves an input of `guests/inputs`.
fn proving(program: &str, input: &[u8], journal: &Value, folder: &Path) -> Command {
    fs::write(folder.join("input"), input).unwrap();
    fs::write(folder.join("journal.json"), journal.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-openvm"));
    command.args(["prove", "--program", program]);
    for (flag, name) in [
        ("--input", "input"),
        ("--out", "proof.json"),
        ("--work-dir", ""),
    ] {
        command.arg(flag).arg(folder.join(name));
    }
    command
}

fn prove(program: &str, input: &[u8], journal: &Value, folder: &Path) -> Value {
    last_line(&proving(program, input, journal, folder).output().unwrap())
}

/// What it says of segments, so many of so many.
fn segments(output: &Output) -> Vec<(u64, u64)> {
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter_map(segment).collect()
}

fn segment(line: &str) -> Option<(u64, u64)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let count = |name: &str| line[name].as_u64();
    (line["type"] == "segment").then_some((count("done")?, count("total")?))
}

/// Verifies in another process.
fn verify(proof: &Value, folder: &Path) -> Result<(), String> {
    let path = folder.join("altered.json");
    fs::write(&path, proof.to_string()).unwrap();
    let output = prover(&["verify", "--proof", path.to_str().unwrap()]);
    let line = last_line(&output);
    assert_eq!(output.status.success(), line["type"] == "done", "{line}");
    match line["type"].as_str() {
        Some("done") => Ok(()),
        _ => Err(line["message"].as_str().unwrap().to_owned()),
    }
}

fn read(path: &str) -> Value {
    serde_json::from_slice(&fs::read(repository(path)).unwrap()).unwrap()
}

#[test]
fn an_output_root_is_proved_to_be_wrong() {
    let folder = folder("output");
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let journal = read("guests/inputs/output.json");
    let line = prove("output", &input, &journal, &folder);
    assert_eq!(line["type"], "done", "{line}");
    let good: Value =
        serde_json::from_slice(&fs::read(folder.join("proof.json")).unwrap()).unwrap();
    assert_eq!(good["journal"], journal);
    assert_eq!(verify(&good, &folder), Ok(()));
    altered(&good, "block", &folder);

    // What is proved is not proved again.
    fs::remove_file(folder.join("proof.json")).unwrap();
    let again = proving("output", &input, &journal, &folder)
        .output()
        .unwrap();
    assert_eq!(segments(&again), [(1, 1)]);
    assert_eq!(last_line(&again)["type"], "done");
    let again = fs::read(folder.join("proof.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), good);
}

/// Bytes that one segment may take so that the output root's run has two.
const HALF: usize = 700_000_000;

/// What a process of the test below does.
#[test]
#[ignore = "a process of another test"]
fn proves_in_two_segments() {
    let folder = PathBuf::from(env::var_os("MACH_TEST_WORK").unwrap());
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let elf = fs::read(repository("guests/openvm/output.elf")).unwrap();
    let mut machine = Machine::new(Kind::Hashing, &elf, HALF).unwrap();
    let run = machine.execute(&input, &[]).unwrap();
    let work = Work::new(&folder, machine.id(), &input, &run).unwrap();
    let proof = machine.prove(&input, &run, &work, &mut |done, total| {
        println!(
            "\n{}",
            json!({ "type": "segment", "done": done, "total": total })
        );
    });
    fs::write(folder.join("proof"), proof.unwrap()).unwrap();
}

#[test]
fn a_prover_that_was_killed_goes_on() {
    let folder = folder("killed");
    let proving = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([
            "--exact",
            "proves_in_two_segments",
            "--ignored",
            "--nocapture",
        ]);
        command.env("MACH_TEST_WORK", &folder);
        command
    };
    let mut first = proving().stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(first.stdout.take().unwrap()).lines();
    let mut told = said.filter_map(|line| segment(&line.unwrap()));
    assert_eq!(told.next(), Some((0, 2)));
    assert_eq!(told.next(), Some((1, 2)));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!folder.join("proof").exists());
    let second = proving().output().unwrap();
    assert_eq!(segments(&second), [(1, 2), (2, 2)]);
    let mut proof = Proof::read(repository("guests/proofs/output.json")).unwrap();
    proof.proof = fs::read(folder.join("proof")).unwrap().into();
    proof.write(folder.join("good.json")).unwrap();
    let good = fs::read(folder.join("good.json")).unwrap();
    let good: Value = serde_json::from_slice(&good).unwrap();
    assert_eq!(verify(&good, &folder), Ok(()));

    // A proof that verifies by itself, in the place of another: nobody believes what comes of it.
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let whole = Run {
        segments: vec![Segment::new(0, INSTRUCTIONS, Vec::new())],
        revealed: Vec::new(),
    };
    let work = Work::new(&folder, proof.program_id.0, &input, &whole).unwrap();
    let halves: AppProof = bitcode::deserialize(&proof.proof).unwrap();
    work.keep(0, &halves.per_segment[1]).unwrap();
    let mut misled = self::proving("output", &input, &good["journal"], &folder);
    let misled = misled.output().unwrap();
    assert_eq!(segments(&misled), [(1, 1)]);
    let line = last_line(&misled);
    let message = line["message"].as_str().unwrap();
    assert!(
        message.starts_with("the proof does not verify"),
        "{message}"
    );
    assert!(!folder.join("proof.json").exists());
    let key = fs::read(repository("guests/openvm/output.key")).unwrap();
    assert!(work.proof(0, &decode_key(&key).unwrap()).is_none());
}

/// The committed proof has a segment of 659,606 bytes: 300 of them are 198 MB, and no file of a proof is that large.
#[test]
fn a_proof_that_nobody_reads_is_not_made() {
    let folder = folder("large");
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let elf = fs::read(repository("guests/openvm/output.elf")).unwrap();
    let mut machine = Machine::new(Kind::Hashing, &elf, HALF).unwrap();
    let segments = (0..300).map(|_| Segment::new(0, 1, Vec::new()));
    let run = Run {
        segments: segments.collect(),
        revealed: Vec::new(),
    };
    let work = Work::new(&folder, machine.id(), &input, &run).unwrap();
    let proof = Proof::read(repository("guests/proofs/output.json")).unwrap();
    let proof: AppProof = bitcode::deserialize(&proof.proof).unwrap();
    work.keep(7, &proof.per_segment[0]).unwrap();
    let mut told = 0;
    let refused = machine.prove(&input, &run, &work, &mut |_, _| told += 1);
    let error = refused.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(VerifyError::TooLarge(_))),
        "{error:#}"
    );
    assert_eq!(told, 0);
    // Nothing of it is lost.
    assert!(work.proof(7, machine.key()).is_some());
}

/// Of the output root's run.
const INSTRUCTIONS: u64 = 148_362;

/// Keys and ids are those of the executables.
#[test]
fn the_committed_keys_are_made_again() {
    let folder = folder("keys");
    let guests = repository("guests/openvm");
    for file in ["block.elf", "output.elf"] {
        fs::copy(guests.join(file), folder.join(file)).unwrap();
    }
    let output = prover(&["commit", folder.to_str().unwrap(), "a recipe"]);
    let again = last_line(&output);
    let committed = read("mach-prove/programs.json");
    for entry in again.as_array().unwrap() {
        let mut listed = committed.as_array().unwrap().iter();
        let listed = listed.find(|it| it["file"] == entry["file"]).unwrap();
        for field in ["program", "ids", "sha256", "keySha256"] {
            assert_eq!(entry[field], listed[field], "{field}");
        }
        assert_eq!(entry["recipe"], "a recipe");
    }
    for file in ["block.key", "output.key"] {
        let made = fs::read(folder.join(file)).unwrap();
        assert_eq!(made, fs::read(guests.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn committed_proofs_are_right_and_what_is_altered_is_not() {
    for entry in fs::read_dir(repository("guests/proofs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(good["journal"], read(&format!("guests/inputs/{name}.json")));
        let folder = folder(name);
        assert_eq!(verify(&good, &folder), Ok(()), "{name}");
        let other = if good["program"] == "block" {
            "output"
        } else {
            "block"
        };
        altered(&good, other, &folder);
    }
}

/// Everything that a proof says, changed.
fn altered(good: &Value, other: &str, folder: &Path) {
    for (field, value) in good["journal"].as_object().unwrap() {
        let mut bad = good.clone();
        bad["journal"][field] = match value {
            Value::Number(number) => json!(number.as_u64().unwrap() ^ 1),
            _ => {
                let mut text = value.as_str().unwrap().to_owned();
                let last = if text.pop() == Some('1') { '2' } else { '1' };
                text.push(last);
                json!(text)
            }
        };
        let error = verify(&bad, folder).unwrap_err();
        assert_eq!(error, "the proof is of another journal", "{field}");
    }
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 6] = [
        (
            |it| it["version"] = json!(2),
            "version 2 of proof files is not known",
        ),
        (
            |it| it["backend"] = json!("native"),
            "the proof is of another backend",
        ),
        (
            |it| it["programId"] = json!(format!("0x{}", "00".repeat(32))),
            "the proof is of another program",
        ),
        (
            |it| it["proof"] = json!("0x"),
            "the bytes are not the encoding of a proof",
        ),
        (
            |it| it["proof"] = json!(format!("{}00", it["proof"].as_str().unwrap())),
            "the bytes are not the encoding of a proof",
        ),
        (|it| it["more"] = json!(1), "the proof file is malformed"),
    ];
    for (change, message) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let error = verify(&bad, folder).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
    // As if the other program had made it, which has an id of its own.
    let programs = read("mach-prove/programs.json");
    let mut programs = programs.as_array().unwrap().iter();
    let listed = programs.find(|it| it["program"] == other).unwrap();
    let mut bad = good.clone();
    bad["program"] = json!(other);
    bad["programId"] = listed["ids"]["openvm"].clone();
    let error = verify(&bad, folder).unwrap_err();
    assert!(error.starts_with("the proof does not verify"), "{error}");
}

#[test]
fn guests_give_the_journals_of_native_code() {
    let inputs = repository("guests/inputs");
    for (program, count) in [("block", 5), ("output", 1)] {
        let output = prover(&[
            "execute",
            "--program",
            program,
            "--inputs",
            inputs.to_str().unwrap(),
        ]);
        let line = last_line(&output);
        assert_eq!(line["type"], "done", "{line}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.matches(r#""type":"run""#).count(), count, "{said}");
    }
}

#[test]
fn what_a_guest_refuses_is_not_proved() {
    let folder = folder("refused");
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let journal = read("guests/inputs/output.json");
    let line = prove("output", &input[..input.len() - 1], &journal, &folder);
    assert_eq!(line["failure"], "refused", "{line}");
    // A journal that the guest does not give.
    let mut other = journal;
    other["fault"] = json!(0);
    let line = prove("output", &input, &other, &folder);
    assert_eq!(
        line["message"],
        "the guest gives another journal than native code"
    );
    assert!(!folder.join("proof.json").exists());
}
