//! Commands for operators and owners of contracts on L1.

mod admin;
mod args;
mod churn;
mod connect;
mod deploy;
mod doctor;
mod eigenlayer;
mod journal;
mod key;
mod opt_in;
mod opt_out;
mod render;
mod send;
mod status;
mod step;

pub(crate) use args::{L1Command, read_quorums};
pub(crate) use connect::{L1, configured, names_a_file};
pub(crate) use doctor::now;
pub(crate) use key::{bls_with, ecdsa_with};

use crate::{outcome::Outcome, remote::runtime};

pub(crate) fn run(command: &L1Command) -> eyre::Result<Outcome> {
    runtime()?.block_on(async {
        match command {
            L1Command::OptIn(args) => opt_in::run(args).await,
            L1Command::OptOut(args) => opt_out::run(args).await,
            L1Command::Status(args) => status::run(args).await,
            L1Command::Doctor(args) => doctor::run(args).await,
            L1Command::EigenLayer(args) => eigenlayer::run(args).await,
            L1Command::Admin(args) => admin::run(args).await,
            L1Command::Deploy(args) => deploy::run(args).await,
        }
    })
}
