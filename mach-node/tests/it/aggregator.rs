use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mach_core::{
    Domain, SignedStatement, Statement,
    ports::{AggregateError, Progress, SignatureAggregator},
};
use tokio::{sync::Notify, task::JoinSet};

use crate::ports::{
    Answer, Confirmer, DOMAIN, FixedRegistry, HEAD, aggregator, aggregator_with, alert, config,
    confirmation, confirmed, digest, id, sign_all, signed, signed_by, statement, until,
};

/// COMPAT 8.1, 1 and 13: the original checked, then created, and split the signatures.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_open_a_statement_at_once_are_in_one_round() {
    let registry = Arc::new(FixedRegistry {
        delay: Duration::from_millis(20),
        ..FixedRegistry::new(4)
    });
    let confirmer = Confirmer::default();
    let aggregator = aggregator_with(Arc::clone(&registry), &confirmer, config());
    let mut opening = JoinSet::new();
    for _ in 0..64 {
        let aggregator = aggregator.clone();
        opening.spawn(async move { aggregator.open(&statement(1)).await.unwrap() });
    }
    let rounds = opening.join_all().await;
    assert_eq!(rounds.len(), 64);
    assert!(rounds.iter().all(|round| round == &rounds[0]));
    assert_eq!(u64::from(rounds[0].reference_block()), HEAD - 1);
    assert_eq!(registry.reads.load(Ordering::SeqCst), 1);
    assert_eq!(aggregator.open_rounds(), 1);
}

/// COMPAT 8.1, 3.
#[tokio::test]
async fn a_signature_that_comes_twice_counts_once() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    aggregator.open(&statement(1)).await.unwrap();
    for index in [0, 0, 1, 0, 1] {
        let progress = aggregator.submit(signed(1, index)).await.unwrap();
        assert!(matches!(progress, Progress::Collecting { signers } if signers <= 2));
    }
    assert_eq!(
        aggregator.progress(digest(1)),
        Some(Progress::Collecting { signers: 2 })
    );
    assert!(confirmer.certificates().is_empty());
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_named() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    aggregator.open(&statement(1)).await.unwrap();
    let refused = |result: Result<_, AggregateError>, index| matches!(result, Err(AggregateError::BadSignature(operator)) if operator == id(index));
    // The first of a round, the one that would reach the threshold, and one that is no point.
    assert!(refused(aggregator.submit(signed_by(1, 0, 9)).await, 0));
    for index in [0, 1] {
        aggregator.submit(signed(1, index)).await.unwrap();
    }
    assert!(refused(aggregator.submit(signed_by(1, 2, 9)).await, 2));
    let mut garbage = signed(1, 3);
    garbage.signature.0.0 = [0xff; 64];
    assert!(refused(aggregator.submit(garbage).await, 3));
    assert_eq!(
        aggregator.progress(digest(1)),
        Some(Progress::Collecting { signers: 2 })
    );
    aggregator.submit(signed(1, 2)).await.unwrap();
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 1);
}

#[tokio::test]
async fn garbage_in_an_operators_name_does_not_keep_it_out() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    aggregator.open(&statement(1)).await.unwrap();
    aggregator.submit(signed(1, 0)).await.unwrap();
    // Taken, since it is not checked yet; it costs the operator nothing.
    aggregator.submit(signed_by(1, 1, 9)).await.unwrap();
    aggregator.submit(signed(1, 1)).await.unwrap();
    let again = aggregator.submit(signed_by(1, 1, 9)).await;
    assert!(matches!(again, Err(AggregateError::BadSignature(operator)) if operator == id(1)));
    // The garbage of others is found when the threshold is near, and is not the sender's fault.
    aggregator.submit(signed_by(1, 2, 9)).await.unwrap_err();
    aggregator.submit(signed(1, 2)).await.unwrap();
    confirmed(&aggregator, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_certificate_is_confirmed_exactly_once() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    let mut sending = JoinSet::new();
    for turn in 0..40 {
        let aggregator = aggregator.clone();
        sending.spawn(async move {
            aggregator.open(&statement(1)).await.unwrap();
            aggregator.submit(signed(1, turn % 4)).await.unwrap()
        });
    }
    sending.join_all().await;
    confirmed(&aggregator, 1).await;
    let certificates = confirmer.certificates();
    assert_eq!(certificates.len(), 1);
    assert_eq!(certificates[0].statement, statement(1));
    assert_eq!(certificates[0].domain, DOMAIN);
    assert!(certificates[0].non_signers.len() <= 1);
}

/// COMPAT 8.1, 4: the original could never confirm such an alert.
#[tokio::test]
async fn after_a_revert_the_next_signature_tries_again() {
    let confirmer = Confirmer::answering([Answer::Revert]);
    let aggregator = aggregator(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    until(|| {
        confirmer.certificates().len() == 1
            && aggregator.progress(digest(1)) == Some(Progress::Collecting { signers: 3 })
    })
    .await;
    // One that was counted before is enough.
    aggregator.submit(signed(1, 0)).await.unwrap();
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 2);
}

#[tokio::test]
async fn a_panic_of_the_confirmer_does_not_end_the_round() {
    let confirmer = Confirmer::answering([Answer::Panic]);
    let aggregator = aggregator(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    until(|| aggregator.progress(digest(1)) == Some(Progress::Collecting { signers: 3 })).await;
    aggregator.submit(signed(1, 3)).await.unwrap();
    confirmed(&aggregator, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_l1_that_is_silent_for_long_gets_the_certificate_in_the_end() {
    let confirmer = Confirmer::answering((0..100).map(|_| Answer::Silence));
    let aggregator = aggregator(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 101);
}

/// COMPAT 8.1, 9: one stuck transaction of the original stopped all alerts.
#[tokio::test]
async fn a_slow_confirmation_holds_up_no_other_round() {
    let stuck = Arc::new(Notify::new());
    let confirmer = Confirmer::answering([Answer::Wait(Arc::clone(&stuck))]);
    let aggregator = aggregator(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    until(|| confirmer.certificates().len() == 1).await;
    sign_all(&aggregator, 2, 0..3).await;
    confirmed(&aggregator, 2).await;
    assert_eq!(
        aggregator.progress(digest(1)),
        Some(Progress::Reached { signers: 3 })
    );
    stuck.notify_one();
    confirmed(&aggregator, 1).await;
}

/// COMPAT 8.1, 5: a signature in flight hung for ever when the task ended.
#[tokio::test]
async fn late_signatures_are_answered() {
    let on_its_way = Arc::new(Notify::new());
    let confirmer = Confirmer::answering([Answer::Wait(Arc::clone(&on_its_way))]);
    let aggregator = aggregator(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    until(|| confirmer.certificates().len() == 1).await;
    assert_eq!(
        aggregator.submit(signed(1, 3)).await.unwrap(),
        Progress::Reached { signers: 4 }
    );
    on_its_way.notify_one();
    confirmed(&aggregator, 1).await;
    aggregator.open(&statement(1)).await.unwrap();
    for index in 0..4 {
        assert_eq!(
            aggregator.submit(signed(1, index)).await.unwrap(),
            Progress::Confirmed(confirmation(digest(1)))
        );
    }
    let stranger = aggregator.submit(signed(1, 9)).await;
    assert!(matches!(stranger, Err(AggregateError::UnknownOperator(_))));
    assert_eq!(confirmer.certificates().len(), 1);
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let aggregator = aggregator(&Confirmer::default());
    let foreign = Statement::from(mach_core::Alert {
        rollup_chain_id: 11,
        ..alert(1)
    });
    assert!(matches!(
        aggregator.open(&foreign).await,
        Err(AggregateError::UnknownRollup(11))
    ));
    assert_eq!(aggregator.open_rounds(), 0);

    aggregator.open(&statement(1)).await.unwrap();
    let elsewhere = SignedStatement {
        domain: Domain {
            l1_chain_id: 5,
            ..DOMAIN
        },
        ..signed(1, 0)
    };
    assert!(matches!(
        aggregator.submit(elsewhere).await,
        Err(AggregateError::WrongDomain)
    ));
    // COMPAT 8.1, 6: what is signed says which round it is for.
    let never_opened = aggregator.submit(signed(2, 0)).await;
    assert!(matches!(never_opened, Err(AggregateError::UnknownRound(it)) if it == digest(2)));
    let stranger = aggregator.submit(signed(1, 9)).await;
    assert!(matches!(stranger, Err(AggregateError::UnknownOperator(it)) if it == id(9)));
    assert_eq!(
        aggregator.progress(digest(1)),
        Some(Progress::Collecting { signers: 0 })
    );
    assert_eq!(aggregator.progress(digest(2)), None);
}

#[tokio::test]
async fn a_registry_that_fails_once_is_asked_again() {
    let registry = FixedRegistry::new(4);
    registry.failures.store(1, Ordering::SeqCst);
    let aggregator = aggregator_with(registry, &Confirmer::default(), config());
    let error = aggregator.open(&statement(1)).await.unwrap_err();
    assert!(matches!(error, AggregateError::Registry(_)) && error.is_transient());
    assert_eq!(aggregator.open_rounds(), 0);
    aggregator.open(&statement(1)).await.unwrap();
    assert_eq!(aggregator.open_rounds(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_opening_leaves_the_round_to_others() {
    let registry = FixedRegistry {
        delay: Duration::from_secs(5),
        ..FixedRegistry::new(4)
    };
    let aggregator = aggregator_with(registry, &Confirmer::default(), config());
    let impatient =
        tokio::time::timeout(Duration::from_secs(1), aggregator.open(&statement(1))).await;
    assert!(impatient.is_err());
    aggregator.open(&statement(1)).await.unwrap();
    aggregator.submit(signed(1, 0)).await.unwrap();
}
