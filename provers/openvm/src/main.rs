//! See the library for what it does, and `protocol` for how it is talked to.

mod guest;
mod protocol;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use eyre::{Report, Result, WrapErr, ensure, eyre};
use serde_json::{Value, json};

use mach_prover_openvm::{machine, prove::Machine, verify};

use crate::{
    guest::Guest,
    protocol::{Failure, Message, Program, Proof},
};

/// Of the memory that may be taken, what one segment may: the rest is for the keys, the executable
/// and what the estimate of a segment leaves out.
const SEGMENT_SHARE: usize = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let message = match answer(&arguments) {
        Ok(()) => Message::Done,
        Err((failure, error)) => Message::Failed {
            failure,
            message: format!("{error:#}").chars().take(1024).collect(),
        },
    };
    message.say();
    match message {
        Message::Done => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn answer(arguments: &[OsString]) -> Result<(), (Failure, Report)> {
    let texts: Vec<_> = arguments.iter().map(|it| it.to_string_lossy()).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let other = |error| (Failure::Other, error);
    match &texts[..] {
        ["info"] => info().map_err(other),
        ["prove", flags @ ..] => prove(&Flags(flags)),
        ["verify", flags @ ..] => {
            let path = Flags(flags).value("--proof").map_err(other)?;
            verify(Path::new(path)).map_err(|error| (Failure::Invalid, error))
        }
        ["execute", program, input] => execute(program, Path::new(input)).map(print).map_err(other),
        ["keys", folder, recipe] => guest::write_keys(Path::new(folder), recipe)
            .map(print)
            .map_err(other),
        _ => {
            let error = eyre!("there are info, prove, verify, execute and keys");
            Err((Failure::Unable, error))
        }
    }
}

/// Flags with a value each.
struct Flags<'a>(&'a [&'a str]);

impl<'a> Flags<'a> {
    fn value(&self, name: &str) -> Result<&'a str> {
        let mut pairs = self.0.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0] == name);
        pair.map(|pair| pair[1])
            .ok_or_else(|| eyre!("{name} is missing"))
    }
}

fn print(value: Value) {
    println!("{value}");
}

fn info() -> Result<()> {
    for program in Program::ALL {
        Message::Program(Guest::new(program)?.committed).say();
    }
    Ok(())
}

/// Executes, proves, verifies and writes.
fn prove(flags: &Flags<'_>) -> Result<(), (Failure, Report)> {
    let other = |error: Report| (Failure::Other, error);
    let program = flags
        .value("--program")
        .and_then(Program::parse)
        .map_err(other)?;
    let input = flags
        .value("--input")
        .map(Path::new)
        .and_then(protocol::read)
        .map_err(other)?;
    let work_dir = flags.value("--work-dir").map(Path::new).map_err(other)?;
    let out = flags.value("--out").map(Path::new).map_err(other)?;
    let journal = protocol::read_journal(work_dir).map_err(other)?;
    let digest = journal.digest().map_err(other)?;
    let segment_memory = match flags.value("--memory-limit") {
        Ok(bytes) => {
            let bytes: usize = bytes.parse().wrap_err("--memory-limit").map_err(other)?;
            bytes / SEGMENT_SHARE
        }
        Err(_) => machine::DEFAULT_SEGMENT_MEMORY,
    };

    Message::Step { name: "loading" }.say();
    let guest = Guest::new(program).map_err(other)?;
    let id = guest.committed.id;
    let mut machine = Machine::new(program.kind(), guest.elf, segment_memory).map_err(other)?;
    if machine.id() != id.0 {
        return Err(other(eyre!("the guest has another id here")));
    }
    let run = machine.execute(&input).map_err(|error| {
        // The guest says why, and ends no line.
        println!();
        (Failure::Refused, error)
    })?;
    let instructions = run.segments.iter().sum();
    Message::Executed { instructions }.say();
    if run.revealed != digest {
        return Err(other(eyre!(
            "the guest gives another journal than native code"
        )));
    }
    let proof = machine.prove(&input, run.segments.len(), &mut |done, total| {
        Message::Segment { done, total }.say();
    });
    let proof = Proof::new(program, id, journal, proof.map_err(other)?);
    Message::Step { name: "verifying" }.say();
    check(&proof).map_err(|error| (Failure::Invalid, error))?;
    proof.write(out).map_err(other)
}

fn verify(path: &Path) -> Result<()> {
    check(&Proof::read(path)?)
}

fn check(proof: &Proof) -> Result<()> {
    let guest = Guest::new(proof.program)?;
    ensure!(
        proof.program_id == guest.committed.id,
        "the proof is of another program"
    );
    let digest = proof.journal.digest()?;
    Ok(verify::verify(
        &guest.key()?,
        proof.program_id.0,
        digest,
        &proof.proof.0,
    )?)
}

/// Runs a guest without proving.
fn execute(program: &str, input: &Path) -> Result<Value> {
    let program = Program::parse(program)?;
    let guest = Guest::new(program)?;
    let machine = Machine::new(program.kind(), guest.elf, machine::DEFAULT_SEGMENT_MEMORY)?;
    let run = machine.execute(&protocol::read(input)?)?;
    let digest: [u8; 32] = run
        .revealed
        .try_into()
        .map_err(|_| eyre!("not 32 public bytes"))?;
    Ok(json!({
        "instructions": run.segments.iter().sum::<u64>(),
        "segments": run.segments,
        "journalDigest": protocol::Bytes32(digest),
    }))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// So many random bits of the committed proof of an output root, or `MACH_BITS` of them.
    const BITS: usize = 100;

    #[test]
    fn a_proof_with_a_flipped_bit_does_not_verify() {
        let bits = std::env::var("MACH_BITS").map_or(BITS, |bits| bits.parse().unwrap());
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../guests/proofs/output.json"
        );
        let good = Proof::read(path.as_ref()).unwrap();
        let key = Guest::new(good.program).unwrap().key().unwrap();
        let digest = good.journal.digest().unwrap();
        let bytes = good.proof.0;
        verify::verify(&key, good.program_id.0, digest, &bytes).unwrap();
        for round in 0..bits as u64 {
            let random = Sha256::digest(round.to_le_bytes());
            let random = u64::from_le_bytes(random[..8].try_into().unwrap());
            let bit = random as usize % (bytes.len() * 8);
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                verify::verify(&key, good.program_id.0, digest, &bad).is_err(),
                "bit {bit}"
            );
        }
    }
}
