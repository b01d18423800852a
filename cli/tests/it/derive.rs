//! `derive`, on a devnet whose batcher posts to its L1.

use std::{net::SocketAddr, process::Output};

use mach_devnet::{Devnet, DevnetServers, Lie};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{errors, lines, mach_cli};

struct Served {
    devnet: Devnet,
    servers: DevnetServers,
    folder: TempDir,
}

impl Served {
    async fn new(devnet: Devnet) -> Self {
        let local = ([127, 0, 0, 1], 0).into();
        let servers = devnet.serve(local, local).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::to_vec(&devnet.rollup().config).unwrap();
        std::fs::write(folder.path().join("rollup.json"), config).unwrap();
        Self {
            devnet,
            servers,
            folder,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn derive(&self, more: &[&str]) -> Output {
        self.derive_from(&self.servers.l2.http_url(), more)
    }

    /// The rollup from another node.
    fn derive_from(&self, l2: &str, more: &[&str]) -> Output {
        let config = self.folder.path().join("rollup.json");
        let l1 = self.servers.l1.http_url();
        let args = [
            "derive",
            "--json",
            "--l1",
            &l1,
            "--l2",
            l2,
            "--rollup-config",
            config.to_str().unwrap(),
            "--l1-head",
            "latest",
        ];
        mach_cli(&[&args[..], more].concat())
    }
}

fn publish(devnet: &Devnet) {
    devnet.publish().unwrap();
    devnet.l1().mine().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_derived_as_far_as_they_are_posted() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..9 {
        devnet.step().unwrap();
    }
    publish(&devnet);
    let served = Served::new(devnet).await;
    let beacon = served.servers.l1.http_url();
    let output = served.derive(&["--beacon", &beacon]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let all = lines(&output);
    assert_eq!(all.len(), 10);
    for line in &all[..9] {
        assert_eq!(line["summary"]["assurance"], "derived", "{line}");
    }
    // A range, from its own start.
    let output = served.derive(&["--beacon", &beacon, "--blocks", "4..=6"]);
    let numbers: Vec<_> = lines(&output)[..3]
        .iter()
        .map(|it| it["number"].clone())
        .collect();
    assert_eq!(numbers, [4, 5, 6]);
    // Blobs are needed, and a block that is not posted is no verdict.
    let output = served.derive(&[]);
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output)[0]["error"].to_string();
    assert!(error.contains("--beacon"), "{error}");
    served.devnet.sequencer().produce().unwrap();
    let output = served.derive(&["--beacon", &beacon, "--blocks", "9..=10"]);
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batcher_that_left_something_out_is_an_invalid_block() {
    let devnet = Devnet::new().unwrap();
    devnet.step().unwrap();
    devnet.sequencer().lie_next(Lie::BatchDropped);
    devnet.step().unwrap();
    let lying = devnet.l2().head();
    devnet.step().unwrap();
    publish(&devnet);
    let served = Served::new(devnet).await;
    let beacon = served.servers.l1.http_url();
    let folder = served.path("evidence");
    let output = served.derive(&["--beacon", &beacon, "--evidence", &folder]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let all = lines(&output);
    let last = &all[all.len() - 2];
    assert_eq!(last["number"], lying);
    assert_eq!(last["fault"]["rule"], "batchTransactions");

    // Anybody finds the same again, without an endpoint.
    let bundle = last["evidence"].as_str().unwrap();
    drop(served.servers);
    let output = mach_cli(&["verify", "--json", bundle]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let replayed = &lines(&output)[0];
    assert_eq!(replayed["fault"], last["fault"]);
    assert_eq!(replayed["hash"], last["hash"]);
    let note = replayed["note"].as_str().unwrap();
    assert!(note.contains("rollup.json of the bundle"), "{note}");
    // And by a configuration of his own, which may say otherwise.
    let config = served.folder.path().join("rollup.json");
    let config = config.to_str().unwrap();
    let output = mach_cli(&["verify", "--json", bundle, "--rollup-config", config]);
    let replayed = &lines(&output)[0];
    assert_eq!(replayed["fault"], last["fault"]);
    let note = replayed["note"].as_str().unwrap();
    assert!(!note.contains("rollup.json"), "{note}");
    let mut other: serde_json::Value =
        serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    other["batch_inbox_address"] = "0x00000000000000000000000000000000000000aa".into();
    std::fs::write(config, serde_json::to_vec(&other).unwrap()).unwrap();
    let output = mach_cli(&["verify", "--json", bundle, "--rollup-config", config]);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
}

/// It follows from L1, and execution gives something else: what is built on it is not printed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_blocks_behind_an_invalid_one() {
    let devnet = Devnet::new().unwrap();
    devnet.step().unwrap();
    devnet.sequencer().lie_next(Lie::StateRoot);
    devnet.step().unwrap();
    let lying = devnet.l2().head();
    for _ in 0..3 {
        devnet.step().unwrap();
    }
    publish(&devnet);
    let served = Served::new(devnet).await;
    let beacon = served.servers.l1.http_url();
    let output = served.derive(&["--beacon", &beacon]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let all = lines(&output);
    let last = &all[all.len() - 2];
    assert_eq!(last["number"], lying);
    assert_eq!(last["fault"]["rule"], "stateRoot");
}

/// A node that serves blocks, and no witness of one of them.
async fn without_witness(node: SocketAddr, block: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, node, format!("\"0x{block:x}\"")));
        }
    });
    address
}

/// One request, passed on as it is.
async fn relay(client: TcpStream, node: SocketAddr, block: String) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await?;
    let text = String::from_utf8_lossy(&body);
    let mut methods = ["debug_executionWitness", "eth_getProof"].iter();
    let head = |length: usize| {
        format!(
            "Host: {node}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        )
    };
    let mut answer = Vec::new();
    if text.contains(&block) && methods.any(|method| text.contains(method)) {
        let calls: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let error = |call: &serde_json::Value| {
            let error = serde_json::json!({ "code": -32000, "message": "the state is gone" });
            serde_json::json!({ "jsonrpc": "2.0", "id": call["id"], "error": error })
        };
        let said = match calls.as_array() {
            Some(calls) => calls.iter().map(error).collect::<Vec<_>>().into(),
            None => error(&calls),
        };
        let said = said.to_string();
        answer.extend(format!("HTTP/1.1 200 OK\r\n{}{said}", head(said.len())).into_bytes());
    } else {
        let mut node = TcpStream::connect(node).await?;
        let request = format!("POST / HTTP/1.1\r\n{}", head(length));
        node.write_all(request.as_bytes()).await?;
        node.write_all(&body).await?;
        node.read_to_end(&mut answer).await?;
    }
    client.write_all(&answer).await
}

/// It follows from L1, and whether it executes is not known: nor is it of what is built on it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_blocks_behind_one_without_a_verdict() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..6 {
        devnet.step().unwrap();
    }
    publish(&devnet);
    let served = Served::new(devnet).await;
    let beacon = served.servers.l1.http_url();
    let node = served.servers.l2.http_url();
    let node = node.strip_prefix("http://").unwrap().parse().unwrap();
    let node = format!("http://{}", without_witness(node, 4).await);
    let args = [
        "--beacon",
        &beacon,
        "--rpc-retries",
        "0",
        "--blocks",
        "1..=6",
    ];
    let output = served.derive_from(&node, &args);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    let all = lines(&output);
    let numbers: Vec<_> = all
        .iter()
        .filter_map(|row| row["number"].as_u64())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(all[3]["error"].is_string(), "{}", all[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_run_goes_on_behind_the_checkpoint() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..9 {
        devnet.step().unwrap();
    }
    publish(&devnet);
    let served = Served::new(devnet).await;
    let beacon = served.servers.l1.http_url();
    let file = served.path("derived.json");
    let go = |more: &[&str]| {
        let args = ["--beacon", &beacon, "--checkpoint", &file];
        served.derive(&[&args[..], more].concat())
    };
    let numbers = |output: &Output| -> Vec<u64> {
        let rows = lines(output);
        rows.iter()
            .filter_map(|row| row["number"].as_u64())
            .collect()
    };
    let output = go(&["--blocks", "1..=4"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let output = go(&["--blocks", "1..=6"]);
    assert_eq!(numbers(&output), [5, 6]);
    let output = go(&["--blocks", "2..=6"]);
    assert_eq!((output.status.code(), numbers(&output)), (Some(0), vec![]));
    assert_eq!(numbers(&go(&[])), [7, 8, 9]);

    // What is on another chain is not gone on with.
    let mut checkpoint: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(checkpoint["number"], 9);
    checkpoint["hash"] = format!("0x{}", "11".repeat(32)).into();
    std::fs::write(&file, serde_json::to_vec(&checkpoint).unwrap()).unwrap();
    let output = go(&[]);
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output)[0]["error"].to_string();
    assert!(error.contains("reorganised"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let served = Served::new(Devnet::new().unwrap()).await;
    let (l1, l2) = (served.servers.l1.http_url(), served.servers.l2.http_url());
    let output = mach_cli(&["derive", "--json", "--l1", &l1, "--l2", &l2]);
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output)[0]["error"].to_string();
    assert!(error.contains("--rollup-config"), "{error}");
    // L1 and L2 exchanged.
    let config = served.path("rollup.json");
    let args = [
        "derive",
        "--l1",
        &l2,
        "--l2",
        &l2,
        "--rollup-config",
        &config,
    ];
    let output = mach_cli(&args);
    assert_eq!(output.status.code(), Some(2));
    let error = errors(&output);
    assert!(error.contains("--l1") && error.contains("chain"), "{error}");
    let output = mach_cli(&["derive", "--l2", &l2]);
    assert_eq!(output.status.code(), Some(2));
}
