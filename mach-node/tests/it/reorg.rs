//! A verifier whose source goes from branch to branch.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::B256;
use async_trait::async_trait;
use mach_core::{
    Alert, Assurance, Attestation, BlockRef, ExecutionSummary, Fault, L2Block, Mismatch, Verdict,
    ports::{AlertSink, BlockValidator, L2Head, L2Source, SinkError, SourceError, ValidateError},
};
use mach_node::{Reorg, Verifier, VerifierConfig, VerifierStatus};
use tokio_util::sync::CancellationToken;

use crate::ports::{RETRY, ROLLUP, until};

/// Block `number` of a branch that consists of parts: `(0, 'a'), (5, 'b')` is block 1 to 4 of `a` and
/// from there on those of `b`.
fn branch(parts: &[(u64, char)], last: u64) -> Vec<L2Block> {
    let mut blocks: Vec<L2Block> = Vec::new();
    for number in 0..=last {
        let part = parts.iter().rev().find(|(from, _)| *from <= number);
        let header = Header {
            number,
            parent_hash: blocks.last().map(L2Block::hash).unwrap_or_default(),
            extra_data: part
                .map(|(_, name)| name.to_string().into_bytes().into())
                .unwrap_or_default(),
            ..Default::default()
        };
        blocks.push(L2Block::new(ROLLUP, header, Vec::new()));
    }
    blocks
}

/// What the node gives, and what is wrong with it.
#[derive(Clone, Default)]
struct Rollup(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    blocks: Vec<L2Block>,
    finalized: Option<u64>,
    /// After a block at this height was given, these are.
    later: Option<(u64, Vec<L2Block>)>,
    invalid: BTreeSet<B256>,
    asked: Vec<u64>,
    attested: Vec<String>,
    accused: Vec<String>,
}

impl Rollup {
    fn new(blocks: Vec<L2Block>) -> Self {
        let rollup = Self::default();
        rollup.set(blocks);
        rollup
    }

    fn set(&self, blocks: Vec<L2Block>) {
        self.0.lock().unwrap().blocks = blocks;
    }

    fn name(&self, block: BlockRef) -> String {
        // Branches share no hashes, so a block's branch is in the names that were ever given.
        let names = ['a', 'b', 'c', 'd'];
        let state = self.0.lock().unwrap();
        let header = state.blocks.iter().find(|it| it.hash() == block.hash);
        let name = header.map_or_else(String::new, |it| {
            String::from_utf8(it.header.extra_data.to_vec()).unwrap()
        });
        assert!(name.is_empty() || names.iter().any(|it| name == it.to_string()));
        format!("{}{name}", block.number)
    }

    fn attested(&self) -> Vec<String> {
        self.0.lock().unwrap().attested.clone()
    }

    fn accused(&self) -> Vec<String> {
        self.0.lock().unwrap().accused.clone()
    }
}

#[async_trait]
impl L2Source for Rollup {
    fn chain_id(&self) -> u64 {
        ROLLUP
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let state = self.0.lock().unwrap();
        let block = match (head, state.finalized) {
            (L2Head::Finalized, None) => return Err(SourceError::NotYet(0)),
            (L2Head::Finalized, Some(number)) => &state.blocks[number as usize],
            _ => state.blocks.last().unwrap(),
        };
        Ok(block.reference())
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        let mut state = self.0.lock().unwrap();
        state.asked.push(number);
        let block = state.blocks.get(number as usize).cloned();
        if let Some((_, later)) = state.later.take_if(|(height, _)| *height == number) {
            state.blocks = later;
        }
        block.ok_or(SourceError::NotYet(number))
    }
}

#[async_trait]
impl BlockValidator for Rollup {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        if self.0.lock().unwrap().invalid.contains(&block.hash()) {
            let mismatch = Mismatch {
                claimed: 1,
                computed: 2,
            };
            return Ok(Verdict::Invalid(Fault::GasUsed(mismatch)));
        }
        Ok(Verdict::Valid(ExecutionSummary {
            block: block.reference(),
            gas_used: 21_000,
            transactions: 1,
            state_root: B256::repeat_byte(1),
            output_root: None,
            assurance: Assurance::Executed,
        }))
    }
}

#[async_trait]
impl AlertSink for Rollup {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        let name = self.name(alert.block);
        self.0.lock().unwrap().accused.push(name);
        Ok(())
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        let name = self.name(attestation.block);
        self.0.lock().unwrap().attested.push(name);
        Ok(())
    }
}

struct Running {
    rollup: Rollup,
    status: tokio::sync::watch::Receiver<VerifierStatus>,
    shutdown: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Running {
    fn start(rollup: &Rollup, start: u64, max_reorg: usize) -> Self {
        let config = VerifierConfig {
            retry: RETRY,
            max_reorg,
            ..VerifierConfig::new(start)
        };
        let (source, validator, sink) = (rollup.clone(), rollup.clone(), rollup.clone());
        let verifier = Verifier::new(source, validator, sink, config);
        let status = verifier.status();
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        tokio::spawn(async move { verifier.run(token).await });
        Self {
            rollup: rollup.clone(),
            status,
            shutdown,
        }
    }

    /// Waits until the node's newest block is the last with a verdict, and its outcome is told.
    async fn catch_up(&self) -> VerifierStatus {
        let newest = self
            .rollup
            .0
            .lock()
            .unwrap()
            .blocks
            .last()
            .unwrap()
            .reference();
        until(|| self.status.borrow().last == Some(newest)).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.status.borrow().clone()
    }
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn the_new_branch_is_verified_from_the_fork_on() {
    let rollup = Rollup::new(branch(&[(0, 'a')], 6));
    let verifier = Running::start(&rollup, 1, 100);
    let old = verifier.catch_up().await;
    assert_eq!((old.next, old.reorgs, old.last_reorg), (7, 0, None));

    rollup.set(branch(&[(0, 'a'), (4, 'b')], 8));
    let status = verifier.catch_up().await;
    assert_eq!(rollup.attested(), names("1a 2a 3a 4a 5a 6a 4b 5b 6b 7b 8b"));
    assert_eq!((status.next, status.valid, status.unlinked), (9, 11, 0));
    let reorg = Reorg {
        left: old.last.unwrap(),
        fork: Some(3),
    };
    assert_eq!((status.reorgs, status.last_reorg), (1, Some(reorg)));
    assert_eq!((status.broken, status.undecided_count), (None, 0));
    assert!(rollup.accused().is_empty());
}

/// The other branch may be shorter, or as long: nothing has to come after it.
#[tokio::test(start_paused = true)]
async fn a_branch_that_is_not_longer_is_noticed() {
    for last in [5, 6] {
        let rollup = Rollup::new(branch(&[(0, 'a')], 6));
        let verifier = Running::start(&rollup, 1, 100);
        verifier.catch_up().await;
        rollup.set(branch(&[(0, 'a'), (4, 'b')], last));
        let status = verifier.catch_up().await;
        assert_eq!((status.next, status.reorgs), (last + 1, 1));
        let attested = rollup.attested();
        assert_eq!(attested[6..], names("4b 5b 6b")[..last as usize - 3]);
    }
}

/// A node that lags gives an older head of the same branch.
#[tokio::test(start_paused = true)]
async fn a_head_that_goes_back_is_no_reorg() {
    let whole = branch(&[(0, 'a')], 6);
    let rollup = Rollup::new(whole.clone());
    let verifier = Running::start(&rollup, 1, 100);
    verifier.catch_up().await;
    rollup.set(whole[..4].to_vec());
    tokio::time::sleep(Duration::from_secs(30)).await;
    rollup.set(branch(&[(0, 'a')], 7));
    let status = verifier.catch_up().await;
    assert_eq!((status.next, status.valid, status.reorgs), (8, 7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_jumps_back_and_forth_is_followed_each_time() {
    let rollup = Rollup::new(branch(&[(0, 'a')], 5));
    let verifier = Running::start(&rollup, 1, 100);
    verifier.catch_up().await;
    for (reorgs, (parts, last)) in [
        (&[(0, 'a'), (3, 'b')][..], 6),
        (&[(0, 'a')], 7),
        (&[(0, 'a'), (3, 'b')], 8),
        (&[(0, 'a'), (3, 'b'), (7, 'c')], 9),
    ]
    .into_iter()
    .enumerate()
    {
        rollup.set(branch(parts, last));
        let status = verifier.catch_up().await;
        assert_eq!((status.next, status.reorgs), (last + 1, reorgs as u64 + 1));
        assert_eq!((status.broken, status.unlinked), (None, 0));
    }
    let expected = "1a 2a 3a 4a 5a 3b 4b 5b 6b 3a 4a 5a 6a 7a 3b 4b 5b 6b 7b 8b 7c 8c 9c";
    assert_eq!(rollup.attested(), names(expected));
}

/// What stands on an invalid block is not vouched for; what stands beside it is.
#[tokio::test(start_paused = true)]
async fn a_reorg_away_from_an_invalid_block_is_attested_again() {
    let bad = branch(&[(0, 'a')], 6);
    let rollup = Rollup::new(bad.clone());
    rollup.0.lock().unwrap().invalid.insert(bad[4].hash());
    let verifier = Running::start(&rollup, 1, 100);
    let status = verifier.catch_up().await;
    assert_eq!((status.invalid, status.unlinked), (1, 2));
    assert_eq!(rollup.attested(), names("1a 2a 3a"));

    // Above the invalid block: still on it.
    rollup.set(branch(&[(0, 'a'), (6, 'b')], 7));
    verifier.catch_up().await;
    assert_eq!(rollup.attested(), names("1a 2a 3a"));
    // Below it.
    rollup.set(branch(&[(0, 'a'), (4, 'c')], 8));
    let status = verifier.catch_up().await;
    assert_eq!(rollup.attested(), names("1a 2a 3a 4c 5c 6c 7c 8c"));
    assert_eq!(rollup.accused(), names("4a"));
    assert_eq!((status.reorgs, status.broken), (2, None));
}

/// Final blocks are gone; the blocks before the first one are others; the fork is too far back.
#[tokio::test(start_paused = true)]
async fn a_reorg_of_what_was_settled_stops_attesting_and_accuses_nobody() {
    for (start, max_reorg, finalized, fork) in [
        (1, 100, Some(4), Some(3)),
        (5, 100, None, None),
        (1, 2, None, None),
    ] {
        let rollup = Rollup::new(branch(&[(0, 'a')], 7));
        rollup.0.lock().unwrap().finalized = finalized;
        let verifier = Running::start(&rollup, start, max_reorg);
        let old = verifier.catch_up().await;
        assert_eq!(old.finalized.map(|it| it.number), finalized);
        let before = rollup.attested();
        assert_eq!(before.last().unwrap(), "7a");

        let other = branch(&[(0, 'a'), (4, 'b')], 9);
        rollup.0.lock().unwrap().invalid.insert(other[9].hash());
        rollup.set(other);
        let status = verifier.catch_up().await;
        let broken = status.broken.unwrap();
        assert_eq!((broken.left, broken.fork), (old.last.unwrap(), fork));
        assert_eq!(rollup.attested(), before);
        // A block that is invalid by itself is still one.
        assert_eq!(rollup.accused(), names("9b"));
        // Nothing heals that.
        rollup.set(branch(&[(0, 'a')], 12));
        assert_eq!(verifier.catch_up().await.broken, Some(broken));
        assert_eq!(rollup.attested(), before);
    }
}

/// The first block may be another one, if it stands on the same parent.
#[tokio::test(start_paused = true)]
async fn the_first_block_may_be_replaced_on_its_parent() {
    let rollup = Rollup::new(branch(&[(0, 'a')], 5));
    let verifier = Running::start(&rollup, 4, 100);
    verifier.catch_up().await;
    rollup.set(branch(&[(0, 'a'), (4, 'b')], 6));
    let status = verifier.catch_up().await;
    assert_eq!(rollup.attested(), names("4a 5a 4b 5b 6b"));
    assert_eq!(status.broken, None);
}

/// All blocks are given up for another branch, and that for one that has not even the trusted block.
#[tokio::test(start_paused = true)]
async fn after_a_reorg_of_all_blocks_the_parent_of_the_first_is_still_the_trusted_one() {
    let rollup = Rollup::new(branch(&[(0, 'a')], 6));
    let verifier = Running::start(&rollup, 4, 100);
    let old = verifier.catch_up().await;
    let third = branch(&[(0, 'a'), (3, 'c')], 8);
    // The first block that is not shared is the last that is asked for on the way back.
    rollup.0.lock().unwrap().later = Some((4, third));
    rollup.set(branch(&[(0, 'a'), (4, 'b')], 8));
    until(|| verifier.status.borrow().reorgs == 2).await;
    let status = verifier.catch_up().await;
    assert_eq!(rollup.attested(), names("4a 5a 6a"));
    let broken = status.broken.unwrap();
    assert_eq!((broken.left.number, broken.fork), (3, None));
    assert_eq!(status.unlinked, 5);
    assert!(old.broken.is_none() && rollup.accused().is_empty());
}

/// Above what is final everything may change.
#[tokio::test(start_paused = true)]
async fn a_reorg_down_to_the_final_block_is_none_of_it() {
    let rollup = Rollup::new(branch(&[(0, 'a')], 7));
    rollup.0.lock().unwrap().finalized = Some(3);
    let verifier = Running::start(&rollup, 1, 100);
    verifier.catch_up().await;
    rollup.set(branch(&[(0, 'a'), (4, 'b')], 8));
    let status = verifier.catch_up().await;
    assert_eq!((status.reorgs, status.broken), (1, None));
    assert_eq!(rollup.attested().last().unwrap(), "8b");
}

/// On the way back the verifier asks for each height once, and for none that it can name itself.
#[tokio::test(start_paused = true)]
async fn the_way_back_asks_for_no_block_that_is_shared() {
    let rollup = Rollup::new(branch(&[(0, 'a')], 50));
    let verifier = Running::start(&rollup, 1, 100);
    verifier.catch_up().await;
    rollup.0.lock().unwrap().asked.clear();
    rollup.set(branch(&[(0, 'a'), (48, 'b')], 51));
    verifier.catch_up().await;
    let asked = rollup.0.lock().unwrap().asked.clone();
    assert_eq!(asked, [51, 50, 49, 48, 48, 49, 50, 51]);
}
