//! The prover as a process: what it proves, what it refuses, and what it calls wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

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

/// Proves an input of `guests/inputs` in a process of its own.
fn prove(program: &str, input: &[u8], journal: &Value, folder: &Path) -> Value {
    fs::write(folder.join("input"), input).unwrap();
    fs::write(folder.join("journal.json"), journal.to_string()).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let (input, out, work) = (at("input"), at("proof.json"), folder.display().to_string());
    let output = prover(&[
        "prove",
        "--program",
        program,
        "--input",
        &input,
        "--out",
        &out,
        "--work-dir",
        &work,
    ]);
    last_line(&output)
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
}

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
