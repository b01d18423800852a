//! `mach-cli`: verify rollup blocks, record witnesses, run a devnet.

mod args;
mod devnet;
mod keys;
mod outcome;
mod password;
mod record;
mod remote;
mod report;
mod spec;
mod verify;

use clap::Parser;

use crate::{
    args::{Cli, Command},
    outcome::Outcome,
};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    outcome::init_logging();
    let outcome = match &cli.command {
        Command::Verify(args) => verify::run(args),
        Command::Record(args) => record::run(args),
        Command::Devnet(args) => devnet::run(args),
        Command::Keys(args) => keys::run(args),
    };
    outcome.unwrap_or_else(Outcome::from_error).into()
}
