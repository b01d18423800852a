//! What the header must hold before anything is executed.

mod base_fee;
mod difficulty;

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header,
    constants::EMPTY_WITHDRAWALS,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_hardforks::EthereumHardforks;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::BufMut;
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_core::{Fault, L2Block, Mismatch};

use crate::ChainSpec;

/// Most bytes of `extraData` that are not bound to a form.
const MAX_EXTRA_DATA: usize = 32;
/// Least gas limit of an Ethereum block.
const MIN_GAS_LIMIT: u64 = 5000;
/// Greatest gas limit of any block.
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
/// Share of the parent's gas limit by which a child's may differ.
const GAS_LIMIT_DIVISOR: u64 = 1024;
/// `extraData` of the ten blocks from the DAO fork on.
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
/// Version byte and length of `extraData` from Holocene and from Jovian.
///
/// Source: <https://specs.optimism.io/protocol/holocene/exec-engine.html#encoding>,
/// <https://specs.optimism.io/protocol/jovian/exec-engine.html#minimum-base-fee-in-block-header>
const HOLOCENE_EXTRA_DATA: (u8, usize) = (0, 9);
const JOVIAN_EXTRA_DATA: (u8, usize) = (1, 17);

/// Checks in header order what body, fork and parent demand. Without the parent, what depends on
/// it stays unchecked.
///
/// `Err` is the first broken rule.
pub(crate) fn check(
    spec: &ChainSpec,
    block: &L2Block,
    parent: Option<&Header>,
) -> Result<(), Fault> {
    let header = block.header.inner();
    // The height that the block must have decides on its forks, not the one that it claims.
    let number = parent.map_or(header.number, |parent| parent.number.saturating_add(1));
    let merged = spec.is_paris_active_at_block(number);

    ommers_hash(block, merged)?;
    same(
        header.transactions_root,
        transactions_root(&block.transactions),
        Fault::TransactionsRoot,
    )?;
    difficulty(spec, header, parent, merged)?;
    same(header.number, number, Fault::Number)?;
    gas_limit(spec, header, parent)?;
    if let Some(parent) = parent {
        let least = parent.timestamp.saturating_add(1);
        same(
            header.timestamp,
            header.timestamp.max(least),
            Fault::Timestamp,
        )?;
    }
    extra_data(spec, header)?;
    if merged {
        same(u64::from(header.nonce), 0, Fault::Nonce)?;
    }
    base_fee(spec, header, parent)?;
    withdrawals_root(spec, block)?;
    blob_gas(spec, header, parent)?;
    parent_beacon_block_root(spec, header)?;
    requests_hash(spec, header)
}

/// `Err` with the fault if the published value is not the computed one.
pub(crate) fn same<T: PartialEq>(
    claimed: T,
    computed: T,
    fault: impl FnOnce(Mismatch<T>) -> Fault,
) -> Result<(), Fault> {
    Mismatch::check(claimed, computed).map_or(Ok(()), |mismatch| Err(fault(mismatch)))
}

/// Root of the trie from RLP(index) to EIP-2718 bytes.
pub(crate) fn transactions_root(transactions: &[Bytes]) -> B256 {
    ordered_trie_root_with_encoder(transactions, |transaction, out| out.put_slice(transaction))
}

fn ommers_hash(block: &L2Block, merged: bool) -> Result<(), Fault> {
    let computed = if merged || block.ommers.is_empty() {
        EMPTY_OMMER_ROOT_HASH
    } else {
        calculate_ommers_root(&block.ommers)
    };
    same(block.header.ommers_hash, computed, Fault::OmmersHash)
}

fn difficulty(
    spec: &ChainSpec,
    header: &Header,
    parent: Option<&Header>,
    merged: bool,
) -> Result<(), Fault> {
    if merged {
        return same(header.difficulty, U256::ZERO, Fault::Difficulty);
    }
    match parent {
        // The formula needs a timestamp that is permitted; if it is not, that is the fault.
        Some(parent) if header.timestamp > parent.timestamp => same(
            header.difficulty,
            difficulty::after(spec, parent, header.timestamp),
            Fault::Difficulty,
        ),
        _ => Ok(()),
    }
}

/// A rollup's sequencer sets the gas limit freely (op-geth, `VerifyEIP1559Header`).
fn gas_limit(spec: &ChainSpec, header: &Header, parent: Option<&Header>) -> Result<(), Fault> {
    let (least, most) = match parent {
        Some(parent) if !spec.is_optimism() => {
            let first_with_base_fee = spec.is_london_active_at_block(header.number)
                && !spec.is_london_active_at_block(parent.number);
            let elasticity = spec.base_fee_params(header.timestamp).elasticity_multiplier;
            let limit = if first_with_base_fee {
                let elasticity = u64::try_from(elasticity).unwrap_or(u64::MAX);
                parent.gas_limit.saturating_mul(elasticity)
            } else {
                parent.gas_limit
            };
            let bound = (limit / GAS_LIMIT_DIVISOR).saturating_sub(1);
            (
                limit.saturating_sub(bound).max(MIN_GAS_LIMIT),
                limit.saturating_add(bound).min(MAX_GAS_LIMIT),
            )
        }
        None if !spec.is_optimism() => (MIN_GAS_LIMIT, MAX_GAS_LIMIT),
        _ => (0, MAX_GAS_LIMIT),
    };
    let nearest = header.gas_limit.min(most).max(least);
    same(header.gas_limit, nearest, Fault::GasLimit)
}

fn extra_data(spec: &ChainSpec, header: &Header) -> Result<(), Fault> {
    let time = header.timestamp;
    let form = if spec.is_optimism() && spec.is_jovian_active_at_timestamp(time) {
        Some(JOVIAN_EXTRA_DATA)
    } else if spec.is_optimism() && spec.is_holocene_active_at_timestamp(time) {
        Some(HOLOCENE_EXTRA_DATA)
    } else {
        None
    };
    let extra = &header.extra_data;
    let computed = match (form, spec.dao_block()) {
        (Some((version, length)), _) => {
            let denominator = extra.get(1..5).unwrap_or_default();
            if extra.len() == length
                && extra.first() == Some(&version)
                && denominator.iter().any(|byte| *byte != 0)
            {
                return Ok(());
            }
            default_extra_data(spec, time, version, length)
        }
        (None, Some(dao)) if (dao..dao.saturating_add(10)).contains(&header.number) => {
            Bytes::from_static(DAO_EXTRA_DATA)
        }
        (None, _) => extra.slice(..extra.len().min(MAX_EXTRA_DATA)),
    };
    same(extra.clone(), computed, Fault::ExtraData)
}

/// `extraData` with the fee parameters of the configuration and no minimum base fee.
fn default_extra_data(spec: &ChainSpec, time: u64, version: u8, length: usize) -> Bytes {
    let params = spec.base_fee_params(time);
    let word = |value: u128| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![version];
    bytes.extend_from_slice(&word(params.max_change_denominator));
    bytes.extend_from_slice(&word(params.elasticity_multiplier));
    bytes.resize(length, 0);
    bytes.into()
}

fn base_fee(spec: &ChainSpec, header: &Header, parent: Option<&Header>) -> Result<(), Fault> {
    let claimed = header.base_fee_per_gas;
    if !spec.is_london_active_at_block(header.number) {
        return same(claimed, None, Fault::BaseFee);
    }
    match parent {
        Some(parent) => same(
            claimed,
            Some(base_fee::after(spec, parent, header.timestamp)),
            Fault::BaseFee,
        ),
        None if claimed.is_none() => Err(Fault::BaseFee(Mismatch {
            claimed,
            computed: Some(spec.base_fee_floor()),
        })),
        None => Ok(()),
    }
}

/// From Isthmus the root comes from execution (`compare.rs`).
fn withdrawals_root(spec: &ChainSpec, block: &L2Block) -> Result<(), Fault> {
    let header = block.header.inner();
    let computed = if !spec.is_shanghai_active_at_timestamp(header.timestamp) {
        None
    } else if !spec.is_optimism() {
        let withdrawals = block.withdrawals.as_deref().map_or(&[][..], Vec::as_slice);
        Some(calculate_withdrawals_root(withdrawals))
    } else if spec.is_isthmus_active_at_timestamp(header.timestamp) {
        return Ok(());
    } else {
        Some(EMPTY_WITHDRAWALS)
    };
    same(header.withdrawals_root, computed, Fault::WithdrawalsRoot)
}

/// Where transactions decide on `blobGasUsed`, it is compared after execution.
fn blob_gas(spec: &ChainSpec, header: &Header, parent: Option<&Header>) -> Result<(), Fault> {
    let time = header.timestamp;
    if !spec.is_cancun_active_at_timestamp(time) {
        same(header.blob_gas_used, None, Fault::BlobGasUsed)?;
        return same(header.excess_blob_gas, None, Fault::ExcessBlobGas);
    }
    if spec.is_optimism() {
        if !spec.is_jovian_active_at_timestamp(time) {
            same(header.blob_gas_used, Some(0), Fault::BlobGasUsed)?;
        }
        return same(header.excess_blob_gas, Some(0), Fault::ExcessBlobGas);
    }
    match parent {
        Some(parent) => same(
            header.excess_blob_gas,
            Some(base_fee::excess_blob_gas_after(spec, parent, time)),
            Fault::ExcessBlobGas,
        ),
        None => same(
            header.excess_blob_gas,
            Some(header.excess_blob_gas.unwrap_or_default()),
            Fault::ExcessBlobGas,
        ),
    }
}

fn parent_beacon_block_root(spec: &ChainSpec, header: &Header) -> Result<(), Fault> {
    let claimed = header.parent_beacon_block_root;
    let computed = spec
        .is_cancun_active_at_timestamp(header.timestamp)
        .then(|| claimed.unwrap_or_default());
    same(claimed, computed, Fault::ParentBeaconBlockRoot)
}

/// On Ethereum the requests come from execution (`compare.rs`), where there may be no valid list of
/// them at all: that the hash is there has to be known before.
fn requests_hash(spec: &ChainSpec, header: &Header) -> Result<(), Fault> {
    let claimed = header.requests_hash;
    let computed = match spec.is_prague_active_at_timestamp(header.timestamp) {
        false => None,
        true if spec.is_optimism() => Some(EMPTY_REQUESTS_HASH),
        true => Some(claimed.unwrap_or(EMPTY_REQUESTS_HASH)),
    };
    same(claimed, computed, Fault::RequestsHash)
}
