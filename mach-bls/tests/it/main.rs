//! Keys, signatures, tallies and certificates through the public API.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking and say on standard output what they skip"
)]

mod certificate;
mod fixture;
mod golden;
mod keys;
#[cfg(feature = "keystore")]
mod keystore;
mod m2;
mod self_contained;
mod tally;
mod vectors;
