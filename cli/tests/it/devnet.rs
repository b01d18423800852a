//! `mach-cli devnet`, and what it prints to be pasted.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{errors, lines};

/// A devnet of its own, ended when this is dropped.
struct Devnet {
    child: Child,
    /// What it printed when it was up.
    told: Vec<String>,
    /// With what is printed in it, and `mach-cli`.
    path: OsString,
    _programs: TempDir,
}

impl Devnet {
    /// Starts one that writes into `folder`, and waits until it is up.
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
            .args(["devnet", "--operators", "1", "--l2-port", "0", "--folder"])
            .arg(folder)
            .args([
                "--aggregator-port",
                "0",
                "--api-port",
                "0",
                "--breaker-port",
                "0",
            ])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap);
        let is_up = |line: &String| line.contains("press Ctrl-C to stop");
        let told = lines.by_ref().take_while(|line| !is_up(line)).collect();
        // Whoever does not listen must not stop it.
        std::thread::spawn(move || lines.for_each(drop));

        let programs = tempfile::tempdir().unwrap();
        let program = programs.path().join("mach-cli");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mach-cli"), program).unwrap();
        let rest = std::env::var_os("PATH").unwrap();
        let folders = std::env::split_paths(&rest);
        let folders = std::iter::once(programs.path().to_owned()).chain(folders);
        Self {
            child,
            told,
            path: std::env::join_paths(folders).unwrap(),
            _programs: programs,
        }
    }

    /// What is to be pasted, in order; what prepares a shell stands before all that follows it.
    fn commands(&self) -> Vec<String> {
        let (mut prepared, mut commands) = (String::new(), Vec::new());
        for line in self.told.iter().filter_map(|line| line.strip_prefix("  ")) {
            if line.starts_with("mach-cli ") || line.starts_with("curl ") {
                commands.push(format!("{prepared}{line}"));
            } else if line.starts_with(". ") {
                prepared = format!("{line}\n");
            }
        }
        commands
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).env("PATH", &self.path);
        for name in ["RUST_LOG", "MACH_L1_RPC"] {
            shell.env_remove(name);
        }
        shell
    }

    fn paste(&self, script: &str) -> Output {
        self.shell(script).output().unwrap()
    }

    /// What a command says with `--json` in the shell of somebody who wants to join.
    fn say(&self, folder: &Path, command: &str, code: i32) -> Value {
        let script = format!(". '{}/env.sh'; mach-cli {command} --json", folder.display());
        let output = self.paste(&script);
        succeeded(&script, &output, code);
        lines(&output).remove(0)
    }
}

impl Drop for Devnet {
    /// Ends it as a service manager does.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        }
        assert_eq!(end(&mut self.child, "-TERM"), Some(0));
    }
}

/// Sends a signal, and gives the exit code that follows.
fn end(child: &mut Child, signal: &str) -> Option<i32> {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.unwrap().success());
    child.wait().unwrap().code()
}

fn succeeded(command: &str, output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command}: {}{}",
        errors(output),
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Runs what follows the chain until it has shown some blocks, and ends it as a person does.
fn followed(mut shell: Command) {
    let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut valid = output.lines().map(Result::unwrap);
    let valid = valid.by_ref().filter(|line| line.contains("valid"));
    assert_eq!(valid.take(20).count(), 20);
    assert_eq!(end(&mut child, "-INT"), Some(0));
}

/// Does what `curl` does, as soon as there is an answer.
fn fetched(arguments: &str) {
    let (file, url) = arguments.rsplit_once(' ').unwrap();
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let ask = || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        head.contains(" 200 ").then(|| body.to_owned())
    };
    for _ in 0..600 {
        if let Some(body) = ask() {
            return std::fs::write(file.trim_matches('\''), body).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    unreachable!("no answer from {url}");
}

/// Every command is true at once, in the order in which it is printed.
fn what_is_printed_works(folder: &Path, args: &[&str], count: usize) {
    let devnet = Devnet::start(folder, args);
    let commands = devnet.commands();
    assert_eq!(commands.len(), count, "{commands:#?}");
    assert_eq!(
        devnet.say(folder, "status", 1)["standing"],
        "neverRegistered"
    );
    for command in &commands {
        if command.contains("mach-cli follow") {
            followed(devnet.shell(&format!("exec {command}")));
            continue;
        }
        if let Some((_, arguments)) = command.split_once("curl -so ") {
            fetched(arguments);
            continue;
        }
        if command.contains("mach-cli top") {
            let once = format!("{command} --once");
            succeeded(&once, &devnet.paste(&once), 0);
            continue;
        }
        succeeded(command, &devnet.paste(command), 0);
        let of_blocks = ["verify", "derive", "backfill"];
        if (of_blocks.iter()).any(|name| command.contains(&format!("mach-cli {name} "))) {
            let output = devnet.paste(&format!("{command} --json"));
            let lines = lines(&output);
            assert_eq!(lines.len(), 21, "{command}: {}", errors(&output));
            assert_eq!(lines[20]["valid"], 20, "{command}");
        }
        let standing = match command.rsplit_once("mach-cli ").unwrap().1 {
            "opt-in --yes" => "registered",
            "opt-out --yes" => "deregistered",
            _ => continue,
        };
        let code = i32::from(standing == "deregistered");
        assert_eq!(devnet.say(folder, "status", code)["standing"], standing);
    }
    assert_eq!(devnet.say(folder, "status", 1)["allowlisted"], true);
    let owner = folder.join("owner.ecdsa.json");
    let admin = format!(
        "admin allowlist disable --yes --ecdsa-key '{}'",
        owner.display()
    );
    assert_eq!(devnet.say(folder, &admin, 0)["complete"], true);
    assert!(devnet.say(folder, "status", 1)["allowlisted"].is_null());
}

#[test]
fn what_the_devnet_prints_works() {
    let folder = tempfile::tempdir().unwrap();
    // Another devnet was here.
    std::fs::write(folder.path().join("backfill.redb"), "of other blocks").unwrap();
    what_is_printed_works(folder.path(), &["--l1-port", "0"], 13);
}

/// On a development node, such as anvil, at `MACH_L1_RPC`.
#[test]
fn what_the_devnet_prints_works_on_another_l1() {
    let Ok(url) = std::env::var("MACH_L1_RPC") else {
        println!("skipped: MACH_L1_RPC is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    what_is_printed_works(folder.path(), &["--l1-rpc", &url], 12);
}

/// The first file in `folder`, when there is one.
fn first_file(folder: &Path) -> PathBuf {
    for _ in 0..600 {
        let files = std::fs::read_dir(folder).into_iter().flatten();
        let paths = files.map(|file| file.unwrap().path());
        // While it is written, it has another name.
        let mut whole = paths.filter(|path| path.to_string_lossy().ends_with(".json.gz"));
        if let Some(path) = whole.next() {
            return path;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    unreachable!("there is no evidence");
}

#[test]
fn the_devnet_leaves_the_evidence_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--l1-port", "0", "--lie", "gas-used", "--block-time", "200"];
    let devnet = Devnet::start(folder.path(), &args);
    let named = (devnet.told.iter()).find_map(|line| line.strip_prefix("evidence"));
    let named = named.unwrap().split_once(',').unwrap().0.trim();
    assert_eq!(Path::new(named), folder.path().join("evidence"));
    let file = first_file(Path::new(named));
    let command = format!("mach-cli verify --json '{}'", file.display());
    let output = devnet.paste(&command);
    succeeded(&command, &output, 1);
    let row = &lines(&output)[0];
    assert_eq!(row["fault"]["rule"], "gasUsed");
    assert_eq!(row["number"], 21);
}
