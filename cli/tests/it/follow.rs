//! `follow`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use mach_devnet::{Devnet, DevnetServers, Lie};
use serde_json::Value;

use crate::{errors, lines, mach_cli};

/// The command with `--json`, on a thread of its own, since the devnet answers on this one.
async fn follow(url: &str, args: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut all = vec!["follow", "--json", "--poll-interval", "20", "--rpc", url];
    all.extend(args);
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let output = tokio::task::spawn_blocking(move || {
        mach_cli(&all.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let output = output.await.unwrap();
    (output.status.code(), lines(&output), errors(&output))
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines
        .iter()
        .filter_map(|line| line["number"].as_u64())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_followed_through_lies_and_taken_up_again() {
    let devnet = Devnet::new().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let url = servers.l2.http_url();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (progress, evidence) = (path("l2.progress"), path("evidence"));
    for _ in 0..4 {
        devnet.sequencer().produce().unwrap();
    }
    let resumable = ["--progress", &progress, "--evidence", &evidence];
    let with = |args: &[&'static str]| -> Vec<String> {
        let all = args.iter().chain(&resumable);
        all.map(|it| (*it).to_owned()).collect()
    };
    let run = async |args: &[&'static str]| {
        let args = with(args);
        follow(&url, &args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    let (code, told, errors) = run(&["--from", "1", "--to", "3"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(numbers(&told), [1, 2, 3]);
    assert!(told[..3].iter().all(|line| line["verdict"] == "valid"));
    assert_eq!(
        (&told[3]["valid"], &told[3]["reorgs"]),
        (&3.into(), &0.into())
    );

    // The next run goes on, over blocks that are not there yet.
    devnet.sequencer().lie_next(Lie::ReceiptsRoot);
    let making = tokio::spawn({
        let sequencer = devnet.sequencer().clone();
        async move {
            for _ in 0..3 {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                sequencer.produce().unwrap();
            }
        }
    });
    let (code, told, errors) = run(&["--to", "7"]).await;
    making.await.unwrap();
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(numbers(&told), [4, 5, 6, 7]);
    assert_eq!(told[1]["fault"]["rule"], "receiptsRoot");
    let bundle = told[1]["evidence"].as_str().unwrap().to_owned();
    let replayed =
        tokio::task::spawn_blocking(move || mach_cli(&["verify", "--json", &bundle])).await;
    assert_eq!(replayed.unwrap().status.code(), Some(1));

    // Meanwhile the block that was remembered has gone: what was not final is verified again, and the
    // lie with it.
    devnet.l2().rewind(6).unwrap();
    devnet.sequencer().produce().unwrap();
    devnet.sequencer().produce().unwrap();
    let remembered: Value = serde_json::from_slice(&std::fs::read(&progress).unwrap()).unwrap();
    assert_eq!(remembered["number"], 7);
    let finalized = remembered["finalized"].as_u64().unwrap();
    assert!(finalized < 5);
    let (code, told, errors) = run(&["--to", "8"]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(numbers(&told), (finalized + 1..=8).collect::<Vec<_>>());

    // Nobody knows what was final then.
    let gone = serde_json::json!({
        "chainId": remembered["chainId"],
        "number": 7,
        "hash": remembered["hash"],
    });
    std::fs::write(&progress, gone.to_string()).unwrap();
    let (code, told, _) = run(&["--to", "8"]).await;
    assert_eq!(code, Some(2));
    let error = told[0]["error"].as_str().unwrap();
    assert!(error.contains("say with --from where to begin"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_is_told() {
    let devnet = Devnet::new().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let url = servers.l2.http_url();
    for _ in 0..6 {
        devnet.sequencer().produce().unwrap();
    }
    let following = beside(move || {
        let mut running = Running::start(&url, &["--from", "1", "--to", "9"]);
        let told: Vec<Value> = (1..=6).map(|_| running.next()).collect();
        (running, told)
    });
    let (running, mut told) = following.await;
    assert_eq!(numbers(&told), [1, 2, 3, 4, 5, 6]);
    devnet.l2().rewind(3).unwrap();
    let deposit = mach_devnet::UserDeposit::ether(Default::default(), 5);
    devnet.sequencer().deposit(deposit).unwrap();
    for _ in 4..=9 {
        devnet.sequencer().produce().unwrap();
    }
    let (code, rest) = beside(|| running.rest()).await;
    assert_eq!(code, Some(0), "{rest:?}");
    told.extend(rest);
    let reorg = told.iter().find(|line| line["reorg"].is_object()).unwrap();
    assert_eq!(reorg["reorg"]["fork"], 3);
    assert_eq!(numbers(&told), [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9]);
    assert_eq!(told.last().unwrap()["reorgs"], 1);
}

/// A run without an end, whose lines are read as they come.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(url: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mach-cli"))
            .args(["follow", "--json", "--poll-interval", "20", "--rpc", url])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// Sends a signal. Returns the exit code and what was said after that.
    fn end(self, signal: &str) -> (Option<i32>, Vec<Value>) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
        self.rest()
    }

    /// The exit code, and what is said until then.
    fn rest(mut self) -> (Option<i32>, Vec<Value>) {
        let rest = self
            .lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        let rest = rest.collect();
        (self.child.wait().unwrap().code(), rest)
    }

    /// Whether it would hear Ctrl-C, which ends it at once before that.
    fn hears(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 0x2 != 0
    }
}

async fn served(blocks: u64) -> (Devnet, DevnetServers) {
    let devnet = Devnet::new().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    for _ in 0..blocks {
        devnet.sequencer().produce().unwrap();
    }
    (devnet, servers)
}

async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Nothing else ends these runs: the chain stands, and no last block is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_with_the_totals() {
    let (_devnet, servers) = served(3).await;
    let url = servers.l2.http_url();
    beside(move || {
        for signal in ["-INT", "-TERM"] {
            let mut running = Running::start(&url, &["--from", "1"]);
            for number in 1..=3 {
                assert_eq!(running.next()["number"], number);
            }
            let (code, rest) = running.end(signal);
            assert_eq!(code, Some(0), "{signal}");
            assert_eq!(rest.last().unwrap()["valid"], 3, "{signal}: {rest:?}");
        }
        // Several endpoints that agree are followed as one.
        let urls = format!("{url},{url}");
        let mut running = Running::start(&urls, &["--from", "3"]);
        assert_eq!(running.next()["verdict"], "valid");
        assert_eq!(running.end("-INT").0, Some(0));
    })
    .await;
}

/// A node that is gone is told of, and is no success.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_told_of() {
    let (devnet, servers) = served(2).await;
    let url = servers.l2.http_url();
    let mut running = beside(move || {
        let args = ["--from", "1", "--rpc-retries", "0", "--rpc-timeout", "10"];
        let mut running = Running::start(&url, &args);
        assert_eq!(running.next()["number"], 1);
        assert_eq!(running.next()["number"], 2);
        running
    })
    .await;
    drop((devnet, servers));
    beside(move || {
        let told = running.next();
        assert!(
            told["head"].is_null() && told["error"].is_string(),
            "{told}"
        );
        let (code, rest) = running.end("-TERM");
        assert_eq!(code, Some(2));
        assert_eq!(rest.last().unwrap()["valid"], 2);
    })
    .await;
}

/// Nor is a run in which nothing was verified, or that is asked for what is behind it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_not_valid() {
    let (_devnet, servers) = served(2).await;
    let url = servers.l2.http_url();
    beside(move || {
        let running = Running::start(&url, &["--from", "99"]);
        while !running.hears() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(1500));
        let (code, rest) = running.end("-INT");
        assert_eq!(code, Some(2));
        assert_eq!(rest.last().unwrap()["blocks"], 0);
    })
    .await;
    let (code, told, _) = follow(&servers.l2.http_url(), &["--from", "2", "--to", "1"]).await;
    assert_eq!(code, Some(2));
    assert_eq!(told[0]["error"], "block 2 is next, and --to is 1");
}
