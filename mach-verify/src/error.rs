//! Why there is no verdict.

use alloy_primitives::{B256, BlockNumber, ChainId};
use mach_core::{
    Fault,
    ports::{BoxError, ValidateError},
};

use crate::{Unsupported, state::StateError};

/// Why execution gave no verdict. Nothing that accuses anybody may follow from it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The witness lacks a node of the state trie that execution or the state root needs.
    #[error("block {block}: the witness is incomplete")]
    MissingNode {
        /// Height of the block.
        block: BlockNumber,
        /// Which node, of which account or slot.
        #[source]
        source: StateError,
    },
    /// The witness lacks the code of a contract.
    #[error("block {block}: code {code} is missing from the witness")]
    MissingCode {
        /// Height of the block.
        block: BlockNumber,
        /// Keccak-256 of the code.
        code: B256,
    },
    /// A transaction read the hash of a block that the witness does not say.
    #[error("block {block}: hash of block {ancestor} is missing from the witness")]
    MissingBlockHash {
        /// Height of the block.
        block: BlockNumber,
        /// Height whose hash was read.
        ancestor: BlockNumber,
    },
    /// Neither the header of the parent is known, nor a claim of its state root.
    #[error("block {block}: header of parent {parent} is not known")]
    MissingParent {
        /// Height of the block.
        block: BlockNumber,
        /// The block's `parentHash`.
        parent: B256,
    },
    /// A part of the witness is not what it has to be.
    #[error("block {block}: witness {field} is malformed")]
    Witness {
        /// Height of the block.
        block: BlockNumber,
        /// Which part: `state`, `codes`, `headers`, `parentStateRoot` or `blockHashes`.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// A part of the body is not what the header commits to, or not what the fork permits.
    #[error("block {block}: {field} cannot be judged")]
    Body {
        /// Height of the block.
        block: BlockNumber,
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The block contradicts a state or hash that was only claimed: one of the two is wrong.
    #[error("block {block}: contradicts a claim that nothing proves: {fault}")]
    Unproven {
        /// Height of the block.
        block: BlockNumber,
        /// What would be wrong with the block if the claim were true.
        fault: Box<Fault>,
    },
    /// The rules of the block are not known.
    #[error("block {block} follows rules that are not known")]
    Unsupported {
        /// Height of the block.
        block: BlockNumber,
        /// Which rules.
        #[source]
        source: Unsupported,
    },
    /// The block and the rules belong to different chains.
    #[error("block {block} belongs to chain {actual}, the rules to chain {expected}")]
    WrongChain {
        /// Height of the block.
        block: BlockNumber,
        /// Chain of the rules.
        expected: ChainId,
        /// Chain of the block.
        actual: ChainId,
    },
    /// The machine stopped for a reason of its own.
    #[error("block {block}: execution stopped")]
    Evm {
        /// Height of the block.
        block: BlockNumber,
        /// What it says.
        #[source]
        source: BoxError,
    },
}

impl ExecuteError {
    /// Height of the block that has no verdict.
    pub const fn block(&self) -> BlockNumber {
        match self {
            Self::MissingNode { block, .. }
            | Self::MissingCode { block, .. }
            | Self::MissingBlockHash { block, .. }
            | Self::MissingParent { block, .. }
            | Self::Witness { block, .. }
            | Self::Body { block, .. }
            | Self::Unproven { block, .. }
            | Self::Unsupported { block, .. }
            | Self::WrongChain { block, .. }
            | Self::Evm { block, .. } => *block,
        }
    }

    /// Whether another witness, from a later try or another source, may give a verdict.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::MissingNode { .. }
                | Self::MissingCode { .. }
                | Self::MissingBlockHash { .. }
                | Self::MissingParent { .. }
                | Self::Witness { .. }
                | Self::Body { .. }
                | Self::Unproven { .. }
        )
    }
}

impl ExecuteError {
    /// What a state that did not answer means for `block`.
    pub(crate) fn from_state(block: BlockNumber, error: StateError) -> Self {
        match error {
            source @ StateError::MissingNode { .. } => Self::MissingNode { block, source },
            StateError::MissingCode { hash } => Self::MissingCode { block, code: hash },
            StateError::MissingBlockHash { number } => Self::MissingBlockHash {
                block,
                ancestor: number,
            },
            source => Self::Witness {
                block,
                field: "state",
                source: Box::new(source),
            },
        }
    }
}

impl From<ExecuteError> for ValidateError {
    fn from(error: ExecuteError) -> Self {
        let block = error.block();
        let is_unsupported = matches!(error, ExecuteError::Unsupported { .. });
        let is_transient = error.is_transient();
        let source: BoxError = Box::new(error);
        if is_unsupported {
            Self::Unsupported { block, source }
        } else if is_transient {
            Self::Incomplete { block, source }
        } else {
            Self::Internal { block, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_which_block_and_what() {
        let error = ExecuteError::MissingBlockHash {
            block: 7,
            ancestor: 3,
        };
        assert_eq!(
            error.to_string(),
            "block 7: hash of block 3 is missing from the witness"
        );
        assert!(error.is_transient());
        assert!(ValidateError::from(error).is_transient());
    }

    #[test]
    fn unknown_rules_stay_unknown_when_tried_again() {
        let error = ExecuteError::Unsupported {
            block: 7,
            source: Unsupported::Before { name: "Bedrock" },
        };
        assert!(!error.is_transient());
        assert!(matches!(
            ValidateError::from(error),
            ValidateError::Unsupported { block: 7, .. }
        ));
    }
}
