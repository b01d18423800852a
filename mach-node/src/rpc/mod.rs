//! JSON-RPC between operators and an aggregator.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `mach_openRound` | [`Statement`](mach_core::Statement) | [`Round`](mach_core::Round) |
//! | `mach_submitSignature` | [`SignedStatement`](mach_core::SignedStatement) | [`Progress`](mach_core::ports::Progress) |
//!
//! The code of an error says whether a later try may succeed (2) or not (1), and `data.kind` which
//! [`AggregateError`](mach_core::ports::AggregateError) it is. Causes stay in the aggregator's log.

mod api;
mod client;
mod error;
mod server;

pub use client::{RemoteAggregator, RemoteError};
pub use server::{aggregator_router, serve_aggregator};

/// Largest request that is read and largest answer that is sent, in bytes: a statement with its
/// signature has less than one thousand.
pub const MAX_MESSAGE_BYTES: u32 = 16 * 1024;
