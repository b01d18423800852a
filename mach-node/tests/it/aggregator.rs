use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mach_core::{
    Domain, SignedStatement, Statement,
    ports::{AggregateError, Progress, SignatureAggregator},
};
use mach_node::{
    Aggregator, AggregatorConfig, RoundEvent,
    store::{MemoryStore, Store, Table},
};
use tokio::{sync::Notify, task::JoinSet};

use crate::ports::{
    Answer, Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, aggregator, aggregator_on,
    aggregator_with, alert, config, confirmation, confirmed, digest, id, sign_all, signed,
    signed_by, statement, until,
};

/// COMPAT 8.1, 1 and 13: the original checked, then created, and split the signatures.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_sign_a_statement_at_once_are_in_one_round() {
    let registry = Arc::new(FixedRegistry {
        delay: Duration::from_millis(20),
        ..FixedRegistry::new(100)
    });
    let confirmer = Confirmer::default();
    let aggregator = aggregator_with(Arc::clone(&registry), &confirmer, config());
    let mut events = aggregator.events();
    let mut signing = JoinSet::new();
    for index in 0..64 {
        let aggregator = aggregator.clone();
        signing.spawn(async move {
            let round = aggregator.open(&statement(1)).await.unwrap();
            aggregator.submit(signed(1, index)).await.unwrap();
            round
        });
    }
    let rounds = signing.join_all().await;
    assert_eq!(rounds.len(), 64);
    assert!(rounds.iter().all(|round| round == &rounds[0]));
    assert_eq!(u64::from(rounds[0].reference_block()), HEAD - 1);
    assert_eq!(registry.reads.load(Ordering::SeqCst), 1);
    assert_eq!(aggregator.rounds_in_memory(), 1);
    assert_eq!(
        aggregator.progress(digest(1)),
        Some(Progress::Collecting { signers: 64 })
    );
    let mut opened = 0;
    while let Ok(event) = events.try_recv() {
        opened += usize::from(matches!(event, RoundEvent::Opened(_)));
    }
    assert_eq!(opened, 1);
}

/// COMPAT 8.1, 2 and 15: one request made a task of the original, and it asked L1 for each.
#[tokio::test]
async fn who_asks_for_terms_takes_up_nothing() {
    let registry = Arc::new(FixedRegistry::new(4));
    let store = MemoryStore::new();
    let confirmer = Confirmer::default();
    let aggregator = aggregator_on(store.clone(), Arc::clone(&registry), &confirmer, config());
    let junk = std::env::var("MACH_JUNK").map_or(20_000, |junk| junk.parse().unwrap());
    for number in 0..junk {
        aggregator.open(&statement(number)).await.unwrap();
    }
    // Nor does who sends what no operator signed.
    for number in 0..junk / 200 {
        let forged = aggregator.submit(signed_by(number, 1, 9)).await;
        assert!(matches!(forged, Err(AggregateError::BadSignature(it)) if it == id(1)));
        let stranger = aggregator.submit(signed(number, 9)).await;
        assert!(matches!(stranger, Err(AggregateError::UnknownOperator(it)) if it == id(9)));
        assert_eq!(aggregator.progress(digest(number)), None);
    }
    assert_eq!(aggregator.rounds_in_memory(), 0);
    assert_eq!(registry.reads.load(Ordering::SeqCst), 1);
    for table in Table::ALL {
        assert!(store.scan(table, &[], None, 1).await.unwrap().is_empty());
    }
}

/// What was sent once is sent again by somebody else, here or where it was not meant for.
#[tokio::test]
async fn a_replayed_signature_is_worth_nothing() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    let replayed = signed(1, 0);
    for _ in 0..3 {
        let progress = aggregator.submit(replayed.clone()).await.unwrap();
        assert_eq!(progress, Progress::Collecting { signers: 1 });
    }
    // As a signature of another statement, for another domain, in another name.
    let other = SignedStatement {
        statement: statement(2),
        ..replayed.clone()
    };
    let elsewhere = SignedStatement {
        domain: Domain {
            l1_chain_id: 5,
            ..DOMAIN
        },
        ..replayed.clone()
    };
    let named = SignedStatement {
        operator: id(1),
        ..replayed.clone()
    };
    assert!(matches!(
        aggregator.submit(other).await,
        Err(AggregateError::BadSignature(it)) if it == id(0)
    ));
    assert!(matches!(
        aggregator.submit(elsewhere).await,
        Err(AggregateError::WrongDomain)
    ));
    assert!(matches!(
        aggregator.submit(named).await,
        Err(AggregateError::BadSignature(it)) if it == id(1)
    ));
    // What is confirmed is not opened again.
    for index in [1, 2] {
        aggregator.submit(signed(1, index)).await.unwrap();
    }
    confirmed(&aggregator, 1).await;
    let progress = aggregator.submit(replayed).await.unwrap();
    assert_eq!(progress, Progress::Confirmed(confirmation(digest(1))));
    assert_eq!(aggregator.rounds_in_memory(), 1);
    assert_eq!(confirmer.certificates().len(), 1);
}

/// The same terms whichever instance is asked, and one operator set for many rounds.
#[tokio::test]
async fn terms_follow_from_the_height_of_l1() {
    let config = AggregatorConfig {
        reference_margin: 3,
        reference_interval: 8,
        ..config()
    };
    for (head, reference_block) in [(1000, 992), (1002, 992), (1003, 1000), (1010, 1000), (2, 0)] {
        let l1 = FixedHead::new();
        l1.0.store(head, Ordering::SeqCst);
        let aggregator = Aggregator::new(
            MemoryStore::new(),
            FixedRegistry::new(4),
            l1,
            Confirmer::default(),
            config.clone(),
        );
        let terms = aggregator.open(&statement(1)).await.unwrap();
        assert_eq!(terms.reference_block(), reference_block, "{head}");
    }
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
    for _ in 0..2 {
        let wrong = aggregator.submit(signed_by(1, 1, 9)).await;
        assert!(matches!(wrong, Err(AggregateError::BadSignature(operator)) if operator == id(1)));
        aggregator.submit(signed(1, 1)).await.unwrap();
    }
    // At the same time, so that they are proved together, whichever comes first.
    let both = [signed_by(1, 2, 9), signed(1, 2), signed_by(1, 3, 8)];
    let mut sending = JoinSet::new();
    for signed in both.into_iter().cycle().take(12) {
        let aggregator = aggregator.clone();
        sending.spawn(async move {
            let is_right = signed == crate::ports::signed(1, 2);
            (is_right, aggregator.submit(signed).await)
        });
    }
    for (is_right, outcome) in sending.join_all().await {
        assert_eq!(outcome.is_ok(), is_right, "{outcome:?}");
    }
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
    until(|| confirmer.certificates().len() == 1).await;
    // One that was counted before is enough, after a moment.
    while confirmer.certificates().len() == 1 {
        aggregator.submit(signed(1, 0)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 2);
}

#[tokio::test]
async fn a_panic_of_the_confirmer_does_not_end_the_round() {
    let confirmer = Confirmer::answering([Answer::Panic]);
    let aggregator = aggregator(&confirmer);
    sign_all(&aggregator, 1, 0..3).await;
    confirmed(&aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 2);
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
    // L1 has the first certificate, everybody else the best one.
    let best = aggregator.certificate(digest(1)).await.unwrap().unwrap();
    assert!(best.non_signers.is_empty());
    assert_eq!(best.quorums[0].signed, best.quorums[0].total);
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
    assert_eq!(aggregator.rounds_in_memory(), 0);

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
    let moved = SignedStatement {
        statement: statement(2),
        ..signed(1, 0)
    };
    let moved = aggregator.submit(moved).await;
    assert!(matches!(moved, Err(AggregateError::BadSignature(it)) if it == id(0)));
    let stranger = aggregator.submit(signed(1, 9)).await;
    assert!(matches!(stranger, Err(AggregateError::UnknownOperator(it)) if it == id(9)));
    assert_eq!(aggregator.progress(digest(1)), None);
    assert_eq!(aggregator.progress(digest(2)), None);
}

#[tokio::test]
async fn a_registry_that_fails_once_is_asked_again() {
    let registry = FixedRegistry::new(4);
    registry.failures.store(1, Ordering::SeqCst);
    let aggregator = aggregator_with(registry, &Confirmer::default(), config());
    let error = aggregator.submit(signed(1, 0)).await.unwrap_err();
    assert!(matches!(error, AggregateError::Registry(_)) && error.is_transient());
    assert_eq!(aggregator.rounds_in_memory(), 0);
    aggregator.submit(signed(1, 0)).await.unwrap();
    assert_eq!(aggregator.rounds_in_memory(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_a_round_begins_leaves_the_round_to_others() {
    let registry = FixedRegistry {
        delay: Duration::from_secs(5),
        ..FixedRegistry::new(4)
    };
    let aggregator = aggregator_with(registry, &Confirmer::default(), config());
    let impatient =
        tokio::time::timeout(Duration::from_secs(1), aggregator.submit(signed(1, 0))).await;
    assert!(impatient.is_err());
    aggregator.submit(signed(1, 1)).await.unwrap();
}

/// While the certificate is made, on its way, and after it stands on L1.
#[tokio::test]
async fn late_signatures_make_a_better_certificate() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator_with(FixedRegistry::new(10), &confirmer, config());
    let mut events = aggregator.events();
    sign_all(&aggregator, 1, 0..7).await;
    confirmed(&aggregator, 1).await;
    let mut signed_stakes = Vec::new();
    for index in 7..10 {
        let progress = aggregator.submit(signed(1, index)).await.unwrap();
        assert_eq!(progress, Progress::Confirmed(confirmation(digest(1))));
        let stored = aggregator.certificate(digest(1)).await.unwrap().unwrap();
        assert_eq!(stored.non_signers.len() as u64, 9 - index);
    }
    while let Ok(event) = events.try_recv() {
        if let RoundEvent::Certified { view, certificate } = event {
            assert_eq!(view.absent.len(), certificate.non_signers.len());
            signed_stakes.push(certificate.quorums[0].signed.weight());
        }
    }
    assert_eq!(signed_stakes, [700, 800, 900, 1000]);
    let sent = confirmer.certificates();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].non_signers.len(), 3);
}
