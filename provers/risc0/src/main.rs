//! See the library for what it does, and `mach_prove::protocol` for how it is talked to.

use std::process::ExitCode;

use mach_prove::protocol::run;
use mach_prover_risc0::Risc0;

fn main() -> ExitCode {
    run(&Risc0)
}
