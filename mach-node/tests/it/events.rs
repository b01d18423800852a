//! What others see of the rounds.

use mach_bls::{OperatorKeys, verify_certificate};
use mach_core::{
    QuorumNumbers, Stake,
    ports::{OperatorRegistry, Progress, SignatureAggregator},
};
use mach_node::{Aggregator, RoundEvent, RoundState, RoundView, store::MemoryStore};
use tokio::sync::broadcast::Receiver;

use crate::ports::{
    Confirmer, FixedRegistry, HEAD, aggregator, aggregator_on, config, confirmation, confirmed,
    digest, id, percent, signed, statement,
};

async fn next(events: &mut Receiver<RoundEvent>) -> RoundEvent {
    let wait = std::time::Duration::from_secs(20);
    tokio::time::timeout(wait, events.recv())
        .await
        .expect("an event in time")
        .unwrap()
}

/// Four operators with a stake of 100 each, of whom these have signed.
fn assert_view(view: &RoundView, signers: &[u64], state: RoundState) {
    let ids = |indices: &[u64]| {
        let mut ids: Vec<_> = indices.iter().map(|index| id(*index)).collect();
        ids.sort();
        ids
    };
    let absent: Vec<u64> = (0..4).filter(|index| !signers.contains(index)).collect();
    assert_eq!(view.digest, digest(1));
    assert_eq!(view.statement, statement(1));
    assert_eq!(u64::from(view.reference_block), HEAD - 1);
    assert_eq!(view.signers, ids(signers));
    assert_eq!(view.absent, ids(&absent));
    assert_eq!(view.state, state);
    let [quorum] = &view.quorums[..] else {
        panic!("one quorum");
    };
    assert_eq!(quorum.quorum, 0);
    let stake = |operators: usize| Stake::new(100 * operators as u128).unwrap();
    assert_eq!(quorum.signed, stake(signers.len()));
    assert_eq!(quorum.total, stake(4));
    assert_eq!(quorum.threshold, percent(66));
}

#[tokio::test]
async fn a_round_tells_what_happens_to_it() {
    let confirmer = Confirmer::default();
    let aggregator = aggregator(&confirmer);
    let mut events = aggregator.events();
    aggregator.open(&statement(1)).await.unwrap();
    for index in 0..3 {
        aggregator.submit(signed(1, index)).await.unwrap();
    }
    let RoundEvent::Opened(view) = next(&mut events).await else {
        panic!("the round opens");
    };
    assert_view(&view, &[0], RoundState::Collecting);
    let RoundEvent::Signed(view) = next(&mut events).await else {
        panic!("another one signs");
    };
    assert_view(&view, &[0, 1], RoundState::Collecting);
    let certificate = loop {
        match next(&mut events).await {
            RoundEvent::Signed(view) => assert_eq!(view.signers.len(), 3),
            RoundEvent::Certified { view, certificate } => {
                assert_view(&view, &[0, 1, 2], RoundState::Certified);
                break certificate;
            }
            other => panic!("{other:?}"),
        }
    };
    let set = FixedRegistry::new(4)
        .operator_set(&QuorumNumbers::new([0]).unwrap(), (HEAD - 1) as u32)
        .await
        .unwrap();
    verify_certificate(&certificate, &OperatorKeys::new(&set).unwrap()).unwrap();
    let RoundEvent::Confirmed {
        digest: it,
        confirmation: stands,
    } = next(&mut events).await
    else {
        panic!("the round is confirmed");
    };
    assert_eq!((it, stands), (digest(1), confirmation(digest(1))));
    let rounds = aggregator.rounds();
    assert_eq!(rounds.len(), 1);
    assert_view(&rounds[0], &[0, 1, 2], RoundState::Confirmed(stands));
}

#[tokio::test]
async fn a_certificate_outlives_its_aggregator() {
    let (store, confirmer) = (MemoryStore::new(), Confirmer::default());
    let on = |store: &MemoryStore| -> Aggregator {
        aggregator_on(store.clone(), FixedRegistry::new(4), &confirmer, config())
    };
    let before = on(&store);
    assert_eq!(before.certificate(digest(1)).await.unwrap(), None);
    before.open(&statement(1)).await.unwrap();
    for index in 0..3 {
        before.submit(signed(1, index)).await.unwrap();
    }
    confirmed(&before, 1).await;
    drop(before);
    let certificate = on(&store).certificate(digest(1)).await.unwrap().unwrap();
    assert_eq!(vec![certificate], confirmer.certificates());
}

#[tokio::test]
async fn who_does_not_listen_holds_up_nobody() {
    let aggregator = aggregator(&Confirmer::default());
    let deaf = aggregator.events();
    for number in 0..1000 {
        aggregator.open(&statement(number)).await.unwrap();
        aggregator.submit(signed(number, number % 4)).await.unwrap();
    }
    assert_eq!(aggregator.rounds().len(), 64);
    assert_eq!(
        aggregator.progress(digest(1)),
        Some(Progress::Collecting { signers: 1 })
    );
    drop(deaf);
}
