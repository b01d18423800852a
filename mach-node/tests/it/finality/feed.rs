//! The index beside an aggregator and a node.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use alloy_primitives::ChainId;
use async_trait::async_trait;
use mach_core::{
    Alert, BlockRef, Bn254, CertificateFile, Statement,
    ports::{BoxError, Progress, SignatureAggregator},
};
use mach_node::{
    Aggregator, AggregatorConfig, ToL1,
    finality::{FeedConfig, Finality, FinalityConfig, FinalityIndex, Standing, StandingAlerts},
    store::{MemoryStore, Store, Table},
};
use tokio_util::sync::CancellationToken;

use super::world::{
    Node, accusation, accuse, attest, attestation, certificate_of, config, index, index_on, signed,
};
use crate::ports::{
    Answer, Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, ROLLUP, aggregator, aggregator_on,
    aggregator_with, confirmation, until,
};

const FEED: FeedConfig = FeedConfig {
    poll_interval: Duration::from_millis(2),
    lookback: 5,
};

fn status(index: &FinalityIndex, number: u64) -> Finality {
    index.block_at(ROLLUP, number).unwrap().status
}

#[tokio::test]
async fn the_chain_of_the_node_is_followed() {
    let (node, index) = (Node::new(20), index().await);
    let shutdown = CancellationToken::new();
    let following = {
        let (index, node, shutdown) = (index.clone(), node.clone(), shutdown.clone());
        tokio::spawn(async move { index.follow(node, FEED, shutdown).await })
    };
    let seen = |index: &FinalityIndex| index.heads(ROLLUP).unwrap().seen;
    until(|| seen(&index) == Some(node.head())).await;
    assert_eq!(index.rollups()[0].first_block, Some(15));

    // Deeper than one block, shorter than before, and below everything that is known.
    node.fork(17, 1);
    until(|| seen(&index) == Some(node.head())).await;
    node.cut(18);
    node.grow(18, 1);
    until(|| seen(&index).is_some_and(|it| it.number >= 18)).await;
    node.fork(18, 2);
    until(|| seen(&index) == Some(node.head())).await;
    node.fork(3, 3);
    node.grow(40, 3);
    until(|| seen(&index) == Some(node.head())).await;
    for number in 15..=40 {
        let view = index.block_at(ROLLUP, number).unwrap();
        assert_eq!(view.block, Some(node.reference(number)), "{number}");
    }
    shutdown.cancel();
    following.await.unwrap();
}

/// After a long absence it does not read what nobody asks for any more.
#[tokio::test]
async fn who_is_too_far_behind_starts_anew() {
    let node = Node::new(20);
    let config = FinalityConfig {
        retain: 10,
        ..config()
    };
    let index = FinalityIndex::open(MemoryStore::new(), config)
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    for head in [20, 100] {
        node.grow(head, 0);
        let stop = shutdown.child_token();
        let following = {
            let (index, node, stop) = (index.clone(), node.clone(), stop.clone());
            tokio::spawn(async move { index.follow(node, FEED, stop).await })
        };
        until(|| index.heads(ROLLUP).unwrap().seen == Some(node.head())).await;
        assert_eq!(index.rollups()[0].first_block, Some(head - 5));
        stop.cancel();
        following.await.unwrap();
    }
}

#[tokio::test]
async fn what_the_aggregator_does_is_in_the_index() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let aggregator = aggregator(&Confirmer::default());
    // One that was there before the index.
    let early = attestation(node.reference(2));
    aggregator.open(&early).await.unwrap();
    for operator in 0..3 {
        aggregator.submit(signed(&early, operator)).await.unwrap();
    }
    let shutdown = CancellationToken::new();
    let listening = {
        let (index, aggregator, shutdown) = (index.clone(), aggregator.clone(), shutdown.clone());
        tokio::spawn(async move { index.listen(&aggregator, shutdown).await })
    };
    until(|| status(&index, 1) == Finality::Confirmed).await;

    let statement = attestation(node.reference(5));
    aggregator.open(&statement).await.unwrap();
    aggregator.submit(signed(&statement, 0)).await.unwrap();
    let percent = || {
        let view = index.block_at(ROLLUP, 5).unwrap();
        view.stake.map(|stake| stake.percent)
    };
    until(|| percent() == Some(25)).await;
    assert_eq!(status(&index, 5), Finality::Seen);
    for operator in 1..3 {
        aggregator
            .submit(signed(&statement, operator))
            .await
            .unwrap();
    }
    until(|| status(&index, 5) == Finality::Confirmed).await;
    assert_eq!(percent(), Some(75));
    assert_eq!(status(&index, 4), Finality::Confirmed);
    let digest = statement.digest(&DOMAIN);
    let view = index.block_at(ROLLUP, 5).unwrap().attestation.unwrap();
    assert_eq!(view.confirmation, Some(confirmation(digest)));
    shutdown.cancel();
    listening.await.unwrap();
}

/// An L1 with alerts that this process may never have heard of. Its height is set by hand.
#[derive(Clone, Default)]
struct OnL1(Arc<Mutex<L1>>);

#[derive(Default)]
struct L1 {
    l1_block: u64,
    alerts: Vec<Alert>,
    /// Answers that come before all others: of a node that lags.
    behind: Vec<Standing>,
    /// A rollup of which nothing is known.
    fails: Option<ChainId>,
    looks: u64,
}

impl OnL1 {
    /// A new block, and what stands in it.
    fn mine(&self, alerts: &[&Alert]) {
        let mut l1 = self.0.lock().unwrap();
        l1.l1_block = l1.l1_block.max(HEAD) + 1;
        l1.alerts = alerts.iter().copied().cloned().collect();
    }

    /// Waits until it was looked at so often from now on.
    async fn looked(&self, times: u64) {
        let looks = || self.0.lock().unwrap().looks;
        let enough = looks() + times;
        until(|| looks() >= enough).await;
    }
}

#[async_trait]
impl StandingAlerts for OnL1 {
    async fn standing(&self, rollup: ChainId) -> Result<Standing, BoxError> {
        let mut l1 = self.0.lock().unwrap();
        l1.looks += 1;
        if l1.fails == Some(rollup) {
            return Err("no answer".into());
        }
        if let Some(behind) = l1.behind.pop() {
            return Ok(behind);
        }
        let of_rollup = l1.alerts.iter().filter(|it| it.rollup_chain_id == rollup);
        let confirmed = |alert: &Alert| {
            let digest = Statement::from(alert.clone()).digest(&DOMAIN);
            (alert.clone(), confirmation(digest))
        };
        Ok(Standing {
            l1_block: l1.l1_block,
            alerts: of_rollup.map(confirmed).collect(),
            is_complete: true,
        })
    }
}

/// Watches `l1` until the test ends.
fn watch(index: &FinalityIndex, l1: &OnL1, settle: u64) -> tokio_util::sync::DropGuard {
    let (index, l1, shutdown) = (index.clone(), l1.clone(), CancellationToken::new());
    let (pause, stop) = (Duration::from_millis(2), shutdown.clone());
    tokio::spawn(async move { index.watch_alerts(l1, pause, settle, stop).await });
    shutdown.drop_guard()
}

fn alert_about(block: BlockRef) -> Alert {
    match accusation(block) {
        Statement::Alert(alert) => alert,
        Statement::Attestation(_) => unreachable!(),
    }
}

/// Operators sent it to another aggregator, or sent it to L1 themselves.
#[tokio::test]
async fn an_alert_that_others_raised_on_l1_is_in_force() {
    let store = MemoryStore::new();
    let (node, index) = (Node::new(9), index_on(store.clone()).await);
    super::world::show(&index, &node, 0..=9).await;
    attest(&index, node.reference(8)).await;
    assert_eq!(status(&index, 5), Finality::Attested);
    let (l1, alert) = (OnL1::default(), alert_about(node.reference(5)));
    l1.mine(&[&alert]);
    let _watching = watch(&index, &l1, 0);
    until(|| status(&index, 5) == Finality::Alerted).await;
    assert_eq!(status(&index, 7), Finality::Alerted);
    assert_eq!(index.heads(ROLLUP).unwrap().finalized_by_stake, None);
    let digest = Statement::from(alert).digest(&DOMAIN);
    let view = index.alerts(ROLLUP).unwrap();
    assert_eq!((view[0].digest, view[0].stake.quorums.len()), (digest, 0));
    assert_eq!(view[0].confirmation, Some(confirmation(digest)));
    assert!(index.certificate(ROLLUP, digest).await.is_err());
    // After a restart it is there before L1 is asked, and a certificate adds what there was not.
    let again = index_on(store).await;
    assert_eq!(again.alerts(ROLLUP).unwrap(), view);
    accuse(&again, node.reference(5)).await;
    let view = again.alerts(ROLLUP).unwrap();
    assert_eq!(view[0].stake.percent, 75);
    assert_eq!(view[0].confirmation, Some(confirmation(digest)));

    l1.mine(&[]);
    until(|| status(&index, 5) == Finality::Attested).await;
}

/// One is told, all of them answer.
#[tokio::test]
async fn instances_on_one_store_have_the_same_statements() {
    let store = MemoryStore::new();
    let config = || FinalityConfig {
        shared: Some(Duration::from_millis(2)),
        ..config()
    };
    let node = Node::new(9);
    let (mut all, shutdown) = (Vec::new(), CancellationToken::new());
    let mut watching = Vec::new();
    for _ in 0..3 {
        let index = FinalityIndex::open(store.clone(), config()).await.unwrap();
        // Later ones find the blocks in the store.
        for number in 0..=9 {
            let _ = index.seen(&node.get(number)).await.unwrap();
        }
        let (watched, shutdown) = (index.clone(), shutdown.clone());
        watching.push(tokio::spawn(
            async move { watched.watch_others(shutdown).await },
        ));
        all.push(index);
    }
    let [first, second, third] = &all[..] else {
        unreachable!()
    };
    // All of them write at once, and nothing is lost.
    let (one, two, three) = tokio::join!(
        attest(first, node.reference(2)),
        attest(second, node.reference(4)),
        attest(third, node.reference(6)),
    );
    let accused = accuse(second, node.reference(8)).await;
    third.confirmed(&confirmation(two)).await.unwrap();
    for index in &all {
        until(|| index.attestations(ROLLUP, None, 9).unwrap().len() == 3).await;
        until(|| status(index, 8) == Finality::Alerted).await;
        until(|| status(index, 4) == Finality::Confirmed).await;
        for digest in [one, two, three, accused] {
            index.certificate(ROLLUP, digest).await.unwrap();
        }
    }
    first.confirmed(&confirmation(accused)).await.unwrap();
    third.resolved(accused).await.unwrap();
    for index in &all {
        until(|| index.alerts(ROLLUP).unwrap()[0].is_resolved).await;
        let alert = &index.alerts(ROLLUP).unwrap()[0];
        assert_eq!(alert.confirmation, Some(confirmation(accused)));
        assert_eq!(status(index, 8), Finality::Seen);
    }
    shutdown.cancel();
    for watching in watching {
        watching.await.unwrap();
    }
}

#[tokio::test]
async fn an_alert_that_is_withdrawn_on_l1_is_resolved() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let (l1, alert) = (OnL1::default(), alert_about(node.reference(5)));
    let digest = accuse(&index, node.reference(5)).await;
    // Not on L1 yet, so that L1 has nothing to say.
    accuse(&index, node.reference(7)).await;
    index.confirmed(&confirmation(digest)).await.unwrap();
    l1.mine(&[&alert]);
    let _watching = watch(&index, &l1, 2);
    l1.looked(3).await;
    assert_eq!(status(&index, 5), Finality::Alerted);
    // A reorganisation of L1 takes it away for a block, and that is no withdrawal.
    l1.mine(&[]);
    l1.looked(3).await;
    l1.mine(&[]);
    l1.looked(3).await;
    l1.mine(&[&alert]);
    l1.looked(3).await;
    l1.mine(&[]);
    l1.looked(3).await;
    l1.mine(&[]);
    l1.looked(3).await;
    assert!(!index.alerts(ROLLUP).unwrap()[0].is_resolved);
    l1.mine(&[]);
    until(|| status(&index, 5) == Finality::Seen).await;
    assert_eq!(status(&index, 7), Finality::Alerted);
    l1.mine(&[&alert]);
    until(|| status(&index, 5) == Finality::Alerted).await;
}

/// A node says once that L1 is where it will not be for years.
#[tokio::test]
async fn a_height_that_l1_never_reaches_silences_nothing() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let (l1, early) = (OnL1::default(), alert_about(node.reference(5)));
    l1.mine(&[&early]);
    let _watching = watch(&index, &l1, 2);
    until(|| status(&index, 5) == Finality::Alerted).await;
    let bogus = Standing {
        l1_block: HEAD + (1 << 40),
        alerts: Vec::new(),
        is_complete: true,
    };
    l1.0.lock().unwrap().behind.push(bogus);
    l1.looked(2).await;
    // What is raised is in force at the next look.
    let late = alert_about(node.reference(3));
    l1.mine(&[&early, &late]);
    l1.looked(2).await;
    assert_eq!(status(&index, 3), Finality::Alerted);
    // And what is withdrawn is resolved in the end.
    l1.mine(&[&early]);
    l1.looked(10).await;
    assert_eq!(status(&index, 3), Finality::Alerted);
    l1.mine(&[&early]);
    l1.mine(&[&early]);
    until(|| status(&index, 3) == Finality::Seen).await;
    assert_eq!(status(&index, 5), Finality::Alerted);
}

/// Behind one address are several nodes, and not all of them are at the head.
#[tokio::test]
async fn a_node_of_l1_that_lags_withdraws_nothing() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let (l1, alert) = (OnL1::default(), alert_about(node.reference(5)));
    l1.mine(&[&alert]);
    let _watching = watch(&index, &l1, 0);
    until(|| status(&index, 5) == Finality::Alerted).await;
    let mut events = Vec::new();
    for _ in 0..20 {
        let behind = Standing {
            l1_block: HEAD,
            alerts: Vec::new(),
            is_complete: true,
        };
        l1.0.lock().unwrap().behind.push(behind);
        l1.looked(2).await;
        events.push(status(&index, 5));
    }
    assert_eq!(events, [Finality::Alerted; 20]);
    // Not all that stands was told.
    l1.mine(&[&alert]);
    let page = Standing {
        l1_block: l1.0.lock().unwrap().l1_block,
        alerts: Vec::new(),
        is_complete: false,
    };
    l1.0.lock().unwrap().behind = vec![page; 3];
    l1.looked(4).await;
    assert_eq!(status(&index, 5), Finality::Alerted);
}

#[tokio::test]
async fn one_rollup_of_which_l1_says_nothing_holds_up_no_other() {
    let config = FinalityConfig::new(DOMAIN, [ROLLUP - 1, ROLLUP]);
    let store = MemoryStore::new();
    let index = FinalityIndex::open(store, config).await.unwrap();
    let node = Node::new(9);
    super::world::show(&index, &node, 0..=9).await;
    let (l1, alert) = (OnL1::default(), alert_about(node.reference(5)));
    l1.0.lock().unwrap().fails = Some(ROLLUP - 1);
    l1.mine(&[&alert]);
    let _watching = watch(&index, &l1, 0);
    until(|| status(&index, 5) == Finality::Alerted).await;
}

/// Its certificate was here first, and what the aggregator said then was lost with a process.
#[tokio::test]
async fn an_alert_that_is_known_is_confirmed_when_it_is_found_on_l1() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let digest = accuse(&index, node.reference(5)).await;
    let (l1, alert) = (OnL1::default(), alert_about(node.reference(5)));
    assert_eq!(index.alerts(ROLLUP).unwrap()[0].confirmation, None);
    l1.mine(&[&alert]);
    let _watching = watch(&index, &l1, 0);
    let confirmed = || index.alerts(ROLLUP).unwrap()[0].confirmation;
    until(|| confirmed() == Some(confirmation(digest))).await;
    // And so it can be withdrawn.
    l1.mine(&[]);
    until(|| status(&index, 5) == Finality::Seen).await;
}

/// In a dry run nothing stands on L1, and so L1 withdraws nothing: a breaker stays open that a
/// certificate has opened.
#[tokio::test]
async fn what_is_certified_in_a_dry_run_is_never_withdrawn() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let confirmer = Confirmer::default();
    let config = AggregatorConfig {
        confirm: ToL1::Nothing,
        ..crate::ports::config()
    };
    let aggregator = aggregator_with(FixedRegistry::new(4), &confirmer, config);
    let shutdown = CancellationToken::new();
    let _listening = {
        let (index, aggregator, shutdown) = (index.clone(), aggregator.clone(), shutdown.clone());
        tokio::spawn(async move { index.listen(&aggregator, shutdown).await })
    };
    let _stop = shutdown.drop_guard();
    let accused = accusation(node.reference(5));
    for operator in 0..4 {
        aggregator.submit(signed(&accused, operator)).await.unwrap();
    }
    until(|| status(&index, 5) == Finality::Alerted).await;
    let l1 = OnL1::default();
    l1.mine(&[]);
    let _watching = watch(&index, &l1, 0);
    l1.looked(20).await;
    assert_eq!(status(&index, 5), Finality::Alerted);
    assert_eq!(index.alerts(ROLLUP).unwrap()[0].confirmation, None);
    assert!(confirmer.certificates().is_empty());
}

/// A process is killed between a certificate and the index, again and again.
#[tokio::test]
async fn what_happened_while_nobody_listened_is_made_up_for() {
    let store = MemoryStore::new();
    let node = Node::new(9);
    let aggregator = || {
        let confirmer = Confirmer::default();
        aggregator_on(
            store.clone(),
            FixedRegistry::new(4),
            &confirmer,
            crate::ports::config(),
        )
    };
    let before = aggregator();
    let attested = attestation(node.reference(2));
    let accused = accusation(node.reference(5));
    for statement in [&attested, &accused] {
        for operator in 0..3 {
            before.submit(signed(statement, operator)).await.unwrap();
        }
        let digest = statement.digest(&DOMAIN);
        until(|| matches!(before.progress(digest), Some(Progress::Confirmed(_)))).await;
    }
    until(|| futures::executor::block_on(before.tend()).unwrap() == 0).await;
    drop(before);

    // Neither process has either round in memory.
    let after = aggregator();
    assert_eq!((after.rounds_in_memory(), after.rounds().len()), (0, 0));
    let index = index_on(store.clone()).await;
    super::world::show(&index, &node, 0..=9).await;
    let listening = listen(&index, &after);
    until(|| status(&index, 1) == Finality::Confirmed).await;
    until(|| status(&index, 5) == Finality::Alerted).await;
    let confirmed = confirmation(accused.digest(&DOMAIN));
    until(|| index.alerts(ROLLUP).unwrap()[0].confirmation == Some(confirmed)).await;
    let untold = || futures::executor::block_on(store.scan(Table::Untold, &[], None, 9));
    until(|| untold().unwrap().is_empty()).await;
    drop(listening);

    // A better certificate, and again nobody listens.
    after.submit(signed(&attested, 3)).await.unwrap();
    drop((after, index));
    let (third, index) = (aggregator(), index_on(store.clone()).await);
    let percent = || {
        index.attestations(ROLLUP, None, 1).unwrap()[0]
            .stake
            .percent
    };
    assert_eq!(percent(), 75);
    let _listening = listen(&index, &third);
    until(|| percent() == 100).await;
    until(|| untold().unwrap().is_empty()).await;
}

fn listen(index: &FinalityIndex, aggregator: &Aggregator) -> tokio_util::sync::DropGuard {
    let (index, aggregator) = (index.clone(), aggregator.clone());
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move { index.listen(&aggregator, stop).await });
    shutdown.drop_guard()
}

/// L1 loses what it had confirmed, and does not take it again: readers are told so, whether they listened or
/// came later.
#[tokio::test]
async fn what_l1_has_lost_is_not_shown_as_confirmed() {
    for listens in [true, false] {
        let (store, l1) = (MemoryStore::new(), FixedHead::new());
        let confirmer = Confirmer::default();
        let start = || {
            let (registry, confirmer) = (FixedRegistry::new(4), confirmer.clone());
            let config = crate::ports::config();
            Aggregator::new(store.clone(), registry, l1.clone(), confirmer, config)
        };
        let (aggregator, node) = (start(), Node::new(9));
        let index = index_on(store.clone()).await;
        super::world::show(&index, &node, 0..=9).await;
        let mut listening = Some(listen(&index, &aggregator));
        let alert = || index.alerts(ROLLUP).unwrap().remove(0);
        let rows = |table| {
            let rows = futures::executor::block_on(store.scan(table, &[], None, 9));
            rows.unwrap().len()
        };
        for statement in [
            attestation(node.reference(2)),
            accusation(node.reference(5)),
        ] {
            for operator in 0..3 {
                let signed = signed(&statement, operator);
                aggregator.submit(signed).await.unwrap();
            }
        }
        until(|| {
            status(&index, 2) == Finality::Confirmed && status(&index, 5) == Finality::Alerted
        })
        .await;
        until(|| alert().confirmation.is_some()).await;
        until(|| rows(Table::Unconfirmed) + rows(Table::Untold) == 0).await;
        if !listens {
            listening = None;
        }

        confirmer.answer((0..100).map(|_| Answer::Revert));
        l1.0.fetch_add(3, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(510)).await;
        aggregator.tend().await.unwrap();
        until(|| rows(Table::Unconfirmed) == 2).await;
        if !listens {
            assert_eq!(status(&index, 2), Finality::Confirmed);
            listening = Some(listen(&index, &aggregator));
        }
        until(|| status(&index, 2) == Finality::Attested).await;
        until(|| alert().confirmation.is_none()).await;
        assert_eq!(
            (status(&index, 5), alert().is_resolved),
            (Finality::Alerted, false)
        );
        assert_eq!(index.heads(ROLLUP).unwrap().confirmed, None);
        until(|| rows(Table::Untold) == 0).await;
        drop((listening, aggregator));

        // The next process brings it there again.
        confirmer.answer([]);
        let after = start();
        let _listening = listen(&index, &after);
        after.tend().await.unwrap();
        until(|| status(&index, 2) == Finality::Confirmed).await;
        until(|| alert().confirmation.is_some()).await;
    }
}

/// L1 had the alert and its owner has removed it before it was heard of here: it is in force for as long as any
/// other that L1 has no more, and no longer.
#[tokio::test]
async fn an_alert_that_was_removed_before_it_was_certified_is_resolved() {
    let (node, index) = (Node::new(9), index().await);
    super::world::show(&index, &node, 0..=9).await;
    let confirmer = Confirmer::default();
    confirmer.answer([Answer::Withdrawn]);
    let aggregator = aggregator(&confirmer);
    let _listening = listen(&index, &aggregator);
    let accused = accusation(node.reference(5));
    for operator in 0..3 {
        aggregator.submit(signed(&accused, operator)).await.unwrap();
    }
    until(|| {
        index
            .alerts(ROLLUP)
            .unwrap()
            .iter()
            .any(|it| it.confirmation.is_some())
    })
    .await;
    assert_eq!(status(&index, 5), Finality::Alerted);
    let l1 = OnL1::default();
    l1.mine(&[]);
    let _watching = watch(&index, &l1, 3);
    l1.looked(20).await;
    assert_eq!(status(&index, 5), Finality::Alerted);
    for _ in 0..4 {
        l1.mine(&[]);
        l1.looked(20).await;
    }
    until(|| status(&index, 5) != Finality::Alerted).await;
    assert!(index.alerts(ROLLUP).unwrap()[0].is_resolved);
    assert_eq!(confirmer.certificates().len(), 1);
}

/// Of a thousand operators, one more is less than a percent.
#[tokio::test]
async fn a_certificate_with_a_little_more_stake_takes_the_place_of_the_other() {
    let index = index().await;
    let statement = attestation(Node::new(2).reference(1));
    let absent = async || {
        let json = index.certificate(ROLLUP, statement.digest(&DOMAIN)).await;
        let file = CertificateFile::<Bn254>::from_json(&json.unwrap()).unwrap();
        file.0.non_signers.len()
    };
    for (signers, left) in [(201, 99), (202, 98), (201, 98), (203, 97)] {
        let certificate = certificate_of(&statement, signers, 300).await;
        index.certified(&certificate).await.unwrap();
        assert_eq!(absent().await, left);
    }
}
