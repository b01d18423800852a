//! Peak memory of verifying one block, from file to verdict, each block in a process of its own.
//!
//! `MACH_DATA=… cargo run --release -p mach-benches --example memory`; fails if a block takes more
//! than six times its witness and 64 MB.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use mach_core::Verdict;
use mach_verify::{
    ChainSpec, check_body,
    source::{RecordedBlock, recorded_files},
    verify_block,
};

const MEGA: f64 = 1e6;
/// Bytes that a process may take beside the witness.
const BASE: f64 = 64.0 * MEGA;
/// Times that a process may take the bytes of the witness.
const TIMES: f64 = 6.0;

fn main() -> ExitCode {
    if let Some(file) = std::env::args_os().nth(1) {
        println!("{}", verify(Path::new(&file)));
        return ExitCode::SUCCESS;
    }
    let Some(data) = std::env::var_os("MACH_DATA").map(PathBuf::from) else {
        println!("skipped: MACH_DATA names no folder with recorded blocks");
        return ExitCode::SUCCESS;
    };
    println!(
        "{:<24} {:>8} {:>9} {:>8} {:>8}",
        "block", "file", "witness", "peak", "bar"
    );
    let mut missed = 0;
    for file in recorded_files(data.join("blocks")).unwrap() {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", file.display());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut numbers = text.split_whitespace().map(|it| it.parse::<f64>().unwrap());
        let (witness, peak) = (numbers.next().unwrap(), numbers.next().unwrap());
        let bar = TIMES.mul_add(witness, BASE);
        let is_met = peak <= bar;
        println!(
            "{:<24} {:>5.1} MB {:>6.1} MB {:>5.1} MB {:>5.1} MB{}",
            file.file_name().unwrap().to_string_lossy(),
            file.metadata().unwrap().len() as f64 / MEGA,
            witness / MEGA,
            peak / MEGA,
            bar / MEGA,
            if is_met { "" } else { "  NOT MET" }
        );
        missed += usize::from(!is_met);
    }
    if missed > 0 {
        println!("{missed} blocks take more than {TIMES} times the witness and 64 MB");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Verifies the block in `file`; bytes of its witness, and the most that this process has taken.
fn verify(file: &Path) -> String {
    let recorded = RecordedBlock::read(file).unwrap();
    let spec = ChainSpec::known(recorded.block.chain_id).unwrap();
    check_body(&spec, &recorded.block).unwrap();
    let verdict = verify_block(&spec, &recorded.block, &recorded.witness);
    assert!(matches!(verdict, Ok(Verdict::Valid(_))), "{verdict:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    let peak = kib.parse::<usize>().unwrap() * 1024;
    format!("{} {peak}", recorded.witness.size())
}
