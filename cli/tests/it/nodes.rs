//! `--rpc` with several nodes, and the environment.

use std::process::{Command, Output};

use mach_devnet::{Devnet, Lie};
use mach_verify::source::RpcSource;

use crate::{errors, lines, mach_cli};

#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_have_to_agree_and_need_no_witnesses() {
    let devnet = Devnet::new().unwrap();
    let liar = Devnet::new().unwrap();
    for _ in 0..3 {
        devnet.sequencer().produce().unwrap();
    }
    liar.sequencer().lie_next(Lie::GasUsed);
    for _ in 0..3 {
        liar.sequencer().produce().unwrap();
    }
    let loopback = "127.0.0.1:0".parse().unwrap();
    let honest = devnet.serve(loopback, loopback).await.unwrap();
    let lying = liar.serve(loopback, loopback).await.unwrap();
    let (honest, lying) = (honest.l2.http_url(), lying.l2.http_url());
    let nobody = "http://127.0.0.1:9/key-that-is-secret";
    let call = async |urls: &[&str], more: &[&str]| {
        let urls = urls.join(",");
        let args = [
            &["verify", "--json", "--rpc-retries", "0", "--rpc", &urls],
            more,
        ]
        .concat();
        let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
        tokio::task::spawn_blocking(move || {
            mach_cli(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap()
    };

    // One endpoint is down, and no witness is asked for.
    let proofs = ["--witness", "proofs", "--blocks", "1..=3"];
    let output = call(&[&honest, nobody, &honest], &proofs).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&output).len(), 4);
    assert!(!errors(&output).contains("secret"), "{}", errors(&output));

    // The liar is outvoted, and named where warnings go.
    let output = call(&[&lying, &honest, &honest], &["--blocks", "1..=3"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(
        errors(&output).contains("than the quorum"),
        "{}",
        errors(&output)
    );
    let all = lines(&output);
    let (blocks, rest): (Vec<_>, Vec<_>) =
        (all.iter()).partition(|line| line["verdict"] == "valid");
    assert_eq!(blocks.len(), 3);
    let found: Vec<_> = (rest.iter().map(|line| &line["disagreement"]))
        .filter(|found| !found.is_null())
        .collect();
    assert!(!found.is_empty());
    for found in found {
        assert!(lying.starts_with(found["endpoint"].as_str().unwrap()));
        let block = blocks.iter().find(|line| line["number"] == found["number"]);
        assert_eq!(found["agreed"], block.unwrap()["hash"]);
        assert_ne!(found["said"], found["agreed"]);
    }

    // Without a quorum there is no verdict.
    let output = call(&[&lying, &honest], &["--blocks", "1"]).await;
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output)[0]["error"].to_string();
    assert!(
        error.contains("contradict each other about block 1"),
        "{error}"
    );

    // What keeps the run from beginning is JSON too.
    let output = call(&[nobody], &["--blocks", "1"]).await;
    assert_eq!(output.status.code(), Some(2));
    let error = lines(&output)[0]["error"].to_string();
    assert!(
        error.contains("127.0.0.1:9") && !error.contains("secret"),
        "{error}"
    );
    let output = call(&[&honest], &["--blocks", "1", "--agree", "2"]).await;
    assert_eq!(output.status.code(), Some(2));
}

/// With addresses in the environment, as in a container.
fn with_environment(args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mach-cli"))
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// What the command line names beats what the environment names in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_flag_beats_the_environment_that_it_excludes() {
    let devnet = Devnet::new().unwrap();
    devnet.sequencer().produce().unwrap();
    let source = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, archive) = (path("block.json.gz"), path("blocks.mach"));
    let recorded = source.record(1).await.unwrap();
    recorded.write(&file).unwrap();
    let mut blocks =
        mach_verify::source::Archive::append_to(&archive, recorded.block.chain_id).unwrap();
    blocks.append(&recorded).unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let url = servers.l2.http_url();

    let nobody = "http://127.0.0.1:9/";
    let all = [
        ("MACH_RPC", nobody),
        ("MACH_BLOCKS", "1"),
        ("MACH_ARCHIVE", "no-such-file.mach"),
        ("MACH_PATHS", "no-such-file.json"),
        ("MACH_L1", nobody),
        ("MACH_L1_DEPTH", "3"),
        ("MACH_L1_GENESIS", "no-such-file.json"),
    ];
    let call = async |args: &[&str], environment: Vec<(&'static str, &'static str)>| {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            with_environment(&args, &environment)
        })
        .await
        .unwrap()
    };
    for args in [
        &["verify", "--json", &file][..],
        &["verify", "--json", "--archive", &archive],
        &[
            "backfill",
            "--json",
            "--archive",
            &archive,
            "--checkpoint",
            &path("a.redb"),
        ],
    ] {
        let output = call(args, all.to_vec()).await;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{args:?}: {}",
            errors(&output)
        );
        assert_eq!(lines(&output).pop().unwrap()["valid"], 1, "{args:?}");
    }
    // Of what is not excluded, the environment holds.
    let others = |names: &[&str]| -> Vec<_> {
        let is_other = |(name, _): &(&str, &str)| !names.contains(name);
        all.into_iter().filter(is_other).collect()
    };
    let l1 = ["MACH_L1", "MACH_L1_DEPTH", "MACH_L1_GENESIS"];
    let output = call(&["verify", "--json", "--rpc", &url], others(&l1)).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&output).pop().unwrap()["valid"], 1);
    // Two flags, or two of the environment, exclude each other as before.
    let output = call(&["verify", "--rpc", &url, &file], Vec::new()).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("cannot be used with"),
        "{}",
        errors(&output)
    );
    let output = call(&["verify"], others(&l1)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("cannot be used with"),
        "{}",
        errors(&output)
    );
    let output = call(&["verify", "--rpc", &url], Vec::new()).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--blocks"), "{}", errors(&output));
    let output = call(&["record", "--blocks", "1"], Vec::new()).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--rpc"), "{}", errors(&output));
}
