//! A process that signs is killed, again and again.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use alloy_primitives::{Address, B256};
use mach_core::{Attestation, BlockRef, Domain, ports::SigningGuard};
use mach_node::{StoredGuard, store::RedbStore};
use rand::{Rng, SeedableRng, rngs::StdRng};

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

/// Nothing that was signed is forgotten, and no height has two hashes.
#[test]
fn a_killed_guard_never_contradicts_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.redb");
    let mut random = StdRng::seed_from_u64(7);
    let mut signed: HashMap<u64, u8> = HashMap::new();
    let mut lines = 0;
    for _ in 0..kills() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--ignored", "--nocapture"])
            .env(STORE, &path)
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
        let output: Vec<String> = reader.join().unwrap();
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
