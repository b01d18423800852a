//! The chain of a rollup's node, as far as it is kept.

use std::collections::{HashMap, VecDeque};

use alloy_primitives::{B256, BlockNumber};
use mach_core::BlockRef;

/// Hashes of blocks that follow each other: each names the one before it as its parent, which was
/// compared when it came in. So two blocks in here are ancestor and descendant.
#[derive(Debug, Default)]
pub(super) struct Links {
    first: BlockNumber,
    hashes: VecDeque<B256>,
    numbers: HashMap<B256, BlockNumber>,
}

/// Where a block belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is there.
    Known,
    /// On top, once these blocks are gone that it replaces, in ascending order.
    OnTop {
        /// What it replaces.
        replaced: Vec<BlockRef>,
    },
    /// Its parent is not there.
    Unlinked,
}

impl Links {
    /// Where a block with this parent belongs.
    pub(super) fn place(&self, block: BlockRef, parent: B256) -> Place {
        let Some(head) = self.head() else {
            return Place::OnTop {
                replaced: Vec::new(),
            };
        };
        if self.hash(block.number) == Some(block.hash) {
            return Place::Known;
        }
        // The oldest one has no parent here: everything is replaced with it.
        let is_linked = block.number == self.first
            || (block.number.checked_sub(1)).and_then(|it| self.hash(it)) == Some(parent);
        if !is_linked || block.number > head.number + 1 {
            return Place::Unlinked;
        }
        let replaced = (block.number..=head.number).filter_map(|it| self.block(it));
        Place::OnTop {
            replaced: replaced.collect(),
        }
    }

    /// Puts a block where [`Self::place`] said [`Place::OnTop`].
    pub(super) fn put(&mut self, block: BlockRef) {
        if self.hashes.is_empty() {
            self.first = block.number;
        }
        let kept = block.number.saturating_sub(self.first);
        while self.hashes.len() as u64 > kept {
            if let Some(hash) = self.hashes.pop_back() {
                self.numbers.remove(&hash);
            }
        }
        self.hashes.push_back(block.hash);
        self.numbers.insert(block.hash, block.number);
    }

    /// Drops the oldest block.
    pub(super) fn drop_first(&mut self) {
        if let Some(hash) = self.hashes.pop_front() {
            self.numbers.remove(&hash);
            self.first += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(super) fn hash(&self, number: BlockNumber) -> Option<B256> {
        let index = number.checked_sub(self.first)?;
        self.hashes.get(usize::try_from(index).ok()?).copied()
    }

    pub(super) fn number(&self, hash: &B256) -> Option<BlockNumber> {
        self.numbers.get(hash).copied()
    }

    pub(super) fn contains(&self, block: BlockRef) -> bool {
        self.hash(block.number) == Some(block.hash)
    }

    pub(super) fn first(&self) -> Option<BlockRef> {
        self.block(self.first)
    }

    pub(super) fn head(&self) -> Option<BlockRef> {
        let above = self.hashes.len().checked_sub(1)?;
        self.block(self.first + above as u64)
    }

    fn block(&self, number: BlockNumber) -> Option<BlockRef> {
        let hash = self.hash(number)?;
        Some(BlockRef { number, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64, fork: u8) -> BlockRef {
        let mut hash = B256::repeat_byte(fork);
        hash.0[..8].copy_from_slice(&number.to_be_bytes());
        BlockRef { number, hash }
    }

    fn chain() -> Links {
        let mut links = Links::default();
        for number in 5..=9 {
            let parent = block(number - 1, 1).hash;
            assert!(matches!(
                links.place(block(number, 1), parent),
                Place::OnTop { replaced } if replaced.is_empty()
            ));
            links.put(block(number, 1));
        }
        links
    }

    #[test]
    fn a_block_without_its_parent_is_not_taken() {
        let links = chain();
        for (number, parent) in [(10, block(9, 2)), (11, block(10, 1)), (4, block(3, 1))] {
            let place = links.place(block(number, 3), parent.hash);
            assert_eq!(place, Place::Unlinked, "{number}");
        }
        let known = links.place(block(7, 1), B256::ZERO);
        assert_eq!(known, Place::Known);
    }

    #[test]
    fn a_block_replaces_what_is_not_its_ancestor() {
        let mut links = chain();
        let place = links.place(block(7, 2), block(6, 1).hash);
        let replaced = [7, 8, 9].map(|number| block(number, 1)).to_vec();
        assert_eq!(place, Place::OnTop { replaced });
        links.put(block(7, 2));
        assert_eq!(links.head(), Some(block(7, 2)));
        assert_eq!(links.first(), Some(block(5, 1)));
        assert_eq!(links.number(&block(8, 1).hash), None);
        assert_eq!(links.number(&block(7, 2).hash), Some(7));

        // Below the oldest nothing is known.
        let place = links.place(block(5, 3), block(4, 3).hash);
        assert!(matches!(place, Place::OnTop { replaced } if replaced.len() == 3));
        links.put(block(5, 3));
        assert_eq!(
            (links.first(), links.head()),
            (Some(block(5, 3)), Some(block(5, 3)))
        );
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut links = chain();
        links.drop_first();
        assert_eq!(links.first(), Some(block(6, 1)));
        assert_eq!((links.len(), links.number(&block(5, 1).hash)), (4, None));
    }
}
