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
use mach_core::{
    Statement,
    ports::{AggregateError, Progress, SignatureAggregator},
};
use mach_node::{
    Aggregator, AggregatorConfig,
    store::{Change, Expected, MemoryStore, Row, Store, StoreError, Table, Written},
};
use tokio::sync::{Notify, Semaphore};

use crate::{
    ports::{
        Answer, Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, aggregator_on, attestation,
        config, confirmation, confirmed, digest, id, percent, sign_all, signed, signed_as,
        signed_by, statement, until,
    },
    writes::{Writes, WrittenBy},
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
    signers_of(aggregator, &statement(number)).await
}

async fn signers_of(aggregator: &Aggregator, said: &Statement) -> Vec<u64> {
    let certificate = aggregator.certificate(said.digest(&DOMAIN)).await.unwrap();
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

/// Eight operators of whom four are enough, which see L1 so many blocks later.
fn later(store: impl Store + 'static, confirmer: &Confirmer, blocks: u64) -> Aggregator {
    let config = AggregatorConfig {
        thresholds: vec![percent(50)],
        round_blocks: 10,
        ..config()
    };
    let head = FixedHead::new();
    head.0.store(HEAD + blocks, Ordering::SeqCst);
    Aggregator::new(
        store,
        FixedRegistry::new(8),
        head,
        confirmer.clone(),
        config,
    )
}

/// A process dies between a late signature of an attestation and the certificate with it, and the round is over
/// when the next one looks.
#[test]
fn a_signature_beside_the_certificate_outlives_its_round() {
    // Its clock stands, and nothing of a process is left when its runtime is gone.
    let process = || {
        let mut process = tokio::runtime::Builder::new_current_thread();
        process.enable_all().start_paused(true).build().unwrap()
    };
    let (store, said) = (MemoryStore::new(), attestation(1));
    let never = Confirmer::answering([Answer::Wait(Arc::new(Notify::new()))]);
    process().block_on(async {
        let before = later(store.clone(), &never, 0);
        for index in 0..4 {
            before.submit(signed_as(&said, index)).await.unwrap();
        }
        until(|| never.certificates().len() == 1).await;
        let progress = before.submit(signed_as(&said, 4)).await.unwrap();
        assert_eq!(progress, Progress::Reached { signers: 5 });
        assert_eq!(signers_of(&before, &said).await, [0, 1, 2, 3]);
    });
    process().block_on(async {
        let silent = Confirmer::default();
        let after = later(store, &silent, 20);
        assert_eq!(after.tend().await.unwrap(), 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(signers_of(&after, &said).await, [0, 1, 2, 3, 4]);
        after.submit(signed_as(&said, 5)).await.unwrap();
        assert_eq!(signers_of(&after, &said).await, [0, 1, 2, 3, 4, 5]);
        // It was not brought to L1 again.
        assert!(silent.certificates().is_empty());
        assert_eq!(after.tend().await.unwrap(), 0);
    });
}

/// L1 refuses the certificate, one more signs in the last moment of the round, and another one ends it.
#[tokio::test(start_paused = true)]
async fn who_signs_in_the_last_moment_is_in_the_certificate() {
    for is_tended in [false, true] {
        let confirmer = Confirmer::answering((0..10).map(|_| Answer::Revert));
        let aggregator = later(MemoryStore::new(), &confirmer, 0);
        let (said, lifetime) = (attestation(1), config().round_lifetime);
        for index in 0..3 {
            aggregator.submit(signed_as(&said, index)).await.unwrap();
        }
        tokio::time::sleep(lifetime - Duration::from_millis(200)).await;
        aggregator.submit(signed_as(&said, 3)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        aggregator.submit(signed_as(&said, 4)).await.unwrap();
        assert_eq!(signers_of(&aggregator, &said).await, [0, 1, 2, 3]);
        tokio::time::sleep(Duration::from_millis(110)).await;
        let mut expected = vec![0, 1, 2, 3, 4];
        if is_tended {
            aggregator.tend().await.unwrap();
        } else {
            aggregator.submit(signed_as(&said, 5)).await.unwrap();
            expected.push(5);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(signers_of(&aggregator, &said).await, expected);
    }
}

/// Holds back the write that has a round leave, while others write.
struct Leaving {
    begun: Semaphore,
    made: Semaphore,
}

#[async_trait]
impl Writes for Leaving {
    async fn write(
        &self,
        store: &MemoryStore,
        changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        let leaves = |change: &Change| {
            let value = change.value.as_deref().unwrap_or_default();
            change.table == Table::Rounds && String::from_utf8_lossy(value).contains("isLeaving")
        };
        if changes.iter().any(leaves) {
            self.begun.add_permits(1);
            self.made.acquire().await.unwrap().forget();
        }
        store.write(changes).await
    }
}

/// The signature that is enough comes while the round is being forgotten: what was told is kept, an attestation's
/// confirmation too, and an alert is brought to L1.
#[tokio::test(start_paused = true)]
async fn a_round_that_is_certified_while_it_is_forgotten_stays() {
    for said in [attestation(1), statement(1)] {
        let store = Arc::new(WrittenBy::from(Leaving {
            begun: Semaphore::new(0),
            made: Semaphore::new(0),
        }));
        let until_then = Arc::new(Notify::new());
        let confirmer = Confirmer::answering([Answer::Wait(Arc::clone(&until_then))]);
        let one = later(Arc::clone(&store), &confirmer, 0);
        for index in 0..3 {
            one.submit(signed_as(&said, index)).await.unwrap();
        }
        let is_alert = said == statement(1);
        let ending = if is_alert {
            // An alert gives way to another one.
            let config = AggregatorConfig {
                thresholds: vec![percent(50)],
                max_rounds: 1,
                round_lifetime: Duration::ZERO,
                ..config()
            };
            let registry = FixedRegistry::new(8);
            let other = aggregator_on(Arc::clone(&store), registry, &Confirmer::default(), config);
            assert_eq!(other.tend().await.unwrap(), 1);
            tokio::spawn(async move { other.submit(signed(2, 0)).await.map(drop) })
        } else {
            let other = later(Arc::clone(&store), &Confirmer::default(), 20);
            tokio::spawn(async move { other.tend().await.map(drop) })
        };
        store.begun.acquire().await.unwrap().forget();
        let progress = one.submit(signed_as(&said, 3)).await.unwrap();
        assert_eq!(progress, Progress::Reached { signers: 4 });
        until(|| confirmer.certificates().len() == 1).await;
        store.made.add_permits(1);
        ending.await.unwrap().unwrap();
        if is_alert {
            // As if the process had died here.
            let after = Confirmer::default();
            later(store, &after, 0).tend().await.unwrap();
            until(|| after.certificates().len() == 1).await;
            continue;
        }
        until_then.notify_one();
        let digest = said.digest(&DOMAIN);
        until(|| matches!(one.progress(digest), Some(Progress::Confirmed(_)))).await;
        let after = || later(Arc::clone(&store), &Confirmer::default(), 0);
        let expected = Progress::Confirmed(confirmation(digest));
        let found = || futures::executor::block_on(after().submit(signed_as(&said, 0)));
        until(|| found().unwrap() == expected).await;
        assert_eq!(signers_of(&one, &said).await, [0, 1, 2, 3]);
        // It grows old like any other.
        let ages = store.scan(Table::Aging, &[], None, 10).await.unwrap();
        assert!(!ages.is_empty());
    }
}
