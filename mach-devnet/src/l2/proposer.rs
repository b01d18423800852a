//! Who claims output roots on L1.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_eips::BlockNumberOrTag;
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
    /// Newest block that was proposed because it was time.
    proposed: Arc<AtomicU64>,
}

impl Proposer {
    pub(crate) fn new(l1: Chain<Ethereum>, l2: Chain<Optimism>, interval: u64) -> Self {
        Self {
            l1,
            l2,
            interval: interval.max(1),
            proposed: Arc::default(),
        }
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
        for transaction in self.transactions(number)? {
            self.l1.send(transaction)?;
        }
        Ok(())
    }

    /// Proposes the next block of the interval for a later L1 block, if it is safe.
    pub(crate) fn propose_safe(&self) -> Result<(), ChainError> {
        let next = self.proposed.load(Ordering::Relaxed) + self.interval;
        let safe = self.l2.block(BlockNumberOrTag::Safe.into());
        if safe.is_none_or(|safe| safe.number() < next) {
            return Ok(());
        }
        for transaction in self.transactions(next)? {
            self.l1.enqueue(transaction)?;
        }
        self.proposed.store(next, Ordering::Relaxed);
        Ok(())
    }

    /// The transactions that propose a block; none if it is not there.
    fn transactions(&self, number: BlockNumber) -> Result<Vec<Recovered<TxEnvelope>>, ChainError> {
        let Some(root) = self.l2.claimed_output_root(number)? else {
            return Ok(Vec::new());
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
        let calls = [
            (L2_OUTPUT_ORACLE, propose.abi_encode()),
            (DISPUTE_GAME_FACTORY, create.abi_encode()),
        ];
        self.l1.calls(&PROPOSER, calls)
    }
}
