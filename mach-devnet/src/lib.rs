#![doc = include_str!("../README.md")]

mod accounts;
mod chain;
mod devnet;
mod genesis_file;
mod l2;
mod rpc;
#[cfg(feature = "stack")]
pub mod stack;

pub use accounts::{DEV_ACCOUNTS, DEV_MNEMONIC, DevAccount};
pub use chain::{
    Chain, ChainError, Ethereum, EthereumFork, GENESIS_BALANCE, Genesis, GenesisFields, Mining,
    PoolError, Role, Settling,
};
pub use devnet::{Devnet, DevnetConfig, DevnetServers, RunningDevnet};
pub use l2::{
    BASE_FEE_VAULT, BATCH_INBOX, BATCHER, BatchKind, Batcher, BatcherConfig, Check, Compression,
    DISPUTE_GAME_FACTORY, DataAvailability, FeeConfig, ForkSchedule, L1_BLOCK, L1_FEE_VAULT,
    L1Origin, L1View, L2_OUTPUT_ORACLE, Lie, MESSAGE_PASSER, OPERATOR_FEE_VAULT, OPTIMISM_PORTAL,
    Optimism, OptimismFork, PROPOSER, Proposer, ROLLUP_OWNER, SEQUENCER_FEE_VAULT, STORE,
    SYSTEM_CONFIG, Sequencer, SystemChange, SystemConfig, Traffic, UnknownLie, UserDeposit,
};
pub use rpc::{DevnetTransport, RpcError, RpcServer, ServeError};
