//! Rollups whose configuration is built in.

use alloy_eips::BlockNumHash;
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B256, ChainId, U256, address, b256};

use super::{ForkTimes, RollupConfig, RollupGenesis, SystemConfig};
use crate::ChainSpec;

/// What one rollup has of its own.
struct Own {
    l1_chain_id: ChainId,
    l2_chain_id: ChainId,
    genesis: RollupGenesis,
    delta_time: u64,
    pectra_blob_schedule_time: Option<u64>,
    batch_inbox: Address,
    portal: Address,
    system_config: Address,
}

impl RollupConfig {
    /// The configuration of OP Mainnet (10) or OP Sepolia (11155420); `None` for any other rollup,
    /// also where [`ChainSpec::known`] has its rules.
    ///
    /// Forks are those of [`ChainSpec::known`].
    ///
    /// Source: `superchain/configs/{mainnet,sepolia}/op.toml` of
    /// ethereum-optimism/superchain-registry.
    pub fn known(chain_id: ChainId) -> Option<Self> {
        match chain_id {
            10 => build(op_mainnet()),
            11_155_420 => build(op_sepolia()),
            _ => None,
        }
    }
}

fn op_mainnet() -> Own {
    Own {
        l1_chain_id: 1,
        l2_chain_id: 10,
        genesis: RollupGenesis {
            l1: BlockNumHash::new(
                17_422_590,
                b256!("438335a20d98863a4c0c97999eb2481921ccd28553eac6f913af7c12aec04108"),
            ),
            l2: BlockNumHash::new(
                105_235_063,
                b256!("dbf6a80fef073de06add9b0d14026d6e5a86c85f6d102c36d3d8e9cf89c2afd3"),
            ),
            l2_time: 1_686_068_903,
            system_config: system_config(address!("6887246668a3b87F54DeB3b94Ba47a6f63F32985")),
        },
        delta_time: 1_708_560_000,
        pectra_blob_schedule_time: None,
        batch_inbox: address!("FF00000000000000000000000000000000000010"),
        portal: address!("bEb5Fc579115071764c7423A4f12eDde41f106Ed"),
        system_config: address!("229047fed2591dbec1eF1118d64F7aF3dB9EB290"),
    }
}

fn op_sepolia() -> Own {
    Own {
        l1_chain_id: 11_155_111,
        l2_chain_id: 11_155_420,
        genesis: RollupGenesis {
            l1: BlockNumHash::new(
                4_071_408,
                b256!("48f520cf4ddaf34c8336e6e490632ea3cf1e5e93b0b2bc6e917557e31845371b"),
            ),
            l2: BlockNumHash::new(
                0,
                b256!("102de6ffb001480cc9b8b548fd05c34cd4f46ae4aa91759393db90ea0409887d"),
            ),
            l2_time: 1_691_802_540,
            system_config: system_config(address!("8F23BB38F531600e5d8FDDaAEC41F13FaB46E98c")),
        },
        delta_time: 1_703_203_200,
        // 2025-03-20T16:00:00Z.
        pectra_blob_schedule_time: Some(1_742_486_400),
        batch_inbox: address!("ff00000000000000000000000000000011155420"),
        portal: address!("16Fc5058F25648194471939df75CF27A2fdC48BC"),
        system_config: address!("034edD2A225f7f429A63E0f1D2084B9E0A93b538"),
    }
}

/// What both started with.
fn system_config(batcher: Address) -> SystemConfig {
    SystemConfig {
        batcher,
        overhead: B256::from(U256::from(0xbc)),
        scalar: B256::from(U256::from(0xa_6fe0)),
        gas_limit: 30_000_000,
        ..SystemConfig::default()
    }
}

fn build(own: Own) -> Option<RollupConfig> {
    let rules = ChainSpec::known(own.l2_chain_id)?;
    let time = |fork| rules.op_fork_activation(fork).as_timestamp();
    Some(RollupConfig {
        genesis: own.genesis,
        block_time: 2,
        max_sequencer_drift: 600,
        seq_window_size: 3600,
        channel_timeout: 300,
        l1_chain_id: own.l1_chain_id,
        l2_chain_id: own.l2_chain_id,
        forks: ForkTimes {
            regolith_time: time(OpHardfork::Regolith),
            canyon_time: time(OpHardfork::Canyon),
            delta_time: Some(own.delta_time),
            ecotone_time: time(OpHardfork::Ecotone),
            fjord_time: time(OpHardfork::Fjord),
            granite_time: time(OpHardfork::Granite),
            holocene_time: time(OpHardfork::Holocene),
            pectra_blob_schedule_time: own.pectra_blob_schedule_time,
            isthmus_time: time(OpHardfork::Isthmus),
            jovian_time: time(OpHardfork::Jovian),
            karst_time: time(OpHardfork::Karst),
            interop_time: time(OpHardfork::Interop),
        },
        batch_inbox_address: own.batch_inbox,
        deposit_contract_address: own.portal,
        l1_system_config_address: own.system_config,
        chain_op_config: None,
        alt_da: None,
        keep_karst_upgrade_gas: false,
        other: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_rollups_have_the_forks_of_their_rules() {
        for chain_id in [10, 11_155_420] {
            let config = RollupConfig::known(chain_id).unwrap();
            let rules = ChainSpec::known(chain_id).unwrap();
            assert_eq!(config.l2_chain_id, chain_id);
            assert_eq!(rules.check_rollup_config(&config), Ok(()));
            assert!(ChainSpec::known(config.l1_chain_id).is_some());
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<RollupConfig>(&json).unwrap(), config);
        }
        assert_eq!(RollupConfig::known(8453), None);
    }
}
