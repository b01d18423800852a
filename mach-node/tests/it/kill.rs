//! A process that signs is killed, again and again, or has no room on its disk.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use alloy_primitives::{Address, B256};
use mach_core::{
    Attestation, BlockRef, Domain,
    ports::{Progress, SignatureAggregator, SigningGuard},
};
use mach_node::{AggregatorConfig, StoredGuard, store::RedbStore};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::ports::{Confirmer, FixedRegistry, aggregator_on, config, digest, percent, signed};

const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x11),
};
const STORE: &str = "MACH_KILLED_STORE";
/// Heights that are signed over and over.
const HEIGHTS: u64 = 20_000;

/// How often is killed: `MACH_KILLS`, or 100.
fn kills() -> u64 {
    std::env::var("MACH_KILLS").map_or(100, |kills| kills.parse().unwrap())
}

const fn statement(number: u64, hash: u8) -> Attestation {
    Attestation {
        rollup_chain_id: 10,
        block: BlockRef {
            number,
            hash: B256::repeat_byte(hash),
        },
        state_root: B256::ZERO,
        output_root: B256::ZERO,
    }
}

/// Starts a child of this test, kills it somewhere, and gives what it wrote.
fn kill(child: &str, store: &Path, random: &mut StdRng) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // One in eight dies while it opens the store.
    let is_opening = random.random_ratio(1, 8);
    let _ready = !is_opening && output.any(|line| line.is_ok_and(|line| line == "ready"));
    let reader = std::thread::spawn(move || output.map_while(Result::ok).collect());
    std::thread::sleep(Duration::from_millis(random.random_range(0..40)));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// The process that is killed: signs random hashes at random heights, and says what it signed.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let store = RedbStore::open(path).unwrap();
    std::io::stdout().lock().write_all(b"\nready\n").unwrap();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
        .block_on(async {
            let tasks = (0..8).map(|_| {
                let guard = StoredGuard::new(store.clone());
                tokio::spawn(async move {
                    let mut random = StdRng::from_os_rng();
                    loop {
                        let (number, hash) = (random.random_range(0..HEIGHTS), random.random());
                        if guard
                            .permit(&statement(number, hash).into(), &DOMAIN)
                            .await
                            .is_ok()
                        {
                            // One write a line: a line is whole or not there.
                            let line = format!("\nsigned {number} {hash}.\n");
                            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                        }
                    }
                })
            });
            futures::future::join_all(tasks.collect::<Vec<_>>()).await;
        });
}

const FULL: &str = "MACH_FULL_STORE";

/// The process whose disk becomes full: signs height after height, then says why it stopped.
#[tokio::test]
#[ignore = "started by the test below"]
async fn child_without_room() {
    let Some(path) = std::env::var_os(FULL) else {
        return;
    };
    let guard = StoredGuard::new(RedbStore::open(path).unwrap());
    let mut refused = 0;
    for number in 0..200_000 {
        match guard.permit(&statement(number, 1).into(), &DOMAIN).await {
            Ok(()) => println!("signed {number}"),
            Err(error) => {
                let mut cause: &dyn std::error::Error = &error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                println!("refused {number}: {cause}");
                refused += 1;
            }
        }
        if refused == 5 {
            return;
        }
    }
}

/// It signs nothing that it cannot write down, says so, and goes on when there is room again.
#[cfg(unix)]
#[tokio::test]
async fn a_guard_whose_disk_is_full_signs_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.redb");
    drop(RedbStore::open(&path).unwrap());
    // In blocks of 512 bytes, or 1024 in some shells: a little more than the new store has.
    let blocks = std::fs::metadata(&path).unwrap().len() / 512 + 64;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_without_room", "--ignored"])
        .arg("--nocapture")
        .env(FULL, &path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let signed: Vec<u64> = (text.lines())
        .filter_map(|line| line.strip_prefix("signed "))
        .map(|number| number.parse().unwrap())
        .collect();
    let refused: Vec<_> = (text.lines())
        .filter_map(|line| line.strip_prefix("refused "))
        .collect();
    assert!(!signed.is_empty(), "{text}");
    assert_eq!(signed, (0..signed.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        refused.len(),
        5,
        "signed again after {} refusals",
        refused.len()
    );
    assert!(refused[0].contains("File too large"), "{}", refused[0]);

    let guard = StoredGuard::new(RedbStore::open(&path).unwrap());
    let file = guard.export(&DOMAIN).await.unwrap();
    assert!(file.data[0].attestations.len() >= signed.len());
    for number in [0, signed.len() as u64 - 1] {
        let other = statement(number, 2).into();
        assert!(guard.permit(&other, &DOMAIN).await.is_err());
    }
    let next = statement(1_000_000, 1).into();
    guard.permit(&next, &DOMAIN).await.unwrap();
}

/// Nothing that was signed is forgotten, and no height has two hashes.
#[test]
fn a_killed_guard_never_contradicts_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.redb");
    let mut random = StdRng::seed_from_u64(7);
    let mut signed: HashMap<u64, u8> = HashMap::new();
    let mut lines = 0;
    for _ in 0..kills() {
        let output = kill("kill::child", &path, &mut random);
        for line in output
            .iter()
            .filter_map(|line| line.strip_prefix("signed "))
        {
            let Some((number, hash)) = line.strip_suffix('.').and_then(|it| it.split_once(' '))
            else {
                continue;
            };
            let (number, hash) = (number.parse().unwrap(), hash.parse().unwrap());
            let earlier = *signed.entry(number).or_insert(hash);
            assert_eq!(earlier, hash, "block {number} was signed with two hashes");
            lines += 1;
        }
    }
    println!(
        "{} kills, {lines} signatures, {} heights",
        kills(),
        signed.len()
    );
    assert!(lines > 0, "nothing was signed");

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let guard = StoredGuard::new(RedbStore::open(&path).unwrap());
        let file = guard.export(&DOMAIN).await.unwrap();
        let recorded: HashMap<_, _> = (file.data.iter())
            .flat_map(|history| &history.attestations)
            .map(|attestation| (attestation.block.number, attestation.block.hash))
            .collect();
        for (number, hash) in signed {
            assert_eq!(recorded.get(&number), Some(&B256::repeat_byte(hash)));
        }
    });
}

/// Statements that are signed over and over, and operators who do it. All of them would have to.
const STATEMENTS: u64 = 400;
const SIGNERS: u64 = 3;

fn aggregator(store: RedbStore) -> mach_node::Aggregator {
    let config = AggregatorConfig {
        thresholds: vec![percent(100)],
        ..config()
    };
    let registry = FixedRegistry::new(SIGNERS + 1);
    aggregator_on(store, registry, &Confirmer::default(), config)
}

/// The process that is killed: takes signatures, and says which it acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn child_with_rounds() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let aggregator = aggregator(RedbStore::open(path).unwrap());
    aggregator.tend().await.unwrap();
    std::io::stdout().lock().write_all(b"\nready\n").unwrap();
    let tasks = (0..8).map(|_| {
        let aggregator = aggregator.clone();
        tokio::spawn(async move {
            let mut random = StdRng::from_os_rng();
            loop {
                let number = random.random_range(0..STATEMENTS);
                let index = random.random_range(0..SIGNERS);
                aggregator.open(&signed(number, 0).statement).await.unwrap();
                aggregator.submit(signed(number, index)).await.unwrap();
                let line = format!("\nacknowledged {number} {index}.\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    futures::future::join_all(tasks.collect::<Vec<_>>()).await;
}

/// No signature that was acknowledged is lost.
#[tokio::test]
async fn a_killed_aggregator_forgets_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aggregator.redb");
    let mut random = StdRng::seed_from_u64(8);
    let mut acknowledged: HashMap<u64, HashSet<u64>> = HashMap::new();
    for _ in 0..kills() {
        let output = kill("kill::child_with_rounds", &path, &mut random);
        for line in (output.iter()).filter_map(|line| line.strip_prefix("acknowledged ")) {
            let Some((number, index)) = line.strip_suffix('.').and_then(|it| it.split_once(' '))
            else {
                continue;
            };
            let signers = acknowledged.entry(number.parse().unwrap()).or_default();
            signers.insert(index.parse().unwrap());
        }
    }
    let signatures: usize = acknowledged.values().map(HashSet::len).sum();
    println!("{} kills, {signatures} signatures", kills());
    assert!(signatures > 0, "nothing was acknowledged");

    let aggregator = aggregator(RedbStore::open(&path).unwrap());
    assert!(aggregator.tend().await.unwrap() >= acknowledged.len());
    for (number, indices) in acknowledged {
        let Some(Progress::Collecting { signers }) = aggregator.progress(digest(number)) else {
            panic!("the round of statement {number} is lost");
        };
        // Some were stored when the process died, and not acknowledged.
        assert!(signers >= indices.len() as u64, "{number}");
        assert!(signers <= SIGNERS);
    }
}
