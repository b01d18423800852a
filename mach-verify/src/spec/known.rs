//! Chains whose schedule is built in.

use alloy_eips::eip1559::BaseFeeParams;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{ChainId, address};

use super::{ChainSpec, SpecError, default_blob_params};

/// Least base fee of Celo Sepolia, in wei.
///
/// Source: celo-org/op-geth, `params/config.go`.
const CELO_SEPOLIA_BASE_FEE_FLOOR: u64 = 25_000_000_000;

/// Last second until which the schedules below were known when this version was released:
/// 2027-06-30T00:00:00Z.
///
/// A later block that contradicts the rules is undecided. Move it with every release, after
/// checking which upgrades have been announced since, for each chain.
const HORIZON: u64 = 1_814_313_600;

/// Source: ethereum-optimism/optimism, releases op-node/v1.19.1 (mainnet) and of Upgrade 19
/// (Sepolia: 2026-06-17T16:00:01Z).
const OP_MAINNET_KARST: u64 = 1_783_526_401;
const OP_SEPOLIA_KARST: u64 = 1_781_712_001;

/// Azul, with which Base leaves the OP Stack's upgrades for its own.
///
/// Source: Base documentation, "Azul: Overview".
const BASE_AZUL: u64 = 1_779_991_200;
const BASE_SEPOLIA_AZUL: u64 = 1_776_708_000;

/// Beryl, whose precompiles hold tokens; what they do is not known here.
///
/// Source: Base documentation, "Beryl: Overview".
const BERYL: &str = "Beryl";
const BASE_BERYL: u64 = 1_782_410_400;
const BASE_SEPOLIA_BERYL: u64 = 1_781_805_600;

/// Gas per second settings of Base Sepolia differ from its siblings in this multiplier.
const BASE_SEPOLIA_CHAIN: ChainId = 84532;

impl ChainSpec {
    /// The built-in chain with this id: Ethereum mainnet, Holesky, Sepolia, Hoodi; OP Mainnet, OP
    /// Sepolia, Base, Base Sepolia; Celo Sepolia. `None` for any other.
    pub fn known(chain_id: ChainId) -> Option<Self> {
        match chain_id {
            1 => Some(Self::mainnet()),
            17_000 => Some(Self::holesky()),
            11_155_111 => Some(Self::sepolia()),
            560_048 => Some(Self::hoodi()),
            10 => Some(Self::op_mainnet()),
            11_155_420 => Some(Self::op_sepolia()),
            8453 => Some(Self::base()),
            BASE_SEPOLIA_CHAIN => Some(Self::base_sepolia()),
            11_142_220 => Some(Self::celo_sepolia()),
            _ => None,
        }
    }

    /// The built-in rules if this chain is built in, and these if not: a file says what forks there
    /// are, and not until when nobody expected others ([`Self::horizon`]), nor what a chain has of
    /// its own. A fork that the file does not schedule yet is no contradiction; one that only the file
    /// schedules makes the blocks after it undecided.
    ///
    /// Errors: [`SpecError::Contradiction`] names the first fork that both schedule, and not alike.
    pub fn or_built_in(self) -> Result<Self, SpecError> {
        let Some(mut known) = Self::known(self.chain_id) else {
            return Ok(self);
        };
        if known.stack != self.stack {
            return Err(SpecError::Contradiction("the stack".to_owned()));
        }
        let of_op = OpHardfork::VARIANTS.iter().map(|fork| {
            let of = |spec: &Self| spec.op_fork_activation(*fork);
            (fork.name(), of(&self), of(&known))
        });
        // The merge is written in several ways; an Ethereum fork of a rollup is one of its own.
        let of_ethereum = EthereumHardfork::VARIANTS.iter().filter_map(|fork| {
            let of = |spec: &Self| spec.ethereum_fork_activation(*fork);
            let is_own = !known.is_optimism() && *fork != EthereumHardfork::Paris;
            is_own.then(|| (fork.name(), of(&self), of(&known)))
        });
        let mut later = self.foreign.clone();
        for (name, given, built_in) in of_op.chain(of_ethereum) {
            match (given, built_in) {
                (ForkCondition::Timestamp(_), ForkCondition::Never) => {
                    later.push((name.to_owned(), given));
                }
                // Before there were timestamps, only the difficulty was put off like this.
                (ForkCondition::Never, _) | (_, ForkCondition::Never) => {}
                _ if given == built_in => {}
                _ => return Err(SpecError::Contradiction(name.to_owned())),
            }
        }
        let is_known = |at: &ForkCondition| {
            *at == known.azul || known.foreign.iter().any(|(_, known)| known == at)
        };
        later.retain(|(_, at)| !is_known(at));
        known.foreign.append(&mut later);
        Ok(known)
    }

    /// Ethereum mainnet.
    pub fn mainnet() -> Self {
        Self::ethereum_chain(1, EthereumHardfork::mainnet())
            .with_fork(EthereumHardfork::Dao, ForkCondition::Block(1_920_000))
            .with_deposit_contract(address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"))
    }

    /// Holesky.
    pub fn holesky() -> Self {
        Self::ethereum_chain(17_000, EthereumHardfork::holesky())
            .with_deposit_contract(address!("0x4242424242424242424242424242424242424242"))
    }

    /// Sepolia.
    pub fn sepolia() -> Self {
        Self::ethereum_chain(11_155_111, EthereumHardfork::sepolia())
            .with_deposit_contract(address!("0x7f02C3E3c98b133055B8B348B2Ac625669Ed295D"))
    }

    /// Hoodi.
    pub fn hoodi() -> Self {
        Self::ethereum_chain(560_048, EthereumHardfork::hoodi())
            .with_deposit_contract(address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"))
    }

    /// OP Mainnet from Bedrock on.
    pub fn op_mainnet() -> Self {
        Self::op_chain(10, OpHardfork::op_mainnet()).with_op_fork(
            OpHardfork::Karst,
            ForkCondition::Timestamp(OP_MAINNET_KARST),
        )
    }

    /// OP Sepolia.
    pub fn op_sepolia() -> Self {
        Self::op_chain(11_155_420, OpHardfork::op_sepolia())
            .with_op_fork(
                OpHardfork::Karst,
                ForkCondition::Timestamp(OP_SEPOLIA_KARST),
            )
            .with_base_fee_params(
                BaseFeeParams::optimism_sepolia(),
                BaseFeeParams::optimism_sepolia_canyon(),
            )
    }

    /// Base.
    pub fn base() -> Self {
        Self::op_chain(8453, OpHardfork::base_mainnet())
            .with_azul(BASE_AZUL)
            .with_foreign_fork(BERYL, BASE_BERYL)
    }

    /// Base Sepolia.
    pub fn base_sepolia() -> Self {
        Self::op_chain(BASE_SEPOLIA_CHAIN, OpHardfork::base_sepolia())
            .with_azul(BASE_SEPOLIA_AZUL)
            .with_foreign_fork(BERYL, BASE_SEPOLIA_BERYL)
            .with_base_fee_params(
                BaseFeeParams::base_sepolia(),
                BaseFeeParams::base_sepolia_canyon(),
            )
    }

    /// Celo Sepolia, as far as it is an OP Stack chain: fee currencies and the transfer precompile
    /// are not known, and a block that contradicts the OP Stack is undecided.
    pub fn celo_sepolia() -> Self {
        Self::optimism(11_142_220)
            .with_op_forks_from_genesis(OpHardfork::Isthmus)
            .with_base_fee_floor(CELO_SEPOLIA_BASE_FEE_FLOOR)
            .with_extensions("Celo fee currencies and token duality")
            .with_horizon(HORIZON)
    }

    const fn with_azul(mut self, timestamp: u64) -> Self {
        self.azul = ForkCondition::Timestamp(timestamp);
        self
    }

    /// A fork of the chain's own from `timestamp` on.
    fn with_foreign_fork(mut self, name: &str, timestamp: u64) -> Self {
        let condition = ForkCondition::Timestamp(timestamp);
        self.foreign.push((name.to_owned(), condition));
        self
    }

    fn ethereum_chain<const N: usize>(
        chain_id: ChainId,
        forks: [(EthereumHardfork, ForkCondition); N],
    ) -> Self {
        let mut spec = Self::ethereum(chain_id).with_horizon(HORIZON);
        for (fork, condition) in forks {
            // Testnets are listed with a DAO fork at block 0; none of them drains anything.
            if fork == EthereumHardfork::Dao {
                continue;
            }
            spec = spec.with_fork(fork, condition);
            if let (Some(params), Some(timestamp)) =
                (default_blob_params(fork), condition.as_timestamp())
            {
                spec = spec.with_blob_params(timestamp, params);
            }
        }
        spec
    }

    fn op_chain<const N: usize>(
        chain_id: ChainId,
        forks: [(OpHardfork, ForkCondition); N],
    ) -> Self {
        forks
            .into_iter()
            .fold(Self::optimism(chain_id), |spec, (fork, condition)| {
                spec.with_op_fork(fork, condition)
            })
            .with_horizon(HORIZON)
    }
}

#[cfg(test)]
mod tests {
    use alloy_eips::eip7840::BlobParams;

    use super::*;
    use crate::Unsupported;

    #[test]
    fn every_built_in_chain_has_the_id_it_is_found_by_and_a_horizon() {
        for id in [
            1, 17_000, 11_155_111, 560_048, 10, 11_155_420, 8453, 84_532, 11_142_220,
        ] {
            let spec = ChainSpec::known(id).unwrap();
            assert_eq!(spec.chain_id(), id);
            assert_eq!(spec.horizon(), Some(HORIZON), "{id}");
        }
        assert_eq!(ChainSpec::known(2), None);
        assert_eq!(ChainSpec::optimism(10).horizon(), None);
    }

    /// A file of last year knows nothing of Karst, and no file of the horizon.
    #[test]
    fn a_file_replaces_no_rules_that_are_built_in() {
        for known in [
            ChainSpec::op_mainnet(),
            ChainSpec::base(),
            ChainSpec::mainnet(),
        ] {
            let mut old = known.clone();
            old.horizon = None;
            old.optimism.retain(|(fork, _)| *fork != OpHardfork::Karst);
            old.ethereum
                .retain(|(fork, _)| *fork < EthereumHardfork::Osaka);
            assert_eq!(old.or_built_in(), Ok(known));
        }
        let jovian = ForkCondition::Timestamp(7);
        for (other, name) in [
            (
                ChainSpec::op_mainnet().with_op_fork(OpHardfork::Jovian, jovian),
                "Jovian",
            ),
            (
                ChainSpec::mainnet().with_fork(EthereumHardfork::Prague, jovian),
                "Prague",
            ),
            (ChainSpec::ethereum(10), "the stack"),
        ] {
            let error = other.or_built_in().unwrap_err();
            assert_eq!(error, SpecError::Contradiction(name.to_owned()));
        }
        let own = ChainSpec::optimism(424_242);
        assert_eq!(own.clone().or_built_in(), Ok(own));

        // Whoever wrote the file knows of forks of which this version does not.
        let time = HORIZON - 7;
        let at = ForkCondition::Timestamp(time);
        let mut newer = ChainSpec::op_mainnet().with_op_fork(OpHardfork::Interop, at);
        newer.horizon = None;
        let mut named = ChainSpec::op_mainnet();
        named.foreign.push(("x_time".to_owned(), at));
        for spec in [newer, named] {
            let spec = spec.or_built_in().unwrap();
            assert_eq!(spec.check_supported(120_000_000, time - 1), Ok(()));
            assert!(spec.check_supported(120_000_000, time).is_err());
        }
    }

    /// As geth's genesis files write the merge.
    #[test]
    fn the_merge_of_a_genesis_file_is_that_of_the_built_in_chain() {
        for (known, merge) in [
            (ChainSpec::holesky(), serde_json::json!(0)),
            (ChainSpec::sepolia(), serde_json::json!(1_735_371)),
        ] {
            let genesis = serde_json::json!({
                "config": {"chainId": known.chain_id(), "homesteadBlock": 0,
                    "terminalTotalDifficulty": 17_000_000_000_000_000_u64,
                    "terminalTotalDifficultyPassed": true, "mergeNetsplitBlock": merge},
                "difficulty": "0x1", "gasLimit": "0x1c9c380", "alloc": {}
            });
            let genesis = serde_json::from_value(genesis).unwrap();
            let given = ChainSpec::from_genesis(&genesis).unwrap();
            assert_eq!(given.or_built_in(), Ok(known));
        }
    }

    /// Announced activations, as each project published them: 2026-06-25T18:00:00Z and
    /// 2026-06-18T18:00:00Z; Glamsterdam on Sepolia 2026-10-06T13:53:36Z.
    #[test]
    fn blocks_after_a_fork_that_is_not_known_accuse_nobody() {
        for (chain, time, fork) in [
            (8453, 1_782_410_400, "Beryl"),
            (84_532, 1_781_805_600, "Beryl"),
            (11_155_111, 1_791_294_816, "Amsterdam"),
        ] {
            let spec = ChainSpec::known(chain).unwrap();
            let number = 200_000_000;
            assert_eq!(spec.check_supported(number, time - 1), Ok(()), "{chain}");
            assert_eq!(
                spec.check_supported(number, time),
                Err(Unsupported::Fork {
                    name: fork.to_owned()
                }),
                "{chain}"
            );
        }
    }

    /// 2026-07-08T16:00:01Z and 2026-06-17T16:00:01Z; 2026-05-28T18:00:00Z and 2026-04-20T18:00:00Z.
    #[test]
    fn osaka_reached_rollups_when_it_was_announced() {
        for (chain, time) in [(10, 1_783_526_401), (11_155_420, 1_781_712_001)] {
            let spec = ChainSpec::known(chain).unwrap();
            assert!(!spec.is_karst_active_at_timestamp(time - 1), "{chain}");
            assert!(spec.is_karst_active_at_timestamp(time), "{chain}");
            assert_eq!(spec.check_supported(200_000_000, time), Ok(()));
        }
        for (chain, time) in [(8453, 1_779_991_200), (84_532, 1_776_708_000)] {
            let spec = ChainSpec::known(chain).unwrap();
            assert!(!spec.is_azul_active_at_timestamp(time - 1), "{chain}");
            assert!(spec.is_azul_active_at_timestamp(time), "{chain}");
            assert!(!spec.is_karst_active_at_timestamp(u64::MAX), "{chain}");
        }
    }

    /// Fork times of OP Mainnet as the superchain registry publishes them.
    #[test]
    fn op_mainnet_forks_at_its_published_times() {
        let spec = ChainSpec::op_mainnet();
        let times = [
            (OpHardfork::Canyon, 1_704_992_401),
            (OpHardfork::Ecotone, 1_710_374_401),
            (OpHardfork::Fjord, 1_720_627_201),
            (OpHardfork::Granite, 1_726_070_401),
            (OpHardfork::Holocene, 1_736_445_601),
            (OpHardfork::Isthmus, 1_746_806_401),
        ];
        for (fork, time) in times {
            assert_eq!(
                spec.op_fork_activation(fork),
                ForkCondition::Timestamp(time)
            );
        }
        assert!(spec.check_supported(105_235_063, 1_686_068_903).is_err());
        assert!(spec.check_supported(105_235_064, 1_686_068_905).is_ok());
    }

    #[test]
    fn only_mainnet_drained_the_dao() {
        assert_eq!(ChainSpec::mainnet().dao_block(), Some(1_920_000));
        assert_eq!(ChainSpec::sepolia().dao_block(), None);
        assert_eq!(ChainSpec::op_mainnet().dao_block(), None);
    }

    /// EIP-7892: BPO2 of mainnet, target 14 and at most 21 blobs from 1767747671.
    #[test]
    fn mainnet_raises_its_blob_parameters() {
        let spec = ChainSpec::mainnet();
        assert!(spec.is_cancun_active_at_timestamp(1_710_338_135));
        assert_eq!(spec.blob_params(1_710_338_135), Some(BlobParams::cancun()));
        let last = spec.blob_params(1_767_747_671).unwrap();
        assert_eq!((last.target_blob_count, last.max_blob_count), (14, 21));
        let before = spec.blob_params(1_767_747_670).unwrap();
        assert_eq!((before.target_blob_count, before.max_blob_count), (10, 15));
    }
}
