//! One account's transactions, on a chain that makes blocks only when told to.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use alloy_consensus::Transaction;
use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_provider::{Provider, RootProvider};
use mach_contracts_bindings::{MemoryLog, Outcome, Record, SubmitError, SubmitPolicy, Submitter};
use mach_devnet::{Chain, DEV_ACCOUNTS, DevnetConfig, Ethereum, Mining};
use serde_json::json;

use crate::{
    clients::{POLICY, manual, mine, with_policy},
    node::{failure, lying, success},
};

const ANYBODY: Address = Address::repeat_byte(0x77);

fn intent(number: u8) -> B256 {
    B256::repeat_byte(number)
}

fn input(number: u8) -> Bytes {
    vec![number].into()
}

async fn resumed(node: RootProvider, log: &MemoryLog) -> Submitter {
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
    Submitter::resume(node, wallet, POLICY, log.clone())
        .await
        .unwrap()
}

/// Makes blocks until nothing is under way.
async fn settle(l1: &Chain<Ethereum>, submitter: &Submitter) {
    while submitter.tend().await.unwrap() > 0 {
        l1.mine().unwrap();
    }
}

async fn sent(l1: &Chain<Ethereum>) -> u64 {
    let provider: RootProvider = l1.provider();
    provider
        .get_transaction_count(DEV_ACCOUNTS[0].address)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_intent_has_one_transaction_whoever_asks_and_when() {
    let (l1, _) = manual().await;
    let log = MemoryLog::default();
    let submitter = resumed(l1.provider(), &log).await;
    let (a, b, ()) = tokio::join!(
        submitter.submit(intent(1), ANYBODY, input(1)),
        submitter.submit(intent(1), ANYBODY, input(2)),
        mine(&l1, 2),
    );
    let first = a.unwrap().transaction_hash;
    assert_eq!(b.unwrap().transaction_hash, first);
    let again = submitter
        .submit(intent(1), ANYBODY, input(1))
        .await
        .unwrap();
    assert_eq!(again.transaction_hash, first);

    // In another process, before and after it is final.
    for _ in 0..2 {
        let next = resumed(l1.provider(), &log).await;
        let again = next.submit(intent(1), ANYBODY, input(3)).await.unwrap();
        assert_eq!(again.transaction_hash, first);
        settle(&l1, &next).await;
    }
    let outcomes: Vec<_> = log
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Finished(finished) => Some((finished.transaction, finished.outcome)),
            Record::Attempt { .. } => None,
        })
        .collect();
    assert_eq!(outcomes, [(first, Outcome::Succeeded)]);
    assert_eq!(sent(&l1).await, 1);
}

#[tokio::test]
async fn a_process_that_ends_early_is_taken_over_from() {
    let (l1, _) = manual().await;
    let log = MemoryLog::default();
    // The node never hears of the transaction, and the process ends.
    let deaf = lying(&l1, |_, _, _| None);
    let submitter = resumed(deaf, &log).await;
    let code = Bytes::from_static(&[0]);
    let waited = submitter.submit(intent(1), ANYBODY, input(1));
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), waited)
            .await
            .is_err()
    );
    drop(submitter);
    assert_eq!(log.records().len(), 1);

    let next = resumed(l1.provider(), &log).await;
    let (outcome, ()) = tokio::join!(next.submit(intent(1), ANYBODY, input(2)), mine(&l1, 2));
    let receipt = outcome.unwrap();
    let included = next
        .provider()
        .get_transaction_by_hash(receipt.transaction_hash)
        .await
        .unwrap()
        .unwrap();
    // What the first process meant to send.
    assert_eq!((included.nonce(), included.input()), (0, &input(1)));
    // Nonces go on from there.
    let (outcome, ()) = tokio::join!(next.deploy(code), mine(&l1, 2));
    assert_eq!(outcome.unwrap().0, DEV_ACCOUNTS[0].address.create(1));
}

#[tokio::test]
async fn a_transaction_that_is_stuck_takes_later_ones_along() {
    let (l1, _) = manual().await;
    let log = MemoryLog::default();
    // Nobody may pay what a block costs.
    let policy = SubmitPolicy {
        max_fee_per_gas: 1,
        ..POLICY
    };
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
    let poor = Submitter::resume(l1.provider(), wallet, policy, log.clone())
        .await
        .unwrap();
    let (outcome, ()) = tokio::join!(poor.submit(intent(1), ANYBODY, input(1)), mine(&l1, 20));
    let error = outcome.unwrap_err();
    assert!(matches!(error, SubmitError::FeeCeiling { ceiling: 1, .. }));
    assert!(error.to_string().contains("the ceiling"), "{error}");
    drop(poor);

    // Once the ceiling is higher, the first one goes before the second.
    let rich = resumed(l1.provider(), &log).await;
    let (outcome, ()) = tokio::join!(rich.submit(intent(2), ANYBODY, input(2)), mine(&l1, 8));
    outcome.unwrap();
    assert_eq!(sent(&l1).await, 2);
    settle(&l1, &rich).await;
}

#[tokio::test]
async fn a_nonce_that_was_too_high_is_caught_up_with() {
    let (l1, _) = manual().await;
    let asked = Arc::new(AtomicU32::new(0));
    // As a node says of an account that another one knows.
    let node = lying(&l1, {
        let asked = Arc::clone(&asked);
        move |method, _, _| {
            let lies =
                method == "eth_getTransactionCount" && asked.fetch_add(1, Ordering::Relaxed) < 3;
            lies.then(|| success(&json!(U64::from(3))))
        }
    });
    let submitter = with_policy(node, 0, POLICY).await;
    let chain = async {
        while sent(&l1).await < 4 {
            mine(&l1, 1).await;
        }
    };
    let (outcome, ()) = tokio::join!(submitter.submit(intent(1), ANYBODY, input(1)), chain);
    let receipt = outcome.unwrap();
    let provider: RootProvider = l1.provider();
    let transaction = provider
        .get_transaction_by_hash(receipt.transaction_hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(transaction.nonce(), 3);
    settle(&l1, &submitter).await;
    assert_eq!(sent(&l1).await, 4);
}

#[tokio::test]
async fn a_relay_keeps_a_transaction_for_as_long_as_it_may() {
    // It takes everything, and none of it comes to be included.
    let relay = DevnetConfig {
        l1_mining: Mining::Manual,
        ..Default::default()
    };
    let relay = relay.l1().unwrap();
    for (public_after, is_included) in [(Some(4), true), (None, false)] {
        let (l1, submitter) = manual().await;
        let submitter = submitter.with_relay(relay.provider(), public_after);
        let (outcome, ()) = tokio::join!(
            submitter.submit(intent(1), ANYBODY, input(1)),
            mine(&l1, 16)
        );
        match outcome {
            Ok(receipt) => assert!(is_included && receipt.block_number.unwrap() > 4),
            Err(SubmitError::NotIncluded { .. }) => assert!(!is_included),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(sent(&l1).await, u64::from(is_included));
    }
}

#[tokio::test]
async fn an_account_that_cannot_pay_sends_nothing() {
    let (l1, _) = manual().await;
    let node = lying(&l1, |method, _, _| {
        (method == "eth_getBalance").then(|| success(&json!(U256::from(1000))))
    });
    let log = MemoryLog::default();
    let submitter = resumed(node, &log).await;
    let error = submitter
        .submit(intent(1), ANYBODY, input(1))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("has 1000 wei and needs up to"),
        "{error}"
    );
    assert!(!error.is_transient());
    assert_eq!(log.records(), []);
}

#[tokio::test]
async fn a_refusal_is_told_and_what_was_refused_stays_on_record() {
    let (l1, _) = manual().await;
    let node = lying(&l1, |method, _, _| {
        (method == "eth_sendRawTransaction").then(|| failure(-32000, "sender is on a list"))
    });
    let log = MemoryLog::default();
    let submitter = resumed(node, &log).await;
    let error = submitter
        .submit(intent(1), ANYBODY, input(1))
        .await
        .unwrap_err();
    assert!(matches!(error, SubmitError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("sender is on a list"), "{error}");
    assert_eq!(log.records().len(), 1);
}
