//! The `debug` methods: raw blocks and execution witnesses.

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use serde_json::Value;

use super::{Params, Rpc, RpcError, json};
use crate::chain::Role;

impl<R: Role> Rpc<R> {
    pub(super) fn raw_block(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 0)?;
        json(Bytes::from(
            block.to_l2_block(self.chain.chain_id()).encode_rlp(),
        ))
    }

    pub(super) fn raw_header(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 0)?;
        json(Bytes::from(alloy_rlp::encode(block.header.inner())))
    }

    pub(super) fn raw_receipts(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 0)?;
        let receipts: Vec<Bytes> = block
            .receipts
            .iter()
            .map(|receipt| receipt.encoded_2718().into())
            .collect();
        json(receipts)
    }

    pub(super) fn raw_transaction(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let hash = params.required(0)?;
        let transaction = match self.chain.transaction(&hash) {
            Some((block, index)) => block.transactions.get(index).cloned(),
            None => self.chain.waiting(&hash),
        };
        json(transaction.map(|transaction| Bytes::from(transaction.encoded_2718())))
    }

    pub(super) fn execution_witness(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let block = self.block_param(params, 0)?;
        json(self.chain.execution_witness(&block)?)
    }
}
