//! What a batcher posts, written down from the specification.

use std::io::Write;

use alloy_consensus::TxEip1559;
use alloy_consensus::{SignableTransaction, Signed, TxEnvelope};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4844::Blob,
};
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use alloy_rlp::Encodable;
use flate2::{Compression, write::ZlibEncoder};

/// A transaction of a user, different for each number; its signature is anybody's.
pub(super) fn transaction(number: u64) -> Bytes {
    let transaction = TxEip1559 {
        chain_id: 901,
        nonce: number,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000 + u128::from(number),
        max_priority_fee_per_gas: 3,
        to: TxKind::Call([number as u8; 20].into()),
        value: U256::from(number),
        input: vec![number as u8; 3].into(),
        ..Default::default()
    };
    let signature = Signature::new(U256::from(number + 1), U256::from(7), number % 2 == 1);
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    envelope.encoded_2718().into()
}

/// One block of a span.
pub(super) struct Block {
    pub(super) parent_hash: B256,
    pub(super) epoch: (u64, B256),
    pub(super) timestamp: u64,
    pub(super) transactions: Vec<Bytes>,
}

pub(super) fn singular(block: &Block) -> Vec<u8> {
    let mut fields = Vec::new();
    block.parent_hash.encode(&mut fields);
    block.epoch.0.encode(&mut fields);
    block.epoch.1.encode(&mut fields);
    block.timestamp.encode(&mut fields);
    block.transactions.encode(&mut fields);
    let mut batch = vec![0];
    let header = alloy_rlp::Header {
        list: true,
        payload_length: fields.len(),
    };
    header.encode(&mut batch);
    batch.extend(fields);
    batch
}

/// A span of blocks, whose parent has the L1 origin `parent_epoch`.
pub(super) fn span(blocks: &[Block], parent_epoch: u64, genesis_timestamp: u64) -> Vec<u8> {
    span_of_type(2, blocks, parent_epoch, genesis_timestamp)
}

/// The same with this type byte before every transaction.
pub(super) fn span_of_type(
    kind: u8,
    blocks: &[Block],
    parent_epoch: u64,
    genesis_timestamp: u64,
) -> Vec<u8> {
    let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
    let mut batch = vec![1];
    varint(&mut batch, first.timestamp - genesis_timestamp);
    varint(&mut batch, last.epoch.0);
    batch.extend_from_slice(&first.parent_hash[..20]);
    batch.extend_from_slice(&last.epoch.1[..20]);
    varint(&mut batch, blocks.len() as u64);
    let mut previous = parent_epoch;
    let advances = blocks.iter().map(|block| {
        let advances = block.epoch.0 != previous;
        previous = block.epoch.0;
        advances
    });
    bits(&mut batch, &advances.collect::<Vec<_>>());
    for block in blocks {
        varint(&mut batch, block.transactions.len() as u64);
    }
    let transactions = blocks.iter().flat_map(|block| &block.transactions);
    let transactions: Vec<Signed<TxEip1559>> = transactions
        .map(
            |bytes| match TxEnvelope::decode_2718_exact(bytes).unwrap() {
                TxEnvelope::Eip1559(transaction) => transaction,
                other => panic!("{other:?}"),
            },
        )
        .collect();
    let all = |f: fn(&Signed<TxEip1559>) -> bool| transactions.iter().map(f).collect::<Vec<_>>();
    bits(&mut batch, &all(|it| it.tx().to.is_create()));
    bits(&mut batch, &all(|it| it.signature().v()));
    for transaction in &transactions {
        batch.extend_from_slice(&transaction.signature().as_bytes()[..64]);
    }
    for transaction in &transactions {
        if let TxKind::Call(to) = transaction.tx().to {
            batch.extend_from_slice(to.as_slice());
        }
    }
    for transaction in &transactions {
        let transaction = transaction.tx();
        let mut fields = Vec::new();
        transaction.value.encode(&mut fields);
        transaction.max_priority_fee_per_gas.encode(&mut fields);
        transaction.max_fee_per_gas.encode(&mut fields);
        transaction.input.encode(&mut fields);
        transaction.access_list.encode(&mut fields);
        batch.push(kind);
        let header = alloy_rlp::Header {
            list: true,
            payload_length: fields.len(),
        };
        header.encode(&mut batch);
        batch.extend(fields);
    }
    for transaction in &transactions {
        varint(&mut batch, transaction.tx().nonce);
    }
    for transaction in &transactions {
        varint(&mut batch, transaction.tx().gas_limit);
    }
    batch
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bits(out: &mut Vec<u8>, bits: &[bool]) {
    let mut bytes = vec![0; bits.len().div_ceil(8)];
    for (index, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
        let position = bytes.len() - 1 - index / 8;
        bytes[position] |= 1 << (index % 8);
    }
    out.extend(bytes);
}

/// The data of a channel.
pub(super) fn channel(batches: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    for batch in batches {
        batch.as_slice().encode(&mut list);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&list).unwrap();
    encoder.finish().unwrap()
}

/// A channel in frames of at most `size` bytes.
pub(super) fn frames(id: u8, channel: &[u8], size: usize) -> Vec<Vec<u8>> {
    let pieces = channel.chunks(size).collect::<Vec<_>>();
    let frame = |(number, piece): (usize, &&[u8])| {
        let mut frame = vec![id; 16];
        frame.extend_from_slice(&(number as u16).to_be_bytes());
        frame.extend_from_slice(&(piece.len() as u32).to_be_bytes());
        frame.extend_from_slice(piece);
        frame.push(u8::from(number + 1 == pieces.len()));
        frame
    };
    pieces.iter().enumerate().map(frame).collect()
}

/// What a batcher transaction or a blob carries.
pub(super) fn data(frames: &[Vec<u8>]) -> Vec<u8> {
    [&[0][..], &frames.concat()].concat()
}

/// A blob with `data`.
pub(super) fn blob(data: &[u8]) -> Box<Blob> {
    let length = (data.len() as u32).to_be_bytes();
    let mut bytes = [&[0], &length[1..], data].concat();
    bytes.resize(127 * 1024, 0);
    let mut blob = Box::<Blob>::default();
    for (part, elements) in bytes.chunks(127).zip(blob.chunks_mut(128)) {
        let (x, y, z) = (part[31], part[63], part[95]);
        let tops = [
            x & 0x3f,
            (y & 0x0f) | ((x & 0xc0) >> 2),
            z & 0x3f,
            ((z & 0xc0) >> 2) | ((y & 0xf0) >> 4),
        ];
        for (index, top) in tops.into_iter().enumerate() {
            elements[32 * index] = top;
            elements[32 * index + 1..32 * index + 32]
                .copy_from_slice(&part[index * 32..index * 32 + 31]);
        }
    }
    blob
}
