//! Who claims output roots on L1.

use alloy_primitives::{BlockNumber, U256};
use alloy_sol_types::{SolCall, SolValue};

use super::{
    DISPUTE_GAME_FACTORY, L2_OUTPUT_ORACLE, Optimism, PROPOSER,
    contracts::{createCall, proposeL2OutputCall},
};
use crate::chain::{Chain, ChainError, Ethereum};

/// Type of the dispute games, that of permissionless ones.
const GAME_TYPE: u32 = 0;

/// Proposes output roots of the rollup, in the oracle and as dispute games; clones are alike.
///
/// It proposes what [`Chain::claimed_output_root`] claims, so it tells the sequencer's lies.
#[derive(Clone, Debug)]
pub struct Proposer {
    l1: Chain<Ethereum>,
    l2: Chain<Optimism>,
    interval: u64,
}

impl Proposer {
    pub(crate) const fn new(l1: Chain<Ethereum>, l2: Chain<Optimism>, interval: u64) -> Self {
        Self { l1, l2, interval }
    }

    /// Rollup blocks between proposals.
    pub const fn interval(&self) -> u64 {
        self.interval
    }

    /// Proposes the output root of a block in both contracts.
    ///
    /// The oracle takes multiples of the interval only, in their order, and not before their time
    /// has come on L1.
    ///
    /// Errors: [`ChainError`].
    pub fn propose(&self, number: BlockNumber) -> Result<(), ChainError> {
        let Some(root) = self.l2.claimed_output_root(number)? else {
            return Ok(());
        };
        let propose = proposeL2OutputCall {
            outputRoot: root,
            l2BlockNumber: U256::from(number),
            l1BlockHash: Default::default(),
            l1BlockNumber: U256::ZERO,
        };
        let create = createCall {
            gameType: GAME_TYPE,
            rootClaim: root,
            extraData: U256::from(number).abi_encode().into(),
        };
        for (to, input) in [
            (L2_OUTPUT_ORACLE, propose.abi_encode()),
            (DISPUTE_GAME_FACTORY, create.abi_encode()),
        ] {
            (self.l1).transact(&PROPOSER, to, U256::ZERO, input.into())?;
        }
        Ok(())
    }
}
