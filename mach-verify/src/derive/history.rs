//! Blocks that are derived already, as far back as a span batch can reach.

use std::collections::VecDeque;

use alloy_primitives::{B256, BlockNumber, Bytes, Keccak256};
use mach_core::L2Block;

use crate::op::Parent;

/// What is compared of a block that a span batch says again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PastBlock {
    pub(super) number: BlockNumber,
    pub(super) hash: B256,
    parent_hash: B256,
    /// Height of the L1 origin.
    pub(super) origin: BlockNumber,
    /// Digest of the transactions that are no deposits.
    pub(super) transactions: B256,
}

impl PastBlock {
    pub(super) fn of(parent: &Parent, block: &L2Block) -> Self {
        let sequenced = block
            .transactions
            .iter()
            .skip_while(|transaction| is_deposit(transaction));
        Self {
            number: block.number(),
            hash: block.hash(),
            parent_hash: block.header.parent_hash,
            origin: parent.origin.number,
            transactions: digest(sequenced),
        }
    }
}

/// Whether the EIP-2718 bytes are those of a deposit.
pub(super) fn is_deposit(transaction: &Bytes) -> bool {
    transaction.first() == Some(&op_alloy_consensus::DEPOSIT_TX_TYPE_ID)
}

/// One hash for a list of transactions.
pub(super) fn digest<'a>(transactions: impl IntoIterator<Item = &'a Bytes>) -> B256 {
    let mut hasher = Keccak256::new();
    for transaction in transactions {
        hasher.update((transaction.len() as u64).to_be_bytes());
        hasher.update(transaction);
    }
    hasher.finalize()
}

/// Consecutive blocks up to the one that is derived next, at 112 bytes each.
#[derive(Clone, Debug)]
pub(super) struct History {
    blocks: VecDeque<PastBlock>,
}

impl History {
    pub(super) fn new(head: PastBlock) -> Self {
        Self {
            blocks: [head].into(),
        }
    }

    /// The block at this height, if it is kept.
    pub(super) fn get(&self, number: BlockNumber) -> Option<&PastBlock> {
        let first = self.blocks.front()?.number;
        self.blocks
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Height of the block before all that are kept; `None` if they begin with the first there is.
    pub(super) fn next_ancestor(&self) -> Option<BlockNumber> {
        self.blocks.front()?.number.checked_sub(1)
    }

    /// Height of the L1 origin of the first block that is kept.
    pub(super) fn first_origin(&self) -> BlockNumber {
        self.blocks.front().map_or(0, |first| first.origin)
    }

    /// Puts `block` before all others. `false` if it is not the parent of the first.
    pub(super) fn prepend(&mut self, block: PastBlock) -> bool {
        let is_parent = self
            .blocks
            .front()
            .is_some_and(|first| first.parent_hash == block.hash);
        if is_parent {
            self.blocks.push_front(block);
        }
        is_parent
    }

    /// Puts the child of the last block behind it, and forgets those whose L1 origin lies before
    /// `oldest_origin`.
    pub(super) fn push(&mut self, block: PastBlock, oldest_origin: BlockNumber) {
        self.blocks.push_back(block);
        while self.blocks.len() > 1
            && self
                .blocks
                .front()
                .is_some_and(|first| first.origin < oldest_origin)
        {
            self.blocks.pop_front();
        }
    }
}
