//! Fee suggestions and history.

use alloy_consensus::Transaction;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U64;
use alloy_rpc_types_eth::FeeHistory;
use serde_json::Value;

use super::{Params, Rpc, RpcError, json, quantity};
use crate::chain::{Block, Role};

/// Tip that is always enough here, in wei.
pub(super) const SUGGESTED_TIP: u64 = 1_000_000;

/// Most blocks of one history, as in geth.
const MAX_HISTORY: u64 = 1024;

/// Most percentiles of one history.
const MAX_PERCENTILES: usize = 100;

impl<R: Role> Rpc<R> {
    pub(super) fn gas_price(&self) -> Result<Value, RpcError> {
        let next = self.next_fees(&self.chain.latest());
        quantity(next.base_fee.saturating_add(SUGGESTED_TIP.into()))
    }

    pub(super) fn blob_base_fee(&self) -> Result<Value, RpcError> {
        quantity(self.next_fees(&self.chain.latest()).blob_base_fee)
    }

    pub(super) fn fee_history(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let count = count(params)?.min(MAX_HISTORY);
        let newest: BlockNumberOrTag = params.required(1)?;
        let percentiles: Option<Vec<f64>> = params.optional(2)?;
        if percentiles
            .as_ref()
            .is_some_and(|list| !is_sorted_percentiles(list))
        {
            return Err(RpcError::params("invalid reward percentiles"));
        }
        let Some(newest) = self.chain.block(newest.into()) else {
            return Err(RpcError::server("request beyond head block"));
        };
        let count = count.min(newest.number() + 1);
        if count == 0 {
            return json(FeeHistory::default());
        }
        let oldest = newest.number() + 1 - count;
        let blocks: Vec<_> = (oldest..=newest.number())
            .filter_map(|number| self.chain.block(number.into()))
            .collect();
        let next = self.next_fees(&newest);
        let ratio = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let blob_limit = self.chain.role().blob_gas_limit();
        json(FeeHistory {
            oldest_block: oldest,
            base_fee_per_gas: blocks
                .iter()
                .map(|block| block.header.base_fee_per_gas.unwrap_or_default().into())
                .chain([next.base_fee])
                .collect(),
            gas_used_ratio: blocks
                .iter()
                .map(|block| ratio(block.header.gas_used, block.header.gas_limit))
                .collect(),
            base_fee_per_blob_gas: blocks
                .iter()
                .map(|block| self.chain.role().blob_base_fee(&block.header))
                .chain([next.blob_base_fee])
                .collect(),
            blob_gas_used_ratio: blocks
                .iter()
                .map(|block| match blob_limit {
                    Some(limit) => ratio(block.header.blob_gas_used.unwrap_or_default(), limit),
                    None => 0.0,
                })
                .collect(),
            reward: percentiles
                .map(|list| blocks.iter().map(|block| rewards(block, &list)).collect()),
        })
    }

    fn next_fees(&self, parent: &Block<R>) -> Fees {
        let role = self.chain.role();
        let next = role.plan(&parent.header, parent.header.timestamp + 1);
        Fees {
            base_fee: role.next_base_fee(&parent.header).into(),
            blob_base_fee: next.map_or(1, |next| role.blob_base_fee(&next.header)),
        }
    }
}

/// Fees of a block, in wei.
struct Fees {
    base_fee: u128,
    blob_base_fee: u128,
}

/// The block count, which clients write as a number or a quantity.
fn count(params: &Params<'_>) -> Result<u64, RpcError> {
    match params.required::<Value>(0)?.as_u64() {
        Some(count) => Ok(count),
        None => Ok(params.required::<U64>(0)?.to()),
    }
}

fn is_sorted_percentiles(list: &[f64]) -> bool {
    list.len() <= MAX_PERCENTILES
        && list.is_sorted()
        && list
            .iter()
            .all(|percentile| (0.0..=100.0).contains(percentile))
}

/// The tips that the given shares of the block's gas paid at most, in wei.
fn rewards<R: Role>(block: &Block<R>, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut tips: Vec<(u128, u64)> = block
        .receipt_contexts()
        .map(|context| {
            let tip = context
                .transaction
                .effective_tip_per_gas(base_fee)
                .unwrap_or_default();
            (tip, context.gas_used)
        })
        .collect();
    tips.sort_unstable();
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = block.header.gas_used as f64 * percentile / 100.0;
            let mut gas = 0;
            let reached = tips.iter().find(|(_, used)| {
                gas += used;
                gas as f64 >= threshold
            });
            reached.or(tips.last()).map_or(0, |(tip, _)| *tip)
        })
        .collect()
}
