//! Transactions that wait, are replaced, or come back after a reorganisation.

use alloy_network::TransactionBuilder;
use alloy_primitives::{Address, U256};
use alloy_provider::{PendingTransactionConfig, Provider};
use alloy_rpc_types_eth::TransactionRequest;
use mach_devnet::{Chain, DEV_ACCOUNTS, DevnetConfig, Ethereum, Mining};

fn manual() -> Chain<Ethereum> {
    DevnetConfig {
        l1_mining: Mining::Manual,
        ..Default::default()
    }
    .l1()
    .unwrap()
}

fn transfer(nonce: u64, fee: u128) -> TransactionRequest {
    TransactionRequest::default()
        .with_to(Address::repeat_byte(7))
        .with_value(U256::from(1))
        .with_nonce(nonce)
        .with_gas_limit(21_000)
        .with_max_fee_per_gas(fee)
        .with_max_priority_fee_per_gas(fee / 2)
}

const GWEI: u128 = 1_000_000_000;

#[tokio::test]
async fn a_transaction_waits_for_its_block_and_can_be_replaced() {
    let chain = manual();
    let sender = DEV_ACCOUNTS[1].address;
    let provider = chain.signing_provider(&DEV_ACCOUNTS[1]);
    let first = provider
        .send_transaction(transfer(0, 10 * GWEI))
        .await
        .unwrap();
    assert_eq!(provider.get_block_number().await.unwrap(), 0);
    assert_eq!(provider.get_transaction_count(sender).await.unwrap(), 0);
    assert_eq!(
        provider
            .get_transaction_count(sender)
            .pending()
            .await
            .unwrap(),
        1
    );
    let shown = provider
        .get_transaction_by_hash(*first.tx_hash())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shown.block_number, None);

    let error = provider
        .send_transaction(transfer(0, 10 * GWEI + 1))
        .await
        .unwrap_err();
    let error = error.as_error_resp().unwrap();
    assert_eq!(error.message, "replacement transaction underpriced");
    let second = provider
        .send_transaction(transfer(0, 11 * GWEI))
        .await
        .unwrap();
    chain.mine().unwrap();
    let receipt = provider
        .get_transaction_receipt(*second.tx_hash())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipt.block_number, Some(1));
    assert_eq!(
        provider
            .get_transaction_receipt(*first.tx_hash())
            .await
            .unwrap(),
        None
    );

    let error = provider
        .send_transaction(transfer(0, 20 * GWEI))
        .await
        .unwrap_err();
    let message = &error.as_error_resp().unwrap().message;
    assert_eq!(message, "nonce too low: next nonce 1, tx nonce 0");
}

#[tokio::test]
async fn a_rewind_puts_transactions_back_to_waiting() {
    let chain = manual();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[1]);
    let sent = provider
        .send_transaction(transfer(0, 10 * GWEI))
        .await
        .unwrap();
    let hash = *sent.tx_hash();
    chain.mine().unwrap();
    let before = chain.block_hash(1).unwrap();
    chain.rewind(0).unwrap();
    assert_eq!(provider.get_transaction_receipt(hash).await.unwrap(), None);
    assert_eq!(provider.get_block_by_hash(before).await.unwrap(), None);
    chain.increase_time(1);
    chain.mine().unwrap();
    let receipt = provider
        .get_transaction_receipt(hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipt.block_hash, chain.block_hash(1));
    assert_ne!(chain.block_hash(1), Some(before));
}

#[tokio::test]
async fn with_automine_a_closed_gap_is_mined_at_once() {
    let chain = DevnetConfig::default().l1().unwrap();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[1]);
    let later = provider
        .send_transaction(transfer(1, 10 * GWEI))
        .await
        .unwrap();
    assert_eq!(
        provider
            .get_transaction_receipt(*later.tx_hash())
            .await
            .unwrap(),
        None
    );
    let earlier = provider
        .send_transaction(transfer(0, 10 * GWEI))
        .await
        .unwrap();
    for hash in [*earlier.tx_hash(), *later.tx_hash()] {
        let waiting = PendingTransactionConfig::new(hash);
        let watched = provider.watch_pending_transaction(waiting).await.unwrap();
        assert_eq!(watched.await.unwrap(), hash);
    }
}
