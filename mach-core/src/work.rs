//! A range of blocks, cut into units that are verified apart.

use core::{num::NonZeroU32, ops::RangeInclusive, time::Duration};

use alloy_primitives::{B256, BlockNumber, ChainId};
use serde::{Deserialize, Serialize};

use crate::{Assurance, BlockRef, Fault, L2Block, Verdict};

/// Most blocks of a unit: its report has to fit into one message.
pub const MAX_UNIT_BLOCKS: u32 = 256;

/// Longest reason that is kept for a block without a verdict, in bytes.
pub const MAX_REASON_BYTES: usize = 1024;

/// Which blocks are verified, and how they are shared out.
///
/// The units follow from it: they are cut from the first block on, all of one length but the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPlan", into = "RawPlan")]
pub struct WorkPlan {
    chain_id: ChainId,
    first: BlockNumber,
    last: BlockNumber,
    unit_blocks: u32,
    attempts: u32,
    lease: Duration,
    rules: Option<B256>,
}

impl WorkPlan {
    /// Units of 16 blocks, which are given up after 5 attempts; who does not answer for a minute
    /// loses its unit.
    ///
    /// Errors: [`WorkError::EmptyRange`].
    pub const fn new(
        chain_id: ChainId,
        blocks: RangeInclusive<BlockNumber>,
    ) -> Result<Self, WorkError> {
        let (first, last) = (*blocks.start(), *blocks.end());
        // The number of blocks of the largest range does not fit.
        if first > last || last == BlockNumber::MAX {
            return Err(WorkError::EmptyRange { first, last });
        }
        Ok(Self {
            chain_id,
            first,
            last,
            unit_blocks: 16,
            attempts: 5,
            lease: Duration::from_secs(60),
            rules: None,
        })
    }

    /// The same blocks in units of this length, in blocks.
    ///
    /// Errors: [`WorkError::UnitTooLong`] above [`MAX_UNIT_BLOCKS`].
    pub const fn with_unit_blocks(mut self, blocks: NonZeroU32) -> Result<Self, WorkError> {
        if blocks.get() > MAX_UNIT_BLOCKS {
            return Err(WorkError::UnitTooLong(blocks.get()));
        }
        self.unit_blocks = blocks.get();
        Ok(self)
    }

    /// The same with this many attempts, after which a unit is given up.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts.get();
        self
    }

    /// The same with leases of this length. Whoever holds a unit has to extend its lease in time.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The same by these rules, which everybody who works on it has to share: a hash of all that a
    /// verdict follows from beside the block.
    #[must_use]
    pub const fn with_rules(mut self, rules: B256) -> Self {
        self.rules = Some(rules);
        self
    }

    /// EIP-155 id of the chain.
    pub const fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// By which rules the blocks are verified; `None` if the plan leaves that to whoever works on it.
    pub const fn rules(&self) -> Option<B256> {
        self.rules
    }

    /// All blocks.
    pub const fn blocks(&self) -> RangeInclusive<BlockNumber> {
        self.first..=self.last
    }

    /// Number of all blocks.
    pub const fn block_count(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Most blocks of a unit.
    pub const fn unit_blocks(&self) -> u32 {
        self.unit_blocks
    }

    /// Attempts after which a unit is given up.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long a unit is kept for whoever took it.
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    /// Number of units.
    pub const fn unit_count(&self) -> u64 {
        self.block_count().div_ceil(self.unit_blocks as u64)
    }

    /// The unit with this index, from 0.
    pub fn unit(&self, index: u64) -> Option<WorkUnit> {
        let length = u64::from(self.unit_blocks);
        let first = self.first.checked_add(index.checked_mul(length)?)?;
        (first <= self.last).then(|| WorkUnit {
            index,
            chain_id: self.chain_id,
            first,
            last: first.saturating_add(length - 1).min(self.last),
        })
    }

    /// Whether both are about the same blocks by the same rules, however they share them out.
    pub fn is_work_of(&self, other: &Self) -> bool {
        self.chain_id == other.chain_id
            && self.blocks() == other.blocks()
            && other.rules.is_none_or(|rules| self.permits(rules))
    }

    /// Whether whoever has these rules may work on it.
    pub fn permits(&self, rules: B256) -> bool {
        self.rules.is_none_or(|own| own == rules)
    }
}

impl core::fmt::Display for WorkPlan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "blocks {}..={} of chain {}",
            self.first, self.last, self.chain_id
        )?;
        match self.rules {
            Some(rules) => write!(f, " by rules {rules}"),
            None => Ok(()),
        }
    }
}

/// A plan as it is written down, before its rules are checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPlan {
    chain_id: ChainId,
    first: BlockNumber,
    last: BlockNumber,
    unit_blocks: NonZeroU32,
    attempts: NonZeroU32,
    lease_milliseconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<B256>,
}

impl TryFrom<RawPlan> for WorkPlan {
    type Error = WorkError;

    fn try_from(raw: RawPlan) -> Result<Self, WorkError> {
        let plan = Self::new(raw.chain_id, raw.first..=raw.last)?
            .with_unit_blocks(raw.unit_blocks)?
            .with_attempts(raw.attempts)
            .with_lease(Duration::from_millis(raw.lease_milliseconds));
        Ok(Self {
            rules: raw.rules,
            ..plan
        })
    }
}

impl From<WorkPlan> for RawPlan {
    fn from(plan: WorkPlan) -> Self {
        Self {
            chain_id: plan.chain_id,
            first: plan.first,
            last: plan.last,
            unit_blocks: NonZeroU32::new(plan.unit_blocks).unwrap_or(NonZeroU32::MIN),
            attempts: NonZeroU32::new(plan.attempts).unwrap_or(NonZeroU32::MIN),
            lease_milliseconds: u64::try_from(plan.lease.as_millis()).unwrap_or(u64::MAX),
            rules: plan.rules,
        }
    }
}

/// Consecutive blocks that one worker verifies. Nothing of it depends on another unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkUnit {
    /// Position in the plan, from 0.
    pub index: u64,
    /// EIP-155 id of the chain.
    pub chain_id: ChainId,
    /// First block.
    pub first: BlockNumber,
    /// Last block.
    pub last: BlockNumber,
}

impl WorkUnit {
    /// The blocks.
    pub const fn blocks(&self) -> RangeInclusive<BlockNumber> {
        self.first..=self.last
    }

    /// Number of blocks.
    pub const fn block_count(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// What one worker found about the blocks of a unit: evidence by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitReport {
    /// The unit.
    pub unit: WorkUnit,
    /// Name of the worker.
    pub worker: String,
    /// Every block of the unit, ascending.
    pub blocks: Vec<BlockReport>,
}

impl UnitReport {
    /// A report that gives every block of `unit` up for one reason.
    pub fn undecided(unit: WorkUnit, worker: &str, reason: &str) -> Self {
        Self {
            unit,
            worker: worker.to_owned(),
            blocks: (unit.blocks())
                .map(|number| BlockReport::undecided(number, None, reason))
                .collect(),
        }
    }

    /// Whether the report speaks of every block of `unit` once and of no other.
    pub fn is_of(&self, unit: &WorkUnit) -> bool {
        self.unit == *unit
            && self
                .blocks
                .iter()
                .map(|block| block.number)
                .eq(unit.blocks())
    }
}

/// What was found about one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockReport {
    /// Height of the block.
    pub number: BlockNumber,
    /// What the block says of itself; `None` if no block was had.
    pub published: Option<Published>,
    /// The verdict, or why there is none.
    pub outcome: BlockOutcome,
    /// Microseconds of computing.
    pub microseconds: u64,
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Keccak-256 of the header.
    pub hash: B256,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Number of transactions.
    pub transactions: u64,
}

/// What became of a block.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum BlockOutcome {
    /// Every checked rule holds.
    Valid {
        /// Root of the state after the block.
        state_root: B256,
        /// Output root after the block; `None` on a chain that has none.
        output_root: Option<B256>,
        /// What the verdict rests on.
        assurance: Assurance,
    },
    /// This rule is broken, and no rule before it.
    Invalid(Fault),
    /// No verdict, for this reason. It accuses nobody.
    Undecided(String),
}

impl BlockReport {
    /// A block with its verdict.
    pub fn decided(block: &L2Block, verdict: Verdict, computing: Duration) -> Self {
        Self {
            number: block.number(),
            published: Some(block.into()),
            outcome: match verdict {
                Verdict::Valid(summary) => BlockOutcome::Valid {
                    state_root: summary.state_root,
                    output_root: summary.output_root,
                    assurance: summary.assurance,
                },
                Verdict::Invalid(fault) => BlockOutcome::Invalid(fault),
            },
            microseconds: u64::try_from(computing.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// A block without a verdict. Of a long reason the first [`MAX_REASON_BYTES`] are kept.
    pub fn undecided(number: BlockNumber, block: Option<&L2Block>, reason: &str) -> Self {
        let end = reason.floor_char_boundary(MAX_REASON_BYTES);
        Self {
            number,
            published: block.map(Published::from),
            outcome: BlockOutcome::Undecided(reason.get(..end).unwrap_or_default().to_owned()),
            microseconds: 0,
        }
    }

    /// Number and hash, if the block was had.
    pub fn reference(&self) -> Option<BlockRef> {
        self.published.map(|published| BlockRef {
            number: self.number,
            hash: published.hash,
        })
    }
}

impl From<&L2Block> for Published {
    fn from(block: &L2Block) -> Self {
        Self {
            hash: block.hash(),
            parent_hash: block.header.parent_hash,
            gas_used: block.header.gas_used,
            transactions: block.transactions.len() as u64,
        }
    }
}

/// Why there is no such plan.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// There is no block in the range, or more than can be counted.
    #[error("{first}..={last} is no range of blocks")]
    EmptyRange {
        /// First block.
        first: BlockNumber,
        /// Last block.
        last: BlockNumber,
    },
    /// A unit has too many blocks.
    #[error("{0} blocks are too many for a unit, {MAX_UNIT_BLOCKS} are the most")]
    UnitTooLong(u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_plan_is_refused_in_a_file_too() {
        let plan = WorkPlan::new(10, 5..=9).unwrap();
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<WorkPlan>(&json).unwrap(), plan);
        for (from, to) in [
            (r#""last":9"#, r#""last":4"#),
            (r#""last":9"#, r#""last":18446744073709551615"#),
            (r#""unitBlocks":16"#, r#""unitBlocks":0"#),
            (r#""unitBlocks":16"#, r#""unitBlocks":257"#),
            (r#""attempts":5"#, r#""attempts":0"#),
        ] {
            let wrong = json.replace(from, to);
            assert_ne!(wrong, json, "{from} is in {json}");
            assert!(serde_json::from_str::<WorkPlan>(&wrong).is_err(), "{to}");
        }
    }

    #[test]
    fn work_is_the_same_by_the_same_rules() {
        let any = WorkPlan::new(10, 5..=9).unwrap();
        let [one, other] = [1, 2].map(|byte| any.clone().with_rules(B256::repeat_byte(byte)));
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<WorkPlan>(&json).unwrap(), one);
        assert!(!serde_json::to_string(&any).unwrap().contains("rules"));
        for (held, wanted, is_same) in [
            (&any, &any, true),
            (&one, &one, true),
            (&one, &other, false),
            (&one, &any, true),
            (&any, &one, true),
        ] {
            assert_eq!(held.is_work_of(wanted), is_same, "{held}, {wanted}");
        }
        assert!(!one.is_work_of(&WorkPlan::new(10, 5..=8).unwrap()));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "ü".repeat(MAX_REASON_BYTES);
        let report = BlockReport::undecided(1, None, &reason);
        assert_eq!(
            report.outcome,
            BlockOutcome::Undecided("ü".repeat(MAX_REASON_BYTES / 2))
        );
        let odd = format!("a{reason}");
        let BlockOutcome::Undecided(kept) = BlockReport::undecided(1, None, &odd).outcome else {
            unreachable!("it is undecided");
        };
        assert_eq!(kept.len(), MAX_REASON_BYTES - 1);
    }

    proptest! {
        #[test]
        fn units_hold_every_block_once(
            first in 0u64..1_000_000,
            count in 1u64..2_000,
            length in 1u32..=MAX_UNIT_BLOCKS,
        ) {
            let plan = WorkPlan::new(10, first..=first + count - 1)
                .unwrap()
                .with_unit_blocks(NonZeroU32::new(length).unwrap())
                .unwrap();
            let units: Vec<_> = (0..plan.unit_count()).map(|it| plan.unit(it).unwrap()).collect();
            let blocks: Vec<_> = units.iter().flat_map(WorkUnit::blocks).collect();
            prop_assert_eq!(blocks, plan.blocks().collect::<Vec<_>>());
            prop_assert!(units.iter().all(|unit| unit.block_count() <= u64::from(length)));
            prop_assert_eq!(plan.unit(plan.unit_count()), None);
            prop_assert_eq!(plan.unit(u64::MAX), None);
        }
    }
}
