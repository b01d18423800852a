//! The commitment that a proposer posts on L1.

use alloy_primitives::{B256, keccak256};
use mach_core::{ExecutionSummary, Fault, Mismatch};

/// Output root of version 0: what an OP Stack proposer commits to for one block.
///
/// `message_passer_root` is the storage root of `L2ToL1MessagePasser`.
///
/// Source: OP Stack specification, "L2 output commitment construction".
pub fn output_root(state_root: B256, message_passer_root: B256, block_hash: B256) -> B256 {
    let version = B256::ZERO;
    keccak256([version.0, state_root.0, message_passer_root.0, block_hash.0].as_flattened())
}

/// The fault of a proposal that commits to `claimed` for a block that was executed.
///
/// `None` if the proposal is right, and on a chain without output roots.
pub fn verify_output_proposal(summary: &ExecutionSummary, claimed: B256) -> Option<Fault> {
    let computed = summary.output_root?;
    Mismatch::check(claimed, computed).map(Fault::OutputRoot)
}
