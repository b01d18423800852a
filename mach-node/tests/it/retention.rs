//! What goes to L1, and how long what is over is kept.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use mach_bls::verify_self_contained;
use mach_core::{
    Statement,
    ports::{AggregateError, Progress, SignatureAggregator},
};
use mach_node::{
    Aggregator, AggregatorConfig, Retention, RoundState, ToL1,
    store::{Change, Expected, MemoryStore, Row, Store, StoreError, Table, Written},
};

use crate::ports::{
    Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, alert, attestation, config, percent,
    signed_as, until,
};

async fn sign(aggregator: &Aggregator, statement: &Statement, operators: std::ops::Range<u64>) {
    for index in operators {
        aggregator
            .submit(signed_as(statement, index))
            .await
            .unwrap();
    }
}

/// Four operators of whom three are enough.
fn on(
    store: &MemoryStore,
    head: &Arc<FixedHead>,
    confirmer: &Confirmer,
    config: AggregatorConfig,
) -> Aggregator {
    Aggregator::new(
        store.clone(),
        FixedRegistry::new(4),
        head.clone(),
        confirmer.clone(),
        config,
    )
}

async fn count(store: &MemoryStore, table: Table) -> usize {
    store.scan(table, &[], None, 1000).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_kept_as_long_as_the_configuration_says() {
    let (store, head, confirmer) = (MemoryStore::new(), FixedHead::new(), Confirmer::default());
    let retention = Retention {
        rounds: 100,
        certificates: 300,
    };
    let config = AggregatorConfig {
        retention,
        confirmations: 0,
        ..config()
    };
    let aggregator = on(&store, &head, &confirmer, config.clone());
    // Two attestations and an alert, all confirmed; and one that nobody else signs.
    for number in [1, 2] {
        sign(&aggregator, &attestation(number), 0..3).await;
    }
    let accused = Statement::from(alert(3));
    sign(&aggregator, &accused, 0..3).await;
    until(|| confirmer.certificates().len() == 3).await;
    sign(&aggregator, &attestation(4), 0..1).await;
    until(|| futures::executor::block_on(count(&store, Table::Aging)) == 2).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 1).await;
    // The confirmer says that it was in the block of the head.
    let at = async |blocks: u64| {
        head.0.store(HEAD + blocks, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(1)).await;
    };

    // So long a late signature makes a better certificate.
    let absent = async |aggregator: &Aggregator, number: u64| {
        let digest = attestation(number).digest(&DOMAIN);
        let certificate = aggregator.certificate(digest).await.unwrap().unwrap();
        verify_self_contained(&certificate).unwrap();
        certificate.non_signers.len()
    };
    at(100).await;
    sign(&aggregator, &attestation(1), 3..4).await;
    assert_eq!(absent(&aggregator, 1).await, 0);

    // Another process goes on with it. Who comes later begins nothing anew, and is told that it is late.
    drop(aggregator);
    let aggregator = on(&store, &head, &confirmer, config);
    let terms = aggregator.open(&attestation(2)).await.unwrap();
    assert_eq!(u64::from(terms.reference_block()), HEAD - 1);
    at(101).await;
    let too_late = |error: AggregateError| {
        let digest = attestation(2).digest(&DOMAIN);
        matches!(error, AggregateError::TooLate(it) if it == digest) && !error.is_transient()
    };
    for index in [3, 0] {
        let late = aggregator.submit(signed_as(&attestation(2), index)).await;
        assert!(too_late(late.unwrap_err()));
    }
    assert!(too_late(
        aggregator.open(&attestation(2)).await.unwrap_err()
    ));
    assert_eq!(absent(&aggregator, 2).await, 1);
    assert_eq!(aggregator.rounds_in_memory(), 0);
    at(300).await;
    assert_eq!(aggregator.prune().await.unwrap(), 0);
    at(301).await;
    assert_eq!(aggregator.prune().await.unwrap(), 2);
    for number in [1, 2] {
        let digest = attestation(number).digest(&DOMAIN);
        assert_eq!(aggregator.certificate(digest).await.unwrap(), None);
        assert_eq!(aggregator.progress(digest), None);
    }
    assert_eq!(count(&store, Table::Rounds).await, 2);
    // An alert is never old.
    at(1_000_000).await;
    assert_eq!(aggregator.prune().await.unwrap(), 0);
    let standing = accused.digest(&DOMAIN);
    assert!(aggregator.certificate(standing).await.unwrap().is_some());
    assert_eq!(count(&store, Table::Aging).await, 0);
    assert_eq!(count(&store, Table::Rounds).await, 2);
}

#[tokio::test]
async fn what_is_not_brought_to_l1_is_certified_all_the_same() {
    let head = FixedHead::new();
    let every = |blocks| ToL1::AlertsAndEvery(NonZeroU64::new(blocks).unwrap());
    for (confirm, expected) in [
        (ToL1::All, vec![1, 2, 3, 4, 5]),
        (every(2), vec![2, 4, 5]),
        (ToL1::Alerts, vec![5]),
        (ToL1::Nothing, vec![]),
    ] {
        let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
        let config = AggregatorConfig {
            confirm,
            ..config()
        };
        let aggregator = on(&store, &head, &confirmer, config.clone());
        let accused = Statement::from(alert(5));
        let statements: Vec<_> = (1..5).map(attestation).chain([accused]).collect();
        for one in &statements {
            sign(&aggregator, one, 0..3).await;
        }
        until(|| confirmer.certificates().len() == expected.len()).await;
        until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
        let sent = confirmer.certificates();
        let mut sent: Vec<_> = sent.iter().map(|it| it.statement.block().number).collect();
        sent.sort_unstable();
        assert_eq!(sent, expected, "{confirm:?}");

        // All of them are certified, after a restart too, and late signatures extend what there is.
        drop(aggregator);
        let aggregator = on(&store, &head, &confirmer, config);
        assert_eq!(aggregator.tend().await.unwrap(), 0);
        for one in &statements {
            let digest = one.digest(&DOMAIN);
            sign(&aggregator, one, 3..4).await;
            let certificate = aggregator.certificate(digest).await.unwrap().unwrap();
            assert!(certificate.non_signers.is_empty(), "{confirm:?}");
            let rounds = aggregator.rounds();
            let view = rounds.iter().find(|it| it.digest == digest).unwrap();
            let is_on_l1 = matches!(view.state, RoundState::Confirmed(_));
            assert_eq!(is_on_l1, expected.contains(&one.block().number));
        }
        assert_eq!(confirmer.certificates().len(), expected.len());
    }
}

/// A certificate whose round is lost, as an earlier release lost some, is extended in its own terms: nobody
/// is alone with what others have signed, and what is acknowledged is in it.
#[tokio::test]
async fn a_certificate_without_a_round_is_extended_all_the_same() {
    let (store, head, confirmer) = (MemoryStore::new(), FixedHead::new(), Confirmer::default());
    let config = || AggregatorConfig {
        thresholds: vec![percent(50)],
        ..config()
    };
    let first = on(&store, &head, &confirmer, config());
    sign(&first, &attestation(1), 0..2).await;
    let digest = attestation(1).digest(&DOMAIN);
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
    drop(first);
    let change = Change {
        table: Table::Rounds,
        key: digest.to_vec(),
        expected: Expected::Anything,
        value: None,
    };
    let _ = store.write(vec![change]).await.unwrap();
    head.0.store(HEAD + 50, Ordering::SeqCst);
    for index in [2, 3] {
        let second = on(&store, &head, &confirmer, config());
        let progress = second.submit(signed_as(&attestation(1), index)).await;
        assert!(
            matches!(progress, Ok(Progress::Reached { .. })),
            "{progress:?}"
        );
        let certificate = second.certificate(digest).await.unwrap().unwrap();
        verify_self_contained(&certificate).unwrap();
        assert_eq!(u64::from(certificate.round.reference_block()), HEAD - 1);
        assert_eq!(certificate.non_signers.len() as u64, 3 - index);
    }
    assert_eq!(confirmer.certificates().len(), 1);
    assert_eq!(count(&store, Table::Rounds).await, 1);
}

/// Operators sign within moments of each other: those who come after the threshold cost a row each and
/// no certificate each.
#[tokio::test(start_paused = true)]
async fn late_signatures_of_what_is_not_brought_to_l1_are_rows() {
    let (store, head, confirmer) = (Counting::default(), FixedHead::new(), Confirmer::default());
    let config = AggregatorConfig {
        confirm: ToL1::Alerts,
        ..config()
    };
    let registry = FixedRegistry::new(90);
    let aggregator = Aggregator::new(store.clone(), registry, head, confirmer, config);
    sign(&aggregator, &attestation(1), 0..80).await;
    let digest = attestation(1).digest(&DOMAIN);
    let written = || store.certificates.load(Ordering::SeqCst);
    assert!(written() < 4, "{} certificates", written());
    let progress = aggregator.progress(digest);
    assert_eq!(progress, Some(Progress::Reached { signers: 80 }));
    // After a while it is closed, and has all of them.
    until(|| futures::executor::block_on(count(&store.inner, Table::Unconfirmed)) == 0).await;
    let certificate = aggregator.certificate(digest).await.unwrap().unwrap();
    assert_eq!(certificate.non_signers.len(), 10);
    until(|| futures::executor::block_on(count(&store.inner, Table::Signatures)) == 0).await;
    sign(&aggregator, &attestation(1), 80..90).await;
    let certificate = aggregator.certificate(digest).await.unwrap().unwrap();
    verify_self_contained(&certificate).unwrap();
    assert_eq!(certificate.non_signers.len(), 0);
}

/// Thousands sign at once, and most come before there is a round.
#[tokio::test]
async fn who_begins_a_round_looks_into_the_store_and_the_others_wait() {
    const OPERATORS: u64 = 64;
    let (store, head, confirmer) = (Counting::default(), FixedHead::new(), Confirmer::default());
    let registry = FixedRegistry::new(OPERATORS);
    let aggregator = Aggregator::new(store.clone(), registry, head, confirmer, config());
    let statement = attestation(1);
    // Nobody keeps the others waiting with a signature that is wrong.
    let mut wrong = signed_as(&statement, 0);
    wrong.signature = signed_as(&statement, 1).signature;
    let signed = (0..OPERATORS).map(|index| signed_as(&statement, index));
    let submitted = std::iter::once(wrong).chain(signed);
    let answers = join_all(submitted.map(|signed| aggregator.submit(signed))).await;
    assert!(matches!(answers[0], Err(AggregateError::BadSignature(_))));
    assert!(answers[1..].iter().all(Result::is_ok), "{answers:?}");
    let looks = store.looks.load(Ordering::SeqCst);
    assert!(looks <= 8, "{looks} looks for a round and its certificate");
}

/// Counts how many certificates are written, and how often somebody looks for one or for a round.
#[derive(Clone, Default)]
struct Counting {
    inner: MemoryStore,
    certificates: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
}

#[async_trait]
impl Store for Counting {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let is_counted = matches!(table, Table::Rounds | Table::Certificates);
        self.looks
            .fetch_add(usize::from(is_counted), Ordering::SeqCst);
        self.inner.get(table, key).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.inner.scan(table, prefix, after, limit).await
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        let certificates = changes.iter().filter(|it| it.table == Table::Certificates);
        (self.certificates).fetch_add(certificates.count(), Ordering::SeqCst);
        self.inner.write(changes).await
    }
}
