//! gRPC between operators, applications and an aggregator: `mach.v1.Aggregator` and `mach.v1.Rounds`.
//!
//! The services are described in `proto/mach/v1/aggregator.proto`, for clients in any language. The
//! first has the methods of [`rpc`](crate::rpc) and means the same by them; the second streams what
//! happens in the rounds. Each is a `Router` to be merged with others, which [`serve`](crate::http::serve) serves.

mod client;
mod convert;
mod error;
mod rounds;
mod server;

pub use client::{GrpcAggregator, GrpcError};
pub use convert::Malformed;
pub use rounds::rounds_router;
pub use server::aggregator_router;

use crate::rpc::MAX_MESSAGE_BYTES;

/// Messages, clients and servers, as they are made of `proto/mach/v1/aggregator.proto`.
pub mod proto {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        clippy::nursery,
        clippy::restriction,
        reason = "generated"
    )]

    tonic::include_proto!("mach.v1");
}

/// The same bound as over JSON-RPC, though a message takes less than half of it here.
const MAX_BYTES: usize = MAX_MESSAGE_BYTES as usize;
