//! Configuration of a rollup, as op-node reads it.

use std::collections::BTreeMap;

use alloy_eips::BlockNumHash;
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, ChainId};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Value, value::RawValue};

use super::{AttributesFormat, SystemConfig};
use crate::{ChainSpec, SpecError};

/// Longest sequencer drift from Fjord on, in seconds.
///
/// Source: <https://specs.optimism.io/protocol/fjord/derivation.html#constant-maximum-sequencer-drift>
const FJORD_MAX_SEQUENCER_DRIFT: u64 = 1800;
/// L1 blocks until a channel times out from Granite on.
///
/// Source: <https://specs.optimism.io/protocol/granite/derivation.html#reduce-channel-timeout>
const GRANITE_CHANNEL_TIMEOUT: u64 = 50;

/// `rollup.json` of op-node: where a rollup starts, and how it follows from L1.
///
/// Source: `Config` in ethereum-optimism/optimism, `op-node/rollup/types.go`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollupConfig {
    /// First block, and the L1 block that it starts after.
    pub genesis: RollupGenesis,
    /// Seconds from one block to the next.
    pub block_time: u64,
    /// Seconds by which a block may be ahead of its L1 origin, before Fjord. A rollup that starts with
    /// Fjord need not have it.
    #[serde(default)]
    pub max_sequencer_drift: u64,
    /// L1 blocks in which the batches of an epoch may appear, its L1 origin included.
    pub seq_window_size: u64,
    /// L1 blocks until a channel times out, before Granite.
    pub channel_timeout: u64,
    /// EIP-155 id of L1.
    pub l1_chain_id: ChainId,
    /// EIP-155 id of the rollup.
    pub l2_chain_id: ChainId,
    /// When its forks activate.
    #[serde(flatten)]
    pub forks: ForkTimes,
    /// L1 address that batches are sent to.
    pub batch_inbox_address: Address,
    /// `OptimismPortal` on L1, whose logs are the deposits of users.
    pub deposit_contract_address: Address,
    /// `SystemConfig` on L1, whose logs change [`SystemConfig`].
    pub l1_system_config_address: Address,
    /// EIP-1559 parameters until Holocene puts them into the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_op_config: Option<ChainOpConfig>,
    /// Settings of another data-availability layer; batches are then not on L1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_da: Option<Value>,
    /// Whether the gas of Karst's upgrade stays in the gas limit after it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub keep_karst_upgrade_gas: bool,
    /// Every other field: forks that are not known here among them.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl RollupConfig {
    /// Checks that the drift is left out only where no block goes by it.
    ///
    /// Errors: [`SpecError::Missing`].
    pub(crate) fn check_drift(&self) -> Result<(), SpecError> {
        let fjord = self.forks.fjord_time;
        let is_needed = fjord.is_none_or(|time| time > self.genesis.l2_time);
        if self.max_sequencer_drift == 0 && is_needed {
            return Err(SpecError::Missing("max_sequencer_drift"));
        }
        Ok(())
    }

    /// Whether batches are elsewhere than on L1, by any name that op-node has had for it.
    ///
    /// Source: `op-node/rollup/types.go` of ethereum-optimism/optimism: `alt_da`; before op-node/v1.9
    /// `plasma_config`, before that `use_plasma` and `da_*` beside the other fields.
    pub fn has_alt_da(&self) -> bool {
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Number(number) => number.as_u64() != Some(0),
            // The zero address, and what is left empty.
            Value::String(text) => !text.trim_start_matches("0x").trim_matches('0').is_empty(),
            _ => true,
        };
        let named =
            |name: &str| matches!(name, "plasma_config" | "use_plasma") || name.starts_with("da_");
        self.alt_da.is_some()
            || (self.other.iter()).any(|(name, value)| named(name) && is_set(value))
    }
}

/// Longest configuration in evidence that is read, in bytes of its JSON. Fields that are not known are
/// kept, and take many times that in memory.
const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// Reads a configuration that anybody may have sent.
pub(crate) fn bounded_config<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<RollupConfig, D::Error> {
    let json = <&RawValue>::deserialize(deserializer)?.get();
    if json.len() > MAX_CONFIG_BYTES {
        let what = format_args!("a configuration of more than {MAX_CONFIG_BYTES} bytes");
        return Err(D::Error::custom(what));
    }
    serde_json::from_str(json).map_err(D::Error::custom)
}

/// Where a rollup starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupGenesis {
    /// L1 block that the rollup starts after.
    pub l1: BlockNumHash,
    /// First block of the rollup.
    pub l2: BlockNumHash,
    /// Timestamp of the first block.
    pub l2_time: u64,
    /// Configuration that the first block starts with.
    pub system_config: SystemConfig,
}

/// Activation timestamps; `None` never activates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkTimes {
    /// Regolith.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regolith_time: Option<u64>,
    /// Canyon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canyon_time: Option<u64>,
    /// Delta: span batches. It changes nothing in execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_time: Option<u64>,
    /// Ecotone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecotone_time: Option<u64>,
    /// Fjord.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fjord_time: Option<u64>,
    /// Granite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granite_time: Option<u64>,
    /// Holocene.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holocene_time: Option<u64>,
    /// L1 timestamp from which the L1 attributes use Prague's blob fee, on the chains whose
    /// sequencers were late with it.
    ///
    /// Source: <https://specs.optimism.io/protocol/pectra-blob-schedule/derivation.html>
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pectra_blob_schedule_time: Option<u64>,
    /// Isthmus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isthmus_time: Option<u64>,
    /// Jovian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jovian_time: Option<u64>,
    /// Karst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karst_time: Option<u64>,
    /// Interop, which newer files call Lagoon.
    #[serde(
        default,
        alias = "lagoon_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub interop_time: Option<u64>,
}

/// EIP-1559 parameters of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainOpConfig {
    /// Elasticity multiplier.
    #[serde(rename = "eip1559Elasticity")]
    pub elasticity: u64,
    /// Base fee change denominator before Canyon.
    #[serde(rename = "eip1559Denominator")]
    pub denominator: u64,
    /// Base fee change denominator from Canyon on.
    #[serde(
        rename = "eip1559DenominatorCanyon",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub denominator_canyon: Option<u64>,
}

impl RollupConfig {
    /// Whether span batches are permitted in a block at `timestamp`.
    ///
    /// Source: <https://specs.optimism.io/protocol/delta/span-batches.html>
    pub fn is_delta_active(&self, timestamp: u64) -> bool {
        self.forks.delta_time.is_some_and(|time| time <= timestamp)
    }
}

/// A rollup: its configuration, with the rules of its own chain and of L1.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// Where it starts, and how it follows from L1.
    pub config: RollupConfig,
    /// Rules of the rollup; its forks count, not those of `config`.
    pub l2: ChainSpec,
    /// Rules of L1: the blob fee in the L1 attributes follows from its blob schedule.
    pub l1: ChainSpec,
}

impl Rollup {
    /// A rollup with these rules.
    pub const fn new(config: RollupConfig, l2: ChainSpec, l1: ChainSpec) -> Self {
        Self { config, l2, l1 }
    }

    /// Whether `fork` is active in a block at `timestamp`.
    pub fn is_active(&self, fork: OpHardfork, timestamp: u64) -> bool {
        self.l2
            .op_fork_activation(fork)
            .active_at_timestamp(timestamp)
            // Bedrock activates at a block, which every block here comes after.
            || fork == OpHardfork::Bedrock
    }

    /// Whether the block at `timestamp` is the first with `fork`.
    ///
    /// A fork that is active in the first block of the chain never activates.
    pub fn activates(&self, fork: OpHardfork, timestamp: u64) -> bool {
        timestamp > self.config.genesis.l2_time
            && self.is_active(fork, timestamp)
            && !self.is_active(fork, timestamp.saturating_sub(self.config.block_time))
    }

    /// Encoding of the L1 attributes in a block at `timestamp`.
    ///
    /// The block that activates a fork still uses the encoding before it, since the contract that
    /// reads it is upgraded later in that block.
    ///
    /// Source: <https://specs.optimism.io/protocol/jovian/l1-attributes.html>
    pub fn attributes_format(&self, timestamp: u64) -> AttributesFormat {
        let newer = [
            (OpHardfork::Jovian, AttributesFormat::Jovian),
            (OpHardfork::Isthmus, AttributesFormat::Isthmus),
            (OpHardfork::Ecotone, AttributesFormat::Ecotone),
        ];
        newer
            .into_iter()
            .find(|(fork, _)| self.is_active(*fork, timestamp) && !self.activates(*fork, timestamp))
            .map_or(AttributesFormat::Bedrock, |(_, format)| format)
    }

    /// Seconds by which a block may be ahead of an L1 origin at this timestamp.
    ///
    /// Source: <https://specs.optimism.io/protocol/fjord/derivation.html#constant-maximum-sequencer-drift>
    pub fn max_sequencer_drift(&self, origin_timestamp: u64) -> u64 {
        if self.is_active(OpHardfork::Fjord, origin_timestamp) {
            FJORD_MAX_SEQUENCER_DRIFT
        } else if self.config.max_sequencer_drift == 0 {
            // Left out: nobody is accused by what is not known.
            u64::MAX
        } else {
            self.config.max_sequencer_drift
        }
    }

    /// L1 blocks until a channel times out, at an L1 origin with this timestamp.
    ///
    /// Source: <https://specs.optimism.io/protocol/granite/derivation.html#reduce-channel-timeout>
    pub fn channel_timeout(&self, origin_timestamp: u64) -> u64 {
        if self.is_active(OpHardfork::Granite, origin_timestamp) {
            GRANITE_CHANNEL_TIMEOUT
        } else {
            self.config.channel_timeout
        }
    }

    /// Most L1 blocks until a channel times out, at an L1 block with this timestamp or after it.
    pub(crate) fn longest_channel_timeout(&self, timestamp: u64) -> u64 {
        let now = self.channel_timeout(timestamp);
        if self.is_active(OpHardfork::Granite, u64::MAX) {
            now.max(GRANITE_CHANNEL_TIMEOUT)
        } else {
            now
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloy_hardforks::ForkCondition;
    use alloy_primitives::{address, b256};

    use super::*;

    /// A `rollup.json` in the form that op-node writes; the values are those of kona-genesis'
    /// tests.
    pub(in crate::op) const ROLLUP_JSON: &str = r#"{
        "genesis": {
            "l1": {"hash": "0x481724ee99b1f4cb71d826e2ec5a37265f460e9b112315665c977f4050b0af54", "number": 10},
            "l2": {"hash": "0x88aedfbf7dea6bfa2c4ff315784ad1a7f145d8f650969359c003bbed68c87631", "number": 0},
            "l2_time": 1725557164,
            "system_config": {
                "batcherAddr": "0xc81f87a644b41e49b3221f41251f15c6cb00ce03",
                "overhead": "0x0000000000000000000000000000000000000000000000000000000000000000",
                "scalar": "0x00000000000000000000000000000000000000000000000000000000000f4240",
                "gasLimit": 30000000
            }
        },
        "block_time": 2, "max_sequencer_drift": 600, "seq_window_size": 3600, "channel_timeout": 300,
        "l1_chain_id": 3151908, "l2_chain_id": 1337,
        "regolith_time": 0, "canyon_time": 0, "delta_time": 0, "ecotone_time": 0, "fjord_time": 0,
        "batch_inbox_address": "0xff00000000000000000000000000000000042069",
        "deposit_contract_address": "0x08073dc48dde578137b8af042bcbc1c2491f1eb2",
        "l1_system_config_address": "0x94ee52a9d8edd72a85dea7fae3ba6d75e4bf1710",
        "protocol_versions_address": "0x0000000000000000000000000000000000000000",
        "chain_op_config": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250},
        "alt_da": null, "verkle_time": 9
    }"#;

    pub(in crate::op) fn rollup(l2: ChainSpec) -> Rollup {
        let config = serde_json::from_str(ROLLUP_JSON).unwrap();
        Rollup::new(config, l2, ChainSpec::mainnet())
    }

    #[test]
    fn rollup_json_is_read_and_written_as_op_node_does() {
        let config: RollupConfig = serde_json::from_str(ROLLUP_JSON).unwrap();
        assert_eq!(config.genesis.l1.number, 10);
        assert_eq!(
            config.genesis.l2.hash,
            b256!("88aedfbf7dea6bfa2c4ff315784ad1a7f145d8f650969359c003bbed68c87631")
        );
        let system = &config.genesis.system_config;
        assert_eq!(
            system.batcher,
            address!("c81f87a644b41e49b3221f41251f15c6cb00ce03")
        );
        assert_eq!((system.gas_limit, system.scalar[31]), (30_000_000, 0x40));
        assert_eq!(config.forks.fjord_time, Some(0));
        assert_eq!(config.forks.granite_time, None);
        assert_eq!(
            config.chain_op_config.unwrap().denominator_canyon,
            Some(250)
        );
        assert_eq!(config.alt_da, None);
        assert!(config.other.contains_key("verkle_time"));
        assert!(config.is_delta_active(0));
        let again = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn a_fork_changes_the_encoding_one_block_after_it_activates() {
        let start = 1_725_557_164;
        let spec = ChainSpec::optimism(1337)
            .with_op_fork(OpHardfork::Ecotone, ForkCondition::Timestamp(start))
            .with_op_fork(OpHardfork::Isthmus, ForkCondition::Timestamp(start + 3))
            .with_op_fork(OpHardfork::Jovian, ForkCondition::Timestamp(start + 8));
        let rollup = rollup(spec);
        let formats: Vec<_> = (0..6)
            .map(|index| rollup.attributes_format(start + 2 * index))
            .collect();
        use AttributesFormat::{Ecotone, Isthmus, Jovian};
        // Ecotone at genesis; Isthmus activates at +4, Jovian at +8.
        let expected = [Ecotone, Ecotone, Ecotone, Isthmus, Isthmus, Jovian];
        assert_eq!(formats, expected);
        assert!(rollup.activates(OpHardfork::Jovian, start + 8));
        assert!(!rollup.activates(OpHardfork::Ecotone, start));
    }

    #[test]
    fn drift_and_channel_timeout_become_constants() {
        let spec = ChainSpec::optimism(1337)
            .with_op_fork(OpHardfork::Fjord, ForkCondition::Timestamp(5))
            .with_op_fork(OpHardfork::Granite, ForkCondition::Timestamp(7));
        let mut rollup = rollup(spec);
        assert_eq!(rollup.max_sequencer_drift(4), 600);
        assert_eq!(rollup.max_sequencer_drift(5), 1800);
        assert_eq!(rollup.channel_timeout(6), 300);
        assert_eq!(rollup.channel_timeout(7), 50);
        let mut longest = |config| {
            rollup.config.channel_timeout = config;
            [6, 7].map(|timestamp| rollup.longest_channel_timeout(timestamp))
        };
        assert_eq!(longest(300), [300, 50]);
        assert_eq!(longest(4), [50, 50]);
    }
}
