//! Transactions and receipts of a rollup as its RPC shows them.

use alloy_consensus::{
    ReceiptWithBloom, TxReceipt,
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::U256;
use op_alloy_consensus::{
    OpReceipt, OpReceiptEnvelope, OpTxEnvelope,
    transaction::{OpDepositInfo, OpTransactionInfo},
};
use op_alloy_rpc_types::{L1BlockInfo, OpTransactionReceipt, Transaction};
use op_revm::{OpSpecId, l1block::L1BlockInfo as L1Costs};

use super::{FeeConfig, L1Origin, Optimism, OptimismFork};
use crate::chain::ReceiptContext;

pub(super) fn transaction(
    transaction: Recovered<OpTxEnvelope>,
    receipt: &OpReceiptEnvelope,
    info: TransactionInfo,
) -> Transaction {
    let deposit = OpDepositInfo {
        deposit_nonce: receipt.deposit_nonce(),
        deposit_receipt_version: receipt.deposit_receipt_version(),
    };
    Transaction::from_transaction(transaction, OpTransactionInfo::new(info, deposit))
}

pub(super) fn receipt(
    context: ReceiptContext<'_, Optimism>,
    fork: OptimismFork,
    fees: &FeeConfig,
    origin: &L1Origin,
) -> OpTransactionReceipt {
    let bloom = context.receipt.bloom();
    let deposit_nonce = context.receipt.deposit_nonce();
    let receipt = OpReceipt::from(context.receipt.clone()).map_logs(context.rpc_log());
    let mut inner = context.rpc_receipt(ReceiptWithBloom::new(receipt, bloom));
    if inner.contract_address.is_some()
        && let Some(nonce) = deposit_nonce
    {
        inner.contract_address = Some(inner.from.create(nonce));
    }
    let encoded = context.transaction.encoded_2718();
    OpTransactionReceipt {
        l1_block_info: l1_block_info(&encoded, fork, fees, origin),
        op_gas_refund: None,
        inner,
    }
}

/// What the data of a transaction costs on L1.
fn l1_block_info(
    encoded: &[u8],
    fork: OptimismFork,
    fees: &FeeConfig,
    origin: &L1Origin,
) -> L1BlockInfo {
    let mut costs = L1Costs {
        l1_base_fee: U256::from(origin.base_fee),
        l1_base_fee_scalar: U256::from(fees.base_fee_scalar),
        l1_blob_base_fee: Some(U256::from(origin.blob_base_fee)),
        l1_blob_base_fee_scalar: Some(U256::from(fees.blob_base_fee_scalar)),
        ..Default::default()
    };
    let l1_fee = costs.calculate_tx_l1_cost(encoded, OpSpecId::ISTHMUS);
    // The estimated size in bytes at 16 gas each, as op-geth shows it since Fjord.
    let l1_gas_used = costs.data_gas(encoded, OpSpecId::ISTHMUS);
    L1BlockInfo {
        l1_gas_price: Some(origin.base_fee.into()),
        l1_gas_used: Some(l1_gas_used.saturating_to()),
        l1_fee: Some(l1_fee.saturating_to()),
        l1_fee_scalar: None,
        l1_base_fee_scalar: Some(fees.base_fee_scalar.into()),
        l1_blob_base_fee: Some(origin.blob_base_fee),
        l1_blob_base_fee_scalar: Some(fees.blob_base_fee_scalar.into()),
        operator_fee_scalar: Some(fees.operator_fee_scalar.into()),
        operator_fee_constant: Some(fees.operator_fee_constant.into()),
        da_footprint_gas_scalar: (fork >= OptimismFork::Jovian)
            .then_some(fees.da_footprint_gas_scalar),
    }
}
