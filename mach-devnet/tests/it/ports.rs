//! The chains as sources of mach, and how settled their blocks are.

use alloy_network::AnyNetwork;
use alloy_primitives::{B256, Bytes};
use alloy_provider::Provider;
use alloy_trie::root::ordered_trie_root_encoded;
use mach_core::{
    Verdict,
    ports::{BlockValidator, L1Head, L1Source, L2Head, L2Source, SourceError},
};
use mach_devnet::{DEV_ACCOUNTS, Devnet, Lie, Settling};
use mach_verify::source::{ProposalValidator, StatelessValidator, WitnessSource};

#[tokio::test]
async fn a_rollup_is_verified_from_its_handle_alone() {
    let devnet = Devnet::new().unwrap();
    devnet.sequencer().produce().unwrap();
    devnet.sequencer().lie_next(Lie::OutputRoot);
    devnet.sequencer().produce().unwrap();
    let chain = devnet.l2();
    let spec = chain.role().spec().clone();
    let validator =
        ProposalValidator::new(StatelessValidator::new(spec, chain.clone()), chain.clone());
    let source: &dyn L2Source = chain;
    assert_eq!(source.head(L2Head::Unsafe).await.unwrap().number, 2);
    for (number, fault) in [(1, None), (2, Some("outputRoot"))] {
        let block = source.block(number).await.unwrap();
        let verdict = validator.validate(&block).await.unwrap();
        let found = match &verdict {
            Verdict::Invalid(fault) => Some(fault.name()),
            Verdict::Valid(_) => None,
        };
        assert_eq!(found, fault);
    }
    let error = source.block(3).await.unwrap_err();
    assert!(matches!(error, SourceError::NotYet(3)));
    let block = source.block(2).await.unwrap();
    devnet.sequencer().reorg(1).unwrap();
    let error = chain.witness(&block).await.unwrap_err();
    assert!(matches!(error, SourceError::NotHeld(2)));
}

#[tokio::test]
async fn l1_blocks_prove_their_receipts() {
    let devnet = Devnet::new().unwrap();
    let provider = devnet.l1().signing_provider(&DEV_ACCOUNTS[0]);
    let transfer = alloy_rpc_types_eth::TransactionRequest::default().to(DEV_ACCOUNTS[1].address);
    let _ = provider.send_transaction(transfer).await.unwrap();
    let l1: &dyn L1Source = devnet.l1();
    let header = l1.header(1).await.unwrap();
    let block = l1.block(1).await.unwrap();
    assert_eq!(block.header, header);
    assert_eq!(
        ordered_trie_root_encoded(&block.transactions),
        header.transactions_root
    );
    let receipts = l1.receipts(&header).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(ordered_trie_root_encoded(&receipts), header.receipts_root);
    // The same bytes over the RPC.
    let raw: Vec<Bytes> = provider
        .raw_request("debug_getRawReceipts".into(), ("0x1",))
        .await
        .unwrap();
    assert_eq!(raw, receipts);
    devnet.l1().rewind(0).unwrap();
    devnet.l1().mine().unwrap();
    let error = l1.receipts(&header).await;
    assert!(error.is_ok(), "the same steps give the same block");
    devnet.l1().rewind(0).unwrap();
    devnet.l1().increase_time(1);
    devnet.l1().mine().unwrap();
    let error = l1.receipts(&header).await.unwrap_err();
    assert!(matches!(error, SourceError::NotHeld(1)));
}

#[tokio::test]
async fn safe_and_final_blocks_are_where_they_are_set() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..9 {
        devnet.sequencer().produce_quiet().unwrap();
        devnet.l1().mine().unwrap();
    }
    devnet.l1().set_settling(Settling::Behind {
        safe: 2,
        finalized: 4,
    });
    devnet.l2().set_settling(Settling::At {
        safe: 6,
        finalized: 3,
    });
    let l1: &dyn L1Source = devnet.l1();
    for (head, number) in [
        (L1Head::Latest, 9),
        (L1Head::Safe, 7),
        (L1Head::Finalized, 5),
    ] {
        assert_eq!(l1.head(head).await.unwrap().number, number);
    }
    let l2: &dyn L2Source = devnet.l2();
    for (head, number) in [
        (L2Head::Unsafe, 9),
        (L2Head::Safe, 6),
        (L2Head::Finalized, 3),
    ] {
        let head = l2.head(head).await.unwrap();
        assert_eq!(head.number, number);
        assert_eq!(Some(head.hash), devnet.l2().block_hash(number));
    }
    // Over the RPC too, in both of its forms.
    let provider = devnet.l2().provider::<AnyNetwork>();
    let status: serde_json::Value = provider
        .raw_request("optimism_syncStatus".into(), ())
        .await
        .unwrap();
    for (tag, field, number) in [
        ("latest", "unsafe_l2", 9),
        ("safe", "safe_l2", 6),
        ("finalized", "finalized_l2", 3),
    ] {
        let block = provider
            .get_block(tag.parse::<alloy_eips::BlockNumberOrTag>().unwrap().into())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(block.header.number, number);
        assert_eq!(status[field]["number"], number);
    }
}

#[tokio::test]
async fn a_reorg_gives_other_blocks_that_verify() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..6 {
        devnet.step().unwrap();
    }
    let hash = |number: u64| devnet.l2().block_hash(number).unwrap();
    let hashes = || -> Vec<B256> { (1..=6).map(hash).collect() };
    let before = hashes();
    assert_eq!(devnet.sequencer().reorg(2).unwrap(), 6);
    let after = hashes();
    assert_eq!(before[..4], after[..4]);
    assert_ne!(before[4], after[4]);
    assert_ne!(before[5], after[5]);
    for number in 1..=6 {
        let verdict = super::verify(devnet.l2(), devnet.l2().role().spec(), number).await;
        assert!(matches!(verdict, Ok(Verdict::Valid(_))), "block {number}");
    }
}
