//! The development network: its batcher posts what its sequencer makes.

use std::sync::Arc;

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_signer::SignerSync;
use mach_core::{
    Assurance, Fault, L2Block, Verdict,
    ports::{BlockValidator, L1Head, ValidateError},
};
use mach_devnet::{
    BatchKind, BatcherConfig, Chain, Compression, DEV_ACCOUNTS, DataAvailability, Devnet,
    DevnetConfig, Ethereum, Lie, Optimism, OptimismFork, UserDeposit,
};
use mach_verify::{
    Bundle, EvidenceFolder, EvidenceValidator, WitnessMemory,
    derive::{DerivationEvidence, DerivationValidator, DeriveError, Driver, DriverError, Finding},
    source::{RpcSource, StatelessValidator},
};

type DevnetDriver = Driver<Chain<Ethereum>, Chain<Ethereum>, Chain<Optimism>>;

fn driver(devnet: &Devnet) -> DevnetDriver {
    let start = devnet.l2().l2_block(0).unwrap();
    let (l1, l2) = (devnet.l1().clone(), devnet.l2().clone());
    Driver::new(devnet.rollup().clone(), &start, l1.clone(), l1, l2)
        .unwrap()
        .with_head(L1Head::Latest)
}

/// Compares every block up to the first fault, or to the first that is not posted.
async fn follow(driver: &mut DevnetDriver) -> (u64, Option<Fault>) {
    loop {
        match driver.next().await {
            Ok((_, Finding::Derived(_))) => {}
            Ok((block, Finding::NotDerivable(fault))) => return (block.number(), Some(fault)),
            Err(error) if error.is_not_yet() => {
                return (driver.derivation().head().number, None);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn config(fork: OptimismFork) -> DevnetConfig {
    DevnetConfig {
        l2_fork: fork,
        ..Default::default()
    }
}

#[tokio::test]
async fn the_devnet_follows_from_its_l1_under_every_fork() {
    for fork in OptimismFork::ALL {
        let devnet = config(fork).build().unwrap();
        let deposit = UserDeposit {
            from: DEV_ACCOUNTS[4],
            to: alloy_primitives::TxKind::Call([0x44; 20].into()),
            mint: 70,
            value: alloy_primitives::U256::from(50),
            gas_limit: 60_000,
            data: Default::default(),
        };
        for step in 0..26 {
            if step % 9 == 4 {
                devnet.sequencer().deposit(deposit.clone()).unwrap();
            }
            devnet.step().unwrap();
        }
        devnet.publish().unwrap();
        devnet.l1().mine().unwrap();
        let result = follow(&mut driver(&devnet)).await;
        assert_eq!(result, (26, None), "{fork:?}");
    }
}

#[tokio::test]
async fn every_form_of_batches_gives_the_same_blocks() {
    for data in [DataAvailability::Calldata, DataAvailability::Blobs] {
        for batches in [BatchKind::Singular, BatchKind::Span] {
            for compression in [Compression::Zlib, Compression::Brotli] {
                let devnet = Devnet::new().unwrap();
                devnet.batcher().set_config(Some(BatcherConfig {
                    data,
                    batches,
                    compression,
                    channel_blocks: 5,
                    frame_bytes: 300,
                    transaction_frames: 3,
                }));
                for _ in 0..20 {
                    devnet.step().unwrap();
                }
                devnet.publish().unwrap();
                devnet.l1().mine().unwrap();
                let result = follow(&mut driver(&devnet)).await;
                let case = (data, batches, compression);
                assert_eq!(result, (20, None), "{case:?}");
            }
        }
    }
}

/// Forks that come without deposits that upgrade contracts.
#[tokio::test]
async fn forks_activate_on_the_way() {
    use OptimismFork::*;
    for (first, later) in [
        (Bedrock, [Regolith, Canyon, Delta].as_slice()),
        (Fjord, &[Granite, Holocene]),
    ] {
        let upgrades = later.iter().zip(1..).map(|(fork, n)| (*fork, 10 * n));
        let config = DevnetConfig {
            l2_upgrades: upgrades.collect(),
            ..config(first)
        };
        let devnet = config.build().unwrap();
        for _ in 0..26 {
            devnet.step().unwrap();
        }
        devnet.publish().unwrap();
        devnet.l1().mine().unwrap();
        let last = devnet.l2().l2_block(26).unwrap().header.timestamp;
        let active = devnet.l2().role().forks().active(last);
        assert_eq!(active, *later.last().unwrap());
        let result = follow(&mut driver(&devnet)).await;
        assert_eq!(result, (26, None), "{first:?}");
    }
}

#[tokio::test]
async fn a_batcher_that_lies_is_found_out() {
    for lie in [Lie::BatchDropped, Lie::BatchAltered, Lie::BatchReordered] {
        let devnet = Devnet::new().unwrap();
        for _ in 0..6 {
            devnet.step().unwrap();
        }
        // Traffic, so that there is something to leave out or to exchange.
        devnet.sequencer().lie_next(lie);
        devnet.step().unwrap();
        let lying = devnet.l2().head();
        for _ in 0..8 {
            devnet.step().unwrap();
        }
        devnet.publish().unwrap();
        devnet.l1().mine().unwrap();
        let (number, fault) = follow(&mut driver(&devnet)).await;
        assert_eq!(number, lying, "{lie:?}");
        assert!(
            matches!(fault, Some(Fault::BatchTransactions { index: 1.., .. })),
            "{lie:?}: {fault:?}"
        );
    }
}

#[tokio::test]
async fn a_sequencer_that_publishes_something_else_is_found_out() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..8 {
        devnet.step().unwrap();
    }
    devnet.publish().unwrap();
    devnet.l1().mine().unwrap();
    // What was posted is on L1; the sequencer makes its last blocks again, with other traffic.
    devnet.sequencer().reorg(3).unwrap();
    let (number, fault) = follow(&mut driver(&devnet)).await;
    assert!((5..=8).contains(&number), "{number}");
    assert!(fault.is_some());
}

#[tokio::test]
async fn a_derived_block_says_so_in_its_verdict() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..8 {
        devnet.step().unwrap();
    }
    devnet.publish().unwrap();
    devnet.l1().mine().unwrap();
    let spec = devnet.rollup().l2.clone();
    let inner = StatelessValidator::new(spec, devnet.l2().clone());
    let validator = DerivationValidator::new(inner, driver(&devnet));
    for number in 1..=8 {
        let block = devnet.l2().l2_block(number).unwrap();
        let Verdict::Valid(summary) = validator.validate(&block).await.unwrap() else {
            panic!("block {number} is not valid");
        };
        assert_eq!(summary.assurance, Assurance::Derived);
    }
    // What was derived stays so, whoever asks again.
    for number in [8, 3] {
        let block = devnet.l2().l2_block(number).unwrap();
        let verdict = validator.validate(&block).await.unwrap();
        assert!(
            matches!(verdict, Verdict::Valid(summary) if summary.assurance == Assurance::Derived)
        );
    }
    // A block that waits to be posted is not judged.
    devnet.sequencer().produce().unwrap();
    let block = devnet.l2().l2_block(9).unwrap();
    let error = validator.validate(&block).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

/// Whoever asks gives up on a block that the batcher leaves out for long, and asks for later ones.
#[tokio::test]
async fn a_validator_derives_what_was_skipped() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..4 {
        devnet.step().unwrap();
    }
    let spec = devnet.rollup().l2.clone();
    let inner = StatelessValidator::new(spec, devnet.l2().clone());
    let validator = DerivationValidator::new(inner, driver(&devnet));
    // Neither is posted.
    for number in [3, 4] {
        let block = devnet.l2().l2_block(number).unwrap();
        let error = validator.validate(&block).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    devnet.publish().unwrap();
    devnet.l1().mine().unwrap();
    let block = devnet.l2().l2_block(4).unwrap();
    let verdict = validator.validate(&block).await.unwrap();
    assert!(matches!(verdict, Verdict::Valid(summary) if summary.assurance == Assurance::Derived));

    // Nothing is said of what lies behind a block that does not follow from L1.
    devnet.sequencer().lie_next(Lie::BatchDropped);
    devnet.step().unwrap();
    for _ in 0..4 {
        devnet.step().unwrap();
    }
    devnet.publish().unwrap();
    devnet.l1().mine().unwrap();
    let block = devnet.l2().l2_block(devnet.l2().head()).unwrap();
    let error = validator.validate(&block).await.unwrap_err();
    assert!(
        matches!(error, ValidateError::Incomplete { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_l1_that_is_reorganised_is_followed_again() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..30 {
        devnet.step().unwrap();
    }
    let mut driver = driver(&devnet);
    assert_eq!(follow(&mut driver).await, (30, None));
    devnet.reorg_l1(2).unwrap();
    for _ in 0..13 {
        devnet.step().unwrap();
    }
    let error = driver.next().await.unwrap_err();
    let is_reorg = matches!(
        error,
        DriverError::Derive(DeriveError::L1Reorg { .. } | DeriveError::WrongParent { .. })
    );
    assert!(is_reorg, "{error:?}");
    let start = devnet.l2().l2_block(20).unwrap();
    driver.restart(&start).unwrap();
    let (number, fault) = follow(&mut driver).await;
    assert_eq!(fault, None);
    assert!(number >= 36, "{number}");
}

#[tokio::test]
async fn a_validator_begins_again_after_a_reorganisation() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..30 {
        devnet.step().unwrap();
    }
    let spec = devnet.rollup().l2.clone();
    let inner = StatelessValidator::new(spec, devnet.l2().clone());
    let validator = DerivationValidator::new(inner, driver(&devnet));
    for number in 1..=30 {
        let block = devnet.l2().l2_block(number).unwrap();
        assert_eq!(validator.validate(&block).await.unwrap().fault(), None);
    }
    devnet.reorg_l1(2).unwrap();
    for _ in 0..13 {
        devnet.step().unwrap();
    }
    // It says that it does not know, and goes back by itself.
    let mut errors = 0;
    for number in 31..=36 {
        let block = devnet.l2().l2_block(number).unwrap();
        let verdict = loop {
            match validator.validate(&block).await {
                Ok(verdict) => break verdict,
                Err(error) => {
                    let is_incomplete = matches!(error, ValidateError::Incomplete { .. });
                    assert!(is_incomplete && errors < 2, "{number}: {error:?}");
                    errors += 1;
                }
            }
        };
        let is_derived =
            |summary: &mach_core::ExecutionSummary| summary.assurance == Assurance::Derived;
        assert!(
            matches!(&verdict, Verdict::Valid(summary) if is_derived(summary)),
            "{number}: {verdict:?}"
        );
    }
    assert!(errors > 0);
    // Or where it is told.
    let start = devnet.l2().l2_block(20).unwrap();
    validator.restart(&start).await.unwrap();
    for number in 21..=36 {
        let block = devnet.l2().l2_block(number).unwrap();
        assert_eq!(
            validator.validate(&block).await.unwrap().fault(),
            None,
            "{number}"
        );
    }
}

#[tokio::test]
async fn a_lie_about_batches_leaves_evidence() {
    for lie in [Lie::BatchDropped, Lie::BatchAltered, Lie::BatchReordered] {
        let devnet = Devnet::new().unwrap();
        devnet.sequencer().lie_next(lie);
        devnet.step().unwrap();
        for _ in 0..8 {
            devnet.step().unwrap();
        }
        devnet.publish().unwrap();
        devnet.l1().mine().unwrap();
        let lying = (1..=devnet.l2().head())
            .map(|number| devnet.l2().l2_block(number).unwrap())
            .find(|block| block.transactions.len() > 1)
            .unwrap();
        let spec = devnet.rollup().l2.clone();
        let memory = Arc::new(WitnessMemory::new(devnet.l2().clone()));
        let inner = StatelessValidator::new(spec.clone(), Arc::clone(&memory));
        let validator = Arc::new(DerivationValidator::new(inner, driver(&devnet)));
        let folder = tempfile::tempdir().unwrap();
        let keeping = EvidenceValidator::new(
            spec,
            Arc::clone(&validator),
            memory,
            EvidenceFolder::new(folder.path()),
        );
        let keeping = keeping.with_derivation(validator);
        let mut verdict = None;
        for number in 1..=lying.number() {
            let block = devnet.l2().l2_block(number).unwrap();
            verdict = Some(keeping.validate(&block).await.unwrap());
        }
        let Some(Verdict::Invalid(fault)) = verdict else {
            panic!("{lie:?}: {verdict:?}");
        };
        // The bundle is written beside.
        keeping.pending().finished().await;
        let file = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "gz"));
        let evidence = DerivationEvidence::read(file.unwrap()).unwrap();
        assert_eq!(evidence.block().reference(), lying.reference());
        assert_eq!(evidence.replay().unwrap(), fault, "{lie:?}");
    }
}

/// A batch that nobody published is executed on the state that proofs show.
#[tokio::test]
async fn what_is_on_no_chain_is_executed_from_proofs() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..4 {
        devnet.step().unwrap();
    }
    devnet.sequencer().produce_quiet().unwrap();
    let number = devnet.l2().head();
    let published = devnet.l2().l2_block(number).unwrap();
    let local = ([127, 0, 0, 1], 0).into();
    let servers = devnet.serve(local, local).await.unwrap();
    let spec = devnet.rollup().l2.clone();
    let source = RpcSource::connect(servers.l2.http_url().parse().unwrap())
        .await
        .unwrap()
        .with_proofs_only(spec.clone());
    let executor = StatelessValidator::new(spec, source);
    // A transfer with the nonce that comes next, and with others.
    let next = devnet.l2().pending_nonce(DEV_ACCOUNTS[9].address).unwrap();
    for (nonce, is_possible) in [(next, true), (next + 1, false), (next - 1, false)] {
        let transaction = TxEip1559 {
            chain_id: devnet.rollup().config.l2_chain_id,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 100_000_000_000,
            to: alloy_primitives::TxKind::Call([0x55; 20].into()),
            value: alloy_primitives::U256::from(1),
            ..Default::default()
        };
        let hash = transaction.signature_hash();
        let signature = DEV_ACCOUNTS[9].signer().sign_hash_sync(&hash).unwrap();
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        let mut transactions = published.transactions.clone();
        transactions.push(envelope.encoded_2718().into());
        let header = Header {
            transactions_root: super::world::root(&transactions),
            ..published.header.inner().clone()
        };
        let candidate = L2Block::new(published.chain_id, header, transactions);
        let verdict = executor.validate(&candidate).await.unwrap();
        let fault = verdict.fault().unwrap();
        let index = published.transactions.len() as u64;
        let is_impossible = matches!(fault, Fault::Transaction { index: at, .. } if *at == index);
        assert_eq!(is_impossible, !is_possible, "{nonce}: {fault}");
    }
}
