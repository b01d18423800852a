//! Which rules hold when.

mod genesis;
mod known;
mod rollup;
mod wire;

use std::borrow::Cow;

use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, BlockNumber, ChainId};
use serde::{Deserialize, Serialize};

pub use genesis::SpecError;

/// Family of rules that a chain belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stack {
    /// Ethereum itself, and chains that copy its forks.
    Ethereum,
    /// OP Stack from Bedrock on: deposits, L1 fees, vaults.
    Optimism,
}

/// Why the rules of a block are not known.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A fork is active that this version does not know.
    #[error("fork {name} is active and not known")]
    Fork {
        /// Name of the fork.
        name: String,
    },
    /// The block lies before the first fork that is known.
    #[error("rules before {name} are not known")]
    Before {
        /// First fork that is known.
        name: &'static str,
    },
    /// The header has a field of a fork that this version does not know.
    #[error("header field {0} belongs to a fork that is not known")]
    HeaderField(&'static str),
    /// A transaction has a type that the chain added and that is not known.
    #[error("transaction {index} has type {kind:#04x}, which is not known")]
    TransactionType {
        /// Position in the block, from 0.
        index: u64,
        /// EIP-2718 type byte.
        kind: u8,
    },
    /// The chain extends its stack in ways that are not known, and the block may use them.
    #[error("the chain extends its stack ({0}), and the block may rely on that")]
    Extensions(Cow<'static, str>),
    /// The block contradicts the rules at a time at which forks may be active that nobody had
    /// announced when this version was released.
    #[error("forks after timestamp {0} are not known, and the block may follow one")]
    Horizon(u64),
}

/// Everything about a chain that its blocks do not say: forks, fees, blob schedule.
///
/// Forks are [`ForkCondition`]s; what is not given never activates. Built-in chains are
/// [`Self::known`]; a geth or op-geth genesis file gives [`Self::from_genesis`], op-node's
/// `rollup.json` [`Self::from_rollup_config`]; the rest is
/// built with [`Self::ethereum`] or [`Self::optimism`] and `with_*`. Rules are serialized whole, so that
/// evidence can carry them, and [`Self::hash`] names them.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainSpec {
    chain_id: ChainId,
    stack: Stack,
    ethereum: Vec<(EthereumHardfork, ForkCondition)>,
    optimism: Vec<(OpHardfork, ForkCondition)>,
    foreign: Vec<(String, ForkCondition)>,
    base_fee: BaseFeeParams,
    base_fee_canyon: BaseFeeParams,
    base_fee_floor: u64,
    blobs: Vec<(u64, BlobParams)>,
    deposit_contract: Option<Address>,
    extensions: Option<Cow<'static, str>>,
    horizon: Option<u64>,
    azul: ForkCondition,
}

impl ChainSpec {
    /// An Ethereum chain without any fork after Frontier.
    pub const fn ethereum(chain_id: ChainId) -> Self {
        Self {
            chain_id,
            stack: Stack::Ethereum,
            ethereum: Vec::new(),
            optimism: Vec::new(),
            foreign: Vec::new(),
            base_fee: BaseFeeParams::ethereum(),
            base_fee_canyon: BaseFeeParams::ethereum(),
            base_fee_floor: 0,
            blobs: Vec::new(),
            deposit_contract: None,
            extensions: None,
            horizon: None,
            azul: ForkCondition::Never,
        }
    }

    /// An OP Stack chain that starts with Bedrock, without any fork after it.
    pub fn optimism(chain_id: ChainId) -> Self {
        Self {
            stack: Stack::Optimism,
            base_fee: BaseFeeParams::optimism(),
            base_fee_canyon: BaseFeeParams::optimism_canyon(),
            ..Self::ethereum(chain_id)
        }
        .with_op_fork(OpHardfork::Bedrock, ForkCondition::Block(0))
    }

    /// The same chain with one Ethereum fork more, or at another time.
    ///
    /// The Ethereum forks of an OP Stack chain follow from its OP forks; this has no effect there.
    #[must_use]
    pub fn with_fork(mut self, fork: EthereumHardfork, condition: ForkCondition) -> Self {
        self.ethereum.retain(|(known, _)| *known != fork);
        self.ethereum.push((fork, condition));
        self
    }

    /// The same chain with every Ethereum fork up to and including `last` active from block 0.
    #[must_use]
    pub fn with_forks_from_genesis(mut self, last: EthereumHardfork) -> Self {
        for fork in ETHEREUM_FORKS {
            if *fork > last {
                break;
            }
            let condition = match fork {
                EthereumHardfork::Dao => continue,
                fork if *fork >= EthereumHardfork::Shanghai => ForkCondition::Timestamp(0),
                _ => ForkCondition::Block(0),
            };
            self = self.with_fork(*fork, condition);
            if let Some(params) = default_blob_params(*fork) {
                self = self.with_blob_params(0, params);
            }
        }
        self
    }

    /// The same chain with one OP Stack fork more, or at another time.
    #[must_use]
    pub fn with_op_fork(mut self, fork: OpHardfork, condition: ForkCondition) -> Self {
        self.optimism.retain(|(known, _)| *known != fork);
        self.optimism.push((fork, condition));
        self
    }

    /// The same chain with every OP Stack fork up to and including `last` active from block 0.
    #[must_use]
    pub fn with_op_forks_from_genesis(mut self, last: OpHardfork) -> Self {
        for fork in OP_FORKS {
            if *fork > last {
                break;
            }
            let condition = match fork {
                OpHardfork::Bedrock => ForkCondition::Block(0),
                _ => ForkCondition::Timestamp(0),
            };
            self = self.with_op_fork(*fork, condition);
        }
        self
    }

    /// The same chain with other EIP-1559 parameters: before Canyon (and on Ethereum), and from
    /// Canyon until Holocene puts them into the header.
    #[must_use]
    pub const fn with_base_fee_params(
        mut self,
        params: BaseFeeParams,
        canyon: BaseFeeParams,
    ) -> Self {
        self.base_fee = params;
        self.base_fee_canyon = canyon;
        self
    }

    /// The same chain with a base fee that never falls below `floor`, in wei (Celo).
    #[must_use]
    pub const fn with_base_fee_floor(mut self, floor: u64) -> Self {
        self.base_fee_floor = floor;
        self
    }

    /// The same chain with other blob parameters from `timestamp` on (EIP-7840, EIP-7892).
    #[must_use]
    pub fn with_blob_params(mut self, timestamp: u64, params: BlobParams) -> Self {
        self.blobs.retain(|(known, _)| *known != timestamp);
        self.blobs.push((timestamp, params));
        self.blobs.sort_by_key(|(timestamp, _)| *timestamp);
        self
    }

    /// The same chain with the contract whose logs are deposit requests (EIP-6110).
    #[must_use]
    pub const fn with_deposit_contract(mut self, address: Address) -> Self {
        self.deposit_contract = Some(address);
        self
    }

    /// The same chain with rules beyond its stack that this crate does not know.
    ///
    /// Blocks that hold under the rules of the stack are valid; what contradicts them is an error
    /// and never a fault, since the extension may be the reason.
    #[must_use]
    pub fn with_extensions(mut self, name: &'static str) -> Self {
        self.extensions = Some(Cow::Borrowed(name));
        self
    }

    /// The same chain with a last second until which its forks are known. Without it the schedule
    /// counts as complete.
    ///
    /// Later blocks that hold under the rules that are known are valid; what contradicts them is an
    /// error and never a fault, since a fork may be the reason.
    #[must_use]
    pub const fn with_horizon(mut self, timestamp: u64) -> Self {
        self.horizon = Some(timestamp);
        self
    }

    /// EIP-155 id.
    pub const fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Family of rules.
    pub const fn stack(&self) -> Stack {
        self.stack
    }

    /// Whether this is an OP Stack chain.
    pub const fn is_optimism(&self) -> bool {
        matches!(self.stack, Stack::Optimism)
    }

    /// Rules beyond the stack that are not known, if there are any.
    pub fn extensions(&self) -> Option<&str> {
        self.extensions.as_deref()
    }

    /// Last second until which the forks are known, if there is one.
    pub const fn horizon(&self) -> Option<u64> {
        self.horizon
    }

    /// Why a contradiction at `timestamp` accuses nobody; `None` if it does.
    ///
    /// [`crate::verify_block`] asks itself: a block that contradicts rules in doubt has no verdict. One
    /// that they explain is valid, and what is computed of it, such as its output root, is in doubt too.
    pub fn doubt(&self, timestamp: u64) -> Option<Unsupported> {
        match (&self.extensions, self.horizon) {
            (Some(name), _) => Some(Unsupported::Extensions(name.clone())),
            (None, Some(horizon)) if timestamp > horizon => Some(Unsupported::Horizon(horizon)),
            _ => None,
        }
    }

    /// Whether Base's Azul is active: Osaka's machine on Jovian's rules, and nothing else of Karst.
    ///
    /// Source: Base documentation, "Azul: Execution Engine".
    pub(crate) const fn is_azul_active_at_timestamp(&self, timestamp: u64) -> bool {
        self.azul.active_at_timestamp(timestamp)
    }

    /// Least base fee, in wei.
    pub(crate) const fn base_fee_floor(&self) -> u64 {
        self.base_fee_floor
    }

    /// EIP-1559 parameters of a block at `timestamp`, as far as the configuration says them.
    pub(crate) fn base_fee_params(&self, timestamp: u64) -> BaseFeeParams {
        if self.is_optimism() && self.is_canyon_active_at_timestamp(timestamp) {
            self.base_fee_canyon
        } else {
            self.base_fee
        }
    }

    /// Blob parameters of an Ethereum block; `None` before Cancun and on rollups.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        if self.is_optimism() || !self.is_cancun_active_at_timestamp(timestamp) {
            return None;
        }
        let active = self.blobs.iter().rev().find(|(from, _)| *from <= timestamp);
        Some(active.map_or_else(BlobParams::cancun, |(_, params)| *params))
    }

    /// The block that drains the DAO, on chains that did.
    pub(crate) fn dao_block(&self) -> Option<BlockNumber> {
        if self.is_optimism() {
            return None;
        }
        self.ethereum_fork_activation(EthereumHardfork::Dao)
            .block_number()
    }

    /// Errors: [`Unsupported`] if a block at this height and time follows rules that are not
    /// known.
    pub fn check_supported(&self, number: BlockNumber, timestamp: u64) -> Result<(), Unsupported> {
        let active =
            |condition: ForkCondition| condition.active_at_timestamp_or_number(timestamp, number);
        let later = [EthereumHardfork::Amsterdam, EthereumHardfork::Bogota]
            .map(|fork| (fork.name().to_owned(), self.ethereum_fork_activation(fork)));
        let later_op = [OpHardfork::Interop]
            .map(|fork| (fork.name().to_owned(), self.op_fork_activation(fork)));
        if let Some((name, _)) = (later.into_iter().chain(later_op))
            .chain(self.foreign.iter().cloned())
            .find(|(_, condition)| active(*condition))
        {
            return Err(Unsupported::Fork { name });
        }
        if self.is_optimism() {
            let bedrock = self.op_fork_activation(OpHardfork::Bedrock);
            // The block of the migration itself is not made by execution.
            if !bedrock.active_at_block(number) || bedrock.transitions_at_block(number) {
                return Err(Unsupported::Before { name: "Bedrock" });
            }
        }
        Ok(())
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        use EthereumHardfork as Fork;
        if !self.is_optimism() {
            let known = self.ethereum.iter().find(|(known, _)| *known == fork);
            return match (fork, known) {
                (_, Some((_, condition))) => *condition,
                (Fork::Frontier, None) => ForkCondition::Block(0),
                _ => ForkCondition::Never,
            };
        }
        match fork {
            Fork::Frontier
            | Fork::Homestead
            | Fork::Tangerine
            | Fork::SpuriousDragon
            | Fork::Byzantium
            | Fork::Constantinople
            | Fork::Petersburg
            | Fork::Istanbul
            | Fork::MuirGlacier
            | Fork::Berlin => ForkCondition::Block(0),
            Fork::London | Fork::ArrowGlacier | Fork::GrayGlacier | Fork::Paris => {
                self.op_fork_activation(OpHardfork::Bedrock)
            }
            Fork::Shanghai => self.op_fork_activation(OpHardfork::Canyon),
            Fork::Cancun => self.op_fork_activation(OpHardfork::Ecotone),
            Fork::Prague => self.op_fork_activation(OpHardfork::Isthmus),
            Fork::Osaka => self.op_fork_activation(OpHardfork::Karst),
            _ => ForkCondition::Never,
        }
    }
}

impl OpHardforks for ChainSpec {
    fn op_fork_activation(&self, fork: OpHardfork) -> ForkCondition {
        self.optimism
            .iter()
            .find(|(known, _)| *known == fork)
            .map_or(ForkCondition::Never, |(_, condition)| *condition)
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.deposit_contract
    }
}

/// Ethereum forks in order, until the last that is supported.
const ETHEREUM_FORKS: &[EthereumHardfork] = &[
    EthereumHardfork::Frontier,
    EthereumHardfork::Homestead,
    EthereumHardfork::Dao,
    EthereumHardfork::Tangerine,
    EthereumHardfork::SpuriousDragon,
    EthereumHardfork::Byzantium,
    EthereumHardfork::Constantinople,
    EthereumHardfork::Petersburg,
    EthereumHardfork::Istanbul,
    EthereumHardfork::MuirGlacier,
    EthereumHardfork::Berlin,
    EthereumHardfork::London,
    EthereumHardfork::ArrowGlacier,
    EthereumHardfork::GrayGlacier,
    EthereumHardfork::Paris,
    EthereumHardfork::Shanghai,
    EthereumHardfork::Cancun,
    EthereumHardfork::Prague,
    EthereumHardfork::Osaka,
];

/// OP Stack forks in order, until the last that is supported.
const OP_FORKS: &[OpHardfork] = &[
    OpHardfork::Bedrock,
    OpHardfork::Regolith,
    OpHardfork::Canyon,
    OpHardfork::Ecotone,
    OpHardfork::Fjord,
    OpHardfork::Granite,
    OpHardfork::Holocene,
    OpHardfork::Isthmus,
    OpHardfork::Jovian,
    OpHardfork::Karst,
];

/// Parameters that a fork brings on Ethereum mainnet.
const fn default_blob_params(fork: EthereumHardfork) -> Option<BlobParams> {
    match fork {
        EthereumHardfork::Cancun => Some(BlobParams::cancun()),
        EthereumHardfork::Prague => Some(BlobParams::prague()),
        EthereumHardfork::Osaka => Some(BlobParams::osaka()),
        EthereumHardfork::Bpo1 => Some(BlobParams::bpo1()),
        EthereumHardfork::Bpo2 => Some(BlobParams::bpo2()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_that_is_not_known_is_undecided_once_active() {
        let spec = ChainSpec::optimism(10)
            .with_op_forks_from_genesis(OpHardfork::Jovian)
            .with_op_fork(OpHardfork::Interop, ForkCondition::Timestamp(100));
        assert_eq!(spec.check_supported(7, 99), Ok(()));
        assert_eq!(
            spec.check_supported(7, 100),
            Err(Unsupported::Fork {
                name: "Interop".to_owned()
            })
        );
    }

    #[test]
    fn beyond_the_horizon_rules_are_in_doubt_and_not_refused() {
        let spec = ChainSpec::optimism(10)
            .with_op_forks_from_genesis(OpHardfork::Jovian)
            .with_horizon(50);
        assert_eq!(spec.check_supported(7, 51), Ok(()));
        assert_eq!(spec.doubt(50), None);
        assert_eq!(spec.doubt(51), Some(Unsupported::Horizon(50)));
    }

    #[test]
    fn rollups_get_their_ethereum_forks_from_their_own() {
        let spec = ChainSpec::optimism(10)
            .with_op_fork(OpHardfork::Canyon, ForkCondition::Timestamp(10))
            .with_op_fork(OpHardfork::Ecotone, ForkCondition::Timestamp(20));
        assert!(spec.is_paris_active_at_block(1));
        assert!(!spec.is_shanghai_active_at_timestamp(9));
        assert!(spec.is_shanghai_active_at_timestamp(10));
        assert!(spec.is_cancun_active_at_timestamp(20));
        assert!(!spec.is_prague_active_at_timestamp(u64::MAX));
    }

    #[test]
    fn blob_parameters_follow_the_schedule() {
        let spec = ChainSpec::ethereum(1).with_forks_from_genesis(EthereumHardfork::Osaka);
        assert_eq!(spec.blob_params(0), Some(BlobParams::osaka()));
        let spec = spec.with_blob_params(9, BlobParams::bpo1());
        assert_eq!(spec.blob_params(8), Some(BlobParams::osaka()));
        assert_eq!(spec.blob_params(9), Some(BlobParams::bpo1()));
        let early = ChainSpec::ethereum(1).with_forks_from_genesis(EthereumHardfork::Shanghai);
        assert_eq!(early.blob_params(5), None);
    }
}
