//! What makes a chain an L1 or a rollup.

use std::fmt::Debug;

use alloy_consensus::{
    Header, Transaction, TxReceipt,
    transaction::{Recovered, SignerRecoverable, TransactionInfo, TxHashRef},
};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip7685::Requests,
};
use alloy_evm::block::{BlockExecutionError, BlockExecutionResult, BlockExecutor};
use alloy_primitives::{B256, ChainId, Log, Sealed};
use alloy_rpc_types_eth::TransactionRequest;
use revm::{context_interface::result::ExecutionResult, database::State};
use serde::{Serialize, de::DeserializeOwned};

use super::{Block, Chain, ChainError, Draft, PoolError, States, receipt::ReceiptContext};
use crate::rpc::{Answer, Params, RpcError};

/// A kind of chain: [`Ethereum`](crate::Ethereum) or [`Optimism`](crate::Optimism).
#[expect(private_bounds, reason = "it seals the trait")]
pub trait Role: Rules {}

impl<R: Rules> Role for R {}

/// Rules of one kind of chain, kept out of the crate's interface together with the EVM's types.
pub(crate) trait Rules: Debug + Send + Sync + 'static {
    /// Transaction as it stands in a block.
    type Transaction: Transaction
        + Encodable2718
        + Decodable2718
        + SignerRecoverable
        + TxHashRef
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync;
    /// Receipt as it stands in the receipts trie.
    type Receipt: TxReceipt<Log = Log> + Encodable2718 + Clone + Debug + Send + Sync;
    /// Transaction as the RPC shows it.
    type RpcTransaction: Serialize;
    /// Receipt as the RPC shows it.
    type RpcReceipt: Serialize;
    /// What the role decides about a block before its execution, beyond the header.
    type Plan: Debug;

    /// EIP-155 id of the chain.
    fn chain_id(&self) -> ChainId;

    /// Base fee of the block after `parent`, in wei.
    fn next_base_fee(&self, parent: &Header) -> u64;

    /// Everything of the block after `parent` that is known before its execution.
    fn plan(
        &self,
        parent: &Sealed<Header>,
        timestamp: u64,
    ) -> Result<Planned<Self::Transaction, Self::Plan>, ChainError>;

    /// Publishes an executed block. An honest chain changes nothing.
    fn publish(
        &self,
        draft: Draft<Self>,
        _plan: Self::Plan,
        _parent: &Sealed<Header>,
        _states: &States,
    ) -> Result<Block<Self>, ChainError>
    where
        Self: Sized,
    {
        Ok(draft.seal())
    }

    /// Executes `transactions` in their order; one that cannot be included is left out.
    fn execute<DB>(
        &self,
        db: &mut State<DB>,
        header: &Header,
        transactions: &[Recovered<Self::Transaction>],
    ) -> Result<Execution<Self::Receipt>, ChainError>
    where
        DB: alloy_evm::Database;

    /// Sets what the role's headers carry of the execution beyond the common fields.
    ///
    /// `storage_root` gives the storage root of an account after the block.
    fn complete_header(
        &self,
        header: &mut Header,
        execution: &Execution<Self::Receipt>,
        storage_root: &dyn Fn(alloy_primitives::Address) -> Result<B256, ChainError>,
    ) -> Result<(), ChainError>;

    /// Executes a call on top of the block that `header` belongs to.
    fn call<DB>(
        &self,
        db: DB,
        header: &Header,
        request: TransactionRequest,
    ) -> Result<ExecutionResult, CallError>
    where
        DB: alloy_evm::Database;

    /// Decodes what `eth_sendRawTransaction` carries.
    fn decode_pooled(&self, bytes: &[u8]) -> Result<Self::Transaction, PoolError>;

    /// Gas that one transaction may use at most.
    fn transaction_gas_cap(&self) -> u64;

    /// Blob gas that fits into one block; `None` where there are no blobs.
    fn blob_gas_limit(&self) -> Option<u64>;

    /// Price of blob gas in the block of `header`, in wei.
    fn blob_base_fee(&self, header: &Header) -> u128;

    /// Answers a method that only this role has.
    fn extra_method(
        _chain: &Chain<Self>,
        method: &str,
        _params: &Params<'_>,
    ) -> Result<serde_json::Value, RpcError>
    where
        Self: Sized,
    {
        Err(RpcError::method(method))
    }

    /// Answers a GET request of the consensus layer's API, if there is such a layer.
    fn beacon(_chain: &Chain<Self>, _path: &str, _query: &str) -> Option<Answer>
    where
        Self: Sized,
    {
        None
    }

    /// Shows a transaction.
    fn rpc_transaction(
        &self,
        transaction: Recovered<Self::Transaction>,
        receipt: &Self::Receipt,
        info: TransactionInfo,
    ) -> Self::RpcTransaction;

    /// Shows a receipt.
    fn rpc_receipt(&self, context: ReceiptContext<'_, Self>) -> Self::RpcReceipt
    where
        Self: Sized;
}

/// A block before its execution.
#[derive(Debug)]
pub(crate) struct Planned<T, P> {
    /// The header as far as it is known.
    pub(crate) header: Header,
    /// Transactions that the protocol puts first.
    pub(crate) first: Vec<Recovered<T>>,
    /// What the role remembers until the block is published.
    pub(crate) plan: P,
}

/// What execution of a block gave.
#[derive(Clone, Debug)]
pub(crate) struct Execution<R> {
    /// Receipts of the included transactions.
    pub(crate) receipts: Vec<R>,
    /// Gas of all included transactions.
    pub(crate) gas_used: u64,
    /// Blob gas, or the data-availability footprint of a rollup block.
    pub(crate) blob_gas_used: u64,
    /// Requests to the consensus layer (EIP-7685).
    pub(crate) requests: Requests,
    /// For each given transaction, why it could not be included.
    pub(crate) rejected: Vec<Option<String>>,
}

/// Runs a block through one of the executors of alloy-evm.
pub(crate) fn run<E>(
    mut executor: E,
    transactions: &[Recovered<E::Transaction>],
) -> Result<Execution<E::Receipt>, ChainError>
where
    E: BlockExecutor,
    for<'a> &'a Recovered<E::Transaction>: alloy_evm::block::ExecutableTx<E>,
{
    executor
        .apply_pre_execution_changes()
        .map_err(ChainError::execution)?;
    let mut rejected = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        match executor.execute_transaction(transaction) {
            Ok(_) => rejected.push(None),
            Err(BlockExecutionError::Validation(reason)) => rejected.push(Some(reason.to_string())),
            Err(error) => return Err(ChainError::execution(error)),
        }
    }
    let BlockExecutionResult {
        receipts,
        requests,
        gas_used,
        blob_gas_used,
    } = executor
        .apply_post_execution_changes()
        .map_err(ChainError::execution)?;
    Ok(Execution {
        receipts,
        gas_used,
        blob_gas_used,
        requests,
        rejected,
    })
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The request cannot be made into a transaction.
    #[error("{0}")]
    Request(String),
    /// The transaction of the request cannot be executed.
    #[error("{0}")]
    Invalid(String),
}
