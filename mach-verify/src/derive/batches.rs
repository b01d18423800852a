//! The next batch that counts.

use std::collections::VecDeque;

use alloy_primitives::BlockNumber;

use super::{
    Batch, SingularBatch, SpanBatch,
    check::{Context, Validity},
    epochs::Epochs,
    stream::BatchStream,
};

/// What a look for the next batch gives.
#[derive(Debug)]
pub(super) enum Found {
    /// A batch of the batcher.
    Batch(SingularBatch),
    /// One that is made up, since the sequencing window ended.
    Empty(SingularBatch),
    /// This earlier block is needed first.
    NeedsAncestor(BlockNumber),
    /// A span contradicts what is derived.
    Conflict,
    /// The next L1 block is needed first.
    Nothing,
}

/// Batches that are read and not used yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    /// Blocks of the span that is being used.
    span: VecDeque<SingularBatch>,
    /// Batches in the order of their inclusion, with the L1 block of it (before Holocene).
    queue: VecDeque<(BlockNumber, Batch)>,
    /// A span that waits for an earlier block (Holocene).
    held: Option<SpanBatch>,
}

impl Batches {
    /// Forgets the blocks of the span that is being used.
    pub(super) fn clear_span(&mut self) {
        self.span.clear();
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
            && let Some(batch) = self.next_of_span(context)
        {
            return Found::Batch(batch);
        }
        epochs.start_at(context.safe.origin.number);
        if behind {
            while stream.next().is_some() {}
            return Found::Nothing;
        }
        if context.is_holocene {
            self.next_in_order(context, epochs, stream)
        } else {
            self.next_of_queue(context, epochs, stream)
        }
    }

    /// The next block of the span that is being used, which the last one has to precede.
    fn next_of_span(&mut self, context: &Context<'_>) -> Option<SingularBatch> {
        let mut batch = self.span.pop_front()?;
        if batch.timestamp != context.next_timestamp() {
            self.span.clear();
            return None;
        }
        batch.parent_hash = context.safe.header.seal();
        Some(batch)
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
            while stream.next().is_some() {}
            return Found::Nothing;
        }
        loop {
            let batch = match self.next_of_span(context) {
                Some(batch) => batch,
                None => match self.held.take().map(Batch::Span).or_else(|| stream.next()) {
                    None => return empty(context, epochs, true),
                    Some(Batch::Singular(batch)) => batch,
                    Some(Batch::Span(span)) => {
                        match context.check_span(epochs, &span) {
                            Validity::Accept => match context.split(epochs, &span) {
                                Some(batches) => self.span = batches.into(),
                                None => stream.flush(),
                            },
                            Validity::NeedsAncestor(number) => {
                                self.held = Some(span);
                                return Found::NeedsAncestor(number);
                            }
                            Validity::Conflict => {
                                self.held = Some(span);
                                return Found::Conflict;
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
                Validity::Past => {}
                _ => {
                    self.span.clear();
                    stream.flush();
                }
            }
        }
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
            let read = stream.next();
            let is_drained = read.is_none();
            if let Some(batch) = read
                && context.check(epochs, &batch) != Validity::Drop
            {
                self.queue.push_back((context.inclusion, batch));
            }
            match self.first_that_fits(context, epochs) {
                Some(Found::Nothing) => match empty(context, epochs, is_drained) {
                    Found::Nothing => {}
                    found => return found,
                },
                Some(found) => return found,
                None => {}
            }
            if is_drained {
                return Found::Nothing;
            }
        }
    }

    /// `None` if a batch that may be the next one waits for L1: no other one counts before it is
    /// known whether this one does.
    fn first_that_fits(&mut self, context: &Context<'_>, epochs: &Epochs) -> Option<Found> {
        let mut position = 0;
        while let Some((inclusion, batch)) = self.queue.get(position) {
            let context = Context {
                inclusion: *inclusion,
                ..*context
            };
            match context.check(epochs, batch) {
                Validity::Accept => match self.queue.remove(position)?.1 {
                    Batch::Singular(batch) => return Some(Found::Batch(batch)),
                    Batch::Span(span) => {
                        self.span = context.split(epochs, &span).unwrap_or_default().into();
                        if let Some(batch) = self.next_of_span(&context) {
                            return Some(Found::Batch(batch));
                        }
                    }
                },
                Validity::Future => position += 1,
                Validity::Undecided => return None,
                Validity::NeedsAncestor(number) => return Some(Found::NeedsAncestor(number)),
                Validity::Drop | Validity::Past | Validity::Conflict => {
                    self.queue.remove(position);
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
