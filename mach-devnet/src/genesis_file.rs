//! Genesis of the rollup as a file.

use alloy_genesis::{ChainConfig, Genesis as GenesisFile};
use alloy_primitives::U256;
use serde_json::{Value, json};

use crate::{DevnetConfig, OptimismFork, l2};

impl DevnetConfig {
    /// Genesis of the rollup, in the form that op-geth and op-reth read.
    pub fn l2_genesis(&self) -> GenesisFile {
        let system = self.system_config();
        let (timestamp, block_time) = (self.genesis_timestamp, self.l2_block_time);
        let genesis = l2::genesis(self.l2_fork, &system, timestamp, block_time);
        let forks = self.forks();
        let mut config = ChainConfig {
            chain_id: self.l2_chain_id,
            homestead_block: Some(0),
            eip150_block: Some(0),
            eip155_block: Some(0),
            eip158_block: Some(0),
            byzantium_block: Some(0),
            constantinople_block: Some(0),
            petersburg_block: Some(0),
            istanbul_block: Some(0),
            muir_glacier_block: Some(0),
            berlin_block: Some(0),
            london_block: Some(0),
            merge_netsplit_block: Some(0),
            shanghai_time: forks.activation(OptimismFork::Canyon),
            cancun_time: forks.activation(OptimismFork::Ecotone),
            prague_time: forks.activation(OptimismFork::Isthmus),
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            ..Default::default()
        };
        let mut extra: Vec<(String, Value)> = vec![
            ("bedrockBlock".to_owned(), json!(0)),
            (
                "optimism".to_owned(),
                json!({
                    "eip1559Elasticity": 6,
                    "eip1559Denominator": 50,
                    "eip1559DenominatorCanyon": 250,
                }),
            ),
        ];
        for fork in OptimismFork::ALL.into_iter().skip(1) {
            if let Some(time) = forks.activation(fork) {
                extra.push((format!("{}Time", fork.name()), json!(time)));
            }
        }
        config.extra_fields.extend(extra);
        GenesisFile {
            config,
            timestamp,
            extra_data: genesis.extra_data.clone(),
            gas_limit: genesis.gas_limit,
            base_fee_per_gas: Some(genesis.base_fee.into()),
            excess_blob_gas: genesis.fields.blobs.then_some(0),
            blob_gas_used: genesis.fields.blobs.then_some(0),
            alloc: genesis.accounts,
            number: Some(0),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use mach_verify::ChainSpec;

    use super::*;

    #[test]
    fn the_file_gives_the_rules_of_the_chain() {
        for fork in OptimismFork::ALL {
            let config = DevnetConfig {
                l2_fork: fork,
                l2_upgrades: vec![(OptimismFork::Jovian, 40)],
                ..Default::default()
            };
            let file = serde_json::to_string(&config.l2_genesis()).unwrap();
            let read: GenesisFile = serde_json::from_str(&file).unwrap();
            let spec = ChainSpec::from_genesis(&read).unwrap();
            for time in [0, config.genesis_timestamp, config.genesis_timestamp + 40] {
                for known in OptimismFork::ALL {
                    let Some(known) = known.execution() else {
                        continue;
                    };
                    use alloy_op_hardforks::OpHardforks;
                    let active = |spec: &ChainSpec| {
                        let condition = spec.op_fork_activation(known);
                        condition.active_at_timestamp_or_number(time, 1)
                    };
                    assert_eq!(
                        active(&spec),
                        active(&config.l2_spec()),
                        "{known:?} at {time}"
                    );
                }
            }
        }
    }
}
