//! What on L1 leads to a block.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use futures::{StreamExt, stream};
use mach_contracts_bindings::zk::abi::Conviction;

use super::{
    Accusation, Descent, L1ZkContract, Proposal, Source, ZkContractError, refusal::not_read,
    rollup::Branch,
};

/// Games that are looked at before what they claim is compared.
pub(super) const WINDOW: usize = 1_024;
/// Most things for which it is remembered how far down the games were looked at.
const MAX_LOOKS: usize = 1_024;
/// Heights that are compared at a time.
const AT_A_TIME: usize = 16;

/// Which output roots are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    /// Those that the contract did not convict yet.
    Unconvicted,
}

impl L1ZkContract {
    /// An output root that leads to the block: the first in the oracle, or one of the claims that are
    /// looked at now. Where anybody may make games there is no end of claims, so a look has an end, and the
    /// next one goes on behind it.
    pub(super) async fn published(
        &self,
        accusation: &Accusation,
        wanted: Wanted,
    ) -> Result<Option<(Proposal, Descent)>, ZkContractError> {
        let (provider, header) = (self.provider(), &accusation.header);
        // Also where nothing is published yet: what stands on the block now may not do so later.
        let mut branch = self.chain.branch(accusation).await.ok();
        let outputs = self.sources.outputs(provider, header.number).await?;
        let found = (self.leading(accusation, wanted, &mut branch, outputs)).await?;
        if found.is_some() {
            return Ok(found);
        }
        let block = accusation.journal.block_hash;
        for game_type in self.sources.game_types(provider, header.timestamp).await? {
            let what = (block, game_type);
            let mut left = self.games_at_a_time;
            while left > 0 {
                let most = left.min(WINDOW);
                left -= most;
                let claims = self.claims(what, header.number, header.timestamp, most);
                let (claims, next) = claims.await?;
                let found = (self.leading(accusation, wanted, &mut branch, claims)).await?;
                if found.is_some() {
                    // What is made meanwhile stands above it.
                    self.looks().remove(&what);
                    return Ok(found);
                }
                if !self.looked(what, next) {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// What some `most` games of a type claim, from where the last look for `what` ended, of heights from `from`
    /// on and since a time.
    pub(super) async fn claims(
        &self,
        what: (B256, u32),
        from: u64,
        since: u64,
        most: usize,
    ) -> Result<(Vec<Proposal>, Option<u64>), ZkContractError> {
        let next = self.looks().get(&what).copied();
        let games = self
            .sources
            .games(self.provider(), what.1, (from, since), next, most);
        games.await
    }

    /// Remembers where the next look for `what` begins; answers whether there is more.
    pub(super) fn looked(&self, what: (B256, u32), next: Option<u64>) -> bool {
        let mut looks = self.looks();
        let Some(next) = next else {
            looks.remove(&what);
            return false;
        };
        if looks.len() >= MAX_LOOKS {
            looks.pop_first();
        }
        looks.insert(what, next);
        true
    }

    /// The lowest of these that is wanted and leads to the block.
    async fn leading(
        &self,
        accusation: &Accusation,
        wanted: Wanted,
        branch: &mut Option<Branch>,
        proposals: Vec<Proposal>,
    ) -> Result<Option<(Proposal, Descent)>, ZkContractError> {
        if proposals.is_empty() {
            return Ok(None);
        }
        let branch = match branch {
            Some(branch) => branch,
            None => {
                let asked = self.chain.branch(accusation).await;
                branch.insert(asked.map_err(ZkContractError::Backend)?)
            }
        };
        let number = accusation.journal.block_number;
        let mut by_height = BTreeMap::<u64, Vec<Proposal>>::new();
        for proposal in proposals {
            by_height.entry(proposal.number).or_default().push(proposal);
        }
        let (chain, branch) = (&self.chain, &*branch);
        let heights: Vec<u64> = by_height.keys().copied().collect();
        let outputs = stream::iter(heights).map(|it| chain.outputs(accusation, branch, it));
        let mut outputs = outputs.buffered(AT_A_TIME);
        let mut failure = None;
        for proposals in by_height.into_values() {
            let outputs = match outputs.next().await {
                Some(Ok(outputs)) => outputs,
                // One height without an answer hides no other.
                Some(Err(error)) => {
                    failure = Some(error);
                    continue;
                }
                None => break,
            };
            let named = proposals.iter().filter_map(|proposal| {
                let output = outputs.iter().find(|it| it.root() == proposal.root)?;
                Some((*proposal, output))
            });
            for (mut proposal, output) in named {
                if !self.sources.counts(self.provider(), &proposal).await? {
                    continue;
                }
                if wanted == Wanted::Unconvicted && self.is_convicted(&proposal).await? {
                    continue;
                }
                match self.chain.descent(accusation, output).await {
                    Ok(Some(descent)) => {
                        // Of a later block it is not known what is right: it stands on what is wrong.
                        if proposal.number == number {
                            proposal.expected = accusation.journal.output_root;
                        }
                        return Ok(Some((proposal, descent)));
                    }
                    Ok(None) => {}
                    Err(error) => failure = Some(error),
                }
            }
        }
        failure.map_or(Ok(None), |error| Err(ZkContractError::Backend(error)))
    }

    async fn is_convicted(&self, proposal: &Proposal) -> Result<bool, ZkContractError> {
        let (source, index) = match proposal.source {
            Source::Oracle(oracle) => (oracle, proposal.index),
            Source::Game(game) => (game, 0),
        };
        let (posted_at, root) = (proposal.posted_at, proposal.root);
        let conviction = (self.manager).conviction(source, index, posted_at, root);
        Ok(conviction.await.map_err(not_read)? != Conviction::None)
    }

    pub(super) fn looks(&self) -> MutexGuard<'_, BTreeMap<(B256, u32), u64>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
