//! A node as a source of L1: raw where it serves that, as JSON where not.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Sealed, TxKind, U256, b256};
use alloy_signer::SignerSync;
use mach_core::ports::{L1Head, L1Source, SourceError};
use mach_devnet::{DEV_ACCOUNTS, Devnet, DevnetConfig, Mining, OptimismFork};
use mach_verify::source::RpcSource;

use crate::nodes::Without;

/// What hosted endpoints do not serve.
pub(crate) const RAW: &[&str] = &[
    "debug_getRawHeader",
    "debug_getRawBlock",
    "debug_getRawReceipts",
];

/// A chain of three blocks whose last holds transactions with logs, typed and not.
async fn devnet() -> Devnet {
    let config = DevnetConfig {
        l1_mining: Mining::Manual,
        l2_fork: OptimismFork::Isthmus,
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    let sender = &DEV_ACCOUNTS[0];
    let to = TxKind::Call(DEV_ACCOUNTS[1].address);
    let chain_id = devnet.l1().chain_id();
    let legacy = TxLegacy {
        chain_id: Some(chain_id),
        nonce: 0,
        gas_price: 10_000_000_000,
        gas_limit: 21_000,
        to,
        value: U256::from(1),
        ..Default::default()
    };
    let signature = sender
        .signer()
        .sign_hash_sync(&legacy.signature_hash())
        .unwrap();
    let legacy = TxEnvelope::from(legacy.into_signed(signature));
    // Init code that logs once with two topics, and makes an empty contract.
    let typed = TxEip1559 {
        chain_id,
        nonce: 1,
        gas_limit: 100_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Create,
        input: alloy_primitives::bytes!("6001600260206000a200"),
        ..Default::default()
    };
    let signature = sender
        .signer()
        .sign_hash_sync(&typed.signature_hash())
        .unwrap();
    let typed = TxEnvelope::from(typed.into_signed(signature));
    for transaction in [legacy, typed] {
        (devnet
            .l1()
            .send_raw_transaction(&transaction.encoded_2718()))
        .unwrap();
    }
    for _ in 0..3 {
        devnet.l1().mine().unwrap();
    }
    devnet.sequencer().produce().unwrap();
    devnet
}

#[tokio::test]
async fn blocks_headers_and_receipts_are_the_same_raw_and_as_json() {
    let devnet = devnet().await;
    let l1 = devnet.l1();
    let raw = RpcSource::new(l1.client(), l1.chain_id());
    let hosted = RpcSource::new(Without::new(l1.transport(), RAW).client(), l1.chain_id());
    assert_eq!(L1Source::chain_id(&raw), l1.chain_id());
    for number in 0..=3 {
        let block = L1Source::block(&raw, number).await.unwrap();
        assert_eq!(L1Source::block(&hosted, number).await.unwrap(), block);
        let header = raw.header(number).await.unwrap();
        assert_eq!(header, block.header);
        assert_eq!(hosted.header(number).await.unwrap(), header);
        let receipts = raw.receipts(&header).await.unwrap();
        assert_eq!(receipts.len(), block.transactions.len());
        assert_eq!(hosted.receipts(&header).await.unwrap(), receipts);
    }
    let head = L1Source::head(&raw, L1Head::Finalized).await.unwrap();
    assert_eq!(head, L1Source::block(&raw, 3).await.unwrap().reference());

    let typed = raw.receipts(&raw.header(1).await.unwrap()).await.unwrap();
    assert!(typed[0][0] >= 0xc0 && typed[1][0] == 2, "{typed:?}");
}

#[tokio::test]
async fn receipts_of_deposits_keep_nonce_and_version() {
    let devnet = devnet().await;
    let l2 = devnet.l2();
    let raw = RpcSource::new(l2.client(), l2.chain_id());
    let hosted = RpcSource::new(Without::new(l2.transport(), RAW).client(), l2.chain_id());
    let header = raw.header_at(1).await.unwrap();
    let receipts = raw.block_receipts(&header).await.unwrap();
    assert_eq!(receipts[0][0], 0x7e);
    assert_eq!(hosted.block_receipts(&header).await.unwrap(), receipts);
}

#[tokio::test]
async fn what_is_not_there_is_no_malformed_answer() {
    let devnet = devnet().await;
    let l1 = devnet.l1();
    for source in [
        RpcSource::new(l1.client(), l1.chain_id()),
        RpcSource::new(Without::new(l1.transport(), RAW).client(), l1.chain_id()),
    ] {
        assert!(matches!(
            source.header(4).await,
            Err(SourceError::NotYet(4))
        ));
        assert!(matches!(
            L1Source::block(&source, 4).await,
            Err(SourceError::NotYet(4))
        ));

        // Another block at this height: after a reorg, the one that the caller knows is gone.
        let mut other = source.header(1).await.unwrap().into_inner();
        other.gas_used += 1;
        let receipts = source.receipts(&Sealed::new(other)).await;
        assert!(
            matches!(receipts, Err(SourceError::NotHeld(1))),
            "{receipts:?}"
        );

        // The receipts are those of the hash, and the header says another root.
        let mut header = source.header(1).await.unwrap();
        header = Sealed::new_unchecked(
            alloy_consensus::Header {
                receipts_root: b256!(
                    "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
                ),
                ..header.inner().clone()
            },
            header.seal(),
        );
        let receipts = source.receipts(&header).await;
        assert!(
            matches!(
                receipts,
                Err(SourceError::Malformed {
                    field: "receipts",
                    ..
                })
            ),
            "{receipts:?}"
        );
    }
}
