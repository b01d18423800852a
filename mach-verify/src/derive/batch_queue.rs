//! Batches that wait for their turn, before Holocene.

use std::{collections::BTreeMap, ops::Bound};

use alloy_primitives::{BlockNumber, Bytes};

use super::{Batch, SingularBatch};

/// Most bytes of transactions that wait: as much as channels may hold at most. The protocol has no
/// limit here, and a batcher that posts so far ahead of time is not followed.
const MAX_BYTES: usize = 1_000_000_000;

/// What a batch and each of its transactions count with beside their bytes.
const ITEM_BYTES: usize = 128;

/// What a block of a span counts with.
const SPAN_BLOCK_BYTES: usize = 4;

/// Batches that were read and not used, in the order of their inclusion.
///
/// A batch of one block is not looked at before its second has come. However many are posted ahead
/// of time, the next block costs no more for them.
#[derive(Clone, Debug, Default)]
pub(super) struct BatchQueue {
    /// Batches to look at for the next block: spans, and those whose second has come.
    due: BTreeMap<Place, Waiting<Batch>>,
    /// Batches of one block, by their second.
    ahead: BTreeMap<(u64, Place), Waiting<SingularBatch>>,
    next: Place,
    bytes: usize,
}

/// Place in the order of inclusion.
pub(super) type Place = u64;

#[derive(Clone, Debug)]
struct Waiting<T> {
    /// L1 block that completed the batch.
    inclusion: BlockNumber,
    batch: T,
}

impl BatchQueue {
    /// Puts a batch behind all others.
    pub(super) fn push(&mut self, inclusion: BlockNumber, batch: Batch) {
        self.bytes = self.bytes.saturating_add(size(&batch));
        let place = self.next;
        self.next += 1;
        match batch {
            Batch::Singular(batch) => {
                let key = (batch.timestamp, place);
                self.ahead.insert(key, Waiting { inclusion, batch });
            }
            Batch::Span(_) => {
                self.due.insert(place, Waiting { inclusion, batch });
            }
        }
    }

    /// Whether more waits than is followed.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes > MAX_BYTES
    }

    /// Lets batches whose second is `timestamp` or lies before it take their places.
    pub(super) fn wake(&mut self, timestamp: u64) {
        while let Some(first) = self.ahead.first_entry()
            && first.key().0 <= timestamp
        {
            let ((_, place), Waiting { inclusion, batch }) = first.remove_entry();
            let batch = Batch::Singular(batch);
            self.due.insert(place, Waiting { inclusion, batch });
        }
    }

    /// The first batch that is awake and behind `place`, with its place and the L1 block that
    /// completed it.
    pub(super) fn after(&self, place: Option<Place>) -> Option<(Place, BlockNumber, &Batch)> {
        let behind = place.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.due.range((behind, Bound::Unbounded));
        rest.next()
            .map(|(place, waiting)| (*place, waiting.inclusion, &waiting.batch))
    }

    /// Takes the batch at `place` out.
    pub(super) fn remove(&mut self, place: Place) -> Option<Batch> {
        let batch = self.due.remove(&place)?.batch;
        self.bytes = self.bytes.saturating_sub(size(&batch));
        Some(batch)
    }
}

/// Bytes that a batch counts with.
fn size(batch: &Batch) -> usize {
    let of = |transactions: &[Bytes]| -> usize {
        let sizes = transactions.iter().map(|it| it.len() + ITEM_BYTES);
        sizes.sum()
    };
    let content = match batch {
        Batch::Singular(batch) => of(&batch.transactions),
        Batch::Span(batch) => (batch.blocks())
            .map(|block| of(block.transactions) + SPAN_BLOCK_BYTES)
            .sum(),
    };
    content + ITEM_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn singular(timestamp: u64, transactions: Vec<Bytes>) -> Batch {
        Batch::Singular(SingularBatch {
            parent_hash: Default::default(),
            epoch_number: 0,
            epoch_hash: Default::default(),
            timestamp,
            transactions,
        })
    }

    fn awake(queue: &BatchQueue) -> Vec<BlockNumber> {
        let mut last = None;
        std::iter::from_fn(|| {
            let (place, inclusion, _) = queue.after(last)?;
            last = Some(place);
            Some(inclusion)
        })
        .collect()
    }

    #[test]
    fn who_wakes_takes_the_place_that_its_inclusion_gave() {
        let mut queue = BatchQueue::default();
        for (inclusion, timestamp) in [(1, 30), (2, 10), (3, 20), (4, 10), (5, 40)] {
            queue.push(inclusion, singular(timestamp, Vec::new()));
        }
        assert!(awake(&queue).is_empty());
        queue.wake(9);
        assert!(awake(&queue).is_empty());
        queue.wake(20);
        assert_eq!(awake(&queue), [2, 3, 4]);
        queue.wake(35);
        assert_eq!(awake(&queue), [1, 2, 3, 4]);
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes() {
        // One allocation, held often.
        let large = Bytes::from(vec![0; MAX_BYTES / 10]);
        let mut queue = BatchQueue::default();
        for second in 0..10 {
            assert!(!queue.is_full());
            queue.push(1, singular(second, vec![large.clone()]));
        }
        assert!(queue.is_full());
        queue.wake(0);
        assert!(queue.remove(0).is_some() && queue.remove(1).is_none());
        assert!(!queue.is_full());
        // Batches without transactions are not free.
        assert_eq!(size(&singular(0, Vec::new())), ITEM_BYTES);
    }
}
