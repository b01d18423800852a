//! The contracts, deployed and called on an EVM, and everything that talks to them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::missing_const_for_fn,
    reason = "tests and their helpers fail by panicking and tell gas on standard output"
)]

mod admin;
mod alerts;
mod bls;
mod bls12381;
mod certificate;
mod chain;
mod clients;
mod deployments;
mod faulty;
mod fixture;
mod golden;
mod hostile;
mod http;
mod m2;
mod node;
mod operator_set;
mod probe;
mod registry;
mod schedules;
mod service_managers;
mod submit;
mod tally;
mod v2;
mod v3;
mod zk;
