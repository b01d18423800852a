//! Where the blocks of a backfill come from.

use std::{path::Path, sync::Arc};

use alloy_primitives::B256;
use eyre::WrapErr;
use mach_core::{
    WorkPlan,
    ports::{L2Head, L2Source},
};
use mach_node::backfill::{Judge, Recorded, Stateless};
use mach_verify::{
    ChainSpec, EvidenceFolder,
    source::{Archive, RecordedBlock, RecordedBlocks, recorded_files},
};

use super::{args::BackfillArgs, queue::Queue};
use crate::{
    against_l1::AgainstL1,
    args::BlockRange,
    nodes::{Node, Nodes},
    spec::Specs,
};

/// Units that are looked at for one that is done; they are taken in order.
const MAX_LOOKS: u64 = 64;

/// Blocks, and how they are judged.
pub(super) struct Source {
    pub(super) spec: ChainSpec,
    pub(super) blocks: Blocks,
    /// Whether they are compared with L1.
    pub(super) with_l1: bool,
}

pub(super) enum Blocks {
    Nodes(Arc<dyn Node>, Stateless<Arc<dyn Node>>),
    Recorded(Arc<RecordedBlocks>, Recorded),
}

impl Source {
    /// The source that the flags name, if they name one.
    pub(super) async fn open(args: &BackfillArgs, specs: &Specs) -> eyre::Result<Option<Self>> {
        let evidence = args.evidence.open();
        let recorded = if let Some(archive) = &args.archive {
            RecordedBlocks::from_archive(Archive::open(archive)?)
        } else if let Some(path) = &args.path {
            folder(path)?
        } else if args.nodes.rpc.is_empty() {
            return Ok(None);
        } else {
            return Self::nodes(args, specs, evidence).await.map(Some);
        };
        let spec = specs.of(recorded.chain_id())?.clone();
        let blocks = Arc::new(recorded);
        let judge = Recorded::new(spec.clone(), Arc::clone(&blocks)).with_evidence(evidence);
        Ok(Some(Self {
            spec,
            blocks: Blocks::Recorded(blocks, judge),
            with_l1: false,
        }))
    }

    async fn nodes(
        args: &BackfillArgs,
        specs: &Specs,
        evidence: EvidenceFolder,
    ) -> eyre::Result<Self> {
        let nodes = Nodes::connect(&args.nodes, specs).await?;
        let l1 = AgainstL1::connect(&args.l1, &args.nodes, specs, &nodes).await?;
        let with_l1 = l1.is_some();
        let judge = Stateless::new(nodes.spec.clone(), Arc::clone(&nodes.source));
        let mut judge = judge.with_evidence(evidence);
        if let Some(l1) = l1 {
            let (accuser, rules) = l1.into_accuser();
            judge = judge.with_l1(accuser, rules);
        }
        Ok(Self {
            spec: nodes.spec,
            blocks: Blocks::Nodes(nodes.source, judge),
            with_l1,
        })
    }

    /// A hash of the rules that the blocks are judged by.
    pub(super) fn rules(&self) -> B256 {
        let rules = match &self.blocks {
            Blocks::Nodes(_, judge) => judge.rules(),
            Blocks::Recorded(_, judge) => judge.rules(),
        };
        rules.unwrap_or_default()
    }

    /// Whether what `queue` holds is of the chain that this source has: a development network that
    /// was started again has the same chain id and other blocks.
    pub(super) async fn check_done(&self, queue: &Queue, plan: &WorkPlan) -> eyre::Result<()> {
        for index in 0..plan.unit_count().min(MAX_LOOKS) {
            let done = queue.report(index).await?;
            let published = (done.iter().flat_map(|report| &report.blocks))
                .find_map(|block| Some((block.number, block.published?.hash)));
            let Some((number, known)) = published else {
                continue;
            };
            let block = match &self.blocks {
                Blocks::Nodes(nodes, _) => nodes.block(number).await?,
                Blocks::Recorded(blocks, _) => blocks.block(number).await?,
            };
            eyre::ensure!(
                block.hash() == known,
                "what is done belongs to another chain: block {number} is {known} there and {} here; \
                 name another checkpoint or queue",
                block.hash()
            );
            break;
        }
        Ok(())
    }

    /// The blocks that are asked for. One that is not there is an error now and not after days: what
    /// was not looked at must not pass for valid.
    pub(super) async fn range(&self, asked: Option<&BlockRange>) -> eyre::Result<BlockRange> {
        match &self.blocks {
            Blocks::Nodes(nodes, _) => {
                let Some(asked) = asked else {
                    eyre::bail!("which blocks? name them with --blocks");
                };
                let head = nodes.head(L2Head::Unsafe).await?;
                let last = *asked.numbers().end();
                eyre::ensure!(
                    last <= head.number,
                    "block {last} is not there yet, the head of the source is block {}",
                    head.number
                );
                Ok(asked.clone())
            }
            Blocks::Recorded(blocks, _) => {
                let mut held = blocks.numbers();
                let (Some(first), last) = (held.next(), blocks.numbers().next_back()) else {
                    eyre::bail!("there are no blocks");
                };
                let range = match asked {
                    Some(asked) => asked.clone(),
                    None => BlockRange::new(first..=last.unwrap_or(first))
                        .map_err(|error| eyre::eyre!(error))?,
                };
                let mut wanted = range.numbers().peekable();
                for number in blocks.numbers() {
                    wanted.next_if_eq(&number);
                }
                match wanted.next() {
                    None => Ok(range),
                    Some(missing) => eyre::bail!(
                        "block {missing} is not among the recorded ones: name a range without gaps with \
                         --blocks, or verify single blocks with `mach-cli verify`"
                    ),
                }
            }
        }
    }
}

/// The blocks of a folder, all of one chain.
fn folder(path: &Path) -> eyre::Result<RecordedBlocks> {
    let files = recorded_files(path).wrap_err("nothing to verify")?;
    let Some(first) = files.first() else {
        eyre::bail!(
            "{} holds no recorded blocks (.json, .json.gz)",
            path.display()
        );
    };
    let chain_id = RecordedBlock::read(first)?.block.chain_id;
    let blocks = RecordedBlocks::open(path, chain_id)?;
    let count = blocks.numbers().count();
    eyre::ensure!(
        count == files.len(),
        "{} holds {} files, {count} of them different blocks of chain {chain_id}: a backfill is of one \
         chain",
        path.display(),
        files.len()
    );
    Ok(blocks)
}
