//! The branch of a chain that was looked at last, and where a source leaves it.

use std::collections::VecDeque;

use alloy_primitives::BlockNumber;
use mach_core::{
    BlockRef, L2Block,
    ports::{L2Source, SourceError},
};

/// The newest blocks of one branch, each the parent of the next, and a note on each.
///
/// For whoever follows a chain by height: a block that does not name the one before it belongs to
/// another branch, and [`Self::fork`] asks the source where that one begins.
#[derive(Clone, Debug)]
pub struct Branch<T> {
    blocks: VecDeque<Known<T>>,
    limit: usize,
    /// Parent of the oldest block. It stays when all blocks are rewound.
    root: Option<BlockRef>,
    /// Note on it.
    base: T,
}

#[derive(Clone, Debug)]
struct Known<T> {
    block: BlockRef,
    note: T,
}

/// How a block of a source stands to a [`Branch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// It follows the newest block, or there is none.
    Next,
    /// The source is on another branch, and this is the height of the last block that both share.
    At(BlockNumber),
    /// Both part before the oldest block that is known.
    Deeper,
    /// The source does not give the block that this one names as its parent, or an ancestor of it:
    /// it lies, or changes its branch at this moment.
    Unlinked,
}

impl<T: Clone> Branch<T> {
    /// A branch without blocks that will know the newest `limit`. `base` is the note on the parent
    /// of its first block.
    pub fn new(limit: usize, base: T) -> Self {
        Self {
            blocks: VecDeque::new(),
            limit: limit.max(1),
            root: None,
            base,
        }
    }

    /// The block that the next one has to follow: the newest, or after a rewind of all blocks the
    /// parent of the first.
    pub fn tip(&self) -> Option<BlockRef> {
        self.blocks.back().map_or(self.root, |it| Some(it.block))
    }

    /// Height of the oldest block.
    pub fn first(&self) -> Option<BlockNumber> {
        self.blocks.front().map(|known| known.block.number)
    }

    /// The block at this height, if it is known.
    pub fn get(&self, number: BlockNumber) -> Option<BlockRef> {
        let index = usize::try_from(number.checked_sub(self.first()?)?).ok()?;
        Some(self.blocks.get(index)?.block)
    }

    /// Note on the newest block, or that on the parent of the first.
    pub fn note(&self) -> &T {
        self.blocks.back().map_or(&self.base, |known| &known.note)
    }

    /// Adds a block. One that does not follow the newest starts the branch anew, and `base` is what
    /// is noted on its parent.
    pub fn push(&mut self, block: &L2Block, note: T, base: impl FnOnce() -> T) {
        let parent = block.header.parent_hash;
        let is_next = (self.tip()).is_none_or(|tip| {
            tip.hash == parent && tip.number.checked_add(1) == Some(block.number())
        });
        if !is_next {
            self.blocks.clear();
            self.base = base();
        }
        if self.blocks.is_empty() {
            let hash = parent;
            let number = block.number().checked_sub(1);
            self.root = number.map(|number| BlockRef { number, hash });
        }
        self.blocks.push_back(Known {
            block: block.reference(),
            note,
        });
        if self.blocks.len() > self.limit
            && let Some(oldest) = self.blocks.pop_front()
        {
            self.root = Some(oldest.block);
            self.base = oldest.note;
        }
    }

    /// Forgets the blocks above `number`. Returns how many.
    ///
    /// The parent of the first block stays known as long as it is not above `number` itself.
    pub fn rewind(&mut self, number: BlockNumber) -> usize {
        let before = self.blocks.len();
        let is_above = |known: &Known<T>| known.block.number > number;
        while self.blocks.back().is_some_and(is_above) {
            self.blocks.pop_back();
        }
        self.root = self.root.filter(|root| root.number <= number);
        before - self.blocks.len()
    }

    /// Walks from `block` through the ancestors that `source` has, to the first that is known here.
    ///
    /// Asks for no block that is known, and for no more than the branch has.
    ///
    /// Errors: [`SourceError`] of the source.
    pub async fn fork(
        &self,
        source: &(impl L2Source + ?Sized),
        block: &L2Block,
    ) -> Result<Fork, SourceError> {
        let Some(tip) = self.tip() else {
            return Ok(Fork::Next);
        };
        let mut parent = block.header.parent_hash;
        let mut height = block.number();
        let below = |known: &&Known<T>| known.block.number < block.number();
        for known in self.blocks.iter().rev().filter(below) {
            if known.block.number + 1 != height {
                return Ok(Fork::Unlinked);
            }
            if known.block.hash == parent {
                return Ok(Fork::of(known.block, tip));
            }
            let theirs = source.block(known.block.number).await?;
            if theirs.hash() != parent {
                return Ok(Fork::Unlinked);
            }
            parent = theirs.header.parent_hash;
            height = known.block.number;
        }
        Ok(match self.root {
            // Only after a rewind of all blocks: those between are not known.
            Some(root) if height > root.number + 1 => Fork::Unlinked,
            Some(root) if height == root.number + 1 && parent == root.hash => Fork::of(root, tip),
            _ => Fork::Deeper,
        })
    }
}

impl Fork {
    /// Leaving a branch with this tip at a block that is on it.
    fn of(shared: BlockRef, tip: BlockRef) -> Self {
        match shared == tip {
            true => Self::Next,
            false => Self::At(shared.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use alloy_consensus::Header;
    use async_trait::async_trait;
    use mach_core::ports::L2Head;

    use super::*;

    /// A source with one block a height, which remembers what it was asked for.
    #[derive(Default)]
    struct Chain {
        blocks: Vec<L2Block>,
        asked: Mutex<Vec<BlockNumber>>,
    }

    impl Chain {
        /// Blocks 0 to `last`, those from `from` on with another timestamp than in other chains.
        fn new(last: u64, from: u64, salt: u64) -> Self {
            let mut blocks: Vec<L2Block> = Vec::new();
            for number in 0..=last {
                let header = Header {
                    number,
                    parent_hash: blocks.last().map(L2Block::hash).unwrap_or_default(),
                    timestamp: if number < from { 0 } else { salt },
                    ..Default::default()
                };
                blocks.push(L2Block::new(10, header, Vec::new()));
            }
            Self {
                blocks,
                asked: Mutex::default(),
            }
        }
    }

    #[async_trait]
    impl L2Source for Chain {
        fn chain_id(&self) -> u64 {
            10
        }

        async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
            unreachable!("nobody asks")
        }

        async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
            self.asked.lock().unwrap().push(number);
            let block = self.blocks.get(usize::try_from(number).unwrap());
            block.cloned().ok_or(SourceError::NotYet(number))
        }
    }

    /// The branch of blocks `first` to `last` of a chain; the note is the height.
    fn branch(chain: &Chain, first: usize, last: usize, limit: usize) -> Branch<u64> {
        let mut branch = Branch::new(limit, 0);
        for block in &chain.blocks[first..=last] {
            branch.push(block, block.number(), || panic!("no gap"));
        }
        branch
    }

    #[tokio::test]
    async fn a_block_that_follows_costs_no_question() {
        let chain = Chain::new(6, 9, 0);
        let branch = branch(&chain, 1, 5, 100);
        let fork = branch.fork(&chain, &chain.blocks[6]).await.unwrap();
        assert_eq!(fork, Fork::Next);
        assert!(chain.asked.lock().unwrap().is_empty());
        let empty = Branch::new(1, ());
        let fork = empty.fork(&chain, &chain.blocks[6]).await.unwrap();
        assert_eq!(fork, Fork::Next);
    }

    #[tokio::test]
    async fn the_fork_is_the_last_block_that_both_have() {
        let ours = Chain::new(9, 99, 0);
        // First block of the other branch; what is found; who is asked for on the way.
        for (from, expected, asked) in [
            (9, Fork::Next, vec![]),
            (8, Fork::At(7), vec![8]),
            (5, Fork::At(4), vec![8, 7, 6, 5]),
            // Our branch starts with block 3 on the block that the other branch has too.
            (3, Fork::At(2), vec![8, 7, 6, 5, 4, 3]),
            (2, Fork::Deeper, vec![8, 7, 6, 5, 4, 3]),
        ] {
            let theirs = Chain::new(9, from, 7);
            let branch = branch(&ours, 3, 8, 100);
            let fork = branch.fork(&theirs, &theirs.blocks[9]).await.unwrap();
            assert_eq!(fork, expected, "{from}");
            assert_eq!(*theirs.asked.lock().unwrap(), asked, "{from}");
        }
    }

    /// The head went back: the block to compare lies below our newest.
    #[tokio::test]
    async fn a_shorter_branch_has_its_fork_too() {
        let ours = Chain::new(9, 99, 0);
        let branch = branch(&ours, 1, 9, 100);
        for (from, expected) in [(6, Fork::At(5)), (4, Fork::At(3))] {
            let theirs = Chain::new(6, from, 7);
            let fork = branch.fork(&theirs, &theirs.blocks[6]).await.unwrap();
            assert_eq!(fork, expected);
        }
        // Our own block 6: the source has not gone elsewhere, only back.
        let fork = branch.fork(&ours, &ours.blocks[6]).await.unwrap();
        assert_eq!(fork, Fork::At(5));
    }

    #[tokio::test]
    async fn a_source_that_does_not_have_the_parent_contradicts_itself() {
        let chain = Chain::new(9, 99, 0);
        let branch = branch(&chain, 1, 8, 100);
        let orphan = &Chain::new(9, 3, 7).blocks[9];
        let fork = branch.fork(&chain, orphan).await.unwrap();
        assert_eq!(fork, Fork::Unlinked);
        // A gap cannot be judged either.
        let far = &Chain::new(12, 99, 0).blocks[12];
        let fork = branch.fork(&chain, far).await.unwrap();
        assert_eq!(fork, Fork::Unlinked);
    }

    /// The parent of the first block is as binding as any block: what does not follow it is no
    /// beginning of another branch that would pass for the same.
    #[tokio::test]
    async fn what_follows_after_a_rewind_of_all_blocks_has_to_follow_the_parent_of_the_first() {
        let ours = Chain::new(9, 99, 0);
        let mut branch = branch(&ours, 3, 8, 100);
        assert_eq!(branch.rewind(2), 6);
        for (first, at, expected) in [
            // The first block that differs, the block that comes, how it stands.
            (99, 3, Fork::Next),
            (3, 3, Fork::Next),
            (2, 3, Fork::Deeper),
            (2, 2, Fork::Deeper),
            (99, 5, Fork::Unlinked),
        ] {
            let theirs = Chain::new(9, first, 7);
            let fork = branch.fork(&theirs, &theirs.blocks[at]).await.unwrap();
            assert_eq!(fork, expected, "{first} {at}");
        }
        // Its note is not that of a block that follows another parent.
        let mut other = branch.clone();
        other.push(&Chain::new(9, 2, 7).blocks[3], 3, || 77);
        assert_eq!((other.rewind(2), *other.note()), (1, 77));
        branch.push(&ours.blocks[3], 3, || panic!("it follows"));
        // Below the parent nothing is known.
        assert_eq!((branch.rewind(1), branch.tip()), (1, None));
    }

    #[test]
    fn notes_follow_the_window() {
        let chain = Chain::new(9, 99, 0);
        let mut branch = branch(&chain, 1, 8, 3);
        assert_eq!(branch.get(5), None);
        assert_eq!(branch.get(6), Some(chain.blocks[6].reference()));
        assert_eq!(branch.get(9), None);
        assert_eq!((branch.rewind(6), *branch.note()), (2, 6));
        // Back to the parent of the oldest, whose note has outlived it.
        assert_eq!((branch.rewind(5), *branch.note()), (1, 5));
        assert_eq!(branch.tip(), Some(chain.blocks[5].reference()));
        assert_eq!((branch.first(), branch.get(5)), (None, None));
        branch.push(&chain.blocks[6], 60, || panic!("nothing was there"));
        branch.push(&chain.blocks[9], 90, || 80);
        assert_eq!((branch.rewind(8), *branch.note()), (1, 80));
    }
}
