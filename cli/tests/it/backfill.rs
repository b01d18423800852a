//! `mach-cli backfill`: whatever happens to it, the report is that of a run to which nothing happened.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use mach_devnet::{Devnet, DevnetConfig, Lie};
use mach_node::store::RedbStore;
use mach_verify::source::{Archive, RpcSource};
use serde_json::Value;
use tempfile::TempDir;

use crate::{errors, lines};

/// A devnet's blocks in an archive; the sequencer lies in those that are named.
async fn archive(folder: &TempDir, blocks: u64, lies: &[(u64, Lie)]) -> PathBuf {
    let devnet = Devnet::new().unwrap();
    let source = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    let path = folder.path().join("blocks.mach");
    let mut archive = Archive::append_to(&path, devnet.l2().chain_id()).unwrap();
    for number in 1..=blocks {
        if let Some((_, lie)) = lies.iter().find(|(lying, _)| *lying == number) {
            devnet.sequencer().lie_next(*lie);
        }
        devnet.sequencer().produce().unwrap();
        archive
            .append(&source.record(number).await.unwrap())
            .unwrap();
    }
    path
}

/// `mach-cli backfill`, with what it keeps in `folder`.
fn backfill(folder: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-cli"));
    command
        .arg("backfill")
        .args(args)
        .arg("--evidence")
        .arg(folder.path().join("evidence"))
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .env_remove("RUST_LOG");
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What was said of each block and of all, without what differs from run to run.
fn without_times(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        for field in ["seconds", "computingMicroseconds", "workers"] {
            line.remove(field);
        }
    }
    lines
}

fn done(output: &Output, code: i32) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(code), "{}", errors(output));
    without_times(lines(output))
}

#[tokio::test]
async fn a_range_is_verified_once_and_reported_as_often_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, 20, &[(7, Lie::GasUsed)]).await;
    let report = folder.path().join("report.json");
    let args = [
        "--archive",
        text(&archive),
        "--unit",
        "3",
        "--json",
        "--report",
        text(&report),
    ];
    let first = done(&backfill(&folder, &args).output().unwrap(), 1);
    let numbers: Vec<_> = first[..20]
        .iter()
        .map(|line| line["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(first[6]["verdict"], "invalid");
    assert_eq!(first[6]["fault"]["rule"], "gasUsed");
    assert_eq!(
        first[..20]
            .iter()
            .filter(|line| line["verdict"] == "valid")
            .count(),
        19
    );
    let totals = &first[20];
    assert_eq!(
        (&totals["valid"], &totals["invalid"]),
        (&19.into(), &1.into())
    );
    // The block after the lying one builds on what it says.
    assert_eq!(totals["linked"], true);
    assert_eq!(totals["faults"][0]["block"]["number"], 7);

    let written: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(written["format"], "mach backfill report");
    let blocks = written["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 20);
    assert_eq!(blocks[6]["published"]["hash"], first[6]["hash"]);
    assert_eq!(written["summary"]["valid"], 19);

    // The evidence replays to the same fault.
    let evidence = folder.path().join("evidence");
    let replayed = crate::mach_cli(&["verify", "--json", text(&evidence)]);
    assert_eq!(replayed.status.code(), Some(1), "{}", errors(&replayed));
    assert_eq!(lines(&replayed)[0]["fault"], first[6]["fault"]);

    // Everything is done: the source is not looked at again.
    std::fs::remove_dir_all(evidence).unwrap();
    let again = backfill(&folder, &args).output().unwrap();
    assert!(errors(&again).contains("20 of 20 blocks are done"));
    assert_eq!(done(&again, 1), first);
    assert!(!folder.path().join("evidence").exists());

    let table = backfill(&folder, &["--archive", text(&archive)]).output();
    let table = String::from_utf8(table.unwrap().stdout).unwrap();
    assert!(table.contains("INVALID  block 7 ("), "{table}");
    let replay = format!(
        "mach-cli verify {}",
        folder.path().join("evidence").display()
    );
    assert!(table.ends_with(&format!("{replay}\n")), "{table}");
}

/// Chains of one chain id: a development network, and the same one started again.
#[tokio::test]
async fn what_is_done_is_of_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("c.redb");
    for (lies, is_taken) in [(&[][..], true), (&[(1, Lie::GasUsed)][..], false)] {
        let inner = tempfile::tempdir().unwrap();
        let archive = archive(&inner, 6, lies).await;
        let args = [
            "--archive",
            text(&archive),
            "--checkpoint",
            text(&checkpoint),
        ];
        let output = backfill(&folder, &args).output().unwrap();
        if is_taken {
            assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        } else {
            assert_eq!(output.status.code(), Some(2));
            assert!(errors(&output).contains("what is done belongs to another chain: block 1"));
        }
    }
}

/// The same blocks by other rules: a checkpoint answers for the rules that it began with.
#[tokio::test]
async fn what_is_done_is_by_one_set_of_rules() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, 4, &[]).await;
    let (checkpoint, genesis) = (folder.path().join("c.redb"), folder.path().join("g.json"));
    let mut other = serde_json::to_value(DevnetConfig::default().l2_genesis()).unwrap();
    other["config"]["pragueTime"] = 1_000_000_000_000u64.into();
    other["config"]["isthmusTime"] = 1_000_000_000_000u64.into();
    other["config"]["jovianTime"] = Value::Null;
    std::fs::write(&genesis, other.to_string()).unwrap();
    let args = [
        "--archive",
        text(&archive),
        "--checkpoint",
        text(&checkpoint),
    ];
    assert_eq!(
        backfill(&folder, &args).output().unwrap().status.code(),
        Some(0)
    );
    let by_other = [&args[..], &["--genesis", text(&genesis)]].concat();
    let output = backfill(&folder, &by_other).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = errors(&output);
    assert!(told.contains("belongs to another backfill"), "{told}");
    assert!(told.contains("by rules 0x"), "{told}");
}

/// Runs the command, kills it after a while, and says whether it was still at work.
fn killed(mut command: Command, after: Duration) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[tokio::test]
async fn kill_9_at_any_point_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, 150, &[(31, Lie::StateRoot), (90, Lie::GasUsed)]).await;
    let run = |checkpoint: &str| {
        let checkpoint = folder.path().join(checkpoint);
        let args = [
            "--archive",
            text(&archive),
            "--checkpoint",
            text(&checkpoint),
            "--unit",
            "2",
            "--jobs",
            "1",
            "--attempts",
            "100",
            "--json",
        ];
        backfill(&folder, &args)
    };
    let started = Instant::now();
    let undisturbed = done(&run("whole.redb").output().unwrap(), 1);
    let mut whole = started.elapsed();

    // From the first moment, when the checkpoint is made, to late in the run.
    let mut at_work = 0;
    for step in 0..14u32 {
        let after = if step < 4 {
            Duration::from_millis(u64::from(step) * 7)
        } else {
            whole.mul_f64(0.1 + 0.05 * f64::from(step % 5))
        };
        if killed(run("killed.redb"), after) {
            at_work += 1;
        } else {
            // The machine was busier when the whole was measured.
            whole /= 2;
        }
    }
    assert!(at_work >= 5, "{at_work} of 14 were killed at work");
    let resumed = run("killed.redb").output().unwrap();
    assert!(errors(&resumed).contains("blocks are done"));
    assert_eq!(done(&resumed, 1), undisturbed);
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
}

/// Sent as soon as there is a checkpoint, the signal may come too late on a fast machine; then there
/// is another run from the beginning, until one was interrupted at work.
#[tokio::test]
async fn ctrl_c_stops_it_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, 60, &[]).await;
    let is_interrupted = |turn: usize| {
        let state = folder.path().join(turn.to_string());
        let run = || {
            let args = ["--archive", text(&archive), "--unit", "1", "--json"];
            let mut command = backfill(&folder, &args);
            command.env("XDG_STATE_HOME", &state);
            command
        };
        let child = run()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // While it is made, the checkpoint has another name.
        let is_checkpoint = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            path.extension()
                .is_some_and(|extension| extension == "redb")
        };
        let checkpoints = state.join("mach/backfill");
        while !std::fs::read_dir(&checkpoints).is_ok_and(|mut files| files.any(is_checkpoint)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let is_interrupted = output.status.code() != Some(0);
        if is_interrupted {
            assert_eq!(output.status.code(), Some(2));
            let told = errors(&output);
            assert!(
                told.contains("the same command goes on where this one ended (checkpoint "),
                "{told}"
            );
            assert!(lines(&output).last().unwrap()["pending"].as_u64() > Some(0));
        }
        let output = done(&run().output().unwrap(), 0);
        assert_eq!(output.last().unwrap()["valid"], 60);
        is_interrupted
    };
    assert!((0..20).any(is_interrupted));
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_nodes_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = Devnet::new().unwrap();
    for _ in 0..12 {
        devnet.sequencer().produce().unwrap();
    }
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let url = servers.l2.http_url();
    let run = async |args: &[&str]| {
        let mut command = backfill(&folder, args);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    };
    let output = run(&["--rpc", &url, "--rpc", &url, "--blocks", "1..=12", "--json"]).await;
    let lines = done(&output, 0);
    assert_eq!(lines.len(), 13);
    assert_eq!(lines[12]["linked"], true);

    // From proofs alone, and where both nodes have to say the same.
    for (name, more) in [
        ("proofs.redb", &["--witness", "proofs"][..]),
        ("agree.redb", &["--rpc", &url, "--agree", "2"]),
    ] {
        let checkpoint = folder.path().join(name);
        let fixed = ["--rpc", &url, "--blocks", "1..=12", "--json"];
        let args = [&fixed, more, &["--checkpoint", text(&checkpoint)]].concat();
        assert_eq!(done(&run(&args).await, 0), lines, "{name}");
    }
    let output = run(&["--rpc", &url, "--agree", "2", "--blocks", "1..=12"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--agree"), "{}", errors(&output));

    let output = run(&["--rpc", &url, "--blocks", "5..=13"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("block 13 is not there yet, the head of the source is block 12"),
        "{}",
        errors(&output)
    );
}

/// Of three nodes one lies, or is down: the others outvote it.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_neither_accuses_nor_stops_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (honest, lying) = (Devnet::new().unwrap(), Devnet::new().unwrap());
    for number in 1..=12 {
        honest.sequencer().produce().unwrap();
        if number == 5 {
            lying.sequencer().lie_next(Lie::ReceiptsRoot);
        }
        lying.sequencer().produce().unwrap();
    }
    let loopback = "127.0.0.1:0".parse().unwrap();
    let honest = honest.serve(loopback, loopback).await.unwrap();
    let lying = lying.serve(loopback, loopback).await.unwrap();
    let (url, lying) = (honest.l2.http_url(), lying.l2.http_url());
    for (name, third) in [("lying", lying.as_str()), ("down", "http://127.0.0.1:1")] {
        let checkpoint = folder.path().join(name);
        let urls = format!("{third},{url},{url}");
        let fixed = ["--rpc", &urls, "--blocks", "1..=12", "--json"];
        let quick = ["--rpc-retries", "0", "--checkpoint", text(&checkpoint)];
        let args = [&fixed[..], &quick].concat();
        let mut command = backfill(&folder, &args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let lines = done(&output.await.unwrap(), 0);
        assert_eq!(lines[12]["valid"], 12, "{name}");
        assert_eq!(lines[12]["linked"], true, "{name}");
    }
    assert!(!folder.path().join("evidence").exists());
}

#[tokio::test]
async fn undecided_blocks_are_listed_and_tried_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let good = archive(&folder, 9, &[]).await;
    // The same blocks, of one of which the witness is lost.
    let poor = folder.path().join("poor");
    std::fs::create_dir(&poor).unwrap();
    let archive = Archive::open(&good).unwrap();
    for number in 1..=9 {
        let mut record = archive.read(number).unwrap().unwrap();
        if number == 4 {
            record.witness.state.clear();
        }
        record.write(poor.join(record.file_name())).unwrap();
    }
    let checkpoint = folder.path().join("c.redb");
    let rest = ["--checkpoint", text(&checkpoint), "--unit", "2", "--json"];
    let run = |source: &[&str]| {
        backfill(&folder, &[source, &rest].concat())
            .output()
            .unwrap()
    };
    let first = done(&run(&[text(&poor)]), 2);
    assert_eq!(first[3]["verdict"], Value::Null);
    assert!(first[3]["hash"].is_string());
    assert_eq!(first[9]["undecidedBlocks"][0]["number"], 4);
    assert_eq!(
        (&first[9]["valid"], &first[9]["linked"]),
        (&8.into(), &true.into())
    );
    // It stays so until somebody asks.
    assert_eq!(done(&run(&["--archive", text(&good)]), 2), first);
    let retried = run(&["--archive", text(&good), "--retry-undecided"]);
    assert!(errors(&retried).contains("1 units had undecided blocks"));
    assert_eq!(done(&retried, 0)[9]["valid"], 9);
}

#[tokio::test]
async fn what_is_in_the_way_is_said_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let whole = archive(&folder, 6, &[]).await;
    let gap = folder.path().join("gap");
    std::fs::create_dir(&gap).unwrap();
    let archive = Archive::open(&whole).unwrap();
    for number in [1, 2, 4] {
        let record = archive.read(number).unwrap().unwrap();
        record.write(gap.join(record.file_name())).unwrap();
    }
    let garbage = folder.path().join("garbage.redb");
    std::fs::write(&garbage, "not a database").unwrap();
    let taken = folder.path().join("taken.redb");
    let (whole, gap) = (text(&whole), text(&gap));
    let first = backfill(&folder, &["--archive", whole, "--checkpoint", text(&taken)]);
    assert_eq!({ first }.output().unwrap().status.code(), Some(0));

    let cases: [(&[&str], &str); 10] = [
        (&[], "required"),
        (&[gap], "block 3 is not among the recorded ones"),
        (
            &["--archive", whole, "--blocks", "3..=9"],
            "block 7 is not among",
        ),
        (&["--archive", "no-such-file"], "no-such-file"),
        (
            &["--archive", whole, "--checkpoint", text(&garbage)],
            "move the file away to begin anew",
        ),
        (
            &[
                "--archive",
                whole,
                "--blocks",
                "1..=3",
                "--checkpoint",
                text(&taken),
            ],
            "belongs to another backfill",
        ),
        (
            &["--archive", whole, "--unit", "300"],
            "300 blocks are too many for a unit",
        ),
        (
            &[
                "--archive",
                whole,
                "--report",
                "/no/such/folder/report.json",
            ],
            "report /no/such/folder/report.json",
        ),
        (
            &["--archive", whole, "--queue", "nats://127.0.0.1:1/x"],
            "queue x on nats://127.0.0.1:1",
        ),
        (&["--archive", whole, "--worker"], "--queue"),
    ];
    for (args, expected) in cases {
        let output = backfill(&folder, args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = errors(&output);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

/// A second process writes no report of what another one is at.
#[tokio::test]
async fn a_second_process_leaves_the_report_alone() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(&folder, 4, &[]).await;
    let [checkpoint, report, part] =
        ["c.redb", "report.json", "report.json.part"].map(|name| folder.path().join(name));
    let first = RedbStore::open(&checkpoint).unwrap();
    std::fs::write(&part, "of the first").unwrap();
    let args = ["--archive", text(&archive), "--report", text(&report)];
    let run = || {
        let mut command = backfill(&folder, &args);
        command.args(["--checkpoint", text(&checkpoint)]);
        command.output().unwrap()
    };
    let output = run();
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("is running already"));
    assert_eq!(std::fs::read_to_string(&part).unwrap(), "of the first");

    drop(first);
    assert_eq!(run().status.code(), Some(0));
    assert!(report.exists() && !part.exists());
}

/// A NATS server of its own, if there is a program.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    #[expect(clippy::zombie_processes, reason = "dropping it ends the process")]
    fn start(folder: &TempDir) -> Option<Self> {
        let Some(program) = std::env::var_os("MACH_NATS_SERVER") else {
            println!("skipped: MACH_NATS_SERVER names no nats-server");
            return None;
        };
        let child = Command::new(program)
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", "-1"])
            .arg("--store_dir")
            .arg(folder.path().join("nats"))
            .arg("--ports_file_dir")
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let file = format!("nats-server_{}.ports", child.id());
        let file = folder.path().join(file);
        for _ in 0..400 {
            let ports = std::fs::read(&file).unwrap_or_default();
            if let Ok(ports) = serde_json::from_slice::<Value>(&ports) {
                let url = ports["nats"][0].as_str().unwrap().to_owned();
                return Some(Self { child, url });
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        unreachable!("the server does not start");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn many_machines_share_a_range_and_one_that_is_killed_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(&folder) else {
        return;
    };
    let archive = archive(&folder, 120, &[(50, Lie::ReceiptsRoot)]).await;
    let local = ["--archive", text(&archive), "--unit", "4", "--json"];
    let alone = done(&backfill(&folder, &local).output().unwrap(), 1);

    let queue = format!("{}/shared", server.url);
    let worker = |name: &str| {
        let args = ["--archive", text(&archive), "--queue", &queue, "--worker"];
        let mut command = backfill(&folder, &args);
        command.args(["--name", name, "--jobs", "1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    // Workers may come before there is anything to do.
    let mut workers = vec![worker("early").spawn().unwrap()];
    let coordinator = [
        "--queue",
        &queue,
        "--coordinate",
        "--chain-id",
        "901",
        "--blocks",
        "1..=120",
        "--unit",
        "4",
        "--lease",
        "2",
        "--json",
    ];
    let coordinator = backfill(&folder, &coordinator)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for (name, after) in [("first", 150), ("second", 300), ("third", 100)] {
        killed(worker(name), Duration::from_millis(after));
    }
    workers.push(worker("late").spawn().unwrap());
    let shared = coordinator.wait_with_output().unwrap();
    assert_eq!(done(&shared, 1), alone);
    for mut worker in workers {
        // Zero, or one for who saw the invalid block.
        assert!(matches!(worker.wait().unwrap().code(), Some(0 | 1)));
    }
}
