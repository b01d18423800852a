//! Output roots on L1 that are not those of the rollup's blocks.

use std::collections::VecDeque;

use mach_core::{Alert, AlertKind, BlockRef, Fault, Mismatch, ports::BoxError};
use tracing::{debug, warn};

use super::{
    super::ZkMode,
    L1ZkContract, Proposal, ZkContractError,
    published::{REACH, SeenGames},
    seen::Seen,
};
use crate::store::Store;

/// Most output roots that wait for a node to have their block.
const MAX_WAITING: usize = 256;

/// How far what is proposed was looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    outputs: Seen,
    games: SeenGames,
    waiting: VecDeque<Waiting>,
}

/// An output root that is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) proposal: Proposal,
    /// Whether it was tried to compare it.
    is_tried: bool,
    /// Whether all that is left to do is to see whether it leads to a wrong block.
    is_compared: bool,
}

impl From<Proposal> for Waiting {
    fn from(proposal: Proposal) -> Self {
        Self {
            proposal,
            is_tried: false,
            is_compared: false,
        }
    }
}

impl L1ZkContract {
    /// Raises alerts about the rollup's own output roots that were proposed since the last look, and that are
    /// not those of the blocks which its nodes have; and where one leads to a wrong block whose case is over, that is
    /// taken up again. The first look begins with the newest that are there. What no
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
        make_room(waiting);
        let mut failures = Vec::new();
        // Those that were not tried yet are not dropped, so that there are no more of them than that.
        if waiting.len() <= MAX_WAITING {
            failures.push(sources.further_outputs(provider, outputs, waiting).await);
            failures.push(sources.further_games(provider, games, waiting).await);
        }
        for _ in 0..waiting.len() {
            // Behind the others, also if this look does not come to its end.
            waiting.rotate_left(1);
            let Some(last) = waiting.back_mut() else {
                break;
            };
            last.is_tried = true;
            let number = last.proposal.number;
            match self.looked_at(last, zk).await {
                Ok(true) => drop(waiting.pop_back()),
                Ok(false) => debug!(number, "no node has the block of an output root yet"),
                Err(error) => {
                    let error = &*error as &dyn std::error::Error;
                    debug!(number, error, "an output root is looked at later");
                }
            }
        }
        failures.into_iter().collect()
    }

    /// Does what is to be done about a root; `false` if it cannot be compared yet.
    async fn looked_at<S: Store>(
        &self,
        waiting: &mut Waiting,
        zk: &ZkMode<S>,
    ) -> Result<bool, BoxError> {
        let proposal = &waiting.proposal;
        if !waiting.is_compared && !self.compared(proposal, zk).await? {
            return Ok(false);
        }
        waiting.is_compared = true;
        // Its nodes may have the wrong block too.
        let number = proposal.number;
        zk.take_up(number.saturating_sub(REACH)..=number).await?;
        Ok(true)
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

/// Gives up those of which nobody could say whether they are right, and of these those whose blocks come last: a root of a block that
/// is there or comes soon is not pushed out by claims about heights without end, which is what a proposer can make so many of.
fn make_room(waiting: &mut VecDeque<Waiting>) {
    while waiting.len() > MAX_WAITING {
        let tried = (waiting.iter().enumerate()).filter(|(_, it)| it.is_tried);
        let highest = tried.max_by_key(|(_, it)| it.proposal.number);
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

    fn of(number: u64) -> Waiting {
        let proposal = Proposal {
            source: Source::Oracle(Address::ZERO),
            index: number,
            posted_at: 0,
            root: B256::ZERO,
            number,
            expected: B256::ZERO,
        };
        proposal.into()
    }

    fn tried(number: u64) -> Waiting {
        Waiting {
            is_tried: true,
            ..of(number)
        }
    }

    /// Some that were not compared yet stand in front of many that wait for blocks to come.
    #[test]
    fn heights_without_end_push_out_no_root_of_a_block_that_is_there() {
        let far = 1_000_000..1_000_000 + MAX_WAITING as u64;
        let mut waiting: VecDeque<Waiting> = (1..=9).chain(far).map(tried).collect();
        make_room(&mut waiting);
        assert_eq!(waiting.len(), MAX_WAITING);
        let there = waiting.iter().filter(|it| it.proposal.number < 10);
        assert_eq!(there.count(), 9);
    }

    #[test]
    fn roots_that_cannot_be_compared_push_out_none_that_was_not_tried() {
        let old = 1..=MAX_WAITING as u64;
        let mut waiting: VecDeque<Waiting> = old.map(tried).chain([of(300)]).collect();
        make_room(&mut waiting);
        assert_eq!(waiting.len(), MAX_WAITING);
        assert!(waiting.iter().any(|it| it.proposal.number == 300));
        let mut waiting: VecDeque<Waiting> = (1..=300).map(of).collect();
        make_room(&mut waiting);
        assert_eq!(waiting.len(), 300);
    }
}
