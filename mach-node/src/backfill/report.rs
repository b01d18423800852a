//! What came of a range.

use std::collections::BTreeMap;

use alloy_primitives::{B256, BlockNumber, ChainId};
use futures::{StreamExt, stream};
use mach_core::{
    Assurance, BlockOutcome, BlockRef, BlockReport, Fault, UnitReport, WorkPlan,
    ports::{QueueError, WorkQueue},
};
use serde::{Deserialize, Serialize};

/// Most blocks, gaps or workers that each list of a report names. Of all blocks and gaps it has the
/// number; what workers behind these did is in its sums.
pub const MAX_LISTED: usize = 10_000;

/// Reports that are fetched from a queue at a time.
const FETCHED: usize = 32;

/// What came of a range of blocks, every block counted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackfillReport {
    /// EIP-155 id of the chain.
    pub chain_id: ChainId,
    /// First block.
    pub first: BlockNumber,
    /// Last block.
    pub last: BlockNumber,
    /// Number of blocks.
    pub blocks: u64,
    /// Blocks that are valid.
    pub valid: u64,
    /// Blocks that are valid as far as something else is true: they were executed on a claimed
    /// state, or not at all. [`BackfillReport::valid`] counts them too.
    pub unproven: u64,
    /// Blocks that are invalid.
    pub invalid: u64,
    /// Blocks without a verdict.
    pub undecided: u64,
    /// Blocks that nobody has looked at yet.
    pub pending: u64,
    /// Transactions of all blocks.
    pub transactions: u64,
    /// Gas of all blocks.
    pub gas_used: u64,
    /// Microseconds of computing, on all cores together.
    pub computing_microseconds: u64,
    /// The block before the first, as the first names it, if that block was had.
    pub parent_hash: Option<B256>,
    /// Hash of the last block, if it was had.
    pub last_hash: Option<B256>,
    /// Whether every block was had, and names the one before it as its parent.
    pub linked: bool,
    /// Number of blocks whose parent is another than the block before them.
    #[serde(default)]
    pub gap_count: u64,
    /// Blocks whose parent is another than the block before them.
    pub gaps: Vec<Gap>,
    /// Invalid blocks.
    pub faults: Vec<FaultyBlock>,
    /// Blocks without a verdict. They accuse nobody.
    pub undecided_blocks: Vec<UndecidedBlock>,
    /// What each worker did.
    pub workers: BTreeMap<String, WorkerShare>,
}

/// A block that does not follow the block before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The block.
    pub block: BlockRef,
    /// Hash of the parent that it names.
    pub parent_hash: B256,
    /// Hash of the block that was verified at the height before.
    pub previous_hash: B256,
}

/// An invalid block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultyBlock {
    /// The block.
    pub block: BlockRef,
    /// The broken rule.
    pub fault: Fault,
}

/// A block without a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecidedBlock {
    /// Height of the block.
    pub number: BlockNumber,
    /// Why there is none.
    pub reason: String,
}

/// What one worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerShare {
    /// Units whose report counted.
    pub units: u64,
    /// Blocks of these units.
    pub blocks: u64,
    /// Microseconds of computing.
    pub computing_microseconds: u64,
}

impl BackfillReport {
    /// Reads what a queue holds, in the order of the blocks, and hands each block to `each`.
    ///
    /// Memory is bounded, however long the range.
    ///
    /// Errors: [`ReportError`].
    pub async fn collect<Q: WorkQueue + ?Sized, E>(
        queue: &Q,
        mut each: impl FnMut(&BlockReport) -> Result<(), E>,
    ) -> Result<Self, ReportError<E>> {
        let plan = queue.planned().await?.ok_or(QueueError::NoPlan)?;
        let mut report = Self::of(&plan);
        let mut previous = None;
        let mut units = stream::iter(0..plan.unit_count())
            .map(|index| async move { (index, queue.report(index).await) })
            .buffered(FETCHED);
        while let Some((index, unit)) = units.next().await {
            let Some(found) = unit? else {
                report.linked = false;
                report.pending += plan.unit(index).map_or(0, |unit| unit.block_count());
                previous = None;
                continue;
            };
            if !plan.unit(index).is_some_and(|unit| found.is_of(&unit)) {
                return Err(ReportError::OtherUnit(index));
            }
            for block in &found.blocks {
                report.add(block, previous);
                previous = block.reference();
                each(block).map_err(ReportError::Consumer)?;
            }
            report.count_worker(&found);
        }
        report.last_hash = previous.map(|block| block.hash);
        Ok(report)
    }

    /// Whether every block was looked at.
    pub const fn is_complete(&self) -> bool {
        self.pending == 0
    }

    /// Whether every block is valid and follows the one before it.
    pub const fn is_valid(&self) -> bool {
        self.valid == self.blocks && self.linked
    }

    const fn of(plan: &WorkPlan) -> Self {
        Self {
            chain_id: plan.chain_id(),
            first: *plan.blocks().start(),
            last: *plan.blocks().end(),
            blocks: plan.block_count(),
            valid: 0,
            unproven: 0,
            invalid: 0,
            undecided: 0,
            pending: 0,
            transactions: 0,
            gas_used: 0,
            computing_microseconds: 0,
            parent_hash: None,
            last_hash: None,
            linked: true,
            gap_count: 0,
            gaps: Vec::new(),
            faults: Vec::new(),
            undecided_blocks: Vec::new(),
            workers: BTreeMap::new(),
        }
    }

    fn add(&mut self, block: &BlockReport, previous: Option<BlockRef>) {
        self.computing_microseconds =
            (self.computing_microseconds).saturating_add(block.microseconds);
        match &block.published {
            Some(published) => {
                self.gas_used = self.gas_used.saturating_add(published.gas_used);
                self.transactions = self.transactions.saturating_add(published.transactions);
                if block.number == self.first {
                    self.parent_hash = Some(published.parent_hash);
                }
                if let Some(previous) = previous
                    && previous.hash != published.parent_hash
                {
                    self.linked = false;
                    let gap = Gap {
                        block: BlockRef {
                            number: block.number,
                            hash: published.hash,
                        },
                        parent_hash: published.parent_hash,
                        previous_hash: previous.hash,
                    };
                    self.gap_count += 1;
                    push(&mut self.gaps, || gap);
                }
            }
            None => self.linked = false,
        }
        match (&block.outcome, block.reference()) {
            (BlockOutcome::Valid { assurance, .. }, _) => {
                self.valid += 1;
                self.unproven += u64::from(!Assurance::is_proven(*assurance));
            }
            (BlockOutcome::Invalid(fault), Some(block)) => {
                self.invalid += 1;
                push(&mut self.faults, || FaultyBlock {
                    block,
                    fault: fault.clone(),
                });
            }
            (outcome, _) => {
                self.undecided += 1;
                let reason = match outcome {
                    BlockOutcome::Undecided(reason) => reason.clone(),
                    _ => "the report does not name the block".to_owned(),
                };
                push(&mut self.undecided_blocks, || UndecidedBlock {
                    number: block.number,
                    reason,
                });
            }
        }
    }

    fn count_worker(&mut self, found: &UnitReport) {
        if !self.workers.contains_key(&found.worker) && self.workers.len() >= MAX_LISTED {
            return;
        }
        let share = self.workers.entry(found.worker.clone()).or_default();
        share.units += 1;
        share.blocks += found.unit.block_count();
        let computing = found.blocks.iter().map(|block| block.microseconds);
        share.computing_microseconds =
            computing.fold(share.computing_microseconds, u64::saturating_add);
    }
}

fn push<T>(list: &mut Vec<T>, item: impl FnOnce() -> T) {
    if list.len() < MAX_LISTED {
        list.push(item());
    }
}

/// Why there is no report.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ReportError<E> {
    /// The queue does not give what it holds.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// What is kept for a unit speaks of other blocks.
    #[error("what the queue keeps for unit {0} is of other blocks")]
    OtherUnit(u64),
    /// Whoever takes the blocks failed.
    #[error("the blocks were not taken")]
    Consumer(#[source] E),
}
