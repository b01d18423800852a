//! The binary, as a script calls it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod against_l1;
mod backfill;
mod breaker;
mod certificate;
mod derive;
mod devnet;
mod follow;
mod guard;
mod l1;
mod nodes;
mod prove;
mod services;
mod top;
mod verify;
mod wired;
#[cfg(unix)]
mod zk;

use std::process::{Command, Output};

use serde_json::Value;

fn mach_cli(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mach-cli"))
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("MACH_L1_RPC")
        .env_remove("MACH_JOURNAL")
        .env(
            "MACH_EVIDENCE",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/evidence"),
        )
        .output()
        .unwrap()
}

/// Standard output as JSON, one value a line.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
