//! Blocks by number and by hash.

use std::{collections::HashMap, sync::Arc};

use alloy_consensus::transaction::TxHashRef;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;

use super::{block::Block, role::Rules, settling::Settling};

/// The canonical chain. It always has at least its genesis block.
#[derive(Debug)]
pub(crate) struct Ledger<R: Rules> {
    genesis: Arc<Block<R>>,
    /// Blocks from number 1 on.
    rest: Vec<Arc<Block<R>>>,
    by_hash: HashMap<B256, u64>,
    transactions: HashMap<B256, (u64, usize)>,
    pub(super) settling: Settling,
}

impl<R: Rules> Ledger<R> {
    pub(crate) fn new(genesis: Block<R>) -> Self {
        let by_hash = HashMap::from([(genesis.hash(), 0)]);
        Self {
            genesis: Arc::new(genesis),
            rest: Vec::new(),
            by_hash,
            transactions: HashMap::new(),
            settling: Settling::default(),
        }
    }

    /// Appends a block whose number is the head's plus one.
    pub(crate) fn push(&mut self, block: Block<R>) -> Arc<Block<R>> {
        let number = block.number();
        self.by_hash.insert(block.hash(), number);
        for (index, transaction) in block.transactions.iter().enumerate() {
            self.transactions
                .insert(*transaction.tx_hash(), (number, index));
        }
        let block = Arc::new(block);
        self.rest.push(Arc::clone(&block));
        block
    }

    /// Forgets all blocks above `number`, and gives them back in their order.
    pub(crate) fn truncate(&mut self, number: u64) -> Vec<Arc<Block<R>>> {
        let keep = usize::try_from(number)
            .unwrap_or(usize::MAX)
            .min(self.rest.len());
        let removed = self.rest.split_off(keep);
        for block in &removed {
            self.by_hash.remove(&block.hash());
            for transaction in &block.transactions {
                self.transactions.remove(transaction.tx_hash());
            }
        }
        removed
    }

    pub(crate) fn head(&self) -> &Arc<Block<R>> {
        self.rest.last().unwrap_or(&self.genesis)
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<Block<R>>> {
        match number.checked_sub(1) {
            None => Some(&self.genesis),
            Some(index) => self.rest.get(usize::try_from(index).ok()?),
        }
    }

    pub(crate) fn block_by_hash(&self, hash: &B256) -> Option<&Arc<Block<R>>> {
        self.block(*self.by_hash.get(hash)?)
    }

    /// Number of a tag.
    pub(crate) fn resolve(&self, tag: BlockNumberOrTag) -> u64 {
        self.settling.height(tag, self.head().number())
    }

    pub(crate) fn by_id(&self, id: BlockId) -> Option<&Arc<Block<R>>> {
        match id {
            BlockId::Hash(hash) => self.block_by_hash(&hash.block_hash),
            BlockId::Number(tag) => self.block(self.resolve(tag)),
        }
    }

    /// Block of a transaction and the transaction's index in it.
    pub(crate) fn transaction(&self, hash: &B256) -> Option<(&Arc<Block<R>>, usize)> {
        let (number, index) = self.transactions.get(hash)?;
        Some((self.block(*number)?, *index))
    }
}
