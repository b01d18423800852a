//! Output roots that are proposed on L1, and whether they are right.
//!
//! [`ProposalEvents`] reads them out of the receipts of L1 blocks, which prove themselves to their
//! headers; [`L1Proposals`] follows L1 and keeps what was proposed; [`ProposalChecker`] executes the
//! block that a proposal is about and compares.
//!
//! Source: <https://specs.optimism.io/protocol/proposals.html>,
//! <https://specs.optimism.io/fault-proof/stage-one/dispute-game-interface.html>

mod check;
mod events;
mod scan;

pub use check::ProposalChecker;
pub use events::{
    GAME_TYPES_WITH_OUTPUT_ROOTS, Proposal, ProposalContract, ProposalEvent, ProposalEvents,
    ProposalKind,
};
pub use scan::{L1Proposals, MAX_PROPOSALS, ProposalStatus, TrackedProposal};
