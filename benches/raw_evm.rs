//! The least that executing a block can cost: transactions with known senders on state in memory.

use std::cell::RefCell;

use alloy_consensus::transaction::{Recovered, SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_evm::{EvmFactory, block::BlockExecutor};
use alloy_op_evm::{
    OpBlockExecutionCtx, OpBlockExecutor, OpEvmFactory, OpTx,
    block::receipt_builder::OpAlloyReceiptBuilder, evm_env_for_op_block,
};
use alloy_primitives::{Address, B256, U256};
use mach_core::L2Block;
use mach_verify::{
    ChainSpec, Witness,
    state::{BlockHashes, MemoryStore, StateError, TrieState},
};
use op_alloy_consensus::OpTxEnvelope;
use revm::{
    Database, DatabaseRef,
    database::{CacheDB, State},
    state::{AccountInfo, Bytecode},
};

/// Executes one OP Stack block over and over, from a cache that holds all that it reads.
#[expect(missing_debug_implementations, reason = "holds caches of no interest")]
pub struct RawEvm<'a> {
    spec: &'a ChainSpec,
    block: &'a L2Block,
    transactions: Vec<Recovered<OpTxEnvelope>>,
    database: CacheDB<Shared>,
}

impl<'a> RawEvm<'a> {
    /// Decodes, recovers senders and fills the cache by executing once.
    pub fn new(
        spec: &'a ChainSpec,
        block: &'a L2Block,
        witness: &Witness,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let parent = witness
            .header(block.header.parent_hash)
            .ok_or("no parent header")?;
        let store =
            MemoryStore::from_witness(witness.state.iter().cloned(), witness.codes.iter().cloned());
        let mut hashes = BlockHashes::new();
        hashes.prove(parent.number, parent.seal());
        let state = TrieState::new(store, parent.state_root).with_block_hashes(hashes);
        let transactions = block
            .transactions
            .iter()
            .map(|bytes| {
                let decoded = OpTxEnvelope::decode_2718_exact(bytes)?;
                let sender = decoded.recover_signer()?;
                Ok(Recovered::new_unchecked(decoded, sender))
            })
            .collect::<Result<_, Box<dyn std::error::Error>>>()?;
        let database = CacheDB::new(Shared(RefCell::new(state)));
        let mut this = Self {
            spec,
            block,
            transactions,
            database,
        };
        this.execute()?;
        Ok(this)
    }

    /// Executes the block and answers its gas.
    pub fn execute(&mut self) -> Result<u64, Box<dyn std::error::Error>> {
        let header = self.block.header.inner();
        let env = evm_env_for_op_block(header, self.spec, self.spec.chain_id());
        let context = OpBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            extra_data: header.extra_data.clone(),
        };
        let mut state = State::builder().with_database(&mut self.database).build();
        let evm = OpEvmFactory::<OpTx>::default().create_evm(&mut state, env);
        let mut executor =
            OpBlockExecutor::new(evm, context, self.spec, OpAlloyReceiptBuilder::default());
        executor.apply_pre_execution_changes()?;
        for transaction in &self.transactions {
            executor.execute_transaction(transaction)?;
        }
        Ok(executor.gas_used)
    }
}

/// Lets the cache read through a shared reference.
#[derive(Debug)]
struct Shared(RefCell<TrieState<MemoryStore>>);

impl DatabaseRef for Shared {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.0.borrow_mut().basic(address)
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.0.borrow_mut().code_by_hash(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Database::storage(&mut *self.0.borrow_mut(), address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        Database::block_hash(&mut *self.0.borrow_mut(), number)
    }
}
