//! The `eth` methods on blocks, transactions and state, and the `evm` ones.

use std::sync::Arc;

use alloy_consensus::{Transaction, transaction::TxHashRef};
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{
    Block as RpcBlock, BlockTransactions, Header as RpcHeader, TransactionRequest,
};
use revm::context_interface::result::ExecutionResult;
use serde_json::Value;

use super::{Params, Rpc, RpcError, json, quantity};
use crate::chain::{Block, Mining, QueryError, Role};

impl<R: Role> Rpc<R> {
    /// The block that parameter `index` names, or the newest.
    pub(super) fn block_param(
        &self,
        params: &Params<'_>,
        index: usize,
    ) -> Result<Arc<Block<R>>, RpcError> {
        let id = params.optional(index)?.unwrap_or_else(BlockId::latest);
        self.chain
            .block(id)
            .ok_or_else(|| RpcError::server("header not found"))
    }

    /// Like [`Self::block_param`], where an unknown block is an answer.
    pub(super) fn optional_block(
        &self,
        params: &Params<'_>,
        index: usize,
    ) -> Result<Option<Arc<Block<R>>>, RpcError> {
        let id: BlockId = params.required(index)?;
        Ok(self.chain.block(id))
    }

    pub(super) fn balance(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 1)?;
        json(self.chain.account(&block, params.required(0)?)?.balance)
    }

    pub(super) fn code(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 1)?;
        json(self.chain.code(&block, params.required(0)?)?)
    }

    pub(super) fn storage(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 2)?;
        let (address, slot): (Address, U256) = (params.required(0)?, params.required(1)?);
        let value = self
            .chain
            .states()
            .storage(block.header.state_root, address, slot)?;
        json(B256::from(value))
    }

    pub(super) fn transaction_count(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let address = params.required(0)?;
        if params.optional(1)? == Some(BlockId::pending()) {
            return quantity(self.chain.pending_nonce(address)?);
        }
        let block = self.block_param(params, 1)?;
        quantity(self.chain.account(&block, address)?.nonce)
    }

    pub(super) fn call(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let request: TransactionRequest = params.required(0)?;
        params.refuse(2, "state overrides")?;
        params.refuse(3, "block overrides")?;
        let block = self.block_param(params, 1)?;
        match self.chain.call(&block, request)? {
            ExecutionResult::Success { output, .. } => json(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(RpcError::revert(&output)),
            ExecutionResult::Halt { reason, .. } => Err(QueryError::Halt(reason).into()),
        }
    }

    pub(super) fn estimate_gas(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let request: TransactionRequest = params.required(0)?;
        params.refuse(2, "state overrides")?;
        let block = self.block_param(params, 1)?;
        quantity(self.chain.estimate_gas(&block, request)?)
    }

    pub(super) fn send_raw_transaction(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let bytes: Bytes = params.required(0)?;
        json(self.chain.send_raw_transaction(&bytes)?)
    }

    pub(super) fn block(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let full = params.optional(1)?.unwrap_or(false);
        let Some(block) = self.optional_block(params, 0)? else {
            return Ok(Value::Null);
        };
        let size = block.to_l2_block(self.chain.chain_id()).encode_rlp().len();
        let header = RpcHeader::from_sealed(block.header.clone()).with_size(Some(U256::from(size)));
        let transactions = if full {
            BlockTransactions::Full(self.rpc_transactions(&block))
        } else {
            let hashes = block
                .transactions
                .iter()
                .map(|transaction| *transaction.tx_hash());
            BlockTransactions::Hashes(hashes.collect())
        };
        json(RpcBlock::new(header, transactions).with_withdrawals(block.withdrawals()))
    }

    pub(super) fn block_transaction_count(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        match self.optional_block(params, 0)? {
            Some(block) => quantity(block.transactions.len() as u64),
            None => Ok(Value::Null),
        }
    }

    pub(super) fn block_receipts(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let Some(block) = self.optional_block(params, 0)? else {
            return Ok(Value::Null);
        };
        let receipts: Vec<_> = block
            .receipt_contexts()
            .map(|context| self.chain.role().rpc_receipt(context))
            .collect();
        json(receipts)
    }

    pub(super) fn transaction_at(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let index: U64 = params.required(1)?;
        let Some(block) = self.optional_block(params, 0)? else {
            return Ok(Value::Null);
        };
        json(self.rpc_transactions(&block).into_iter().nth(index.to()))
    }

    pub(super) fn transaction(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let hash = params.required(0)?;
        if let Some((block, index)) = self.chain.transaction(&hash) {
            return json(self.rpc_transactions(&block).into_iter().nth(index));
        }
        let Some(waiting) = self.chain.waiting(&hash) else {
            return Ok(Value::Null);
        };
        let shown = alloy_rpc_types_eth::Transaction {
            block_hash: None,
            block_number: None,
            transaction_index: None,
            effective_gas_price: Some(waiting.max_fee_per_gas()),
            block_timestamp: None,
            inner: waiting,
        };
        json(shown)
    }

    pub(super) fn transaction_receipt(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let Some((block, index)) = self.chain.transaction(&params.required(0)?) else {
            return Ok(Value::Null);
        };
        let context = block.receipt_contexts().nth(index);
        json(context.map(|context| self.chain.role().rpc_receipt(context)))
    }

    pub(super) fn logs(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        json(self.chain.logs(&params.required(0)?)?)
    }

    pub(super) fn mine(&self) -> Result<Value, RpcError> {
        self.chain.mine()?;
        quantity(0u64)
    }

    pub(super) fn increase_time(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        // Tools send both numbers and quantities.
        let value: Value = params.required(0)?;
        let seconds = match value.as_u64() {
            Some(seconds) => seconds,
            None => params.required::<U64>(0)?.to(),
        };
        if seconds > u64::from(u32::MAX) {
            return Err(RpcError::params("at most 2^32 - 1 seconds"));
        }
        self.chain.increase_time(seconds);
        quantity(seconds)
    }

    pub(super) fn set_automine(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let mining = if params.required(0)? {
            Mining::Auto
        } else {
            Mining::Manual
        };
        self.chain.set_mining(mining);
        json(true)
    }

    fn rpc_transactions(&self, block: &Block<R>) -> Vec<R::RpcTransaction> {
        block
            .receipt_contexts()
            .map(|context| {
                let info = block.transaction_info(&context);
                let transaction = context.transaction.clone();
                self.chain
                    .role()
                    .rpc_transaction(transaction, context.receipt, info)
            })
            .collect()
    }
}
