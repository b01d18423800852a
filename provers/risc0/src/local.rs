//! Runs and proves on this machine: a STARK for each segment.

use std::{
    cell::RefCell,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    rc::Rc,
};

use mach_prove::{
    Progress,
    protocol::{Failure, Job, ProverError, Run, write_whole},
};
use risc0_zkvm::{
    Digest, ExecutorEnv, ExecutorImpl, InnerReceipt, NullSegmentRef, ProverOpts, Receipt, Segment,
    SegmentReceipt, Session, VerifierContext, get_prover_server, sha::Digestible,
};
use serde::{Deserialize, Serialize};

use crate::{guest::framed, seal, segments};

/// Cycles of a segment as a power of two if nothing else is said, the fewest and the most.
const DEFAULT_PO2: u32 = 18;
const LEAST_PO2: u32 = 15;
const MOST_PO2: u32 = 21;
/// Memory that a segment takes for each cycle, in bytes.
const BYTES_PER_CYCLE: u64 = 6 * 1024;
/// Last words of a guest that are remembered.
const MAX_WORDS: usize = 64 * 1024;

/// Runs a guest without proving.
pub(crate) fn execute(binary: &[u8], input: &[u8]) -> Result<Run, ProverError> {
    let words = Words::default();
    let session = run(binary, input, DEFAULT_PO2, &words, |_| Ok(()))?;
    let journal = session.journal.as_ref().map(|it| it.bytes.as_slice());
    let digest = journal.unwrap_or_default().digest();
    let mut phases = words.phases();
    phases.push(("paging".to_owned(), session.paging_cycles));
    Ok(Run {
        instructions: session.user_cycles,
        segments: session.segments.len() as u64,
        digest: <[u8; 32]>::from(digest).into(),
        phases,
    })
}

/// Proves a run. What is done is kept in the work folder: a run that was stopped goes on.
pub(crate) fn prove(
    binary: &[u8],
    id: Digest,
    job: &Job,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, ProverError> {
    let po2 = po2(job.memory_limit)?;
    let work = Work::new(&job.work_dir, id, po2)?;
    let journal = job.journal.encode();
    let trace = match work.trace() {
        Some(trace) => trace,
        None => {
            let trace = work.record(binary, &job.input, po2)?;
            progress(Progress::Executed {
                instructions: trace.cycles,
            });
            trace
        }
    };
    if trace.journal != journal {
        return Err(ProverError::other(
            "the guest gives another journal than native code",
        ));
    }
    let context = VerifierContext::default();
    let prover = get_prover_server(&ProverOpts::composite()).map_err(ProverError::other)?;
    let kept = (0..trace.segments).map(|index| work.receipt(index, &context));
    let receipts = segments::prove(kept.collect(), progress, |index| {
        let proved = prover.prove_segment(&context, &work.segment(index)?);
        let receipt = proved.map_err(ProverError::other)?;
        work.keep(&receipt)?;
        Ok(receipt)
    })?;
    let parameters = context.composite_verifier_parameters();
    let parameters = parameters.ok_or_else(|| ProverError::other("no parameters"))?;
    // Its fields in their order are its encoding; there is no other way to make one.
    let fields = bincode::serialize(&(receipts, Vec::<()>::new(), parameters.digest()))?;
    let receipt = InnerReceipt::Composite(bincode::deserialize(&fields)?);
    let receipt = Receipt::new(receipt, journal.to_vec());
    if let Err(error) = receipt.verify(id) {
        // Whatever lies there does not belong together: the next run begins anew.
        let _ = fs::remove_dir_all(&work.0);
        return Err(ProverError::other(error));
    }
    Ok(seal::encode(&receipt.inner)?)
}

/// The longest segments that the memory is enough for.
fn po2(memory_limit: Option<u64>) -> Result<u32, ProverError> {
    let Some(limit) = memory_limit else {
        return Ok(DEFAULT_PO2);
    };
    let cycles = (limit / BYTES_PER_CYCLE)
        .checked_ilog2()
        .unwrap_or_default();
    if cycles < LEAST_PO2 {
        let least = BYTES_PER_CYCLE << LEAST_PO2;
        let reason = format!("the shortest segments take {least} bytes");
        return Err(ProverError::new(Failure::Memory, reason));
    }
    Ok(cycles.min(MOST_PO2))
}

fn run(
    binary: &[u8],
    input: &[u8],
    po2: u32,
    words: &Words,
    mut keep: impl FnMut(Segment) -> Result<(), ProverError> + Send,
) -> Result<Session, ProverError> {
    let input = framed(input)?;
    let env = ExecutorEnv::builder()
        .segment_limit_po2(po2)
        .write_slice(&input)
        .stdout(io::stderr())
        .stderr(words.clone())
        .build()
        .map_err(ProverError::other)?;
    let mut failed = None;
    let mut executor = ExecutorImpl::from_elf(env, binary).map_err(ProverError::other)?;
    let session = executor.run_with_callback(|segment| {
        if failed.is_none() {
            failed = keep(segment).err();
        }
        Ok(Box::new(NullSegmentRef))
    });
    if let Some(error) = failed {
        return Err(error);
    }
    session.map_err(|error| {
        let reason = format!("the guest stopped without a journal: {error:#}");
        ProverError::new(Failure::Refused, reason)
    })
}

/// What a guest says on standard error.
#[derive(Clone, Default)]
struct Words(Rc<RefCell<Vec<u8>>>);

impl Words {
    /// Its lines `phase NAME CYCLES`.
    fn phases(&self) -> Vec<(String, u64)> {
        let words = self.0.borrow();
        let words = String::from_utf8_lossy(&words);
        let phases = words.lines().filter_map(|line| {
            let (name, cycles) = line.strip_prefix("phase ")?.split_once(' ')?;
            Some((name.to_owned(), cycles.parse().ok()?))
        });
        phases.collect()
    }
}

impl Write for Words {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut words = self.0.borrow_mut();
        let room = MAX_WORDS - words.len();
        words.extend(bytes.iter().take(room));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Segments of a run and what is proved of them, in a folder of their own for each guest and length
/// of segments.
struct Work(PathBuf);

/// What is known of a run whose segments are all written.
#[derive(Serialize, Deserialize)]
struct Trace {
    segments: u32,
    cycles: u64,
    journal: Vec<u8>,
}

impl Work {
    fn new(folder: &Path, id: Digest, po2: u32) -> Result<Self, ProverError> {
        let folder = folder.join(format!("risc0-{po2}-{id}"));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn trace(&self) -> Option<Trace> {
        serde_json::from_slice(&fs::read(self.0.join("trace.json")).ok()?).ok()
    }

    /// Runs the guest and writes its segments.
    fn record(&self, binary: &[u8], input: &[u8], po2: u32) -> Result<Trace, ProverError> {
        let mut segments = 0;
        let session = run(binary, input, po2, &Words::default(), |segment| {
            segments += 1;
            let bytes = bincode::serialize(&segment)?;
            self.write(&format!("{}.segment", segment.index), &bytes)
        })?;
        let trace = Trace {
            segments,
            cycles: session.user_cycles,
            journal: session.journal.unwrap_or_default().bytes,
        };
        self.write("trace.json", &serde_json::to_vec(&trace)?)?;
        Ok(trace)
    }

    fn segment(&self, index: u32) -> Result<Segment, ProverError> {
        let bytes = fs::read(self.0.join(format!("{index}.segment")))?;
        Ok(bincode::deserialize(&bytes)?)
    }

    fn keep(&self, receipt: &SegmentReceipt) -> Result<(), ProverError> {
        let bytes = bincode::serialize(receipt)?;
        self.write(&format!("{}.receipt", receipt.index), &bytes)
    }

    /// What is proved of a segment already. Whether it belongs to the others is seen in the end.
    fn receipt(&self, index: u32, context: &VerifierContext) -> Option<SegmentReceipt> {
        let bytes = fs::read(self.0.join(format!("{index}.receipt"))).ok()?;
        let receipt: SegmentReceipt = bincode::deserialize(&bytes).ok()?;
        receipt.verify_integrity_with_context(context).ok()?;
        (receipt.index == index).then_some(receipt)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ProverError> {
        Ok(write_whole(self.0.join(name), bytes)?)
    }
}
