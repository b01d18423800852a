//! How a verifier is set up, and how far it is.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use alloy_primitives::BlockNumber;
use mach_core::{BlockRef, ports::L2Head};

use crate::RetryPolicy;

/// Where a [`Verifier`](crate::Verifier) begins and how it paces itself.
#[derive(Clone, Copy, Debug)]
pub struct VerifierConfig {
    /// First block.
    pub start: BlockNumber,
    /// Which head is followed.
    pub head: L2Head,
    /// Time between two looks at the head.
    pub poll_interval: Duration,
    /// For blocks that are not there yet or cannot be judged yet, and for outcomes that do not get
    /// through.
    pub retry: RetryPolicy,
    /// Most undecided blocks that the status names; older ones are only counted.
    pub max_undecided: usize,
    /// How many blocks back the fork of a reorg is looked for. One block takes about 100 bytes.
    pub max_reorg: usize,
}

impl VerifierConfig {
    /// Follows the unsafe head from `start`, looking every second.
    pub fn new(start: BlockNumber) -> Self {
        Self {
            start,
            head: L2Head::Unsafe,
            poll_interval: Duration::from_secs(1),
            retry: RetryPolicy::default(),
            max_undecided: 1024,
            max_reorg: 16_384,
        }
    }
}

/// How far a [`Verifier`](crate::Verifier) is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifierStatus {
    /// The block that is looked at next.
    pub next: BlockNumber,
    /// The head that was seen last.
    pub head: Option<BlockRef>,
    /// When that was; a source that does not answer is not seen.
    pub head_at: Option<Instant>,
    /// The newest block that was found valid on valid ancestors, where everything that was found up
    /// to it is delivered.
    pub verified: Option<BlockRef>,
    /// That block and those before it that were found so: at most 64, of one branch, the newest last.
    pub recent: VecDeque<BlockRef>,
    /// The last block with a verdict.
    pub last: Option<BlockRef>,
    /// Blocks that are valid.
    pub valid: u64,
    /// Blocks that are invalid.
    pub invalid: u64,
    /// Blocks without a verdict, after all retries.
    pub undecided_count: u64,
    /// The last of these blocks, each with the reason. They accuse nobody.
    pub undecided: VecDeque<Undecided>,
    /// Valid blocks that were not attested, since an ancestor of theirs was not found valid.
    pub unlinked: u64,
    /// Outcomes that the sink did not take, after all retries.
    pub undelivered: u64,
    /// How often the source went to another branch.
    pub reorgs: u64,
    /// The last time that it did.
    pub last_reorg: Option<Reorg>,
    /// The highest block that the source has called final.
    pub finalized: Option<BlockRef>,
    /// A reorg of what cannot be reorganised: final blocks, or those before the first one that was
    /// verified. Nothing was attested since; a human has to look, and start again from a trusted
    /// block.
    pub broken: Option<Reorg>,
}

/// Blocks that [`VerifierStatus::recent`] holds at most.
const RECENT: usize = 64;

impl VerifierStatus {
    /// Everything up to `block` is delivered, and it may be built on.
    pub(super) fn delivered(&mut self, block: BlockRef) {
        while (self.recent.back()).is_some_and(|known| known.number >= block.number) {
            self.recent.pop_back();
        }
        self.recent.push_back(block);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.verified = Some(block);
    }

    /// Blocks of the head's chain that were not looked at yet; `None` before the first head.
    pub fn lag(&self) -> Option<u64> {
        let head = self.head?.number;
        Some(head.saturating_add(1).saturating_sub(self.next))
    }
}

/// The source has left the branch that it gave before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorg {
    /// Newest block of the branch that was left.
    pub left: BlockRef,
    /// Height of the last block that both branches share; `None` if it lies before the oldest
    /// block that is known.
    pub fork: Option<BlockNumber>,
}

/// A block without a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Height of the block.
    pub number: BlockNumber,
    /// Why there is no verdict, with its causes.
    pub reason: String,
}
