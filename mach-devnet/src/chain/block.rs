//! A block of the chain, with its receipts.

use alloy_consensus::{
    Header, TxReceipt,
    transaction::{Recovered, TransactionInfo, TxHashRef},
};
use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawals};
use alloy_primitives::{B256, Bytes, ChainId, Sealed};
use alloy_rpc_types_eth::Log as RpcLog;
use mach_core::L2Block;

use super::{receipt::ReceiptContext, role::Rules};

/// A block as it is published. The receipts belong to the transactions of the body, one to one.
#[derive(Debug)]
pub(crate) struct Block<R: Rules> {
    pub(crate) header: Sealed<Header>,
    pub(crate) transactions: Vec<Recovered<R::Transaction>>,
    pub(crate) receipts: Vec<R::Receipt>,
}

impl<R: Rules> Clone for Block<R> {
    fn clone(&self) -> Self {
        Self {
            header: self.header.clone(),
            transactions: self.transactions.clone(),
            receipts: self.receipts.clone(),
        }
    }
}

impl<R: Rules> Block<R> {
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    pub(crate) const fn hash(&self) -> B256 {
        self.header.seal()
    }

    /// The block without receipts, in the form that verifiers read.
    pub(crate) fn to_l2_block(&self, chain_id: ChainId) -> L2Block {
        let transactions: Vec<Bytes> = self
            .transactions
            .iter()
            .map(|transaction| transaction.encoded_2718().into())
            .collect();
        L2Block::new(chain_id, self.header.inner().clone(), transactions)
            .with_withdrawals(self.withdrawals())
    }

    /// No block has withdrawals, but since Shanghai each says so.
    pub(crate) fn withdrawals(&self) -> Option<Withdrawals> {
        self.header.withdrawals_root.map(|_| Withdrawals::default())
    }

    /// Each receipt with its place in the block.
    pub(crate) fn receipt_contexts(&self) -> impl Iterator<Item = ReceiptContext<'_, R>> {
        let mut gas_before = 0;
        let mut first_log = 0;
        self.transactions.iter().zip(&self.receipts).zip(0..).map(
            move |((transaction, receipt), index)| {
                let cumulative = receipt.cumulative_gas_used();
                let context = ReceiptContext {
                    header: &self.header,
                    transaction,
                    receipt,
                    index,
                    gas_used: cumulative - gas_before,
                    first_log,
                };
                gas_before = cumulative;
                first_log += receipt.logs().len() as u64;
                context
            },
        )
    }

    /// All logs with their places.
    pub(crate) fn rpc_logs(&self) -> impl Iterator<Item = RpcLog> {
        self.receipt_contexts().flat_map(|context| {
            context
                .receipt
                .logs()
                .iter()
                .cloned()
                .map(context.rpc_log())
                .collect::<Vec<_>>()
        })
    }

    /// What the RPC says of the place of a transaction.
    pub(crate) fn transaction_info(&self, context: &ReceiptContext<'_, R>) -> TransactionInfo {
        TransactionInfo {
            hash: Some(*context.transaction.tx_hash()),
            index: Some(context.index),
            block_hash: Some(self.hash()),
            block_number: Some(self.number()),
            base_fee: self.header.base_fee_per_gas,
            block_timestamp: Some(self.header.timestamp),
        }
    }
}
