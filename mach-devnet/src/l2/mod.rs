//! An OP Stack rollup whose sequencer can be told to lie.

mod asm;
mod deposit;
mod l1_info;
mod lie;
mod optimism;
mod origin;
mod output;
mod predeploys;
mod rpc_types;
mod rules;
mod sequencer;
mod traffic;

use alloy_primitives::{Address, address};

pub use deposit::UserDeposit;
pub use l1_info::{FeeConfig, L1Origin};
pub use lie::{Lie, UnknownLie};
pub use optimism::{Optimism, OptimismFork};
pub use origin::L1View;
pub use predeploys::{
    BASE_FEE_VAULT, L1_BLOCK, L1_FEE_VAULT, MESSAGE_PASSER, OPERATOR_FEE_VAULT,
    SEQUENCER_FEE_VAULT, STORE,
};
pub use sequencer::Sequencer;
pub use traffic::Traffic;

use crate::chain::Genesis;

/// Who would post the rollup's data on L1.
pub(crate) const BATCHER: Address = address!("00000000000000000000000000000000ba7c4e00");

/// Genesis of a rollup: development accounts, system contracts and predeploys.
pub(crate) fn genesis(fork: OptimismFork, timestamp: u64, block_time: u64) -> Genesis {
    let mut genesis = Genesis::new(timestamp, block_time);
    predeploys::deploy(&mut genesis);
    genesis.extra_data = Optimism::extra_data(fork);
    genesis
}
