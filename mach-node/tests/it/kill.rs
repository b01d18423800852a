//! A process that signs is killed, again and again, or has no room on its disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use mach_bls::verify_self_contained;
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Domain, Statement,
    ports::{SignatureAggregator, SigningGuard},
};
use mach_node::{
    AggregatorConfig, StoredGuard,
    legacy::{DigestRule, LegacyTasks, TaskAggregator},
    store::RedbStore,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    legacy::aggregator::{self as legacy, Kept, sign},
    ports::{
        Confirmer, FixedHead, FixedRegistry, aggregator_on, config, digest, id, percent, signed,
        until,
    },
};

const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x11),
};
const STORE: &str = "MACH_KILLED_STORE";
const BEFORE: &str = "MACH_KILLED_BEFORE";
/// Heights that are signed over and over.
const HEIGHTS: u64 = 20_000;

/// How often is killed: `MACH_KILLS`, or 100.
fn kills() -> u64 {
    std::env::var("MACH_KILLS").map_or(100, |kills| kills.parse().unwrap())
}

/// How long a child lives: longer once [`kills`] of them were not enough, as on a slow machine.
fn at_most(milliseconds: u64, before: u64) -> Duration {
    Duration::from_millis(milliseconds * (1 + before / kills()))
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

const fn accusation(number: u64, hash: u8) -> Alert {
    Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: 10,
        block: statement(number, hash).block,
        rule: 4,
        claimed: B256::ZERO,
        computed: B256::repeat_byte(1),
    }
}

/// Starts a child of this test, kills it after `most` or earlier, and gives what it wrote. How many
/// were killed before is told to it.
fn kill(
    child: &str,
    store: &Path,
    before: u64,
    most: Duration,
    random: &mut StdRng,
) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(STORE, store)
        .env(BEFORE, before.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // One in eight dies while it opens the store.
    let is_opening = random.random_ratio(1, 8);
    let _ready = !is_opening && output.any(|line| line.is_ok_and(|line| line == "ready"));
    let reader = std::thread::spawn(move || output.map_while(Result::ok).collect());
    std::thread::sleep(random.random_range(Duration::ZERO..most));
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
                        let (what, said): (_, Statement) = match random.random_ratio(1, 4) {
                            true => ("alerted", accusation(number, hash).into()),
                            false => ("signed", statement(number, hash).into()),
                        };
                        if guard.permit(&said, &DOMAIN).await.is_ok() {
                            // One write a line: a line is whole or not there.
                            let line = format!("\n{what} {number} {hash}.\n");
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

/// What a child wrote in lines such as `signed 7 3.`.
fn told<'a>(output: &'a [String], what: &'a str) -> impl Iterator<Item = (u64, u64)> + 'a {
    output.iter().filter_map(move |line| {
        let line = line.strip_prefix(what)?.strip_suffix('.')?;
        let (number, index) = line.trim().split_once(' ')?;
        Some((number.parse().unwrap(), index.parse().unwrap()))
    })
}

/// Nothing that was signed is forgotten, no height has two hashes, and no block is both right and
/// wrong.
#[test]
fn a_killed_guard_never_contradicts_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.redb");
    let mut random = StdRng::seed_from_u64(7);
    let mut signed: BTreeMap<u64, u64> = BTreeMap::new();
    let mut alerted: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut lines = 0;
    for before in 0..10 * kills() {
        if before >= kills() && !signed.is_empty() && !alerted.is_empty() {
            break;
        }
        let most = at_most(40, before);
        let output = kill("kill::child", &path, before, most, &mut random);
        for (number, hash) in told(&output, "signed") {
            let earlier = *signed.entry(number).or_insert(hash);
            assert_eq!(earlier, hash, "block {number} was signed with two hashes");
            lines += 1;
        }
        alerted.extend(told(&output, "alerted"));
    }
    println!(
        "{} kills, {lines} signatures, {} heights, {} alerts",
        kills(),
        signed.len(),
        alerted.len()
    );
    assert!(!signed.is_empty() && !alerted.is_empty());
    for (number, hash) in &signed {
        assert!(!alerted.contains(&(*number, *hash)), "block {number}");
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let guard = StoredGuard::new(RedbStore::open(&path).unwrap());
        let file = guard.export(&DOMAIN).await.unwrap();
        let [history] = &file.data[..] else {
            panic!("one rollup");
        };
        // What is recorded contradicts itself nowhere, and has all that was said.
        let attested: BTreeMap<u64, B256> = (history.attestations.iter())
            .map(|it| (it.block.number, it.block.hash))
            .collect();
        assert_eq!(attested.len(), history.attestations.len());
        let accused: BTreeSet<(u64, B256)> = (history.alerts.iter())
            .map(|it| (it.block.number, it.block.hash))
            .collect();
        for (number, hash) in &attested {
            assert!(!accused.contains(&(*number, *hash)), "block {number}");
        }
        let word = |hash: u64| B256::repeat_byte(hash as u8);
        for (number, hash) in signed {
            assert_eq!(attested.get(&number), Some(&word(hash)), "block {number}");
        }
        for (number, hash) in alerted {
            assert!(accused.contains(&(number, word(hash))), "block {number}");
        }
    });
}

/// Operators of whom half are enough. Some of them sign over and over; the others are asked in the
/// end.
const SIGNERS: u64 = 5;
const OPERATORS: u64 = 8;
/// Statements that are signed at a time, and how many children later one of them gives way to another.
const STATEMENTS: u64 = 8;
const CHILDREN: u64 = 4;

fn aggregator(store: RedbStore) -> mach_node::Aggregator {
    let config = AggregatorConfig {
        thresholds: vec![percent(50)],
        max_rounds_per_operator: 1024,
        ..config()
    };
    let registry = FixedRegistry::new(OPERATORS);
    aggregator_on(store, registry, &Confirmer::default(), config)
}

/// The process that is killed: takes signatures, makes certificates, has them confirmed, and says
/// which signatures it acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn child_with_rounds() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let first: u64 = std::env::var(BEFORE).unwrap().parse().unwrap();
    let aggregator = aggregator(RedbStore::open(path).unwrap());
    aggregator.tend().await.unwrap();
    std::io::stdout().lock().write_all(b"\nready\n").unwrap();
    let tasks = (0..8).map(|_| {
        let aggregator = aggregator.clone();
        tokio::spawn(async move {
            let mut random = StdRng::from_os_rng();
            loop {
                let number = first / CHILDREN + random.random_range(0..STATEMENTS);
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

/// Those of these operators whom the certificate of the statement does not name.
async fn lost(
    aggregator: &mach_node::Aggregator,
    number: u64,
    indices: &BTreeSet<u64>,
) -> Vec<u64> {
    let certificate = aggregator.certificate(digest(number)).await.unwrap();
    let certificate = certificate.expect("enough have signed");
    verify_self_contained(&certificate).unwrap();
    assert_eq!(certificate.digest(), digest(number));
    let is_absent = |index: &u64| certificate.non_signers.iter().any(|it| it.id == id(*index));
    indices.iter().copied().filter(is_absent).collect()
}

/// Every signature that was acknowledged is in the certificate of its statement: of those that were
/// certified before, and of those that the others sign in the end.
#[tokio::test]
async fn a_killed_aggregator_forgets_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aggregator.redb");
    let mut random = StdRng::seed_from_u64(8);
    let mut acknowledged: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    // Signatures are made with curves: on a slow machine it takes longer until somebody is late.
    let is_late = |indices: &BTreeSet<u64>| indices.len() > OPERATORS as usize / 2;
    for before in 0..10 * kills() {
        if before >= kills() && acknowledged.values().any(is_late) {
            break;
        }
        let most = at_most(80, before);
        let child = "kill::child_with_rounds";
        let output = kill(child, &path, before, most, &mut random);
        for (number, index) in told(&output, "acknowledged") {
            acknowledged.entry(number).or_default().insert(index);
        }
    }
    let signatures: usize = acknowledged.values().map(BTreeSet::len).sum();
    assert!(signatures > 0, "nothing was acknowledged");

    let aggregator = aggregator(RedbStore::open(&path).unwrap());
    aggregator.tend().await.unwrap();
    let (mut certified, mut late) = (0, 0);
    for (number, indices) in &acknowledged {
        if aggregator
            .certificate(digest(*number))
            .await
            .unwrap()
            .is_some()
        {
            certified += 1;
            late += usize::from(is_late(indices));
            // Who signed after it was made is in the next one, which the round that goes on makes soon.
            let named = async {
                while !lost(&aggregator, *number, indices).await.is_empty() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            // What is lost is named below.
            let _ = tokio::time::timeout(Duration::from_secs(30), named).await;
        } else {
            let others =
                (SIGNERS..OPERATORS).map(|index| aggregator.submit(signed(*number, index)));
            futures::future::try_join_all(others).await.unwrap();
        }
        let lost = lost(&aggregator, *number, indices).await;
        assert_eq!(lost, [0; 0], "statement {number} has lost operators");
    }
    println!(
        "{} kills, {signatures} signatures of {} statements, {certified} certified, {late} with late \
         signatures",
        kills(),
        acknowledged.len()
    );
    assert!(certified > 0 && late > 0);
}

/// Message hash of an alert of the original.
fn message_hash(number: u64) -> B256 {
    U256::from(number).into()
}

/// Those who sign over and over are not enough.
fn tasks(store: RedbStore, confirmer: &Kept) -> TaskAggregator {
    let (registry, config) = (
        FixedRegistry::new(OPERATORS),
        legacy::config(DigestRule::V1),
    );
    TaskAggregator::new(store, registry, FixedHead::new(), confirmer.clone(), config)
}

/// The process that is killed: opens tasks of the original's operators, and says which signatures it
/// acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn child_with_tasks() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let first: u64 = std::env::var(BEFORE).unwrap().parse().unwrap();
    let tasks = tasks(RedbStore::open(path).unwrap(), &Kept::default());
    std::io::stdout().lock().write_all(b"\nready\n").unwrap();
    let signing = (0..8).map(|_| {
        let tasks = tasks.clone();
        tokio::spawn(async move {
            let mut random = StdRng::from_os_rng();
            loop {
                let number = first / CHILDREN + random.random_range(0..STATEMENTS);
                let operator = random.random_range(0..SIGNERS);
                let task = tasks.create_task(message_hash(number)).await.unwrap();
                let line = format!("\ngiven {number} {}.\n", task.task_index);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                sign(&tasks, &task, operator).await.unwrap();
                let line = format!("\nacknowledged {number} {operator}.\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    futures::future::join_all(signing.collect::<Vec<_>>()).await;
}

/// Every signature that was acknowledged is in the certificate of its alert, once the others have signed; an alert
/// has one number, and no other has it.
#[tokio::test]
async fn a_killed_aggregator_forgets_no_task_of_the_originals_operators() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aggregator.redb");
    let mut random = StdRng::seed_from_u64(9);
    let mut given: BTreeMap<u64, u64> = BTreeMap::new();
    let mut acknowledged: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for before in 0..10 * kills() {
        if before >= kills() && !acknowledged.is_empty() {
            break;
        }
        let most = at_most(80, before);
        let child = "kill::child_with_tasks";
        let output = kill(child, &path, before, most, &mut random);
        for (number, task) in told(&output, "given") {
            assert_eq!(*given.entry(number).or_insert(task), task, "alert {number}");
        }
        for (number, operator) in told(&output, "acknowledged") {
            acknowledged.entry(number).or_default().insert(operator);
        }
    }
    let tasks_given: BTreeSet<_> = given.values().collect();
    assert_eq!(tasks_given.len(), given.len());
    let signatures: usize = acknowledged.values().map(BTreeSet::len).sum();
    println!(
        "{} kills, {signatures} signatures of {} alerts, {} tasks",
        kills(),
        acknowledged.len(),
        given.len()
    );
    assert!(signatures > 0, "nothing was acknowledged");

    let confirmer = Kept::default();
    let tasks = tasks(RedbStore::open(&path).unwrap(), &confirmer);
    for (number, operators) in &acknowledged {
        let task = tasks.create_task(message_hash(*number)).await.unwrap();
        assert_eq!(u64::from(task.task_index), given[number]);
        for operator in (SIGNERS..OPERATORS).chain(0..SIGNERS) {
            // It takes no more than are enough.
            if sign(&tasks, &task, operator).await.is_err() {
                break;
            }
        }
        until(|| !confirmer.0.lock().unwrap().is_empty()).await;
        let certificate = confirmer.0.lock().unwrap().remove(0);
        assert_eq!(certificate.message_hash, task.alert_hash);
        for operator in operators {
            let is_absent = certificate
                .non_signers
                .iter()
                .any(|it| it.id == id(*operator));
            assert!(!is_absent, "alert {number} has lost operator {operator}");
        }
    }
}
