//! `mach-cli derive`: blocks that follow from L1, compared with those that are published.

use std::time::Instant;

use alloy_consensus::Header;
use alloy_primitives::{B256, Sealed};
use async_trait::async_trait;
use eyre::WrapErr;
use mach_core::{
    Assurance, L2Block, Verdict,
    ports::{BlobSource, BlockValidator, L1Head, L2Source, SourceError},
};
use mach_verify::{
    derive::{Blob, Driver, DriverError, Finding},
    op::Rollup,
    source::{BeaconNode, BlobFolder, RpcSource, StatelessValidator},
};

use crate::{
    args::{DeriveArgs, L1HeadArg},
    outcome::Outcome,
    remote::{runtime, shown},
    report::{Report, Row},
    spec::{self, Specs},
};

type Deriver<'a> = Driver<&'a RpcSource, Box<dyn BlobSource>, &'a RpcSource>;

pub(crate) fn run(args: &DeriveArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    runtime()?.block_on(async {
        let l1 = (RpcSource::connect(args.l1.clone()).await).wrap_err("the L1 endpoint")?;
        let l2 = (RpcSource::connect(args.l2.clone()).await).wrap_err("the L2 endpoint")?;
        let config = spec::rollup_config(&args.chain)?;
        let rules = specs.of(config.l2_chain_id)?.clone();
        let rollup = Rollup::new(config, rules.clone(), specs.of(l1_chain(&l1))?.clone());

        let genesis = rollup.config.genesis.l2.number;
        let first = match &args.blocks {
            Some(blocks) => blocks.first(),
            None => genesis.saturating_add(1),
        };
        eyre::ensure!(
            first > genesis,
            "the first block that follows from L1 is {}",
            genesis + 1
        );
        let start = (l2.block(first - 1).await).wrap_err("the block to start behind")?;
        let head = match args.l1_head {
            L1HeadArg::Latest => L1Head::Latest,
            L1HeadArg::Safe => L1Head::Safe,
            L1HeadArg::Finalized => L1Head::Finalized,
        };
        let driver = Driver::new(rollup, &start, &l1, blobs(args)?, &l2)?.with_head(head);
        let validator = StatelessValidator::new(rules, &l2);
        follow(args, driver, &validator).await
    })
}

fn l1_chain(source: &RpcSource) -> u64 {
    mach_core::ports::L1Source::chain_id(source)
}

/// One block after another, up to the last that is asked for or posted.
async fn follow(
    args: &DeriveArgs,
    mut driver: Deriver<'_>,
    validator: &impl BlockValidator,
) -> eyre::Result<Outcome> {
    let count = args.blocks.as_ref().map(|blocks| blocks.count());
    let mut report = Report::new(count, args.json);
    let mut left = count;
    while left != Some(0) {
        let started = Instant::now();
        let mut row = Row::unknown(shown(&args.l2));
        row.chain_id = Some(driver.derivation().rollup().config.l2_chain_id);
        row.number = Some(driver.derivation().head().number.saturating_add(1));
        let next = driver.next().await;
        if let Err(error) = &next
            && error.is_not_yet()
            && count.is_none()
        {
            break;
        }
        // Nothing behind a block that does not follow from L1 does.
        let goes_on = matches!(next, Ok((_, Finding::Derived(_))));
        row.result = match next {
            Ok((block, finding)) => {
                row.set_block(&block);
                judge(&block, finding, validator).await
            }
            Err(error) => Err(explain(error)),
        };
        row.elapsed = started.elapsed();
        report.add(row);
        if !goes_on {
            break;
        }
        left = left.map(|left| left - 1);
    }
    Ok(report.finish())
}

/// Executes a block that is derived.
async fn judge(
    block: &L2Block,
    finding: Finding,
    validator: &impl BlockValidator,
) -> eyre::Result<Verdict> {
    if let Finding::NotDerivable(fault) = finding {
        return Ok(Verdict::Invalid(fault));
    }
    let mut verdict = validator.validate(block).await?;
    if let Verdict::Valid(summary) = &mut verdict
        && summary.assurance == Assurance::Executed
    {
        summary.assurance = Assurance::Derived;
    }
    Ok(verdict)
}

fn explain(error: DriverError) -> eyre::Report {
    if error.is_not_yet() {
        return eyre::eyre!("the batcher has not posted it, or L1 has not settled it yet");
    }
    error.into()
}

fn blobs(args: &DeriveArgs) -> eyre::Result<Box<dyn BlobSource>> {
    Ok(match (&args.beacon, &args.blobs) {
        (Some(url), _) => Box::new(BeaconNode::new(url.clone())?),
        (None, Some(folder)) => Box::new(BlobFolder::new(folder)),
        (None, None) => Box::new(NoBlobs),
    })
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
            "the batcher uses blobs: name a source with --beacon or --blobs".into(),
        ))
    }
}
