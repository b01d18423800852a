//! What bounds an aggregator: number and lifetime of rounds, and who may take up room.
//!
//! COMPAT 8.1, 2: expiry ended the original's process. 15: nothing of it was bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mach_core::ports::{AggregateError, BoxError, Progress, SignatureAggregator};
use mach_node::{Aggregator, AggregatorConfig, L1Head, RetryPolicy, store::MemoryStore};
use tokio::sync::Notify;

use crate::ports::{
    Answer, Confirmer, DOMAIN, FixedHead, FixedRegistry, RETRY, aggregator_with, attestation,
    config, confirmed, digest, sign_all, signed, signed_as, signed_by, statement, until,
};

const LIFETIME: Duration = Duration::from_secs(60);

/// Room for four rounds of a minute.
fn small(confirmer: &Confirmer) -> Aggregator {
    let config = AggregatorConfig {
        max_rounds: 4,
        round_lifetime: LIFETIME,
        ..config()
    };
    aggregator_with(FixedRegistry::new(4), confirmer, config)
}

#[tokio::test(start_paused = true)]
async fn a_full_aggregator_says_so_and_recovers() {
    let aggregator = small(&Confirmer::default());
    for number in 0..4 {
        aggregator
            .submit(signed_as(&attestation(number), 0))
            .await
            .unwrap();
    }
    let error = aggregator
        .submit(signed_as(&attestation(4), 0))
        .await
        .unwrap_err();
    assert!(matches!(error, AggregateError::Full(4)) && error.is_transient());
    // The rounds that are there go on.
    aggregator.open(&attestation(0)).await.unwrap();
    aggregator
        .submit(signed_as(&attestation(0), 1))
        .await
        .unwrap();

    tokio::time::advance(LIFETIME).await;
    aggregator
        .submit(signed_as(&attestation(4), 0))
        .await
        .unwrap();
    assert_eq!(aggregator.rounds_in_memory(), 1);
}

/// Alerts do not expire, and do not keep others out either: the one with the fewest signers goes, and comes
/// back when it is sent again.
#[tokio::test(start_paused = true)]
async fn alerts_that_nobody_joins_give_way_when_there_is_no_room() {
    let aggregator = small(&Confirmer::default());
    for number in 0..4 {
        aggregator.submit(signed(number, 0)).await.unwrap();
    }
    aggregator.submit(signed(0, 1)).await.unwrap();
    let full = aggregator.submit(signed(4, 1)).await.unwrap_err();
    assert!(matches!(full, AggregateError::Full(4)));
    tokio::time::advance(LIFETIME).await;
    let collecting = |signers| Some(Progress::Collecting { signers });
    assert_eq!(aggregator.progress(digest(0)), collecting(2));
    for number in 4..7 {
        aggregator.submit(signed(number, 1)).await.unwrap();
        assert_eq!(aggregator.rounds_in_memory(), 4);
    }
    // The three that are gone were signed by one.
    let left = (0..7).map(|number| aggregator.progress(digest(number)));
    let alone = collecting(1);
    let expected = [
        collecting(2),
        None,
        None,
        None,
        alone.clone(),
        alone.clone(),
        alone,
    ];
    assert_eq!(left.collect::<Vec<_>>(), expected);
}

/// What one operator signs alone does not fill the aggregator.
#[tokio::test]
async fn an_operator_has_a_share_of_the_rounds() {
    let config = AggregatorConfig {
        max_rounds: 10,
        max_rounds_per_operator: 3,
        ..config()
    };
    let aggregator = aggregator_with(FixedRegistry::new(4), &Confirmer::default(), config);
    for number in 0..100 {
        let taken = aggregator.submit(signed(number, 0)).await;
        assert_eq!(taken.is_ok(), number < 3, "{number}: {taken:?}");
        assert!(number < 3 || matches!(taken, Err(AggregateError::Full(3))));
    }
    assert_eq!(aggregator.rounds_in_memory(), 3);
    // Others go on. Who signs with it does not give it more.
    for number in 0..3 {
        aggregator.submit(signed(number, 1)).await.unwrap();
    }
    for index in 0..2 {
        let full = aggregator.submit(signed(200, index)).await.unwrap_err();
        assert!(matches!(full, AggregateError::Full(3)));
        // Alerts and attestations do not keep each other out.
        let other = signed_as(&attestation(index), index);
        aggregator.submit(other).await.unwrap();
    }
    aggregator.submit(signed(200, 2)).await.unwrap();
    assert_eq!(aggregator.rounds_in_memory(), 6);
    // What has a certificate is not counted.
    aggregator.submit(signed(0, 2)).await.unwrap();
    confirmed(&aggregator, 0).await;
    aggregator.submit(signed(201, 0)).await.unwrap();
}

/// Who may not have another round does not take the place of others either.
#[tokio::test(start_paused = true)]
async fn an_operator_beyond_its_share_makes_no_room() {
    let config = AggregatorConfig {
        max_rounds: 4,
        max_rounds_per_operator: 2,
        round_lifetime: LIFETIME,
        ..config()
    };
    let aggregator = aggregator_with(FixedRegistry::new(4), &Confirmer::default(), config);
    for number in 0..4 {
        aggregator.submit(signed(number, number / 2)).await.unwrap();
    }
    tokio::time::advance(LIFETIME).await;
    let full = aggregator.submit(signed(4, 0)).await.unwrap_err();
    assert!(matches!(full, AggregateError::Full(2)));
    for number in 0..4 {
        assert!(aggregator.progress(digest(number)).is_some(), "{number}");
    }
    aggregator.submit(signed(4, 2)).await.unwrap();
    assert_eq!(aggregator.rounds_in_memory(), 4);
}

/// However often the terms of nonsense became those of the day, and in the next process too.
#[tokio::test(start_paused = true)]
async fn alerts_that_nobody_joins_give_way_in_other_terms_and_after_a_restart() {
    let (store, l1) = (MemoryStore::new(), FixedHead::new());
    let start = || {
        let config = AggregatorConfig {
            max_rounds: 4,
            round_lifetime: LIFETIME,
            ..config()
        };
        let (registry, confirmer) = (FixedRegistry::new(4), Confirmer::default());
        Aggregator::new(store.clone(), registry, l1.clone(), confirmer, config)
    };
    let mut aggregator = start();
    for number in 0..4 {
        aggregator.submit(signed(number, 0)).await.unwrap();
    }
    tokio::time::advance(LIFETIME).await;
    l1.0.fetch_add(1000, Ordering::SeqCst);
    assert_eq!(aggregator.tend().await.unwrap(), 4);
    aggregator.submit(signed(4, 1)).await.unwrap();
    assert_eq!(aggregator.rounds_in_memory(), 4);
    drop(aggregator);
    aggregator = start();
    assert_eq!(aggregator.tend().await.unwrap(), 4);
    for number in 5..8 {
        aggregator.submit(signed(number, 1)).await.unwrap();
    }
    // These are all of this hour.
    let full = aggregator.submit(signed(8, 1)).await.unwrap_err();
    assert!(matches!(full, AggregateError::Full(4)));
    for number in 4..8 {
        assert!(aggregator.progress(digest(number)).is_some(), "{number}");
    }
}

/// L1 as a node that takes the request and does not answer.
struct Silent {
    head: Arc<FixedHead>,
    is_silent: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl L1Head for Silent {
    async fn block_number(&self) -> Result<u64, BoxError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_silent.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        self.head.block_number().await
    }
}

/// Neither alerts whose terms are to be those of now, nor strangers who ask for some.
#[tokio::test(start_paused = true)]
async fn a_silent_l1_holds_up_no_round_that_is_there() {
    let l1 = Arc::new(Silent {
        head: FixedHead::new(),
        is_silent: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
    });
    let config = AggregatorConfig {
        round_lifetime: LIFETIME,
        ..config()
    };
    let (registry, confirmer) = (FixedRegistry::new(4), Confirmer::default());
    let aggregator = Aggregator::new(
        MemoryStore::new(),
        registry,
        l1.clone(),
        confirmer.clone(),
        config,
    );
    for number in 0..50 {
        aggregator.submit(signed(number, 0)).await.unwrap();
    }
    tokio::time::advance(LIFETIME).await;
    l1.is_silent.store(true, Ordering::SeqCst);
    let asked = l1.asked.load(Ordering::SeqCst);
    let strangers = (100..200).map(|number| {
        let aggregator = aggregator.clone();
        tokio::spawn(async move { aggregator.open(&statement(number)).await })
    });
    let strangers: Vec<_> = strangers.collect();
    let soon = Duration::from_secs(5);
    let tended = tokio::time::timeout(soon, aggregator.tend()).await;
    assert_eq!(tended.unwrap().unwrap(), 50);
    for index in 1..3 {
        let taken = tokio::time::timeout(soon, aggregator.submit(signed(7, index)));
        taken.await.unwrap().unwrap();
    }
    for stranger in strangers {
        let error = tokio::time::timeout(soon, stranger).await.unwrap();
        assert!(error.unwrap().unwrap_err().is_transient());
    }
    let asked = l1.asked.load(Ordering::SeqCst) - asked;
    assert!(asked < 10, "{asked}");
    confirmed(&aggregator, 7).await;
}

#[tokio::test]
async fn rounds_that_nobody_signed_take_no_room() {
    let confirmer = Confirmer::default();
    let aggregator = small(&confirmer);
    sign_all(&aggregator, 0, [0]).await;
    for number in 1..100 {
        aggregator.open(&statement(number)).await.unwrap();
        // A signature that is not an operator's does not make a round.
        aggregator
            .submit(signed_by(number, 1, 9))
            .await
            .unwrap_err();
        aggregator.submit(signed(number, 9)).await.unwrap_err();
        assert_eq!(aggregator.rounds_in_memory(), 1);
    }
    for index in 1..3 {
        aggregator.submit(signed(0, index)).await.unwrap();
    }
    confirmed(&aggregator, 0).await;
}

#[tokio::test]
async fn confirmed_rounds_give_way_to_new_ones() {
    let confirmer = Confirmer::default();
    let aggregator = small(&confirmer);
    for number in 0..20 {
        sign_all(&aggregator, number, 0..3).await;
        confirmed(&aggregator, number).await;
    }
    assert_eq!(confirmer.certificates().len(), 20);
    assert_eq!(aggregator.rounds_in_memory(), 4);
    assert_eq!(aggregator.progress(digest(0)), None);
    assert!(matches!(
        aggregator.progress(digest(19)),
        Some(Progress::Confirmed(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_round_that_expired_can_be_opened_again() {
    let confirmer = Confirmer::default();
    let aggregator = small(&confirmer);
    let digest = attestation(1).digest(&DOMAIN);
    let sign = async |index| {
        aggregator
            .submit(signed_as(&attestation(1), index))
            .await
            .unwrap()
    };
    for index in 0..2 {
        sign(index).await;
    }
    tokio::time::advance(LIFETIME).await;
    assert_eq!(aggregator.progress(digest), None);
    // Another round begins.
    assert_eq!(sign(2).await, Progress::Collecting { signers: 1 });
    assert!(confirmer.certificates().is_empty());
    for index in 0..2 {
        sign(index).await;
    }
    until(|| matches!(aggregator.progress(digest), Some(Progress::Confirmed(_)))).await;
}

#[tokio::test(start_paused = true)]
async fn a_round_whose_certificate_is_on_its_way_does_not_expire() {
    let on_its_way = Arc::new(Notify::new());
    let confirmer = Confirmer::answering([Answer::Wait(Arc::clone(&on_its_way))]);
    let aggregator = small(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    until(|| confirmer.certificates().len() == 1).await;
    tokio::time::advance(2 * LIFETIME).await;
    // Others who need room, and an operator who comes late.
    for number in 2..20 {
        aggregator.open(&statement(number)).await.unwrap();
    }
    aggregator.open(&statement(1)).await.unwrap();
    assert_eq!(
        aggregator.submit(signed(1, 3)).await.unwrap(),
        Progress::Reached { signers: 4 }
    );
    on_its_way.notify_one();
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 1);
}

/// L1 is not bothered for ever with an attestation: a later one covers it. Its certificate is kept, and late
/// signatures extend it.
#[tokio::test(start_paused = true)]
async fn an_attestation_that_l1_never_takes_is_left_at_its_certificate() {
    let confirmer = Confirmer::answering((0..10_000).map(|_| Answer::Silence));
    let config = AggregatorConfig {
        round_lifetime: LIFETIME,
        retry: RetryPolicy {
            max_delay: Duration::from_secs(5),
            ..RETRY
        },
        ..config()
    };
    let aggregator = aggregator_with(FixedRegistry::new(4), &confirmer, config);
    let sign = async |index| {
        aggregator
            .submit(signed_as(&attestation(1), index))
            .await
            .unwrap()
    };
    for index in 0..3 {
        sign(index).await;
    }
    tokio::time::sleep(2 * LIFETIME).await;
    let tries = confirmer.certificates().len();
    assert!(
        (12..=18).contains(&tries),
        "{tries}: three tries after 5, 10, 20 and 30 seconds"
    );
    aggregator.tend().await.unwrap();
    tokio::time::sleep(LIFETIME).await;
    assert_eq!(aggregator.tend().await.unwrap(), 0);
    assert_eq!(confirmer.certificates().len(), tries);
    assert_eq!(sign(0).await, Progress::Reached { signers: 3 });
    assert_eq!(sign(3).await, Progress::Reached { signers: 4 });
    let certificate = aggregator.certificate(attestation(1).digest(&DOMAIN)).await;
    assert!(certificate.unwrap().unwrap().non_signers.is_empty());
    assert_eq!(confirmer.certificates().len(), tries);
}

/// What was confirmed and has expired is answered for as long as it is remembered.
#[tokio::test(start_paused = true)]
async fn a_confirmed_round_is_remembered_beyond_its_lifetime() {
    let confirmer = Confirmer::default();
    let aggregator = small(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    confirmed(&aggregator, 1).await;
    tokio::time::advance(LIFETIME).await;
    assert!(matches!(
        aggregator.submit(signed(1, 3)).await,
        Ok(Progress::Confirmed(_))
    ));
    // Nobody brings it to L1 again by sending what was sent before.
    sign_all(&aggregator, 1, 0..3).await;
    aggregator.tend().await.unwrap();
    sign_all(&aggregator, 1, 0..3).await;
    assert_eq!(confirmer.certificates().len(), 1);
}
