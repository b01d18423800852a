//! A process that starts with many stored rounds.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, U256};
use mach_core::ports::SignatureAggregator;
use mach_node::{
    rpc::RemoteAggregator,
    store::{Change, Expected, MemoryStore, RedbStore, Store, Table, Written},
};

use crate::{
    load::folder,
    ports::{DOMAIN, L1, Signers, statement},
    server::{Served, aggregator},
};

/// Stored rounds; one in a thousand is open.
pub(crate) const ROUNDS: u64 = 100_000;
const OPERATORS: u64 = 4;

/// Time from the start of the process to its first answer.
pub(crate) fn time() -> Duration {
    let folder = folder();
    let path = folder.path().join("aggregator.redb");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(fill(&path));
    let start = Instant::now();
    let server = Served::start(&path, OPERATORS);
    let remote = RemoteAggregator::new(&server.url).unwrap();
    runtime
        .block_on(remote.open(&statement(0, u64::MAX)))
        .unwrap();
    start.elapsed()
}

/// Rounds as an aggregator stores them: the rows of a confirmed one, under many keys, and some that
/// are open.
async fn fill(path: &Path) {
    let signers = Signers::new(OPERATORS);
    let one = MemoryStore::new();
    let before = aggregator(one.clone(), L1::new(OPERATORS));
    for signed in signers.sign(&statement(0, 0)) {
        before.submit(signed).await.unwrap();
    }
    let digest = statement(0, 0).digest(&DOMAIN);
    let mut rows = Vec::new();
    while rows.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let unconfirmed = one.scan(Table::Unconfirmed, &[], None, 1).await.unwrap();
        if unconfirmed.is_empty() {
            for table in [Table::Rounds, Table::Certificates] {
                let value = one.get(table, digest.as_slice()).await.unwrap().unwrap();
                rows.push((table, value));
            }
        }
    }
    let store = RedbStore::open(path).unwrap();
    let open = aggregator(store.clone(), L1::new(OPERATORS));
    for number in 0..ROUNDS / 1000 {
        let signed = signers.sign(&statement(0, number)).remove(0);
        open.submit(signed).await.unwrap();
    }
    let digests: Vec<u64> = (0..ROUNDS - ROUNDS / 1000).collect();
    for page in digests.chunks(2000) {
        let changes = page.iter().flat_map(|number| {
            let key = B256::from(U256::from(*number)).to_vec();
            rows.iter().map(move |(table, value)| Change {
                table: *table,
                key: key.clone(),
                expected: Expected::Absent,
                value: Some(value.clone()),
            })
        });
        let written = store.write(changes.collect()).await.unwrap();
        assert_eq!(written, Written::Applied);
    }
}
