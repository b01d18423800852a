//! `mach-cli verify`: blocks in, verdicts out.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Instant,
};

use alloy_primitives::BlockNumber;
use eyre::{OptionExt, WrapErr};
use mach_core::Verdict;
use mach_verify::{
    check_body,
    source::{Archive, ChainFile, RecordedBlock, recorded_files},
};

use crate::{
    args::{BlockRange, VerifyArgs},
    evidence::Bundles,
    outcome::Outcome,
    remote,
    report::{Report, Row},
    spec::Specs,
};

pub(crate) fn run(args: &VerifyArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    match &args.blocks {
        Some(blocks) if !args.nodes.rpc.is_empty() => {
            let bundles = Bundles::new(&args.evidence);
            remote::verify(&specs, args, blocks, &bundles)
        }
        _ => from_files(args, &specs),
    }
}

/// What a path on the command line stands for.
enum Input {
    /// A recorded block.
    Block(PathBuf),
    /// A block of an archive.
    Archived(Arc<Archive>, BlockNumber),
    /// A folder with `chain.rlp` and `genesis.json`.
    Chain(PathBuf),
}

fn inputs(args: &VerifyArgs) -> eyre::Result<Vec<Input>> {
    if let Some(path) = &args.archive {
        return archived(path, args.blocks.as_ref());
    }
    let mut inputs = Vec::new();
    for path in &args.paths {
        if ChainFile::is_in(path) {
            inputs.push(Input::Chain(path.clone()));
            continue;
        }
        let files = recorded_files(path).wrap_err("nothing to verify")?;
        eyre::ensure!(
            !files.is_empty(),
            "{} holds neither recorded blocks (.json, .json.gz) nor chain.rlp with genesis.json",
            path.display()
        );
        inputs.extend(files.into_iter().map(Input::Block));
    }
    Ok(inputs)
}

/// The blocks of an archive that are asked for. One that is not there is an error: what was not
/// looked at must not pass for valid.
fn archived(path: &Path, blocks: Option<&BlockRange>) -> eyre::Result<Vec<Input>> {
    let archive = Arc::new(Archive::open(path)?);
    let input = |number| Input::Archived(Arc::clone(&archive), number);
    let inputs: Vec<_> = match blocks {
        None => archive.numbers().map(input).collect(),
        Some(blocks) => {
            if let Some(missing) = (blocks.numbers()).find(|it| archive.hash(*it).is_none()) {
                eyre::bail!("block {missing} is not in {}", path.display());
            }
            blocks.numbers().map(input).collect()
        }
    };
    eyre::ensure!(!inputs.is_empty(), "{} holds no blocks", path.display());
    Ok(inputs)
}

fn from_files(args: &VerifyArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let inputs = inputs(args)?;
    let is_countable = !inputs.iter().any(|input| matches!(input, Input::Chain(_)));
    let bundles = &Bundles::new(&args.evidence);
    let mut report = Report::new(is_countable.then_some(inputs.len() as u64), args.json);
    let next = AtomicUsize::new(0);
    let (rows, results) = mpsc::channel();
    let jobs = args
        .jobs
        .map_or_else(cores, NonZeroUsize::get)
        .min(inputs.len());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let rows = rows.clone();
            let (inputs, next) = (&inputs, &next);
            scope.spawn(move || {
                while let Some(input) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_heard = match input {
                        Input::Block(path) => rows
                            .send(timed(path.display().to_string(), |row| {
                                bundles.judge_file(specs, path, row);
                            }))
                            .is_ok(),
                        Input::Archived(archive, number) => rows
                            .send(timed(format!("block {number}"), |row| {
                                let recorded = (archive.read(*number).map_err(eyre::Report::new))
                                    .and_then(|it| it.ok_or_eyre("it is not in the archive"));
                                bundles.judge(specs, recorded, row);
                            }))
                            .is_ok(),
                        Input::Chain(folder) => chain(folder, bundles, &rows),
                    };
                    if !is_heard {
                        return;
                    }
                }
            });
        }
        drop(rows);
        for row in results {
            report.add(row);
        }
    });
    Ok(report.finish())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// One row, from bytes to verdict.
fn timed(source: String, judge: impl FnOnce(&mut Row)) -> Row {
    let started = Instant::now();
    let mut row = Row::unknown(source);
    judge(&mut row);
    row.elapsed = started.elapsed();
    row
}

/// All blocks of a chain file, each on the state that the one before it left. Answers whether
/// anybody still wants rows.
fn chain(folder: &Path, bundles: &Bundles, rows: &mpsc::Sender<Row>) -> bool {
    let source = folder.display().to_string();
    let opened = ChainFile::open_directory(folder)
        .and_then(|file| file.verifier().map(|verifier| (file, verifier)));
    let (file, mut verifier) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let mut row = Row::unknown(source);
            row.result = Err(error.into());
            return rows.send(row).is_ok();
        }
    };
    for block in file.blocks() {
        let started = Instant::now();
        let mut row = Row::unknown(source.clone());
        row.set_block(block);
        row.result = check_body(file.spec(), block)
            .and_then(|()| verifier.verify(block))
            .map_err(eyre::Report::new);
        if let Ok(Verdict::Invalid(fault)) = &row.result {
            let fault = fault.clone();
            match verifier.witness(block) {
                Ok(witness) => {
                    let recorded = RecordedBlock {
                        block: block.clone(),
                        witness,
                        source: None,
                    };
                    bundles.keep(file.spec(), recorded, &fault, &mut row);
                }
                Err(error) => row.note(format!("no evidence: {error}")),
            }
        }
        row.elapsed = started.elapsed();
        if rows.send(row).is_err() {
            return false;
        }
    }
    true
}
