//! The outcome of verifying one block.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{BlockRef, Fault};

/// What verification says of a block.
///
/// Only a value of this type accuses; an error of a validator means that we do not know.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Every checked rule holds.
    Valid(ExecutionSummary),
    /// This rule is broken, and no rule before it.
    Invalid(Fault),
}

impl Verdict {
    /// The fault of an invalid block.
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Valid(_) => None,
            Self::Invalid(fault) => Some(fault),
        }
    }

    /// The summary of a valid block.
    pub const fn summary(&self) -> Option<&ExecutionSummary> {
        match self {
            Self::Valid(summary) => Some(summary),
            Self::Invalid(_) => None,
        }
    }
}

/// What execution of a valid block gave, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionSummary {
    /// The block.
    pub block: BlockRef,
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Number of transactions.
    pub transactions: u64,
    /// Root of the state after the block.
    pub state_root: B256,
    /// Output root after the block; `None` on a chain that has none (Ethereum).
    pub output_root: Option<B256>,
    /// What the verdict rests on.
    pub assurance: Assurance,
}

/// What a verdict rests on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Assurance {
    /// Executed on the state of the parent header, whose hash is the block's `parentHash`, and its
    /// transactions follow from what was posted on L1.
    Derived,
    /// Executed on the state of the parent header, whose hash is the block's `parentHash`.
    Executed,
    /// Executed on a state root, or with ancestor hashes, that the source claims without a header
    /// to prove them. Such a result is never signed.
    ExecutedOnClaim,
    /// Not executed, since nothing here executes the chain's stack: what the block says of itself
    /// is consistent, and sources that were asked say the same. Such a result is never signed.
    CrossChecked,
}

impl Assurance {
    /// Whether execution proved the block on its parent. Only that is signed.
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Derived | Self::Executed)
    }
}
