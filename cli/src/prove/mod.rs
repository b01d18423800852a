//! `mach-cli prove`, `verify-proof` and `guest`: what anybody can be shown, without a quorum.

mod account;
mod args;
mod guest;
mod make;
mod meter;
mod verify;
mod words;

pub(crate) use args::{GuestArgs, ProveArgs, VerifyProofArgs, bytes};

use crate::outcome::{Outcome, told_as_json};

pub(crate) fn run(args: &ProveArgs) -> eyre::Result<Outcome> {
    told_as_json(make::run(args), args.json)
}

pub(crate) fn verify(args: &VerifyProofArgs) -> eyre::Result<Outcome> {
    told_as_json(verify::run(args), args.json)
}

pub(crate) fn guest(args: &GuestArgs) -> eyre::Result<Outcome> {
    let args::GuestCommand::Info(args) = &args.command;
    told_as_json(guest::info(args), args.json)
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(line: &str) {
    println!("{line}");
}
