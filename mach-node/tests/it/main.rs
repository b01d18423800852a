//! Services with real keys, real tallies and real HTTP. Registry, L1 head and confirmer are in memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod aggregator;
mod backfill;
mod breaker;
mod compat;
mod curves;
mod dashboard;
mod events;
mod finality;
mod frames;
mod fuzz;
mod grpc;
mod guard;
mod http;
mod instances;
mod kill;
mod lasting;
mod late;
mod legacy;
mod limits;
mod operator;
mod outbox;
mod ports;
#[cfg(feature = "postgres")]
mod postgres;
mod queue;
mod reorg;
mod restart;
mod retention;
mod rpc;
mod signers;
mod store;
#[cfg(feature = "postgres")]
mod takeover;
mod verified;
mod verifier;
mod writes;
mod zk;
