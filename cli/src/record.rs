//! `mach-cli record`: blocks and witnesses into files.

use std::path::PathBuf;

use alloy_primitives::{BlockNumber, ChainId};
use eyre::WrapErr;
use indicatif::{ProgressBar, ProgressStyle};
use mach_core::ports::L2Source;
use mach_verify::source::{Archive, RecordedBlock, RpcSource};

use crate::{args::RecordArgs, outcome::Outcome, remote::runtime, spec::Specs};

pub(crate) fn run(args: &RecordArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    runtime()?.block_on(record(args, &specs))
}

async fn record(args: &RecordArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let source = RpcSource::connect(args.rpc.clone()).await?;
    // A file that nobody here can verify is not worth the download.
    specs.of(source.chain_id())?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} blocks  {msg}  {eta} left")?;
    let bar = ProgressBar::new(args.blocks.count()).with_style(style);
    let mut target = Target::open(args, source.chain_id())?;
    let (mut written, mut kept) = (0u64, 0u64);
    for number in args.blocks.numbers() {
        // An interrupted run goes on where it stopped: a block is there whole or not at all.
        if target.has(number) {
            kept += 1;
        } else {
            target.write(&source.record(number).await?)?;
            written += 1;
            bar.set_message(format!("block {number}"));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let place = args.archive.as_ref().unwrap_or(&args.out);
    say(&format!(
        "{written} blocks written to {}, {kept} were there",
        place.display()
    ));
    Ok(Outcome::Valid)
}

/// Where blocks go.
enum Target {
    Folder { path: PathBuf, chain_id: ChainId },
    Archive(Box<Archive>),
}

impl Target {
    fn open(args: &RecordArgs, chain_id: ChainId) -> eyre::Result<Self> {
        if let Some(path) = &args.archive {
            return Ok(Self::Archive(Box::new(Archive::append_to(path, chain_id)?)));
        }
        let path = args.out.clone();
        std::fs::create_dir_all(&path).wrap_err_with(|| format!("folder {}", path.display()))?;
        Ok(Self::Folder { path, chain_id })
    }

    fn has(&self, number: BlockNumber) -> bool {
        match self {
            Self::Folder { path, chain_id } => path
                .join(RecordedBlock::file_name_of(*chain_id, number))
                .exists(),
            Self::Archive(archive) => archive.hash(number).is_some(),
        }
    }

    fn write(&mut self, block: &RecordedBlock) -> eyre::Result<()> {
        match self {
            Self::Folder { path, .. } => block.write(path.join(block.file_name()))?,
            Self::Archive(archive) => archive.append(block)?,
        }
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}
