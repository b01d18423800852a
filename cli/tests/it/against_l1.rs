//! `verify --l1`.

use alloy_primitives::Address;
use mach_devnet::{
    Check, Devnet, DevnetConfig, DevnetServers, Lie, OptimismFork, Settling, UserDeposit,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{errors, lines, mach_cli};

/// A devnet behind sockets, with its `rollup.json` in a file.
struct Served {
    devnet: Devnet,
    servers: DevnetServers,
    folder: TempDir,
}

impl Served {
    async fn new(l1_settling: Settling) -> Self {
        let config = DevnetConfig {
            // Not the chain that is built in.
            l2_chain_id: 77_901,
            // Before Fjord the drift is a matter of configuration.
            l2_fork: OptimismFork::Ecotone,
            max_sequencer_drift: 20,
            l1_settling,
            ..Default::default()
        };
        let devnet = config.build().unwrap();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let servers = devnet.serve(loopback, loopback).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rollup = serde_json::to_vec(&devnet.rollup().config).unwrap();
        std::fs::write(folder.path().join("rollup.json"), rollup).unwrap();
        Self {
            devnet,
            servers,
            folder,
        }
    }

    /// Blocks up to the first that lies, and enough of L1 behind it to say so.
    fn lie(&self, lie: Lie) -> u64 {
        let deposit = UserDeposit::ether(Address::repeat_byte(0x31), 5);
        self.devnet.step().unwrap();
        self.devnet.sequencer().deposit(deposit).unwrap();
        self.devnet.sequencer().lie_next(lie);
        while self.devnet.sequencer().untold() > 0 {
            self.devnet.step().unwrap();
        }
        let lying = self.devnet.l2().head();
        self.devnet.publish().unwrap();
        self.devnet.publish().unwrap();
        lying
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn l1(&self) -> String {
        self.servers.l1.http_url()
    }

    /// `verify` of the blocks from 1 on.
    async fn verify(&self, last: u64, args: &[&str]) -> (Option<i32>, Vec<Value>, String) {
        let blocks = format!("1..={last}");
        let fixed = ["verify", "--blocks", &blocks];
        self.run(&[&fixed, args].concat()).await
    }

    /// `follow` of the same blocks.
    async fn follow(&self, last: u64, args: &[&str]) -> (Option<i32>, Vec<Value>, String) {
        let last = last.to_string();
        let fixed = [
            "follow",
            "--from",
            "1",
            "--to",
            &last,
            "--poll-interval",
            "20",
        ];
        self.run(&[&fixed, args].concat()).await
    }

    async fn run(&self, args: &[&str]) -> (Option<i32>, Vec<Value>, String) {
        let l2 = self.servers.l2.http_url();
        let (rollup, evidence) = (self.path("rollup.json"), self.path("evidence"));
        let fixed = [
            "--json",
            "--rpc",
            &l2,
            "--rollup-config",
            &rollup,
            "--evidence",
            &evidence,
        ];
        run(&[args, &fixed].concat()).await
    }
}

/// Away from the threads that answer it.
async fn run(args: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let args: Vec<_> = args.iter().map(|it| (*it).to_owned()).collect();
    let output = tokio::task::spawn_blocking(move || {
        mach_cli(&args.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let output = output.await.unwrap();
    (output.status.code(), lines(&output), errors(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_blocks_are_what_l1_says() {
    let served = Served::new(Settling::AtOnce).await;
    let deposit = UserDeposit::ether(Address::repeat_byte(0x31), 5);
    served.devnet.sequencer().deposit(deposit).unwrap();
    for _ in 0..14 {
        served.devnet.step().unwrap();
    }
    // One endpoint, or several that agree.
    let l1 = served.l1();
    for l1 in [l1.clone(), format!("{l1},{l1}")] {
        let (code, told, errors) = served.verify(14, &["--l1", &l1]).await;
        assert_eq!(code, Some(0), "{errors}{told:?}");
        assert_eq!(told[14]["valid"], 14);
        for line in &told[..14] {
            assert_eq!(line["verdict"], "valid");
            assert_eq!(line["comparedWithL1"], true);
        }
    }
    let (code, told, errors) = served.follow(14, &["--l1", &l1]).await;
    assert_eq!(code, Some(0), "{errors}{told:?}");
    assert_eq!(told[14]["valid"], 14);
    assert!(told[..14].iter().all(|line| line["comparedWithL1"] == true));
    let (code, told, _) = served.verify(14, &[]).await;
    assert_eq!(code, Some(0));
    assert!(told.iter().all(|line| line["comparedWithL1"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_that_only_l1_shows_leaves_evidence_that_is_verified_again() {
    for lie in Lie::ALL {
        if lie.check() != Check::Origin {
            continue;
        }
        let served = Served::new(Settling::AtOnce).await;
        let lying = served.lie(lie);
        let (code, _, errors) = served.verify(lying, &[]).await;
        assert_eq!(code, Some(0), "{lie}: {errors}");
        let (code, told, errors) = served.verify(lying, &["--l1", &served.l1()]).await;
        assert_eq!(code, Some(1), "{lie}: {errors}{told:?}");
        let totals = told.last().unwrap();
        assert_eq!(totals["valid"], lying - 1, "{lie}");
        assert_eq!(totals["invalid"], 1, "{lie}");
        let found = told.iter().find(|it| it["verdict"] == "invalid").unwrap();
        assert_eq!(found["number"], lying);
        assert_eq!(found["fault"]["rule"], lie.fault(), "{lie}");
        let bundle = found["evidence"].as_str().unwrap();
        let (rollup, folder) = (served.path("rollup.json"), served.path("evidence"));
        assert!(bundle.starts_with(&folder), "{bundle}");

        // Both chains are gone. By the configuration of the bundle, and by one's own.
        drop((served.devnet, served.servers));
        let own = ["--rollup-config", rollup.as_str()];
        for (path, own) in [(bundle, &[][..]), (folder.as_str(), &[]), (bundle, &own)] {
            let (code, again, errors) = run(&[&["verify", "--json", path], own].concat()).await;
            assert_eq!(code, Some(1), "{lie}: {errors}{again:?}");
            assert_eq!(again[0]["fault"].to_string(), found["fault"].to_string());
            assert_eq!(again[0]["hash"], found["hash"]);
        }

        // Half a bundle is no accusation.
        let whole = std::fs::read(bundle).unwrap();
        std::fs::write(bundle, &whole[..whole.len() / 2]).unwrap();
        let (code, ..) = run(&["verify", "--json", bundle]).await;
        assert_eq!(code, Some(2), "{lie}");
    }
}

/// `follow` finds what `verify` finds, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_followed_lie_that_only_l1_shows_leaves_evidence() {
    let served = Served::new(Settling::AtOnce).await;
    let lying = served.lie(Lie::DroppedDeposit);
    let (code, told, errors) = served.follow(lying, &["--l1", &served.l1()]).await;
    assert_eq!(code, Some(1), "{errors}{told:?}");
    let found = told.iter().find(|it| it["number"] == lying).unwrap();
    assert_eq!(found["fault"]["rule"], Lie::DroppedDeposit.fault());
    let bundle = found["evidence"].as_str().unwrap();
    let (code, again, errors) = run(&["verify", "--json", bundle]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(again[0]["fault"].to_string(), found["fault"].to_string());
}

/// By the configuration of the reader the block is right, and that is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_judged_by_the_configuration_of_the_reader() {
    let served = Served::new(Settling::AtOnce).await;
    let lying = served.lie(Lie::ExcessDrift);
    let (_, told, _) = served.verify(lying, &["--l1", &served.l1()]).await;
    let found = told.iter().find(|it| it["verdict"] == "invalid").unwrap();
    let bundle = found["evidence"].as_str().unwrap();

    let mut config = served.devnet.rollup().config.clone();
    config.max_sequencer_drift = 600;
    let lenient = served.path("lenient.json");
    std::fs::write(&lenient, serde_json::to_vec(&config).unwrap()).unwrap();
    let (code, again, _) = run(&["verify", "--json", "--rollup-config", &lenient, bundle]).await;
    assert_eq!(code, Some(2), "{again:?}");
    let error = again[0]["error"].as_str().unwrap();
    assert!(error.contains("found is None"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_l1_block_that_is_not_settled_accuses_nobody() {
    let served = Served::new(Settling::Behind {
        safe: 50,
        finalized: 100,
    })
    .await;
    // The sixth block is the first that follows the L1 block with the deposit.
    let deposit = UserDeposit::ether(Address::repeat_byte(0x31), 5);
    served.devnet.sequencer().deposit(deposit).unwrap();
    for _ in 0..5 {
        served.devnet.sequencer().produce().unwrap();
    }
    served.devnet.sequencer().lie_next(Lie::L1Origin);
    let lying = served.devnet.sequencer().produce().unwrap();
    served.devnet.publish().unwrap();
    served.devnet.publish().unwrap();
    let l1 = served.l1();
    let cases: [(&[&str], i32); 3] = [
        (&[], 2),
        (&["--l1-depth", "1000"], 2),
        (&["--l1-depth", "1"], 1),
    ];
    for (depth, expected) in cases {
        let args = [&["--l1", &l1], depth].concat();
        let (code, told, errors) = served.verify(lying, &args).await;
        assert_eq!(code, Some(expected), "{depth:?}: {errors}{told:?}");
        let line = told.iter().find(|it| it["number"] == lying).unwrap();
        if expected == 1 {
            assert_eq!(line["fault"]["rule"], "l1Origin");
        } else {
            let error = line["error"].as_str().unwrap();
            assert!(error.contains("not settled yet"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_l1_that_cannot_be_asked_is_named() {
    let served = Served::new(Settling::AtOnce).await;
    served.devnet.step().unwrap();
    let (l1, l2) = (served.l1(), served.servers.l2.http_url());
    for (url, expected) in [
        (
            l2.as_str(),
            "is on chain 77901, the L1 of the rollup is chain 31337",
        ),
        (
            "http://127.0.0.1:1",
            "L1 is not reached: http://127.0.0.1:1",
        ),
    ] {
        let (code, told, _) = served.verify(1, &["--l1", url]).await;
        assert_eq!(code, Some(2));
        let error = told[0]["error"].as_str().unwrap();
        assert!(error.contains(expected), "{error}");
    }
    // Of several, some may be away.
    let dead = "http://127.0.0.1:1";
    for (endpoints, expected) in [([&l1, dead, &l1], 0), ([dead, &l1, dead], 2)] {
        let (code, _, errors) = served.verify(1, &["--l1", &endpoints.join(",")]).await;
        assert_eq!(code, Some(expected), "{errors}");
    }

    // Each flag without the one that it needs.
    let over_rpc = ["verify", "--rpc", &l2, "--blocks", "1"];
    let (code, told, _) = run(&[&over_rpc[..], &["--json", "--l1", &l1]].concat()).await;
    assert_eq!(code, Some(2));
    let error = told[0]["error"].as_str().unwrap();
    assert!(error.contains("--rollup-config"), "{error}");
    let cases: [(&[&str], &str); 2] = [
        (
            &[&over_rpc[..], &["--l1-depth", "3"]].concat(),
            "--l1 <URL>",
        ),
        (
            &[
                "verify",
                "block.json",
                "--l1",
                &l1,
                "--rollup-config",
                "rollup.json",
            ],
            "cannot be used with",
        ),
    ];
    for (args, expected) in cases {
        let (code, _, errors) = run(args).await;
        assert_eq!(code, Some(2), "{args:?}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_compared_with_l1() {
    let served = Served::new(Settling::AtOnce).await;
    let lie = Lie::AlteredDeposit;
    assert_eq!(lie.check(), Check::Origin);
    let lying = served.lie(lie);
    let (l1, l2, blocks) = (
        served.l1(),
        served.servers.l2.http_url(),
        format!("1..={lying}"),
    );
    let [rollup, evidence, with, without] =
        ["rollup.json", "evidence", "with.redb", "without.redb"].map(|name| served.path(name));
    let backfill = async |checkpoint: &str, more: &[&str]| {
        let fixed = [
            "backfill",
            "--json",
            "--rpc",
            &l2,
            "--blocks",
            &blocks,
            "--rollup-config",
            &rollup,
            "--evidence",
            &evidence,
            "--checkpoint",
            checkpoint,
        ];
        run(&[&fixed, more].concat()).await
    };
    let (code, told, errors) = backfill(&without, &[]).await;
    assert_eq!(code, Some(0), "{errors}{told:?}");
    assert!(told.iter().all(|line| line["comparedWithL1"].is_null()));

    let (code, told, errors) = backfill(&with, &["--l1", &l1]).await;
    assert_eq!(code, Some(1), "{errors}{told:?}");
    let totals = told.last().unwrap();
    assert_eq!(
        (&totals["valid"], &totals["invalid"]),
        (&(lying - 1).into(), &1.into())
    );
    assert_eq!(totals["comparedWithL1"], true);
    assert_eq!(told[0]["comparedWithL1"], true);
    let found = told.iter().find(|it| it["verdict"] == "invalid").unwrap();
    assert_eq!(
        (&found["number"], &found["fault"]["rule"]),
        (&lying.into(), &lie.fault().into())
    );
    let (code, again, _) = run(&["verify", "--json", &evidence]).await;
    assert_eq!(code, Some(1), "{again:?}");
    assert_eq!(again[0]["fault"], found["fault"]);

    // Who only plans says what is compared and needs no source: here it comes as far as the queue.
    let plan = [
        "backfill",
        "--queue",
        "nats://127.0.0.1:1/x",
        "--coordinate",
    ];
    let of = ["--chain-id", "77901", "--blocks", &blocks, "--l1", &l1];
    let rules = ["--rollup-config", &rollup];
    let (code, _, errors) = run(&[&plan[..], &of, &rules].concat()).await;
    assert_eq!(code, Some(2));
    assert!(errors.contains("queue x on nats://127.0.0.1:1"), "{errors}");

    // What one found is not taken for what the other would find.
    let shallow = ["--l1", &l1, "--l1-depth", "1"];
    for (checkpoint, more) in [
        (&without, &["--l1", l1.as_str()][..]),
        (&with, &[]),
        (&with, &shallow),
    ] {
        let (code, told, errors) = backfill(checkpoint, more).await;
        assert_eq!(code, Some(2), "{told:?}");
        assert!(errors.contains("belongs to another backfill"), "{errors}");
        let error = told[0]["error"].as_str().unwrap();
        assert!(error.contains("belongs to another backfill"), "{error}");
    }
}
