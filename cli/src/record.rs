//! `mach-cli record`: blocks and witnesses into files.

use std::path::PathBuf;

use alloy_primitives::{BlockNumber, ChainId};
use eyre::WrapErr;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use mach_core::{BlockRef, L2Block};
use mach_verify::source::{Archive, RecordedBlock};

use crate::{args::RecordArgs, nodes::Nodes, outcome::Outcome, remote::runtime, spec::Specs};

/// Blocks that are fetched while one is written.
const AHEAD: usize = 4;

pub(crate) fn run(args: &RecordArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    runtime()?.block_on(record(args, &specs))
}

async fn record(args: &RecordArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let nodes = Nodes::connect(&args.nodes, specs).await?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} blocks  {msg}  {eta} left")?;
    let bar = ProgressBar::new(args.blocks.count()).with_style(style);
    let mut target = Target::open(args, nodes.chain_id())?;
    // An interrupted run goes on where it stopped: a block is there whole or not at all.
    let missing: Vec<_> = (args.blocks.numbers())
        .filter(|number| !target.has(*number))
        .collect();
    let (mut written, kept) = (0u64, args.blocks.count() - missing.len() as u64);
    bar.inc(kept);
    let mut blocks = futures::stream::iter(missing)
        .map(|number| nodes.record(number))
        .buffered(AHEAD);
    let mut last = None;
    while let Some(block) = blocks.next().await {
        let block = block?;
        let number = block.block.number();
        let before =
            match last.take_if(|it: &mut BlockRef| it.number.checked_add(1) == Some(number)) {
                Some(before) => Some(before),
                None => target.held(number.checked_sub(1))?.map(|it| it.reference()),
            };
        follows(before, &block.block)?;
        if let Some(after) = target.held(number.checked_add(1))? {
            follows(Some(block.block.reference()), &after)?;
        }
        target.write(&block)?;
        last = Some(block.block.reference());
        written += 1;
        bar.set_message(format!("block {}", block.block.number()));
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

    /// The block at a height, if it is there.
    fn held(&self, number: Option<BlockNumber>) -> eyre::Result<Option<L2Block>> {
        let Some(number) = number.filter(|number| self.has(*number)) else {
            return Ok(None);
        };
        let record = match self {
            Self::Folder { path, chain_id } => {
                let name = RecordedBlock::file_name_of(*chain_id, number);
                Some(RecordedBlock::read(path.join(name))?)
            }
            Self::Archive(archive) => archive.read(number)?,
        };
        Ok(record.map(|record| record.block))
    }

    fn write(&mut self, block: &RecordedBlock) -> eyre::Result<()> {
        match self {
            Self::Folder { path, .. } => block.write(path.join(block.file_name()))?,
            Self::Archive(archive) => archive.append(block)?,
        }
        Ok(())
    }
}

/// Blocks of two branches beside each other would look like one chain to whoever reads them.
fn follows(before: Option<BlockRef>, block: &L2Block) -> eyre::Result<()> {
    if let Some(before) = before
        && before.hash != block.header.parent_hash
    {
        eyre::bail!(
            "block {} does not follow block {before}: the chain was reorganised, or the node is on \
             another branch; record to another place, or remove the files of the branch that is gone",
            block.number()
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(line: &str) {
    println!("{line}");
}
