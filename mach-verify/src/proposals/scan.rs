use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, BlockNumber};
use mach_core::{
    BlockRef,
    ports::{L1Source, SourceError},
};

use super::{Proposal, ProposalContract, ProposalEvent, ProposalEvents, ProposalKind};
use crate::{
    op::Settlement,
    source::{L1Walk, MAX_RECENT, MAX_STEP},
};

/// Proposals that are kept; the oldest make room. Anybody may create dispute games.
pub const MAX_PROPOSALS: usize = 16_384;

/// What became of a proposal on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProposalStatus {
    /// It stands, and may be disputed.
    Open,
    /// Its game has ended, and the root claim stands.
    Defended,
    /// Its game has ended, and the root claim has fallen.
    Defeated,
    /// The oracle has deleted it.
    Deleted,
}

/// A proposal and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedProposal {
    /// What was proposed.
    pub proposal: Proposal,
    /// What became of it.
    pub status: ProposalStatus,
    /// L1 block in which that happened.
    pub since: BlockNumber,
}

/// Follows one contract on L1.
///
/// Events come out of receipts that are proven to the header of their L1 block, and headers are
/// linked by their hashes: `L` is trusted with which L1 block is canonical, and with nothing else.
/// What is not settled is not looked at; if L1 is reorganised all the same, what was proposed in
/// blocks that are gone is forgotten.
///
/// A proposal names its block by number alone, so it says nothing of any one block that has this
/// number: [`ProposalChecker`](super::ProposalChecker) finds the one that it is about.
#[derive(Debug)]
pub struct L1Proposals<L> {
    walk: L1Walk<L>,
    events: ProposalEvents,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last L1 blocks that were looked at, oldest first.
    recent: VecDeque<Seen>,
    proposals: VecDeque<TrackedProposal>,
    opaque: u64,
    other_types: u64,
    dropped: u64,
}

/// An L1 block that was looked at.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: BlockRef,
    /// Opaque games in it.
    opaque: u64,
    /// Games of other types in it.
    other_types: u64,
}

/// How often it is looked for more before L1's blocks are said not to follow each other: as often as
/// L1 may be reorganised meanwhile.
const MAX_IDLE: usize = 8;

impl<L: L1Source> L1Proposals<L> {
    /// Looks at L1 from block `start` on, as far as it is final.
    pub fn new(l1: L, contract: ProposalContract, start: BlockNumber) -> Self {
        Self {
            walk: L1Walk {
                l1,
                settlement: Settlement::Finalized,
                start,
            },
            events: ProposalEvents::new(contract),
            state: Mutex::default(),
        }
    }

    /// The same with another idea of settled.
    #[must_use]
    pub const fn with_settlement(mut self, settlement: Settlement) -> Self {
        self.walk.settlement = settlement;
        self
    }

    /// The same with other events: those of other types of games.
    #[must_use]
    pub fn with_events(mut self, events: ProposalEvents) -> Self {
        self.events = events;
        self
    }

    /// Looks at the L1 blocks that have settled since, some hundreds at a time, and says what was
    /// proposed in them. Whether there is more says [`Self::is_behind`].
    ///
    /// Errors: [`SourceError`]; what was found before it is in [`Self::proposals`].
    pub async fn advance(&self) -> Result<Vec<Proposal>, SourceError> {
        let settled = self.walk.settled().await?;
        self.rewind(settled).await?;
        let mut found = Vec::new();
        for _ in 0..MAX_STEP {
            let last = self.state().last();
            let wanted = |bloom: &_| self.events.may_be_in(bloom);
            let Some(step) = self.walk.next(last, settled, wanted).await? else {
                break;
            };
            let events = (step.content.as_ref())
                .map(|(block, receipts)| self.events.of_block(block, receipts))
                .unwrap_or_default();
            found.extend(self.state().apply(last, step.at, &events));
        }
        Ok(found)
    }

    /// Looks at everything that has settled. What was found is in [`Self::proposals`].
    ///
    /// Errors: [`SourceError`]; [`SourceError::Malformed`] if L1's blocks do not follow each other,
    /// however often they are asked for.
    pub async fn catch_up(&self) -> Result<(), SourceError> {
        let (mut highest, mut idle) = (None, 0);
        while self.is_behind().await? {
            self.advance().await?;
            let reached = self.state().last().map(|last| last.number);
            if reached > highest {
                (highest, idle) = (reached, 0);
                continue;
            }
            idle += 1;
            if idle == MAX_IDLE {
                return Err(SourceError::Malformed {
                    number: reached.map_or(self.walk.start, |last| last.saturating_add(1)),
                    field: "parentHash",
                    source: "L1 blocks do not follow each other".into(),
                });
            }
        }
        Ok(())
    }

    /// Whether there are settled L1 blocks that were not looked at.
    ///
    /// Errors: [`SourceError`].
    pub async fn is_behind(&self) -> Result<bool, SourceError> {
        let settled = self.walk.settled().await?;
        let last = self.state().last().map(|last| last.number);
        Ok(last.map_or(self.walk.start <= settled, |last| last < settled))
    }

    /// Everything that was proposed, oldest first.
    pub fn proposals(&self) -> Vec<TrackedProposal> {
        self.state().proposals.iter().copied().collect()
    }

    /// Games that were created through another contract: of these nobody here knows the block.
    pub fn opaque_games(&self) -> u64 {
        self.state().opaque
    }

    /// Games of types whose root claim is not read as an output root: nobody here compares them.
    pub fn games_of_other_types(&self) -> u64 {
        self.state().other_types
    }

    /// Proposals that made room for newer ones: what became of these nobody here knows any more.
    pub fn dropped_proposals(&self) -> u64 {
        self.state().dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can panic between two writes, so it is never half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes back to the last L1 block that is still there.
    async fn rewind(&self, settled: BlockNumber) -> Result<(), SourceError> {
        loop {
            let last = self.state().last();
            match last {
                Some(last) if !self.walk.holds(last, settled).await? => self.state().forget(last),
                _ => return Ok(()),
            }
        }
    }
}

impl State {
    fn last(&self) -> Option<BlockRef> {
        self.recent.back().map(|seen| seen.at)
    }

    /// Takes what happened in an L1 block after `last`, and says what was proposed in it. If
    /// somebody else was here in between, nothing.
    fn apply(
        &mut self,
        last: Option<BlockRef>,
        at: BlockRef,
        events: &[ProposalEvent],
    ) -> Vec<Proposal> {
        let mut found = Vec::new();
        if self.last() != last {
            return found;
        }
        let (mut opaque, mut other_types) = (0, 0);
        for event in events {
            match *event {
                ProposalEvent::Proposed(proposal) => {
                    if self.proposals.len() == MAX_PROPOSALS {
                        self.proposals.pop_front();
                        self.dropped += 1;
                    }
                    self.proposals.push_back(TrackedProposal {
                        proposal,
                        status: ProposalStatus::Open,
                        since: at.number,
                    });
                    found.push(proposal);
                }
                ProposalEvent::Opaque { .. } => opaque += 1,
                ProposalEvent::OtherType { .. } => other_types += 1,
                ProposalEvent::Deleted { from } => self.close(
                    ProposalStatus::Deleted,
                    at,
                    |kind| matches!(kind, ProposalKind::Output { index } if index >= from),
                ),
                ProposalEvent::Resolved { proxy, is_defended } => {
                    let status = if is_defended {
                        ProposalStatus::Defended
                    } else {
                        ProposalStatus::Defeated
                    };
                    self.close(status, at, |kind| is_game(kind, proxy));
                }
            }
        }
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.opaque += opaque;
        self.other_types += other_types;
        self.recent.push_back(Seen {
            at,
            opaque,
            other_types,
        });
        found
    }

    fn close(
        &mut self,
        status: ProposalStatus,
        at: BlockRef,
        is_meant: impl Fn(ProposalKind) -> bool,
    ) {
        for tracked in &mut self.proposals {
            if tracked.status == ProposalStatus::Open && is_meant(tracked.proposal.kind) {
                tracked.status = status;
                tracked.since = at.number;
            }
        }
    }

    /// Drops an L1 block that is gone, with what was proposed in it. What it closed is open again.
    fn forget(&mut self, last: BlockRef) {
        let Some(seen) = self.recent.pop_back_if(|seen| seen.at == last) else {
            return;
        };
        if self.recent.is_empty() {
            // Deeper than is remembered: begin again.
            *self = Self::default();
            return;
        }
        self.opaque -= seen.opaque;
        self.other_types -= seen.other_types;
        self.proposals
            .retain(|it| it.proposal.l1.number < last.number);
        for tracked in &mut self.proposals {
            if tracked.since >= last.number {
                tracked.status = ProposalStatus::Open;
                tracked.since = tracked.proposal.l1.number;
            }
        }
    }
}

fn is_game(kind: ProposalKind, of: Address) -> bool {
    matches!(kind, ProposalKind::Game { proxy, .. } if proxy == of)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};

    use super::*;

    fn at(number: BlockNumber) -> BlockRef {
        BlockRef {
            number,
            hash: U256::from(number).into(),
        }
    }

    fn output(index: u64, l1: BlockRef) -> ProposalEvent {
        ProposalEvent::Proposed(Proposal {
            kind: ProposalKind::Output {
                index: U256::from(index),
            },
            output_root: B256::ZERO,
            block: index,
            l1,
        })
    }

    #[test]
    fn a_game_that_went_with_its_block_is_not_counted() {
        let opaque = ProposalEvent::Opaque {
            proxy: Address::ZERO,
        };
        let other = ProposalEvent::OtherType {
            proxy: Address::ZERO,
            game_type: 7,
        };
        let mut state = State::default();
        state.apply(None, at(1), &[opaque]);
        state.apply(Some(at(1)), at(2), &[opaque, opaque, other]);
        assert_eq!((state.opaque, state.other_types), (3, 1));
        state.forget(at(2));
        assert_eq!((state.opaque, state.other_types), (1, 0));
        // That it is not the last one changes nothing.
        state.forget(at(2));
        assert_eq!(state.opaque, 1);
        state.apply(Some(at(1)), at(2), &[opaque]);
        assert_eq!(state.opaque, 2);
        state.forget(at(2));
        state.forget(at(1));
        assert_eq!((state.opaque, state.last()), (0, None));
    }

    #[test]
    fn what_made_room_is_counted() {
        let mut state = State::default();
        let all: Vec<_> = (0..=MAX_PROPOSALS as u64)
            .map(|index| output(index, at(1)))
            .collect();
        state.apply(None, at(1), &all);
        assert_eq!((state.proposals.len(), state.dropped), (MAX_PROPOSALS, 1));
        assert_eq!(state.proposals[0].proposal.block, 1);
    }
}
