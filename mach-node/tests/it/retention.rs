//! What goes to L1, and how long what is over is kept.

use std::{
    num::NonZeroU64,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::verify_self_contained;
use mach_core::{Attestation, SignedStatement, Statement, ports::SignatureAggregator};
use mach_node::{
    Aggregator, AggregatorConfig, Retention, RoundState, ToL1,
    store::{MemoryStore, Store, Table},
};

use crate::ports::{
    Confirmer, DOMAIN, FixedHead, FixedRegistry, HEAD, alert, config, id, key, until,
};

fn attestation(number: u64) -> Statement {
    let alert = alert(number);
    Statement::from(Attestation {
        rollup_chain_id: alert.rollup_chain_id,
        block: alert.block,
        state_root: B256::repeat_byte(3),
        output_root: B256::repeat_byte(4),
    })
}

async fn sign(aggregator: &Aggregator, statement: &Statement, operators: std::ops::Range<u64>) {
    for index in operators {
        let signed = SignedStatement {
            statement: statement.clone(),
            domain: DOMAIN,
            operator: id(index),
            signature: key(index).sign(statement.digest(&DOMAIN)).to_bytes(),
        };
        aggregator.submit(signed).await.unwrap();
    }
}

/// Four operators of whom three are enough.
fn on(
    store: &MemoryStore,
    head: &Arc<FixedHead>,
    confirmer: &Confirmer,
    config: AggregatorConfig,
) -> Aggregator {
    Aggregator::new(
        store.clone(),
        FixedRegistry::new(4),
        head.clone(),
        confirmer.clone(),
        config,
    )
}

async fn count(store: &MemoryStore, table: Table) -> usize {
    store.scan(table, &[], None, 1000).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_kept_as_long_as_the_configuration_says() {
    let (store, head, confirmer) = (MemoryStore::new(), FixedHead::new(), Confirmer::default());
    let retention = Retention {
        rounds: 100,
        certificates: 300,
    };
    let config = AggregatorConfig {
        retention,
        ..config()
    };
    let aggregator = on(&store, &head, &confirmer, config.clone());
    // Two attestations and an alert, all confirmed; and one that nobody else signs.
    for number in [1, 2] {
        sign(&aggregator, &attestation(number), 0..3).await;
    }
    let accused = Statement::from(alert(3));
    sign(&aggregator, &accused, 0..3).await;
    until(|| confirmer.certificates().len() == 3).await;
    sign(&aggregator, &attestation(4), 0..1).await;
    let digest = attestation(1).digest(&DOMAIN);
    until(|| futures::executor::block_on(count(&store, Table::Aging)) == 2).await;
    until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 1).await;
    // The confirmer says that it was in the block of the head.
    let at = async |blocks: u64| {
        head.0.store(HEAD + blocks, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(1)).await;
    };

    at(100).await;
    assert_eq!(aggregator.prune().await.unwrap(), 0);
    at(101).await;
    assert_eq!(aggregator.prune().await.unwrap(), 2);
    assert_eq!(aggregator.progress(digest), None);
    assert_eq!(count(&store, Table::Rounds).await, 2);
    assert_eq!(count(&store, Table::Certificates).await, 3);
    let certificate = aggregator.certificate(digest).await.unwrap().unwrap();
    verify_self_contained(&certificate).unwrap();

    // Another process goes on with it.
    drop(aggregator);
    let aggregator = on(&store, &head, &confirmer, config);
    at(300).await;
    assert_eq!(aggregator.prune().await.unwrap(), 0);
    at(301).await;
    assert_eq!(aggregator.prune().await.unwrap(), 2);
    assert_eq!(aggregator.certificate(digest).await.unwrap(), None);
    // An alert is never old.
    at(1_000_000).await;
    assert_eq!(aggregator.prune().await.unwrap(), 0);
    let standing = accused.digest(&DOMAIN);
    assert!(aggregator.certificate(standing).await.unwrap().is_some());
    assert_eq!(count(&store, Table::Aging).await, 0);
    assert_eq!(count(&store, Table::Rounds).await, 2);
}

#[tokio::test]
async fn what_is_not_brought_to_l1_is_certified_all_the_same() {
    let head = FixedHead::new();
    let every = |blocks| ToL1::AlertsAndEvery(NonZeroU64::new(blocks).unwrap());
    for (confirm, expected) in [
        (ToL1::All, vec![1, 2, 3, 4, 5]),
        (every(2), vec![2, 4, 5]),
        (ToL1::Alerts, vec![5]),
    ] {
        let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
        let config = AggregatorConfig {
            confirm,
            ..config()
        };
        let aggregator = on(&store, &head, &confirmer, config.clone());
        let accused = Statement::from(alert(5));
        let statements: Vec<_> = (1..5).map(attestation).chain([accused]).collect();
        for one in &statements {
            sign(&aggregator, one, 0..3).await;
        }
        until(|| confirmer.certificates().len() == expected.len()).await;
        until(|| futures::executor::block_on(count(&store, Table::Unconfirmed)) == 0).await;
        let sent = confirmer.certificates();
        let mut sent: Vec<_> = sent.iter().map(|it| it.statement.block().number).collect();
        sent.sort_unstable();
        assert_eq!(sent, expected, "{confirm:?}");

        // All of them are certified, after a restart too, and late signatures extend what there is.
        drop(aggregator);
        let aggregator = on(&store, &head, &confirmer, config);
        assert_eq!(aggregator.tend().await.unwrap(), 0);
        for one in &statements {
            let digest = one.digest(&DOMAIN);
            sign(&aggregator, one, 3..4).await;
            let certificate = aggregator.certificate(digest).await.unwrap().unwrap();
            assert!(certificate.non_signers.is_empty(), "{confirm:?}");
            let rounds = aggregator.rounds();
            let view = rounds.iter().find(|it| it.digest == digest).unwrap();
            let is_on_l1 = matches!(view.state, RoundState::Confirmed(_));
            assert_eq!(is_on_l1, expected.contains(&one.block().number));
        }
        assert_eq!(confirmer.certificates().len(), expected.len());
    }
}
