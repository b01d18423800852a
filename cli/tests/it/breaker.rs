//! `breaker`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
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
