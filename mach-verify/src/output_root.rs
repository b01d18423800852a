//! The commitment that a proposer posts on L1.

use alloy_primitives::{B256, BlockNumber, keccak256};
use mach_core::{ExecutionSummary, Fault, Mismatch, ports::ValidateError};

/// Output root of version 0: what an OP Stack proposer commits to for one block.
///
/// `message_passer_root` is the storage root of `L2ToL1MessagePasser`.
///
/// Source: <https://specs.optimism.io/protocol/proposals.html#l2-output-commitment-construction>
pub fn output_root(state_root: B256, message_passer_root: B256, block_hash: B256) -> B256 {
    let version = B256::ZERO;
    keccak256([version.0, state_root.0, message_passer_root.0, block_hash.0].as_flattened())
}

/// The fault of a proposal that commits to `claimed` for a block that was executed.
///
/// `None` if the proposal is right, and also if [`ExecutionSummary::output_root`] is not known: ask
/// for that first.
pub fn verify_output_proposal(summary: &ExecutionSummary, claimed: B256) -> Option<Fault> {
    let computed = summary.output_root?;
    Mismatch::check(claimed, computed).map(Fault::OutputRoot)
}

/// What is said of a proposal for a block of which only the state root is known.
pub(crate) fn unknown_output_root(block: BlockNumber) -> ValidateError {
    let what =
        "its witness does not hold the account of the message passer, on a chain that has one";
    ValidateError::Incomplete {
        block,
        source: what.into(),
    }
}
