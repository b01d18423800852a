//! Blocks of the OP Stack.

use alloy_consensus::{Transaction, transaction::Recovered};
use alloy_eips::eip2718::WithEncoded;
use alloy_evm::{Evm, EvmFactory, block::BlockExecutor, precompiles::PrecompilesMap};
use alloy_hardforks::EthereumHardforks;
use alloy_op_evm::{OpBlockExecutionCtx, OpBlockExecutor, OpEvmFactory, OpTx};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, address};
use mach_core::L2Block;
use op_alloy_consensus::{OpReceiptEnvelope, OpTxEnvelope};
use op_revm::constants::OPERATOR_FEE_RECIPIENT;

use super::{
    Decoded, Execution, Overlay, State, Stop, check_gas, commit, failed, invalid, machine,
    receipts::{self, Receipts},
    stopped, vault,
};
use crate::{ChainSpec, Unsupported, phases::Phase};

/// Predeploy whose storage holds the withdrawals to L1.
pub(crate) const MESSAGE_PASSER: Address = address!("0x4200000000000000000000000000000000000016");

/// EIP-2718 types that the OP Stack knows.
const DEPOSIT: u8 = 0x7e;
const KNOWN_TYPES: [u8; 4] = [0x01, 0x02, 0x04, DEPOSIT];
/// A first byte from here on starts the list of a legacy transaction.
const FIRST_LIST_BYTE: u8 = 0xc0;

pub(super) fn execute<S: State>(
    spec: &ChainSpec,
    block: &L2Block,
    decoded: Vec<Decoded<OpTxEnvelope>>,
    overlay: &mut Overlay<S>,
) -> Result<Execution, Stop<S::Error>> {
    let header = block.header.inner();
    let time = header.timestamp;
    if block
        .withdrawals
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(Stop::Body("withdrawals", "a rollup block has none".into()));
    }
    if !block.ommers.is_empty() {
        return Err(Stop::Body("ommers", "a rollup block has none".into()));
    }

    let env = machine::environment(spec, block);
    let mut evm = OpEvmFactory::<OpTx>::default().create_evm(overlay, env);
    if spec.is_karst_active_at_timestamp(time) {
        *evm.precompiles_mut() = PrecompilesMap::from_static(machine::karst_precompiles());
    }
    let is_isthmus = spec.is_isthmus_active_at_timestamp(time);
    if !is_isthmus {
        evm.db_mut()
            .assume_absent(OPERATOR_FEE_RECIPIENT, S::is_missing_node);
        evm = vault::notice_reads(evm);
    }
    let watch = evm.db_mut().watch().clone();
    let context = OpBlockExecutionCtx {
        parent_hash: header.parent_hash,
        parent_beacon_block_root: header.parent_beacon_block_root,
        extra_data: header.extra_data.clone(),
    };
    let mut executor = OpBlockExecutor::new(evm, context, spec, Receipts);
    if let Err(error) = executor.apply_pre_execution_changes() {
        return Err(failed(executor.evm.db_mut(), error));
    }
    for (index, (bytes, decoded)) in block.transactions.iter().zip(decoded).enumerate() {
        check_type(spec, block, index)?;
        let transaction: Recovered<OpTxEnvelope> = match decoded {
            Ok(transaction) => transaction,
            Err(error) => return Err(invalid(block, index, error)),
        };
        // Before Regolith a deposit takes from the block's gas too (op-geth, `GasPool`), but for
        // one of the system: the attributes of L1, which come first (deposits specification).
        let is_of_system = matches!(transaction.inner(), OpTxEnvelope::Deposit(deposit)
            if !executor.is_regolith && deposit.is_system_transaction);
        if is_of_system && index > 0 {
            let reason = format!("number {index} is of the system, and not the first");
            return Err(Stop::Body("transactions", reason.into()));
        }
        if let OpTxEnvelope::Deposit(deposit) = transaction.inner()
            && !executor.is_regolith
            && !is_of_system
            && deposit.gas_limit > header.gas_limit.saturating_sub(executor.gas_used)
        {
            return Err(invalid(block, index, "more gas than the block has left"));
        }
        check_gas(
            block,
            index,
            executor.gas_used,
            transaction.gas_limit(),
            is_of_system,
        )?;
        if [Some(transaction.signer()), transaction.to()].contains(&Some(OPERATOR_FEE_RECIPIENT)) {
            executor.evm.db_mut().rely_on_absent();
        }
        let encoded = WithEncoded::new(bytes.clone(), transaction);
        let outcome = executor
            .execute_transaction_without_commit(encoded)
            .and_then(|result| executor.commit_transaction(result));
        if let Err(error) = outcome {
            return Err(stopped(executor.evm.db_mut(), block, index, error));
        }
        if let Some(error) = executor.evm.db_mut().take_error() {
            return Err(Stop::State(error));
        }
        // op-geth counts nothing where it fails either; op-revm counts its limit.
        if is_of_system && executor.gas_used > 0 {
            let reason = "the deposit of the system fails before Regolith";
            return Err(Stop::Body("transactions", reason.into()));
        }
    }

    let OpBlockExecutor {
        evm,
        receipts: mut list,
        gas_used,
        da_footprint_used,
        ..
    } = executor;
    let (overlay, _) = evm.finish();
    let state_root = commit(overlay)?;
    let message_passer_root = match overlay.state_mut().storage_root(MESSAGE_PASSER) {
        Ok(root) => Some(root),
        // Before Isthmus nothing makes a witness hold it.
        Err(error) if !is_isthmus && S::is_missing_node(&error) => None,
        Err(error) => return Err(Stop::State(error)),
    };
    if !spec.is_canyon_active_at_timestamp(time) {
        forget_deposit_nonces(&mut list);
    }
    let (receipts_root, logs_bloom) = watch.during(Phase::Roots, || receipts::roots(&mut list));
    let blob_gas_used = spec
        .is_cancun_active_at_timestamp(time)
        .then_some(da_footprint_used);
    Ok(Execution {
        state_root,
        receipts_root,
        logs_bloom,
        gas_used,
        withdrawals_root: message_passer_root.filter(|_| is_isthmus),
        blob_gas_used,
        requests_hash: header.requests_hash,
        message_passer_root,
    })
}

/// A type of another stack is a fault; a type that an extension may have added is not known.
fn check_type<E>(spec: &ChainSpec, block: &L2Block, index: usize) -> Result<(), Stop<E>> {
    let kind = (block.transactions.get(index)).and_then(|bytes| bytes.first().copied());
    match kind {
        Some(kind) if kind >= FIRST_LIST_BYTE || KNOWN_TYPES.contains(&kind) => Ok(()),
        Some(kind) if spec.extensions().is_some() => {
            Err(Stop::Unsupported(Unsupported::TransactionType {
                index: index as u64,
                kind,
            }))
        }
        Some(kind) => Err(invalid(
            block,
            index,
            format_args!("type {kind:#04x} does not exist on this chain"),
        )),
        None => Err(invalid(block, index, "empty")),
    }
}

/// From Regolith until Canyon receipts know the nonce of a deposit, and their root does not.
fn forget_deposit_nonces(receipts: &mut [OpReceiptEnvelope]) {
    for receipt in receipts {
        if let OpReceiptEnvelope::Deposit(deposit) = receipt {
            deposit.receipt.deposit_nonce = None;
        }
    }
}
