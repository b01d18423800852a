//! How sure a block is.

mod api;
mod client;
mod evidence;
mod feed;
mod fuzz;
mod stream;
pub(crate) mod world;

use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use mach_core::{BlockRef, CertificateFile, Confirmation, Domain};
use mach_node::{
    finality::{Finality, FinalityConfig, FinalityError, FinalityIndex, Seen},
    store::{Change, Expected, MemoryStore, RedbStore, Store, Table, Written},
};

use crate::ports::{DOMAIN, ROLLUP, confirmation};
use world::{
    Node, accuse, attest, attestation, certificate, config, index, index_on, show, transaction,
};

/// A block that no node ever had.
const fn other(number: u64) -> BlockRef {
    BlockRef {
        number,
        hash: B256::repeat_byte(0xee),
    }
}

fn at(index: &FinalityIndex, number: u64) -> Finality {
    index.block_at(ROLLUP, number).unwrap().status
}

fn with_hash(index: &FinalityIndex, hash: B256) -> Finality {
    index.block_with_hash(ROLLUP, hash).unwrap().status
}

#[tokio::test]
async fn an_attestation_counts_for_all_blocks_that_it_builds_on() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 2..=9).await;
    assert_eq!(at(&index, 5), Finality::Seen);
    let digest = attest(&index, node.reference(6)).await;
    for (number, status) in [
        (1, Finality::Unknown),
        (2, Finality::Attested),
        (5, Finality::Attested),
        (6, Finality::Attested),
        (7, Finality::Seen),
        (10, Finality::Unknown),
    ] {
        assert_eq!(at(&index, number), status, "{number}");
    }
    let view = index.block_with_hash(ROLLUP, node.get(3).hash()).unwrap();
    let attestation = view.attestation.unwrap();
    assert_eq!(
        (attestation.digest, attestation.block),
        (digest, node.reference(6))
    );
    assert_eq!(
        (view.block, view.is_canonical),
        (Some(node.reference(3)), true)
    );
    // Three of four with equal stakes.
    assert_eq!(view.stake.unwrap().percent, 75);

    let view = index.transaction(ROLLUP, transaction(4)).await.unwrap();
    assert_eq!(view.block.block, Some(node.reference(4)));
    assert_eq!(view.block.status, Finality::Attested);
    let view = index.transaction(ROLLUP, B256::ZERO).await.unwrap();
    assert_eq!(view.block.status, Finality::Unknown);
}

/// Nothing is said of ancestors whose links were not seen.
#[tokio::test]
async fn without_the_links_nothing_is_attested_but_the_block_itself() {
    let (node, index) = (Node::new(9), index().await);
    attest(&index, node.reference(6)).await;
    for number in [5, 7] {
        assert_eq!(at(&index, number), Finality::Unknown);
    }
    let view = index.block_at(ROLLUP, 6).unwrap();
    assert_eq!(
        (view.status, view.is_canonical),
        (Finality::Attested, false)
    );
    // Links that end below the attested block do not reach it.
    show(&index, &node, 3..=5).await;
    assert_eq!(at(&index, 5), Finality::Seen);
    // A gap is not bridged.
    assert_eq!(index.seen(&node.get(7)).await.unwrap(), Seen::Unlinked);
    show(&index, &node, 6..=6).await;
    assert_eq!(at(&index, 5), Finality::Attested);
    assert_eq!(index.seen(&node.get(4)).await.unwrap(), Seen::Known);
}

/// The attested block is on another fork than the node's.
#[tokio::test]
async fn ancestors_of_another_fork_are_not_attested() {
    let (node, index) = (Node::new(9), index().await);
    let fork = Node::new(9);
    fork.fork(5, 1);
    show(&index, &node, 0..=9).await;
    attest(&index, fork.reference(8)).await;
    for number in 0..=7 {
        assert_eq!(at(&index, number), Finality::Seen, "{number}");
    }
    let view = index.block_at(ROLLUP, 8).unwrap();
    assert_eq!(view.status, Finality::Contradicted);
    assert_eq!(view.block, Some(node.reference(8)));
    assert_eq!(view.other_hash, Some(fork.get(8).hash()));
    assert_eq!(with_hash(&index, fork.get(8).hash()), Finality::Attested);
    assert_eq!(index.heads(ROLLUP).unwrap().finalized_by_stake, None);

    // The node comes over to what is attested.
    for number in 5..=9 {
        assert_eq!(index.seen(&fork.get(number)).await.unwrap(), Seen::Taken);
    }
    for number in 0..=8 {
        assert_eq!(at(&index, number), Finality::Attested, "{number}");
    }
    let heads = index.heads(ROLLUP).unwrap();
    assert_eq!(heads.finalized_by_stake, Some(fork.reference(8)));
    // What was replaced is known, and that it is not what was attested.
    let view = index.block_with_hash(ROLLUP, node.get(6).hash()).unwrap();
    assert_eq!(
        (view.status, view.is_canonical),
        (Finality::Contradicted, false)
    );
    assert_eq!(view.other_hash, Some(fork.get(6).hash()));
    let view = index.block_with_hash(ROLLUP, node.get(9).hash()).unwrap();
    assert_eq!((view.status, view.is_canonical), (Finality::Seen, false));
    // A transaction is where the newest block has it.
    let view = index.transaction(ROLLUP, transaction(6)).await.unwrap();
    assert_eq!(view.block.block, Some(fork.reference(6)));
}

#[tokio::test]
async fn a_confirmation_counts_for_ancestors_too() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=9).await;
    let below = attest(&index, node.reference(4)).await;
    attest(&index, node.reference(8)).await;
    index.confirmed(&confirmation(below)).await.unwrap();
    for (number, status) in [
        (3, Finality::Confirmed),
        (4, Finality::Confirmed),
        (5, Finality::Attested),
    ] {
        assert_eq!(at(&index, number), status);
    }
    let heads = index.heads(ROLLUP).unwrap();
    assert_eq!(heads.confirmed, Some(node.reference(4)));
    assert_eq!(heads.finalized_by_stake, Some(node.reference(8)));
    assert_eq!(heads.seen, Some(node.reference(9)));
    let view = index.block_at(ROLLUP, 2).unwrap();
    let standing = view.attestation.unwrap().confirmation;
    assert_eq!(standing, Some(confirmation(below)));
    // Of what has no certificate nothing is known.
    index.confirmed(&confirmation(B256::ZERO)).await.unwrap();
    assert_eq!(index.heads(ROLLUP).unwrap(), heads);
}

#[tokio::test]
async fn an_alert_counts_for_all_that_builds_on_the_block() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=9).await;
    attest(&index, node.reference(4)).await;
    let digest = accuse(&index, node.reference(6)).await;
    // Operators go on with what the header says, which lies above the wrong block all the same.
    attest(&index, node.reference(8)).await;
    for (number, status) in [
        (4, Finality::Attested),
        (5, Finality::Attested),
        (6, Finality::Alerted),
        (7, Finality::Alerted),
        (8, Finality::Alerted),
        (9, Finality::Alerted),
    ] {
        assert_eq!(at(&index, number), status, "{number}");
    }
    let view = index.block_at(ROLLUP, 9).unwrap();
    assert_eq!(view.alert.unwrap().digest, digest);
    assert_eq!(
        index.heads(ROLLUP).unwrap().finalized_by_stake,
        Some(node.reference(4))
    );

    index.resolved(digest).await.unwrap();
    assert_eq!(at(&index, 6), Finality::Attested);
    assert_eq!(
        index.heads(ROLLUP).unwrap().finalized_by_stake,
        Some(node.reference(8))
    );
    index.reopened(digest).await.unwrap();
    assert_eq!(at(&index, 6), Finality::Alerted);

    // The node replaces the block: the alert is about nothing that is there.
    node.fork(6, 1);
    for number in 6..=9 {
        assert_eq!(index.seen(&node.get(number)).await.unwrap(), Seen::Taken);
    }
    assert_eq!(at(&index, 6), Finality::Seen);
    attest(&index, node.reference(9)).await;
    assert_eq!(
        index.heads(ROLLUP).unwrap().finalized_by_stake,
        Some(node.reference(9))
    );
}

#[tokio::test]
async fn who_says_two_things_of_a_height_is_not_believed() {
    let (node, index) = (Node::new(9), index().await);
    show(&index, &node, 0..=9).await;
    attest(&index, node.reference(3)).await;
    let digest = attest(&index, node.reference(6)).await;
    attest(&index, other(6)).await;
    index.confirmed(&confirmation(digest)).await.unwrap();
    assert_eq!(at(&index, 6), Finality::Contradicted);
    assert_eq!(with_hash(&index, other(6).hash), Finality::Contradicted);
    // Nor about what it builds on.
    for (number, status) in [
        (3, Finality::Attested),
        (4, Finality::Seen),
        (5, Finality::Seen),
    ] {
        assert_eq!(at(&index, number), status, "{number}");
    }
    assert_eq!(
        index.heads(ROLLUP).unwrap().finalized_by_stake,
        Some(node.reference(3))
    );
    // Right and wrong at once.
    accuse(&index, node.reference(3)).await;
    assert_eq!(at(&index, 3), Finality::Contradicted);
    assert_eq!(index.heads(ROLLUP).unwrap().finalized_by_stake, None);
}

/// A reorganisation of L1 took the first transaction back.
#[tokio::test]
async fn what_was_confirmed_anew_says_where() {
    let (node, index) = (Node::new(9), index().await);
    let digest = accuse(&index, node.reference(3)).await;
    let first = confirmation(digest);
    let anew = Confirmation {
        transaction: Some(B256::repeat_byte(0x99)),
        l1_block: first.l1_block + 3,
        ..first
    };
    let found = Confirmation {
        transaction: None,
        l1_block: first.l1_block + 9,
        ..first
    };
    for (told, expected) in [(first, first), (found, first), (anew, anew), (found, anew)] {
        index.confirmed(&told).await.unwrap();
        assert_eq!(index.rollups()[0].alerts[0].confirmation, Some(expected));
    }
}

#[tokio::test]
async fn what_is_known_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finality.redb");
    let node = Node::new(9);
    let (before, digest, alert);
    {
        let index = index_on(RedbStore::open(&path).unwrap()).await;
        show(&index, &node, 1..=9).await;
        node.fork(8, 1);
        for number in 8..=9 {
            assert_eq!(index.seen(&node.get(number)).await.unwrap(), Seen::Taken);
        }
        digest = attest(&index, node.reference(5)).await;
        index.confirmed(&confirmation(digest)).await.unwrap();
        alert = accuse(&index, node.reference(8)).await;
        before = index.rollups();
    }
    let index = index_on(RedbStore::open(&path).unwrap()).await;
    assert_eq!(index.rollups(), before);
    assert_eq!(before[0].heads.seen, Some(node.reference(9)));
    assert_eq!(before[0].alerts[0].digest, alert);
    assert_eq!(at(&index, 4), Finality::Confirmed);
    let view = index.transaction(ROLLUP, transaction(9)).await.unwrap();
    assert_eq!(view.block.status, Finality::Alerted);
    assert!(index.certificate(ROLLUP, digest).await.is_ok());
    // It goes on where it was.
    node.grow(10, 0);
    show(&index, &node, 10..=10).await;
}

/// A row is missing: what lies below is not known to be what the rest builds on.
#[tokio::test]
async fn a_gap_in_the_store_is_not_bridged() {
    let (node, store) = (Node::new(9), MemoryStore::new());
    {
        let index = index_on(store.clone()).await;
        show(&index, &node, 0..=9).await;
        attest(&index, node.reference(8)).await;
    }
    let mut key = vec![0];
    key.extend(ROLLUP.to_be_bytes());
    key.extend(5u64.to_be_bytes());
    assert!(store.get(Table::Finality, &key).await.unwrap().is_some());
    let remove = Change {
        table: Table::Finality,
        key,
        expected: Expected::Anything,
        value: None,
    };
    assert_eq!(store.write(vec![remove]).await.unwrap(), Written::Applied);

    let index = index_on(store).await;
    assert_eq!(index.rollups()[0].first_block, Some(6));
    let heads = index.heads(ROLLUP).unwrap();
    assert_eq!(heads.seen, Some(node.reference(9)));
    for (number, status) in [
        (4, Finality::Unknown),
        (5, Finality::Unknown),
        (6, Finality::Attested),
        (8, Finality::Attested),
        (9, Finality::Seen),
    ] {
        assert_eq!(at(&index, number), status, "{number}");
    }
    let gone = index.transaction(ROLLUP, transaction(3)).await.unwrap();
    assert_eq!(gone.block.status, Finality::Unknown);
}

/// Two processes on one store, whose nodes are on different forks: rows with numbers that follow each
/// other are no links.
#[tokio::test]
async fn rows_of_two_forks_are_not_linked() {
    let (node, store) = (Node::new(9), MemoryStore::new());
    let fork = Node::new(9);
    fork.fork(3, 1);
    let one = index_on(store.clone()).await;
    let other = index_on(store.clone()).await;
    show(&one, &node, 0..=5).await;
    show(&other, &fork, 6..=9).await;
    attest(&other, fork.reference(8)).await;
    let index = index_on(store).await;
    assert_eq!(index.rollups()[0].first_block, Some(6));
    assert_eq!(at(&index, 7), Finality::Attested);
    assert_eq!(at(&index, 5), Finality::Unknown);
}

/// Two processes on one store, one of them a look behind when the node replaces a block.
#[tokio::test]
async fn a_transaction_of_a_block_that_was_replaced_is_in_none() {
    let (node, store) = (Node::new(4), MemoryStore::new());
    let shared = FinalityConfig {
        shared: Some(Duration::from_secs(60)),
        ..config()
    };
    let ahead = FinalityIndex::open(store.clone(), shared.clone());
    let behind = FinalityIndex::open(store, shared);
    let (ahead, behind) = tokio::try_join!(ahead, behind).unwrap();
    show(&ahead, &node, 0..=4).await;
    show(&behind, &node, 0..=4).await;
    // Nothing but this fork has it.
    let gone = keccak256([7]);
    node.grow(5, 7);
    show(&ahead, &node, 5..=5).await;
    let view = ahead.transaction(ROLLUP, gone).await.unwrap();
    assert_eq!(view.block.block, Some(node.reference(5)));

    node.fork(5, 1);
    show(&behind, &node, 5..=5).await;
    // What the other has put there is not what this one has.
    let view = ahead.transaction(ROLLUP, transaction(5)).await.unwrap();
    assert_eq!(view.block.status, Finality::Unknown);
    show(&ahead, &node, 5..=5).await;
    for index in [&ahead, &behind] {
        attest(index, node.reference(5)).await;
        assert_eq!(at(index, 5), Finality::Attested);
        let view = index.transaction(ROLLUP, gone).await.unwrap();
        assert_eq!(view.block.status, Finality::Unknown);
        let view = index.transaction(ROLLUP, transaction(5)).await.unwrap();
        assert_eq!(view.block.block, Some(node.reference(5)));
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let (node, store) = (Node::new(99), MemoryStore::new());
    let config = FinalityConfig {
        retain: 10,
        ..config()
    };
    let index = FinalityIndex::open(store.clone(), config).await.unwrap();
    let alert = accuse(&index, other(1)).await;
    let resolved = accuse(&index, other(2)).await;
    index.resolved(resolved).await.unwrap();
    let old = attest(&index, node.reference(3)).await;
    for number in 0..=99 {
        show(&index, &node, number..=number).await;
        if number % 5 == 0 {
            attest(&index, node.reference(number)).await;
        }
    }
    assert_eq!(index.rollups()[0].first_block, Some(90));
    assert_eq!(at(&index, 89), Finality::Unknown);
    assert_eq!(at(&index, 90), Finality::Attested);
    let gone = index.transaction(ROLLUP, transaction(50)).await.unwrap();
    assert_eq!(gone.block.status, Finality::Unknown);
    assert!(matches!(
        index.certificate(ROLLUP, old).await,
        Err(FinalityError::UnknownStatement(_))
    ));
    assert_eq!(index.attestations(ROLLUP, None, 100).unwrap().len(), 2);
    // An alert that stands is not forgotten, one that was withdrawn is.
    let alerts = index.alerts(ROLLUP).unwrap();
    assert_eq!(
        alerts.iter().map(|it| it.digest).collect::<Vec<_>>(),
        [alert]
    );
}

/// The next process is told to keep less, and gets there without a pause that anybody notices.
#[tokio::test]
async fn fewer_blocks_are_kept_than_before() {
    let (node, store) = (Node::new(200), MemoryStore::new());
    let index = index_on(store.clone()).await;
    show(&index, &node, 0..=149).await;
    for number in 1..=100 {
        attest(&index, node.reference(number)).await;
    }
    let config = FinalityConfig {
        retain: 10,
        ..config()
    };
    let index = FinalityIndex::open(store.clone(), config).await.unwrap();
    show(&index, &node, 150..=153).await;
    assert_eq!(index.rollups()[0].first_block, Some(144));
    assert_eq!(index.attestations(ROLLUP, None, 999).unwrap(), []);
    // Ten blocks with their transactions, and no statement.
    let rows = async |kind: u8| {
        let rows = store.scan(Table::Finality, &[kind], None, 999).await;
        rows.unwrap().len()
    };
    assert_eq!((rows(0).await, rows(1).await), (10, 10));
    assert_eq!((rows(2).await, rows(3).await), (0, 0));
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_not_taken() {
    let (node, index) = (Node::new(9), index().await);
    let good = certificate(&attestation(node.reference(5)), 3).await;
    let mut forged = good.clone();
    forged.statement = attestation(node.reference(6));
    assert!(matches!(
        index.certified(&forged).await,
        Err(FinalityError::Certificate(_))
    ));
    let mut elsewhere = good.clone();
    elsewhere.domain = Domain {
        l1_chain_id: 5,
        ..DOMAIN
    };
    assert!(matches!(
        index.certified(&elsewhere).await,
        Err(FinalityError::OtherDomain)
    ));
    let served = FinalityIndex::open(MemoryStore::new(), FinalityConfig::new(DOMAIN, [7]));
    assert!(matches!(
        served.await.unwrap().certified(&good).await,
        Err(FinalityError::UnknownRollup(ROLLUP))
    ));
    assert_eq!(at(&index, 6), Finality::Unknown);
}

/// Late signatures extend a certificate.
#[tokio::test]
async fn more_stake_takes_the_place_of_less() {
    let (node, index) = (Node::new(9), index().await);
    let statement = attestation(node.reference(5));
    let percent = || index.block_at(ROLLUP, 5).unwrap().stake.unwrap().percent;
    for (signers, expected) in [(3, 75), (4, 100), (3, 100)] {
        let certificate = certificate(&statement, signers).await;
        index.certified(&certificate).await.unwrap();
        assert_eq!(percent(), expected);
        let digest = statement.digest(&DOMAIN);
        let kept = index.certificate(ROLLUP, digest).await.unwrap();
        let kept: CertificateFile = CertificateFile::from_json(&kept).unwrap();
        assert_eq!(kept.0.quorums[0].signed.weight(), u128::from(expected) * 4);
        index.confirmed(&confirmation(digest)).await.unwrap();
    }
    assert_eq!(at(&index, 5), Finality::Confirmed);
}
