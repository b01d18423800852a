//! `mach-cli devnet`, and what it prints to be pasted.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::{errors, lines};

/// A devnet of its own, ended when this is dropped.
struct Devnet(Child);

impl Devnet {
    /// Starts one that writes into `folder`, and waits until it is up.
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
            .args(["devnet", "--operators", "1", "--l2-port", "0", "--folder"])
            .arg(folder)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let this = Self(child);
        let mut lines = output.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("press Ctrl-C to stop")));
        // Whoever does not listen must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        this
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Runs a command as a shell does that has read the environment file.
fn paste(folder: &Path, command: &str) -> Output {
    let binary = env!("CARGO_BIN_EXE_mach-cli");
    let script = format!(". '{}/env.sh'; '{binary}' {command}", folder.display());
    Command::new("sh").args(["-c", &script]).output().unwrap()
}

fn what_is_printed_works(folder: &Path) {
    let run = |command: &str, code: i32| -> Value {
        let output = paste(folder, command);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{command}: {}{}",
            errors(&output),
            String::from_utf8_lossy(&output.stdout)
        );
        lines(&output).remove(0)
    };
    assert_eq!(run("doctor --json", 0)["ready"], true);
    assert_eq!(run("status --json", 1)["standing"], "neverRegistered");
    assert_eq!(run("opt-in --json", 0)["sent"], false);
    assert_eq!(run("opt-in --json --yes", 0)["complete"], true);
    assert_eq!(run("status --json", 0)["standing"], "registered");
    assert_eq!(run("doctor --json --leaving", 0)["ready"], true);
    assert_eq!(run("opt-out --json --yes", 0)["complete"], true);
    assert_eq!(run("status --json", 1)["standing"], "deregistered");
    let owner = folder.join("owner.ecdsa.json");
    let admin = format!(
        "admin allowlist disable --json --yes --ecdsa-key '{}'",
        owner.display()
    );
    assert_eq!(run(&admin, 0)["complete"], true);
    assert!(run("status --json", 1)["allowlisted"].is_null());
}

#[test]
fn what_the_devnet_prints_works() {
    let folder = tempfile::tempdir().unwrap();
    let _devnet = Devnet::start(folder.path(), &["--l1-port", "0"]);
    what_is_printed_works(folder.path());
}

/// On a development node, such as anvil, at `MACH_L1_RPC`.
#[test]
fn what_the_devnet_prints_works_on_another_l1() {
    let Ok(url) = std::env::var("MACH_L1_RPC") else {
        println!("skipped: MACH_L1_RPC is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let _devnet = Devnet::start(folder.path(), &["--l1-rpc", &url]);
    what_is_printed_works(folder.path());
}
