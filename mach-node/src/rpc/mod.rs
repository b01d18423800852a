//! JSON-RPC between operators and an aggregator.
//!
//! | method | parameters | result |
//! |---|---|---|
//! | `mach_openRound` | [`Statement`](mach_core::Statement) | [`Round`](mach_core::Round): its terms |
//! | `mach_submitSignature` | [`SignedStatement`](mach_core::SignedStatement) | [`Progress`](mach_core::ports::Progress) |
//!
//! Anybody may ask for terms, which changes nothing. What a signature changes is authenticated by
//! itself: it is the operator's, of this statement, for this service manager, or it is refused; sent
//! again, it changes nothing.
//!
//! The code of an error says what becomes of the statement: it will not be taken (1), a later try may
//! succeed (2), or it comes too late and nothing is wrong with it (3), which is no refusal. `data.kind` says which
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
