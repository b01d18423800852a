//! ZK mode on L1: alerts that a proof decides, or the EVM by itself.

pub mod abi;
mod client;
mod deploy;
mod descent;
mod journal;

pub use client::{Raise, RaiseError, ZkServiceManager};
pub use deploy::{Verifier, ZkBlockTimes, ZkConfig, ZkProgram, ZkRules, deploy_verifier};
