//! Alerts that an aggregator tells of.

use std::{path::Path, time::Duration};

use mach_node::{
    breaker::{Breaker, BreakerConfig, BreakerLimits, GateState},
    finality::{FinalityConfig, FinalityIndex, router},
    http::serve,
    store::MemoryStore,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::ports::{Confirmer, DOMAIN, ROLLUP, aggregator, confirmation, digest, sign_all};

/// Operators sign, the certificate trips the breaker, and it recovers when the alert is withdrawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_trips_the_breaker() {
    let aggregator = aggregator(&Confirmer::default());
    let config = FinalityConfig::new(DOMAIN, [ROLLUP]);
    let index = FinalityIndex::open(MemoryStore::new(), config)
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let listening = {
        let (index, aggregator, shutdown) = (index.clone(), aggregator.clone(), shutdown.clone());
        tokio::spawn(async move { index.listen(&aggregator, shutdown).await })
    };
    let loopback: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve(router(index.clone(), None), loopback).await.unwrap();

    let breaker = |rollup| {
        let nobody = "http://127.0.0.1:1".parse().unwrap();
        let mut config = BreakerConfig::new(rollup, nobody);
        config.events = Some(server.url().parse().unwrap());
        let feed = config.connect().unwrap();
        Breaker::new(&config, BreakerLimits::default(), feed).unwrap()
    };
    let tripping = breaker(ROLLUP);
    let reach = async |state| {
        let reached = tripping.gate().reach(state);
        timeout(Duration::from_secs(20), reached).await.unwrap();
    };
    reach(GateState::Serving).await;
    sign_all(&aggregator, 1, 0..3).await;
    reach(GateState::Tripped).await;
    // The transaction is told once there is one, to who listens and to who comes later.
    let late = breaker(ROLLUP);
    for breaker in [&tripping, &late] {
        let told = async {
            loop {
                let alerts = breaker.gate().status().alerts;
                match alerts.first() {
                    Some(alert) if alert.confirmation.is_some() => break alert.clone(),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let alert = timeout(Duration::from_secs(20), told).await.unwrap();
        assert_eq!(alert.digest, digest(1));
        assert_eq!(alert.confirmation, Some(confirmation(digest(1))));
        assert_eq!(alert.statement, Some(crate::ports::alert(1)));
    }
    // L1 loses it, and it is in force all the same.
    index.unconfirmed(digest(1)).await.unwrap();
    for breaker in [&tripping, &late] {
        let told = async {
            while breaker.gate().status().alerts[0].confirmation.is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), told).await.unwrap();
        assert_eq!(breaker.gate().state(), GateState::Tripped);
    }
    index.resolved(digest(1)).await.unwrap();
    reach(GateState::Serving).await;
    index.reopened(digest(1)).await.unwrap();
    reach(GateState::Tripped).await;

    // Nobody tells of this one.
    let other = breaker(ROLLUP + 1);
    let error = async {
        loop {
            match other.gate().status().feed_error {
                Some(error) => break error,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let error = timeout(Duration::from_secs(20), error).await.unwrap();
    assert!(error.ends_with("answers with HTTP status 404"), "{error}");
    assert_eq!(other.gate().state(), GateState::Starting);
    shutdown.cancel();
    listening.await.unwrap();
}

/// A breaker is started anew while its aggregator is away: the alert that stood stands, until the aggregator says
/// that it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_forgets_no_alert() {
    let config = FinalityConfig::new(DOMAIN, [ROLLUP]);
    let index = FinalityIndex::open(MemoryStore::new(), config);
    let index = index.await.unwrap();
    let loopback: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = serve(router(index.clone(), None), loopback).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("breaker.json");
    let nobody = "http://127.0.0.1:1";
    let breaker = |events: &str| {
        let mut config = BreakerConfig::new(ROLLUP, nobody.parse().unwrap());
        config.events = Some(events.parse().unwrap());
        config.state = Some(state.clone());
        let feed = config.connect().unwrap();
        Breaker::new(&config, BreakerLimits::default(), feed).unwrap()
    };
    let reach = async |breaker: &Breaker, state| {
        let reached = breaker.gate().reach(state);
        timeout(Duration::from_secs(20), reached).await.unwrap();
    };
    let kept = async |count: usize| {
        while alerts(&state) != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };

    let before = breaker(&server.url());
    reach(&before, GateState::Serving).await;
    let (alert, confirmation) = (crate::ports::alert(1), confirmation(digest(1)));
    index.found(&alert, &confirmation).await.unwrap();
    reach(&before, GateState::Tripped).await;
    timeout(Duration::from_secs(20), kept(1)).await.unwrap();
    let known = before.gate().status().alerts;
    drop(before);

    let alone = breaker(nobody);
    reach(&alone, GateState::Tripped).await;
    assert_eq!(alone.gate().status().alerts, known);
    drop(alone);

    index.resolved(digest(1)).await.unwrap();
    let after = breaker(&server.url());
    reach(&after, GateState::Serving).await;
    timeout(Duration::from_secs(20), kept(0)).await.unwrap();
}

/// Alerts in the file of a breaker.
fn alerts(state: &Path) -> usize {
    let text = std::fs::read_to_string(state).unwrap_or_default();
    let content: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    content["alerts"].as_array().map_or(0, Vec::len)
}
