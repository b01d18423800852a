//! What it says, line by line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// As the network gives it, of another program and journal.
const GENUINE: &str = include_str!("genuine.hex");

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

pub(crate) fn read(path: &str) -> Value {
    serde_json::from_slice(&fs::read(repository(path)).unwrap()).unwrap()
}

pub(crate) fn say(arguments: &[&str]) -> Vec<Value> {
    say_in(arguments, &[])
}

fn say_in(arguments: &[&str], environment: &[(&str, String)]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-sp1"));
    let output = command
        .args(arguments)
        .env_remove("NETWORK_PRIVATE_KEY")
        .env_remove("NETWORK_PRIVATE_KEY_FILE")
        .env_remove("NETWORK_RPC_URL")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let lines = output.stdout.split(|it| *it == b'\n');
    let lines = lines.filter_map(|it| serde_json::from_slice(it).ok());
    let lines: Vec<Value> = lines.collect();
    assert_eq!(
        output.status.success(),
        lines.last().unwrap()["type"] == "done"
    );
    lines
}

/// The last that it says when it is to prove an output root.
pub(crate) fn prove(input: &[u8], journal: &Value, environment: &[(&str, String)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("input"), input).unwrap();
    fs::write(at("journal.json"), journal.to_string()).unwrap();
    let (input, out) = (at("input"), at("proof.json"));
    let work = folder.path().display().to_string();
    let said = say_in(
        &[
            "prove",
            "--program",
            "output",
            "--input",
            &input,
            "--out",
            &out,
            "--work-dir",
            &work,
        ],
        environment,
    );
    assert!(!folder.path().join("proof.json").exists());
    said.last().unwrap().clone()
}

fn committed() -> Vec<Value> {
    let programs = read("mach-prove/programs.json");
    let programs = programs.as_array().unwrap().iter();
    let programs = programs.filter(|it| it["ids"]["sp1"].is_string());
    programs.cloned().collect()
}

#[test]
fn it_has_the_programs_that_are_committed() {
    let key = [("NETWORK_PRIVATE_KEY", "01".repeat(32))];
    let said = say_in(&["info"], &key);
    let committed: Vec<_> = committed()
        .into_iter()
        .map(|it| {
            json!({
                "type": "program", "program": it["program"], "id": it["ids"]["sp1"],
                "file": it["file"], "sha256": it["sha256"], "worth": "onChain",
            })
        })
        .collect();
    assert_eq!(committed.len(), 2);
    assert_eq!(said[..2], committed);
}

/// Who cannot order makes no proof for a contract, and says what is missing.
#[test]
fn it_is_worth_something_on_l1_only_if_somebody_pays() {
    let secret = "02".repeat(31);
    let cases: [(&[(&str, String)], &str); 4] = [
        (
            &[],
            "SP1's network proves, and nothing here: set NETWORK_PRIVATE_KEY or NETWORK_PRIVATE_KEY_FILE",
        ),
        (
            &[("NETWORK_RPC_URL", "https://example.org".to_owned())],
            "SP1's network proves, and nothing here: set NETWORK_PRIVATE_KEY or NETWORK_PRIVATE_KEY_FILE",
        ),
        (
            &[("NETWORK_PRIVATE_KEY", secret.clone())],
            "NETWORK_PRIVATE_KEY is no key: 32 bytes in hex",
        ),
        (
            &[("NETWORK_PRIVATE_KEY_FILE", "/absent".to_owned())],
            "/absent: No such file or directory (os error 2)",
        ),
    ];
    for (environment, missing) in cases {
        let said = say_in(&["info"], environment);
        for it in &said[..2] {
            assert_eq!(
                (&it["worth"], &it["missing"]),
                (&json!("proof"), &json!(missing))
            );
        }
        assert!(!format!("{said:?}").contains(&secret));
    }
}

/// Keys and ids are those of the executables.
#[cfg(feature = "setup")]
#[test]
fn the_committed_keys_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["block.elf", "output.elf"];
    for file in files {
        let from = repository("guests/sp1").join(file);
        fs::copy(from, folder.path().join(file)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-sp1"));
    let output = command.arg("commit").arg(folder.path()).arg("a recipe");
    let output = output.output().unwrap().stdout;
    let again: Vec<Value> = serde_json::from_slice(&output).unwrap();
    for (entry, committed) in again.iter().zip(committed()) {
        assert_eq!(entry["ids"], committed["ids"]);
        assert_eq!(entry["sha256"], committed["sha256"]);
        assert!(entry["keySha256"].is_string());
        assert_eq!(entry["recipe"], "a recipe");
    }
    for file in ["block.key", "output.key"] {
        let made = fs::read(folder.path().join(file)).unwrap();
        assert_eq!(made, fs::read(repository("guests/sp1").join(file)).unwrap());
    }
}

#[test]
fn nobody_proves_without_somebody_who_pays() {
    let input = fs::read(repository("guests/inputs/output.bin")).unwrap();
    let journal = read("guests/inputs/output.json");
    let line = prove(&input, &journal, &[]);
    assert_eq!(line["failure"], "unable");
    assert_eq!(
        line["message"],
        "SP1's network proves, and nothing here: set NETWORK_PRIVATE_KEY or NETWORK_PRIVATE_KEY_FILE"
    );
    let bad = [("NETWORK_PRIVATE_KEY", "secret".to_owned())];
    let line = prove(&input, &journal, &bad);
    assert_eq!(
        line["message"],
        "NETWORK_PRIVATE_KEY is no key: 32 bytes in hex"
    );
}

#[test]
fn what_does_not_verify_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proof.json");
    let programs = committed();
    let listed = |program: &str| {
        let found = programs.iter().find(|it| it["program"] == program);
        found.unwrap()["ids"]["sp1"].clone()
    };
    let proof = json!({
        "version": 1, "backend": "sp1", "program": "output", "programId": listed("output"),
        "journal": read("guests/inputs/output.json"), "proof": GENUINE.trim(),
    });
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(Change<'_>, &str); 5] = [
        (&|_| {}, "the proof does not verify"),
        (&|it| it["proof"] = json!("0x"), "nothing was proved"),
        (
            &|it| it["proof"] = json!("0x4388a21c"),
            "the bytes are not a proof of this release of SP1",
        ),
        (
            &|it| it["programId"] = listed("block"),
            "the proof is of another program",
        ),
        (
            &|it| it["backend"] = json!("openvm"),
            "the proof is of another backend",
        ),
    ];
    for (change, reason) in cases {
        let mut bad = proof.clone();
        change(&mut bad);
        fs::write(&file, bad.to_string()).unwrap();
        let said = say(&["verify", "--proof", file.to_str().unwrap()]);
        let last = said.last().unwrap();
        assert_eq!(last["failure"], "invalid");
        assert!(
            last["message"].as_str().unwrap().starts_with(reason),
            "{last}"
        );
    }
}
