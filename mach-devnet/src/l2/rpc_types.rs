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

use super::{Epoch, Optimism, OptimismFork};
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
    epoch: Option<&Epoch>,
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
        l1_block_info: epoch
            .map(|epoch| l1_block_info(&encoded, fork, epoch))
            .unwrap_or_default(),
        op_gas_refund: None,
        inner,
    }
}

/// What the data of a transaction costs on L1.
fn l1_block_info(encoded: &[u8], fork: OptimismFork, epoch: &Epoch) -> L1BlockInfo {
    let Epoch { origin, config, .. } = epoch;
    let spec = execution_spec(fork);
    let since = |first| fork >= first;
    let (base_fee_scalar, blob_base_fee_scalar) = config.ecotone_scalars();
    let mut costs = L1Costs {
        l1_base_fee: U256::from(origin.base_fee),
        ..Default::default()
    };
    if since(OptimismFork::Ecotone) {
        costs.l1_base_fee_scalar = U256::from(base_fee_scalar);
        costs.l1_blob_base_fee = Some(U256::from(origin.blob_base_fee));
        costs.l1_blob_base_fee_scalar = Some(U256::from(blob_base_fee_scalar));
    } else {
        costs.l1_base_fee_scalar = config.scalar;
        costs.l1_fee_overhead = Some(config.overhead);
    }
    let l1_fee = costs.calculate_tx_l1_cost(encoded, spec);
    // The estimated size in bytes at 16 gas each, as op-geth shows it since Fjord.
    let l1_gas_used = costs.data_gas(encoded, spec);
    let ecotone = |value: u128| since(OptimismFork::Ecotone).then_some(value);
    let isthmus = |value: u128| since(OptimismFork::Isthmus).then_some(value);
    L1BlockInfo {
        l1_gas_price: Some(origin.base_fee.into()),
        l1_gas_used: Some(l1_gas_used.saturating_to()),
        l1_fee: Some(l1_fee.saturating_to()),
        l1_fee_scalar: (!since(OptimismFork::Ecotone))
            .then(|| config.scalar.saturating_to::<u64>() as f64 / 1e6),
        l1_base_fee_scalar: ecotone(base_fee_scalar.into()),
        l1_blob_base_fee: ecotone(origin.blob_base_fee),
        l1_blob_base_fee_scalar: ecotone(blob_base_fee_scalar.into()),
        operator_fee_scalar: isthmus(config.operator_fee_scalar.into()),
        operator_fee_constant: isthmus(config.operator_fee_constant.into()),
        da_footprint_gas_scalar: since(OptimismFork::Jovian).then(|| config.da_footprint()),
    }
}

/// The rules of fees, as op-revm numbers them.
const fn execution_spec(fork: OptimismFork) -> OpSpecId {
    match fork {
        OptimismFork::Bedrock => OpSpecId::BEDROCK,
        OptimismFork::Regolith => OpSpecId::REGOLITH,
        OptimismFork::Canyon | OptimismFork::Delta => OpSpecId::CANYON,
        OptimismFork::Ecotone => OpSpecId::ECOTONE,
        OptimismFork::Fjord => OpSpecId::FJORD,
        OptimismFork::Granite => OpSpecId::GRANITE,
        OptimismFork::Holocene => OpSpecId::HOLOCENE,
        OptimismFork::Isthmus => OpSpecId::ISTHMUS,
        OptimismFork::Jovian => OpSpecId::JOVIAN,
    }
}
