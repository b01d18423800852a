//! Batches that kona encodes, and those that it was tested with, read as kona reads them.
//!
//! `batches.json` is what `interop/kona` writes down.

use std::sync::LazyLock;

use alloy_primitives::{B256, hex, keccak256};
use mach_verify::derive::{Batch, BatchError, SpanContext};
use serde::Deserialize;

use crate::code;

const MAX_BYTES: usize = 100_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    chain_id: u64,
    genesis_timestamp: u64,
    block_time: u64,
    recorded_channel: Vec<String>,
    batches: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(with = "hex::serde")]
    batch: Vec<u8>,
    parent: B256,
    origin: B256,
    /// Whether the first block has another L1 origin than the one before.
    advances: bool,
    outcome: String,
    /// Position, what is added without carry, and the outcome then.
    changes: Vec<(usize, u8, String)>,
}

static VECTORS: LazyLock<Vectors> =
    LazyLock::new(|| serde_json::from_str(include_str!("batches.json")).unwrap());

impl Vectors {
    fn context(&self) -> SpanContext {
        SpanContext {
            chain_id: self.chain_id,
            genesis_timestamp: self.genesis_timestamp,
            block_time: self.block_time,
        }
    }
}

#[test]
fn batches_are_read_as_kona_encodes_them() {
    let context = VECTORS.context();
    for it in &VECTORS.batches {
        let batch = Batch::decode(&it.batch, &context).unwrap();
        assert_eq!(outcome(&batch), it.outcome);
        if let Batch::Span(span) = &batch {
            assert!(span.follows(it.parent) && !span.follows(it.origin));
            assert!(span.ends_at_origin(it.origin) && !span.ends_at_origin(it.parent));
            assert_eq!(span.blocks().next().unwrap().advances, it.advances);
        }
    }
}

/// A changed batch says to both the same, or to both nothing.
#[test]
fn changed_batches_are_read_as_kona_reads_them() {
    let context = VECTORS.context();
    let (mut same, mut refused, mut disputed, mut cut) = (0, 0, 0, 0);
    let mut other = Vec::new();
    for (at, it) in VECTORS.batches.iter().enumerate() {
        for (position, change, theirs) in &it.changes {
            let mut bytes = it.batch.clone();
            bytes[*position] ^= change;
            match (Batch::decode(&bytes, &context), theirs.as_str()) {
                (Ok(batch), theirs) if outcome(&batch) == theirs => same += 1,
                (Err(_), "refused") => refused += 1,
                // No outcome of kona.
                (_, "panic") => {}
                // What implementations disagree about stops derivation here.
                (Err(error), _) if error.is_disputed() => disputed += 1,
                // kona takes missing bits for zeros, and drops those of a number beyond 64; op-node reads no such span.
                (Err(BatchError::Truncated | BatchError::Varint), _) => cut += 1,
                (ours, theirs) => {
                    let ours = ours.map(|it| outcome(&it));
                    other.push(format!(
                        "{at}, byte {position} ^ {change}: {ours:?}, {theirs}"
                    ));
                }
            }
        }
    }
    assert!(other.is_empty(), "{other:#?}");
    println!(
        "{same} read alike, {refused} refused by both, {disputed} disputed, {cut} by kona alone"
    );
    assert!(same > 100 && refused > 100 && cut < 10);
}

/// A channel of OP Mainnet of June 2024, too large to keep here.
#[test]
fn a_recorded_channel_is_read_as_kona_reads_it() {
    let context = VECTORS.context();
    let channel = String::from_utf8(code::kona("testdata/batch.hex")).unwrap();
    let channel = hex::decode(channel.trim()).unwrap();
    let batches = Batch::read_channel(&channel, MAX_BYTES, true, &context);
    let outcomes: Vec<_> = batches.iter().map(outcome).collect();
    assert!(!outcomes.is_empty());
    assert_eq!(outcomes, VECTORS.recorded_channel);
}

/// As `interop/kona` has it: first eight bytes of the hash of all that a batch says about its blocks.
fn outcome(batch: &Batch) -> String {
    let mut said = Vec::new();
    let mut block = |epoch: u64, timestamp: u64, transactions: &[alloy_primitives::Bytes]| {
        said.extend(epoch.to_be_bytes());
        said.extend(timestamp.to_be_bytes());
        said.extend((transactions.len() as u64).to_be_bytes());
        for transaction in transactions {
            said.extend(keccak256(transaction));
        }
    };
    match batch {
        Batch::Singular(it) => {
            block(it.epoch_number, it.timestamp, &it.transactions);
            said.extend(it.parent_hash);
            said.extend(it.epoch_hash);
        }
        Batch::Span(span) => {
            for it in span.blocks() {
                block(it.epoch_number, it.timestamp, it.transactions);
            }
        }
    }
    hex::encode(&keccak256(said)[..8])
}
