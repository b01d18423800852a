//! L1 through an alloy provider.

use alloy_eips::BlockId;
use alloy_network::TransactionBuilder;
use alloy_primitives::{Address, B256, Bytes, U256, bytes, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::{BlockNumberOrTag, Filter, TransactionRequest};
use mach_devnet::{Chain, DEV_ACCOUNTS, DevnetConfig, Ethereum, EthereumFork, GENESIS_BALANCE};

use super::counter;

fn l1() -> Chain<Ethereum> {
    DevnetConfig::default().l1().unwrap()
}

async fn deploy(provider: &impl Provider) -> Address {
    let request = TransactionRequest::default().with_deploy_code(counter());
    let receipt = provider
        .send_transaction(request)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert!(receipt.status());
    receipt.contract_address.unwrap()
}

#[tokio::test]
async fn a_contract_is_deployed_called_and_reverts() {
    for fork in [EthereumFork::Prague, EthereumFork::Osaka] {
        let chain = DevnetConfig {
            l1_fork: fork,
            ..Default::default()
        }
        .l1()
        .unwrap();
        let [account, other, ..] = DEV_ACCOUNTS;
        let provider = chain.signing_provider(&account);
        let contract = deploy(&provider).await;
        assert_eq!(contract, account.address.create(0));

        let call = TransactionRequest::default().with_to(contract);
        let pending = provider.send_transaction(call.clone()).await.unwrap();
        let receipt = pending.get_receipt().await.unwrap();
        assert_eq!(receipt.block_number, Some(2));
        assert_eq!(receipt.logs()[0].topics(), [B256::with_last_byte(1)]);
        assert_eq!(receipt.logs()[0].address(), contract);
        assert_eq!(
            provider.call(call.clone()).await.unwrap(),
            Bytes::from(B256::with_last_byte(2))
        );
        assert_eq!(
            provider.get_storage_at(contract, U256::ZERO).await.unwrap(),
            U256::from(1)
        );

        // geth's form of a revert: code 3, the reason in the message, the data beside it.
        let paid = call.with_value(U256::from(1)).with_from(other.address);
        for error in [
            provider.call(paid.clone()).await.unwrap_err(),
            provider.estimate_gas(paid.clone()).await.unwrap_err(),
        ] {
            let error = error.as_error_resp().unwrap().clone();
            assert_eq!(
                (error.code, &*error.message),
                (3, "execution reverted: nope")
            );
            let data = error.as_revert_data().unwrap();
            assert_eq!(data.len(), 4 + 3 * 32);
            assert_eq!(data[..4], keccak256("Error(string)")[..4]);
        }
    }
}

#[tokio::test]
async fn history_stays_readable() {
    let chain = l1();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
    let contract = deploy(&provider).await;
    for _ in 0..3 {
        let call = TransactionRequest::default().with_to(contract);
        provider
            .send_transaction(call)
            .await
            .unwrap()
            .get_receipt()
            .await
            .unwrap();
    }
    assert_eq!(provider.get_block_number().await.unwrap(), 4);
    for (block, count) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
        let id = BlockId::number(block);
        let stored = provider
            .get_storage_at(contract, U256::ZERO)
            .block_id(id)
            .await
            .unwrap();
        assert_eq!(stored, U256::from(count));
        let call = TransactionRequest::default().with_to(contract);
        let next = provider.call(call).block(id).await.unwrap();
        assert_eq!(U256::from_be_slice(&next), U256::from(count + 1));
        let nonce = provider
            .get_transaction_count(DEV_ACCOUNTS[0].address)
            .block_id(id);
        assert_eq!(nonce.await.unwrap(), block);
    }
    let before = BlockId::number(0);
    assert_eq!(
        provider
            .get_code_at(contract)
            .block_id(before)
            .await
            .unwrap(),
        Bytes::new()
    );
    let balance = provider
        .get_balance(DEV_ACCOUNTS[0].address)
        .block_id(before)
        .await
        .unwrap();
    assert_eq!(balance, GENESIS_BALANCE);
}

#[tokio::test]
async fn logs_are_found_by_address_topic_and_range() {
    let chain = l1();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
    let contract = deploy(&provider).await;
    let polled = provider
        .new_filter(&Filter::new().address(contract))
        .await
        .unwrap();
    let blocks = provider.new_block_filter().await.unwrap();
    let mut hashes = Vec::new();
    for _ in 0..3 {
        let call = TransactionRequest::default().with_to(contract);
        let receipt = provider
            .send_transaction(call)
            .await
            .unwrap()
            .get_receipt()
            .await
            .unwrap();
        hashes.push(receipt.block_hash.unwrap());
    }
    let counts = |logs: Vec<alloy_rpc_types_eth::Log>| -> Vec<u64> {
        logs.iter()
            .map(|log| U256::from_be_slice(&log.data().data).to())
            .collect()
    };
    let all = Filter::new().address(contract).from_block(0);
    assert_eq!(counts(provider.get_logs(&all).await.unwrap()), [1, 2, 3]);
    let second = all.clone().event_signature(B256::with_last_byte(2));
    assert_eq!(counts(provider.get_logs(&second).await.unwrap()), [2]);
    let range = Filter::new().from_block(3).to_block(4);
    assert_eq!(counts(provider.get_logs(&range).await.unwrap()), [2, 3]);
    let by_hash = Filter::new().at_block_hash(hashes[0]);
    assert_eq!(counts(provider.get_logs(&by_hash).await.unwrap()), [1]);
    let elsewhere = Filter::new().address(Address::ZERO).from_block(0);
    assert_eq!(
        counts(provider.get_logs(&elsewhere).await.unwrap()),
        [0u64; 0]
    );

    let news: Vec<alloy_rpc_types_eth::Log> = provider.get_filter_changes(polled).await.unwrap();
    assert_eq!(counts(news), [1, 2, 3]);
    let nothing: Vec<alloy_rpc_types_eth::Log> = provider.get_filter_changes(polled).await.unwrap();
    assert_eq!(counts(nothing), [0u64; 0]);
    assert_eq!(
        provider.get_filter_changes::<B256>(blocks).await.unwrap(),
        hashes
    );
    assert!(provider.uninstall_filter(blocks).await.unwrap());
    assert!(!provider.uninstall_filter(blocks).await.unwrap());
}

#[tokio::test]
async fn proofs_verify_against_the_state_root() {
    use alloy_rlp::Encodable;
    use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};

    let chain = l1();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
    let contract = deploy(&provider).await;
    for _ in 0..2 {
        let call = TransactionRequest::default().with_to(contract);
        provider
            .send_transaction(call)
            .await
            .unwrap()
            .get_receipt()
            .await
            .unwrap();
    }
    let absent = Address::repeat_byte(0xab);
    for number in 0..=3 {
        let block = provider
            .get_block_by_number(number.into())
            .await
            .unwrap()
            .unwrap();
        let root = block.header.state_root;
        for address in [contract, DEV_ACCOUNTS[0].address, absent] {
            let keys = vec![B256::ZERO, B256::with_last_byte(9)];
            let id = BlockId::number(number);
            let proof = provider
                .get_proof(address, keys)
                .block_id(id)
                .await
                .unwrap();
            let exists = address == DEV_ACCOUNTS[0].address || (address == contract && number > 0);
            let value = exists.then(|| {
                let account = TrieAccount {
                    nonce: proof.nonce,
                    balance: proof.balance,
                    storage_root: proof.storage_hash,
                    code_hash: proof.code_hash,
                };
                alloy_rlp::encode(account)
            });
            let key = Nibbles::unpack(keccak256(address));
            verify_proof(root, key, value, &proof.account_proof).unwrap();
            for slot in &proof.storage_proof {
                let mut value = Vec::new();
                slot.value.encode(&mut value);
                let expected = (!slot.value.is_zero()).then_some(value);
                let key = Nibbles::unpack(keccak256(slot.key.as_b256()));
                verify_proof(proof.storage_hash, key, expected, &slot.proof).unwrap();
            }
            let count = if address == contract {
                number.saturating_sub(1)
            } else {
                0
            };
            assert_eq!(proof.storage_proof[0].value, U256::from(count));
        }
    }
}

#[tokio::test]
async fn headers_commit_to_bodies_and_receipts() {
    use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};

    let chain = l1();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
    let contract = deploy(&provider).await;
    let call = TransactionRequest::default().with_to(contract);
    provider
        .send_transaction(call)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    for number in 0..=2 {
        let tag = BlockNumberOrTag::Number(number);
        let block = provider
            .get_block_by_number(tag)
            .full()
            .await
            .unwrap()
            .unwrap();
        assert_eq!(block.header.hash, block.header.inner.hash_slow());
        let transactions: Vec<_> = block
            .transactions
            .clone()
            .into_transactions()
            .map(|tx| tx.into_inner())
            .collect();
        assert_eq!(
            block.header.transactions_root,
            calculate_transaction_root(&transactions)
        );
        let receipts = provider
            .get_block_receipts(tag.into())
            .await
            .unwrap()
            .unwrap();
        let receipts: Vec<_> = receipts
            .into_iter()
            .map(|receipt| receipt.inner.map_logs(|log| log.inner))
            .collect();
        assert_eq!(
            block.header.receipts_root,
            calculate_receipt_root(&receipts)
        );
    }
}

#[tokio::test]
async fn an_estimate_is_enough_and_hardly_more() {
    let chain = l1();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
    let contract = deploy(&provider).await;
    let transfer = TransactionRequest::default()
        .with_from(DEV_ACCOUNTS[0].address)
        .with_to(Address::repeat_byte(7))
        .with_value(U256::from(1));
    assert_eq!(
        provider.estimate_gas(transfer.clone()).await.unwrap(),
        21_000
    );
    let call = TransactionRequest::default()
        .with_from(DEV_ACCOUNTS[0].address)
        .with_to(contract);
    let gas = provider.estimate_gas(call.clone()).await.unwrap();
    assert!(
        provider
            .call(call.clone().with_gas_limit(gas))
            .await
            .is_ok()
    );
    let less = call.with_gas_limit(gas - gas * 3 / 100);
    let error = provider.call(less).await.unwrap_err();
    assert_eq!(error.as_error_resp().unwrap().message, "out of gas");

    let poor = transfer
        .with_from(Address::repeat_byte(9))
        .with_gas_price(1_000_000_000);
    assert!(provider.estimate_gas(poor).await.is_err());
}

#[tokio::test]
async fn the_same_steps_give_the_same_chain() {
    let hash = || async {
        let chain = l1();
        let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
        deploy(&provider).await;
        provider
            .get_block(BlockId::latest())
            .await
            .unwrap()
            .unwrap()
            .header
            .hash
    };
    assert_eq!(hash().await, hash().await);
}

#[tokio::test]
async fn every_block_verifies_from_its_witness() {
    for l1_fork in [EthereumFork::Prague, EthereumFork::Osaka] {
        let config = DevnetConfig {
            l1_fork,
            ..Default::default()
        };
        let chain = config.l1().unwrap();
        let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
        let contract = deploy(&provider).await;
        for to in [contract, contract, Address::repeat_byte(3)] {
            let call = TransactionRequest::default().with_to(to);
            provider
                .send_transaction(call)
                .await
                .unwrap()
                .get_receipt()
                .await
                .unwrap();
        }
        chain.mine().unwrap();
        for number in 1..=chain.head() {
            let verdict = super::verify(&chain, chain.role().spec(), number)
                .await
                .unwrap();
            assert_eq!(verdict.fault(), None, "{l1_fork:?}, block {number}");
        }
    }
}

/// `BLOCKHASH(NUMBER - 3)` into slot 0, at the first call and each one after it.
static OLD_HASH: Bytes = bytes!("6009 80 600b 5f 39 5f f3 00 00  6003 43 03 40 5f 55 00");

#[tokio::test]
async fn a_witness_has_the_headers_that_prove_a_block_hash() {
    let chain = l1();
    let provider = chain.signing_provider(&DEV_ACCOUNTS[0]);
    let request = TransactionRequest::default().with_deploy_code(OLD_HASH.clone());
    let receipt = provider
        .send_transaction(request)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    let contract = receipt.contract_address.unwrap();
    for _ in 0..5 {
        chain.mine().unwrap();
    }
    let call = TransactionRequest::default().with_to(contract);
    provider
        .send_transaction(call)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    let stored = provider.get_storage_at(contract, U256::ZERO).await.unwrap();
    assert_eq!(B256::from(stored), chain.block_hash(4).unwrap());
    let witness: mach_verify::Witness = provider
        .raw_request("debug_executionWitness".into(), ("latest",))
        .await
        .unwrap();
    assert_eq!(witness.headers.len(), 3);
    let verdict = super::verify(&chain, chain.role().spec(), 7).await.unwrap();
    assert_eq!(
        verdict.summary().unwrap().assurance,
        mach_core::Assurance::Executed
    );
}

#[tokio::test]
async fn every_kind_of_transaction_is_executed_and_verifies() {
    use alloy_eips::{
        eip2930::{AccessList, AccessListItem},
        eip4844::{BlobTransactionSidecar, DATA_GAS_PER_BLOB},
        eip7594::BlobTransactionSidecarVariant,
        eip7702::Authorization,
    };
    use alloy_signer::SignerSync;

    for l1_fork in [EthereumFork::Prague, EthereumFork::Osaka] {
        let chain = DevnetConfig {
            l1_fork,
            ..Default::default()
        }
        .l1()
        .unwrap();
        let [account, other, ..] = DEV_ACCOUNTS;
        let provider = chain.signing_provider(&account);
        let contract = deploy(&provider).await;
        let base = TransactionRequest::default().with_to(contract);
        let access = AccessListItem {
            address: contract,
            storage_keys: vec![B256::ZERO],
        };
        // An all-zero blob: commitment and proof are the point at infinity.
        let mut infinity = [0u8; 48];
        infinity[0] = 0xc0;
        let sidecar = BlobTransactionSidecar {
            blobs: vec![Default::default()],
            commitments: vec![infinity.into()],
            proofs: vec![infinity.into()],
        };
        let mut blob = base
            .clone()
            .with_gas_limit(100_000)
            .max_fee_per_blob_gas(10);
        blob.blob_versioned_hashes = Some(sidecar.versioned_hashes().collect());
        blob.sidecar = Some(BlobTransactionSidecarVariant::Eip4844(sidecar));
        let authorization = Authorization {
            chain_id: U256::from(31_337),
            address: contract,
            nonce: 0,
        };
        let signature = other
            .signer()
            .sign_hash_sync(&authorization.signature_hash())
            .unwrap();
        let mut delegation = base.clone().with_to(other.address);
        delegation.authorization_list = Some(vec![authorization.into_signed(signature)]);
        let requests = [
            (0, base.clone().with_gas_price(2_000_000_000)),
            (
                1,
                base.clone()
                    .with_gas_price(2_000_000_000)
                    .with_access_list(AccessList(vec![access])),
            ),
            (2, base.clone()),
            (3, blob),
            (4, delegation),
        ];
        for (kind, request) in requests {
            let sent = provider.send_transaction(request).await.unwrap();
            let receipt = sent.get_receipt().await.unwrap();
            assert!(receipt.status());
            assert_eq!(receipt.inner.tx_type() as u8, kind);
            let number = receipt.block_number.unwrap();
            let block = chain.l2_block(number).unwrap();
            if kind == 3 {
                assert_eq!(block.header.blob_gas_used, Some(DATA_GAS_PER_BLOB));
                assert_eq!(receipt.blob_gas_used, Some(DATA_GAS_PER_BLOB));
            }
            let verdict = super::verify(&chain, chain.role().spec(), number)
                .await
                .unwrap();
            assert_eq!(verdict.fault(), None, "{l1_fork:?}, type {kind}");
        }
        // The delegation runs the counter in the other account's storage.
        let count = provider
            .get_storage_at(other.address, U256::ZERO)
            .await
            .unwrap();
        assert_eq!(count, U256::from(1));
    }
}
