//! Difficulty under proof of work.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::U256;

use crate::ChainSpec;

/// Difficulty never falls below this, but for the bomb.
const MINIMUM: u64 = 131_072;
/// One step is this share of the parent's difficulty.
const STEP_DIVISOR: u64 = 2048;
/// The bomb doubles once in so many blocks.
const BOMB_PERIOD: u64 = 100_000;
/// Greatest number of steps down in one block.
const MAX_STEPS_DOWN: i64 = -99;

/// Blocks by which a fork delays the bomb, latest fork first.
///
/// Source: EIP-649, EIP-1234, EIP-2384, EIP-3554, EIP-4345, EIP-5133.
const BOMB_DELAYS: [(EthereumHardfork, u64); 6] = [
    (EthereumHardfork::GrayGlacier, 11_400_000),
    (EthereumHardfork::ArrowGlacier, 10_700_000),
    (EthereumHardfork::London, 9_700_000),
    (EthereumHardfork::MuirGlacier, 9_000_000),
    (EthereumHardfork::Constantinople, 5_000_000),
    (EthereumHardfork::Byzantium, 3_000_000),
];

/// Difficulty of the child of `parent` at `timestamp`, which lies after the parent's.
///
/// Source: EIP-2, EIP-100, and the Yellow Paper for Frontier.
pub(super) fn after(spec: &ChainSpec, parent: &Header, timestamp: u64) -> U256 {
    let number = parent.number.saturating_add(1);
    let seconds = i64::try_from(timestamp.saturating_sub(parent.timestamp)).unwrap_or(i64::MAX);
    let steps = if spec.is_byzantium_active_at_block(number) {
        let base = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH {
            1
        } else {
            2
        };
        (base - seconds / 9).max(MAX_STEPS_DOWN)
    } else if spec.is_homestead_active_at_block(number) {
        (1 - seconds / 10).max(MAX_STEPS_DOWN)
    } else if seconds < 13 {
        1
    } else {
        -1
    };
    let step = parent.difficulty / U256::from(STEP_DIVISOR);
    let change = step.saturating_mul(U256::from(steps.unsigned_abs()));
    let adjusted = if steps < 0 {
        parent.difficulty.saturating_sub(change)
    } else {
        parent.difficulty.saturating_add(change)
    };
    let minimum = U256::from(MINIMUM);
    adjusted.max(minimum).saturating_add(bomb(spec, number))
}

fn bomb(spec: &ChainSpec, number: u64) -> U256 {
    let delay = BOMB_DELAYS
        .iter()
        .find(|(fork, _)| spec.is_ethereum_fork_active_at_block(*fork, number))
        .map_or(0, |(_, delay)| *delay);
    let period = number.saturating_sub(delay) / BOMB_PERIOD;
    match period {
        0 | 1 => U256::ZERO,
        period => U256::from(2).pow(U256::from(period - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(number: u64, difficulty: u64, seconds: u64) -> U256 {
        let parent = Header {
            number: number - 1,
            difficulty: U256::from(difficulty),
            timestamp: 1000,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            ..Default::default()
        };
        after(&ChainSpec::mainnet(), &parent, 1000 + seconds)
    }

    /// Difficulties of mainnet blocks 1 (parent 17179869184, 1438269988 seconds after genesis'
    /// zero timestamp) and of a Homestead, a Byzantium and a London case of go-ethereum's
    /// `difficulty` test vectors' formula worked by hand.
    #[test]
    fn difficulty_follows_the_fork() {
        assert_eq!(
            child(1, 17_179_869_184, 1_438_269_988),
            U256::from(17_171_480_576u64)
        );
        // Homestead: 35 s are three steps, minus two; bomb of period 14.
        let step = 2_000_000_000_000_u64 / 2048;
        let expected = 2_000_000_000_000 - 2 * step + (1 << 12);
        assert_eq!(
            child(1_400_000, 2_000_000_000_000, 35),
            U256::from(expected)
        );
        // Byzantium: 8 s are one step up; the bomb counts from 3,000,000 blocks later.
        let expected = 2_000_000_000_000 + step + (1 << 11);
        assert_eq!(child(4_370_000, 2_000_000_000_000, 8), U256::from(expected));
    }

    #[test]
    fn difficulty_has_a_floor() {
        assert_eq!(
            child(1_150_000, 131_072, 10_000),
            U256::from(131_072 + (1 << 9))
        );
    }
}
