//! `mach-cli guard`: the record of an operator is moved and corrected.

use std::{fs, path::Path, process::Output};

use alloy_primitives::{Address, B256};
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Domain, Statement,
    ports::{GuardError, SigningGuard},
};
use mach_node::{StoredGuard, store::RedbStore};
use serde_json::Value;

use crate::{errors, lines, mach_cli};

const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x11),
};

const fn block(number: u64, hash: u8) -> BlockRef {
    BlockRef {
        number,
        hash: B256::repeat_byte(hash),
    }
}

fn attested(number: u64, hash: u8) -> Statement {
    let attestation = Attestation {
        rollup_chain_id: 10,
        block: block(number, hash),
        state_root: B256::ZERO,
        output_root: B256::repeat_byte(9),
    };
    attestation.into()
}

fn alerted(number: u64, hash: u8) -> Statement {
    let alert = Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: 10,
        block: block(number, hash),
        rule: 4,
        claimed: B256::ZERO,
        computed: B256::repeat_byte(9),
    };
    alert.into()
}

/// Which of these statements the operator with this store signs.
async fn signs<const N: usize>(store: &Path, statements: [(Statement, Domain); N]) -> [bool; N] {
    let guard = StoredGuard::new(RedbStore::open(store).unwrap());
    let mut answers = [false; N];
    for (answer, (statement, domain)) in answers.iter_mut().zip(statements) {
        *answer = match guard.permit(&statement, &domain).await {
            Ok(()) => true,
            Err(GuardError::Contradiction { .. }) => false,
            Err(error) => unreachable!("{error}"),
        };
    }
    answers
}

fn guard(command: &str, store: &Path, rest: &[&str]) -> Output {
    let store = store.to_str().unwrap();
    let all = [&["guard", command, "--store", store][..], rest].concat();
    mach_cli(&all)
}

fn done(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", errors(output));
    lines(output).remove(0)
}

#[tokio::test]
async fn a_record_moves_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (old, new, file) = (path("old.redb"), path("new.redb"), path("record.json"));
    let record = file.to_str().unwrap();
    let said = [attested(5, 1), attested(6, 1), alerted(7, 2)].map(|it| (it, DOMAIN));
    assert_eq!(signs(&old, said).await, [true; 3]);

    let exported = done(&guard("export", &old, &[record, "--json"]));
    assert_eq!(
        (&exported["attestations"], &exported["alerts"]),
        (&2.into(), &1.into())
    );
    assert_eq!(exported["l1ChainId"], 1);
    let text = fs::read_to_string(&file).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["metadata"]["interchangeFormatVersion"], 1);
    assert_eq!(written["data"][0]["rollupChainId"], 10);
    assert_eq!(written["data"][0]["attestations"][0]["block"]["number"], 5);
    assert_eq!(done(&guard("export", &old, &[])), written);
    // A record is not written over another.
    let again = guard("export", &old, &[record]);
    assert_eq!(again.status.code(), Some(2));
    assert!(errors(&again).contains("record.json"), "{}", errors(&again));

    let imported = done(&guard("import", &new, &[record, "--json"]));
    assert_eq!(
        (&imported["added"], &imported["known"]),
        (&3.into(), &0.into())
    );
    let imported = done(&guard("import", &new, &[record, "--json"]));
    assert_eq!(
        (&imported["added"], &imported["known"]),
        (&0.into(), &3.into())
    );
    let asked = [
        attested(5, 1),
        attested(5, 2),
        attested(7, 2),
        attested(8, 1),
    ];
    let asked = asked.map(|it| (it, DOMAIN));
    assert_eq!(signs(&new, asked).await, [true, false, false, true]);
    assert_eq!(done(&guard("export", &old, &[])), written);
}

#[tokio::test]
async fn what_contradicts_the_record_is_not_imported() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (one, other, file) = (path("one.redb"), path("other.redb"), path("record.json"));
    let record = file.to_str().unwrap();
    let said = [attested(5, 1), attested(6, 1)].map(|it| (it, DOMAIN));
    assert_eq!(signs(&one, said).await, [true; 2]);
    assert_eq!(signs(&other, [(attested(6, 2), DOMAIN)]).await, [true]);
    done_text(&guard("export", &one, &[record]));

    let before = done(&guard("export", &other, &[]));
    let refused = guard("import", &other, &[record, "--json"]);
    assert_eq!(refused.status.code(), Some(1), "{}", errors(&refused));
    let reason = lines(&refused)[0]["error"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("nothing was imported: "), "{reason}");
    assert!(reason.contains("block 6"), "{reason}");
    assert_eq!(done(&guard("export", &other, &[])), before);

    let elsewhere = [
        record,
        "--l1-chain",
        "5",
        "--service-manager",
        "0x1111111111111111111111111111111111111111",
    ];
    let refused = guard("import", &path("fresh.redb"), &elsewhere);
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors(&refused).contains("the file is of service manager"));
    for wrong in ["", "{}", "[]", &"{".repeat(100_000)] {
        fs::write(&file, wrong).unwrap();
        let refused = guard("import", &other, &[record]);
        assert_eq!(refused.status.code(), Some(2), "{}", errors(&refused));
        assert!(errors(&refused).contains("record.json"));
    }
}

fn done_text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", errors(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn an_attestation_is_taken_back_when_the_operator_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("guard.redb");
    assert_eq!(signs(&store, [(attested(5, 1), DOMAIN)]).await, [true]);
    let block = ["--rollup", "10", "--block", "5"];
    let shown = done_text(&guard("retract", &store, &block));
    assert!(shown.contains("--yes takes it back"), "{shown}");
    assert!(shown.contains(&B256::repeat_byte(1).to_string()), "{shown}");
    assert_eq!(signs(&store, [(alerted(5, 1), DOMAIN)]).await, [false]);

    let json = [&block[..], &["--yes", "--json"]].concat();
    assert_eq!(done(&guard("retract", &store, &json))["retracted"], true);
    let asked = [alerted(5, 1), attested(5, 1), attested(5, 2)].map(|it| (it, DOMAIN));
    assert_eq!(signs(&store, asked).await, [true, false, false]);

    for block in ["5", "6"] {
        let args = ["--rollup", "10", "--block", block, "--yes"];
        let refused = guard("retract", &store, &args);
        assert_eq!(refused.status.code(), Some(1), "{}", errors(&refused));
    }
}

/// Several service managers are told apart, and what is in the way is said.
#[tokio::test]
async fn what_is_in_the_way_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("guard.redb");
    let refused = guard("export", &store, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors(&refused).contains("there is no store at"));
    assert!(!store.exists(), "asking makes none");

    let holesky = Domain {
        l1_chain_id: 17000,
        ..DOMAIN
    };
    let said = [(attested(5, 1), DOMAIN), (attested(5, 2), holesky)];
    assert_eq!(signs(&store, said).await, [true; 2]);
    let refused = guard("export", &store, &[]);
    let told = errors(&refused);
    assert!(told.contains("which service manager?"), "{told}");
    assert!(told.contains("on chain 1, ") && told.contains("on chain 17000"));
    let address = DOMAIN.service_manager.to_string();
    let of = ["--l1-chain", "17000", "--service-manager", &address];
    let record = done(&guard("export", &store, &of));
    let hash = &record["data"][0]["attestations"][0]["block"]["hash"];
    assert_eq!(*hash, B256::repeat_byte(2).to_string());

    // The operator runs.
    let operator = RedbStore::open(&store).unwrap();
    for command in ["export", "retract"] {
        let args: &[&str] = match command {
            "retract" => &["--rollup", "10", "--block", "5", "--yes"],
            _ => &[],
        };
        let refused = guard(command, &store, args);
        assert_eq!(refused.status.code(), Some(2));
        let told = errors(&refused);
        assert!(told.contains("stop the operator first"), "{told}");
        assert!(told.contains("another process uses"), "{told}");
    }
    drop(operator);

    // A byte of what was signed changes.
    let mut bytes = fs::read(&store).unwrap();
    let signed = B256::repeat_byte(2).to_string();
    let places: Vec<_> = (0..bytes.len() - signed.len())
        .filter(|place| bytes[*place..].starts_with(signed.as_bytes()))
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + 5] ^= 1;
    }
    fs::write(&store, bytes).unwrap();
    let refused = guard("export", &store, &of);
    assert_eq!(refused.status.code(), Some(2));
    let told = errors(&refused);
    assert!(
        told.contains("nothing may be signed with this record"),
        "{told}"
    );
    assert!(
        told.contains("what was signed about block 5 of rollup 10 for service manager"),
        "{told}"
    );
    assert!(told.contains("on chain 17000"), "{told}");
}
