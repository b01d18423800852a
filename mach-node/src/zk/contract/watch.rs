//! Output roots on L1 that are not those of the rollup's blocks.

use std::collections::VecDeque;

use mach_core::{Alert, AlertKind, BlockRef, Fault, Mismatch, ports::BoxError};
use tracing::{debug, warn};

use super::{
    super::ZkMode, L1ZkContract, Proposal, ZkContractError, published::SeenGames, seen::Seen,
};
use crate::store::Store;

/// Most output roots that wait for a node to have their block.
const MAX_WAITING: usize = 256;

/// How far what is proposed was looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    outputs: Seen,
    games: SeenGames,
    waiting: VecDeque<Proposal>,
}

impl L1ZkContract {
    /// Raises alerts about the rollup's own output roots that were proposed since the last look, and that are
    /// not those of the blocks which its nodes have. The first look begins with the newest that are there. What no
    /// node has yet is compared later, and what has taken the place of another since, as an output that was deleted and proposed
    /// again, is looked at for itself.
    ///
    /// This is no verdict, since a node may be on another chain. Nothing follows from it but that the EVM is
    /// shown, without a bond, what contradicts itself, and that people are told of what nobody opens.
    ///
    /// A look that is dropped, since a node does not answer, is gone on with by the next one, with other roots first.
    ///
    /// Errors: [`ZkContractError`]; the next look goes on where this one ended.
    pub async fn look<S: Store>(&self, zk: &ZkMode<S>) -> Result<(), ZkContractError> {
        let mut watched = self.watched.lock().await;
        let Watched {
            outputs,
            games,
            waiting,
        } = &mut *watched;
        let (sources, provider) = (&self.sources, self.provider());
        let failures = [
            sources.further_outputs(provider, outputs, waiting).await,
            sources.further_games(provider, games, waiting).await,
        ];
        make_room(waiting);
        for _ in 0..waiting.len() {
            let Some(proposal) = waiting.pop_front() else {
                break;
            };
            // Behind the others, also if this look does not come to its end.
            waiting.push_back(proposal);
            let number = proposal.number;
            match self.compared(&proposal, zk).await {
                Ok(true) => drop(waiting.pop_back()),
                Ok(false) => debug!(number, "no node has the block of an output root yet"),
                Err(error) => {
                    let error = &*error as &dyn std::error::Error;
                    debug!(number, error, "an output root is compared later");
                }
            }
        }
        failures.into_iter().collect()
    }

    /// Raises what is to be raised about a root; `false` if it cannot be compared yet.
    async fn compared<S: Store>(
        &self,
        proposal: &Proposal,
        zk: &ZkMode<S>,
    ) -> Result<bool, BoxError> {
        let number = proposal.number;
        let Some((hash, root)) = self.chain.output_at(number).await? else {
            return Ok(false);
        };
        let Some(fault) = Mismatch::check(proposal.root, root).map(Fault::OutputRoot) else {
            return Ok(true);
        };
        let alert = Alert {
            kind: AlertKind::InvalidOutputProposal,
            rollup_chain_id: self.sources.rollup.try_into()?,
            block: BlockRef { number, hash },
            rule: fault.code(),
            claimed: proposal.root,
            computed: root,
        };
        warn!(block = %alert.block, claimed = %proposal.root, computed = %root, "another output root stands on L1");
        zk.raise_posted(&alert).await?;
        Ok(true)
    }
}

/// Gives up those whose blocks come last: a root of a block that is there or comes soon is not pushed out by claims about
/// heights without end, which is what a proposer can make so many of.
fn make_room(waiting: &mut VecDeque<Proposal>) {
    while waiting.len() > MAX_WAITING {
        let places = waiting.iter().enumerate();
        let highest = places.max_by_key(|(_, it)| it.number);
        let Some(highest) = highest.map(|(place, _)| place) else {
            return;
        };
        let highest = waiting.remove(highest);
        warn!(
            ?highest,
            "too many output roots wait for their blocks: one is not compared"
        );
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::{super::Source, *};

    fn of(number: u64) -> Proposal {
        Proposal {
            source: Source::Oracle(Address::ZERO),
            index: number,
            posted_at: 0,
            root: B256::ZERO,
            number,
            expected: B256::ZERO,
        }
    }

    /// Some that were not compared yet stand in front of many that wait for blocks to come.
    #[test]
    fn heights_without_end_push_out_no_root_of_a_block_that_is_there() {
        let far = 1_000_000..1_000_000 + MAX_WAITING as u64;
        let mut waiting: VecDeque<Proposal> = (1..=9).chain(far).map(of).collect();
        make_room(&mut waiting);
        assert_eq!(waiting.len(), MAX_WAITING);
        let there = waiting.iter().filter(|it| it.number < 10);
        assert_eq!(there.count(), 9);
    }
}
