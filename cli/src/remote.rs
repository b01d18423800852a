//! Blocks that nodes are asked for.

use std::{num::NonZeroUsize, time::Instant};

use alloy_primitives::BlockNumber;
use futures::StreamExt;
use mach_core::{L2Block, Verdict, ports::L2Source};
use mach_verify::{
    check_body,
    source::{RecordedBlock, WitnessSource},
    verify_block,
};
use tokio::sync::Semaphore;

use crate::{
    against_l1::AgainstL1,
    args::{BlockRange, VerifyArgs},
    evidence::Bundles,
    nodes::{Nodes, WitnessMethod},
    outcome::{Outcome, print_json_error},
    report::{Report, Row},
    spec::Specs,
};

pub(crate) use crate::nodes::shown;

/// Blocks that are fetched while others execute.
const AHEAD: usize = 2;

/// Verifies a range of blocks with the witnesses of nodes.
pub(crate) fn verify(
    specs: &Specs,
    args: &VerifyArgs,
    blocks: &BlockRange,
    bundles: &Bundles,
) -> eyre::Result<Outcome> {
    let verified = runtime()?.block_on(async {
        let nodes = Nodes::connect(&args.nodes, specs).await?;
        let l1 = AgainstL1::connect(&args.l1, &args.nodes, specs, &nodes).await?;
        let mut report = Report::new(Some(blocks.count()), args.json);
        let jobs = args.jobs.map_or_else(cores, NonZeroUsize::get);
        let at_once = Semaphore::new(jobs);
        let mut rows = futures::stream::iter(blocks.numbers())
            .map(|number| row(&nodes, l1.as_ref(), bundles, &at_once, number))
            .buffered(jobs + AHEAD);
        let mut is_said = args.nodes.witness != WitnessMethod::Auto;
        while let Some(row) = rows.next().await {
            report.add(row);
            for disagreement in nodes.take_disagreements() {
                report.disagreement(&disagreement);
            }
            if !is_said && let Some(node) = nodes.without_witnesses().next() {
                is_said = true;
                report.note(&format!(
                    "{node} serves no debug_executionWitness: witnesses are gathered from eth_getProof"
                ));
            }
        }
        Ok(report.finish())
    });
    match verified {
        Err(error) if args.json => {
            print_json_error(&error);
            Ok(Outcome::NoVerdict)
        }
        verified => verified,
    }
}

/// What becomes of one block. A witness that is of no use may be another endpoint's next time.
async fn row(
    nodes: &Nodes,
    l1: Option<&AgainstL1>,
    bundles: &Bundles,
    at_once: &Semaphore,
    number: BlockNumber,
) -> Row {
    let started = Instant::now();
    let mut row = Row::unknown(nodes.name.clone());
    row.chain_id = Some(nodes.chain_id());
    row.number = Some(number);
    let mut valid = None;
    for _ in 0..nodes.tries() {
        row.result = judge(nodes, bundles, at_once, number, &mut row, &mut valid).await;
        if row.result.is_ok() {
            break;
        }
    }
    if let (Some(l1), Ok(Verdict::Valid(_)), Some(block)) = (l1, &row.result, &valid) {
        l1.compare(block, bundles, &mut row).await;
    }
    row.elapsed = started.elapsed();
    row
}

async fn judge(
    nodes: &Nodes,
    bundles: &Bundles,
    at_once: &Semaphore,
    number: BlockNumber,
    row: &mut Row,
    valid: &mut Option<L2Block>,
) -> eyre::Result<Verdict> {
    let block = nodes.source.block(number).await?;
    row.set_block(&block);
    check_body(&nodes.spec, &block)?;
    let witness = nodes.source.witness(&block).await?;
    let spec = nodes.spec.clone();
    let turn = at_once.acquire().await?;
    // Away from the threads that wait for sockets.
    let executed = tokio::task::spawn_blocking(move || {
        let verdict = verify_block(&spec, &block, &witness);
        (block, witness, verdict)
    });
    let (block, witness, verdict) = executed.await?;
    drop(turn);
    let verdict = verdict?;
    if let Verdict::Invalid(fault) = &verdict {
        let recorded = RecordedBlock {
            block,
            witness,
            source: None,
        };
        bundles.keep(&nodes.spec, recorded, fault, row);
    } else {
        *valid = Some(block);
    }
    Ok(verdict)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A runtime for commands that wait for sockets.
pub(crate) fn runtime() -> eyre::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
