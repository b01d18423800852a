//! What L1 says of a rollup block: its L1 attributes, deposits, upgrades and configuration.
//!
//! Pure and synchronous. [`RollupConfig`] is op-node's `rollup.json`, [`Rollup`] the configuration
//! with the rules of both chains; [`BlockAttributes`] is what a block on a [`Parent`] with a given
//! L1 origin has to be, whatever its sequencer puts behind it.

mod attributes;
mod check;
mod config;
mod deposits;
mod error;
mod evidence;
mod known;
mod l1_attributes;
mod parent;
mod receipts;
mod system_config;
mod upgrades;
mod validator;

pub use attributes::{BlockAttributes, SEQUENCER_FEE_VAULT};
pub(crate) use check::{Basis, judge_against_l1};
pub use check::{L1View, verify_against_l1};
pub(crate) use config::bounded_config;
pub use config::{ChainOpConfig, ForkTimes, Rollup, RollupConfig, RollupGenesis};
pub use deposits::{DEPOSIT_EVENT, DepositError, user_deposits};
pub use error::L1Error;
pub use evidence::{L1Evidence, L1EvidenceError, L1Facts};
pub use l1_attributes::{
    AttributesError, AttributesFormat, L1_ATTRIBUTES_DEPOSITOR, L1_BLOCK, L1Attributes,
};
pub use parent::Parent;
pub use receipts::{ReceiptsError, proven_receipts};
pub use system_config::{CONFIG_UPDATE_EVENT, SystemConfig};
pub use upgrades::{UpgradeTransaction, upgrade_transactions};
pub(crate) use validator::is_stood_by;
pub use validator::{OpL1Validator, Settlement};
