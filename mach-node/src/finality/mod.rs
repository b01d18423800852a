//! How sure a block is: an index of what was certified, for applications.
//!
//! [`FinalityIndex`] keeps certificates and the chain of each rollup's node, and answers by height,
//! hash and transaction. [`router`] serves it as REST with server-sent events and WebSocket,
//! [`rpc_module`] as JSON-RPC.
//!
//! An attestation speaks for its block and, through the parent hashes, for all blocks below. The
//! index says so only where it has seen these links itself: every header in between, each hashed and
//! compared with its child.

mod absence;
mod api;
mod ask;
mod config;
mod error;
mod feed;
mod hub;
mod index;
mod links;
mod others;
mod rollup;
mod rows;
mod verifiers;
mod view;

pub use absence::RoundReport;
pub use api::{
    Beside, EvidenceFolders, NodeView, Rounds, openapi, router, router_with, rpc_module,
};
pub use config::FinalityConfig;
pub use error::FinalityError;
pub use feed::{FeedConfig, Standing, StandingAlerts};
pub use index::{FinalityIndex, Seen};
pub use verifiers::{VerifiedView, VerifierView, Verifiers, verified_router};
pub use view::{
    AlertView, AttestationView, BlockView, EventRecord, Finality, FinalityEvent, Heads,
    QuorumShare, RollupView, StakeShare, TransactionView,
};

pub(crate) use rows::record;
