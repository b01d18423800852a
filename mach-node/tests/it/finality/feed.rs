//! The index beside an aggregator and a node.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_primitives::{B256, ChainId};
use async_trait::async_trait;
use mach_core::{
    Alert, Confirmation, Statement,
    ports::{BoxError, SignatureAggregator},
};
use mach_node::finality::{FeedConfig, Finality, FinalityConfig, FinalityIndex, StandingAlerts};
use mach_node::store::MemoryStore;
use tokio_util::sync::CancellationToken;

use super::world::{
    Node, accusation, accuse, attest, attestation, config, index, index_on, signed,
};
use crate::ports::{Confirmer, DOMAIN, ROLLUP, aggregator, confirmation, until};

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

/// An L1 from which alerts are withdrawn.
#[derive(Clone, Default)]
struct Withdrawn(Arc<Mutex<BTreeSet<B256>>>);

#[async_trait]
impl StandingAlerts for Withdrawn {
    async fn is_standing(&self, alert: &Alert) -> Result<bool, BoxError> {
        let digest = Statement::from(alert.clone()).digest(&DOMAIN);
        Ok(!self.0.lock().unwrap().contains(&digest))
    }

    async fn standing(&self, _: ChainId) -> Result<Vec<(Alert, Confirmation)>, BoxError> {
        Ok(Vec::new())
    }
}

/// An L1 with alerts that this process never heard of.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Vec<Alert>>>);

#[async_trait]
impl StandingAlerts for Raised {
    async fn is_standing(&self, alert: &Alert) -> Result<bool, BoxError> {
        Ok(self.0.lock().unwrap().contains(alert))
    }

    async fn standing(&self, _: ChainId) -> Result<Vec<(Alert, Confirmation)>, BoxError> {
        let confirmed = |alert: &Alert| {
            let digest = Statement::from(alert.clone()).digest(&DOMAIN);
            (alert.clone(), confirmation(digest))
        };
        Ok(self.0.lock().unwrap().iter().map(confirmed).collect())
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
    let (l1, shutdown) = (Raised::default(), CancellationToken::new());
    let Statement::Alert(alert) = accusation(node.reference(5)) else {
        unreachable!()
    };
    l1.0.lock().unwrap().push(alert.clone());
    let watching = {
        let (index, l1, shutdown) = (index.clone(), l1.clone(), shutdown.clone());
        let pause = Duration::from_millis(2);
        tokio::spawn(async move { index.watch_alerts(l1, pause, shutdown).await })
    };
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

    l1.0.lock().unwrap().clear();
    until(|| status(&index, 5) == Finality::Attested).await;
    shutdown.cancel();
    watching.await.unwrap();
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
    let (l1, shutdown) = (Withdrawn::default(), CancellationToken::new());
    let digest = accuse(&index, node.reference(5)).await;
    // Not on L1 yet, so that L1 has nothing to say.
    let unconfirmed = accuse(&index, node.reference(7)).await;
    l1.0.lock().unwrap().insert(unconfirmed);
    index.confirmed(&confirmation(digest)).await.unwrap();
    let watching = {
        let (index, l1, shutdown) = (index.clone(), l1.clone(), shutdown.clone());
        let pause = Duration::from_millis(2);
        tokio::spawn(async move { index.watch_alerts(l1, pause, shutdown).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(status(&index, 5), Finality::Alerted);
    l1.0.lock().unwrap().insert(digest);
    until(|| status(&index, 5) == Finality::Seen).await;
    assert_eq!(status(&index, 7), Finality::Alerted);
    l1.0.lock().unwrap().clear();
    until(|| status(&index, 5) == Finality::Alerted).await;
    shutdown.cancel();
    watching.await.unwrap();
}
