//! Commands for operators and owners of contracts on L1.

mod admin;
mod args;
mod connect;
mod deploy;
mod doctor;
mod key;
mod render;
mod send;
mod status;
mod step;

pub(crate) use args::L1Command;
pub(crate) use doctor::now;

use crate::{outcome::Outcome, remote::runtime};

pub(crate) fn run(command: &L1Command) -> eyre::Result<Outcome> {
    runtime()?.block_on(async {
        match command {
            L1Command::Status(args) => status::run(args).await,
            L1Command::Doctor(args) => doctor::run(args).await,
            L1Command::Admin(args) => admin::run(args).await,
            L1Command::Deploy(args) => deploy::run(args).await,
        }
    })
}
