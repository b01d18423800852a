//! See the library for what it does, and `mach_prove::protocol` for how it is talked to.

mod guest;

use std::process::ExitCode;

use mach_prove::{
    BackendName, Program, Progress, Proof,
    protocol::{Commitment, Failure, Guest, Job, Prover, ProverError, Run, run},
};
use mach_prover_openvm::{machine, prove::Machine, verify};

/// Of the memory that may be taken, what one segment may: the rest is for the keys, the executable
/// and what the estimate of a segment leaves out.
const SEGMENT_SHARE: u64 = 2;

fn main() -> ExitCode {
    run(&OpenVm)
}

/// OpenVM on this machine.
struct OpenVm;

impl Prover for OpenVm {
    fn name(&self) -> BackendName {
        BackendName::OpenVm
    }

    fn guest(&self, program: Program) -> Result<Guest, ProverError> {
        guest::committed(program)
    }

    fn executor(
        &self,
        guest: &Guest,
    ) -> Result<impl FnMut(&[u8]) -> Result<Run, ProverError>, ProverError> {
        let kind = guest::kind(guest.info.program);
        let machine = Machine::new(kind, &guest.elf, machine::DEFAULT_SEGMENT_MEMORY);
        let machine = machine.map_err(ProverError::other)?;
        Ok(move |input: &[u8]| execute(&machine, input).map(|(run, _)| run))
    }

    fn prove(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>, ProverError> {
        let segment_memory = match job.memory_limit {
            Some(bytes) => usize::try_from(bytes / SEGMENT_SHARE)?,
            None => machine::DEFAULT_SEGMENT_MEMORY,
        };
        let info = &job.guest.info;
        let mut machine = Machine::new(guest::kind(info.program), &job.guest.elf, segment_memory)
            .map_err(ProverError::other)?;
        if machine.id() != info.id.0 {
            return Err(ProverError::other("the guest has another id here"));
        }
        let (run, segments) = execute(&machine, &job.input)?;
        progress(Progress::Executed {
            instructions: run.instructions,
        });
        if run.digest != job.journal.digest() {
            return Err(ProverError::other(
                "the guest gives another journal than native code",
            ));
        }
        let proof = machine.prove(&job.input, segments, &mut |done, total| {
            progress(Progress::Segment { done, total });
        });
        proof.map_err(ProverError::other)
    }

    fn verify(&self, guest: &Guest, proof: &Proof) -> Result<(), ProverError> {
        let key = guest::key(guest.info.program).map_err(ProverError::other)?;
        let digest = proof.journal.digest();
        verify::verify(&key, guest.info.id.0, digest.0, &proof.proof).map_err(ProverError::invalid)
    }

    fn commit(&self, program: Program, elf: &[u8]) -> Result<Commitment, ProverError> {
        let kind = guest::kind(program);
        let machine = Machine::new(kind, elf, machine::DEFAULT_SEGMENT_MEMORY);
        let machine = machine.map_err(ProverError::other)?;
        let key = verify::encode_key(machine.key()).map_err(ProverError::other)?;
        Ok(Commitment {
            id: machine.id().into(),
            key: Some(key),
        })
    }
}

/// Runs a guest without proving. Answers how many segments it has, too.
fn execute(machine: &Machine, input: &[u8]) -> Result<(Run, usize), ProverError> {
    let run = machine.execute(input).map_err(|error| {
        // The guest says why, and ends no line.
        println!();
        ProverError::new(Failure::Refused, error)
    })?;
    let digest = <[u8; 32]>::try_from(run.revealed);
    let digest = digest.map_err(|_| ProverError::other("not 32 public bytes"))?;
    let segments = run.segments.len();
    let run = Run {
        instructions: run.segments.iter().sum(),
        segments: segments as u64,
        digest: digest.into(),
        phases: Vec::new(),
    };
    Ok((run, segments))
}

#[cfg(test)]
mod tests {
    use std::env;

    use mach_prove::{Journal, JournalError};
    use mach_prover_openvm::verify::VerifyError;

    use super::*;

    /// So many random bits, or `MACH_BITS` of them.
    const BITS: usize = 1000;
    /// Of the block's proof, which takes twice as long.
    const BLOCK_BITS: usize = 100;

    fn bits(count: usize) -> usize {
        env::var("MACH_BITS").map_or(count, |bits| bits.parse().unwrap())
    }

    /// The same numbers every time (Steele, Lea and Flood, 2014).
    fn splitmix(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Flips so many bits, one at a time, and shows each.
    fn flip(bytes: &[u8], count: usize, mut show: impl FnMut(&[u8])) {
        let (mut state, mut bad) = (bytes.len() as u64, bytes.to_vec());
        for _ in 0..count {
            let bit = splitmix(&mut state) as usize % (bytes.len() * 8);
            bad[bit / 8] ^= 1 << (bit % 8);
            show(&bad);
            bad[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(bad, bytes);
    }

    fn committed(name: &str) -> Proof {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/proofs");
        let proof = Proof::read(format!("{folder}/{name}.json")).unwrap();
        let guest = OpenVm.guest(proof.program).unwrap();
        OpenVm.verify(&guest, &proof).unwrap();
        proof
    }

    fn a_flipped_bit_is_refused(name: &str, count: usize) {
        let proof = committed(name);
        let key = guest::key(proof.program).unwrap();
        let (id, digest) = (proof.program_id.0, proof.journal.digest().0);
        let refused = |id: [u8; 32], digest: [u8; 32], bytes: &[u8]| {
            verify::verify(&key, id, digest, bytes).unwrap_err()
        };
        // Of the proof: no encoding, a journal that is not asked for, or it does not verify.
        let mut names = [0; 3];
        flip(&proof.proof, bits(count), |bad| {
            names[match refused(id, digest, bad) {
                VerifyError::Malformed => 0,
                VerifyError::OtherJournal => 1,
                VerifyError::Invalid(reason) => {
                    assert!(!reason.is_empty());
                    2
                }
                other => panic!("{other}"),
            }] += 1;
        });
        println!("{name}: malformed, other journal, does not verify: {names:?}");
        // Of the journal, with the configuration's hash in it: it is none, or another.
        let journal = proof.journal.encode();
        flip(&journal, bits(BITS), |bad| {
            let named = match Journal::decode(bad) {
                Ok(journal) => {
                    let error = refused(id, journal.digest().0, &proof.proof);
                    matches!(error, VerifyError::OtherJournal)
                }
                Err(JournalError::Version(_) | JournalError::Word(_)) => true,
                Err(_) => false,
            };
            assert!(named);
        });
        // Of the program's id, a bit of each byte: it is none, or another.
        for byte in 0..32 {
            let mut bad = id;
            bad[byte] ^= 1 << (byte % 8);
            let error = refused(bad, digest, &proof.proof);
            let is_other = match &error {
                VerifyError::ProgramId => true,
                VerifyError::Invalid(reason) => reason.contains("exe commit mismatch"),
                _ => false,
            };
            assert!(is_other, "{error}");
        }
    }

    #[test]
    fn a_flipped_bit_of_the_output_proof_is_refused() {
        a_flipped_bit_is_refused("output", BITS);
    }

    #[test]
    fn a_flipped_bit_of_the_block_proof_is_refused() {
        a_flipped_bit_is_refused("block-deposit", BLOCK_BITS);
    }

    #[test]
    fn a_flipped_bit_of_a_program_is_refused() {
        for program in Program::ALL {
            let guest = OpenVm.guest(program).unwrap();
            flip(&guest.elf, bits(BITS), |bad| {
                let refused = Guest::committed(BackendName::OpenVm, program, bad.to_vec());
                let refused = refused.unwrap_err().source.to_string();
                assert_eq!(refused, "the guest is not the committed one");
            });
        }
    }
}
