//! Verification block after block on a state that is held whole.

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::Genesis;
use alloy_hardforks::EthereumHardforks;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, BlockNumber, Sealed, U256, map::B256Map};
use mach_core::{L2Block, Verdict};

use crate::{
    ChainSpec, ExecuteError, Witness,
    execute::MESSAGE_PASSER,
    header,
    state::{Account, AccountUpdate, BlockHashes, MemoryStore, Recorder, StateError, TrieState},
    verify::{accuse, check_rules, run},
    witness::MAX_ANCESTORS,
};

/// A chain from its genesis on, with every state in memory: no witness is needed.
///
/// For chain files and small networks. A block is verified on the state of its parent, which has to
/// be known: genesis, or a block that was valid before. A block that is not valid leaves no trace.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    spec: ChainSpec,
    store: MemoryStore,
    headers: B256Map<Header>,
    head: Sealed<Header>,
}

impl ChainVerifier {
    /// The chain that starts with `genesis` under the rules of `spec`.
    ///
    /// Errors: [`StateError`] if an account of the genesis cannot be stored.
    pub fn new(spec: ChainSpec, genesis: &Genesis) -> Result<Self, StateError> {
        let mut state = TrieState::new(MemoryStore::new(), EMPTY_ROOT_HASH);
        for (address, account) in &genesis.alloc {
            let code = account.code.clone().unwrap_or_default();
            let account_update = AccountUpdate {
                address: *address,
                account: Some(Account {
                    nonce: account.nonce.unwrap_or_default(),
                    balance: account.balance,
                    code_hash: state.insert_code(code),
                }),
                wipe_storage: false,
                storage: (account.storage.iter().flatten())
                    .map(|(slot, value)| {
                        (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0))
                    })
                    .collect(),
            };
            state.apply([account_update])?;
        }
        let message_passer_root = state.storage_root(MESSAGE_PASSER)?;
        let updates = state.commit()?;
        let header = genesis_header(&spec, genesis, updates.root, message_passer_root);
        let mut store = state.into_store();
        store.insert(updates);
        let head = Sealed::new(header);
        Ok(Self {
            spec,
            store,
            headers: B256Map::from_iter([(head.seal(), head.inner().clone())]),
            head,
        })
    }

    /// Executes `block` on the state of its parent. If it is valid, blocks may follow it.
    ///
    /// Errors: [`ExecuteError`]; [`ExecuteError::MissingParent`] if the parent is not known.
    pub fn verify(&mut self, block: &L2Block) -> Result<Verdict, ExecuteError> {
        check_rules(&self.spec, block)?;
        let Some(parent) = self.headers.get(&block.header.parent_hash) else {
            return Err(ExecuteError::MissingParent {
                block: block.number(),
                parent: block.header.parent_hash,
            });
        };
        if let Err(fault) = header::check(&self.spec, block, Some(parent)) {
            return accuse(&self.spec, block, fault);
        }
        let mut state = TrieState::new(&self.store, parent.state_root)
            .with_block_hashes(self.ancestors(block, BlockHashes::prove));
        let verdict = run(&self.spec, block, &mut state)?;
        if let Verdict::Valid(_) = verdict {
            let updates = (state.commit())
                .map_err(|error| ExecuteError::from_state(block.number(), error))?;
            self.store.insert(updates);
            self.headers
                .insert(block.hash(), block.header.inner().clone());
            self.head = block.header.clone();
        }
        Ok(verdict)
    }

    /// What executing `block` on the state of its parent reads: with it the block is verified
    /// elsewhere, without the chain.
    ///
    /// Errors: [`ExecuteError`], as [`Self::verify`].
    pub fn witness(&self, block: &L2Block) -> Result<Witness, ExecuteError> {
        check_rules(&self.spec, block)?;
        let parent_hash = block.header.parent_hash;
        let Some(parent) = self.headers.get(&parent_hash) else {
            return Err(ExecuteError::MissingParent {
                block: block.number(),
                parent: parent_hash,
            });
        };
        // What the header alone gives away is judged without execution, and needs the parent only.
        let is_executed = header::check(&self.spec, block, Some(parent)).is_ok();
        let mut state = TrieState::new(Recorder::new(&self.store), parent.state_root)
            .with_block_hashes(self.ancestors(block, BlockHashes::claim));
        if is_executed {
            let _ = run(&self.spec, block, &mut state)?;
        }
        let read = state.claimed_hashes_read().iter().copied().min();
        let oldest = read.map_or(parent.number, |read| read.min(parent.number));
        let recorded = state.into_store().take();
        let headers = self.lineage(parent_hash).map(|(_, header)| header);
        Ok(Witness {
            state: recorded.nodes,
            codes: recorded.codes,
            headers: headers
                .take_while(|header| header.number >= oldest)
                .map(|header| alloy_rlp::encode(header).into())
                .collect(),
            ..Default::default()
        })
    }

    /// Rules of the chain.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// Header of the last valid block.
    pub const fn head(&self) -> &Sealed<Header> {
        &self.head
    }

    /// Nodes and codes of every state so far.
    pub const fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn ancestors(
        &self,
        block: &L2Block,
        add: fn(&mut BlockHashes, BlockNumber, B256),
    ) -> BlockHashes {
        let mut hashes = BlockHashes::new();
        for (hash, header) in self.lineage(block.header.parent_hash) {
            add(&mut hashes, header.number, hash);
        }
        hashes
    }

    /// The header with this hash and its ancestors, as many as a block can ask for.
    fn lineage(&self, hash: B256) -> impl Iterator<Item = (B256, &Header)> {
        let header_of = |hash| self.headers.get(&hash).map(|header| (hash, header));
        std::iter::successors(header_of(hash), move |(_, header)| {
            header_of(header.parent_hash)
        })
        .take(MAX_ANCESTORS)
    }
}

/// Header of block 0.
fn genesis_header(
    spec: &ChainSpec,
    genesis: &Genesis,
    state_root: B256,
    message_passer_root: B256,
) -> Header {
    let time = genesis.timestamp;
    let number = genesis.number.unwrap_or_default();
    let is_shanghai = spec.is_shanghai_active_at_timestamp(time);
    let is_cancun = spec.is_cancun_active_at_timestamp(time);
    let is_isthmus = spec.is_isthmus_active_at_timestamp(time);
    Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        beneficiary: genesis.coinbase,
        state_root,
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        timestamp: time,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: (spec.is_london_active_at_block(number)).then(|| {
            let fee = genesis.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE.into());
            u64::try_from(fee).unwrap_or(u64::MAX)
        }),
        withdrawals_root: is_shanghai.then_some(if is_isthmus {
            message_passer_root
        } else {
            EMPTY_ROOT_HASH
        }),
        blob_gas_used: is_cancun.then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: is_cancun.then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: is_cancun.then_some(B256::ZERO),
        requests_hash: (spec.is_prague_active_at_timestamp(time)).then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}
