//! `mach-cli proposals`: output roots that stand on L1, each compared with the block that it is
//! about.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use eyre::{OptionExt, WrapErr};
use mach_core::{
    BlockRef, Fault, L2Block, Verdict,
    ports::{L1Source, L2Head, L2Source, SourceError, ValidateError},
};
use mach_verify::{
    WitnessMemory,
    op::Settlement,
    proposals::{
        L1Proposals, Proposal, ProposalChecker, ProposalContract, ProposalEvents, ProposalStatus,
    },
    source::{RecordedBlock, RpcSource, StatelessValidator, WitnessSource},
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

    let bundles = Bundles::new(&args.evidence);
    let witnesses = WitnessMemory::new(Arc::clone(&nodes.source));
    let validator = StatelessValidator::new(nodes.spec.clone(), &witnesses);
    let blocks = Judged::new(Arc::clone(&nodes.source));
    let checker = ProposalChecker::new(&blocks, validator);
    let checker = checker.with_head(match args.head {
        SettledHead::Safe => L2Head::Safe,
        SettledHead::Finalized => L2Head::Finalized,
    });
    // What was given up already needs nobody's attention.
    let standing: Vec<_> = (proposals.proposals().into_iter())
        .filter(|it| matches!(it.status, ProposalStatus::Open | ProposalStatus::Defended))
        .map(|it| it.proposal)
        .collect();
    let others = proposals.games_of_other_types();
    if others > 0 {
        tracing::warn!(
            games = others,
            "of types that are not compared: see --game-types"
        );
    }
    // Beside proposals that are compared, games of other types are nobody's proposals.
    let others = if standing.is_empty() { others } else { 0 };
    let unknown = unknown(
        proposals.opaque_games(),
        proposals.dropped_proposals(),
        others,
    );
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
            match evidence(&blocks, &witnesses, proposal) {
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
fn unknown(opaque: u64, dropped: u64, others: u64) -> Vec<String> {
    let what = [
        (
            opaque,
            "games were created by another contract: which block each is about is not known",
        ),
        (
            dropped,
            "proposals made room for newer ones: name a later block with --from to see fewer",
        ),
        (
            others,
            "games of other types are all there is: name theirs with --game-types to compare them",
        ),
    ];
    (what.into_iter().filter(|(count, _)| *count > 0))
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

/// The block of a proposal with the witness that it was judged by.
fn evidence<W: WitnessSource>(
    blocks: &Judged<Arc<dyn Node>>,
    witnesses: &WitnessMemory<W>,
    proposal: &Proposal,
) -> eyre::Result<RecordedBlock> {
    let block = blocks.last(proposal.block);
    let block = block.ok_or_eyre("the block is not remembered")?;
    let witness = witnesses.remembered(block.hash());
    Ok(RecordedBlock {
        witness: witness.ok_or_eyre("the witness is not remembered")?,
        block,
        source: Some(format!("{} in L1 block {}", proposal.kind, proposal.l1)),
    })
}

/// Blocks of a source, the last of which is kept: a node that is asked once more may say something
/// else than what was judged.
struct Judged<S> {
    source: S,
    last: Mutex<Option<L2Block>>,
}

impl<S> Judged<S> {
    const fn new(source: S) -> Self {
        let last = Mutex::new(None);
        Self { source, last }
    }

    /// The block that was handed out last, if it is the one at this height.
    fn last(&self, number: BlockNumber) -> Option<L2Block> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().filter(|block| block.number() == number)
    }
}

#[async_trait]
impl<S: L2Source> L2Source for Judged<S> {
    fn chain_id(&self) -> ChainId {
        self.source.chain_id()
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        self.source.head(head).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let block = self.source.block(number).await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(block.clone());
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;
    use alloy_primitives::{B256, Sealed, U256};
    use mach_devnet::Devnet;
    use mach_verify::{Witness, proposals::ProposalKind};

    use super::*;

    /// A node that has another block each time, and a witness for each.
    struct Fickle(Mutex<Vec<L2Block>>);

    #[async_trait]
    impl L2Source for Fickle {
        fn chain_id(&self) -> ChainId {
            901
        }

        async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
            Err(SourceError::NotYet(0))
        }

        async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
            let block = self.0.lock().unwrap().pop();
            block.ok_or(SourceError::NotHeld(number))
        }
    }

    #[async_trait]
    impl WitnessSource for Fickle {
        async fn witness(&self, _block: &L2Block) -> Result<Witness, SourceError> {
            Ok(Witness::default())
        }
    }

    #[tokio::test]
    async fn evidence_is_of_the_block_that_was_judged() {
        let devnet = Devnet::new().unwrap();
        devnet.sequencer().produce().unwrap();
        let block = devnet.l2().l2_block(1).unwrap();
        let mut other = block.clone();
        other.header = Sealed::new(Header {
            extra_data: vec![7].into(),
            ..block.header.inner().clone()
        });
        let node: Arc<dyn Node> = Arc::new(Fickle(Mutex::new(vec![other, block.clone()])));
        let (blocks, witnesses) = (Judged::new(node.clone()), WitnessMemory::new(node));
        let proposal = Proposal {
            kind: ProposalKind::Output { index: U256::ZERO },
            output_root: B256::ZERO,
            block: 1,
            l1: block.reference(),
        };
        assert!(evidence(&blocks, &witnesses, &proposal).is_err());
        let judged = blocks.block(1).await.unwrap();
        witnesses.witness(&judged).await.unwrap();
        let kept = evidence(&blocks, &witnesses, &proposal).unwrap();
        assert_eq!(kept.block, block);
    }

    #[test]
    fn what_was_not_compared_is_said() {
        assert!(unknown(0, 0, 0).is_empty());
        for (opaque, dropped, others, words) in [
            (3, 0, 0, &["3 games"][..]),
            (0, 1, 0, &["1 proposals made room"]),
            (0, 0, 4, &["4 games of other types"]),
            (2, 5, 0, &["2 games", "5 proposals"]),
        ] {
            let said = unknown(opaque, dropped, others);
            assert_eq!(said.len(), words.len());
            assert!(
                said.iter()
                    .zip(words)
                    .all(|(it, word)| it.starts_with(word))
            );
        }
    }
}
