//! The least that executing a block can cost: transactions with known senders on state in memory.

use std::{cell::RefCell, fmt::Debug};

use alloy_consensus::{
    EthereumTxEnvelope, TxEip4844, TxEnvelope,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::{Decodable2718, WithEncoded};
use alloy_evm::{
    EthEvmFactory, EvmEnv, EvmFactory,
    block::BlockExecutor,
    eth::{EthBlockExecutionCtx, EthBlockExecutor, receipt_builder::AlloyReceiptBuilder},
};
use alloy_op_evm::{
    OpBlockExecutionCtx, OpBlockExecutor, OpEvmFactory, OpTx,
    block::receipt_builder::OpAlloyReceiptBuilder, evm_env_for_op_block,
};
use alloy_primitives::{Address, B256, Bytes, U256, address};
use mach_core::L2Block;
use mach_verify::{
    ChainSpec,
    state::{StateError, StateStore, TrieState},
};
use op_alloy_consensus::OpTxEnvelope;
use revm::{
    Database, DatabaseRef,
    database::{BundleState, CacheDB, State, states::bundle_state::BundleRetention},
    state::{AccountInfo, Bytecode},
};

type Error = Box<dyn std::error::Error>;
type Cache<'c, S> = State<&'c mut CacheDB<Shared<S>>>;

/// Vault that op-revm touches before there is an operator fee, where witnesses need not know it.
const OPERATOR_FEE_VAULT: Address = address!("0x420000000000000000000000000000000000001b");

/// Executes one block over and over, from a cache that holds all that it reads.
#[expect(missing_debug_implementations, reason = "holds caches of no interest")]
pub struct RawEvm<'a, S> {
    spec: &'a ChainSpec,
    block: &'a L2Block,
    transactions: Transactions,
    database: CacheDB<Shared<S>>,
}

/// Decoded transactions with their senders.
enum Transactions {
    Optimism(Vec<Recovered<OpTxEnvelope>>),
    Ethereum(Vec<Recovered<TxEnvelope>>),
}

impl<'a, S: StateStore + Debug> RawEvm<'a, S> {
    /// Recovers senders and fills the cache by executing once on `state`.
    ///
    /// Errors: whatever keeps the block from being executed.
    pub fn new(
        spec: &'a ChainSpec,
        block: &'a L2Block,
        state: TrieState<S>,
    ) -> Result<Self, Error> {
        let bytes = block.transactions.iter();
        let transactions = if spec.is_optimism() {
            Transactions::Optimism(bytes.map(recovered).collect::<Result<_, _>>()?)
        } else {
            Transactions::Ethereum(
                bytes
                    .map(recovered::<EthereumTxEnvelope<TxEip4844>>)
                    .map(|it| it.map(|it| it.map(TxEnvelope::from)))
                    .collect::<Result<_, _>>()?,
            )
        };
        let mut this = Self {
            spec,
            block,
            transactions,
            database: CacheDB::new(Shared(RefCell::new(state))),
        };
        this.execute()?;
        Ok(this)
    }

    /// Executes the block and answers its gas.
    ///
    /// Errors: whatever keeps the block from being executed.
    pub fn execute(&mut self) -> Result<u64, Error> {
        let mut cache = State::builder().with_database(&mut self.database).build();
        run(self.spec, self.block, &self.transactions, &mut cache, false)
    }

    /// Recovers all senders once more, and answers how many.
    ///
    /// Errors: the first signature that names nobody.
    pub fn recover(&self) -> Result<usize, Error> {
        let senders: Vec<Address> = match &self.transactions {
            Transactions::Optimism(list) => {
                (list.iter().map(|it| it.inner().recover_signer())).collect::<Result<_, _>>()?
            }
            Transactions::Ethereum(list) => {
                (list.iter().map(|it| it.inner().recover_signer())).collect::<Result<_, _>>()?
            }
        };
        Ok(senders.len())
    }

    /// The state after the block, with what was paid beside transactions.
    ///
    /// Errors: as [`Self::execute`], and if the changes do not fit the state.
    pub fn into_state(mut self) -> Result<TrieState<S>, Error> {
        let mut cache = State::builder()
            .with_database(&mut self.database)
            .with_bundle_update()
            .build();
        run(self.spec, self.block, &self.transactions, &mut cache, true)?;
        cache.merge_transitions(BundleRetention::PlainState);
        let mut bundle: BundleState = cache.take_bundle();
        // What was touched and was and is nothing.
        bundle.state.retain(|address, it| {
            *address != OPERATOR_FEE_VAULT || it.info.as_ref().is_some_and(|it| !it.is_empty())
        });
        let mut state = self.database.db.0.into_inner();
        state.apply_bundle(&bundle)?;
        Ok(state)
    }
}

fn recovered<T: Decodable2718 + SignerRecoverable>(bytes: &Bytes) -> Result<Recovered<T>, Error> {
    let decoded = T::decode_2718_exact(bytes)?;
    let sender = decoded.recover_signer()?;
    Ok(Recovered::new_unchecked(decoded, sender))
}

/// Executes the block, and what follows its transactions if `finish`; answers its gas.
fn run<S: StateStore + Debug>(
    spec: &ChainSpec,
    block: &L2Block,
    transactions: &Transactions,
    cache: &mut Cache<'_, S>,
    finish: bool,
) -> Result<u64, Error> {
    let header = block.header.inner();
    match transactions {
        Transactions::Optimism(list) => {
            let env = evm_env_for_op_block(header, spec, spec.chain_id());
            let context = OpBlockExecutionCtx {
                parent_hash: header.parent_hash,
                parent_beacon_block_root: header.parent_beacon_block_root,
                extra_data: header.extra_data.clone(),
            };
            let evm = OpEvmFactory::<OpTx>::default().create_evm(cache, env);
            let receipts = OpAlloyReceiptBuilder::default();
            let mut executor = OpBlockExecutor::new(evm, context, spec, receipts);
            executor.apply_pre_execution_changes()?;
            for (bytes, transaction) in block.transactions.iter().zip(list) {
                executor.execute_transaction(WithEncoded::new(bytes.clone(), transaction))?;
            }
            let gas_used = executor.gas_used;
            if finish {
                executor.finish()?;
            }
            Ok(gas_used)
        }
        Transactions::Ethereum(list) => {
            let blob_params = spec.blob_params(header.timestamp);
            let env = EvmEnv::for_eth_block(header, spec, spec.chain_id(), blob_params);
            let context = EthBlockExecutionCtx {
                parent_hash: header.parent_hash,
                parent_beacon_block_root: header.parent_beacon_block_root,
                ommers: &block.ommers,
                withdrawals: block.withdrawals.as_ref().map(|it| it.as_slice().into()),
                extra_data: header.extra_data.clone(),
                tx_count_hint: Some(list.len()),
                slot_number: None,
            };
            let evm = EthEvmFactory::default().create_evm(cache, env);
            let receipts = AlloyReceiptBuilder::default();
            let mut executor = EthBlockExecutor::new(evm, context, spec, receipts);
            executor.apply_pre_execution_changes()?;
            for transaction in list {
                executor.execute_transaction(transaction)?;
            }
            let gas_used = executor.cumulative_tx_gas_used;
            if finish {
                executor.finish()?;
            }
            Ok(gas_used)
        }
    }
}

/// Lets the cache read through a shared reference.
#[derive(Debug)]
struct Shared<S>(RefCell<TrieState<S>>);

impl<S: StateStore + Debug> DatabaseRef for Shared<S> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        match self.0.borrow_mut().basic(address) {
            Err(StateError::MissingNode { .. }) if address == OPERATOR_FEE_VAULT => Ok(None),
            answer => answer,
        }
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
