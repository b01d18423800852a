//! What bounds an aggregator: number and lifetime of rounds, and who may take up room.
//!
//! COMPAT 8.1, 2: expiry ended the original's process. 15: nothing of it was bounded.

use std::{sync::Arc, time::Duration};

use mach_core::ports::{AggregateError, Progress, SignatureAggregator};
use mach_node::{Aggregator, AggregatorConfig, RetryPolicy};
use tokio::sync::Notify;

use crate::ports::{
    Answer, Confirmer, FixedRegistry, RETRY, aggregator_with, config, confirmed, digest, sign_all,
    signed, signed_by, statement, until,
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
        sign_all(&aggregator, number, [0]).await;
    }
    let error = aggregator.submit(signed(4, 0)).await.unwrap_err();
    assert!(matches!(error, AggregateError::Full(4)) && error.is_transient());
    // The rounds that are there go on.
    aggregator.open(&statement(0)).await.unwrap();
    aggregator.submit(signed(0, 1)).await.unwrap();

    tokio::time::advance(LIFETIME).await;
    aggregator.submit(signed(4, 0)).await.unwrap();
    assert_eq!(aggregator.open_rounds(), 1);
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
    sign_all(&aggregator, 1, 0..2).await;
    tokio::time::advance(LIFETIME).await;
    assert_eq!(aggregator.progress(digest(1)), None);
    // Another round begins.
    let late = aggregator.submit(signed(1, 2)).await.unwrap();
    assert_eq!(late, Progress::Collecting { signers: 1 });
    assert!(confirmer.certificates().is_empty());
    sign_all(&aggregator, 1, 0..2).await;
    confirmed(&aggregator, 1).await;
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

#[tokio::test(start_paused = true)]
async fn a_certificate_that_l1_never_takes_is_given_up_with_its_round() {
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
    sign_all(&aggregator, 1, 0..3).await;
    tokio::time::sleep(LIFETIME + Duration::from_secs(6)).await;
    let tries = confirmer.certificates().len();
    assert!(
        (30..45).contains(&tries),
        "{tries}: three tries every five seconds"
    );
    tokio::time::sleep(LIFETIME).await;
    assert_eq!(confirmer.certificates().len(), tries);
    assert_eq!(aggregator.progress(digest(1)), None);
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
