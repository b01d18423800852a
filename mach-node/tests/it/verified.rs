//! A verifier that goes on where the process before it stopped.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_consensus::Header;
use async_trait::async_trait;
use mach_core::{
    Alert, Assurance, Attestation, BlockRef, ExecutionSummary, L2Block, Verdict,
    ports::{AlertSink, BlockValidator, L2Head, L2Source, SinkError, SourceError, ValidateError},
};
use mach_node::{
    ResumeError, VerifiedBlocks, Verifier, VerifierConfig,
    store::{RedbStore, Store},
};
use tokio_util::sync::CancellationToken;

use crate::ports::{RETRY, ROLLUP, until};

/// A chain that finds its blocks valid, and notes what is attested. Clones are the same.
#[derive(Clone, Default)]
struct Chain(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    blocks: Vec<L2Block>,
    finalized: Option<u64>,
    attested: Vec<u64>,
    /// Attestations of this block and of those behind it are not taken.
    deaf_from: Option<u64>,
}

/// Blocks 0 to `last`, from `fork` on those of `branch`.
fn blocks(last: u64, fork: u64, branch: u8) -> Vec<L2Block> {
    let mut blocks: Vec<L2Block> = Vec::new();
    for number in 0..=last {
        let header = Header {
            number,
            parent_hash: blocks.last().map(L2Block::hash).unwrap_or_default(),
            extra_data: if number < fork { vec![] } else { vec![branch] }.into(),
            ..Default::default()
        };
        blocks.push(L2Block::new(ROLLUP, header, Vec::new()));
    }
    blocks
}

impl Chain {
    fn new(last: u64) -> Self {
        let chain = Self::default();
        chain.lock().blocks = blocks(last, u64::MAX, 0);
        chain
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn take_attested(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().attested)
    }
}

#[async_trait]
impl L2Source for Chain {
    fn chain_id(&self) -> u64 {
        ROLLUP
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let state = self.lock();
        let number = match head {
            L2Head::Finalized => state.finalized.ok_or(SourceError::NotHeld(0))? as usize,
            _ => state.blocks.len() - 1,
        };
        Ok(state.blocks[number].reference())
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        let state = self.lock();
        let block = state.blocks.get(number as usize).cloned();
        block.ok_or(SourceError::NotYet(number))
    }
}

#[async_trait]
impl BlockValidator for Chain {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        Ok(Verdict::Valid(ExecutionSummary {
            block: block.reference(),
            gas_used: 0,
            transactions: 0,
            state_root: Default::default(),
            output_root: None,
            assurance: Assurance::Executed,
        }))
    }
}

#[async_trait]
impl AlertSink for Chain {
    async fn raise(&self, _alert: &Alert) -> Result<(), SinkError> {
        unreachable!("every block is valid")
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        let mut state = self.lock();
        let number = attestation.block.number;
        if state.deaf_from.is_some_and(|deaf| number >= deaf) {
            return Err(SinkError::Backend("no answer".into()));
        }
        state.attested.push(number);
        Ok(())
    }
}

/// One process: from where the one before stopped up to the head.
async fn run(store: &(impl Store + Clone + 'static), chain: &Chain, start: u64) -> Vec<u64> {
    let verified = VerifiedBlocks::new(store.clone(), ROLLUP, Some(start));
    let trusted = verified.resume(chain).await.unwrap();
    let config = VerifierConfig {
        poll_interval: Duration::from_millis(1),
        retry: RETRY,
        ..VerifierConfig::new(start)
    };
    let verifier = Verifier::new(chain.clone(), chain.clone(), chain.clone(), config);
    let verifier = verifier.behind(trusted);
    let status = verifier.status();
    let shutdown = CancellationToken::new();
    let (ended, watched) = (shutdown.clone(), status.clone());
    let running = tokio::spawn(async move {
        verifier.run(ended).await;
        drop(verifier);
    });
    let keeping = tokio::spawn(async move { verified.keep(status).await });
    let head = chain.lock().blocks.len() as u64;
    until(|| watched.borrow().next == head).await;
    drop(watched);
    shutdown.cancel();
    running.await.unwrap();
    keeping.await.unwrap();
    chain.take_attested()
}

fn store() -> (RedbStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("verifier.redb")).unwrap();
    (store, folder)
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[tokio::test]
async fn a_verifier_goes_on_where_it_stopped() {
    let (store, folder) = store();
    let chain = Chain::new(20);
    assert_eq!(run(&store, &chain, 5).await, range(5, 20));
    drop(store);
    let path = folder.path().join("verifier.redb");
    let store = RedbStore::open(path).unwrap();
    chain.lock().blocks = blocks(150, u64::MAX, 0);
    // In order, and nothing twice.
    assert_eq!(run(&store, &chain, 5).await, range(21, 150));
    assert!(run(&store, &chain, 5).await.is_empty());
    // Who says where to begin is obeyed.
    assert_eq!(run(&store, &chain, 140).await, range(140, 150));
}

#[tokio::test]
async fn what_was_not_delivered_is_found_again() {
    let (store, _folder) = store();
    let chain = Chain::new(20);
    chain.lock().deaf_from = Some(12);
    assert_eq!(run(&store, &chain, 1).await, range(1, 11));
    chain.lock().deaf_from = None;
    assert_eq!(run(&store, &chain, 1).await, range(12, 20));
}

#[tokio::test]
async fn a_reorg_while_nobody_looked_is_gone_along_with() {
    let (store, _folder) = store();
    let chain = Chain::new(20);
    run(&store, &chain, 1).await;
    chain.lock().blocks = blocks(30, 18, 1);
    let attested = run(&store, &chain, 1).await;
    // From a remembered block that both branches have, at the latest the fork.
    assert!(attested[0] <= 18, "{attested:?}");
    assert_eq!(attested, range(attested[0], 30));
}

#[tokio::test]
async fn a_verifier_that_begins_behind_a_block_survives_its_reorg() {
    let (store, _folder) = store();
    let chain = Chain::new(20);
    run(&store, &chain, 1).await;
    let verified = VerifiedBlocks::new(&store, ROLLUP, Some(1));
    let trusted = verified.resume(&chain).await.unwrap();
    assert_eq!(trusted.last().unwrap().number(), 20);
    assert!(
        trusted
            .windows(2)
            .all(|pair| pair[1].header.parent_hash == pair[0].hash())
    );
    // The block that it begins behind goes away before the first look.
    chain.lock().blocks = blocks(25, 15, 1);
    let config = VerifierConfig {
        poll_interval: Duration::from_millis(1),
        retry: RETRY,
        ..VerifierConfig::new(1)
    };
    let verifier = Verifier::new(chain.clone(), chain.clone(), chain.clone(), config);
    let verifier = Arc::new(verifier.behind(trusted));
    let (status, shutdown) = (verifier.status(), CancellationToken::new());
    let (running, ended) = (Arc::clone(&verifier), shutdown.clone());
    let running = tokio::spawn(async move { running.run(ended).await });
    until(|| status.borrow().verified.is_some_and(|it| it.number == 25)).await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(chain.take_attested(), range(15, 25));
    assert_eq!(status.borrow().broken, None);
}

#[tokio::test]
async fn when_all_is_gone_what_was_final_counts() {
    let (store, _folder) = store();
    let chain = Chain::new(200);
    chain.lock().finalized = Some(3);
    run(&store, &chain, 1).await;
    chain.lock().blocks = blocks(210, 4, 1);
    let attested = run(&store, &chain, 1).await;
    assert_eq!(attested, range(4, 210));
}

#[tokio::test]
async fn without_anything_final_a_human_has_to_look() {
    let (store, _folder) = store();
    let chain = Chain::new(200);
    run(&store, &chain, 1).await;
    chain.lock().blocks = blocks(210, 0, 1);
    let verified = VerifiedBlocks::new(&store, ROLLUP, Some(1));
    let error = verified.resume(&chain).await.unwrap_err();
    assert!(
        matches!(error, ResumeError::Lost(block) if block.number == 200),
        "{error}"
    );
    assert!(!error.is_transient());
}
