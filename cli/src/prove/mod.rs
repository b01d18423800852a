//! `mach-cli prove`, `verify-proof` and `guest`: what anybody can be shown, without a quorum.

mod account;
mod args;
mod guest;
mod make;
mod meter;
mod verify;
mod words;

pub(crate) use args::{GuestArgs, ProveArgs, VerifyProofArgs, bytes};

use crate::outcome::{Outcome, print_json_error};

pub(crate) fn run(args: &ProveArgs) -> eyre::Result<Outcome> {
    told(make::run(args), args.json)
}

pub(crate) fn verify(args: &VerifyProofArgs) -> eyre::Result<Outcome> {
    told(verify::run(args), args.json)
}

pub(crate) fn guest(args: &GuestArgs) -> eyre::Result<Outcome> {
    let args::GuestCommand::Info(args) = &args.command;
    told(guest::info(args), args.json)
}

/// Scripts read why there is no result, too.
fn told(outcome: eyre::Result<Outcome>, json: bool) -> eyre::Result<Outcome> {
    if let (Err(error), true) = (&outcome, json) {
        print_json_error(error);
    }
    outcome
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(line: &str) {
    println!("{line}");
}
