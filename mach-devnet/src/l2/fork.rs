//! Which fork is active when.

use alloy_hardforks::ForkCondition;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::ChainId;
use mach_verify::ChainSpec;

/// A fork of the OP Stack.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OptimismFork {
    /// Bedrock (June 2023).
    Bedrock,
    /// Regolith, before Bedrock reached OP Mainnet.
    Regolith,
    /// Canyon (January 2024).
    Canyon,
    /// Delta (February 2024): span batches, nothing for execution.
    Delta,
    /// Ecotone (March 2024): blobs.
    Ecotone,
    /// Fjord (July 2024): Brotli.
    Fjord,
    /// Granite (September 2024).
    Granite,
    /// Holocene (January 2025): strict order of batches.
    Holocene,
    /// Isthmus (May 2025).
    Isthmus,
    /// Jovian (December 2025).
    #[default]
    Jovian,
}

impl OptimismFork {
    /// All of them, oldest first.
    pub const ALL: [Self; 10] = [
        Self::Bedrock,
        Self::Regolith,
        Self::Canyon,
        Self::Delta,
        Self::Ecotone,
        Self::Fjord,
        Self::Granite,
        Self::Holocene,
        Self::Isthmus,
        Self::Jovian,
    ];

    /// Name in lower case, as in the configuration of a node.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::Regolith => "regolith",
            Self::Canyon => "canyon",
            Self::Delta => "delta",
            Self::Ecotone => "ecotone",
            Self::Fjord => "fjord",
            Self::Granite => "granite",
            Self::Holocene => "holocene",
            Self::Isthmus => "isthmus",
            Self::Jovian => "jovian",
        }
    }

    /// Rules of a chain on which every fork up to this one is active from genesis on.
    pub fn spec(self, chain_id: ChainId) -> ChainSpec {
        ForkSchedule::new(self).spec(chain_id)
    }

    /// The fork as executors know it; they do not know Delta.
    pub(crate) const fn execution(self) -> Option<OpHardfork> {
        Some(match self {
            Self::Bedrock => OpHardfork::Bedrock,
            Self::Regolith => OpHardfork::Regolith,
            Self::Canyon => OpHardfork::Canyon,
            Self::Delta => return None,
            Self::Ecotone => OpHardfork::Ecotone,
            Self::Fjord => OpHardfork::Fjord,
            Self::Granite => OpHardfork::Granite,
            Self::Holocene => OpHardfork::Holocene,
            Self::Isthmus => OpHardfork::Isthmus,
            Self::Jovian => OpHardfork::Jovian,
        })
    }
}

/// Forks of a rollup by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkSchedule {
    genesis: OptimismFork,
    /// Forks after those of genesis, with the time from which on each is active, oldest first.
    upgrades: Vec<(OptimismFork, u64)>,
}

impl ForkSchedule {
    /// Every fork up to `genesis` is active from genesis on, and no other ever.
    pub const fn new(genesis: OptimismFork) -> Self {
        Self {
            genesis,
            upgrades: Vec::new(),
        }
    }

    /// The same with `fork`, and every fork before it, active from `timestamp` on.
    #[must_use]
    pub fn with_upgrade(mut self, fork: OptimismFork, timestamp: u64) -> Self {
        self.upgrades.push((fork, timestamp));
        self.upgrades.sort_by_key(|(fork, _)| *fork);
        self
    }

    /// Newest fork that is active at `timestamp`.
    pub fn active(&self, timestamp: u64) -> OptimismFork {
        self.upgrades
            .iter()
            .filter(|(_, from)| *from <= timestamp)
            .map(|(fork, _)| *fork)
            .fold(self.genesis, OptimismFork::max)
    }

    /// Time from which on `fork` is active: 0 if it is from genesis on, `None` if it never is.
    pub fn activation(&self, fork: OptimismFork) -> Option<u64> {
        if fork <= self.genesis {
            return Some(0);
        }
        // A fork brings those before it.
        self.upgrades
            .iter()
            .filter(|(later, _)| *later >= fork)
            .map(|(_, from)| *from)
            .min()
    }

    /// Rules for verifiers.
    pub fn spec(&self, chain_id: ChainId) -> ChainSpec {
        let mut spec = ChainSpec::optimism(chain_id);
        for fork in OptimismFork::ALL {
            let condition = match (fork, self.activation(fork)) {
                (OptimismFork::Bedrock, Some(_)) => ForkCondition::Block(0),
                (_, Some(time)) => ForkCondition::Timestamp(time),
                (_, None) => continue,
            };
            if let Some(fork) = fork.execution() {
                spec = spec.with_op_fork(fork, condition);
            }
        }
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_brings_the_forks_before_it() {
        let forks = ForkSchedule::new(OptimismFork::Canyon)
            .with_upgrade(OptimismFork::Holocene, 20)
            .with_upgrade(OptimismFork::Ecotone, 10);
        for (time, fork) in [
            (9, OptimismFork::Canyon),
            (10, OptimismFork::Ecotone),
            (19, OptimismFork::Ecotone),
            (20, OptimismFork::Holocene),
        ] {
            assert_eq!(forks.active(time), fork);
        }
        assert_eq!(forks.activation(OptimismFork::Canyon), Some(0));
        assert_eq!(forks.activation(OptimismFork::Delta), Some(10));
        assert_eq!(forks.activation(OptimismFork::Fjord), Some(20));
        assert_eq!(forks.activation(OptimismFork::Isthmus), None);
    }
}
