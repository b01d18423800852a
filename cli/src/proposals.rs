//! `mach-cli proposals`: output roots that stand on L1, each compared with the block that it is
//! about.

use std::{sync::Arc, time::Instant};

use eyre::WrapErr;
use mach_core::{
    Fault, Verdict,
    ports::{L1Source, L2Head, ValidateError},
};
use mach_verify::{
    WitnessMemory,
    op::Settlement,
    proposals::{
        L1Proposals, Proposal, ProposalChecker, ProposalContract, ProposalEvents, ProposalStatus,
    },
    source::{RecordedBlock, RpcSource, StatelessValidator},
};

use crate::{
    args::{ProposalsArgs, SettledHead},
    evidence::Bundles,
    nodes::{Node, Nodes},
    outcome::Outcome,
    remote::{runtime, shown},
    report::{Report, Row},
    spec::Specs,
};

pub(crate) fn run(args: &ProposalsArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    runtime()?.block_on(verify(args, &specs))
}

async fn verify(args: &ProposalsArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let contract = match (args.oracle, args.games) {
        (Some(oracle), None) => ProposalContract::OutputOracle(oracle),
        (None, Some(factory)) => ProposalContract::DisputeGames(factory),
        _ => eyre::bail!("name one contract, with --oracle or with --games"),
    };
    let nodes = (Nodes::connect(&args.nodes, specs).await).wrap_err("rollup")?;
    let l1 = RpcSource::connect_with(args.l1.clone(), &args.nodes.options()).await;
    let l1 = l1.wrap_err("L1")?;
    eyre::ensure!(
        L1Source::chain_id(&l1) != nodes.chain_id(),
        "--l1 and --rpc are on the same chain"
    );
    let settlement = match args.confirmations {
        Some(depth) => Settlement::Depth(depth),
        None => Settlement::Finalized,
    };
    let mut events = ProposalEvents::new(contract);
    if !args.game_types.is_empty() {
        events = events.with_game_types(args.game_types.clone());
    }
    let proposals = L1Proposals::new(l1, contract, args.from)
        .with_settlement(settlement)
        .with_events(events);
    proposals.catch_up().await.wrap_err("L1")?;

    let bundles = Bundles::new(&args.evidence.folder);
    let witnesses = WitnessMemory::new(Arc::clone(&nodes.source));
    let validator = StatelessValidator::new(nodes.spec.clone(), &witnesses);
    let checker = ProposalChecker::new(Arc::clone(&nodes.source), validator);
    let checker = checker.with_head(match args.head {
        SettledHead::Safe => L2Head::Safe,
        SettledHead::Finalized => L2Head::Finalized,
    });
    // What was given up already needs nobody's attention.
    let standing: Vec<_> = (proposals.proposals().into_iter())
        .filter(|it| matches!(it.status, ProposalStatus::Open | ProposalStatus::Defended))
        .map(|it| it.proposal)
        .collect();
    let unknown = unknown(proposals.opaque_games(), proposals.dropped_proposals());
    if standing.is_empty() && unknown.is_empty() {
        // To have found nothing is no failure, as it would be for blocks.
        tracing::warn!(from = args.from, "no proposal stands");
        return Ok(Outcome::Valid);
    }
    let mut report = Report::new(Some((standing.len() + unknown.len()) as u64), args.json);
    for proposal in &standing {
        let started = Instant::now();
        let mut row = Row::unknown(format!("{} at {}", proposal.kind, shown(&args.l1)));
        row.chain_id = Some(nodes.chain_id());
        row.number = Some(proposal.block);
        let verdict = checker.check(proposal).await;
        if let Ok(Verdict::Invalid(fault)) = &verdict {
            match evidence(&nodes, &witnesses, proposal).await {
                Ok(recorded) => bundles.keep(&nodes.spec, recorded, fault, &mut row),
                Err(error) => row.note(format!("no evidence: {error:#}")),
            }
            if !matches!(fault, Fault::OutputRoot(_)) {
                row.note("the block itself is invalid");
            }
        }
        row.result = verdict.map_err(|error: ValidateError| eyre::Report::new(error));
        row.elapsed = started.elapsed();
        report.add(row);
        for disagreement in nodes.take_disagreements() {
            report.disagreement(&disagreement);
        }
    }
    for what in unknown {
        let mut row = Row::unknown(shown(&args.l1));
        row.chain_id = Some(nodes.chain_id());
        row.result = Err(eyre::eyre!(what));
        report.add(row);
    }
    Ok(report.finish())
}

/// What stands on L1 and was not compared: it must not pass for right.
fn unknown(opaque: u64, dropped: u64) -> Vec<String> {
    let what = [
        (
            opaque,
            "games were created by another contract: which block each is about is not known",
        ),
        (
            dropped,
            "proposals made room for newer ones: name a later block with --from to see fewer",
        ),
    ];
    (what.into_iter().filter(|(count, _)| *count > 0))
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

/// The block of a proposal with the witness that it was judged by.
async fn evidence(
    nodes: &Nodes,
    witnesses: &WitnessMemory<Arc<dyn Node>>,
    proposal: &Proposal,
) -> eyre::Result<RecordedBlock> {
    let block = nodes.source.block(proposal.block).await?;
    let witness = witnesses.remembered(block.hash());
    Ok(RecordedBlock {
        witness: witness.ok_or_else(|| eyre::eyre!("the block was replaced"))?,
        block,
        source: Some(format!("{} in L1 block {}", proposal.kind, proposal.l1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_compared_is_said() {
        assert!(unknown(0, 0).is_empty());
        for (opaque, dropped, words) in [
            (3, 0, &["3 games"][..]),
            (0, 1, &["1 proposals made room"]),
            (2, 5, &["2 games", "5 proposals"]),
        ] {
            let said = unknown(opaque, dropped);
            assert_eq!(said.len(), words.len());
            assert!(
                said.iter()
                    .zip(words)
                    .all(|(it, word)| it.starts_with(word))
            );
        }
    }
}
