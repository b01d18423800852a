//! The one who makes the rollup's blocks.

use alloy_primitives::{BlockNumber, U256};

use super::{
    L1View, Lie, OPTIMISM_PORTAL, Optimism, ROLLUP_OWNER, SYSTEM_CONFIG, SystemChange, Traffic,
    UserDeposit,
};
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
    pub(crate) const fn new(chain: Chain<Optimism>, traffic: Traffic) -> Self {
        Self { chain, traffic }
    }

    /// The rollup.
    pub const fn chain(&self) -> &Chain<Optimism> {
        &self.chain
    }

    /// Makes a block with the background traffic and what else waits. Gives its number.
    ///
    /// Errors: [`ChainError`].
    pub fn produce(&self) -> Result<BlockNumber, ChainError> {
        if let Some(deposit) = self.traffic.deposit(&self.chain) {
            self.deposit(deposit)?;
        }
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

    /// Lies that wait for a block that can carry them.
    pub fn untold(&self) -> usize {
        self.chain.role().sequencing().lies.len()
    }

    /// Makes a deposit on L1. It is in the first rollup block that follows the L1 block of its
    /// transaction; where L1 is made up, in the next rollup block.
    ///
    /// Errors: [`ChainError::Pool`].
    pub fn deposit(&self, deposit: UserDeposit) -> Result<(), ChainError> {
        let role = self.chain.role();
        match role.l1() {
            L1View::Chain(l1) => {
                let (value, input) = (U256::from(deposit.mint), deposit.to_calldata());
                l1.transact(&deposit.from, OPTIMISM_PORTAL, value, input)?;
            }
            L1View::Invented { .. } => role.sequencing().deposits.push(deposit),
        }
        Ok(())
    }

    /// Lets the owner change `SystemConfig` on L1. It holds from the first rollup block on that
    /// follows the L1 block of its transaction; where L1 is made up, it never does.
    ///
    /// Errors: [`ChainError::Pool`].
    pub fn configure(&self, change: SystemChange) -> Result<(), ChainError> {
        if let L1View::Chain(l1) = self.chain.role().l1() {
            let input = change.to_calldata();
            l1.transact(&ROLLUP_OWNER, SYSTEM_CONFIG, U256::ZERO, input)?;
        }
        Ok(())
    }
}
