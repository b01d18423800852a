//! `mach-cli derive`: blocks that follow from L1, compared with those that are published.

use std::{fs, io, path::Path, sync::Arc, time::Instant};

use alloy_consensus::Header;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use eyre::{OptionExt, WrapErr};
use indicatif::ProgressBar;
use mach_core::{
    Assurance, BlockRef, L2Block, Verdict,
    ports::{BlobSource, BlockValidator, L1Head, L1Source, L2Source, SourceError},
};
use mach_verify::{
    ChainSpec, WitnessMemory,
    derive::{Blob, Driver, DriverError, Finding},
    op::Rollup,
    source::{BeaconNode, BlobFolder, RecordedBlock, RpcOptions, RpcSource, StatelessValidator},
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    against_l1::{connect_l1, l1_rules},
    args::{DeriveArgs, L1HeadArg},
    evidence::Bundles,
    nodes::{Node, Nodes, RpcArgs},
    outcome::{Outcome, print_json_error},
    remote::runtime,
    report::{Report, Row},
    spec::Specs,
};

/// Largest checkpoint that is read, in bytes.
const MAX_CHECKPOINT_BYTES: u64 = 4096;

type Deriver = Driver<Shown, Box<dyn BlobSource>, Arc<dyn Node>>;
type Witnesses = Arc<WitnessMemory<Arc<dyn Node>>>;

pub(crate) fn run(args: &DeriveArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    match runtime()?.block_on(derive(args, &specs)) {
        Err(error) if args.json => {
            print_json_error(&error);
            Ok(Outcome::NoVerdict)
        }
        derived => derived,
    }
}

async fn derive(args: &DeriveArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let nodes = Nodes::connect(&args.nodes, specs).await.wrap_err("--l2")?;
    let config = specs.rollup_of(nodes.chain_id())?;
    let rules = l1_rules(specs, args.l1_genesis.as_deref(), config.l1_chain_id)?;
    let l1 = connect_l1(&args.l1, &args.nodes, config.l1_chain_id)
        .await
        .wrap_err("--l1")?;
    let rollup = Rollup::new(config, nodes.spec.clone(), rules);
    let Some((start, left)) = start(args, &nodes, &rollup).await? else {
        // What is asked for was derived before.
        return Ok(Report::new(Some(0), args.json).finish_as(Outcome::Valid));
    };
    let report = Report::new(left, args.json);
    let l1 = Shown {
        inner: l1,
        bar: report.bar(),
    };
    let head = match args.l1_head {
        L1HeadArg::Latest => L1Head::Latest,
        L1HeadArg::Safe => L1Head::Safe,
        L1HeadArg::Finalized => L1Head::Finalized,
    };
    let blocks = Arc::clone(&nodes.source);
    let blobs = blob_source(
        args.beacon.as_ref(),
        args.blobs.as_deref(),
        &args.nodes.options(),
    )?;
    let driver = Driver::new(rollup, &start, l1, blobs, blocks)?
        .with_head(head)
        .with_executor(executor(&args.nodes, &nodes.spec)?);
    follow(args, &nodes, driver, report, left).await
}

/// The block to start behind, and how many follow at most; `None` if none does.
async fn start(
    args: &DeriveArgs,
    nodes: &Nodes,
    rollup: &Rollup,
) -> eyre::Result<Option<(L2Block, Option<u64>)>> {
    let genesis = rollup.config.genesis.l2.number;
    let first = match &args.blocks {
        Some(blocks) => blocks.first(),
        None => genesis.saturating_add(1),
    };
    eyre::ensure!(
        first > genesis,
        "the first block that follows from L1 is {}",
        genesis.saturating_add(1)
    );
    let mut left = args.blocks.as_ref().map(|blocks| blocks.count());
    let mut behind = first - 1;
    let checkpoint = match &args.checkpoint {
        Some(path) => Checkpoint::read(path)
            .wrap_err_with(|| format!("checkpoint {}", path.display()))?
            .filter(|checkpoint| checkpoint.number > behind),
        None => None,
    };
    if let Some(checkpoint) = &checkpoint {
        eyre::ensure!(
            checkpoint.chain_id == nodes.chain_id(),
            "the checkpoint is of chain {}, the rollup is chain {}",
            checkpoint.chain_id,
            nodes.chain_id()
        );
        let done = checkpoint.number - behind;
        if left.is_some_and(|left| left <= done) {
            return Ok(None);
        }
        left = left.map(|left| left - done);
        behind = checkpoint.number;
    }
    let block = nodes.source.block(behind).await;
    let block = block.wrap_err_with(|| format!("block {behind}, to start behind"))?;
    if let Some(checkpoint) = checkpoint {
        eyre::ensure!(
            checkpoint.hash == block.hash(),
            "the rollup has block {}, the checkpoint is {}: one of them is another chain, or it was reorganised",
            block.reference(),
            checkpoint.hash
        );
    }
    Ok(Some((block, left)))
}

/// One block after another, up to the last that is asked for or posted.
async fn follow(
    args: &DeriveArgs,
    nodes: &Nodes,
    mut driver: Deriver,
    mut report: Report,
    mut left: Option<u64>,
) -> eyre::Result<Outcome> {
    let bundles = Bundles::new(&args.evidence);
    let witnesses = Arc::new(WitnessMemory::new(Arc::clone(&nodes.source)));
    let mut checkpoint = args.checkpoint.as_deref();
    while left != Some(0) {
        let started = Instant::now();
        let mut row = Row::unknown(nodes.name.clone());
        row.chain_id = Some(nodes.chain_id());
        row.number = Some(driver.derivation().head().number.saturating_add(1));
        let next = driver.next().await;
        if let Err(error) = &next
            && error.is_not_yet()
            && args.blocks.is_none()
        {
            break;
        }
        row.result = match next {
            Ok((block, Finding::Derived(_))) => {
                row.set_block(&block);
                judge(&block, nodes, &witnesses, &bundles, &mut row).await
            }
            Ok((block, Finding::NotDerivable(fault))) => {
                row.set_block(&block);
                match driver.accuse(&block).await {
                    Ok(Some(evidence)) => bundles.keep_bundle(&evidence, &mut row),
                    Ok(None) => row.note("no evidence: L1 has changed"),
                    Err(error) => row.note(format!("no evidence: {:#}", explain(error))),
                }
                Ok(Verdict::Invalid(fault))
            }
            Err(error) => Err(explain(error)),
        };
        row.elapsed = started.elapsed();
        let is_derived = driver.derivation().head().number == row.number.unwrap_or_default();
        let is_valid = matches!(row.result, Ok(Verdict::Valid(_)));
        match (checkpoint, &row.result) {
            (Some(path), Ok(Verdict::Valid(summary))) => {
                let kept = Checkpoint::of(nodes.chain_id(), summary.block).write(path);
                kept.wrap_err_with(|| format!("checkpoint {}", path.display()))?;
            }
            // What comes behind it is not to hide it.
            _ => checkpoint = None,
        }
        report.add(row);
        // Nothing behind an invalid block follows from L1, and of one behind a block without a
        // verdict it is not known.
        if !is_derived || !is_valid {
            break;
        }
        left = left.map(|left| left - 1);
    }
    Ok(report.finish())
}

/// Executes a block that is derived.
async fn judge(
    block: &L2Block,
    nodes: &Nodes,
    witnesses: &Witnesses,
    bundles: &Bundles,
    row: &mut Row,
) -> eyre::Result<Verdict> {
    let validator = StatelessValidator::new(nodes.spec.clone(), Arc::clone(witnesses));
    let mut verdict = validator.validate(block).await;
    for _ in 1..nodes.tries() {
        if verdict.is_ok() {
            break;
        }
        // A witness that is of no use may be another endpoint's next time.
        verdict = validator.validate(block).await;
    }
    let mut verdict = verdict?;
    match &mut verdict {
        Verdict::Valid(summary) if summary.assurance == Assurance::Executed => {
            summary.assurance = Assurance::Derived;
        }
        Verdict::Valid(_) => {}
        Verdict::Invalid(fault) => {
            if let Some(witness) = witnesses.remembered(block.hash()) {
                let recorded = RecordedBlock {
                    block: block.clone(),
                    witness,
                    source: None,
                };
                bundles.keep(&nodes.spec, recorded, fault, row);
            }
        }
    }
    Ok(verdict)
}

/// Executes what is on nobody's chain: its witness is gathered from proofs.
pub(crate) fn executor(rpc: &RpcArgs, spec: &ChainSpec) -> eyre::Result<Arc<dyn BlockValidator>> {
    let url = rpc.rpc.first().ok_or_eyre("no endpoint is named")?;
    let source = RpcSource::at(url.clone(), spec.chain_id(), &rpc.options())?;
    let source = source.with_proofs_only(spec.clone());
    Ok(Arc::new(StatelessValidator::new(spec.clone(), source)))
}

fn explain(error: DriverError) -> eyre::Report {
    if error.is_not_yet() {
        return eyre::eyre!("the batcher has not posted it, or L1 has not settled it yet");
    }
    let is_reorg = error.is_reorg();
    let report = eyre::Report::new(error);
    if is_reorg {
        return report.wrap_err(
            "L1 or the rollup was reorganised: start again behind a block whose L1 origin is still there",
        );
    }
    report
}

/// Where blobs come from: a beacon node, else a folder, else nowhere.
pub(crate) fn blob_source(
    beacon: Option<&Url>,
    folder: Option<&Path>,
    options: &RpcOptions,
) -> eyre::Result<Box<dyn BlobSource>> {
    Ok(match (beacon, folder) {
        (Some(url), _) => {
            Box::new(BeaconNode::with_options(url.clone(), options).wrap_err("beacon")?)
        }
        (None, Some(folder)) => Box::new(BlobFolder::new(folder)),
        (None, None) => Box::new(NoBlobs),
    })
}

/// The last block that was valid.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkpoint {
    chain_id: ChainId,
    number: BlockNumber,
    hash: B256,
}

impl Checkpoint {
    const fn of(chain_id: ChainId, block: BlockRef) -> Self {
        Self {
            chain_id,
            number: block.number,
            hash: block.hash,
        }
    }

    /// `None` if there is no file.
    fn read(path: &Path) -> eyre::Result<Option<Self>> {
        let length = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        eyre::ensure!(length <= MAX_CHECKPOINT_BYTES, "too long");
        Ok(Some(serde_json::from_slice(&fs::read(path)?)?))
    }

    /// The file is there as it was or as it has to be, whenever the program ends.
    fn write(&self, path: &Path) -> eyre::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, self)?;
        file.persist(path)?;
        Ok(())
    }
}

/// L1 that shows where it is read.
struct Shown {
    inner: Box<dyn L1Source>,
    bar: ProgressBar,
}

#[async_trait]
impl L1Source for Shown {
    fn chain_id(&self) -> ChainId {
        self.inner.chain_id()
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        self.inner.head(head).await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        self.inner.header(number).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        self.bar.set_message(format!("reading L1 block {number}"));
        self.inner.block(number).await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        self.inner.receipts(header).await
    }
}

/// For rollups that post calldata only.
#[derive(Debug)]
struct NoBlobs;

#[async_trait]
impl BlobSource for NoBlobs {
    async fn blobs(
        &self,
        _header: &Sealed<Header>,
        _hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        Err(SourceError::Backend(
            "the batcher uses blobs: name a source, --beacon or --blobs here, `beacon` in a configuration".into(),
        ))
    }
}
