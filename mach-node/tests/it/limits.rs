//! What bounds an aggregator: number and lifetime of rounds, and who may take up room.
//!
//! COMPAT 8.1, 2: expiry ended the original's process. 15: nothing of it was bounded.

use std::{sync::Arc, time::Duration};

use mach_core::ports::{AggregateError, Progress, SignatureAggregator};
use mach_node::{Aggregator, AggregatorConfig, RetryPolicy};
use tokio::sync::Notify;

use crate::ports::{
    Answer, Confirmer, DOMAIN, FixedRegistry, RETRY, aggregator_with, attestation, config,
    confirmed, digest, sign_all, signed, signed_as, signed_by, statement, until,
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
    assert_eq!(aggregator.open_rounds(), 1);
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
        assert_eq!(aggregator.open_rounds(), 4);
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
        max_rounds: 6,
        max_rounds_per_operator: 3,
        ..config()
    };
    let aggregator = aggregator_with(FixedRegistry::new(4), &Confirmer::default(), config);
    for number in 0..100 {
        let taken = aggregator.submit(signed(number, 0)).await;
        assert_eq!(taken.is_ok(), number < 3, "{number}: {taken:?}");
        assert!(number < 3 || matches!(taken, Err(AggregateError::Full(3))));
    }
    assert_eq!(aggregator.open_rounds(), 3);
    // Others go on, and a round that another one signs is not the first one's alone any more.
    aggregator.submit(signed(200, 1)).await.unwrap();
    aggregator.submit(signed(1, 1)).await.unwrap();
    aggregator.submit(signed(201, 0)).await.unwrap();
    assert_eq!(aggregator.open_rounds(), 5);
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
        assert_eq!(aggregator.open_rounds(), 1);
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
    assert_eq!(aggregator.open_rounds(), 4);
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
