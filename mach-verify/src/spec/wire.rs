//! Rules written down, so that evidence can carry them.

use std::borrow::Cow;

use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams};
use alloy_hardforks::{EthereumHardfork, ForkCondition};
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, ChainId, U256, keccak256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{ChainSpec, Stack};

/// Most entries of a schedule that are read.
const MAX_ENTRIES: usize = 256;
/// Name of Base's fork.
const AZUL: &str = "Azul";
/// Longest name that is read, in bytes.
const MAX_NAME_BYTES: usize = 256;

impl ChainSpec {
    /// Keccak-256 of the rules as they are serialized: two chains with the same hash have the same
    /// rules.
    pub fn hash(&self) -> B256 {
        // Numbers, names and lists of them: nothing that JSON cannot say.
        keccak256(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The one way in which rules are written: what has a default is there all the same, and
/// schedules are in order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rules<'a> {
    chain_id: ChainId,
    stack: Stack,
    forks: Vec<Fork<'a>>,
    base_fee: BaseFee,
    base_fee_canyon: BaseFee,
    base_fee_floor: u64,
    blobs: Vec<Blobs>,
    deposit_contract: Option<Address>,
    extensions: Option<Cow<'a, str>>,
    horizon: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork<'a> {
    name: Cow<'a, str>,
    at: At,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum At {
    Block(u64),
    Time(u64),
    #[serde(rename_all = "camelCase")]
    Difficulty {
        block: u64,
        fork_block: Option<u64>,
        total: U256,
    },
    Never,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseFee {
    denominator: u64,
    elasticity: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Blobs {
    time: u64,
    target: u32,
    max: u32,
    max_per_transaction: u32,
    update_fraction: u64,
    min_fee: u64,
    base_cost: u64,
}

impl Serialize for ChainSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;

        // Named one by one, so that a rule that is added is not left out here.
        let Self {
            chain_id,
            stack,
            ethereum,
            optimism,
            foreign,
            base_fee,
            base_fee_canyon,
            base_fee_floor,
            blobs,
            deposit_contract,
            extensions,
            horizon,
            azul,
        } = self;
        let mut ethereum = ethereum.clone();
        ethereum.sort();
        let mut optimism = optimism.clone();
        optimism.sort();
        let mut foreign: Vec<_> = foreign.iter().map(|(name, at)| (&**name, *at)).collect();
        foreign.sort();
        let azul = (*azul != ForkCondition::Never).then_some((AZUL, *azul));
        let forks = (ethereum.iter().map(|(fork, at)| (fork.name(), *at)))
            .chain(optimism.iter().map(|(fork, at)| (fork.name(), *at)))
            .chain(azul)
            .chain(foreign)
            .map(|(name, at)| Fork {
                name: name.into(),
                at: at.into(),
            });
        let large = || S::Error::custom("a parameter is beyond what any chain has");
        let rules = Rules {
            chain_id: *chain_id,
            stack: *stack,
            forks: forks.collect(),
            base_fee: BaseFee::of(*base_fee).ok_or_else(large)?,
            base_fee_canyon: BaseFee::of(*base_fee_canyon).ok_or_else(large)?,
            base_fee_floor: *base_fee_floor,
            blobs: (blobs.iter().map(|(time, params)| Blobs::of(*time, params)))
                .collect::<Option<_>>()
                .ok_or_else(large)?,
            deposit_contract: *deposit_contract,
            extensions: extensions.as_deref().map(Cow::Borrowed),
            horizon: *horizon,
        };
        rules.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChainSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rules = Rules::deserialize(deserializer)?;
        let is_long = |name: &str| name.len() > MAX_NAME_BYTES;
        if rules.forks.len() > MAX_ENTRIES
            || rules.blobs.len() > MAX_ENTRIES
            || rules.forks.iter().any(|fork| is_long(&fork.name))
            || rules.extensions.as_deref().is_some_and(is_long)
        {
            return Err(D::Error::custom("the rules are too long"));
        }
        let mut spec = Self {
            optimism: Vec::new(),
            ..match rules.stack {
                Stack::Ethereum => Self::ethereum(rules.chain_id),
                Stack::Optimism => Self::optimism(rules.chain_id),
            }
        };
        for Fork { name, at } in rules.forks {
            let at = at.into();
            // Names are written as they are known here; any other belongs to somebody else.
            let of_ethereum = (name.parse().ok()).filter(|it: &EthereumHardfork| it.name() == name);
            let of_rollup = (name.parse().ok()).filter(|it: &OpHardfork| it.name() == name);
            spec = match (rules.stack, of_ethereum, of_rollup) {
                (Stack::Ethereum, Some(fork), _) => spec.with_fork(fork, at),
                (Stack::Optimism, _, Some(fork)) => spec.with_op_fork(fork, at),
                (Stack::Optimism, ..) if name == AZUL => Self { azul: at, ..spec },
                _ => {
                    spec.foreign.push((name.into_owned(), at));
                    spec
                }
            };
        }
        spec.base_fee = rules.base_fee.params().map_err(D::Error::custom)?;
        spec.base_fee_canyon = rules.base_fee_canyon.params().map_err(D::Error::custom)?;
        spec.base_fee_floor = rules.base_fee_floor;
        for blobs in rules.blobs {
            let params = blobs.params().map_err(D::Error::custom)?;
            spec = spec.with_blob_params(blobs.time, params);
        }
        spec.deposit_contract = rules.deposit_contract;
        spec.extensions = (rules.extensions).map(|name| Cow::Owned(name.into_owned()));
        spec.horizon = rules.horizon;
        Ok(spec)
    }
}

impl From<ForkCondition> for At {
    fn from(condition: ForkCondition) -> Self {
        match condition {
            ForkCondition::Block(block) => Self::Block(block),
            ForkCondition::Timestamp(time) => Self::Time(time),
            ForkCondition::TTD {
                activation_block_number: block,
                fork_block,
                total_difficulty: total,
            } => Self::Difficulty {
                block,
                fork_block,
                total,
            },
            ForkCondition::Never => Self::Never,
        }
    }
}

impl From<At> for ForkCondition {
    fn from(at: At) -> Self {
        match at {
            At::Block(block) => Self::Block(block),
            At::Time(time) => Self::Timestamp(time),
            At::Difficulty {
                block: activation_block_number,
                fork_block,
                total: total_difficulty,
            } => Self::TTD {
                activation_block_number,
                fork_block,
                total_difficulty,
            },
            At::Never => Self::Never,
        }
    }
}

impl BaseFee {
    fn of(params: BaseFeeParams) -> Option<Self> {
        Some(Self {
            denominator: params.max_change_denominator.try_into().ok()?,
            elasticity: params.elasticity_multiplier.try_into().ok()?,
        })
    }

    fn params(self) -> Result<BaseFeeParams, &'static str> {
        if self.denominator == 0 || self.elasticity == 0 {
            return Err("a base fee parameter is zero");
        }
        Ok(BaseFeeParams::new(
            self.denominator.into(),
            self.elasticity.into(),
        ))
    }
}

impl Blobs {
    fn of(time: u64, params: &BlobParams) -> Option<Self> {
        Some(Self {
            time,
            target: params.target_blob_count.try_into().ok()?,
            max: params.max_blob_count.try_into().ok()?,
            max_per_transaction: params.max_blobs_per_tx.try_into().ok()?,
            update_fraction: params.update_fraction.try_into().ok()?,
            min_fee: params.min_blob_fee.try_into().ok()?,
            base_cost: params.blob_base_cost,
        })
    }

    fn params(&self) -> Result<BlobParams, &'static str> {
        if self.update_fraction == 0 || self.max == 0 {
            return Err("a blob parameter is zero");
        }
        Ok(BlobParams {
            target_blob_count: self.target.into(),
            max_blob_count: self.max.into(),
            update_fraction: self.update_fraction.into(),
            min_blob_fee: self.min_fee.into(),
            max_blobs_per_tx: self.max_per_transaction.into(),
            blob_base_cost: self.base_cost,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;
    use serde_json::{Value, json};

    use super::*;

    /// Chain ids of everything that is built in.
    const BUILT_IN: [ChainId; 9] = [
        1, 17_000, 11_155_111, 560_048, 10, 11_155_420, 8453, 84_532, 11_142_220,
    ];

    #[test]
    fn reading_rules_is_the_inverse_of_writing_them() {
        let own = ChainSpec::optimism(901)
            .with_op_fork(OpHardfork::Holocene, ForkCondition::Timestamp(7))
            .with_op_fork(OpHardfork::Canyon, ForkCondition::Timestamp(3))
            .with_op_fork(OpHardfork::Jovian, ForkCondition::Never)
            .with_base_fee_params(BaseFeeParams::new(2, 3), BaseFeeParams::new(4, 5))
            .with_base_fee_floor(11);
        let l1 = ChainSpec::ethereum(5)
            .with_forks_from_genesis(EthereumHardfork::Osaka)
            .with_deposit_contract(address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"));
        let built_in = BUILT_IN.map(|id| ChainSpec::known(id).unwrap());
        for spec in built_in.into_iter().chain([own, l1]) {
            let json = serde_json::to_vec(&spec).unwrap();
            let read: ChainSpec = serde_json::from_slice(&json).unwrap();
            assert_eq!(serde_json::to_vec(&read).unwrap(), json);
            assert_eq!(read.hash(), spec.hash());
            // Through a tree of values too, as other programs handle it.
            let value: Value = serde_json::from_slice(&json).unwrap();
            let read: ChainSpec = serde_json::from_value(value).unwrap();
            assert_eq!(read.hash(), spec.hash());
            for time in [0, 5, 1_710_374_401, 1_764_691_201, u64::MAX] {
                let number = 200_000_000;
                assert_eq!(
                    read.check_supported(number, time),
                    spec.check_supported(number, time)
                );
                assert_eq!(read.base_fee_params(time), spec.base_fee_params(time));
                assert_eq!(read.blob_params(time), spec.blob_params(time));
                assert_eq!(read.doubt(time), spec.doubt(time));
                let azul = spec.is_azul_active_at_timestamp(time);
                assert_eq!(read.is_azul_active_at_timestamp(time), azul);
            }
        }
    }

    #[test]
    fn the_order_in_which_forks_were_named_does_not_matter() {
        let (canyon, fjord) = (OpHardfork::Canyon, OpHardfork::Fjord);
        let at = ForkCondition::Timestamp;
        let one = ChainSpec::optimism(5)
            .with_op_fork(canyon, at(1))
            .with_op_fork(fjord, at(2));
        let other = ChainSpec::optimism(5)
            .with_op_fork(fjord, at(2))
            .with_op_fork(canyon, at(1));
        assert_eq!(one.hash(), other.hash());
        assert_ne!(one.hash(), one.clone().with_op_fork(fjord, at(3)).hash());
        let hash = one.hash();
        assert_ne!(hash, one.with_horizon(9).hash());
    }

    #[test]
    fn rules_that_no_chain_has_are_refused() {
        let good = serde_json::to_value(ChainSpec::mainnet()).unwrap();
        let change: [fn(&mut Value); 7] = [
            |json| json["baseFee"]["denominator"] = json!(0),
            |json| json["baseFee"]["elasticity"] = json!(0),
            |json| json["blobs"][0]["updateFraction"] = json!(0),
            |json| json["blobs"][0]["max"] = json!(1u64 << 40),
            |json| json["another"] = json!(0),
            |json| json["forks"][0]["name"] = json!("x".repeat(1000)),
            |json| json["forks"] = json!(vec![json["forks"][0].clone(); 1000]),
        ];
        for change in change {
            let mut json = good.clone();
            change(&mut json);
            assert!(serde_json::from_value::<ChainSpec>(json).is_err());
        }
    }
}
