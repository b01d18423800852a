//! `mach-cli`: verify rollup blocks, record witnesses, run a devnet, operate on L1, keep keys.

mod against_l1;
mod args;
mod backfill;
mod block_range;
mod breaker;
mod certificate;
mod config;
mod config_cmd;
mod derive;
mod devnet;
mod environment;
mod evidence;
mod follow;
mod guard;
mod init;
mod keys;
mod l1;
mod nodes;
mod outcome;
mod password;
mod proposals;
mod prove;
mod record;
mod remote;
mod report;
mod rules;
mod services;
mod signals;
mod spec;
mod top;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::{
    args::{Cli, Command},
    outcome::Outcome,
};

fn main() -> ExitCode {
    outcome::while_somebody_reads(run)
}

fn run() -> ExitCode {
    let command = environment::beaten_by_flags(Cli::command(), std::env::args_os());
    let command = match config::breaker_from_file(command, std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return Outcome::from_error(error).into(),
    };
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    // A service's logs are what its configuration says.
    if !cli.command.is_service() {
        outcome::init_logging();
    }
    let outcome = match &cli.command {
        Command::Verify(args) => verify::run(args),
        Command::Follow(args) => follow::run(args),
        Command::Record(args) => record::run(args),
        Command::Backfill(args) => backfill::run(args),
        Command::Proposals(args) => proposals::run(args),
        Command::Derive(args) => derive::run(args),
        Command::Devnet(args) => devnet::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Guard(args) => guard::run(args),
        Command::Breaker(args) => breaker::run(args),
        Command::Top(args) => top::run(args),
        Command::Init(args) => init::run(args),
        Command::Config(args) => config_cmd::run(args),
        Command::Operator(args) => services::run_operator(args),
        Command::Aggregator(args) => services::run_aggregator(args),
        Command::Verifier(args) => services::run_verifier(args),
        Command::Certificate(args) => certificate::run(args),
        Command::Prove(args) => prove::run(args),
        Command::VerifyProof(args) => prove::verify(args),
        Command::Guest(args) => prove::guest(args),
        Command::L1(command) => l1::run(command),
    };
    outcome.unwrap_or_else(Outcome::from_error).into()
}
