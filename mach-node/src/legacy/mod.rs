//! The interfaces of the original MACH AVS, so that its operators and verifiers can be pointed at
//! these services.
//!
//! - [`aggregator_rpc`] and [`aggregator_grpc`] are its aggregator, for its operators: JSON-RPC and
//!   gRPC. Behind both is a [`TaskAggregator`].
//! - [`verifier_router`] is its operator, for its verifiers. Behind it is a [`LegacyAlerts`]:
//!   [`Recheck`] verifies what a verifier says before it signs anything.
//!
//! Nothing of this is served unless it is asked for, and each says in the log what it weakens. What
//! the original's operators sign binds neither a contract nor an L1 chain, and names no block; whoever
//! can reach the endpoint can open tasks; a verifier is believed without a proof. New deployments use
//! [`rpc`](crate::rpc) and [`grpc`](crate::grpc).
//!
//! Not there: Go's `net/rpc`, which nothing has used since April 2024.

mod aggregator;
mod verifier;
mod wire;

pub(crate) use aggregator::record;
pub use aggregator::{
    AlertTask, Deployment, DigestRule, InitAnswer, InitOperator, LegacyConfig, LegacyTasks,
    TaskAggregator, TaskError, VirtualHosts, aggregator_grpc, aggregator_rpc,
};
pub use verifier::{
    AlertAnswer, AlertRefusal, LegacyAlerts, LegacyAvs, LegacyNode, Recheck, verifier_router,
};
