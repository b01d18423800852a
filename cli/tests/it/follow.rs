//! `follow`.

use mach_devnet::{Devnet, Lie};
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

    // Meanwhile the block that was remembered has gone.
    devnet.l2().rewind(6).unwrap();
    devnet.sequencer().produce().unwrap();
    devnet.sequencer().produce().unwrap();
    let (code, told, errors) = run(&["--to", "8"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(numbers(&told).last(), Some(&8));
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
    let following = tokio::spawn(async move { follow(&url, &["--from", "1", "--to", "9"]).await });
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    devnet.l2().rewind(3).unwrap();
    let deposit = mach_devnet::UserDeposit::ether(Default::default(), 5);
    devnet.sequencer().deposit(deposit).unwrap();
    for _ in 4..=9 {
        devnet.sequencer().produce().unwrap();
    }
    let (code, told, errors) = following.await.unwrap();
    assert_eq!(code, Some(0), "{errors}");
    let reorg = told.iter().find(|line| line["reorg"].is_object()).unwrap();
    assert_eq!(reorg["reorg"]["fork"], 3);
    assert_eq!(numbers(&told), [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9]);
    assert_eq!(told.last().unwrap()["reorgs"], 1);
}
