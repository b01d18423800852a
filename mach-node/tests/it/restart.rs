//! An aggregator that ends, and another one on the same store.

use std::sync::Arc;

use mach_bls::verify_self_contained;
use mach_core::{
    SignedStatement,
    ports::{AggregateError, Progress, SignatureAggregator},
};
use mach_node::{
    Aggregator, AggregatorConfig, RoundEvent,
    store::{Change, Expected, MemoryStore, Store, Table, Written},
};
use tokio::sync::Notify;

use crate::ports::{
    Answer, Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, Unwritable, aggregator_on,
    attestation, config, confirmation, confirmed, digest, id, sign_all, signed, signed_as,
    signed_by, statement, until,
};

/// Four operators of whom three are enough, with what is in `store`.
fn on(store: &MemoryStore, confirmer: &Confirmer) -> Aggregator {
    aggregator_on(store.clone(), FixedRegistry::new(4), confirmer, config())
}

async fn rows(store: &MemoryStore) -> usize {
    let mut rows = 0;
    for table in Table::ALL {
        rows += store.scan(table, &[], None, 1000).await.unwrap().len();
    }
    rows
}

/// COMPAT 8.1, 4: the original forgot all of it.
#[tokio::test]
async fn acknowledged_signatures_count_after_a_restart() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    let before = on(&store, &confirmer);
    let terms = before.open(&statement(1)).await.unwrap();
    for index in [0, 1] {
        before.submit(signed(1, index)).await.unwrap();
    }
    drop(before);

    // L1 has gone on; the round has not.
    let head = FixedHead::new();
    head.0.store(HEAD + 50, std::sync::atomic::Ordering::SeqCst);
    let after = Aggregator::new(
        store,
        FixedRegistry::new(4),
        head,
        confirmer.clone(),
        config(),
    );
    let progress = after.submit(signed(1, 2)).await.unwrap();
    assert_eq!(progress, Progress::Reached { signers: 3 });
    confirmed(&after, 1).await;
    let certificates = confirmer.certificates();
    assert_eq!(certificates.len(), 1);
    assert_eq!(certificates[0].round, terms);
    assert_eq!(certificates[0].non_signers.len(), 1);
}

#[tokio::test]
async fn a_certificate_that_did_not_get_to_l1_is_brought_there() {
    let store = MemoryStore::new();
    let never = Confirmer::answering([Answer::Wait(Arc::new(Notify::new()))]);
    let before = on(&store, &never);
    sign_all(&before, 1, 0..3).await;
    sign_all(&before, 2, 0..2).await;
    until(|| never.certificates().len() == 1).await;
    drop(before);

    let confirmer = Confirmer::default();
    let after = on(&store, &confirmer);
    assert_eq!(after.tend().await.unwrap(), 2);
    confirmed(&after, 1).await;
    assert_eq!(
        after.progress(digest(2)),
        Some(Progress::Collecting { signers: 2 })
    );
    assert_eq!(confirmer.certificates().len(), 1);
    // What is confirmed needs nothing more.
    until(|| futures::executor::block_on(async { after.tend().await.unwrap() == 1 })).await;
    assert_eq!(confirmer.certificates().len(), 1);
}

#[tokio::test]
async fn what_is_confirmed_stays_confirmed() {
    let store = MemoryStore::new();
    let before = on(&store, &Confirmer::default());
    let terms = before.open(&statement(1)).await.unwrap();
    sign_all(&before, 1, 0..3).await;
    confirmed(&before, 1).await;
    until(|| futures::executor::block_on(async { before.tend().await.unwrap() == 0 })).await;
    drop(before);

    let silent = Confirmer::default();
    let after = on(&store, &silent);
    assert_eq!(after.tend().await.unwrap(), 0);
    let again = after.submit(signed(1, 0)).await.unwrap();
    assert_eq!(again, Progress::Confirmed(confirmation(digest(1))));
    assert_eq!(after.open(&statement(1)).await.unwrap(), terms);
    // It may be in memory to be shown, and is closed there.
    assert_eq!(after.tend().await.unwrap(), 0);
    assert!(silent.certificates().is_empty());
}

/// Who signed what, on the dashboard: a restart changes nothing of it.
#[tokio::test]
async fn closed_rounds_are_shown_after_a_restart() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    let start = || aggregator_on(store.clone(), FixedRegistry::new(4), &confirmer, config());
    let before = start();
    for number in 1..=3 {
        sign_all(&before, number, 0..3).await;
        confirmed(&before, number).await;
        let attested = attestation(10 + number);
        for index in 0..4 {
            before.submit(signed_as(&attested, index)).await.unwrap();
        }
        let digest = attested.digest(&DOMAIN);
        until(|| matches!(before.progress(digest), Some(Progress::Confirmed(_)))).await;
    }
    // One that goes on.
    before.submit(signed(4, 0)).await.unwrap();
    until(|| futures::executor::block_on(before.tend()).unwrap() == 1).await;
    let shown = |aggregator: &Aggregator| {
        let mut rounds = aggregator.rounds();
        rounds.sort_by_key(|it| it.digest);
        rounds
    };
    let expected = shown(&before);
    assert_eq!(expected.len(), 7);
    drop(before);

    let after = start();
    after.tend().await.unwrap();
    until(|| shown(&after) == expected).await;
    // Rounds of now come first.
    after.submit(signed(5, 0)).await.unwrap();
    assert_eq!(after.rounds()[0].digest, digest(5));
}

#[tokio::test]
async fn a_late_signature_extends_the_certificate_of_a_round_that_was_closed_before() {
    let store = MemoryStore::new();
    let before = on(&store, &Confirmer::default());
    sign_all(&before, 1, 0..3).await;
    confirmed(&before, 1).await;
    until(|| futures::executor::block_on(async { before.tend().await.unwrap() == 0 })).await;
    drop(before);

    let silent = Confirmer::default();
    let registry = Arc::new(FixedRegistry::new(4));
    let after = aggregator_on(store.clone(), Arc::clone(&registry), &silent, config());
    // Nobody is in it in another's name.
    let forged = after.submit(signed_by(1, 3, 2)).await;
    assert!(matches!(forged, Err(AggregateError::BadSignature(it)) if it == id(3)));
    assert_eq!(after.rounds_in_memory(), 0);
    let absent = async |aggregator: &Aggregator| {
        let certificate = aggregator.certificate(digest(1)).await.unwrap().unwrap();
        verify_self_contained(&certificate).unwrap();
        certificate.non_signers.len()
    };
    assert_eq!(absent(&after).await, 1);
    let late = after.submit(signed(1, 3)).await.unwrap();
    assert_eq!(late, Progress::Confirmed(confirmation(digest(1))));
    assert_eq!(absent(&after).await, 0);
    let view = &after.rounds()[0];
    assert_eq!((view.signers.len(), view.absent.len()), (4, 0));
    // It is durable, and L1 has it already.
    drop(after);
    let third = on(&store, &silent);
    assert_eq!(absent(&third).await, 0);
    third.submit(signed(1, 3)).await.unwrap();
    assert_eq!(third.rounds_in_memory(), 0);
    assert!(silent.certificates().is_empty());
}

#[tokio::test]
async fn rounds_that_nobody_signed_leave_nothing_behind() {
    let store = MemoryStore::new();
    let aggregator = on(&store, &Confirmer::default());
    for number in 0..10 {
        aggregator.open(&statement(number)).await.unwrap();
        // Signed by nobody whom the registry knows, or wrongly.
        assert!(aggregator.submit(signed(number, 9)).await.is_err());
        assert!(aggregator.submit(signed_by(number, 0, 1)).await.is_err());
    }
    assert_eq!(rows(&store).await, 0);
    // The signature, its round, and that the round is not confirmed.
    aggregator.submit(signed(1, 0)).await.unwrap();
    assert_eq!(rows(&store).await, 3);
    for _ in 0..2 {
        aggregator.submit(signed(1, 0)).await.unwrap();
        aggregator.submit(signed(1, 1)).await.unwrap();
    }
    assert_eq!(rows(&store).await, 4);
}

#[tokio::test]
async fn rounds_that_are_over_are_forgotten() {
    let store = MemoryStore::new();
    let confirmer = Confirmer::default();
    let before = on(&store, &confirmer);
    for (number, index) in [(1, 0), (1, 1), (2, 0)] {
        before
            .submit(signed_as(&attestation(number), index))
            .await
            .unwrap();
    }
    drop(before);
    assert_eq!(rows(&store).await, 7);

    let l1 = FixedHead::new();
    let after = Aggregator::new(
        store.clone(),
        FixedRegistry::new(4),
        l1.clone(),
        confirmer,
        AggregatorConfig {
            round_blocks: 10,
            ..config()
        },
    );
    let mut events = after.events();
    // Ten blocks past the reference block, and one more.
    l1.0.store(HEAD - 1 + 11, std::sync::atomic::Ordering::SeqCst);
    // Another round takes its place, and the old signatures do not count in it.
    let late = after.submit(signed_as(&attestation(1), 2)).await.unwrap();
    assert_eq!(late, Progress::Collecting { signers: 1 });
    assert_eq!(rows(&store).await, 6);
    assert_eq!(after.tend().await.unwrap(), 1);
    assert_eq!(rows(&store).await, 3);
    let mut expired = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let RoundEvent::Expired { digest } = event {
            expired.push(digest);
        }
    }
    let digests = [1, 2].map(|number| attestation(number).digest(&DOMAIN));
    assert_eq!(expired, digests);
}

/// A clock that jumps forward before a restart makes no operator's signature void.
#[tokio::test]
async fn a_clock_that_jumps_forgets_nothing() {
    let store = MemoryStore::new();
    let confirmer = Confirmer::default();
    sign_all(&on(&store, &confirmer), 1, 0..2).await;
    let row = store.get(Table::Rounds, digest(1).as_slice()).await;
    let value = row.unwrap().unwrap();
    let mut round: serde_json::Value = serde_json::from_slice(&value).unwrap();
    let opened_at = round["openedAt"].as_u64().unwrap();
    let prefix = |at: u64| [digest(1).as_slice(), &at.to_be_bytes()].concat();
    let signatures = store
        .scan(Table::Signatures, &prefix(opened_at), None, 10)
        .await
        .unwrap();
    // As if the clock had been a century behind when the round began, or ahead.
    for at in [
        opened_at - 3_000_000_000_u64.min(opened_at),
        opened_at + 3_000_000_000,
    ] {
        let store = MemoryStore::new();
        round["openedAt"] = at.into();
        let mut changes = vec![
            (
                Table::Rounds,
                digest(1).to_vec(),
                serde_json::to_vec(&round).unwrap(),
            ),
            (
                Table::Unconfirmed,
                [
                    &1u64.to_be_bytes()[..],
                    DOMAIN.service_manager.as_slice(),
                    digest(1).as_slice(),
                ]
                .concat(),
                Vec::new(),
            ),
        ];
        for (key, value) in &signatures {
            let key = [&prefix(at), &key[prefix(at).len()..]].concat();
            changes.push((Table::Signatures, key, value.clone()));
        }
        let changes = changes.into_iter().map(|(table, key, value)| Change {
            table,
            key,
            expected: Expected::Absent,
            value: Some(value),
        });
        assert_eq!(
            store.write(changes.collect()).await.unwrap(),
            Written::Applied
        );
        let after = on(&store, &confirmer);
        assert_eq!(after.tend().await.unwrap(), 1);
        assert_eq!(
            after.progress(digest(1)),
            Some(Progress::Collecting { signers: 2 })
        );
    }
}

#[tokio::test]
async fn a_signature_that_cannot_be_stored_is_not_acknowledged() {
    let store = Arc::new(Unwritable::default());
    let confirmer = Confirmer::default();
    let before = aggregator_on(
        Arc::clone(&store),
        FixedRegistry::new(4),
        &confirmer,
        config(),
    );
    before.open(&statement(1)).await.unwrap();
    before.submit(signed(1, 0)).await.unwrap();
    store.fail(true);
    for index in [0, 1, 1] {
        let outcome = before.submit(signed(1, index)).await;
        // The first was stored before.
        assert_eq!(outcome.is_ok(), index == 0, "{index}: {outcome:?}");
    }
    assert!(confirmer.certificates().is_empty());
    store.fail(false);
    // Sending again is enough.
    before.submit(signed(1, 1)).await.unwrap();
    drop(before);

    let after = aggregator_on(store, FixedRegistry::new(4), &confirmer, config());
    assert_eq!(after.tend().await.unwrap(), 1);
    assert_eq!(
        after.progress(digest(1)),
        Some(Progress::Collecting { signers: 2 })
    );
}

/// Anybody can send points in every operator's name.
#[tokio::test]
async fn wrong_signatures_leave_nothing_in_the_store() {
    let store = MemoryStore::new();
    let config = AggregatorConfig {
        confirmations: 0,
        ..config()
    };
    let confirmer = Confirmer::default();
    let aggregator = aggregator_on(store.clone(), FixedRegistry::new(4), &confirmer, config);
    sign_all(&aggregator, 1, [0]).await;
    for index in [1, 2, 1] {
        let wrong = aggregator.submit(signed_by(1, index, 9)).await;
        assert!(matches!(wrong, Err(AggregateError::BadSignature(it)) if it == id(index)));
        assert_eq!(rows(&store).await, 3);
    }
    // A confirmed round is one row, its certificate another, and that nobody was told of them a third.
    sign_all(&aggregator, 1, [1, 2]).await;
    confirmed(&aggregator, 1).await;
    aggregator.submit(signed(1, 3)).await.unwrap();
    until(|| futures::executor::block_on(rows(&store)) == 3).await;
}

/// Nothing is acknowledged for a round that the store does not have.
#[tokio::test]
async fn a_statement_has_one_round_in_the_store() {
    let elsewhere = MemoryStore::new();
    sign_all(&on(&elsewhere, &Confirmer::default()), 1, [1]).await;
    let row = elsewhere.get(Table::Rounds, digest(1).as_slice()).await;
    let earlier = row.unwrap().unwrap();

    let store = Arc::new(Unwritable::default());
    let aggregator = aggregator_on(
        Arc::clone(&store),
        FixedRegistry::new(4),
        &Confirmer::default(),
        config(),
    );
    // The round begins in memory, and the store gets another one meanwhile.
    store.fail(true);
    assert!(aggregator.submit(signed(1, 0)).await.is_err());
    store.fail(false);
    let change = Change {
        table: Table::Rounds,
        key: digest(1).to_vec(),
        expected: Expected::Absent,
        value: Some(earlier),
    };
    assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);
    // The signature counts in the round of the store.
    let progress = aggregator.submit(signed(1, 0)).await.unwrap();
    assert_eq!(progress, Progress::Collecting { signers: 1 });
}

/// One round that is damaged holds up no other.
#[tokio::test]
async fn a_damaged_round_holds_up_no_other() {
    let store = MemoryStore::new();
    let never = Confirmer::answering([Answer::Wait(Arc::new(Notify::new()))]);
    let before = on(&store, &never);
    sign_all(&before, 1, 0..3).await;
    sign_all(&before, 2, [0]).await;
    until(|| never.certificates().len() == 1).await;
    let change = Change {
        table: Table::Rounds,
        key: digest(2).to_vec(),
        expected: Expected::Anything,
        value: Some(b"{}".to_vec()),
    };
    assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);
    drop(before);
    let after = on(&store, &Confirmer::default());
    assert!(after.tend().await.is_err());
    confirmed(&after, 1).await;
}

/// Whoever can write into the store can leave signatures out, and not make any.
#[tokio::test]
async fn stored_signatures_are_checked() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    sign_all(&on(&store, &confirmer), 1, [0]).await;
    let [(key, _)] = &store.scan(Table::Signatures, &[], None, 2).await.unwrap()[..] else {
        panic!("one signature");
    };
    let SignedStatement {
        operator,
        signature,
        ..
    } = signed_by(1, 1, 2);
    let round = &key[..40];
    let mut changes = Vec::new();
    for (operator, signature) in [(operator.0.0, signature.0.0), (operator.0.0, [7; 64])] {
        changes.push(Change {
            table: Table::Signatures,
            key: [round, &operator, &signature].concat(),
            expected: Expected::Absent,
            value: Some(Vec::new()),
        });
    }
    assert_eq!(store.write(changes).await.unwrap(), Written::Applied);

    let after = on(&store, &confirmer);
    assert_eq!(after.tend().await.unwrap(), 1);
    assert_eq!(
        after.progress(digest(1)),
        Some(Progress::Collecting { signers: 1 })
    );
    // The operator itself is not kept out.
    sign_all(&after, 1, [1, 2]).await;
    confirmed(&after, 1).await;
}

/// Errors of the store name what is damaged, and nothing is made up.
#[tokio::test]
async fn a_damaged_round_is_named() {
    let store = MemoryStore::new();
    sign_all(&on(&store, &Confirmer::default()), 1, [0]).await;
    let change = Change {
        table: Table::Rounds,
        key: digest(1).to_vec(),
        expected: Expected::Anything,
        value: Some(b"{}".to_vec()),
    };
    assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);
    let after = on(&store, &Confirmer::default());
    for error in [
        after.tend().await.unwrap_err(),
        after.open(&statement(1)).await.unwrap_err(),
        after.submit(signed(1, 1)).await.unwrap_err(),
    ] {
        let source = std::error::Error::source(&error).unwrap().to_string();
        let named = format!("the round of statement {}", digest(1));
        assert!(source.contains(&named), "{source}");
    }
}
