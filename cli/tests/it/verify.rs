//! `verify` and `record`.

use std::{path::Path, process::Output};

use alloy_consensus::{EMPTY_ROOT_HASH, Header, SignableTransaction, TxEip1559, TxEnvelope};
use alloy_network::eip2718::Encodable2718;
use alloy_primitives::{TxKind, U256, hex, keccak256};
use alloy_signer::SignerSync;
use mach_core::{
    Fault, L2Block,
    ports::{BlockValidator, L2Source},
};
use mach_devnet::{
    DEV_ACCOUNTS, DISPUTE_GAME_FACTORY, Devnet, DevnetConfig, L2_OUTPUT_ORACLE, Lie,
};
use mach_verify::{
    EvidenceFolder, Witness,
    cross_check::CrossCheckValidator,
    source::{Archive, RecordedBlock, RpcSource},
};
use serde_json::{Value, json};

use crate::{errors, lines, mach_cli};

/// A devnet's next block with its witness.
async fn record(devnet: &Devnet) -> RecordedBlock {
    let number = devnet.sequencer().produce().unwrap();
    let source = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    source.record(number).await.unwrap()
}

fn verify(folder: &Path) -> Output {
    mach_cli(&["verify", "--json", folder.to_str().unwrap()])
}

#[tokio::test]
async fn the_exit_code_says_what_became_of_the_blocks() {
    let devnet = Devnet::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |recorded: &RecordedBlock| {
        recorded
            .write(folder.path().join(recorded.file_name()))
            .unwrap();
    };
    put(&record(&devnet).await);
    put(&record(&devnet).await);
    let output = verify(folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let all = lines(&output);
    assert_eq!(all.len(), 3);
    assert!(all[..2].iter().all(|line| line["verdict"] == "valid"));
    assert_eq!(
        (&all[2]["blocks"], &all[2]["valid"]),
        (&2.into(), &2.into())
    );

    devnet.sequencer().lie_next(Lie::GasUsed);
    put(&record(&devnet).await);
    let output = verify(folder.path());
    assert_eq!(output.status.code(), Some(1));
    let all = lines(&output);
    let invalid: Vec<_> = all
        .iter()
        .filter(|line| line["verdict"] == "invalid")
        .collect();
    assert_eq!(invalid.len(), 1);
    assert_eq!(invalid[0]["fault"]["rule"], "gasUsed");
    assert_eq!(invalid[0]["number"], 3);
}

/// Of a file, an archive and a node: the same bundle, which says the same when it is verified.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_block_leaves_evidence_that_is_verified_again() {
    let devnet = Devnet::new().unwrap();
    record(&devnet).await;
    devnet.sequencer().lie_next(Lie::ReceiptsRoot);
    let lie = record(&devnet).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, archive) = (path("block.json.gz"), path("blocks.mach"));
    lie.write(&file).unwrap();
    let mut blocks = Archive::append_to(&archive, lie.block.chain_id).unwrap();
    blocks.append(&lie).unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let url = servers.l2.http_url();

    let mut bundles = Vec::new();
    let inputs: [&[&str]; 3] = [
        &[&file],
        &["--archive", &archive],
        &["--rpc", &url, "--blocks", "2"],
    ];
    for (index, input) in inputs.into_iter().enumerate() {
        let out = path(&format!("evidence-{index}"));
        let args = [&["verify", "--json", "--evidence", &out], input].concat();
        let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
        let output = tokio::task::spawn_blocking(move || {
            mach_cli(&args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        let found = lines(&output).remove(0);
        let bundle = found["evidence"].as_str().unwrap().to_owned();
        assert!(bundle.starts_with(&out) && bundle.contains("-receiptsRoot-"));

        // The chain is gone for all that this run knows, and the verdict is the same.
        let output = mach_cli(&["verify", "--json", &bundle]);
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        let again = lines(&output).remove(0);
        assert_eq!(again["fault"].to_string(), found["fault"].to_string());
        bundles.push(bundle);
    }
    let output = mach_cli(&["verify", &bundles[0]]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("INVALID  block 2"), "{text}");

    // Half a bundle is no accusation.
    let whole = std::fs::read(&bundles[0]).unwrap();
    std::fs::write(&bundles[0], &whole[..whole.len() / 2]).unwrap();
    assert_eq!(mach_cli(&["verify", &bundles[0]]).status.code(), Some(2));
}

#[tokio::test]
async fn a_damaged_or_lying_file_is_named_and_accuses_nobody() {
    let devnet = Devnet::new().unwrap();
    let good = record(&devnet).await;
    let json: Value = serde_json::from_slice(&good.to_json()).unwrap();
    let with = |field: &str, value: Value| {
        let mut json = json.clone();
        json[field] = value;
        serde_json::to_vec(&json).unwrap()
    };
    // The header with its hash, and a body that it does not commit to.
    let mut foreign: L2Block = good.block.clone();
    foreign.transactions.pop();
    let foreign = RecordedBlock {
        block: foreign,
        ..good.clone()
    };
    let mut poor = good.clone();
    poor.witness.state.clear();

    let whole = good.to_json();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        (
            "truncated",
            whole[..whole.len() / 2].to_vec(),
            "not a JSON object",
        ),
        ("empty", Vec::new(), "not a JSON object"),
        (
            "mistyped",
            with("gas_used", "much".into()),
            "block 1: field gas_used is malformed",
        ),
        (
            "other hash",
            with("hash", format!("0x{}", "11".repeat(32)).into()),
            "block 1: field hash is 0x1111",
        ),
        (
            "other height",
            with("number", 7.into()),
            "block 7: field number is 7, the block says 1",
        ),
        (
            "no block",
            with("block_rlp", "0xc0".into()),
            "block 1: field block_rlp is malformed",
        ),
        (
            "unknown chain",
            with("chain_id", 424_242.into()),
            "chain 424242 are not built in",
        ),
        (
            "foreign body",
            foreign.to_json(),
            "block 1: transactions cannot be judged",
        ),
        ("no witness", poor.to_json(), "block 1"),
    ];
    for (name, bytes, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("block.json"), bytes).unwrap();
        let output = verify(folder.path());
        assert_eq!(output.status.code(), Some(2), "{name}: {}", errors(&output));
        let line = &lines(&output)[0];
        assert_eq!(line["verdict"], Value::Null, "{name}");
        let error = line["error"].as_str().unwrap();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn what_cannot_be_done_is_said_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["verify", empty], "holds neither recorded blocks"),
        (&["verify", "no-such-file.json"], "no-such-file.json"),
        (&["verify"], "required"),
        (
            &["verify", "--rpc", "http://127.0.0.1:1", "--blocks", "5..3"],
            "the range is empty",
        ),
        (
            &["verify", "--rpc", "http://127.0.0.1:1", "--blocks", "1"],
            "source request failed",
        ),
        (
            &["devnet", "--lie", "truth"],
            "[possible values: state-root,",
        ),
    ];
    for (args, expected) in cases {
        let output = mach_cli(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = errors(&output);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_verified_and_recorded_over_rpc() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..3 {
        devnet.sequencer().produce().unwrap();
    }
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let url = servers.l2.http_url();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("blocks");
    let out = out.to_str().unwrap().to_owned();
    let run = move |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        mach_cli(&args)
    };
    let call = async |args: &[&str]| {
        let args = args.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || run(args))
            .await
            .unwrap()
    };

    let output = call(&["verify", "--json", "--rpc", &url, "--blocks", "1..=3"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let output = call(&["verify", "--json", "--rpc", &url, "--blocks", "3..=4"]).await;
    assert_eq!(output.status.code(), Some(2), "block 4 is not there yet");
    assert!(
        lines(&output)[1]["error"]
            .as_str()
            .unwrap()
            .contains("block 4 is not available yet")
    );

    let output = call(&["record", "--rpc", &url, "--blocks", "1..=2", "--out", &out]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    // What is there is kept: the second run goes on where the first stopped.
    let output = call(&["record", "--rpc", &url, "--blocks", "1..=3", "--out", &out]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("1 blocks written") && text.ends_with("2 were there\n"),
        "{text}"
    );
    assert_eq!(call(&["verify", &out]).await.status.code(), Some(0));

    // A node of another branch, before and behind what is there.
    let other = DevnetConfig {
        genesis_timestamp: DevnetConfig::default().genesis_timestamp + 12,
        ..Default::default()
    };
    let other = other.build().unwrap();
    for _ in 1..=4 {
        other.sequencer().produce().unwrap();
    }
    let foreign = other.serve(loopback, loopback).await.unwrap();
    let foreign = foreign.l2.http_url();
    std::fs::remove_file(folder.path().join("blocks/901-1.json.gz")).unwrap();
    for block in ["4", "1"] {
        let args = [
            "record", "--rpc", &foreign, "--blocks", block, "--out", &out,
        ];
        let output = call(&args).await;
        assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
        assert!(errors(&output).contains("the chain was reorganised"));
    }

    let archive = folder.path().join("blocks.mach");
    let archive = archive.to_str().unwrap();
    for (blocks, told) in [("1..=2", "2 blocks written"), ("1..=3", "1 blocks written")] {
        let args = [
            "record",
            "--rpc",
            &url,
            "--blocks",
            blocks,
            "--archive",
            archive,
        ];
        let text = String::from_utf8(call(&args).await.stdout).unwrap();
        assert!(text.starts_with(told), "{text}");
    }
    let output = call(&["verify", "--json", "--archive", archive]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&output).pop().unwrap()["valid"], 3);
    let some = [
        "verify",
        "--json",
        "--archive",
        archive,
        "--blocks",
        "2..=4",
    ];
    let output = call(&some).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("block 4 is not in"),
        "{}",
        errors(&output)
    );
}

/// An honest proposal and a lie on L1, in both contracts; the lie's bundle is verified again.
#[tokio::test(flavor = "multi_thread")]
async fn proposals_on_l1_are_compared_with_their_blocks() {
    let devnet = Devnet::new().unwrap();
    devnet.l1().increase_time(3_600);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let (l1, rpc) = (servers.l1.http_url(), servers.l2.http_url());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap().to_owned();
    let verify = async |contract: [String; 2]| {
        let common = [
            "proposals",
            "--json",
            "--rpc",
            &rpc,
            "--l1",
            &l1,
            "--from",
            "0",
            "--confirmations",
            "0",
            "--evidence",
            &out,
        ];
        let common = common.map(str::to_owned);
        let args: Vec<_> = common.into_iter().chain(contract).collect();
        tokio::task::spawn_blocking(move || {
            mach_cli(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap()
    };
    let contracts = || {
        [
            ["--oracle".to_owned(), L2_OUTPUT_ORACLE.to_string()],
            ["--games".to_owned(), DISPUTE_GAME_FACTORY.to_string()],
        ]
    };
    for (lie, code) in [(None, 0), (Some(Lie::OutputRoot), 1)] {
        for _ in 1..devnet.proposer().interval() {
            devnet.sequencer().produce().unwrap();
        }
        if let Some(lie) = lie {
            devnet.sequencer().lie_next(lie);
        }
        let number = devnet.sequencer().produce().unwrap();
        devnet.proposer().propose(number).unwrap();
        for contract in contracts() {
            let output = verify(contract).await;
            assert_eq!(output.status.code(), Some(code), "{}", errors(&output));
            let last = lines(&output).into_iter().nth_back(1).unwrap();
            assert_eq!(last["number"], number);
            if lie.is_none() {
                assert_eq!(last["verdict"], "valid");
                continue;
            }
            assert_eq!(last["fault"]["rule"], "outputRoot");
            let bundle = last["evidence"].as_str().unwrap();
            let output = mach_cli(&["verify", "--json", bundle]);
            assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
            let again = lines(&output).remove(0);
            assert_eq!(again["fault"], last["fault"]);
            let note = again["note"].as_str().unwrap();
            assert!(note.contains("if the block was published"), "{note}");
            assert!(note.contains("if this proposal was made"), "{note}");
        }
    }
    // Two contracts, and none.
    let both = contracts().concat();
    let both = [&both[0], &both[1], &both[2], &both[3]].map(String::as_str);
    for contract in [&both[..], &[]] {
        let args = [
            &["proposals", "--rpc", &rpc, "--l1", &l1, "--from", "0"],
            contract,
        ]
        .concat();
        assert_eq!(mach_cli(&args).status.code(), Some(2));
    }
}

/// Its transaction calls another contract, and so does not say which block the game is about.
#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_cannot_be_compared_does_not_pass_for_right() {
    let devnet = Devnet::new().unwrap();
    devnet.l1().increase_time(3_600);
    for _ in 0..devnet.proposer().interval() {
        devnet.sequencer().produce().unwrap();
    }
    (devnet.proposer().propose(devnet.l2().head())).unwrap();
    // The init code of a contract: it calls the factory with what stands behind it.
    let mut call = keccak256("create(uint32,bytes32,bytes)")[..4].to_vec();
    for word in [0, 7, 96, 32, 1] {
        call.extend(U256::from(word).to_be_bytes::<32>());
    }
    let code = [
        // The call behind these 41 bytes into memory, and off to the factory.
        &hex!("60a460296000396000600060a46000600073")[..],
        DISPUTE_GAME_FACTORY.as_slice(),
        &hex!("5af100"),
        &call,
    ]
    .concat();
    let account = &DEV_ACCOUNTS[3];
    let transaction = TxEip1559 {
        chain_id: devnet.l1().chain_id(),
        nonce: devnet.l1().pending_nonce(account.address).unwrap(),
        gas_limit: 5_000_000,
        max_fee_per_gas: 1_000_000_000_000,
        to: TxKind::Create,
        input: code.into(),
        ..Default::default()
    };
    let signature = account
        .signer()
        .sign_hash_sync(&transaction.signature_hash());
    let transaction = TxEnvelope::from(transaction.into_signed(signature.unwrap()));
    (devnet
        .l1()
        .send_raw_transaction(&transaction.encoded_2718()))
    .unwrap();

    let loopback = "127.0.0.1:0".parse().unwrap();
    let servers = devnet.serve(loopback, loopback).await.unwrap();
    let (l1, rpc) = (servers.l1.http_url(), servers.l2.http_url());
    let output = tokio::task::spawn_blocking(move || {
        let games = DISPUTE_GAME_FACTORY.to_string();
        let args = [
            "proposals",
            "--json",
            "--rpc",
            &rpc,
            "--l1",
            &l1,
            "--from",
            "0",
        ];
        mach_cli(&[&args[..], &["--games", &games]].concat())
    });
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    let all = lines(&output);
    assert_eq!(all[0]["verdict"], "valid");
    assert_eq!(all[1]["verdict"], Value::Null);
    let error = all[1]["error"].as_str().unwrap();
    assert!(
        error.starts_with("1 games were created by another contract"),
        "{error}"
    );
    assert_eq!(
        (&all[2]["valid"], &all[2]["undecided"]),
        (&1.into(), &1.into())
    );
}

/// Rules of a chain that is not built in: from its rollup.json, and from neither file if they
/// contradict each other.
#[test]
fn a_rollup_config_gives_the_rules_of_a_chain() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, json: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, json.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // An empty block on an empty state, Canyon from the first block.
    let parent = Header {
        state_root: EMPTY_ROOT_HASH,
        gas_limit: 30_000_000,
        gas_used: 5_000_000,
        base_fee_per_gas: Some(1_000_000_000),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        ..Default::default()
    };
    let child = Header {
        parent_hash: parent.hash_slow(),
        number: 1,
        timestamp: 2,
        gas_used: 0,
        ..parent.clone()
    };
    let block = RecordedBlock {
        block: L2Block::new(424_242, child, vec![]),
        witness: Witness {
            headers: vec![alloy_rlp::encode(&parent).into()],
            ..Default::default()
        },
        source: None,
    };
    let file = folder.path().join("block.json");
    block.write(&file).unwrap();
    let file = file.to_str().unwrap();

    let zero = format!("0x{}", "00".repeat(20));
    let root = format!("0x{}", "00".repeat(32));
    let mut config = json!({
        "genesis": {
            "l1": {"hash": root, "number": 0}, "l2": {"hash": root, "number": 0}, "l2_time": 0,
            "system_config": {
                "batcherAddr": zero, "overhead": root, "scalar": root, "gasLimit": 30_000_000
            }
        },
        "block_time": 2, "max_sequencer_drift": 600, "seq_window_size": 3600,
        "channel_timeout": 300, "l1_chain_id": 1, "l2_chain_id": 424_242,
        "regolith_time": 0, "canyon_time": 0,
        "batch_inbox_address": zero, "deposit_contract_address": zero,
        "l1_system_config_address": zero,
        "chain_op_config": {"eip1559Elasticity": 6, "eip1559Denominator": 250,
            "eip1559DenominatorCanyon": 250}
    });
    let genesis = json!({
        "config": {"chainId": 424_242, "bedrockBlock": 0, "regolithTime": 0, "canyonTime": 0,
            "optimism": {"eip1559Elasticity": 6, "eip1559Denominator": 250}},
        "difficulty": "0x0", "gasLimit": "0x1c9c380", "alloc": {}
    });
    let rollup = write("rollup.json", &config);
    let genesis = write("genesis.json", &genesis);
    let verify = |rules: &[&str]| {
        let args = [&["verify", "--json", file], rules].concat();
        mach_cli(&args)
    };
    for rules in [
        &["--rollup-config", &rollup][..],
        &["--genesis", &genesis],
        &["--genesis", &genesis, "--rollup-config", &rollup],
    ] {
        let output = verify(rules);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    }
    assert_eq!(verify(&[]).status.code(), Some(2));
    config["canyon_time"] = json!(7);
    let rollup = write("other.json", &config);
    let output = verify(&["--genesis", &genesis, "--rollup-config", &rollup]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("what is said of the chain's rules differs on Canyon"),
        "{}",
        errors(&output)
    );
}

/// What was found without executing anything is found again offline, by its own kind of bundle.
#[tokio::test]
async fn a_block_that_contradicts_itself_is_judged_by_its_bundle() {
    let devnet = Devnet::new().unwrap();
    devnet.sequencer().produce().unwrap();
    devnet.sequencer().lie_next(Lie::GasUsed);
    let number = devnet.sequencer().produce().unwrap();
    let node = RpcSource::new(devnet.l2().client(), devnet.l2().chain_id());
    let block = L2Source::block(&node, number).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let validator =
        CrossCheckValidator::new(node).with_evidence(EvidenceFolder::new(folder.path()));
    let verdict = validator.validate(&block).await.unwrap();

    let output = verify(folder.path());
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let line = lines(&output).remove(0);
    assert_eq!(line["number"], number);
    let found: Fault = serde_json::from_value(line["fault"].clone()).unwrap();
    assert_eq!(Some(&found), verdict.fault());
}
