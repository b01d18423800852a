//! `mach-cli verify`: blocks in, verdicts out.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Instant,
};

use eyre::WrapErr;
use mach_verify::{
    check_body,
    source::{ChainFile, RecordedBlock, recorded_files},
    verify_block,
};

use crate::{
    args::VerifyArgs,
    outcome::Outcome,
    remote,
    report::{Report, Row},
    spec::Specs,
};

pub(crate) fn run(args: &VerifyArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    match (&args.rpc, &args.blocks) {
        (Some(url), Some(blocks)) => remote::verify(&specs, url, blocks, args.json),
        _ => from_files(args, &specs),
    }
}

/// What a path on the command line stands for.
enum Input {
    /// A recorded block.
    Block(PathBuf),
    /// A folder with `chain.rlp` and `genesis.json`.
    Chain(PathBuf),
}

fn inputs(paths: &[PathBuf]) -> eyre::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
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

fn from_files(args: &VerifyArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let inputs = inputs(&args.paths)?;
    let is_countable = inputs.iter().all(|input| matches!(input, Input::Block(_)));
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
                        Input::Block(path) => rows.send(recorded(specs, path)).is_ok(),
                        Input::Chain(folder) => chain(folder, &rows),
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

/// One recorded block, from bytes to verdict.
fn recorded(specs: &Specs, path: &Path) -> Row {
    let started = Instant::now();
    let mut row = Row::unknown(path.display().to_string());
    row.result = RecordedBlock::read(path)
        .map_err(eyre::Report::new)
        .and_then(|recorded| {
            row.set_block(&recorded.block);
            let spec = specs.of(recorded.block.chain_id)?;
            check_body(spec, &recorded.block)?;
            Ok(verify_block(spec, &recorded.block, &recorded.witness)?)
        });
    row.elapsed = started.elapsed();
    row
}

/// All blocks of a chain file, each on the state that the one before it left. Answers whether
/// anybody still wants rows.
fn chain(folder: &Path, rows: &mpsc::Sender<Row>) -> bool {
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
        row.elapsed = started.elapsed();
        if rows.send(row).is_err() {
            return false;
        }
    }
    true
}
