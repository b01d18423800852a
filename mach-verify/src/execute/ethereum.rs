//! Blocks of Ethereum itself.

use alloy_consensus::{
    Eip658Value, EthereumTxEnvelope, Header, ReceiptEnvelope, Transaction as _, TxEip4844,
    TxEnvelope, Typed2718,
};
use alloy_eips::eip7685::Requests;
use alloy_evm::{
    EthEvmFactory, Evm, EvmEnv, EvmFactory,
    block::{BlockExecutionError, BlockExecutor, calc},
    eth::{EthBlockExecutionCtx, EthBlockExecutor, dao_fork, eip6110},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, U256};
use mach_core::L2Block;

use super::{
    Decoded, Execution, Overlay, State, Stop, check_gas, commit, failed, invalid,
    overlay::NoAnswer,
    receipts::{self, Receipts},
    stopped,
};
use crate::{ChainSpec, phases::Phase};

/// Generations that an ommer may lie back.
const MAX_OMMER_DEPTH: u64 = 6;
/// Most ommers of a block.
const MAX_OMMERS: usize = 2;

/// What blocks hold: blob transactions without their blobs.
pub(super) type Transaction = EthereumTxEnvelope<TxEip4844>;

pub(super) fn execute<S: State>(
    spec: &ChainSpec,
    block: &L2Block,
    decoded: Vec<Decoded<Transaction>>,
    overlay: &mut Overlay<S>,
) -> Result<Execution, Stop<S::Error>> {
    let header = block.header.inner();
    let number = header.number;
    let time = header.timestamp;
    check_ommers(spec, block).map_err(|reason| Stop::Body("ommers", reason.into()))?;

    if let Err(error) = drain_dao(spec, number, overlay) {
        return Err(failed(overlay, error));
    }

    let blob_params = spec.blob_params(time);
    let env = EvmEnv::for_eth_block(header, spec, spec.chain_id(), blob_params);
    let context = EthBlockExecutionCtx {
        parent_hash: header.parent_hash,
        parent_beacon_block_root: header.parent_beacon_block_root,
        ommers: &block.ommers,
        withdrawals: None,
        extra_data: header.extra_data.clone(),
        tx_count_hint: Some(block.transactions.len()),
        slot_number: None,
    };
    let watch = overlay.watch().clone();
    let evm = EthEvmFactory::default().create_evm(&mut *overlay, env);
    let mut executor = EthBlockExecutor::new(evm, context, spec, Receipts);
    if let Err(error) = executor.apply_pre_execution_changes() {
        return Err(failed(executor.evm.db_mut(), error));
    }

    let is_byzantium = spec.is_byzantium_active_at_block(number);
    let most_blob_gas = blob_params.map_or(0, |params| params.max_blob_gas_per_block());
    for (index, decoded) in decoded.into_iter().enumerate() {
        let transaction = match decoded {
            Ok(transaction) => transaction.map(TxEnvelope::from),
            Err(error) => return Err(invalid(block, index, error)),
        };
        if transaction.is_legacy()
            && transaction.chain_id().is_some()
            && !spec.is_spurious_dragon_active_at_block(number)
        {
            return Err(invalid(block, index, "signed for a chain before EIP-155"));
        }
        let used = executor.cumulative_tx_gas_used;
        check_gas(block, index, used, transaction.gas_limit(), false)?;
        let outcome = executor
            .execute_transaction_without_commit(&transaction)
            .and_then(|result| executor.commit_transaction(result));
        if let Err(error) = outcome {
            return Err(stopped(executor.evm.db_mut(), block, index, error));
        }
        if executor.blob_gas_used > most_blob_gas {
            return Err(invalid(block, index, "more blobs than a block may have"));
        }
        // Before EIP-658 a receipt holds the state root after its transaction.
        if !is_byzantium {
            let root = commit(executor.evm.db_mut())?;
            if let Some(receipt) = executor.receipts.last_mut() {
                set_post_state(receipt, root);
            }
        }
    }

    let requests_hash = requests_hash(spec, time, &mut executor)?;
    let EthBlockExecutor {
        evm,
        receipts: mut list,
        cumulative_tx_gas_used: gas_used,
        blob_gas_used,
        ..
    } = executor;
    drop(evm);
    if let Err(error) = pay(spec, block, overlay) {
        return Err(failed(overlay, error));
    }
    let state_root = commit(overlay)?;
    let (receipts_root, logs_bloom) = watch.during(Phase::Roots, || receipts::roots(&mut list));
    Ok(Execution {
        state_root,
        receipts_root,
        logs_bloom,
        gas_used,
        withdrawals_root: None,
        blob_gas_used: blob_params.map(|_| blob_gas_used),
        requests_hash,
        message_passer_root: None,
    })
}

/// What rewards need; the ancestry of ommers and their seals are not checked.
fn check_ommers(spec: &ChainSpec, block: &L2Block) -> Result<(), &'static str> {
    if block.ommers.len() > MAX_OMMERS {
        return Err("more than two ommers");
    }
    let number = block.number();
    if !block.ommers.is_empty() && spec.is_paris_active_at_block(number) {
        return Err("a block after the merge has none");
    }
    let oldest = number.saturating_sub(MAX_OMMER_DEPTH);
    if !(block.ommers.iter()).all(|ommer| (oldest..number).contains(&ommer.number)) {
        return Err("an ommer is not of the six generations before the block");
    }
    Ok(())
}

/// The irregular change of block 1,920,000, before its transactions (EIP-779).
fn drain_dao<S: State>(
    spec: &ChainSpec,
    number: u64,
    overlay: &mut Overlay<S>,
) -> Result<(), NoAnswer> {
    if spec.dao_block() != Some(number) {
        return Ok(());
    }
    let mut drained = U256::ZERO;
    for account in dao_fork::DAO_HARDFORK_ACCOUNTS {
        drained = drained.saturating_add(overlay.drain_balance(account)?);
    }
    overlay.increase_balance(dao_fork::DAO_HARDFORK_BENEFICIARY, drained)
}

/// Rewards for the block and its ommers, and withdrawals.
fn pay<S: State>(
    spec: &ChainSpec,
    block: &L2Block,
    overlay: &mut Overlay<S>,
) -> Result<(), NoAnswer> {
    let header: &Header = block.header.inner();
    if let Some(reward) = calc::base_block_reward(spec, header.number) {
        for ommer in &block.ommers {
            let share = calc::ommer_reward(reward, header.number, ommer.number);
            overlay.increase_balance(ommer.beneficiary, U256::from(share))?;
        }
        let whole = calc::block_reward(reward, block.ommers.len());
        overlay.increase_balance(header.beneficiary, U256::from(whole))?;
    }
    if spec.is_shanghai_active_at_timestamp(header.timestamp) {
        for withdrawal in block.withdrawals.iter().flat_map(|list| list.iter()) {
            overlay.increase_balance(withdrawal.address, withdrawal.amount_wei())?;
        }
    }
    Ok(())
}

/// Hash of the deposits, withdrawals and consolidations that the block requests (EIP-7685).
///
/// `None` before Prague, and where a system contract is absent, fails or logs nonsense: no header
/// is valid then.
fn requests_hash<'a, 's, S: State + 's, E>(
    spec: &ChainSpec,
    time: u64,
    executor: &mut EthBlockExecutor<'a, E, &ChainSpec, Receipts>,
) -> Result<Option<B256>, Stop<S::Error>>
where
    E: Evm<DB = &'s mut Overlay<S>>,
{
    if !spec.is_prague_active_at_timestamp(time) {
        return Ok(None);
    }
    let mut requests = Requests::default();
    match eip6110::parse_deposits_from_receipts(spec, &executor.receipts) {
        Ok(deposits) if deposits.is_empty() => {}
        Ok(deposits) => requests.push_request_with_type(eip6110::DEPOSIT_REQUEST_TYPE, deposits),
        Err(_) => return Ok(None),
    }
    let outcome = executor
        .system_caller
        .append_post_execution_changes(&mut executor.evm, &mut requests);
    match outcome {
        Ok(()) => Ok(Some(requests.requests_hash())),
        Err(error) => match (executor.evm.db_mut().take_error(), error) {
            (Some(error), _) => Err(Stop::State(error)),
            (None, BlockExecutionError::Validation(_)) => Ok(None),
            (None, error) => Err(Stop::Evm(Box::new(error))),
        },
    }
}

const fn set_post_state(receipt: &mut ReceiptEnvelope, root: B256) {
    // Typed transactions are younger than EIP-658.
    if let ReceiptEnvelope::Legacy(receipt) = receipt {
        receipt.receipt.status = Eip658Value::PostState(root);
    }
}
