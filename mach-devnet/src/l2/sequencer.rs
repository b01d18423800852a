//! The one who makes the rollup's blocks.

use alloy_primitives::BlockNumber;

use super::{Lie, Optimism, Traffic, UserDeposit};
use crate::chain::{Chain, ChainError};

/// A handle to the rollup's sequencer; clones share it.
///
/// ```
/// # use mach_devnet::{Devnet, Lie};
/// # fn main() -> Result<(), mach_devnet::ChainError> {
/// let devnet = Devnet::new()?;
/// devnet.sequencer().lie_next(Lie::GasUsed);
/// let number = devnet.sequencer().produce()?;
/// assert_eq!(number, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sequencer {
    chain: Chain<Optimism>,
    traffic: Traffic,
}

impl Sequencer {
    /// The sequencer of a rollup.
    pub(crate) const fn new(chain: Chain<Optimism>) -> Self {
        Self {
            chain,
            traffic: Traffic::new(),
        }
    }

    /// The rollup.
    pub const fn chain(&self) -> &Chain<Optimism> {
        &self.chain
    }

    /// Makes a block with the background traffic and what else waits. Gives its number.
    ///
    /// Errors: [`ChainError`].
    pub fn produce(&self) -> Result<BlockNumber, ChainError> {
        self.traffic.send(&self.chain)?;
        self.chain.mine()
    }

    /// Makes a block with only what waits. Gives its number.
    ///
    /// Errors: [`ChainError`].
    pub fn produce_quiet(&self) -> Result<BlockNumber, ChainError> {
        self.chain.mine()
    }

    /// Replaces the newest `depth` blocks by as many others and gives the number of the newest.
    ///
    /// The first of the new blocks has the signed transactions of the old ones.
    ///
    /// Errors: [`ChainError`].
    pub fn reorg(&self, depth: u64) -> Result<BlockNumber, ChainError> {
        let head = self.chain.head();
        let ancestor = head.saturating_sub(depth);
        self.chain.rewind(ancestor)?;
        self.traffic.send_once(&self.chain)?;
        for _ in ancestor..head {
            self.produce()?;
        }
        Ok(self.chain.head())
    }

    /// Tells `lie` in the next block that can carry it: some need a signed transaction, which the
    /// background traffic supplies. Several lies are told one block each, in their order.
    pub fn lie_next(&self, lie: Lie) {
        self.chain.role().sequencing().lies.push_back(lie);
    }

    /// Puts a deposit into the next block, behind the L1 attributes.
    pub fn deposit(&self, deposit: UserDeposit) {
        self.chain.role().sequencing().deposits.push(deposit);
    }
}
