use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, BlockNumber, BloomInput, Log, U256, b256};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    BlockRef,
    ports::{L1Source, SourceError},
};

use crate::{
    op::Settlement,
    source::{L1Walk, MAX_RECENT, MAX_STEP},
};

/// Commitments that are kept; the oldest make room.
const MAX_KEPT: usize = 65_536;

/// What L1 says of a rollup block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// Nothing, so far.
    Silent,
    /// This hash.
    Same,
    /// Another hash at this height.
    Other(B256),
}

/// What a rollup commits to on L1.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait L1Commitment: Send + Sync {
    /// What L1 says of `block`, as far as L1 is settled.
    async fn committed(&self, block: BlockRef) -> Result<Commitment, SourceError>;
}

/// Where in an event a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// An indexed argument, from 1; 0 is the event itself.
    Topic(usize),
    /// A word of the data, from 0.
    Data(usize),
}

impl Word {
    fn of(self, log: &Log) -> Option<B256> {
        match self {
            Self::Topic(index) => log.topics().get(index).copied(),
            Self::Data(index) => {
                let start = index.checked_mul(32)?;
                let bytes = log.data.data.get(start..start.checked_add(32)?)?;
                Some(B256::from_slice(bytes))
            }
        }
    }
}

/// An event with which a contract on L1 commits to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitmentEvent {
    /// The contract.
    pub contract: Address,
    /// Keccak-256 of the event's signature.
    pub event: B256,
    /// Where the hash of the block stands.
    pub hash: Word,
    /// Where its height stands. Without it an event confirms a hash and contradicts none.
    pub number: Option<Word>,
}

impl CommitmentEvent {
    /// Confirmed assertions of an Arbitrum chain with BoLD:
    /// `AssertionConfirmed(bytes32 indexed assertionHash, bytes32 blockHash, bytes32 sendRoot)`.
    ///
    /// Source: `IRollupCore` of OffchainLabs/nitro-contracts.
    pub const fn arbitrum_assertions(rollup: Address) -> Self {
        Self {
            contract: rollup,
            event: b256!("fc42829b29c259a7370ab56c8f69fce23b5f351a9ce151da453281993ec0090c"),
            hash: Word::Data(0),
            number: None,
        }
    }

    /// Confirmed nodes of an Arbitrum chain before BoLD:
    /// `NodeConfirmed(uint64 indexed nodeNum, bytes32 blockHash, bytes32 sendRoot)`.
    ///
    /// Source: `IRollupCore` of OffchainLabs/nitro-contracts, before version 3.
    pub const fn arbitrum_nodes(rollup: Address) -> Self {
        Self {
            contract: rollup,
            event: b256!("22ef0479a7ff660660d1c2fe35f1b632cf31675c2d9378db8cec95b00d8ffa3c"),
            hash: Word::Data(0),
            number: None,
        }
    }

    fn of_log(&self, log: &Log) -> Option<(Option<BlockNumber>, B256)> {
        if log.address != self.contract || log.topics().first() != Some(&self.event) {
            return None;
        }
        let hash = self.hash.of(log)?;
        let Some(number) = self.number else {
            return Some((None, hash));
        };
        let number = U256::from_be_bytes(number.of(log)?.0);
        Some((Some(u64::try_from(number).ok()?), hash))
    }
}

/// Follows the events of one contract on L1, out of receipts that are proven to their headers.
#[derive(Debug)]
pub struct L1CommitmentEvents<L> {
    walk: L1Walk<L>,
    event: CommitmentEvent,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    recent: VecDeque<BlockRef>,
    /// Commitments in their order, each with its L1 block.
    kept: VecDeque<(BlockNumber, Option<BlockNumber>, B256)>,
    /// The last commitment to each hash and height that is kept.
    hashes: BTreeMap<B256, usize>,
}

impl<L: L1Source> L1CommitmentEvents<L> {
    /// Looks at L1 from block `start` on, as far as it is final.
    pub fn new(l1: L, event: CommitmentEvent, start: BlockNumber) -> Self {
        Self {
            walk: L1Walk {
                l1,
                settlement: Settlement::Finalized,
                start,
            },
            event,
            state: Mutex::default(),
        }
    }

    /// The same with another idea of settled.
    #[must_use]
    pub const fn with_settlement(mut self, settlement: Settlement) -> Self {
        self.walk.settlement = settlement;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can panic between two writes, so it is never half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn advance(&self) -> Result<(), SourceError> {
        let settled = self.walk.settled().await?;
        loop {
            let last = self.state().recent.back().copied();
            match last {
                Some(last) if !self.walk.holds(last, settled).await? => self.state().forget(last),
                _ => break,
            }
        }
        for _ in 0..MAX_STEP {
            let last = self.state().recent.back().copied();
            let wanted = |bloom: &alloy_primitives::Bloom| {
                bloom.contains_input(BloomInput::Raw(self.event.contract.as_slice()))
                    && bloom.contains_input(BloomInput::Raw(self.event.event.as_slice()))
            };
            let Some(step) = self.walk.next(last, settled, wanted).await? else {
                return Ok(());
            };
            let receipts = step.content.map(|(_, receipts)| receipts);
            let logs = receipts.iter().flatten().flat_map(|it| it.logs());
            let found: Vec<_> = logs.filter_map(|log| self.event.of_log(log)).collect();
            self.state().apply(last, step.at, &found);
        }
        Err(SourceError::Backend("L1 is still being read".into()))
    }
}

impl State {
    fn apply(
        &mut self,
        last: Option<BlockRef>,
        at: BlockRef,
        found: &[(Option<BlockNumber>, B256)],
    ) {
        if self.recent.back().copied() != last {
            return;
        }
        for (number, hash) in found {
            if self.kept.len() == MAX_KEPT
                && let Some((_, _, old)) = self.kept.pop_front()
            {
                self.release(old);
            }
            self.kept.push_back((at.number, *number, *hash));
            *self.hashes.entry(*hash).or_default() += 1;
        }
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }

    fn forget(&mut self, last: BlockRef) {
        if self.recent.back() != Some(&last) {
            return;
        }
        self.recent.pop_back();
        let is_gone = self.recent.is_empty();
        while let Some((_, _, hash)) =
            (self.kept).pop_back_if(|(at, _, _)| is_gone || *at >= last.number)
        {
            self.release(hash);
        }
    }

    fn release(&mut self, hash: B256) {
        if let Some(count) = self.hashes.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                self.hashes.remove(&hash);
            }
        }
    }

    fn committed(&self, block: BlockRef) -> Commitment {
        if self.hashes.contains_key(&block.hash) {
            return Commitment::Same;
        }
        let other = (self.kept.iter().rev())
            .find(|(_, number, _)| *number == Some(block.number))
            .map(|(_, _, hash)| *hash);
        other.map_or(Commitment::Silent, Commitment::Other)
    }
}

#[async_trait]
impl<L: L1Source> L1Commitment for L1CommitmentEvents<L> {
    async fn committed(&self, block: BlockRef) -> Result<Commitment, SourceError> {
        self.advance().await?;
        Ok(self.state().committed(block))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{LogData, keccak256};

    use super::*;

    #[test]
    fn presets_are_the_events_of_arbitrum() {
        let rollup = Address::repeat_byte(1);
        for (event, signature) in [
            (
                CommitmentEvent::arbitrum_assertions(rollup),
                "AssertionConfirmed(bytes32,bytes32,bytes32)",
            ),
            (
                CommitmentEvent::arbitrum_nodes(rollup),
                "NodeConfirmed(uint64,bytes32,bytes32)",
            ),
        ] {
            assert_eq!(event.event, keccak256(signature));
            let (hash, send_root) = (B256::repeat_byte(2), B256::repeat_byte(3));
            let log = |address| Log {
                address,
                data: LogData::new_unchecked(
                    vec![event.event, B256::repeat_byte(9)],
                    [hash, send_root].concat().into(),
                ),
            };
            assert_eq!(event.of_log(&log(rollup)), Some((None, hash)));
            assert_eq!(event.of_log(&log(Address::ZERO)), None);
        }
    }

    #[test]
    fn an_event_that_says_a_height_can_contradict() {
        let at = |number| BlockRef {
            number,
            hash: B256::with_last_byte(u8::try_from(number).unwrap()),
        };
        let block = |number, byte| BlockRef {
            number,
            hash: B256::repeat_byte(byte),
        };
        let mut state = State::default();
        state.apply(None, at(1), &[(Some(7), B256::repeat_byte(7))]);
        state.apply(Some(at(1)), at(2), &[(None, B256::repeat_byte(8))]);
        assert_eq!(state.committed(block(7, 7)), Commitment::Same);
        assert_eq!(
            state.committed(block(7, 6)),
            Commitment::Other(B256::repeat_byte(7))
        );
        assert_eq!(state.committed(block(8, 8)), Commitment::Same);
        assert_eq!(state.committed(block(9, 9)), Commitment::Silent);
        // L1 block 2 is gone, and what it said.
        state.forget(at(2));
        assert_eq!(state.committed(block(8, 8)), Commitment::Silent);
        assert_eq!(state.committed(block(7, 7)), Commitment::Same);
    }
}
