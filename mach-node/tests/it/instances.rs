//! Several aggregators on one store.

use std::{sync::Arc, time::Duration};

use mach_core::ports::{AggregateError, Progress, SignatureAggregator};
use mach_node::{Aggregator, AggregatorConfig, InstanceConfig, store::MemoryStore};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::ports::{
    Answer, Confirmer, FixedRegistry, aggregator_on, config, confirmed, digest, signed, statement,
    until,
};

/// An aggregator that runs, and what ends it.
struct Instance {
    aggregator: Aggregator,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Instance {
    fn start(store: &MemoryStore, confirmer: &Confirmer) -> Self {
        let config = AggregatorConfig {
            instance: Some(InstanceConfig::default()),
            ..config()
        };
        let aggregator = aggregator_on(store.clone(), FixedRegistry::new(4), confirmer, config);
        let shutdown = CancellationToken::new();
        let running = tokio::spawn({
            let (aggregator, shutdown) = (aggregator.clone(), shutdown.clone());
            async move { aggregator.run(shutdown).await }
        });
        Self {
            aggregator,
            shutdown,
            running,
        }
    }

    async fn leads(&self) {
        until(|| self.aggregator.leads()).await;
    }

    async fn sign(&self, number: u64, index: u64) -> Result<Progress, AggregateError> {
        self.aggregator.submit(signed(number, index)).await
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_who_start_at_once_one_leads() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    let instances: Vec<_> = (0..8)
        .map(|_| Instance::start(&store, &confirmer))
        .collect();
    let leading = || instances.iter().filter(|it| it.aggregator.leads()).count();
    until(|| leading() == 1).await;
    // For longer than a leader may be silent.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert_eq!(leading(), 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for instance in &instances {
        let answer = instance.sign(1, 0).await;
        if instance.aggregator.leads() {
            assert_eq!(answer.unwrap(), Progress::Collecting { signers: 1 });
            continue;
        }
        let error = answer.unwrap_err();
        assert!(matches!(error, AggregateError::Standby) && error.is_transient());
        let open = instance.aggregator.open(&statement(1)).await;
        assert!(matches!(open, Err(AggregateError::Standby)));
        assert!(matches!(
            instance.aggregator.tend().await,
            Err(AggregateError::Standby)
        ));
    }
}

/// The leader stops in the middle without a word, and later goes on as if nothing had been. The clock of this
/// test is the one that a lease is measured by, and no other; how long a machine takes `takeover` prints.
#[tokio::test(start_paused = true)]
async fn another_one_takes_over_within_a_second_and_loses_nothing() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    let first = Instance::start(&store, &confirmer);
    first.leads().await;
    let second = Instance::start(&store, &confirmer);
    for index in [0, 1] {
        first.sign(1, index).await.unwrap();
    }
    first.running.abort();
    let start = Instant::now();
    second.leads().await;
    let gap = start.elapsed();
    assert!(gap < Duration::from_secs(1), "{gap:?}");

    // Neither of the two who were taken before is asked again.
    second.sign(1, 2).await.unwrap();
    confirmed(&second.aggregator, 1).await;
    // The other one still thinks that it leads, until it writes.
    assert!(first.aggregator.leads());
    // What it took before is not its to acknowledge.
    assert!(matches!(
        first.sign(1, 0).await,
        Err(AggregateError::Standby)
    ));
    assert!(!first.aggregator.leads());
    assert_eq!(first.aggregator.progress(digest(1)), None);
    assert_eq!(confirmer.certificates().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_the_one_before_is_brought_to_l1_by_the_next() {
    let store = MemoryStore::new();
    let never = Confirmer::answering([Answer::Wait(Arc::new(Notify::new()))]);
    let first = Instance::start(&store, &never);
    first.leads().await;
    for index in 0..3 {
        first.sign(1, index).await.unwrap();
    }
    until(|| never.certificates().len() == 1).await;
    first.running.abort();
    let confirmer = Confirmer::default();
    let second = Instance::start(&store, &confirmer);
    // Nobody asks for it.
    confirmed(&second.aggregator, 1).await;
    assert_eq!(confirmer.certificates().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_ends_in_good_order_leaves_at_once() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    let first = Instance::start(&store, &confirmer);
    first.leads().await;
    let second = Instance::start(&store, &confirmer);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!second.aggregator.leads());
    first.shutdown.cancel();
    first.running.await.unwrap();
    assert!(!first.aggregator.leads());
    let start = Instant::now();
    second.leads().await;
    let gap = start.elapsed();
    assert!(gap < InstanceConfig::default().takeover, "{gap:?}");
}
