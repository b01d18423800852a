use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256, map::U256Map};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

use super::StateError;
use crate::trie::{NodeStore, SparseTrie};

/// An account without its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Number of transactions sent, or of contracts created.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Keccak-256 of the code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
        }
    }
}

/// What became of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountUpdate {
    /// Whose account.
    pub address: Address,
    /// The account afterwards; `None` if it is gone, its storage with it. An empty account is kept:
    /// whether it may stay is a rule of the fork (EIP-161), so of the caller.
    pub account: Option<Account>,
    /// Whether storage starts from nothing, because the account was destroyed or created anew.
    pub wipe_storage: bool,
    /// Slots with their values afterwards; zero removes.
    pub storage: Vec<(U256, U256)>,
}

/// An account in use: what the trie holds, and what it will hold after the next flush.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Keccak-256 of the address.
    pub(super) key: B256,
    /// What the account trie holds.
    pub(super) stored: Option<TrieAccount>,
    /// The account as it is; its storage root lags behind `pending`.
    pub(super) current: Option<TrieAccount>,
    /// Storage as of the last flush, from the first use on.
    storage: Option<SparseTrie>,
    /// Slots written since.
    pending: U256Map<U256>,
    /// Whether the state has the account on its list of changes.
    pub(super) is_queued: bool,
}

/// Keccak-256 of slots, each computed once.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotKeys(U256Map<B256>);

impl SlotKeys {
    pub(super) fn key(&mut self, slot: U256) -> B256 {
        *self
            .0
            .entry(slot)
            .or_insert_with(|| keccak256(slot.to_be_bytes::<32>()))
    }

    /// Bytes in memory.
    pub(super) fn footprint(&self) -> usize {
        self.0.capacity() * (size_of::<(U256, B256)>() + 1)
    }
}

impl Entry {
    pub(super) fn new(key: B256, stored: Option<TrieAccount>) -> Self {
        Self {
            key,
            stored,
            current: stored,
            storage: None,
            pending: U256Map::default(),
            is_queued: false,
        }
    }

    /// Storage as of the last flush.
    pub(super) fn trie(&mut self) -> &mut SparseTrie {
        let root = self
            .current
            .map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        self.storage.get_or_insert_with(|| SparseTrie::new(root))
    }

    pub(super) fn slot(
        &mut self,
        store: &impl NodeStore,
        keys: &mut SlotKeys,
        address: Address,
        slot: U256,
    ) -> Result<U256, StateError> {
        if let Some(value) = self.pending.get(&slot) {
            return Ok(*value);
        }
        let is_empty = self
            .current
            .is_none_or(|account| account.storage_root == EMPTY_ROOT_HASH);
        if is_empty {
            return Ok(U256::ZERO);
        }
        let value = self
            .trie()
            .get(store, keys.key(slot))
            .map_err(|error| StateError::at(address, Some(slot), error))?;
        value.map_or(Ok(U256::ZERO), |value| {
            decode_slot(value).ok_or(StateError::MalformedValue {
                address,
                slot: Some(slot),
            })
        })
    }

    pub(super) fn update(&mut self, update: AccountUpdate) {
        if update.wipe_storage || update.account.is_none() {
            self.storage = Some(SparseTrie::default());
            self.pending.clear();
        }
        let storage_root = self.trie().root();
        self.current = update.account.map(|account| TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root,
            code_hash: account.code_hash,
        });
        if self.current.is_some() {
            self.pending.extend(update.storage);
        }
    }

    /// Brings the storage trie and the account's storage root up to date.
    pub(super) fn flush(
        &mut self,
        store: &impl NodeStore,
        keys: &mut SlotKeys,
        address: Address,
    ) -> Result<(), StateError> {
        let result = self.write(store, keys, address);
        self.settle();
        result
    }

    /// Brings the storage trie up to date; [`Self::settle`] must follow, also after an error.
    ///
    /// Removals come last, and so need the fewest siblings.
    pub(super) fn write(
        &mut self,
        store: &impl NodeStore,
        keys: &mut SlotKeys,
        address: Address,
    ) -> Result<(), StateError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let result = self.write_storage(store, keys, address, &pending);
        if result.is_err() {
            self.pending = pending;
        }
        result
    }

    /// Brings the account's storage root up to date.
    pub(super) fn settle(&mut self) {
        if let (Some(trie), Some(account)) = (&mut self.storage, &mut self.current) {
            account.storage_root = trie.root();
        }
    }

    /// The storage trie, if it was used.
    pub(super) const fn storage(&mut self) -> Option<&mut SparseTrie> {
        self.storage.as_mut()
    }

    fn write_storage(
        &mut self,
        store: &impl NodeStore,
        keys: &mut SlotKeys,
        address: Address,
        pending: &U256Map<U256>,
    ) -> Result<(), StateError> {
        let trie = self.trie();
        let failed = |slot, error| StateError::at(address, Some(slot), error);
        for (&slot, value) in pending.iter().filter(|(_, value)| !value.is_zero()) {
            trie.insert(store, keys.key(slot), alloy_rlp::encode(value).into())
                .map_err(|error| failed(slot, error))?;
        }
        for (&slot, _) in pending.iter().filter(|(_, value)| value.is_zero()) {
            trie.remove(store, keys.key(slot))
                .map_err(|error| failed(slot, error))?;
        }
        Ok(())
    }

    /// Bytes in memory beside the entry itself.
    pub(super) fn footprint(&self) -> usize {
        self.storage.as_ref().map_or(0, SparseTrie::footprint)
            + self.pending.capacity() * (size_of::<(U256, U256)>() + 1)
    }

    /// Hands out the nodes of the storage trie that the store does not hold.
    pub(super) fn commit(&mut self, sink: impl FnMut(B256, Bytes)) {
        if let Some(trie) = &mut self.storage {
            trie.commit(sink);
        }
    }
}

/// Value of a leaf in a storage trie, which never holds zero.
fn decode_slot(encoded: &[u8]) -> Option<U256> {
    alloy_rlp::decode_exact::<U256>(encoded)
        .ok()
        .filter(|value| !value.is_zero())
}
