//! The next batch that counts.

use alloy_primitives::BlockNumber;

use super::{
    Batch, SingularBatch, SpanBatch,
    batch::SpanBlocks,
    batch_queue::BatchQueue,
    check::{Context, Validity},
    epochs::Epochs,
    stream::BatchStream,
};
use crate::op::Rollup;

/// What a look for the next batch gives.
#[derive(Debug)]
pub(super) enum Found {
    /// A batch of the batcher.
    Batch(SingularBatch),
    /// One that is made up, since the sequencing window ended.
    Empty(SingularBatch),
    /// This earlier block is needed first.
    NeedsAncestor(BlockNumber),
    /// The next L1 block is needed first.
    Nothing,
    /// More batches wait than are kept.
    Full,
}

/// Batches that are read and not used yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    /// Blocks of the span that is being used.
    span: Option<SpanBlocks>,
    /// Batches that wait for their turn (before Holocene).
    queue: BatchQueue,
    /// A span that waits for an earlier block (Holocene).
    held: Option<SpanBatch>,
    conflict: Option<Conflict>,
}

/// A batch that not all implementations treat alike, and how far that reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Conflict {
    /// L1 block that completed the batch.
    inclusion: BlockNumber,
    /// Highest L1 block that can be the origin of one of its blocks, or that it waits for.
    epoch: BlockNumber,
    /// Second of the last block that may differ.
    until: u64,
}

impl Conflict {
    /// Ends where the L1 origin is too old for a block, once that L1 block is known: a batch of a
    /// few bytes may name seconds that are months ahead.
    fn shorten(&mut self, rollup: &Rollup, epochs: &Epochs) {
        let (first, _) = epochs.first_two();
        let first = first.filter(|first| first.number() > self.epoch);
        let Some(epoch) = first.or_else(|| epochs.get(self.epoch)) else {
            return;
        };
        let next = epochs.get(epoch.number().saturating_add(1));
        let drift = rollup.max_sequencer_drift(epoch.timestamp());
        let end = epoch.timestamp().saturating_add(drift);
        // An empty block may stay behind until the next L1 block.
        let end = next.map_or(end, |next| end.max(next.timestamp()));
        self.until = self.until.min(end);
    }
}

impl Batches {
    /// Forgets the blocks of the span that is being used.
    pub(super) fn clear_span(&mut self) {
        self.span = None;
    }

    /// L1 block with a batch that may decide the block at `timestamp` under the rules of some
    /// implementations only.
    ///
    /// Specification and implementations drop a span that contradicts derived blocks since August
    /// 2026, and took the blocks behind the contradiction before. A rollup that goes on without
    /// them has shown which of the two it follows as soon as it is past the end of the span.
    ///
    /// A batch that needs an L1 block behind its own is skipped, or kept until that block comes, and
    /// the rest of its channel lost then. Of a span that is no span ([`BatchError::is_disputed`]), the rest of
    /// the channel counts or not.
    ///
    /// [`BatchError::is_disputed`]: super::BatchError::is_disputed
    ///
    /// Source: <https://github.com/ethereum-optimism/specs/pull/928>,
    /// <https://github.com/ethereum-optimism/optimism/pull/22215>,
    /// <https://github.com/ethereum-optimism/optimism/pull/22629>
    pub(super) fn conflict(&self, timestamp: u64) -> Option<BlockNumber> {
        self.conflict
            .filter(|conflict| timestamp <= conflict.until)
            .map(|conflict| conflict.inclusion)
    }

    /// The next batch on the block that `context` says.
    ///
    /// `behind` says that the L1 block lies before the L1 origin of that block: its batches are
    /// read and do not count.
    pub(super) fn next(
        &mut self,
        context: &Context<'_>,
        epochs: &mut Epochs,
        stream: &mut BatchStream,
        behind: bool,
    ) -> Found {
        if !context.is_holocene
            && let Some(batch) = self.next_of_span(context, epochs)
        {
            return Found::Batch(batch);
        }
        if let Some(conflict) = &mut self.conflict {
            conflict.shorten(context.rollup, epochs);
        }
        epochs.start_at(context.safe.origin.number);
        if behind {
            stream.skip();
            return Found::Nothing;
        }
        if context.is_holocene {
            self.next_in_order(context, epochs, stream)
        } else {
            self.next_of_queue(context, epochs, stream)
        }
    }

    /// The next batch of `stream`. What is skipped there may decide any block that the L1 block permits.
    fn read(
        &mut self,
        context: &Context<'_>,
        epochs: &Epochs,
        stream: &mut BatchStream,
    ) -> Option<Batch> {
        let batch = stream.next();
        if stream.take_skipped() {
            self.note_conflict(context, epochs, (BlockNumber::MAX, u64::MAX));
        }
        batch
    }

    /// Uses `span` from now on. `false` if the L1 origin of its next block is not known.
    fn begin(&mut self, span: SpanBatch, context: &Context<'_>, epochs: &Epochs) -> bool {
        let blocks = SpanBlocks::after(span, context.safe.header.timestamp);
        let is_known = blocks
            .peek()
            .is_some_and(|block| epochs.get(block.epoch_number).is_some());
        self.span = is_known.then_some(blocks);
        is_known
    }

    /// The next block of the span that is being used, as a batch of its own on the last block,
    /// which has to precede it.
    fn next_of_span(&mut self, context: &Context<'_>, epochs: &Epochs) -> Option<SingularBatch> {
        let block = self
            .span
            .as_mut()?
            .next()
            .filter(|block| block.timestamp == context.next_timestamp());
        let batch = block.and_then(|block| {
            Some(SingularBatch {
                parent_hash: context.safe.header.seal(),
                epoch_number: block.epoch_number,
                epoch_hash: epochs.get(block.epoch_number)?.hash(),
                timestamp: block.timestamp,
                transactions: block.transactions.to_vec(),
            })
        });
        if batch.is_none() {
            self.span = None;
        }
        batch
    }

    /// From Holocene on: every batch is the next one, or says again what is known, or ends its
    /// channel.
    ///
    /// Source: <https://specs.optimism.io/protocol/holocene/derivation.html#batch-queue>
    fn next_in_order(
        &mut self,
        context: &Context<'_>,
        epochs: &mut Epochs,
        stream: &mut BatchStream,
    ) -> Found {
        if context.inclusion == context.safe.origin.number {
            // A batch has to name the hash of its L1 origin: none in that block does.
            stream.skip();
            return Found::Nothing;
        }
        loop {
            let batch = match self.next_of_span(context, epochs) {
                Some(batch) => batch,
                None => match (self.held.take().map(Batch::Span))
                    .or_else(|| self.read(context, epochs, stream))
                {
                    None => return empty(context, epochs, true),
                    Some(Batch::Singular(batch)) => batch,
                    Some(Batch::Span(span)) => {
                        match context.check_span(epochs, &span) {
                            Validity::Accept => {
                                if !self.begin(span, context, epochs) {
                                    stream.flush();
                                }
                            }
                            Validity::NeedsAncestor(number) => {
                                self.held = Some(span);
                                return Found::NeedsAncestor(number);
                            }
                            Validity::Conflict => {
                                let end = (span.last_epoch(), span.last_timestamp());
                                self.note_conflict(context, epochs, end);
                                stream.flush();
                            }
                            // Implementations skip what they cannot decide and read on.
                            Validity::Undecided => {
                                let end = (span.last_epoch(), u64::MAX);
                                self.note_conflict(context, epochs, end);
                            }
                            Validity::Past => {}
                            _ => stream.flush(),
                        }
                        continue;
                    }
                },
            };
            match context.check_singular(epochs, &batch) {
                Validity::Accept => return Found::Batch(batch),
                Validity::Undecided => {
                    // It waits for its L1 origin, or for the one after it.
                    let end = (batch.epoch_number.saturating_add(1), u64::MAX);
                    self.note_conflict(context, epochs, end);
                }
                Validity::Past => {}
                _ => {
                    self.span = None;
                    stream.flush();
                }
            }
        }
    }

    /// Notes a batch that reaches to this L1 origin and this second.
    fn note_conflict(
        &mut self,
        context: &Context<'_>,
        epochs: &Epochs,
        (epoch, timestamp): (BlockNumber, u64),
    ) {
        // Nobody keeps a batch for longer than a sequencing window.
        let window = context.rollup.config.seq_window_size;
        let last = context.inclusion.saturating_add(window);
        let mut conflict = Conflict {
            inclusion: context.inclusion,
            epoch: epoch.min(last),
            until: timestamp,
        };
        conflict.shorten(context.rollup, epochs);
        if let Some(known) = self.conflict {
            conflict.epoch = conflict.epoch.max(known.epoch);
            conflict.until = conflict.until.max(known.until);
        }
        self.conflict = Some(conflict);
    }

    /// Before Holocene: the first batch that fits, in the order of inclusion.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
    fn next_of_queue(
        &mut self,
        context: &Context<'_>,
        epochs: &mut Epochs,
        stream: &mut BatchStream,
    ) -> Found {
        loop {
            // What waits may be what comes next.
            let is_full = self.queue.is_full();
            let read = match is_full {
                true => None,
                false => self.read(context, epochs, stream),
            };
            let is_drained = !is_full && read.is_none();
            if let Some(batch) = read
                && context.check(epochs, &batch) != Validity::Drop
            {
                self.queue.push(context.inclusion, batch);
            }
            match self.first_that_fits(context, epochs) {
                Some(Found::Nothing) => match empty(context, epochs, is_drained) {
                    Found::Nothing => {}
                    found => return found,
                },
                Some(found) => return found,
                None => {}
            }
            if is_full {
                return Found::Full;
            }
            if is_drained {
                return Found::Nothing;
            }
        }
    }

    /// `None` if a batch that may be the next one waits for L1: no other one counts before it is
    /// known whether this one does.
    fn first_that_fits(&mut self, context: &Context<'_>, epochs: &Epochs) -> Option<Found> {
        self.queue.wake(context.next_timestamp());
        let mut last = None;
        while let Some((place, inclusion, batch)) = self.queue.after(last) {
            last = Some(place);
            let context = Context {
                inclusion,
                ..*context
            };
            match context.check(epochs, batch) {
                Validity::Accept => match self.queue.remove(place)? {
                    Batch::Singular(batch) => return Some(Found::Batch(batch)),
                    Batch::Span(span) => {
                        self.begin(span, &context, epochs);
                        if let Some(batch) = self.next_of_span(&context, epochs) {
                            return Some(Found::Batch(batch));
                        }
                    }
                },
                Validity::Future => {}
                Validity::Undecided => return None,
                Validity::NeedsAncestor(number) => return Some(Found::NeedsAncestor(number)),
                Validity::Drop | Validity::Past | Validity::Conflict => {
                    self.queue.remove(place);
                }
            }
        }
        Some(Found::Nothing)
    }
}

/// A block without transactions, where the sequencing window ended without a batch for it.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#batch-queue>
fn empty(context: &Context<'_>, epochs: &mut Epochs, is_drained: bool) -> Found {
    let (Some(epoch), Some(next)) = epochs.first_two() else {
        return Found::Nothing;
    };
    let window = context.rollup.config.seq_window_size;
    let end = epoch.number().saturating_add(window);
    let is_over = end < context.inclusion || (end == context.inclusion && is_drained);
    if !is_over {
        return Found::Nothing;
    }
    let timestamp = context.next_timestamp();
    // Every L1 block is the origin of one block at least.
    let is_first = epoch.number() != context.safe.origin.number;
    if timestamp < next.timestamp() || is_first {
        return Found::Empty(SingularBatch {
            parent_hash: context.safe.header.seal(),
            epoch_number: epoch.number(),
            epoch_hash: epoch.hash(),
            timestamp,
            transactions: Vec::new(),
        });
    }
    epochs.drop_first();
    Found::Nothing
}
