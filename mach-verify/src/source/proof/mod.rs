//! The witness of a block, gathered from `eth_getProof` and `eth_getCode` while executing.
//!
//! A block is executed on what is known of its parent's state. Reading something unknown does not
//! stop it: the read is noted and answered with a guess, so that one pass notes much at once. All of
//! it is asked for in one round trip, and execution starts again, until nothing unknown is read.
//! Guesses never leave this module: the result is a witness, and what it proves is decided by
//! [`verify_block`](crate::verify_block), as for any other witness.
//!
//! Removing a key needs the node beside it, which is on nobody's path. The proof of the same key
//! after the block ends in what that node has become ([`shortened`]); and where it is a branch, a
//! key below it is searched for.

mod foresee;
mod guess;
mod siblings;
#[cfg(test)]
mod tests;
mod wanted;

use std::{collections::BTreeMap, fmt::Debug};

use alloy_consensus::Header;
use alloy_primitives::{Address, BlockNumber, Bytes, Sealed, U256, keccak256};
use mach_core::L2Block;

use self::{
    foresee::Foreseen,
    guess::{Guess, Guesses},
};
use crate::{
    ChainSpec, ExecuteError, Witness,
    execute::{self, Stop},
    phases::Watch,
    state::{MemoryStore, Recorder, StateError, StateStore, StateUpdates, TrieState},
    trie::{NodeStore, shortened},
    witness::Ancestry,
};

pub(crate) use wanted::{Keys, Wanted};

/// Most rounds of execution. One suffices for each read that depends on another, in the longest such
/// chain of the block.
const MAX_ROUNDS: usize = 128;

/// Most keys that a block is asked for: a hundred times those of a large one.
const MAX_KEYS: usize = 500_000;
/// Most keys that answers make one round ask for.
const MAX_NOTICED: usize = 100_000;
/// Most bytes of nodes and codes that are kept for a block.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// Longest node that is kept: a branch of hashes has 532 bytes, a leaf fewer.
const MAX_NODE_BYTES: usize = 2048;
/// Longest code that is kept: ten times what Ethereum permits.
const MAX_CODE_BYTES: usize = 256 * 1024;

/// Most gas that all passes may use together: eight times that of one execution.
const MAX_GAS: u64 = 8 * execute::MAX_GAS;
/// Gas that is left to the truth. Passes on bold guesses only save rounds.
const MAX_TRUE_GAS: u64 = MAX_GAS / 2;

/// Most searches for a key below a sibling, each of seconds.
const MAX_SEARCHES: usize = 4;

/// How much more gas than the block a pass on bold guesses may take.
const ROOM: u64 = 4;

/// Most keys that one round asks for on a bold guess.
const MAX_GUESSED_KEYS: usize = 4_000;

/// A round that wants fewer slots than this wants those around them as well: what is left then is
/// mostly a search through an array, one slot a round.
const FEW_SLOTS: usize = 48;
/// How far around.
const AROUND: u64 = 8;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Ask for this, hand over what comes back, and step again.
    Ask(Wanted),
    /// Everything that execution needs.
    Done(Witness),
}

/// Why no witness can be made of what the node answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatherError {
    /// What was asked for does not lead from the root to its key, or has another hash.
    #[error("what the node answers does not prove it")]
    NotProven(#[source] StateError),
    /// A sibling is a branch, so deep that no key below it is found.
    #[error("no key is known below the node beside a removed one")]
    Sibling(#[source] StateError),
    /// The headers are none.
    #[error("headers of ancestors")]
    Ancestry(#[source] ExecuteError),
    /// Every round wants more.
    #[error("more than {MAX_ROUNDS} rounds of reads that depend on each other")]
    Rounds,
    /// It wants, or the node sends, more than any block needs, or executing it takes more.
    #[error("more than {MAX_KEYS} keys, {MAX_BYTES} bytes, or {MAX_GAS} gas, for one block")]
    TooMuch,
}

/// Gathers the witness of one block. Free of I/O: it says what to ask, and is told the answers.
#[derive(Debug)]
pub(crate) struct Gatherer {
    spec: ChainSpec,
    block: L2Block,
    /// The block with room for guesses that take more gas than the truth.
    roomy: L2Block,
    foreseen: Foreseen,
    gas_left: u64,
    store: MemoryStore,
    headers: BTreeMap<BlockNumber, Bytes>,
    asked: Wanted,
    /// Wanted since the last round.
    noticed: Wanted,
    /// How much more may be noticed in this round.
    notices_left: usize,
    bytes_left: usize,
    searches: usize,
    rounds: usize,
}

impl Gatherer {
    /// Gatherer for a block. Before the second step it has to be given the parent's header.
    pub(crate) fn new(spec: ChainSpec, block: L2Block) -> Self {
        let mut roomy = block.header.inner().clone();
        roomy.gas_limit = (roomy.gas_limit.saturating_mul(ROOM)).min(execute::MAX_GAS);
        let roomy = L2Block {
            header: Sealed::new_unchecked(roomy, block.hash()),
            ..block.clone()
        };
        let mut noticed = Wanted::default();
        let foreseen = foresee::from_block(&spec, &block, &mut noticed);
        Self {
            spec,
            block,
            roomy,
            foreseen,
            gas_left: MAX_GAS,
            store: MemoryStore::new(),
            headers: BTreeMap::new(),
            asked: Wanted::default(),
            noticed,
            notices_left: MAX_NOTICED,
            bytes_left: MAX_BYTES,
            searches: 0,
            rounds: 0,
        }
    }

    /// Takes the addresses that left logs in the block: most contracts that it calls are there.
    /// Their first slots and what they delegate to are nearly always read.
    pub(crate) fn add_loggers(&mut self, loggers: impl IntoIterator<Item = Address>) {
        for address in loggers {
            self.notice(address, foresee::first_slots());
        }
    }

    /// Takes nodes of proofs at the parent.
    pub(crate) fn add_nodes(&mut self, nodes: impl IntoIterator<Item = Bytes>) {
        for node in nodes {
            if node.len() > MAX_NODE_BYTES {
                continue;
            }
            let hash = keccak256(&node);
            if self.store.node(&hash).is_none() && self.has_room(node.len()) {
                self.store.insert(StateUpdates {
                    nodes: vec![(hash, node)],
                    ..Default::default()
                });
            }
        }
    }

    /// Takes so many bytes of what is left; whether there were so many.
    fn has_room(&mut self, bytes: usize) -> bool {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Wants an account with its code, and some of its slots, as long as there is room.
    fn notice(&mut self, address: Address, slots: impl IntoIterator<Item = U256>) {
        let Some(left) = self.notices_left.checked_sub(1) else {
            return;
        };
        self.notices_left = left;
        self.noticed.contract(address);
        for slot in slots.into_iter().take(left) {
            self.notices_left -= 1;
            self.noticed.slot(address, slot);
        }
    }

    /// Takes what the node says a slot holds. Only a hint: it may be the address of a contract.
    pub(crate) fn add_hint(&mut self, value: U256) {
        if let Some(address) = foresee::as_address(value) {
            self.notice(address, []);
        }
    }

    /// Takes nodes of proofs after the block, for what they were before it.
    pub(crate) fn add_later_nodes(&mut self, nodes: impl IntoIterator<Item = Bytes>) {
        let nodes = (nodes.into_iter()).filter(|it| it.len() <= MAX_NODE_BYTES);
        let before = nodes.flat_map(|node| {
            let mut before = shortened(&node);
            before.push(node);
            before
        });
        self.add_nodes(before);
    }

    /// Takes the code of an account.
    pub(crate) fn add_code(&mut self, address: Address, code: Bytes) {
        if code.len() > MAX_CODE_BYTES || !self.has_room(code.len()) {
            return;
        }
        let hash = keccak256(&code);
        let named = foresee::named(&code);
        self.notice(address, named.slots);
        for other in named.addresses {
            self.notice(other, []);
        }
        self.store.insert(StateUpdates {
            codes: vec![(hash, code)],
            ..Default::default()
        });
    }

    /// Takes what may be the parent's header; whether it is.
    pub(crate) fn add_parent(&mut self, header: Option<Header>) -> bool {
        let header = header.filter(|it| it.hash_slow() == self.block.header.parent_hash);
        header.is_some_and(|header| {
            self.add_header(&header);
            true
        })
    }

    /// Takes the header of an ancestor.
    pub(crate) fn add_header(&mut self, header: &Header) {
        let encoded = alloy_rlp::encode(header).into();
        self.headers.insert(header.number, encoded);
    }

    /// Executes as far as what is known leads. The first time it only looks at the block.
    pub(crate) fn step(&mut self) -> Result<Step, GatherError> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(GatherError::Rounds);
        }
        if self.bytes_left == 0 {
            return Err(GatherError::TooMuch);
        }
        if self.rounds == 1 {
            return Ok(Step::Ask(self.ask(Wanted::default())?));
        }
        let gas_left = self.gas_left.checked_sub(self.foreseen.gas(&self.block));
        self.gas_left = gas_left.ok_or(GatherError::TooMuch)?;
        let ancestry = self.ancestry()?;
        let recorder = Recorder::new(&self.store);
        let truth = self.pass(&ancestry, &recorder, &self.block, Guesses::NOTHING);
        let mut wanted = truth.wanted;
        if wanted.is_empty() {
            return match (truth.stuck, truth.incomplete) {
                (None, None) => {
                    let recorded = recorder.take();
                    Ok(Step::Done(Witness {
                        state: recorded.nodes,
                        codes: recorded.codes,
                        headers: self.headers.values().cloned().collect(),
                        ..Default::default()
                    }))
                }
                (_, Some(error)) => self.want_siblings(&ancestry, &truth.removed, error),
                (Some(error), None) => Err(GatherError::NotProven(error)),
            };
        }
        for guesses in self.guesses() {
            let bold = self.pass(&ancestry, &self.store, &self.roomy, *guesses);
            if wanted.count() + bold.wanted.count() <= MAX_GUESSED_KEYS {
                wanted.add(bold.wanted);
            }
        }
        let slots = wanted.count() - wanted.proofs.len();
        if slots < FEW_SLOTS {
            let (root, removed) = (ancestry.state_root, truth.removed);
            let beside = siblings::keys(&self.store, root, &removed, None, siblings::Effort::Low);
            for slots in wanted.proofs.values_mut() {
                let around = slots.iter().flat_map(|slot| {
                    let first = slot.saturating_sub(U256::from(AROUND));
                    (0..=2 * AROUND).map(move |step| first.wrapping_add(U256::from(step)))
                });
                slots.extend(around.collect::<Vec<_>>());
            }
            // Removals are likely to be those of the end, which saves the round for them.
            wanted.add(Wanted {
                proofs: beside,
                later: removed,
                ..Default::default()
            });
        }
        Ok(Step::Ask(self.ask(wanted)?))
    }

    /// The guesses that there is gas for, all or none.
    fn guesses(&mut self) -> &'static [Guesses] {
        let gas = self.foreseen.gas(&self.roomy) * Guesses::BOLD.len() as u64;
        match self.gas_left.checked_sub(gas) {
            Some(left) if left >= MAX_TRUE_GAS => {
                self.gas_left = left;
                &Guesses::BOLD
            }
            _ => &[],
        }
    }

    /// One execution of `block`, with `guesses` in the place of what is unknown.
    fn pass<S: StateStore + Debug>(
        &self,
        ancestry: &Ancestry,
        store: S,
        block: &L2Block,
        guesses: Guesses,
    ) -> guess::Notes {
        let state = TrieState::new(store, ancestry.state_root)
            .with_block_hashes(ancestry.block_hashes.clone());
        let mut guess = Guess::new(state, guesses, &self.asked, &self.foreseen.senders);
        let outcome = execute::execute(&self.spec, block, None, &mut guess, &Watch::default());
        let mut notes = guess.into_notes();
        if let Err(Stop::State(error)) = outcome {
            notes.stuck = Some(error);
        }
        notes.want_headers(block.number());
        notes
    }

    /// What a removal needs that is on nobody's path.
    fn want_siblings(
        &mut self,
        ancestry: &Ancestry,
        removed: &Keys,
        error: StateError,
    ) -> Result<Step, GatherError> {
        let mut wanted = Wanted {
            later: removed.clone(),
            ..Default::default()
        };
        wanted.subtract(&self.asked);
        let has_asked_later = wanted.is_empty();
        let (store, root) = (&self.store, ancestry.state_root);
        let mut found = siblings::keys(store, root, removed, Some(&error), siblings::Effort::Low);
        // Only what nothing else has brought is searched for in earnest.
        if has_asked_later && self.asked.has_all(&found) && self.searches < MAX_SEARCHES {
            self.searches += 1;
            found = siblings::keys(store, root, removed, Some(&error), siblings::Effort::High);
        }
        wanted.add(Wanted {
            proofs: found,
            ..Default::default()
        });
        let wanted = self.ask(wanted)?;
        if wanted.is_empty() {
            return Err(GatherError::Sibling(error));
        }
        Ok(Step::Ask(wanted))
    }

    /// What of this was not asked before, with what was noticed meanwhile.
    ///
    /// Errors: [`GatherError::TooMuch`].
    fn ask(&mut self, mut wanted: Wanted) -> Result<Wanted, GatherError> {
        wanted.add(std::mem::take(&mut self.noticed));
        self.notices_left = MAX_NOTICED;
        wanted.subtract(&self.asked);
        self.asked.add(wanted.clone());
        if self.asked.total() > MAX_KEYS {
            return Err(GatherError::TooMuch);
        }
        Ok(wanted)
    }

    fn ancestry(&self) -> Result<Ancestry, GatherError> {
        let witness = Witness {
            headers: self.headers.values().cloned().collect(),
            ..Default::default()
        };
        Ancestry::of(&self.block, None, &witness, |_| None).map_err(GatherError::Ancestry)
    }
}
