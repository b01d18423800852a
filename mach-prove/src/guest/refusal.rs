use alloy_primitives::B256;
use mach_core::{BlockRef, Fault};
use mach_verify::{ExecuteError, Unsupported, state::StateError};

use crate::InputError;

/// Why a guest makes no journal.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The input cannot be read.
    #[error("the input is malformed")]
    Input(#[from] InputError),
    /// There is no verdict on the block: its witness or our knowledge does not suffice, or its body
    /// is not the one that the header commits to.
    #[error("the block is not decided")]
    Undecided(#[from] ExecuteError),
    /// The rules of the header are not known.
    #[error("the rules are not known")]
    Unsupported(#[from] Unsupported),
    /// The block that was to be accused breaks no rule.
    #[error("block {0} is right")]
    RightBlock(BlockRef),
    /// The block that was to be affirmed breaks a rule.
    #[error("the block is wrong: {0}")]
    WrongBlock(Fault),
    /// The verdict rests on something that is only claimed.
    #[error("the verdict rests on a claim that nothing proves")]
    OnClaim,
    /// The fault says something that the journal does not bind.
    #[error("the journal does not bind what the fault rests on: {0}")]
    UnboundFault(Fault),
    /// The body has withdrawals that the header does not commit to.
    #[error("the header does not commit to the withdrawals of the body")]
    UnboundWithdrawals,
    /// The posted root is that of the header.
    #[error("output root {0} is right")]
    RightOutput(B256),
    /// Blocks of the chain have no output roots.
    #[error("the chain has no output roots")]
    NoOutputRoots,
    /// The header lacks the storage root of the message passer, which Isthmus demands.
    #[error("the header has no withdrawals root")]
    NoWithdrawalsRoot,
    /// The storage root of the message passer is not proved.
    #[error("the account of the message passer is not proved")]
    MessagePasser(#[source] StateError),
}
