//! The public interface, as a program that depends on the crate sees it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_const_for_fn,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod blocks;
mod damage;
mod fixture;
mod made;
mod native;
mod output;
#[cfg(all(feature = "process", unix))]
mod process;
mod rules;
mod soundness;
