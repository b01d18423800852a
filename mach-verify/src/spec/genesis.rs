//! Rules from the genesis file that geth, op-geth and reth read.

use alloy_eips::{eip1559::BaseFeeParams, eip7594::MAX_BLOBS_PER_TX_FUSAKA, eip7840::BlobParams};
use alloy_genesis::{ChainConfig, Genesis};
use alloy_hardforks::{EthereumHardfork as Fork, ForkCondition};
use alloy_op_hardforks::OpHardfork;
use serde_json::Value;

use super::{ChainSpec, Stack, default_blob_params};

/// Fields of `config` that name a time or block and change nothing in execution.
const HARMLESS: &[&str] = &[
    // op-node: batch format and L1 blob schedule, not execution.
    "deltaTime",
    "pectraBlobScheduleTime",
    // Header field of no consequence that old genesis files carry.
    "eip150Hash",
];

/// Why a configuration does not give rules.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A field has a value that is not understood.
    #[error("genesis config field {0} is malformed")]
    Field(String),
    /// The chain merges at a total difficulty, and the file does not say at which block.
    #[error("terminalTotalDifficulty is not zero and mergeNetsplitBlock is missing")]
    MergeBlock,
    /// A fork changes the blob parameters, and the file does not say to what.
    #[error("blobSchedule has no entry for {0}")]
    BlobSchedule(String),
    /// A field of a rollup's configuration has a value that is not understood.
    #[error("rollup config field {0} is malformed")]
    RollupField(String),
    /// A rollup's configuration lacks what its rules need.
    #[error("rollup config has no {0}")]
    Missing(&'static str),
    /// A genesis file, a rollup's configuration and what is built in differ.
    #[error("what is said of the chain's rules differs on {0}")]
    Contradiction(String),
    /// The chain is neither Ethereum's nor the OP Stack's kind.
    #[error("consensus engine {0} is not supported")]
    Engine(&'static str),
}

impl ChainSpec {
    /// Rules of the chain that starts with this genesis file.
    ///
    /// A fork in it that is not known does no harm until it is active; blocks after that are
    /// undecided.
    ///
    /// Errors: [`SpecError`].
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, SpecError> {
        let config = &genesis.config;
        if config.clique.is_some() {
            return Err(SpecError::Engine("clique"));
        }
        if config.parlia.is_some() {
            return Err(SpecError::Engine("parlia"));
        }
        let optimism = config.extra_fields.get("optimism");
        let mut spec = match optimism {
            Some(params) => optimism_chain(config, params)?,
            None => ethereum_chain(config)?,
        };
        spec.foreign = foreign_forks(config, spec.stack)?;
        Ok(spec)
    }
}

fn ethereum_chain(config: &ChainConfig) -> Result<ChainSpec, SpecError> {
    let mut spec = ChainSpec::ethereum(config.chain_id);
    let blocks = [
        (Fork::Homestead, config.homestead_block),
        (Fork::Tangerine, config.eip150_block),
        (Fork::SpuriousDragon, config.eip158_block),
        (Fork::Byzantium, config.byzantium_block),
        (Fork::Constantinople, config.constantinople_block),
        // A chain that skips Petersburg's own field has it together with Constantinople.
        (
            Fork::Petersburg,
            config.petersburg_block.or(config.constantinople_block),
        ),
        (Fork::Istanbul, config.istanbul_block),
        (Fork::MuirGlacier, config.muir_glacier_block),
        (Fork::Berlin, config.berlin_block),
        (Fork::London, config.london_block),
        (Fork::ArrowGlacier, config.arrow_glacier_block),
        (Fork::GrayGlacier, config.gray_glacier_block),
        (Fork::Paris, merge_block(config)?),
    ];
    for (fork, block) in blocks {
        if let Some(block) = block {
            spec = spec.with_fork(fork, ForkCondition::Block(block));
        }
    }
    if config.dao_fork_support
        && let Some(block) = config.dao_fork_block
    {
        spec = spec.with_fork(Fork::Dao, ForkCondition::Block(block));
    }
    let times = [
        (Fork::Shanghai, config.shanghai_time),
        (Fork::Cancun, config.cancun_time),
        (Fork::Prague, config.prague_time),
        (Fork::Osaka, config.osaka_time),
        (Fork::Bpo1, config.bpo1_time),
        (Fork::Bpo2, config.bpo2_time),
        (Fork::Bpo3, config.bpo3_time),
        (Fork::Bpo4, config.bpo4_time),
        (Fork::Bpo5, config.bpo5_time),
        (Fork::Amsterdam, config.amsterdam_time),
        (Fork::Bogota, config.bogota_time),
    ];
    for (fork, time) in times {
        let Some(time) = time else { continue };
        spec = spec.with_fork(fork, ForkCondition::Timestamp(time));
        if let Some(params) = blob_params(config, fork)? {
            spec = spec.with_blob_params(time, params);
        }
    }
    if let Some(address) = config.deposit_contract_address {
        spec = spec.with_deposit_contract(address);
    }
    Ok(spec)
}

/// First block without proof of work.
fn merge_block(config: &ChainConfig) -> Result<Option<u64>, SpecError> {
    match (
        config.terminal_total_difficulty,
        config.merge_netsplit_block,
    ) {
        (None, None) => Ok(None),
        (_, Some(block)) => Ok(Some(block)),
        (Some(total), None) if total.is_zero() => Ok(Some(0)),
        (Some(_), None) => Err(SpecError::MergeBlock),
    }
}

/// What `fork` makes of the blob parameters; `None` if it leaves them as they are.
fn blob_params(config: &ChainConfig, fork: Fork) -> Result<Option<BlobParams>, SpecError> {
    let is_blob_fork = Fork::bpo_variants().contains(&fork)
        || matches!(fork, Fork::Cancun | Fork::Prague | Fork::Osaka);
    if !is_blob_fork {
        return Ok(None);
    }
    let name = fork.name().to_lowercase();
    let Some(params) = config.blob_schedule.get(&name) else {
        return match default_blob_params(fork) {
            Some(params) => Ok(Some(params)),
            None => Err(SpecError::BlobSchedule(name)),
        };
    };
    let most = u64::from(u32::MAX);
    if params.update_fraction == 0
        || params.max_blob_count == 0
        || params.max_blob_count > most
        || params.target_blob_count > most
    {
        return Err(SpecError::Field(format!("blobSchedule.{name}")));
    }
    // EIP-7594 and EIP-7918 come with Osaka and stay; the schedule does not say them.
    if fork >= Fork::Osaka {
        let osaka = BlobParams::osaka();
        return Ok(Some(
            params
                .with_max_blobs_per_tx(MAX_BLOBS_PER_TX_FUSAKA)
                .with_blob_base_cost(osaka.blob_base_cost),
        ));
    }
    Ok(Some(*params))
}

fn optimism_chain(config: &ChainConfig, params: &Value) -> Result<ChainSpec, SpecError> {
    let mut spec = ChainSpec::optimism(config.chain_id);
    if let Some(block) = number(config, "bedrockBlock")? {
        spec = spec.with_op_fork(OpHardfork::Bedrock, ForkCondition::Block(block));
    }
    for (field, fork) in OP_FORK_FIELDS {
        if let Some(time) = number(config, field)? {
            spec = spec.with_op_fork(*fork, ForkCondition::Timestamp(time));
        }
    }
    let param = |field: &str, default: u128| match params.get(field) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => (value.as_u64().map(u128::from).filter(|value| *value > 0))
            .ok_or_else(|| SpecError::Field(format!("optimism.{field}"))),
    };
    let defaults = BaseFeeParams::optimism();
    let elasticity = param("eip1559Elasticity", defaults.elasticity_multiplier)?;
    let denominator = param("eip1559Denominator", defaults.max_change_denominator)?;
    let canyon = param(
        "eip1559DenominatorCanyon",
        BaseFeeParams::optimism_canyon().max_change_denominator,
    )?;
    Ok(spec.with_base_fee_params(
        BaseFeeParams::new(denominator, elasticity),
        BaseFeeParams::new(canyon, elasticity),
    ))
}

const OP_FORK_FIELDS: &[(&str, OpHardfork)] = &[
    ("regolithTime", OpHardfork::Regolith),
    ("canyonTime", OpHardfork::Canyon),
    ("ecotoneTime", OpHardfork::Ecotone),
    ("fjordTime", OpHardfork::Fjord),
    ("graniteTime", OpHardfork::Granite),
    ("holoceneTime", OpHardfork::Holocene),
    ("isthmusTime", OpHardfork::Isthmus),
    ("jovianTime", OpHardfork::Jovian),
    ("karstTime", OpHardfork::Karst),
    ("interopTime", OpHardfork::Interop),
];

/// Every other `…Time` and `…Block`: a fork that somebody scheduled and this crate does not know.
fn foreign_forks(
    config: &ChainConfig,
    stack: Stack,
) -> Result<Vec<(String, ForkCondition)>, SpecError> {
    let mut forks = Vec::new();
    for field in config.extra_fields.keys() {
        let is_known = HARMLESS.contains(&field.as_str())
            || (stack == Stack::Optimism
                && (field == "bedrockBlock"
                    || OP_FORK_FIELDS.iter().any(|(known, _)| known == field)));
        let is_time = field.ends_with("Time");
        if is_known || !(is_time || field.ends_with("Block")) {
            continue;
        }
        if let Some(at) = number(config, field)? {
            let condition = if is_time {
                ForkCondition::Timestamp(at)
            } else {
                ForkCondition::Block(at)
            };
            forks.push((field.clone(), condition));
        }
    }
    Ok(forks)
}

fn number(config: &ChainConfig, field: &str) -> Result<Option<u64>, SpecError> {
    match config.extra_fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(SpecError::Field(field.to_owned())),
        },
    }
}

#[cfg(test)]
mod tests {
    use alloy_hardforks::EthereumHardforks;
    use alloy_op_hardforks::OpHardforks;

    use super::*;

    fn spec(config: &str) -> Result<ChainSpec, SpecError> {
        let json =
            format!(r#"{{"config":{config},"difficulty":"0x0","gasLimit":"0x1","alloc":{{}}}}"#);
        ChainSpec::from_genesis(&serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn an_op_genesis_gives_op_rules() {
        let spec = spec(
            r#"{"chainId":901,"bedrockBlock":0,"regolithTime":0,"canyonTime":10,"deltaTime":12,
                "terminalTotalDifficulty":0,
                "optimism":{"eip1559Elasticity":6,"eip1559Denominator":50,"eip1559DenominatorCanyon":250}}"#,
        )
        .unwrap();
        assert!(spec.is_optimism());
        assert!(spec.is_canyon_active_at_timestamp(10));
        assert_eq!(spec.base_fee_params(9), BaseFeeParams::new(50, 6));
        assert_eq!(spec.base_fee_params(10), BaseFeeParams::new(250, 6));
        assert_eq!(spec.check_supported(1, u64::MAX), Ok(()));
    }

    #[test]
    fn forks_that_are_not_known_are_kept_and_named() {
        let spec = spec(
            r#"{"chainId":5,"londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0,
                "verkleTime":77}"#,
        )
        .unwrap();
        assert!(spec.is_shanghai_active_at_timestamp(0));
        assert!(spec.is_paris_active_at_block(0));
        assert_eq!(spec.check_supported(1, 76), Ok(()));
        assert_eq!(
            spec.check_supported(1, 77).unwrap_err().to_string(),
            "fork verkleTime is active and not known"
        );
    }

    /// A schedule of the chain's own, and a merge at block 9, as geth's developers write them.
    #[test]
    fn an_ethereum_like_chain_has_its_own_blobs_and_merge() {
        let spec = spec(
            r#"{"chainId":7,"londonBlock":0,"terminalTotalDifficulty":5000,"mergeNetsplitBlock":9,
                "shanghaiTime":10,"cancunTime":20,"pragueTime":30,"blobSchedule":{
                "cancun":{"target":1,"max":2,"baseFeeUpdateFraction":3338477},
                "prague":{"target":9,"max":12,"baseFeeUpdateFraction":5007716}}}"#,
        )
        .unwrap();
        assert!(!spec.is_paris_active_at_block(8) && spec.is_paris_active_at_block(9));
        let counts = |time| {
            let params = spec.blob_params(time)?;
            Some((params.target_blob_count, params.max_blob_count))
        };
        assert_eq!(counts(19), None);
        assert_eq!(counts(20), Some((1, 2)));
        assert_eq!(counts(30), Some((9, 12)));
        assert_eq!(spec.blob_params(30).unwrap().update_fraction, 5_007_716);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        let cases = [
            (
                r#"{"chainId":5,"terminalTotalDifficulty":0,"cancunTime":7,"blobSchedule":{
                    "cancun":{"target":1,"max":18446744073709551615,"baseFeeUpdateFraction":1}}}"#,
                SpecError::Field("blobSchedule.cancun".to_owned()),
            ),
            (
                r#"{"chainId":5,"terminalTotalDifficulty":7}"#,
                SpecError::MergeBlock,
            ),
            (
                r#"{"chainId":5,"terminalTotalDifficulty":0,"bpo3Time":7}"#,
                SpecError::BlobSchedule("bpo3".to_owned()),
            ),
            (
                r#"{"chainId":5,"optimism":{"eip1559Denominator":0}}"#,
                SpecError::Field("optimism.eip1559Denominator".to_owned()),
            ),
            (
                r#"{"chainId":5,"clique":{"period":5,"epoch":30000}}"#,
                SpecError::Engine("clique"),
            ),
        ];
        for (config, error) in cases {
            assert_eq!(spec(config), Err(error));
        }
    }
}
