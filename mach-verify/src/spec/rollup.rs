//! Rules from the `rollup.json` that op-node reads.

use alloy_eips::eip1559::BaseFeeParams;
use alloy_hardforks::ForkCondition;
use alloy_op_hardforks::{OpHardfork, OpHardforks};

use super::{ChainSpec, SpecError};
use crate::op::{ForkTimes, RollupConfig};

impl ChainSpec {
    /// Rules of the rollup with this configuration.
    ///
    /// A fork in it that is not known does no harm until it is active; blocks after that are
    /// undecided. What the file does not say (a least base fee, forks of the chain's own) is taken
    /// for absent, so a chain that extends the OP Stack needs [`Self::with_extensions`].
    ///
    /// Errors: [`SpecError::Missing`] without `chain_op_config`, since chains differ in it;
    /// [`SpecError::RollupField`].
    pub fn from_rollup_config(config: &RollupConfig) -> Result<Self, SpecError> {
        config.check_drift()?;
        let bedrock = ForkCondition::Block(config.genesis.l2.number);
        let mut spec =
            Self::optimism(config.l2_chain_id).with_op_fork(OpHardfork::Bedrock, bedrock);
        for (fork, time) in schedule(&config.forks) {
            if let Some(time) = time {
                spec = spec.with_op_fork(fork, ForkCondition::Timestamp(time));
            }
        }
        for (field, value) in &config.other {
            if !field.ends_with("_time") || value.is_null() {
                continue;
            }
            let time = (value.as_u64()).ok_or_else(|| SpecError::RollupField(field.clone()))?;
            let condition = ForkCondition::Timestamp(time);
            spec.foreign.push((field.clone(), condition));
        }
        let params = (config.chain_op_config).ok_or(SpecError::Missing("chain_op_config"))?;
        let canyon = (params.denominator_canyon)
            .unwrap_or_else(|| small(BaseFeeParams::optimism_canyon().max_change_denominator));
        for (field, value) in [
            ("eip1559Elasticity", params.elasticity),
            ("eip1559Denominator", params.denominator),
            ("eip1559DenominatorCanyon", canyon),
        ] {
            if value == 0 {
                return Err(SpecError::RollupField(format!("chain_op_config.{field}")));
            }
        }
        let of =
            |denominator: u64| BaseFeeParams::new(denominator.into(), params.elasticity.into());
        Ok(spec.with_base_fee_params(of(params.denominator), of(canyon)))
    }

    /// Checks that these rules, of a genesis file for example, schedule the forks of `config`.
    ///
    /// Errors: [`SpecError::Contradiction`] names the first fork on which they differ.
    pub fn check_rollup_config(&self, config: &RollupConfig) -> Result<(), SpecError> {
        if self.chain_id() != config.l2_chain_id {
            return Err(SpecError::Contradiction("l2_chain_id".to_owned()));
        }
        config.check_drift()?;
        for (fork, time) in schedule(&config.forks) {
            let expected = time.map_or(ForkCondition::Never, ForkCondition::Timestamp);
            if self.op_fork_activation(fork) != expected {
                return Err(SpecError::Contradiction(fork.name().to_owned()));
            }
        }
        Ok(())
    }
}

/// The forks that change execution. Named one by one, so that one that is added is not left out.
const fn schedule(forks: &ForkTimes) -> [(OpHardfork, Option<u64>); 10] {
    let ForkTimes {
        regolith_time,
        canyon_time,
        delta_time: _,
        ecotone_time,
        fjord_time,
        granite_time,
        holocene_time,
        pectra_blob_schedule_time: _,
        isthmus_time,
        jovian_time,
        karst_time,
        interop_time,
    } = *forks;
    [
        (OpHardfork::Regolith, regolith_time),
        (OpHardfork::Canyon, canyon_time),
        (OpHardfork::Ecotone, ecotone_time),
        (OpHardfork::Fjord, fjord_time),
        (OpHardfork::Granite, granite_time),
        (OpHardfork::Holocene, holocene_time),
        (OpHardfork::Isthmus, isthmus_time),
        (OpHardfork::Jovian, jovian_time),
        (OpHardfork::Karst, karst_time),
        (OpHardfork::Interop, interop_time),
    ]
}

fn small(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As op-node writes it, with the times of a chain.
    fn rollup_json(chain_id: u64, first: u64, times: [u64; 5], [e, d, c]: [u64; 3]) -> Value {
        let [canyon, ecotone, fjord, granite, holocene] = times;
        json!({
            "genesis": {
                "l1": {"hash": format!("0x{}", "11".repeat(32)), "number": 17_422_590},
                "l2": {"hash": format!("0x{}", "22".repeat(32)), "number": first},
                "l2_time": 1_686_068_903,
                "system_config": {
                    "batcherAddr": "0x6887246668a3b87f54deb3b94ba47a6f63f32985",
                    "overhead": format!("0x{:064x}", 0xbc),
                    "scalar": format!("0x{:064x}", 0xa6fe0),
                    "gasLimit": 30_000_000
                }
            },
            "block_time": 2, "max_sequencer_drift": 600, "seq_window_size": 3600,
            "channel_timeout": 300, "l1_chain_id": 1, "l2_chain_id": chain_id,
            "regolith_time": 0, "canyon_time": canyon, "delta_time": 1_708_560_000,
            "ecotone_time": ecotone, "fjord_time": fjord, "granite_time": granite,
            "holocene_time": holocene,
            "batch_inbox_address": "0xff00000000000000000000000000000000000010",
            "deposit_contract_address": "0xbeb5fc579115071764c7423a4f12edde41f106ed",
            "l1_system_config_address": "0x229047fed2591dbec1ef1118d64f7af3db9eb290",
            "protocol_versions_address": "0x8062abc286f5e7d9428a0ccb9abd71e50d93b935",
            "chain_op_config": {
                "eip1559Elasticity": e, "eip1559Denominator": d, "eip1559DenominatorCanyon": c
            }
        })
    }

    fn spec(json: Value) -> Result<ChainSpec, SpecError> {
        ChainSpec::from_rollup_config(&serde_json::from_value(json).unwrap())
    }

    const MAINNET: [u64; 5] = [
        1_704_992_401,
        1_710_374_401,
        1_720_627_201,
        1_726_070_401,
        1_736_445_601,
    ];
    const SEPOLIA: [u64; 5] = [
        1_699_981_200,
        1_708_534_800,
        1_716_998_400,
        1_723_478_400,
        1_732_633_200,
    ];
    const FORKS: [OpHardfork; 5] = [
        OpHardfork::Canyon,
        OpHardfork::Ecotone,
        OpHardfork::Fjord,
        OpHardfork::Granite,
        OpHardfork::Holocene,
    ];

    /// Times, first block and fee parameters of the superchain registry
    /// (`superchain/configs/{mainnet,sepolia}/{op,base,zora}.toml`), against what is built in.
    #[test]
    fn the_registry_and_the_built_in_chains_agree() {
        let usual = [6, 50, 250];
        for (chain_id, first, times, params) in [
            (10, 105_235_063, MAINNET, usual),
            (8453, 0, MAINNET, usual),
            (7_777_777, 0, MAINNET, usual),
            (11_155_420, 0, SEPOLIA, usual),
            (84_532, 0, SEPOLIA, [10, 50, 250]),
        ] {
            let read = spec(rollup_json(chain_id, first, times, params)).unwrap();
            assert_eq!(read.chain_id(), chain_id);
            for (fork, time) in FORKS.into_iter().zip(times) {
                let condition = ForkCondition::Timestamp(time);
                assert_eq!(read.op_fork_activation(fork), condition);
                if let Some(known) = ChainSpec::known(chain_id) {
                    assert_eq!(known.op_fork_activation(fork), condition, "{chain_id}");
                }
            }
            if let Some(known) = ChainSpec::known(chain_id) {
                for time in [0, times[0] - 1, times[0]] {
                    assert_eq!(read.base_fee_params(time), known.base_fee_params(time));
                }
                for number in [first, first + 1] {
                    assert_eq!(
                        read.check_supported(number, times[4]),
                        known.check_supported(number, times[4]),
                        "{chain_id} {number}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_fork_that_is_not_known_is_undecided_once_active() {
        let mut json = rollup_json(901, 0, SEPOLIA, [6, 50, 250]);
        json["isthmus_time"] = json!(1_744_905_600);
        json["jovian_time"] = Value::Null;
        json["verkle_time"] = json!(1_800_000_000);
        json["later_time"] = Value::Null;
        let read = spec(json.clone()).unwrap();
        assert_eq!(
            read.op_fork_activation(OpHardfork::Jovian),
            ForkCondition::Never
        );
        assert_eq!(read.check_supported(1, 1_799_999_999), Ok(()));
        let error = read.check_supported(1, 1_800_000_000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "fork verkle_time is active and not known"
        );

        json["verkle_time"] = json!("soon");
        assert_eq!(
            spec(json).unwrap_err().to_string(),
            "rollup config field verkle_time is malformed"
        );
    }

    #[test]
    fn what_is_missing_or_contradicts_is_named() {
        let good = rollup_json(901, 0, MAINNET, [6, 50, 250]);
        let mut json = good.clone();
        json["chain_op_config"] = Value::Null;
        assert_eq!(spec(json), Err(SpecError::Missing("chain_op_config")));
        let mut json = good.clone();
        json["chain_op_config"]["eip1559Denominator"] = json!(0);
        let field = "chain_op_config.eip1559Denominator".to_owned();
        assert_eq!(spec(json), Err(SpecError::RollupField(field)));
        // Fjord's own drift replaces that of the file.
        let mut json = good.clone();
        json.as_object_mut().unwrap().remove("max_sequencer_drift");
        assert_eq!(
            spec(json.clone()),
            Err(SpecError::Missing("max_sequencer_drift"))
        );
        for fork in ["canyon_time", "ecotone_time", "fjord_time"] {
            json[fork] = json!(0);
        }
        assert!(spec(json).is_ok());

        let config: RollupConfig = serde_json::from_value(good.clone()).unwrap();
        let own = spec(good).unwrap();
        assert_eq!(own.check_rollup_config(&config), Ok(()));
        let other = own.with_op_fork(OpHardfork::Granite, ForkCondition::Timestamp(7));
        assert_eq!(
            other.check_rollup_config(&config),
            Err(SpecError::Contradiction("Granite".to_owned()))
        );
    }
}
