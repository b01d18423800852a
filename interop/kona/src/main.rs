//! Writes down what kona makes of batches, for `interop/tests/it/batches.rs`.
//!
//! `cargo run --release -- FOLDER > ../tests/it/batches.json`, where `FOLDER` is the source of kona-protocol as cargo
//! keeps it, for the recorded channel in it.

use std::{env, fs, panic, path::Path};

use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use fastrand::Rng;
use kona_genesis::RollupConfig;
use kona_protocol::{Batch, BatchReader, SingleBatch, SpanBatch};
use serde_json::{Value, json};

type Envelope = EthereumTxEnvelope<TxEip4844>;

const CHAIN_ID: u64 = 10;
const GENESIS_TIMESTAMP: u64 = 1_686_068_903;
const BLOCK_TIME: u64 = 2;
const MAX_RLP_BYTES: usize = 100_000_000;
const SPANS: u64 = 24;
/// Bytes that are changed in each.
const CHANGES: usize = 96;

fn main() {
    let folder = env::args().nth(1).expect("the source of kona-protocol");
    let folder = Path::new(&folder);
    // kona overflows on some of the changed ones, which is no outcome.
    panic::set_hook(Box::new(|_| {}));
    let spans: Vec<Value> = (0..SPANS).map(span).collect();
    let channel = fs::read_to_string(folder.join("testdata/batch.hex")).unwrap();
    let channel = hex::decode(channel.trim()).unwrap();
    let mut reader = BatchReader::new(channel, MAX_RLP_BYTES);
    let config = config();
    let batches: Vec<String> = std::iter::from_fn(|| reader.next_batch(&config))
        .map(|batch| outcome(&batch))
        .collect();
    let vectors = json!({
        "chainId": CHAIN_ID,
        "genesisTimestamp": GENESIS_TIMESTAMP,
        "blockTime": BLOCK_TIME,
        "recordedChannel": batches,
        "batches": spans,
    });
    println!("{}", serde_json::to_string(&vectors).unwrap());
}

fn config() -> RollupConfig {
    let mut config = RollupConfig {
        block_time: BLOCK_TIME,
        l2_chain_id: CHAIN_ID.into(),
        ..Default::default()
    };
    config.genesis.l2_time = GENESIS_TIMESTAMP;
    config.hardforks.fjord_time = Some(0);
    config
}

/// A batch that kona encodes, and what kona makes of it after each of some changes.
fn span(seed: u64) -> Value {
    let rng = &mut Rng::with_seed(seed);
    let mut span = SpanBatch {
        genesis_timestamp: GENESIS_TIMESTAMP,
        chain_id: CHAIN_ID,
        ..Default::default()
    };
    let mut epoch = (rng.u64(..) >> rng.u32(24..60)) + 1;
    let mut timestamp = GENESIS_TIMESTAMP + BLOCK_TIME * (rng.u64(..) >> rng.u32(34..64));
    let first = rng.bool();
    let mut batches = Vec::new();
    for index in 0..rng.u64(1..12) {
        if index > 0 {
            epoch += u64::from(rng.bool());
        }
        let batch = SingleBatch {
            parent_hash: hash(rng),
            epoch_num: epoch,
            epoch_hash: hash(rng),
            timestamp,
            transactions: (0..rng.usize(0..4)).map(|_| transaction(rng)).collect(),
        };
        span.append_singular_batch(batch.clone(), u64::from(!first))
            .unwrap();
        batches.push(batch);
        timestamp += BLOCK_TIME;
    }
    let (parent, origin) = (
        batches[0].parent_hash,
        batches[batches.len() - 1].epoch_hash,
    );
    // The last of them as one block.
    let batch = if seed % 8 == 7 {
        Batch::Single(batches.pop().unwrap())
    } else {
        Batch::Span(span)
    };
    let mut bytes = Vec::new();
    batch.encode(&mut bytes).unwrap();
    let changes: Vec<Value> = (0..CHANGES)
        .map(|_| {
            let (at, xor) = (rng.usize(1..bytes.len()), rng.u8(1..));
            let mut bent = bytes.clone();
            bent[at] ^= xor;
            json!([at, xor, decode(&bent)])
        })
        .collect();
    json!({
        "batch": hex::encode_prefixed(&bytes),
        "parent": parent,
        "origin": origin,
        "advances": first,
        "outcome": decode(&bytes),
        "changes": changes,
    })
}

/// What kona makes of the bytes: an outcome, `refused`, or `panic`.
fn decode(bytes: &[u8]) -> String {
    let decoded = panic::catch_unwind(|| Batch::decode(&mut &bytes[..], &config()));
    match decoded {
        Ok(Ok(batch)) => outcome(&batch),
        Ok(Err(_)) => "refused".into(),
        Err(_) => "panic".into(),
    }
}

/// First eight bytes of the hash of all that a batch says about its blocks.
fn outcome(batch: &Batch) -> String {
    let mut said = Vec::new();
    let mut block = |epoch: u64, timestamp: u64, transactions: &[Bytes]| {
        said.extend(epoch.to_be_bytes());
        said.extend(timestamp.to_be_bytes());
        said.extend((transactions.len() as u64).to_be_bytes());
        for transaction in transactions {
            said.extend(keccak256(transaction));
        }
    };
    match batch {
        Batch::Single(it) => {
            block(it.epoch_num, it.timestamp, &it.transactions);
            said.extend(it.parent_hash);
            said.extend(it.epoch_hash);
        }
        Batch::Span(span) => {
            for it in &span.batches {
                block(it.epoch_num, it.timestamp, &it.transactions);
            }
        }
    }
    hex::encode(&keccak256(said)[..8])
}

fn transaction(rng: &mut Rng) -> Bytes {
    let (nonce, gas_limit) = (rng.u64(..) >> rng.u32(0..64), rng.u64(..) >> rng.u32(0..64));
    let (price, tip) = (
        rng.u128(..) >> rng.u32(0..128),
        rng.u128(..) >> rng.u32(0..128),
    );
    let target = Address::from_slice(&hash(rng)[..20]);
    let to = if rng.u8(..) < 40 {
        TxKind::Create
    } else {
        target.into()
    };
    let value = U256::from_be_bytes(hash(rng).0) >> rng.usize(0..257);
    let input: Bytes = (0..rng.usize(0..90)).map(|_| rng.u8(..)).collect();
    let access_list = AccessList(
        (0..rng.usize(0..3))
            .map(|_| AccessListItem {
                address: target,
                storage_keys: (0..rng.usize(0..3)).map(|_| hash(rng)).collect(),
            })
            .collect(),
    );
    let (r, s) = (number(rng), number(rng));
    let signature = Signature::new(r, s, rng.bool());
    let chain_id = CHAIN_ID;
    let envelope = match rng.u8(0..5) {
        0 | 1 => {
            let chain_id = rng.bool().then_some(chain_id);
            let it = TxLegacy {
                chain_id,
                nonce,
                gas_price: price,
                gas_limit,
                to,
                value,
                input,
            };
            Envelope::from(it.into_signed(signature))
        }
        2 => TxEip2930 {
            chain_id,
            nonce,
            gas_price: price,
            gas_limit,
            to,
            value,
            access_list,
            input,
        }
        .into_signed(signature)
        .into(),
        3 => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list,
            input,
        }
        .into_signed(signature)
        .into(),
        _ => {
            let authorization = Authorization {
                chain_id: value,
                address: target,
                nonce,
            };
            TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: price,
                max_priority_fee_per_gas: tip,
                to: target,
                value,
                access_list,
                authorization_list: vec![authorization.into_signed(signature)],
                input,
            }
            .into_signed(signature)
            .into()
        }
    };
    envelope.encoded_2718().into()
}

fn hash(rng: &mut Rng) -> B256 {
    B256::new(std::array::from_fn(|_| rng.u8(..)))
}

/// As large as a part of a signature may be; now and then a short one.
fn number(rng: &mut Rng) -> U256 {
    U256::from_be_bytes(hash(rng).0) >> if rng.u8(..) < 30 { 200 } else { 1 }
}
