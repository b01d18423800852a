//! Signatures that come when their round is closing, closed, or not in memory any more: what was
//! acknowledged is in the certificate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mach_bls::verify_self_contained;
use mach_core::ports::{AggregateError, Progress, SignatureAggregator};
use mach_node::{
    Aggregator, AggregatorConfig,
    store::{Change, Expected, MemoryStore, Row, Store, StoreError, Table, Written},
};
use tokio::sync::Notify;

use crate::ports::{
    Answer, Confirmer, FixedHead, FixedRegistry, HEAD, aggregator_on, config, confirmation,
    confirmed, digest, id, percent, sign_all, signed, signed_by, until,
};

/// Eight operators of whom four are enough.
fn on(store: &MemoryStore) -> Aggregator {
    with(store, &Confirmer::default())
}

fn with(store: &MemoryStore, confirmer: &Confirmer) -> Aggregator {
    let config = AggregatorConfig {
        thresholds: vec![percent(50)],
        ..config()
    };
    let registry = FixedRegistry::new(8);
    aggregator_on(store.clone(), registry, confirmer, config)
}

/// Who is in the stored certificate.
async fn signers(aggregator: &Aggregator, number: u64) -> Vec<u64> {
    let certificate = aggregator.certificate(digest(number)).await.unwrap();
    let certificate = certificate.unwrap();
    verify_self_contained(&certificate).unwrap();
    let has_signed = |index: &u64| certificate.non_signers.iter().all(|it| it.id != id(*index));
    (0..8).filter(has_signed).collect()
}

async fn close(aggregator: &Aggregator, number: u64) {
    sign_all(aggregator, number, 0..4).await;
    confirmed(aggregator, number).await;
    until(|| futures::executor::block_on(aggregator.tend()).unwrap() == 0).await;
}

/// A round was thrown out of memory while a signature was on its way into it, and is there twice.
#[tokio::test]
async fn two_copies_of_a_closed_round_lose_no_signature() {
    let store = MemoryStore::new();
    let (one, other) = (on(&store), on(&store));
    close(&one, 1).await;
    other.submit(signed(1, 4)).await.unwrap();
    one.submit(signed(1, 5)).await.unwrap();
    assert_eq!(signers(&one, 1).await, [0, 1, 2, 3, 4, 5]);
    other.submit(signed(1, 6)).await.unwrap();
    one.submit(signed(1, 7)).await.unwrap();
    assert_eq!(signers(&one, 1).await, [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// More closed rounds than there is room for in memory, and for each several who are late at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_signatures_that_throw_each_other_out_are_all_kept() {
    const ROUNDS: u64 = 96;
    let store = MemoryStore::new();
    let before = on(&store);
    for number in 0..ROUNDS {
        sign_all(&before, number, 0..4).await;
        confirmed(&before, number).await;
    }
    until(|| futures::executor::block_on(before.tend()).unwrap() == 0).await;
    drop(before);
    let after = on(&store);
    let late = (0..4 * ROUNDS).map(|index| {
        let after = after.clone();
        let (number, operator) = (index % ROUNDS, 4 + index / ROUNDS);
        tokio::spawn(async move {
            // So many are heard bit by bit.
            while let Err(error) = after.submit(signed(number, operator)).await {
                assert!(matches!(error, AggregateError::Busy), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    });
    for late in late.collect::<Vec<_>>() {
        late.await.unwrap();
    }
    for number in 0..ROUNDS {
        assert_eq!(signers(&after, number).await.len(), 8, "{number}");
    }
    assert!(after.rounds_in_memory() <= 64);
}

/// Nobody is told that a signature is taken before it is.
#[tokio::test]
async fn a_late_signature_waits_for_l1() {
    let store = MemoryStore::new();
    close(&on(&store), 1).await;
    let config = AggregatorConfig {
        thresholds: vec![percent(50)],
        ..config()
    };
    let (registry, head) = (Arc::new(FixedRegistry::new(8)), FixedHead::new());
    head.0.store(HEAD + 50, Ordering::SeqCst);
    let confirmer = Confirmer::default();
    let after = Aggregator::new(store, Arc::clone(&registry), head, confirmer, config);
    // The newest operators are known, and those of the round are not.
    assert!(after.submit(signed_by(1, 4, 7)).await.is_err());
    registry.failures.store(1, Ordering::SeqCst);
    let error = after.submit(signed(1, 4)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(signers(&after, 1).await, [0, 1, 2, 3]);
    after.submit(signed(1, 4)).await.unwrap();
    assert_eq!(signers(&after, 1).await, [0, 1, 2, 3, 4]);
}

/// A process dies when the certificate has a late signature and its round is not closed yet. The next
/// one knows the round as it was before, and goes on behind the certificate.
#[tokio::test]
async fn a_signature_that_came_while_the_round_was_closing_is_not_lost() {
    let store = MemoryStore::new();
    let until_then = Arc::new(Notify::new());
    let confirmer = Confirmer::answering([Answer::Wait(Arc::clone(&until_then))]);
    let before = with(&store, &confirmer);
    sign_all(&before, 1, 0..4).await;
    until(|| confirmer.certificates().len() == 1).await;
    let mut rows = Vec::new();
    for table in [Table::Rounds, Table::Unconfirmed, Table::Signatures] {
        for (key, value) in store.scan(table, &[], None, 100).await.unwrap() {
            rows.push(Change {
                table,
                key,
                expected: Expected::Anything,
                value: Some(value),
            });
        }
    }
    until_then.notify_one();
    confirmed(&before, 1).await;
    before.submit(signed(1, 4)).await.unwrap();
    drop(before);
    // As if it had died before it closed the round.
    let _ = store.write(rows).await.unwrap();

    let after = on(&store);
    assert_eq!(after.tend().await.unwrap(), 1);
    for late in [5, 6] {
        after.submit(signed(1, late)).await.unwrap();
    }
    confirmed(&after, 1).await;
    until(|| futures::executor::block_on(after.tend()).unwrap() == 0).await;
    assert_eq!(signers(&after, 1).await, [0, 1, 2, 3, 4, 5, 6]);
}

/// Whoever is in the certificate of a closed round is answered without a pairing, whatever is sent in
/// its name; it changes nothing.
#[tokio::test]
async fn what_comes_again_to_a_closed_round_is_not_proved_again() {
    let store = MemoryStore::new();
    let aggregator = on(&store);
    close(&aggregator, 1).await;
    aggregator.submit(signed(1, 4)).await.unwrap();
    let before = signers(&aggregator, 1).await;
    let expected = Progress::Confirmed(confirmation(digest(1)));
    for index in 0..4 {
        assert_eq!(aggregator.submit(signed(1, index)).await.unwrap(), expected);
        let junk = aggregator.submit(signed_by(1, index, 7)).await;
        assert_eq!(junk.unwrap(), expected);
    }
    // Of whoever is not in it, it is.
    let wrong = aggregator.submit(signed_by(1, 5, 7)).await;
    assert!(matches!(wrong, Err(AggregateError::BadSignature(it)) if it == id(5)));
    assert_eq!(signers(&aggregator, 1).await, before);
}

/// One operator comes with signatures of many statements of long ago, each of which brings a closed round back:
/// it is heard a few at a time, nothing is lost, and others are heard meanwhile.
#[tokio::test(start_paused = true)]
async fn whoever_comes_late_with_much_is_heard_bit_by_bit() {
    const ROUNDS: u64 = 70;
    let store = MemoryStore::new();
    let before = on(&store);
    for number in 0..ROUNDS {
        close(&before, number).await;
    }
    drop(before);
    let after = on(&store);
    let late = async |index: u64, numbers: &[u64]| {
        let sent = numbers.iter().map(|number| {
            let (after, number) = (&after, *number);
            async move { (number, after.submit(signed(number, index)).await) }
        });
        let mut busy = Vec::new();
        for (number, answer) in futures::future::join_all(sent).await {
            match answer {
                Ok(Progress::Confirmed(_)) => {}
                Err(error @ AggregateError::Busy) => {
                    assert!(error.is_transient());
                    busy.push(number);
                }
                other => panic!("{other:?}"),
            }
        }
        busy
    };
    let all: Vec<u64> = (0..ROUNDS).collect();
    let busy = late(4, &all).await;
    assert!((1..=6).contains(&busy.len()), "{}", busy.len());
    assert!(late(5, &busy).await.is_empty());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(late(4, &busy).await.is_empty());
    for number in all {
        let heard = signers(&after, number).await;
        assert_eq!(heard[..5], [0, 1, 2, 3, 4], "{number}");
        assert_eq!(heard.contains(&5), busy.contains(&number));
    }
}

/// Counts how often rows are read that say what L1 is looked at for.
#[derive(Clone, Default)]
struct Counting(MemoryStore, Arc<AtomicUsize>);

#[async_trait]
impl Store for Counting {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if table == Table::Aging {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        self.0.scan(table, prefix, after, limit).await
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        self.0.write(changes).await
    }
}

/// There may be thousands of them, and anybody may send a signature again.
#[tokio::test(start_paused = true)]
async fn late_signatures_do_not_read_anew_what_l1_is_looked_at_for() {
    let store = Counting::default();
    let confirmer = Confirmer::default();
    let aggregator = aggregator_on(store.clone(), FixedRegistry::new(8), &confirmer, config());
    for number in 0..3 {
        sign_all(&aggregator, number, 0..6).await;
        confirmed(&aggregator, number).await;
    }
    let open = || futures::executor::block_on(store.scan(Table::Unconfirmed, &[], None, 10));
    until(|| open().unwrap().is_empty()).await;
    let before = store.1.load(Ordering::SeqCst);
    for _ in 0..10 {
        for number in 0..3 {
            aggregator.submit(signed(number, 6)).await.unwrap();
        }
    }
    // One page of rows, and that there is no other.
    let reads = store.1.load(Ordering::SeqCst) - before;
    assert!(reads <= 2, "{reads}");
}
