//! A guard that outlives its process.

use alloy_primitives::{Address, B256};
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Domain, Statement,
    ports::{GuardError, SigningGuard},
};
use mach_node::{
    GuardFile, GuardFileError, ImportSummary, StoredGuard,
    store::{MemoryStore, RedbStore, Store},
};

use crate::ports::Unwritable;

const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x11),
};
const ROLLUP: u64 = 10;

const fn block(number: u64, hash: u8) -> BlockRef {
    BlockRef {
        number,
        hash: B256::repeat_byte(hash),
    }
}

const fn attestation(number: u64, hash: u8) -> Attestation {
    Attestation {
        rollup_chain_id: ROLLUP,
        block: block(number, hash),
        state_root: B256::ZERO,
        output_root: B256::repeat_byte(9),
    }
}

const fn alert(number: u64, hash: u8) -> Alert {
    Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: ROLLUP,
        block: block(number, hash),
        rule: 4,
        claimed: B256::ZERO,
        computed: B256::repeat_byte(9),
    }
}

fn guard() -> StoredGuard<MemoryStore> {
    StoredGuard::new(MemoryStore::new())
}

async fn permits(guard: &impl SigningGuard, statement: impl Into<Statement>) -> bool {
    match guard.permit(&statement.into(), &DOMAIN).await {
        Ok(()) => true,
        Err(GuardError::Contradiction { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn one_hash_for_a_height_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.redb");
    for _ in 0..3 {
        let guard = StoredGuard::new(RedbStore::open(&path).unwrap());
        assert!(permits(&guard, attestation(5, 1)).await);
        assert!(!permits(&guard, attestation(5, 2)).await);
        assert!(!permits(&guard, alert(5, 1)).await);
        assert!(permits(&guard, alert(5, 3)).await);
        assert!(!permits(&guard, attestation(5, 3)).await);
        let error = guard
            .permit(&attestation(5, 2).into(), &DOMAIN)
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            GuardError::Contradiction { rollup_chain_id: ROLLUP, number: 5, earlier }
                if earlier == Statement::from(attestation(5, 1)).digest(&DOMAIN)
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_ask_at_once_one_hash_wins() {
    let store = MemoryStore::new();
    for number in 0..20 {
        // Guards of their own, as two processes on one Postgres would have.
        let asked = (0..8u8).map(|hash| {
            let guard = StoredGuard::new(store.clone());
            tokio::spawn(async move { permits(&guard, attestation(number, hash)).await })
        });
        let answers = futures::future::join_all(asked).await;
        let permitted = answers.into_iter().filter(|it| *it.as_ref().unwrap());
        assert_eq!(permitted.count(), 1, "block {number}");
    }
}

#[tokio::test]
async fn an_attestation_can_be_taken_back_and_not_replaced() {
    let guard = guard();
    assert!(permits(&guard, attestation(5, 1)).await);
    for other in [block(5, 2), block(6, 1)] {
        assert!(!guard.retract(&DOMAIN, ROLLUP, other).await.unwrap());
    }
    assert!(!permits(&guard, alert(5, 1)).await);
    assert!(guard.retract(&DOMAIN, ROLLUP, block(5, 1)).await.unwrap());
    assert!(permits(&guard, alert(5, 1)).await);
    assert!(permits(&guard, alert(5, 1)).await, "again and again");
    assert!(!permits(&guard, attestation(5, 1)).await, "not any more");
    assert!(!permits(&guard, attestation(5, 2)).await, "nor another");

    // The file says so, and another guard believes it.
    let other = self::guard();
    let file = guard.export(&DOMAIN).await.unwrap();
    let summary = other.import(&DOMAIN, &file).await.unwrap();
    assert_eq!(summary, ImportSummary { added: 2, known: 0 });
    assert!(permits(&other, alert(5, 1)).await);
    assert!(!permits(&other, attestation(5, 1)).await);
    let summary = other.import(&DOMAIN, &file).await.unwrap();
    assert_eq!(summary, ImportSummary { added: 0, known: 2 });
    assert_eq!(other.export(&DOMAIN).await.unwrap(), file);
}

#[tokio::test]
async fn a_record_moves_to_another_machine() {
    let guard = guard();
    // More than one page, two rollups, two domains.
    for number in 0..1500 {
        assert!(permits(&guard, attestation(number, 1)).await);
    }
    let other_rollup = Alert {
        rollup_chain_id: 11,
        ..alert(7, 7)
    };
    assert!(permits(&guard, other_rollup.clone()).await);
    let elsewhere = Domain {
        l1_chain_id: 2,
        ..DOMAIN
    };
    guard
        .permit(&attestation(3, 3).into(), &elsewhere)
        .await
        .unwrap();

    let file = guard.export(&DOMAIN).await.unwrap();
    let text = serde_json::to_string(&file).unwrap();
    assert!(text.starts_with(
        r#"{"metadata":{"interchangeFormatVersion":1,"l1ChainId":1,"serviceManager":"0x1111"#
    ));
    let file: GuardFile = serde_json::from_str(&text).unwrap();
    assert_eq!(file.data.len(), 2);
    assert_eq!(file.data[0].attestations.len(), 1500);
    assert_eq!(file.data[1].alerts, [other_rollup]);

    let other = self::guard();
    assert!(permits(&other, attestation(1499, 1)).await);
    let summary = other.import(&DOMAIN, &file).await.unwrap();
    assert_eq!(
        summary,
        ImportSummary {
            added: 1500,
            known: 1
        }
    );
    assert!(!permits(&other, attestation(3, 3)).await);
    assert_eq!(other.export(&DOMAIN).await.unwrap(), file);
}

#[tokio::test]
async fn a_file_that_contradicts_adds_nothing() {
    let source = guard();
    for number in 0..3 {
        assert!(permits(&source, attestation(number, 1)).await);
    }
    let file = source.export(&DOMAIN).await.unwrap();
    let target = guard();
    assert!(permits(&target, attestation(2, 2)).await);
    let before = target.export(&DOMAIN).await.unwrap();
    let error = target.import(&DOMAIN, &file).await.unwrap_err();
    assert!(matches!(
        error,
        GuardFileError::Guard(GuardError::Contradiction { number: 2, .. })
    ));
    assert_eq!(target.export(&DOMAIN).await.unwrap(), before);

    let wrong = |change: fn(&mut GuardFile)| {
        let mut file = file.clone();
        change(&mut file);
        file
    };
    let fresh = guard();
    for (file, reason) in [
        (
            wrong(|file| file.metadata.interchange_format_version = 2),
            "the file has version 2, this release reads 1",
        ),
        (
            wrong(|file| file.metadata.l1_chain_id = 5),
            "the file is of service manager 0x1111111111111111111111111111111111111111 on chain 5",
        ),
        (
            wrong(|file| file.data[0].rollup_chain_id = 11),
            "the history of rollup 11 holds a statement about another",
        ),
        (
            wrong(|file| file.data[0].retracted.push(block(9, 9))),
            "block 9 (0x0909090909090909090909090909090909090909090909090909090909090909) is taken \
             back and was not attested",
        ),
    ] {
        let error = fresh.import(&DOMAIN, &file).await.unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
    let twice = wrong(|file| file.data[0].attestations.push(attestation(1, 7)));
    assert!(matches!(
        fresh.import(&DOMAIN, &twice).await,
        Err(GuardFileError::Guard(GuardError::Contradiction {
            number: 1,
            ..
        }))
    ));
    assert!(fresh.export(&DOMAIN).await.unwrap().data.is_empty());
}

/// A store that cannot write permits nothing, and what it holds in memory counts for nothing.
#[tokio::test]
async fn without_a_durable_record_nothing_is_permitted() {
    let store = Unwritable::default();
    store.fail(true);
    let guard = StoredGuard::new(store);
    for _ in 0..2 {
        let error = guard
            .permit(&attestation(1, 1).into(), &DOMAIN)
            .await
            .unwrap_err();
        assert!(error.is_transient());
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "the store is not available"
        );
    }
}

#[tokio::test]
async fn the_places_of_statements_are_told() {
    let guard = guard();
    assert_eq!(guard.domains().await.unwrap(), []);
    let other = |chain, byte| Domain {
        l1_chain_id: chain,
        service_manager: Address::repeat_byte(byte),
    };
    let domains = [other(1, 0), DOMAIN, other(1, 0xff), other(u64::MAX, 0xff)];
    for domain in &domains {
        for number in [0, 1, u64::MAX] {
            let statement = attestation(number, 1).into();
            guard.permit(&statement, domain).await.unwrap();
        }
    }
    assert_eq!(guard.domains().await.unwrap(), domains);

    let attested = |number| guard.attestation(&DOMAIN, ROLLUP, number);
    assert_eq!(attested(1).await.unwrap(), Some(attestation(1, 1)));
    assert_eq!(attested(2).await.unwrap(), None);
    assert!(guard.retract(&DOMAIN, ROLLUP, block(1, 1)).await.unwrap());
    assert_eq!(attested(1).await.unwrap(), None);
}

/// What is wrong with a store is said in the words of whoever has it.
#[tokio::test]
async fn a_record_that_is_damaged_is_named() {
    use mach_node::store::{Change, Expected, Table, Written};

    let store = MemoryStore::new();
    let guard = StoredGuard::new(store.clone());
    assert!(permits(&guard, attestation(5, 1)).await);
    let rows = store.scan(Table::Guard, &[], None, 2).await.unwrap();
    let row = Change {
        table: Table::Guard,
        key: rows[0].0.clone(),
        expected: Expected::Anything,
        value: Some(b"{".to_vec()),
    };
    assert_eq!(store.write(vec![row]).await.unwrap(), Written::Applied);
    let statement = attestation(5, 1).into();
    let error = guard.permit(&statement, &DOMAIN).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.ends_with(
            "of table guard is damaged: what was signed about block 5 of rollup 10 for service manager \
             0x1111111111111111111111111111111111111111 on chain 1"
        ),
        "{cause}"
    );
}
