//! Receipts and logs as the RPC shows them.

use alloy_consensus::{
    Header, Transaction,
    transaction::{Recovered, TxHashRef},
};
use alloy_primitives::{Log, Sealed};
use alloy_rpc_types_eth::{Log as RpcLog, TransactionReceipt};

use super::role::Rules;

/// A receipt with what the RPC shows beside it.
#[derive(Debug)]
pub(crate) struct ReceiptContext<'a, R: Rules> {
    /// Header of the block.
    pub(crate) header: &'a Sealed<Header>,
    /// The transaction of the receipt.
    pub(crate) transaction: &'a Recovered<R::Transaction>,
    /// The receipt.
    pub(crate) receipt: &'a R::Receipt,
    /// Position of the transaction in its block.
    pub(crate) index: u64,
    /// Gas of this transaction alone.
    pub(crate) gas_used: u64,
    /// Position of the transaction's first log in the block.
    pub(crate) first_log: u64,
}

impl<R: Rules> ReceiptContext<'_, R> {
    /// Adds its place in the chain to each log in turn.
    pub(crate) fn rpc_log(&self) -> impl FnMut(Log) -> RpcLog + use<R> {
        let place = RpcLog {
            inner: Log::default(),
            block_hash: Some(self.header.seal()),
            block_number: Some(self.header.number),
            block_timestamp: Some(self.header.timestamp),
            transaction_hash: Some(*self.transaction.tx_hash()),
            transaction_index: Some(self.index),
            log_index: None,
            removed: false,
        };
        let mut next = self.first_log;
        move |inner| {
            let log = RpcLog {
                inner,
                log_index: Some(next),
                ..place.clone()
            };
            next += 1;
            log
        }
    }

    /// The receipt around `inner`, without blob fields.
    pub(crate) fn rpc_receipt<T>(&self, inner: T) -> TransactionReceipt<T> {
        let transaction = self.transaction;
        TransactionReceipt {
            inner,
            transaction_hash: *transaction.tx_hash(),
            transaction_index: Some(self.index),
            block_hash: Some(self.header.seal()),
            block_number: Some(self.header.number),
            gas_used: self.gas_used,
            effective_gas_price: transaction.effective_gas_price(self.header.base_fee_per_gas),
            blob_gas_used: None,
            blob_gas_price: None,
            from: transaction.signer(),
            to: transaction.to(),
            contract_address: transaction
                .is_create()
                .then(|| transaction.signer().create(transaction.nonce())),
        }
    }
}
