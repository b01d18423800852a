use std::mem;

use alloy_primitives::{
    Address, B256, BlockNumber, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, hash_map},
};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

use super::{
    AccountProof, AccountUpdate, AnalysedCode, BlockHashes, MemoryStore, StateError, StateStore,
    StateUpdates, StorageProof,
    account::{Entry, SlotKeys},
};
use crate::trie::SparseTrie;

/// State over the nodes and codes of one witness.
pub type WitnessState = TrieState<MemoryStore>;

/// State of a chain at one block, read through its tries and changed in memory.
///
/// Reads see what was applied. Tries are changed when a root or proof is asked for: first what is
/// set, then what is removed, over all accounts, so that the fewest siblings have to be known.
///
/// It is also the machine's database (`revm::Database`), with `BLOCKHASH` answered from
/// [`BlockHashes`].
#[derive(Clone, Debug)]
pub struct TrieState<S> {
    store: S,
    accounts: SparseTrie,
    entries: AddressMap<Entry>,
    /// Accounts that changed since the last flush.
    queue: Vec<Address>,
    slot_keys: SlotKeys,
    new_codes: B256Map<Bytes>,
    /// Those of the new codes that were not handed out yet.
    unkept_codes: Vec<B256>,
    block_hashes: BlockHashes,
    claimed_hashes_read: Vec<BlockNumber>,
}

impl<S: StateStore> TrieState<S> {
    /// State whose account trie has the given root.
    pub fn new(store: S, root: B256) -> Self {
        Self {
            store,
            accounts: SparseTrie::new(root),
            entries: AddressMap::default(),
            queue: Vec::new(),
            slot_keys: SlotKeys::default(),
            new_codes: B256Map::default(),
            unkept_codes: Vec::new(),
            block_hashes: BlockHashes::new(),
            claimed_hashes_read: Vec::new(),
        }
    }

    /// Sets the hashes that `BLOCKHASH` may read.
    #[must_use]
    pub fn with_block_hashes(mut self, block_hashes: BlockHashes) -> Self {
        self.block_hashes = block_hashes;
        self
    }

    /// The same state, after [`Self::commit`], over another store: for the next block.
    ///
    /// What was decoded stays; codes that were new and the hashes that were read are forgotten.
    #[must_use]
    pub(crate) fn with_store(mut self, store: S) -> Self {
        self.store = store;
        self.new_codes.clear();
        self.unkept_codes.clear();
        self.claimed_hashes_read.clear();
        self
    }

    /// Most bytes that the decoded part of the state takes, and the nodes that it was decoded from.
    pub(crate) fn footprint(&self) -> usize {
        // Twice, since vectors and hash tables have room to grow.
        let entries = self.entries.capacity() * (2 * size_of::<(Address, Entry)>() + 32);
        let tries = self.entries.values().map(Entry::footprint).sum::<usize>();
        entries + tries + self.accounts.footprint() + self.slot_keys.footprint()
    }

    /// Account at `address`; `None` is proved by the trie.
    ///
    /// Errors: [`StateError`].
    pub fn account(&mut self, address: Address) -> Result<Option<TrieAccount>, StateError> {
        let (entry, store, keys) = self.entry(address)?;
        entry.flush(store, keys, address)?;
        Ok(entry.current)
    }

    /// Value of a slot; zero if the account or the slot is not there.
    ///
    /// Errors: [`StateError`].
    pub fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let (entry, store, keys) = self.entry(address)?;
        entry.slot(store, keys, address, slot)
    }

    /// Code by its hash.
    ///
    /// Errors: [`StateError::MissingCode`].
    pub fn code(&self, hash: B256) -> Result<Bytes, StateError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        self.new_codes
            .get(&hash)
            .cloned()
            .or_else(|| self.store.code(&hash))
            .ok_or(StateError::MissingCode { hash })
    }

    /// Code by its hash, ready to be executed.
    ///
    /// Errors: [`StateError::MissingCode`].
    pub fn analysed_code(&self, hash: B256) -> Result<AnalysedCode, StateError> {
        if hash == KECCAK256_EMPTY {
            return Ok(AnalysedCode::new(Bytes::new()));
        }
        (self.new_codes.get(&hash))
            .map(|code| AnalysedCode::new(code.clone()))
            .or_else(|| self.store.analysed_code(&hash))
            .ok_or(StateError::MissingCode { hash })
    }

    /// Hash of an ancestor. Remembers if it was only claimed.
    ///
    /// Errors: [`StateError::MissingBlockHash`].
    pub fn block_hash(&mut self, number: BlockNumber) -> Result<B256, StateError> {
        let hash = self
            .block_hashes
            .get(number)
            .ok_or(StateError::MissingBlockHash { number })?;
        if self.block_hashes.is_claimed(number) {
            self.claimed_hashes_read.push(number);
        }
        Ok(hash)
    }

    /// Takes the changes of a transaction or a block. May be repeated; later changes win.
    ///
    /// Errors: [`StateError`] for an account that was not read before and is not known.
    pub fn apply(
        &mut self,
        updates: impl IntoIterator<Item = AccountUpdate>,
    ) -> Result<(), StateError> {
        for update in updates {
            let address = update.address;
            let entry = self.entry(address)?.0;
            entry.update(update);
            if !mem::replace(&mut entry.is_queued, true) {
                self.queue.push(address);
            }
        }
        Ok(())
    }

    /// Adds the code of a new contract and returns its hash.
    pub fn insert_code(&mut self, code: Bytes) -> B256 {
        let hash = keccak256(&code);
        self.insert_hashed_code(hash, code);
        hash
    }

    /// Root of the account trie after everything that was applied.
    ///
    /// Errors: [`StateError::MissingNode`] if a removal needs a sibling that is not known.
    pub fn root(&mut self) -> Result<B256, StateError> {
        self.flush()?;
        Ok(self.accounts.root())
    }

    /// Root of an account's storage; that of an empty trie if there is no account.
    ///
    /// Errors: [`StateError`].
    pub fn storage_root(&mut self, address: Address) -> Result<B256, StateError> {
        let account = self.account(address)?;
        Ok(account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root))
    }

    /// Account and slots with the nodes that prove them under [`Self::root`].
    ///
    /// Errors: [`StateError`].
    pub fn prove(&mut self, address: Address, slots: &[U256]) -> Result<AccountProof, StateError> {
        self.flush()?;
        let key = keccak256(address);
        let nodes = self
            .accounts
            .prove(&self.store, key)
            .map_err(|error| StateError::at(address, None, error))?;
        let (entry, store, keys) = self.entry(address)?;
        let account = entry.current;
        let mut storage = Vec::with_capacity(slots.len());
        for &slot in slots {
            let nodes = entry
                .trie()
                .prove(store, keys.key(slot))
                .map_err(|error| StateError::at(address, Some(slot), error))?;
            let value = entry.slot(store, keys, address, slot)?;
            storage.push(StorageProof { slot, value, nodes });
        }
        Ok(AccountProof {
            address,
            account,
            nodes,
            storage,
        })
    }

    /// Root, and what the store has to keep to serve it later. Hands out each node and code once.
    ///
    /// Errors: as [`Self::root`].
    pub fn commit(&mut self) -> Result<StateUpdates, StateError> {
        self.flush()?;
        let mut nodes = Vec::new();
        let mut keep = |hash, node| nodes.push((hash, node));
        for entry in self.entries.values_mut() {
            entry.commit(&mut keep);
        }
        let root = self.accounts.commit(&mut keep);
        // The codes stay readable here, since the store gets them later, if at all.
        let codes = mem::take(&mut self.unkept_codes)
            .into_iter()
            .filter_map(|hash| Some((hash, self.new_codes.get(&hash)?.clone())))
            .collect();
        Ok(StateUpdates { root, nodes, codes })
    }

    /// Heights of the hashes that were read and are only claimed. What execution found rests on
    /// them, so it may confirm a block and may not contradict it.
    pub fn claimed_hashes_read(&self) -> &[BlockNumber] {
        &self.claimed_hashes_read
    }

    /// The store below.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The store below, to add what an error has named. What it answered before must stay.
    pub const fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }

    pub(super) fn insert_hashed_code(&mut self, hash: B256, code: Bytes) {
        if !code.is_empty() && self.new_codes.insert(hash, code).is_none() {
            self.unkept_codes.push(hash);
        }
    }

    /// Account without its storage root, which may lag behind.
    pub(super) fn account_info(
        &mut self,
        address: Address,
    ) -> Result<Option<TrieAccount>, StateError> {
        Ok(self.entry(address)?.0.current)
    }

    /// The account, read at the first use, and beside it what reading its storage takes.
    fn entry(&mut self, address: Address) -> Result<(&mut Entry, &S, &mut SlotKeys), StateError> {
        let entry = match self.entries.entry(address) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(vacant) => {
                let key = keccak256(address);
                let value = self
                    .accounts
                    .get(&self.store, key)
                    .map_err(|error| StateError::at(address, None, error))?;
                let account = value
                    .map(alloy_rlp::decode_exact::<TrieAccount>)
                    .transpose()
                    .map_err(|_| StateError::MalformedValue {
                        address,
                        slot: None,
                    })?;
                vacant.insert(Entry::new(key, account))
            }
        };
        Ok((entry, &self.store, &mut self.slot_keys))
    }

    /// Writes the queue into the tries. On an error the queue stays, and can be flushed again.
    fn flush(&mut self) -> Result<(), StateError> {
        if self.queue.is_empty() {
            return Ok(());
        }
        self.flush_storage()?;
        let mut removed = Vec::new();
        for &address in &self.queue {
            let Some(entry) = self.entries.get_mut(&address) else {
                continue;
            };
            match entry.current {
                current if current == entry.stored => {}
                Some(account) => {
                    self.accounts
                        .insert(&self.store, entry.key, alloy_rlp::encode(account).into())
                        .map_err(|error| StateError::at(address, None, error))?;
                    entry.stored = Some(account);
                }
                None => removed.push(address),
            }
        }
        for address in removed {
            let Some(entry) = self.entries.get_mut(&address) else {
                continue;
            };
            self.accounts
                .remove(&self.store, entry.key)
                .map_err(|error| StateError::at(address, None, error))?;
            entry.stored = None;
        }
        for address in self.queue.drain(..) {
            if let Some(entry) = self.entries.get_mut(&address) {
                entry.is_queued = false;
            }
        }
        Ok(())
    }

    /// Writes the queue into the storage tries, and hashes what changed in all of them together.
    fn flush_storage(&mut self) -> Result<(), StateError> {
        let result = self.queue.iter().try_for_each(|address| {
            (self.entries.get_mut(address)).map_or(Ok(()), |entry| {
                entry.write(&self.store, &mut self.slot_keys, *address)
            })
        });
        let queued = self.entries.values_mut().filter(|entry| entry.is_queued);
        let mut tries: Vec<_> = queued.filter_map(Entry::storage).collect();
        SparseTrie::refresh(&mut tries);
        for entry in self.entries.values_mut().filter(|entry| entry.is_queued) {
            entry.settle();
        }
        result
    }
}
