//! `derive`, on a devnet whose batcher posts to its L1.

use std::process::Output;

use mach_devnet::{Devnet, DevnetServers, Lie};
use tempfile::TempDir;

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

    fn derive(&self, more: &[&str]) -> Output {
        let config = self.folder.path().join("rollup.json");
        let (l1, l2) = (self.servers.l1.http_url(), self.servers.l2.http_url());
        let args = [
            "derive",
            "--json",
            "--l1",
            &l1,
            "--l2",
            &l2,
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
    let output = served.derive(&["--beacon", &beacon]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let all = lines(&output);
    let last = &all[all.len() - 2];
    assert_eq!(last["number"], lying);
    assert_eq!(last["fault"]["rule"], "batchTransactions");
}
