//! The state as the machine sees it: the only place where types of revm meet it.

use alloy_primitives::{Address, B256, U256};
use revm::{
    Database,
    bytecode::Bytecode,
    database::BundleState,
    database_interface::DBErrorMarker,
    state::{AccountInfo, EvmState},
};

use super::{Account, AccountUpdate, StateError, StateStore, TrieState};

impl DBErrorMarker for StateError {}

impl<S: StateStore> Database for TrieState<S> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let account = self.account_info(address)?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        Ok(self.analysed_code(hash)?.0)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        Self::storage(self, address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        Self::block_hash(self, number)
    }
}

impl<S: StateStore> TrieState<S> {
    /// [`TrieState::apply`] for the bundle that revm's `State` collects over transactions.
    #[doc(hidden)]
    pub fn apply_bundle(&mut self, bundle: &BundleState) -> Result<(), StateError> {
        for (hash, code) in &bundle.contracts {
            self.insert_hashed_code(*hash, code.original_bytes());
        }
        self.apply(bundle.state.iter().map(|(address, changed)| {
            AccountUpdate {
                address: *address,
                account: changed.info.as_ref().map(account),
                wipe_storage: changed.was_destroyed(),
                storage: (changed.storage.iter())
                    .map(|(slot, value)| (*slot, value.present_value))
                    .collect(),
            }
        }))
    }

    /// [`TrieState::apply`] for what the machine says after one transaction.
    ///
    /// revm's journal has settled which empty accounts stay: before EIP-161 it marks those as
    /// created, or not as touched.
    #[doc(hidden)]
    pub fn apply_evm_state(&mut self, changes: &EvmState) -> Result<(), StateError> {
        for (address, changed) in changes.iter().filter(|(_, changed)| changed.is_touched()) {
            let is_gone =
                changed.is_selfdestructed() || (changed.is_empty() && !changed.is_created());
            let info = (!is_gone).then_some(&changed.info);
            if let Some(code) = info.and_then(|info| info.code.as_ref()) {
                self.insert_hashed_code(changed.info.code_hash, code.original_bytes());
            }
            self.apply([AccountUpdate {
                address: *address,
                account: info.map(account),
                wipe_storage: changed.is_created(),
                storage: (changed.storage.iter())
                    .filter(|(_, value)| value.is_changed())
                    .map(|(slot, value)| (*slot, value.present_value))
                    .collect(),
            }])?;
        }
        Ok(())
    }
}

/// Not a `From`, so that no type of revm shows in the documentation of [`Account`].
const fn account(info: &AccountInfo) -> Account {
    Account {
        nonce: info.nonce,
        balance: info.balance,
        code_hash: info.code_hash,
    }
}
