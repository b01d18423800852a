//! A state that guesses what it does not know.

use std::fmt::Debug;

use alloy_primitives::{
    Address, B256, BlockNumber, Bytes, U256, keccak256,
    map::{AddressSet, B256Map},
};
use revm::{Database, bytecode::Bytecode, state::AccountInfo};

use super::{Keys, Wanted};
use crate::{
    execute::{Changes, State},
    state::{StateError, StateStore, TrieState},
};

/// What stands in the place of what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guesses {
    /// Value of a slot.
    slot: U256,
    /// What a contract answers; `None` if nothing is there.
    contract: Option<U256>,
    /// Whether a guess is made also where the node could not answer.
    is_bold: bool,
}

impl Guesses {
    /// What is unknown is not there. Where nothing is unknown, this is the truth.
    pub(super) const NOTHING: Self = Self {
        slot: U256::ZERO,
        contract: None,
        is_bold: false,
    };

    /// Guesses that lead past checks where nothing would lead no further: a token that says yes, a
    /// flag that is set, a balance that suffices.
    pub(super) const BOLD: [Self; 6] = [
        Self::bold(U256::ONE, Some(U256::ONE)),
        Self::bold(ALL_AT_ONCE, Some(MUCH)),
        Self::bold(VERY_MUCH, Some(MUCH)),
        Self::bold(U256::ZERO, Some(U256::ONE)),
        Self::bold(U256::ONE, None),
        Self::bold(ALL_AT_ONCE, None),
    ];

    const fn bold(slot: U256, contract: Option<U256>) -> Self {
        Self {
            slot,
            contract,
            is_bold: true,
        }
    }

    fn account(self) -> Option<AccountInfo> {
        let code = Bytecode::new_legacy(answering(self.contract?));
        Some(AccountInfo {
            balance: PLENTY,
            code_hash: code.hash_slow(),
            code: Some(code),
            ..Default::default()
        })
    }

    fn code(self) -> Bytecode {
        self.contract.map_or_else(Bytecode::default, |word| {
            Bytecode::new_legacy(answering(word))
        })
    }
}

/// An amount of tokens that suffices, and that casts to fewer bits do not refuse.
const MUCH: U256 = U256::from_limbs([1 << 60, 0, 0, 0]);
/// An amount that suffices also above the 32 bits of a time.
const VERY_MUCH: U256 = U256::from_limbs([0, 0, 0, 1 << 8]);
/// A word that is much, true, and in the packed state of a pool a price of one, one observation,
/// and not locked.
const ALL_AT_ONCE: U256 = U256::from_limbs([1, 1 << 32, 0, 1 << 8 | 1 << 48]);

/// Ether that no guess runs out of, in wei.
const PLENTY: U256 = U256::from_limbs([0, 1 << 32, 0, 0]);

/// Code that returns `word` four times, then four words of zero.
fn answering(word: U256) -> Bytes {
    let mut code = Vec::new();
    for place in [0x00, 0x20, 0x40, 0x60] {
        code.push(0x7f); // PUSH32
        code.extend(word.to_be_bytes::<32>());
        code.extend([0x60, place, 0x52]); // PUSH1, MSTORE
    }
    code.extend([0x61, 0x01, 0x00, 0x60, 0x00, 0xf3]); // PUSH2 256, PUSH1 0, RETURN
    code.into()
}

/// What one pass has found out.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) wanted: Wanted,
    /// Heights whose hashes were read and are not known.
    hashes: Vec<BlockNumber>,
    /// Accounts and slots that the block removes.
    pub(super) removed: Keys,
    /// Where the pass stopped although it was told everything that it had asked for.
    pub(super) stuck: Option<StateError>,
    /// What the state root needs and nobody has read.
    pub(super) incomplete: Option<StateError>,
}

impl Notes {
    /// A header proves the hash of its parent, so all between are wanted.
    pub(super) fn want_headers(&mut self, block: BlockNumber) {
        for hash in &self.hashes {
            let headers = (hash + 1)..block.saturating_sub(1);
            self.wanted.headers.extend(headers);
        }
    }
}

/// A state that notes what it is asked and does not know.
#[derive(Debug)]
pub(super) struct Guess<'a, S> {
    state: TrieState<S>,
    guesses: Guesses,
    /// What the node has been asked for already.
    asked: &'a Wanted,
    senders: &'a AddressSet,
    /// An account that has the code.
    owners: B256Map<Address>,
    notes: Notes,
}

impl<'a, S: StateStore> Guess<'a, S> {
    pub(super) fn new(
        state: TrieState<S>,
        guesses: Guesses,
        asked: &'a Wanted,
        senders: &'a AddressSet,
    ) -> Self {
        Self {
            state,
            guesses,
            asked,
            senders,
            owners: B256Map::default(),
            notes: Notes::default(),
        }
    }

    pub(super) fn into_notes(self) -> Notes {
        self.notes
    }

    /// The guess in the place of an answer. What was asked for and is still not known is an error
    /// of the truth: what is there then is for the machine's own rules, or for nobody.
    fn or_guess<T>(
        &mut self,
        error: StateError,
        is_asked: bool,
        want: impl FnOnce(&mut Notes),
        guess: T,
    ) -> Result<T, StateError> {
        if !error.is_missing() {
            return Err(error);
        }
        if is_asked && !self.guesses.is_bold {
            return Err(error);
        }
        if !is_asked {
            want(&mut self.notes);
        }
        Ok(guess)
    }
}

impl<S: StateStore> Database for Guess<'_, S> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let mut info = match Database::basic(&mut self.state, address) {
            Ok(info) => info,
            Err(error) => {
                let is_asked = self.asked.has(address, None);
                let guess = self.guesses.account();
                let want = |notes: &mut Notes| notes.wanted.contract(address);
                return self.or_guess(error, is_asked, want, guess);
            }
        };
        if let Some(info) = &mut info {
            if !info.is_empty_code_hash() {
                self.owners.insert(info.code_hash, address);
            }
            // A wrong guess before may have left a sender without what it pays with.
            if self.guesses.is_bold && self.senders.contains(&address) {
                info.balance = info.balance.saturating_add(PLENTY);
            }
        }
        Ok(info)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        match Database::code_by_hash(&mut self.state, hash) {
            Ok(code) => Ok(code),
            Err(error) => {
                let Some(&owner) = self.owners.get(&hash) else {
                    return Err(error);
                };
                let is_asked = self.asked.codes.contains(&owner);
                let guess = self.guesses.code();
                let want = |notes: &mut Notes| {
                    notes.wanted.codes.insert(owner);
                };
                self.or_guess(error, is_asked, want, guess)
            }
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        match Database::storage(&mut self.state, address, slot) {
            Ok(value) => Ok(value),
            Err(error) => {
                let is_asked = self.asked.has(address, Some(slot));
                let guess = self.guesses.slot;
                let want = |notes: &mut Notes| notes.wanted.slot(address, slot);
                self.or_guess(error, is_asked, want, guess)
            }
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        match Database::block_hash(&mut self.state, number) {
            Ok(hash) => Ok(hash),
            Err(error) => {
                let is_asked = self.asked.headers.contains(&(number + 1));
                let guess = keccak256(number.to_be_bytes());
                let want = |notes: &mut Notes| notes.hashes.push(number);
                self.or_guess(error, is_asked, want, guess)
            }
        }
    }
}

impl<S: StateStore + Debug> State for Guess<'_, S> {
    fn advance(&mut self, changes: Changes) -> Result<B256, StateError> {
        for update in &changes.accounts {
            if update.account.is_none() {
                self.notes.removed.entry(update.address).or_default();
            }
            let cleared = (update.storage.iter()).filter(|(_, value)| value.is_zero());
            for (slot, _) in cleared {
                let slots = self.notes.removed.entry(update.address).or_default();
                slots.insert(*slot);
            }
        }
        // There is no root of guesses.
        if self.guesses.is_bold || !self.notes.wanted.is_empty() || !self.notes.hashes.is_empty() {
            return Ok(B256::ZERO);
        }
        State::advance(&mut self.state, changes).inspect_err(|error| {
            if error.is_missing() {
                self.notes.incomplete = Some(error.clone());
            }
        })
    }

    fn storage_root(&mut self, address: Address) -> Result<B256, StateError> {
        match State::storage_root(&mut self.state, address) {
            Ok(root) => Ok(root),
            Err(error) => {
                let is_asked = self.asked.has(address, None);
                let want = |notes: &mut Notes| notes.wanted.account(address);
                self.or_guess(error, is_asked, want, B256::ZERO)
            }
        }
    }

    fn is_missing_node(error: &StateError) -> bool {
        matches!(error, StateError::MissingNode { .. })
    }
}
