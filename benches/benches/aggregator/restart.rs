//! A process that starts with many stored rounds.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, hex};
use mach_core::{Statement, ports::SignatureAggregator};
use mach_node::{
    finality::{FinalityConfig, FinalityIndex},
    rpc::RemoteAggregator,
    store::{Change, Expected, MemoryStore, RedbStore, Row, Store, Table, Written},
};
use tokio_util::sync::CancellationToken;

use crate::{
    load::folder,
    ports::{DOMAIN, L1, Signers, statement},
    server::{Served, aggregator, config},
};

/// Stored rounds; one in a thousand is open.
pub(crate) const ROUNDS: u64 = 100_000;
const OPERATORS: u64 = 4;
const ROLLUPS: u64 = 10;
/// Number of a block whose digits occur nowhere else.
const MARK: u64 = 987_654_321;

/// What a start comes to.
pub(crate) struct Restart {
    /// From the start of the process to its first answer.
    pub(crate) time: Duration,
    /// From the start of the process until the index of finality is open too.
    pub(crate) index: Duration,
    /// Rows of the store.
    pub(crate) rows: u64,
    /// Size of its file.
    pub(crate) bytes: u64,
}

pub(crate) fn finality() -> FinalityConfig {
    FinalityConfig::new(DOMAIN, config().rollups)
}

/// Times from the start of the process, which opens the index of finality after its first answer.
pub(crate) fn measure() -> Restart {
    let folder = folder();
    let path = folder.path().join("aggregator.redb");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let rows = runtime.block_on(fill(&path));
    let start = Instant::now();
    let mut server = Served::start_with_index(&path, OPERATORS);
    let remote = RemoteAggregator::new(&server.url).unwrap();
    runtime
        .block_on(remote.open(&statement(0, u64::MAX)))
        .unwrap();
    let time = start.elapsed();
    server.index();
    Restart {
        time,
        index: start.elapsed(),
        rows,
        bytes: std::fs::metadata(&path).unwrap().len(),
    }
}

/// Rounds as a service leaves them: those of one statement of each rollup, for many statements, and some
/// rounds that are open. Gives how many rows there are.
async fn fill(path: &Path) -> u64 {
    let store = RedbStore::open(path).unwrap();
    let signers = Signers::new(OPERATORS);
    let open = aggregator(store.clone(), L1::new(OPERATORS));
    for number in 0..ROUNDS / 1000 {
        let signed = signers.sign(&statement(0, number)).remove(0);
        open.submit(signed).await.unwrap();
    }
    let closed = ROUNDS - ROUNDS / 1000;
    let (mut rows, mut filled) = (0, 0);
    for rollup in 0..ROLLUPS {
        let template = Template::of(statement(rollup, MARK), &signers).await;
        let end = (rollup + 1) * closed / ROLLUPS;
        let numbers: Vec<_> = (filled..end).collect();
        filled = end;
        for page in numbers.chunks(500) {
            let copies = page
                .iter()
                .map(|it| template.copy(&statement(rollup, ROUNDS + it)));
            let changes: Vec<_> = copies.flatten().collect();
            rows += changes.len() as u64;
            assert_eq!(store.write(changes).await.unwrap(), Written::Applied);
        }
    }
    rows
}

/// All that a statement leaves behind which was signed by all, confirmed, looked at until its confirmation
/// was deep, and taken in by the index.
struct Template {
    statement: Statement,
    rows: Vec<(Table, Row)>,
}

impl Template {
    async fn of(statement: Statement, signers: &Signers) -> Self {
        let (store, l1, ended) = (
            MemoryStore::new(),
            L1::new(OPERATORS),
            CancellationToken::new(),
        );
        let aggregator = aggregator(store.clone(), l1.clone());
        let index = FinalityIndex::open(store.clone(), finality())
            .await
            .unwrap();
        let (listening, shutdown) = (aggregator.clone(), ended.clone());
        tokio::spawn(async move { index.listen(&listening, shutdown).await });
        for signed in signers.sign(&statement) {
            aggregator.submit(signed).await.unwrap();
        }
        let count = async |table| store.scan(table, &[], None, 10).await.unwrap().len();
        // Its round, its certificate, since when they are there; a statement and a certificate of the index.
        while (count(Table::Unconfirmed).await, count(Table::Untold).await) != (0, 0)
            || (count(Table::Aging).await, count(Table::Finality).await) != (1, 2)
        {
            (0..8).for_each(|_| l1.mine());
            aggregator.tend().await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        ended.cancel();
        let mut rows = Vec::new();
        for table in Table::ALL {
            let found = store.scan(table, &[], None, 10).await.unwrap();
            rows.extend(found.into_iter().map(|row| (table, row)));
        }
        assert_eq!(rows.len(), 5);
        Self { statement, rows }
    }

    /// The same rows of another statement about the same rollup.
    fn copy(&self, statement: &Statement) -> Vec<Change> {
        let (old, new) = (&self.statement, statement);
        let digests = [old.digest(&DOMAIN), new.digest(&DOMAIN)];
        let text = |it: B256| hex::encode(it);
        let replaced = [
            (text(digests[0]), text(digests[1])),
            (text(old.block().hash), text(new.block().hash)),
            (
                old.block().number.to_string(),
                new.block().number.to_string(),
            ),
        ];
        let copy = |(table, (key, value)): &(Table, Row)| {
            let mut value = String::from_utf8(value.clone()).unwrap();
            for (old, new) in &replaced {
                value = value.replace(old, new);
            }
            Change {
                table: *table,
                key: swapped(key, digests[0].as_slice(), digests[1].as_slice()),
                expected: Expected::Absent,
                value: Some(value.into_bytes()),
            }
        };
        self.rows.iter().map(copy).collect()
    }
}

/// `key` with one digest in the place of another.
fn swapped(key: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = key.windows(old.len()).position(|it| it == old);
    let at = at.expect("the digest is in the key");
    [&key[..at], new, &key[at + old.len()..]].concat()
}
