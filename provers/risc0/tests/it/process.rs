//! The prover as a process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::service::{Bonsai, KEY, Script};

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

pub(crate) fn read(path: &str) -> Value {
    serde_json::from_slice(&fs::read(repository(path)).unwrap()).unwrap()
}

/// What it says, line by line.
pub(crate) fn say(arguments: &[&str]) -> Vec<Value> {
    say_in(arguments, &[])
}

pub(crate) fn say_in(arguments: &[&str], environment: &[(&str, &str)]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-risc0"));
    let output = command
        .args(arguments)
        .env_remove("BONSAI_API_URL")
        .env_remove("BONSAI_API_KEY")
        .env_remove("BONSAI_API_KEY_FILE")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let lines = output
        .stdout
        .split(|it| *it == b'\n')
        .filter(|it| !it.is_empty());
    let lines: Vec<Value> = lines
        .map(|it| serde_json::from_slice(it).unwrap())
        .collect();
    assert_eq!(
        output.status.success(),
        lines.last().unwrap()["type"] == "done"
    );
    lines
}

#[test]
fn it_has_the_programs_that_are_committed() {
    let service = [
        ("BONSAI_API_URL", "https://api.example.org"),
        ("BONSAI_API_KEY", "a key"),
    ];
    let said = say_in(&["info"], &service);
    let programs = read("mach-prove/programs.json");
    let committed = programs
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["ids"]["risc0"].is_string());
    let committed: Vec<_> = committed
        .map(|it| {
            json!({
                "type": "program", "program": it["program"], "id": it["ids"]["risc0"],
                "file": it["file"], "sha256": it["sha256"], "worth": "onChain",
            })
        })
        .collect();
    assert_eq!(committed.len(), 2);
    assert_eq!(said[..2], committed);
    // The ids are those of the executables.
    let folder = repository("guests/risc0");
    let again = say_text(&["commit", folder.to_str().unwrap(), "a recipe"]);
    let again: Vec<Value> = serde_json::from_str(&again).unwrap();
    for (entry, committed) in again.iter().zip(&committed) {
        assert_eq!(entry["ids"], json!({ "risc0": committed["id"] }));
        assert_eq!(entry["sha256"], committed["sha256"]);
        assert_eq!(entry["recipe"], "a recipe");
    }
}

/// Bonds are locked for proofs that count on L1: only a service that can be asked makes them.
#[test]
fn it_is_worth_something_on_l1_only_if_a_service_is_set_up() {
    let url = ("BONSAI_API_URL", "https://api.example.org");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (
            &[],
            "no contract takes what this machine proves: set BONSAI_API_URL, and BONSAI_API_KEY or \
             BONSAI_API_KEY_FILE, for a service",
        ),
        (
            &[url],
            "BONSAI_API_URL is set, and neither BONSAI_API_KEY nor BONSAI_API_KEY_FILE",
        ),
        (
            &[url, ("BONSAI_API_KEY_FILE", "/absent")],
            "/absent: No such file or directory (os error 2)",
        ),
        (
            &[
                ("BONSAI_API_URL", "http://api.example.org"),
                ("BONSAI_API_KEY", "secret"),
            ],
            "BONSAI_API_URL has to begin with https:// and a host, or the key is seen by others",
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
        assert!(!format!("{said:?}").contains("secret"));
    }
}

/// A proxy of the environment is for what is elsewhere, and sees no key of a service that is here.
#[test]
fn what_is_on_this_machine_is_asked_past_any_proxy() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let proxy_url = format!("http://{}", proxy.local_addr().unwrap());
    let bonsai = Bonsai::start(Script {
        states: vec![json!({ "status": "FAILED", "error_msg": "as told" })],
        ..Script::default()
    });
    // By another name than the service, which is asked with a key.
    bonsai.script.lock().unwrap().storage = Some(bonsai.url.clone());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let from = |name: &str| repository("guests/inputs").join(name);
    fs::copy(from("output.json"), at("journal.json")).unwrap();
    let (input, out) = (from("output.bin").display().to_string(), at("proof.json"));
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
        &[
            (
                "BONSAI_API_URL",
                &bonsai.url.replace("127.0.0.1", "localhost"),
            ),
            ("BONSAI_API_KEY", KEY),
            ("HTTP_PROXY", &proxy_url),
            ("http_proxy", &proxy_url),
            ("ALL_PROXY", &proxy_url),
        ],
    );
    let last = said.last().unwrap();
    assert_eq!(last["message"], "the service stopped with FAILED: as told");
    assert_eq!(bonsai.count("POST /sessions/create"), 1);
    let nobody = proxy.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

fn say_text(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-risc0"));
    String::from_utf8(command.args(arguments).output().unwrap().stdout).unwrap()
}

#[test]
fn what_does_not_verify_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proof.json");
    let programs = read("mach-prove/programs.json");
    let listed = |program: &str| {
        let mut programs = programs.as_array().unwrap().iter();
        let found = programs.find(|it| it["program"] == program && it["ids"]["risc0"].is_string());
        found.unwrap()["ids"]["risc0"].clone()
    };
    // A genuine seal, of another program and journal.
    let digits: String = crate::receipt::proof()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    let proof = json!({
        "version": 1, "backend": "risc0", "program": "output", "programId": listed("output"),
        "journal": read("guests/inputs/output.json"), "proof": format!("0x{digits}"),
    });
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(Change<'_>, &str); 4] = [
        (&|_| {}, "the proof does not verify"),
        (
            &|it| it["proof"] = json!("0x"),
            "the bytes are not the encoding of a proof",
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

#[test]
fn it_ends_when_nobody_listens_any_more() {
    // It waits for a pipe that nobody writes to.
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-prover-risc0"));
    command
        .args(["verify", "--watch-stdin", "--proof"])
        .arg(&pipe);
    let mut prover = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(prover.try_wait().unwrap().is_none());
    drop(prover.stdin.take());
    assert_eq!(prover.wait().unwrap().code(), Some(1));
}
