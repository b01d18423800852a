//! JSON-RPC between operators and an aggregator.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `mach_openRound` | [`Statement`](mach_core::Statement) | [`Round`](mach_core::Round) |
//! | `mach_submitSignature` | [`SignedStatement`](mach_core::SignedStatement) | [`Progress`](mach_core::ports::Progress) |
//!
//! An error has a code of its own for each case, and says in `data.transient` whether a later try
//! may succeed.

mod api;
mod client;
mod error;
mod server;

pub use client::{RemoteAggregator, RemoteError};
pub use server::{AggregatorServer, ServeError, serve_aggregator};

/// Largest request that is read and largest answer that is sent, in bytes: a statement with its
/// signature has less than one thousand.
pub const MAX_MESSAGE_BYTES: u32 = 16 * 1024;
