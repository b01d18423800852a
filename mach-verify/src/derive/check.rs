//! Which batches count.

use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{BlockNumber, Bytes};

use super::{
    Batch, SingularBatch, SpanBatch,
    epochs::{Epoch, Epochs},
    history::{History, digest, is_deposit},
};
use crate::op::{Parent, Rollup};

/// What a check says of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// It is the next one.
    Accept,
    /// It never counts.
    Drop,
    /// It says again what is derived already (Holocene).
    Past,
    /// It may count later (before Holocene).
    Future,
    /// More L1 blocks are needed to decide. From Holocene on nobody waits for them.
    Undecided,
    /// This earlier block of the rollup, the parent of all that are kept, is needed to decide.
    NeedsAncestor(BlockNumber),
    /// It overlaps with derived blocks and contradicts them, which is a reason to drop it that not
    /// all implementations know (Holocene).
    Conflict,
}

/// What batches are checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) rollup: &'a Rollup,
    /// The block that the next one follows.
    pub(super) safe: &'a Parent,
    pub(super) history: &'a History,
    /// Height of the L1 block that completed the batch.
    pub(super) inclusion: BlockNumber,
    /// Whether Holocene is active in that L1 block.
    pub(super) is_holocene: bool,
}

impl Context<'_> {
    /// Second of the next block.
    pub(super) fn next_timestamp(&self) -> u64 {
        let block_time = self.rollup.config.block_time;
        self.safe.header.timestamp.saturating_add(block_time)
    }

    /// Whether a batch with this first L1 origin comes too late.
    const fn is_late(&self, epoch: BlockNumber) -> bool {
        epoch.saturating_add(self.rollup.config.seq_window_size) < self.inclusion
    }

    /// Checks a batch.
    pub(super) fn check(&self, epochs: &Epochs, batch: &Batch) -> Validity {
        match batch {
            Batch::Singular(batch) => self.check_singular(epochs, batch),
            Batch::Span(batch) => self.check_span(epochs, batch),
        }
    }

    /// Checks a batch of one block.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>,
    /// <https://specs.optimism.io/protocol/holocene/derivation.html#batch-queue>
    pub(super) fn check_singular(&self, epochs: &Epochs, batch: &SingularBatch) -> Validity {
        let (Some(epoch), next) = epochs.first_two() else {
            return Validity::Undecided;
        };
        match (
            batch.timestamp.cmp(&self.next_timestamp()),
            self.is_holocene,
        ) {
            (std::cmp::Ordering::Equal, _) => {}
            (std::cmp::Ordering::Greater, false) => return Validity::Future,
            (std::cmp::Ordering::Less, true) => return Validity::Past,
            _ => return Validity::Drop,
        }
        if batch.parent_hash != self.safe.header.seal() || self.is_late(batch.epoch_number) {
            return Validity::Drop;
        }
        let origin = match batch.epoch_number.checked_sub(epoch.number()) {
            Some(0) => epoch,
            Some(1) => match next {
                Some(next) => next,
                None => return Validity::Undecided,
            },
            _ => return Validity::Drop,
        };
        if batch.epoch_hash != origin.hash() {
            return Validity::Drop;
        }
        let next = if origin.number() == epoch.number() {
            Next::Epoch(next)
        } else {
            Next::Adopted
        };
        self.check_block(origin, next, batch.timestamp, &batch.transactions)
    }

    /// Checks time and transactions of a block.
    fn check_block(
        &self,
        origin: &Epoch,
        next: Next<'_>,
        timestamp: u64,
        transactions: &[Bytes],
    ) -> Validity {
        if timestamp < origin.timestamp() {
            return Validity::Drop;
        }
        let drift = self.rollup.max_sequencer_drift(origin.timestamp());
        if timestamp > origin.timestamp().saturating_add(drift) {
            if !transactions.is_empty() {
                return Validity::Drop;
            }
            // An empty block may stay behind if it could not have moved on.
            match next {
                Next::Adopted => {}
                Next::Epoch(None) => return Validity::Undecided,
                Next::Epoch(Some(next)) if timestamp >= next.timestamp() => return Validity::Drop,
                Next::Epoch(Some(_)) => {}
            }
        }
        let is_isthmus = self.rollup.is_active(OpHardfork::Isthmus, timestamp);
        let forbidden = |transaction: &Bytes| {
            transaction.is_empty()
                || is_deposit(transaction)
                || (!is_isthmus && transaction.starts_with(&[SET_CODE]))
        };
        // The first block with Jovian, or with a fork after it, has nothing of the sequencer.
        let is_activation = [OpHardfork::Jovian, OpHardfork::Karst, OpHardfork::Interop]
            .into_iter()
            .any(|fork| self.rollup.activates(fork, timestamp));
        if transactions.iter().any(forbidden) || (is_activation && !transactions.is_empty()) {
            return Validity::Drop;
        }
        Validity::Accept
    }

    /// Checks a span as a whole; from Holocene on, its blocks are then checked one by one.
    ///
    /// Source: <https://specs.optimism.io/protocol/delta/span-batches.html#batch-queue>,
    /// <https://specs.optimism.io/protocol/holocene/derivation.html#span-batches>
    pub(super) fn check_span(&self, epochs: &Epochs, batch: &SpanBatch) -> Validity {
        let (Some(epoch), next) = epochs.first_two() else {
            return Validity::Undecided;
        };
        let origin = if batch.first_epoch() == epoch.number().saturating_add(1) {
            match next {
                Some(next) => next,
                None => return Validity::Undecided,
            }
        } else {
            epoch
        };
        if !self.rollup.config.is_delta_active(origin.timestamp()) {
            return Validity::Drop;
        }
        let next_timestamp = self.next_timestamp();
        if batch.first_timestamp() > next_timestamp {
            return if self.is_holocene {
                Validity::Drop
            } else {
                Validity::Future
            };
        }
        if batch.last_timestamp() < next_timestamp {
            return if self.is_holocene {
                Validity::Past
            } else {
                Validity::Drop
            };
        }
        // Blocks that are derived already and that the span says again.
        let Some(overlap) = self.overlap(batch.first_timestamp()) else {
            return Validity::Drop;
        };
        // A late batch is dropped in any case: how far back the parent lies is bounded by that.
        if self.is_late(batch.first_epoch()) {
            return Validity::Drop;
        }
        let Some(parent) = self.safe.header.number.checked_sub(overlap) else {
            return Validity::Drop;
        };
        let Some(parent) = self.history.get(parent) else {
            return self.before_history(batch, parent);
        };
        if !batch.follows(parent.hash) || batch.first_epoch() > parent.origin.saturating_add(1) {
            return Validity::Drop;
        }
        match epochs.get(batch.last_epoch()) {
            Some(last) if !batch.ends_at_origin(last.hash()) => return Validity::Drop,
            Some(_) => {}
            None => return Validity::Undecided,
        }
        if batch.first_epoch() < parent.origin {
            return Validity::Drop;
        }
        if !self.is_holocene {
            let validity = self.check_span_blocks(epochs, batch, parent.origin);
            if validity != Validity::Accept {
                return validity;
            }
        }
        let agrees = batch
            .blocks()
            .zip(parent.number.saturating_add(1)..=self.safe.header.number)
            .all(|(block, number)| {
                self.history.get(number).is_some_and(|past| {
                    past.origin == block.epoch_number
                        && past.transactions == digest(block.transactions)
                })
            });
        match (agrees, self.is_holocene) {
            (true, _) => Validity::Accept,
            (false, false) => Validity::Drop,
            (false, true) => Validity::Conflict,
        }
    }

    /// What is known of a span whose parent, at this height, lies before all blocks that are kept.
    ///
    /// The batcher chooses its second and its L1 origin, so that one may be old and the other not.
    /// L1 origins never go back: that of the parent is at most the first that is kept.
    fn before_history(&self, batch: &SpanBatch, parent: BlockNumber) -> Validity {
        let newest = self.history.first_origin().saturating_add(1);
        if batch.first_epoch() > newest || parent < self.rollup.config.genesis.l2.number {
            return Validity::Drop;
        }
        self.history
            .next_ancestor()
            .map_or(Validity::Drop, Validity::NeedsAncestor)
    }

    /// Number of derived blocks from `timestamp` on; `None` if no block has that time.
    fn overlap(&self, timestamp: u64) -> Option<u64> {
        if timestamp == self.next_timestamp() {
            return Some(0);
        }
        let age = self.safe.header.timestamp.checked_sub(timestamp)?;
        let block_time = self.rollup.config.block_time;
        (age.checked_rem(block_time)? == 0).then(|| age / block_time + 1)
    }

    /// Checks the new blocks of a span before Holocene.
    fn check_span_blocks(
        &self,
        epochs: &Epochs,
        batch: &SpanBatch,
        parent_origin: BlockNumber,
    ) -> Validity {
        let mut previous = parent_origin;
        for block in batch.blocks() {
            let advances = block.epoch_number > previous;
            previous = block.epoch_number;
            if block.timestamp <= self.safe.header.timestamp {
                continue;
            }
            let Some(origin) = epochs.get(block.epoch_number) else {
                return Validity::Drop;
            };
            let next = if advances {
                Next::Adopted
            } else {
                Next::Epoch(epochs.get(block.epoch_number.saturating_add(1)))
            };
            let validity = self.check_block(origin, next, block.timestamp, block.transactions);
            if validity != Validity::Accept {
                return validity;
            }
        }
        Validity::Accept
    }
}

/// The L1 block that a block could have had as its origin instead.
#[derive(Clone, Copy)]
enum Next<'a> {
    /// It has the next one already.
    Adopted,
    /// This one, if it is known.
    Epoch(Option<&'a Epoch>),
}

/// Type byte of EIP-7702.
const SET_CODE: u8 = 4;
