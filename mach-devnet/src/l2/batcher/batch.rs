//! Blocks as batches.

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::{Encodable2718, Typed2718};
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::{Encodable, Header as RlpHeader};

/// What of a block is posted.
#[derive(Clone, Debug)]
pub(super) struct BatchBlock {
    pub(super) parent: B256,
    pub(super) timestamp: u64,
    /// Number and hash of its L1 block.
    pub(super) origin: (u64, B256),
    /// Whether it is the first block of its L1 block.
    pub(super) is_first: bool,
    /// Signed transactions.
    pub(super) transactions: Vec<TxEnvelope>,
}

/// One block: version 0, then `[parent hash, epoch number, epoch hash, timestamp, transactions]`.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#batch-format>.
pub(super) fn singular(block: &BatchBlock) -> Vec<u8> {
    let transactions: Vec<Bytes> = (block.transactions.iter())
        .map(|transaction| transaction.encoded_2718().into())
        .collect();
    let mut fields = Vec::new();
    block.parent.encode(&mut fields);
    block.origin.0.encode(&mut fields);
    block.origin.1.encode(&mut fields);
    block.timestamp.encode(&mut fields);
    transactions.encode(&mut fields);
    let mut batch = vec![0];
    list(&fields, &mut batch);
    batch
}

/// A run of blocks: version 1, then prefix and payload. Empty if there are no blocks.
///
/// Source: <https://specs.optimism.io/protocol/delta/span-batches.html#span-batch-format>.
pub(super) fn span(blocks: &[BatchBlock], genesis_timestamp: u64) -> Vec<u8> {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
        return Vec::new();
    };
    let mut batch = vec![1];
    varint(
        first.timestamp.saturating_sub(genesis_timestamp),
        &mut batch,
    );
    varint(last.origin.0, &mut batch);
    batch.extend(first.parent.iter().take(20));
    batch.extend(last.origin.1.iter().take(20));
    varint(blocks.len() as u64, &mut batch);
    bits(blocks.iter().map(|block| block.is_first), &mut batch);
    for block in blocks {
        varint(block.transactions.len() as u64, &mut batch);
    }
    let all: Vec<&TxEnvelope> = blocks
        .iter()
        .flat_map(|block| &block.transactions)
        .collect();
    transactions(&all, &mut batch);
    batch
}

fn transactions(all: &[&TxEnvelope], out: &mut Vec<u8>) {
    let each = || all.iter().copied();
    bits(each().map(TxEnvelope::is_create), out);
    bits(each().map(|one| one.signature().v()), out);
    for signature in each().map(TxEnvelope::signature) {
        out.extend(signature.r().to_be_bytes::<32>());
        out.extend(signature.s().to_be_bytes::<32>());
    }
    for receiver in each().filter_map(TxEnvelope::to) {
        out.extend(receiver);
    }
    for transaction in each() {
        data(transaction, out);
    }
    for transaction in each() {
        varint(transaction.nonce(), out);
    }
    for transaction in each() {
        varint(transaction.gas_limit(), out);
    }
    let legacy = each().filter(|one| one.is_legacy());
    bits(legacy.map(|one| one.chain_id().is_some()), out);
}

/// Fields of variable length, behind the type.
fn data(transaction: &TxEnvelope, out: &mut Vec<u8>) {
    let mut fields = Vec::new();
    let value: U256 = transaction.value();
    value.encode(&mut fields);
    match transaction.gas_price() {
        Some(price) => price.encode(&mut fields),
        None => {
            let tip = transaction.max_priority_fee_per_gas().unwrap_or_default();
            tip.encode(&mut fields);
            transaction.max_fee_per_gas().encode(&mut fields);
        }
    }
    transaction.input().encode(&mut fields);
    if let Some(access_list) = transaction.access_list() {
        access_list.encode(&mut fields);
    }
    if let Some(authorizations) = transaction.authorization_list() {
        authorizations.to_vec().encode(&mut fields);
    }
    if !transaction.is_legacy() {
        out.push(transaction.ty());
    }
    list(&fields, out);
}

fn list(fields: &[u8], out: &mut Vec<u8>) {
    RlpHeader {
        list: true,
        payload_length: fields.len(),
    }
    .encode(out);
    out.extend(fields);
}

/// Base-128, lowest group first.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A big-endian number whose lowest bit is the first one.
fn bits(bits: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    for (index, bit) in bits.enumerate() {
        if index % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut() {
            *last |= u8::from(bit) << (index % 8);
        }
    }
    out.extend(bytes.iter().rev());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of <https://protobuf.dev/programming-guides/encoding/#varints>, and bits by hand.
    #[test]
    fn numbers_and_bits_are_packed_as_the_specification_says() {
        let encoded = |value| {
            let mut out = Vec::new();
            varint(value, &mut out);
            out
        };
        assert_eq!(encoded(1), [1]);
        assert_eq!(encoded(150), [0x96, 0x01]);
        let mut out = Vec::new();
        let nine = [true, false, false, true, false, false, false, false, true];
        bits(nine.into_iter(), &mut out);
        assert_eq!(out, [0b1, 0b1001]);
    }
}
