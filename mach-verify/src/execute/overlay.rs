//! State of a block while it is executed: what its transactions changed, over what they found.

use std::{collections::hash_map::Entry, fmt};

use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{AddressMap, B256Map, HashMap, U256Map},
};
use revm::{
    Database, DatabaseCommit,
    database_interface::DBErrorMarker,
    state::{Account as EvmAccount, AccountInfo, Bytecode, EvmStorage},
};

use super::Changes;
use crate::{
    phases::{Phase, Watch},
    state::{Account, AccountUpdate},
};

/// Stands for the error that the overlay keeps, wherever the machine would swallow or wrap it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the state did not answer")]
pub(crate) struct NoAnswer;

impl DBErrorMarker for NoAnswer {}

/// Account with what is known of its storage.
#[derive(Clone, Debug, Default)]
struct Cached {
    original: Option<AccountInfo>,
    present: Option<AccountInfo>,
    storage: U256Map<Slot>,
    wiped: bool,
    /// Whether a transaction may have changed anything since the last [`Overlay::take_changes`].
    touched: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    original: U256,
    present: U256,
}

/// Reads through to `D`, remembers every answer, takes the changes of each transaction.
///
/// The first error of `D` is kept and all that follows fails: an error can then not be mistaken
/// for a rule that a transaction broke, however the machine wraps it.
pub(crate) struct Overlay<D: Database> {
    state: D,
    accounts: AddressMap<Cached>,
    codes: B256Map<Bytecode>,
    new_codes: Vec<Bytes>,
    block_hashes: HashMap<u64, B256>,
    error: Option<D::Error>,
    lenient: Option<Lenient<D::Error>>,
    watch: Watch,
}

/// An account that counts as absent when the state does not know.
struct Lenient<E> {
    address: Address,
    applies: fn(&E) -> bool,
    applied: Option<E>,
}

impl<D: Database> Overlay<D> {
    pub(crate) fn new(state: D) -> Self {
        Self {
            state,
            accounts: AddressMap::default(),
            codes: B256Map::default(),
            new_codes: Vec::new(),
            block_hashes: HashMap::default(),
            error: None,
            lenient: None,
            watch: Watch::default(),
        }
    }

    /// Counts the time of answers from the state.
    pub(crate) fn with_watch(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    pub(crate) const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Lets `address` count as absent when reading it gives an error that `applies` accepts.
    pub(crate) fn assume_absent(&mut self, address: Address, applies: fn(&D::Error) -> bool) {
        self.lenient = Some(Lenient {
            address,
            applies,
            applied: None,
        });
    }

    /// The error that stopped execution, if one did.
    pub(crate) const fn take_error(&mut self) -> Option<D::Error> {
        self.error.take()
    }

    /// From here on more than its absence is concluded from the lenient account: it has to be known,
    /// and if it has counted as absent, that was an error.
    pub(crate) fn rely_on_absent(&mut self) {
        if let Some(Lenient {
            applied: Some(error),
            ..
        }) = self.lenient.take()
        {
            self.error.get_or_insert(error);
        }
    }

    pub(crate) const fn state_mut(&mut self) -> &mut D {
        &mut self.state
    }

    /// Adds to the balance of `address`; zero leaves it alone.
    pub(crate) fn increase_balance(
        &mut self,
        address: Address,
        amount: U256,
    ) -> Result<(), NoAnswer> {
        if amount.is_zero() {
            return Ok(());
        }
        let account = self.account(address)?;
        let info = account.present.get_or_insert_default();
        info.balance = info.balance.saturating_add(amount);
        account.touched = true;
        Ok(())
    }

    /// Takes the whole balance of `address`, which stays even if it is empty then.
    pub(crate) fn drain_balance(&mut self, address: Address) -> Result<U256, NoAnswer> {
        let account = self.account(address)?;
        let Some(info) = &mut account.present else {
            return Ok(U256::ZERO);
        };
        account.touched = true;
        Ok(core::mem::take(&mut info.balance))
    }

    /// What differs from the state below, which counts as changed accordingly from here on.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let mut accounts = Vec::new();
        for (address, account) in &mut self.accounts {
            if !core::mem::take(&mut account.touched) {
                continue;
            }
            let wiped = core::mem::take(&mut account.wiped);
            let mut storage = Vec::new();
            for (slot, value) in &mut account.storage {
                if value.present != value.original {
                    storage.push((*slot, value.present));
                    value.original = value.present;
                }
            }
            let unchanged = same_account(account.original.as_ref(), account.present.as_ref());
            if unchanged && storage.is_empty() && !wiped {
                continue;
            }
            account.original.clone_from(&account.present);
            accounts.push(AccountUpdate {
                address: *address,
                account: account.present.as_ref().map(|info| Account {
                    nonce: info.nonce,
                    balance: info.balance,
                    code_hash: info.code_hash,
                }),
                wipe_storage: wiped,
                storage,
            });
        }
        Changes {
            accounts,
            codes: core::mem::take(&mut self.new_codes),
        }
    }

    fn account(&mut self, address: Address) -> Result<&mut Cached, NoAnswer> {
        match self.accounts.entry(address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                if self.error.is_some() {
                    return Err(NoAnswer);
                }
                let answer = (self.watch).during(Phase::Trie, || self.state.basic(address));
                let info = match answer {
                    Ok(info) => info,
                    Err(error) => match &mut self.lenient {
                        Some(it) if it.address == address && (it.applies)(&error) => {
                            it.applied = Some(error);
                            None
                        }
                        _ => {
                            self.error = Some(error);
                            return Err(NoAnswer);
                        }
                    },
                };
                Ok(entry.insert(Cached {
                    original: info.clone(),
                    present: info,
                    ..Default::default()
                }))
            }
        }
    }

    fn keep<T>(&mut self, answer: Result<T, D::Error>) -> Result<T, NoAnswer> {
        answer.map_err(|error| {
            self.error.get_or_insert(error);
            NoAnswer
        })
    }
}

impl<D: Database> Database for Overlay<D> {
    type Error = NoAnswer;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, NoAnswer> {
        Ok(self.account(address)?.present.clone())
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, NoAnswer> {
        if let Some(code) = self.codes.get(&hash) {
            return Ok(code.clone());
        }
        if self.error.is_some() {
            return Err(NoAnswer);
        }
        let answer = (self.watch).during(Phase::Trie, || self.state.code_by_hash(hash));
        let code = self.keep(answer)?;
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, NoAnswer> {
        let account = self.account(address)?;
        if let Some(known) = account.storage.get(&slot) {
            return Ok(known.present);
        }
        let value = if account.wiped || account.original.is_none() {
            U256::ZERO
        } else {
            if self.error.is_some() {
                return Err(NoAnswer);
            }
            let answer = (self.watch).during(Phase::Trie, || self.state.storage(address, slot));
            self.keep(answer)?
        };
        let slots = &mut self.account(address)?.storage;
        slots.insert(
            slot,
            Slot {
                original: value,
                present: value,
            },
        );
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, NoAnswer> {
        if let Some(hash) = self.block_hashes.get(&number) {
            return Ok(*hash);
        }
        if self.error.is_some() {
            return Err(NoAnswer);
        }
        let answer = self.state.block_hash(number);
        let hash = self.keep(answer)?;
        self.block_hashes.insert(number, hash);
        Ok(hash)
    }
}

impl<D: Database> DatabaseCommit for Overlay<D> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account);
            }
        }
    }
}

impl<D: Database> Overlay<D> {
    /// The machine has already decided, fork by fork, which empty accounts stay: one that is to
    /// stay is marked as created or not marked as touched.
    fn commit_account(&mut self, address: Address, account: EvmAccount) {
        let cached = self.accounts.entry(address).or_default();
        cached.touched = true;
        let is_created = account.is_created();
        if account.is_selfdestructed() || (account.is_empty() && !is_created) {
            cached.wipe();
            cached.present = None;
            return;
        }
        if is_created {
            cached.wipe();
        }
        cached.write(account.storage);
        let mut info = account.info;
        if let Some(code) = info.code.take()
            && !code.is_empty()
            && let Entry::Vacant(entry) = self.codes.entry(info.code_hash)
        {
            self.new_codes.push(code.original_bytes());
            entry.insert(code);
        }
        cached.present = Some(info);
    }
}

impl Cached {
    fn wipe(&mut self) {
        // An account that was not there has no storage to lose.
        self.wiped |= self.original.is_some();
        self.storage.clear();
    }

    fn write(&mut self, storage: EvmStorage) {
        for (slot, value) in storage {
            if value.is_changed() {
                let present = value.present_value;
                self.storage
                    .entry(slot)
                    .or_insert(Slot {
                        original: if self.wiped {
                            U256::ZERO
                        } else {
                            value.original_value
                        },
                        present,
                    })
                    .present = present;
            }
        }
    }
}

impl<D: Database + fmt::Debug> fmt::Debug for Overlay<D>
where
    D::Error: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("accounts", &self.accounts.len())
            .field("codes", &self.codes.len())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Compares what the trie holds of an account; the code itself is not part of it.
fn same_account(one: Option<&AccountInfo>, other: Option<&AccountInfo>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.nonce == other.nonce
                && one.balance == other.balance
                && one.code_hash == other.code_hash
        }
        _ => false,
    }
}
