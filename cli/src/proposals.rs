//! `mach-cli proposals`: output roots that stand on L1, each compared with the block that it is
//! about.

use std::time::Instant;

use eyre::WrapErr;
use mach_core::{
    Fault, Verdict,
    ports::{L1Source, L2Source, ValidateError},
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
    args::ProposalsArgs,
    evidence::Bundles,
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
    let rollup = RpcSource::connect(args.rpc.clone())
        .await
        .wrap_err("rollup")?;
    let l1 = RpcSource::connect(args.l1.clone()).await.wrap_err("L1")?;
    let spec = specs.of(L2Source::chain_id(&rollup))?.clone();
    eyre::ensure!(
        L1Source::chain_id(&l1) != spec.chain_id(),
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
    while proposals.is_behind().await? {
        proposals.advance().await?;
    }
    if proposals.opaque_games() > 0 {
        tracing::warn!(
            games = proposals.opaque_games(),
            "games that another contract created are not looked at"
        );
    }

    let bundles = Bundles::new(&args.evidence);
    let witnesses = WitnessMemory::new(rollup.clone());
    let validator = StatelessValidator::new(spec.clone(), &witnesses);
    let checker = ProposalChecker::new(rollup.clone(), validator);
    // What was given up already needs nobody's attention.
    let standing: Vec<_> = (proposals.proposals().into_iter())
        .filter(|it| matches!(it.status, ProposalStatus::Open | ProposalStatus::Defended))
        .map(|it| it.proposal)
        .collect();
    let mut report = Report::new(Some(standing.len() as u64), args.json);
    if standing.is_empty() {
        // To have found nothing is no failure, as it would be for blocks.
        tracing::warn!(from = args.from, "no proposal stands");
        return Ok(Outcome::Valid);
    }
    for proposal in &standing {
        let started = Instant::now();
        let mut row = Row::unknown(format!("{} at {}", proposal.kind, shown(&args.l1)));
        row.chain_id = Some(spec.chain_id());
        row.number = Some(proposal.block);
        let verdict = checker.check(proposal).await;
        if let Ok(Verdict::Invalid(fault)) = &verdict {
            match evidence(&rollup, &witnesses, proposal).await {
                Ok(recorded) => bundles.keep(&spec, recorded, fault, &mut row),
                Err(error) => row.note = Some(format!("no evidence: {error:#}")),
            }
            if !matches!(fault, Fault::OutputRoot(_)) {
                row.note = Some("the block itself is invalid".to_owned());
            }
        }
        row.result = verdict.map_err(|error: ValidateError| eyre::Report::new(error));
        row.elapsed = started.elapsed();
        report.add(row);
    }
    Ok(report.finish())
}

/// The block of a proposal with the witness that it was judged by.
async fn evidence(
    rollup: &RpcSource,
    witnesses: &WitnessMemory<RpcSource>,
    proposal: &Proposal,
) -> eyre::Result<RecordedBlock> {
    let block = L2Source::block(rollup, proposal.block).await?;
    let witness = witnesses.remembered(block.hash());
    Ok(RecordedBlock {
        witness: witness.ok_or_else(|| eyre::eyre!("the block was replaced"))?,
        block,
        source: Some(format!("{} in L1 block {}", proposal.kind, proposal.l1)),
    })
}
