//! An OP Stack rollup whose sequencer can be told to lie.

mod asm;
mod batcher;
mod contracts;
mod deposit;
mod epoch;
mod fork;
mod l1_info;
mod lie;
mod optimism;
mod output;
mod predeploys;
mod proposer;
mod rpc_types;
mod rules;
mod sequencer;
mod system_config;
mod traffic;
mod varied;

pub use batcher::{BatchKind, Batcher, BatcherConfig, Compression, DataAvailability};
pub use contracts::{
    BATCH_INBOX, BATCHER, DISPUTE_GAME_FACTORY, L2_OUTPUT_ORACLE, OPTIMISM_PORTAL, PROPOSER,
    ROLLUP_OWNER, SYSTEM_CONFIG,
};
pub use deposit::{SystemChange, UserDeposit};
pub use epoch::L1View;
pub use fork::{ForkSchedule, OptimismFork};
pub use l1_info::{FeeConfig, L1Origin};
pub use lie::{Check, Lie, UnknownLie};
pub use optimism::Optimism;
pub use predeploys::{
    BASE_FEE_VAULT, L1_BLOCK, L1_FEE_VAULT, MESSAGE_PASSER, OPERATOR_FEE_VAULT,
    SEQUENCER_FEE_VAULT, STORE,
};
pub use proposer::Proposer;
pub use sequencer::Sequencer;
pub use system_config::SystemConfig;
pub use traffic::Traffic;

pub(crate) use contracts::{ContractsConfig, deploy as deploy_contracts};
pub(crate) use epoch::Epoch;

use crate::chain::Genesis;

/// Genesis of a rollup: development accounts, system contracts and predeploys.
pub(crate) fn genesis(
    fork: OptimismFork,
    config: &SystemConfig,
    timestamp: u64,
    block_time: u64,
) -> Genesis {
    let mut genesis = Genesis::new(timestamp, block_time);
    predeploys::deploy(&mut genesis, fork);
    genesis.gas_limit = config.gas_limit;
    genesis.extra_data = Optimism::extra_data(fork, config);
    genesis
}
