//! `breaker`.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mach_devnet::stack::{Stack, StackConfig};
use serde_json::Value;

use crate::mach_cli;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The breaker as a user starts it, in front of a rollup, with the service manager of its L1.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_served_through_the_breaker_until_a_signal() {
    let stack = Stack::start(&StackConfig {
        operators: 1,
        ..StackConfig::default()
    })
    .await
    .unwrap();
    stack.devnet().step().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = stack.devnet().serve(loopback, loopback).await.unwrap();
    let (l1, l2) = (servers.l1.http_url(), servers.l2.http_url());
    let service_manager = stack.deployment().service_manager.to_string();
    let done = tokio::task::spawn_blocking(move || {
        let args = |rollup: &'static str| {
            let l1_args = ["--l1-rpc", &l1, "--service-manager", &service_manager];
            let args = ["breaker", "--upstream", &l2, "--rollup", rollup];
            let rest = ["--listen", "127.0.0.1:0", "--max-l1-age", "0"];
            let all = args.iter().chain(&l1_args).chain(&rest);
            all.map(|it| (*it).to_owned()).collect::<Vec<_>>()
        };
        // Another chain than that of the node.
        let wrong = args("10");
        let output = mach_cli(&wrong.iter().map(String::as_str).collect::<Vec<_>>());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(error.contains("the node is on chain 901"), "{error}");

        let mut child = Running(
            Command::new(env!("CARGO_BIN_EXE_mach-cli"))
                .args(args("901"))
                .env_remove("RUST_LOG")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.strip_prefix("breaker   ").unwrap().to_owned();
        let ask = |path: &str, body: &str| ask(&url, path, body);
        loop {
            let health = ask("/health", "");
            if health["state"] == "serving" {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let answer = ask(
            "/",
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#,
        );
        assert_eq!(answer["result"], "0x1");
        let status = ask("/breaker/status", "");
        assert_eq!(status["policyOnAlert"], "refuse-writes");
        let pid = child.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        child.0.wait().unwrap().code()
    });
    assert_eq!(done.await.unwrap(), Some(0));
}

#[test]
fn what_the_file_and_the_flags_leave_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mach.toml");
    std::fs::write(&file, "[breaker]\nrollup = 901\n").unwrap();
    let output = mach_cli(&["breaker", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("mach.toml: neither its section [breaker]"),
        "{error}"
    );
    for (flag, is_missing) in [
        ("--upstream", true),
        ("--events", true),
        ("--rollup", false),
    ] {
        assert_eq!(error.contains(flag), is_missing, "{flag}: {error}");
    }
}

/// Whoever asks is the breaker; flags beat the environment, and that beats the file.
#[test]
fn alerts_come_from_where_a_flag_says_or_else_the_file() {
    const MANAGER: &str = "0x71a77037870169d47aad6c2C9360861A4C0df2bF";
    #[derive(Debug, PartialEq, Eq)]
    enum Feed {
        Events,
        L1,
    }
    let by_events = "events = \"EVENTS\"\n";
    let by_l1 = format!("service_manager = \"{MANAGER}\"\n");
    // In [l1] and in [breaker], more flags, the environment, and who is asked.
    type Case<'a> = (
        &'a str,
        &'a str,
        &'a [&'a str],
        &'a [(&'a str, &'a str)],
        Feed,
    );
    let cases: [Case<'_>; 8] = [
        ("NOBODY", by_events, &[], &[], Feed::Events),
        (
            "NOBODY",
            by_events,
            &[],
            &[("MACH_L1_RPC", "L1")],
            Feed::Events,
        ),
        (
            "NOBODY",
            by_events,
            &[],
            &[("MACH_L1_RPC", "L1"), ("MACH_SERVICE_MANAGER", MANAGER)],
            Feed::Events,
        ),
        (
            "L1",
            by_events,
            &["--service-manager", MANAGER],
            &[],
            Feed::L1,
        ),
        ("L1", &by_l1, &[], &[], Feed::L1),
        ("NOBODY", &by_l1, &[], &[("MACH_L1_RPC", "L1")], Feed::L1),
        ("NOBODY", &by_l1, &["--l1-rpc", "L1"], &[], Feed::L1),
        (
            "L1",
            &by_l1,
            &[],
            &[("MACH_EVENTS", "EVENTS"), ("MACH_L1_RPC", "L1")],
            Feed::Events,
        ),
    ];
    for (l1_rpc, breaker, flags, environment, expected) in cases {
        let told = format!("{l1_rpc} {breaker} {flags:?} {environment:?}");
        let [events, l1] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        for listener in [&events, &l1] {
            listener.set_nonblocking(true).unwrap();
        }
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let real = |text: &str| {
            let text = text
                .replace("EVENTS", &url(&events))
                .replace("NOBODY", "http://127.0.0.1:1");
            if text == "L1" { url(&l1) } else { text }
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mach.toml");
        let text = format!(
            "[l1]\nrpc = \"{}\"\n[breaker]\nrollup = 901\nlisten = \"127.0.0.1:0\"\n\
             upstream = \"http://127.0.0.1:1\"\n{}",
            real(l1_rpc),
            real(breaker)
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mach-cli"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MACH_") {
                command.env_remove(name);
            }
        }
        let mut child = Running(
            command
                .args(["breaker", "--config", file.to_str().unwrap()])
                .args(flags.iter().map(|it| real(it)))
                .envs(environment.iter().map(|(name, value)| (name, real(value))))
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let is_asked = |listener: &TcpListener| match listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            accepted => accepted.is_ok(),
        };
        let started = Instant::now();
        let asked = loop {
            if is_asked(&events) {
                break Feed::Events;
            }
            if is_asked(&l1) {
                break Feed::L1;
            }
            assert_eq!(child.0.try_wait().unwrap(), None, "{told}");
            assert!(started.elapsed() < Duration::from_secs(60), "{told}");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(asked, expected, "{told}");
    }
}

/// The JSON that is answered to a POST, or without a body to a GET.
fn ask(url: &str, path: &str, body: &str) -> Value {
    let address = url.strip_prefix("http://").unwrap();
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(json).unwrap()
}
