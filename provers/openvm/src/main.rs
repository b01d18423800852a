//! See the library for what it does, and `mach_prove::protocol` for how it is talked to.

mod guest;

use std::process::ExitCode;

use mach_prove::{
    BackendName, Program, Progress, Proof,
    protocol::{self, Commitment, Failure, Guest, Job, Prover, ProverError, run},
};
use mach_prover_openvm::{
    machine,
    prove::{Machine, Run},
    verify::{self, VerifyError},
    work::Work,
};

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
    ) -> Result<impl FnMut(&[u8]) -> Result<protocol::Run, ProverError>, ProverError> {
        let kind = guest::kind(guest.info.program);
        let machine = Machine::new(kind, &guest.elf, machine::DEFAULT_SEGMENT_MEMORY);
        let machine = machine.map_err(ProverError::other)?;
        // Another executable is one that tells what its parts take.
        let is_committed = guest::committed(guest.info.program)?.elf == guest.elf;
        Ok(move |input: &[u8]| {
            let times = match is_committed {
                true => Vec::new(),
                false => machine.times(input).map_err(ProverError::other)?,
            };
            execute(&machine, input, &times).map(|(told, _)| told)
        })
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
        let (told, run) = execute(&machine, &job.input, &[])?;
        progress(Progress::Executed {
            instructions: told.instructions,
        });
        let digest = job.journal.digest();
        if told.digest != digest {
            return Err(ProverError::other(
                "the guest gives another journal than native code",
            ));
        }
        let work = Work::new(&job.work_dir, info.id.0, &job.input, &run);
        let work = work.map_err(ProverError::other)?;
        let proof = machine.prove(&job.input, &run, &work, &mut |done, total| {
            progress(Progress::Segment { done, total });
        });
        let proof = proof.map_err(unproved)?;
        if let Err(error) = verify::verify(machine.key(), info.id.0, digest.0, &proof) {
            if !matches!(error, VerifyError::TooLarge(_)) {
                // Whatever lies there does not belong together: the next run begins anew.
                work.clear();
            }
            return Err(unproved(error.into()));
        }
        Ok(proof)
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

/// Why there is no proof. Of a run in too many segments there is none, however often it is asked for.
fn unproved(error: eyre::Report) -> ProverError {
    match error.downcast_ref() {
        Some(VerifyError::TooLarge(_)) => {
            let advice = "with a higher memory limit there are fewer segments, and longer ones";
            ProverError::new(Failure::Unable, error.wrap_err(advice))
        }
        _ => ProverError::other(error),
    }
}

/// Runs a guest without proving. Answers what others are told of it, and what a proof takes.
fn execute(
    machine: &Machine,
    input: &[u8],
    times: &[u64],
) -> Result<(protocol::Run, Run), ProverError> {
    let run = machine.execute(input, times).map_err(|error| {
        // The guest says why, and ends no line.
        println!();
        ProverError::new(Failure::Refused, error)
    })?;
    let digest = <[u8; 32]>::try_from(run.revealed.as_slice());
    let digest = digest.map_err(|_| ProverError::other("not 32 public bytes"))?;
    let told = protocol::Run {
        instructions: run.segments.iter().map(|it| it.num_insns).sum(),
        segments: run.segments.len() as u64,
        digest: digest.into(),
        phases: Vec::new(),
    };
    Ok((told, run))
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, process};

    use mach_prove::{Journal, JournalError};
    use mach_prover_openvm::verify::AppProof;
    use openvm_circuit::arch::execution_mode::metered::segment_ctx::Segment;
    use openvm_sdk::{F, SC};
    use openvm_stark_backend::{p3_field::PrimeCharacteristicRing, proof::Proof as SegmentProof};

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

    /// An empty folder for what is kept of a run in two segments.
    fn kept(name: &str, id: u8, input: &[u8], lengths: [u64; 2]) -> (Work, PathBuf) {
        let folder = format!("mach-prover-openvm-{}-{name}", process::id());
        let folder = env::temp_dir().join(folder);
        let segments = lengths.map(|length| Segment::new(0, length, Vec::new()));
        let run = Run {
            segments: segments.into(),
            revealed: Vec::new(),
        };
        let work = Work::new(&folder, [id; 32], input, &run).unwrap();
        let inner = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        (work, inner.path())
    }

    fn segments(name: &str) -> Vec<SegmentProof<SC>> {
        let proof: AppProof = bitcode::deserialize(&committed(name).proof).unwrap();
        proof.per_segment
    }

    #[test]
    fn a_segment_that_is_kept_counts_where_it_belongs_and_if_it_is_whole() {
        let key = guest::key(Program::Block).unwrap();
        let proofs = segments("block-deposit");
        let (work, folder) = kept("work", 1, b"input", [5, 6]);
        assert!(work.proof(0, &key).is_none());
        work.keep(0, &proofs[0]).unwrap();
        let bytes = |proof| bitcode::serialize(&proof).unwrap();
        let read = bytes(work.proof(0, &key).unwrap());
        assert_eq!(read, bytes(proofs[0].clone()));

        // In another place; of another program, input, or way to cut the run.
        let first = folder.join("0.proof");
        fs::copy(&first, folder.join("1.proof")).unwrap();
        assert!(work.proof(1, &key).is_none());
        let others = [
            kept("work-program", 2, b"input", [5, 6]),
            kept("work-input", 1, b"other", [5, 6]),
            kept("work-cuts", 1, b"input", [6, 5]),
        ];
        for (other, elsewhere) in others {
            assert_ne!(elsewhere.file_name(), folder.file_name());
            fs::copy(&first, elsewhere.join("0.proof")).unwrap();
            assert!(other.proof(0, &key).is_none());
            fs::remove_dir_all(elsewhere.parent().unwrap()).unwrap();
        }

        // What was kept as if it were one: another machine's, and one that proves nothing.
        work.keep(1, &segments("output")[0]).unwrap();
        assert!(work.proof(1, &key).is_none());
        let mut bad = proofs[1].clone();
        let value = bad.public_values.iter_mut().flatten().next().unwrap();
        *value += F::ONE;
        work.keep(1, &bad).unwrap();
        assert!(work.proof(1, &key).is_none());

        // Damaged.
        let good = fs::read(&first).unwrap();
        for byte in [0, 31, 32, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[byte] ^= 1;
            fs::write(&first, bad).unwrap();
            assert!(work.proof(0, &key).is_none(), "{byte}");
        }
        for length in [0, 31, 32, good.len() - 1] {
            fs::write(&first, &good[..length]).unwrap();
            assert!(work.proof(0, &key).is_none(), "{length}");
        }
        fs::write(&first, good).unwrap();
        assert!(work.proof(0, &key).is_some());
        work.clear();
        assert!(!folder.exists());
        fs::remove_dir(folder.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_is_too_large_is_not_tried_again() {
        let too_large = eyre::Report::new(VerifyError::TooLarge(5));
        let failed = unproved(too_large.wrap_err("so many segments"));
        assert_eq!(failed.failure, Failure::Unable);
        let failed = unproved(VerifyError::Malformed.into());
        assert_eq!(failed.failure, Failure::Other);
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
