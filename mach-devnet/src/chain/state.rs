//! Every state of the chain, as trie nodes and codes by hash.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use mach_verify::{
    state::{
        Account, AccountUpdate, BlockHashes, MemoryStore, Recorder, StateError, StateStore,
        TrieState,
    },
    trie::NodeStore,
};
use revm::database::BundleState;

use super::{ChainError, ledger::Ledger, role::Rules};

/// How far `BLOCKHASH` reaches.
const BLOCK_HASH_WINDOW: u64 = 256;

/// All nodes and codes that the chain ever had. Older states stay, so each root ever made can be
/// read for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<RwLock<MemoryStore>>);

impl Shelf {
    fn read(&self) -> RwLockReadGuard<'_, MemoryStore> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeStore for Shelf {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        self.read().node(hash)
    }
}

impl StateStore for Shelf {
    fn code(&self, hash: &B256) -> Option<Bytes> {
        self.read().code(hash)
    }
}

/// All states, by root.
#[derive(Debug, Default)]
pub(crate) struct States {
    shelf: Shelf,
}

impl States {
    /// The state with this root.
    pub(crate) fn at(&self, root: B256) -> TrieState<Shelf> {
        TrieState::new(self.shelf.clone(), root)
    }

    /// The state with this root, where everything that is read is remembered.
    pub(crate) fn recorded(&self, root: B256) -> TrieState<Recorder<Shelf>> {
        TrieState::new(Recorder::new(self.shelf.clone()), root)
    }

    /// Makes the state of a genesis block and gives its root.
    pub(crate) fn genesis(
        &self,
        accounts: &BTreeMap<Address, GenesisAccount>,
    ) -> Result<B256, ChainError> {
        self.change(EMPTY_ROOT_HASH, |state| {
            for (address, genesis) in accounts {
                let code = genesis.code.clone().unwrap_or_default();
                let account = Account {
                    nonce: genesis.nonce.unwrap_or_default(),
                    balance: genesis.balance,
                    code_hash: keccak256(&code),
                };
                state.insert_code(code);
                state.apply([AccountUpdate {
                    address: *address,
                    account: Some(account),
                    wipe_storage: true,
                    storage: (genesis.storage.iter().flatten())
                        .map(|(slot, value)| ((*slot).into(), (*value).into()))
                        .collect(),
                }])?;
            }
            Ok(())
        })
    }

    /// Writes the changes of a block on top of `root` and gives the new root.
    pub(crate) fn commit(&self, root: B256, changes: &BundleState) -> Result<B256, ChainError> {
        self.change(root, |state| state.apply_bundle(changes))
    }

    /// Gives `amount` wei to an account for nothing, on top of `root`.
    pub(crate) fn credit(
        &self,
        root: B256,
        address: Address,
        amount: U256,
    ) -> Result<B256, ChainError> {
        self.change(root, |state| {
            let account = state.account(address)?.unwrap_or_default();
            state.apply([AccountUpdate {
                address,
                account: Some(Account {
                    nonce: account.nonce,
                    balance: account.balance.saturating_add(amount),
                    code_hash: account.code_hash,
                }),
                wipe_storage: false,
                storage: Vec::new(),
            }])
        })
    }

    pub(crate) fn account(
        &self,
        root: B256,
        address: Address,
    ) -> Result<Option<TrieAccount>, ChainError> {
        self.at(root)
            .account(address)
            .map_err(ChainError::state(root))
    }

    pub(crate) fn storage_root(&self, root: B256, address: Address) -> Result<B256, ChainError> {
        self.at(root)
            .storage_root(address)
            .map_err(ChainError::state(root))
    }

    pub(crate) fn storage(
        &self,
        root: B256,
        address: Address,
        slot: U256,
    ) -> Result<U256, ChainError> {
        self.at(root)
            .storage(address, slot)
            .map_err(ChainError::state(root))
    }

    pub(crate) fn code(&self, hash: &B256) -> Option<Bytes> {
        self.shelf.code(hash)
    }

    /// Proofs of an account and of slots of it.
    pub(crate) fn prove(
        &self,
        root: B256,
        address: Address,
        slots: &[U256],
    ) -> Result<EIP1186AccountProofResponse, ChainError> {
        let proof = self
            .at(root)
            .prove(address, slots)
            .map_err(ChainError::state(root))?;
        let account = proof.account.unwrap_or_default();
        Ok(EIP1186AccountProofResponse {
            address,
            balance: account.balance,
            code_hash: account.code_hash,
            nonce: account.nonce,
            storage_hash: account.storage_root,
            account_proof: proof.nodes,
            storage_proof: (proof.storage.into_iter())
                .map(|slot| EIP1186StorageProof::new(slot.slot.into(), slot.value, slot.nodes))
                .collect(),
        })
    }

    fn change(
        &self,
        root: B256,
        change: impl FnOnce(&mut TrieState<Shelf>) -> Result<(), StateError>,
    ) -> Result<B256, ChainError> {
        let mut state = self.at(root);
        change(&mut state).map_err(ChainError::state(root))?;
        let updates = state.commit().map_err(ChainError::state(root))?;
        let root = updates.root;
        self.shelf
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(updates);
        Ok(root)
    }
}

/// Hashes of the blocks that `BLOCKHASH` reaches from a block with this number.
///
/// They count as claims, so that a state remembers which of them were read.
pub(crate) fn block_hashes<R: Rules>(ledger: &Ledger<R>, number: u64) -> BlockHashes {
    let mut hashes = BlockHashes::new();
    for number in number.saturating_sub(BLOCK_HASH_WINDOW)..number {
        if let Some(block) = ledger.block(number) {
            hashes.claim(number, block.hash());
        }
    }
    hashes
}
