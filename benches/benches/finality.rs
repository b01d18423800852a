//! How long it takes to say how sure a block is, among a million.
//!
//! `cargo bench -p mach-benches --bench finality`: by height, by hash and by transaction, for a rollup
//! with 1,000,000 blocks of which every 10,000th is attested. Rows are in memory: what is measured is
//! the index.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use std::{hint::black_box, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use criterion::{Criterion, criterion_group, criterion_main};
use mach_bls::{OperatorKeys, Tally, bn254::SecretKey};
use mach_core::{
    Attestation, BlockRef, Certificate, Domain, L2Block, Operator, OperatorSet, QuorumNumbers,
    Round, SignedStatement, Stake, Statement, Threshold,
};
use mach_node::{
    finality::{FinalityConfig, FinalityIndex, Seen},
    store::MemoryStore,
};

const BLOCKS: u64 = 1_000_000;
const ATTESTED: u64 = 10_000;
const ROLLUP: u64 = 10;
const REFERENCE_BLOCK: u32 = 100;
const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x5e),
};

/// The only transaction of a block.
fn transaction(number: u64) -> Bytes {
    number.to_be_bytes().to_vec().into()
}

/// An attestation by the only operator there is.
fn certificate(block: BlockRef) -> Certificate {
    let key = SecretKey::from_bytes(&U256::from(7).to_be_bytes()).unwrap();
    let operator = Operator {
        address: Address::ZERO,
        key_g1: key.public_key().g1_bytes(),
        key_g2: key.public_key().g2_bytes(),
    };
    let quorums = QuorumNumbers::new([0]).unwrap();
    let mut set = OperatorSet::new(quorums.clone(), REFERENCE_BLOCK);
    set.insert(0, operator, Stake::new(100).unwrap());
    let keys = Arc::new(OperatorKeys::new(&set).unwrap());
    let thresholds = vec![Threshold::percent(67).unwrap()];
    let round = Round::new(quorums, thresholds, REFERENCE_BLOCK).unwrap();
    let statement = Statement::from(Attestation {
        rollup_chain_id: ROLLUP,
        block,
        state_root: B256::ZERO,
        output_root: B256::ZERO,
    });
    let mut tally = Tally::new(statement.clone(), DOMAIN, round, keys).unwrap();
    let signature = key.sign(statement.digest(&DOMAIN)).to_bytes();
    let signed = SignedStatement {
        statement,
        domain: DOMAIN,
        operator: operator.id(),
        signature,
    };
    tally.add(&signed).unwrap();
    tally.certificate().certificate.unwrap()
}

async fn index() -> (FinalityIndex, Vec<B256>) {
    let config = FinalityConfig {
        retain: BLOCKS,
        ..FinalityConfig::new(DOMAIN, [ROLLUP])
    };
    let index = FinalityIndex::open(MemoryStore::new(), config)
        .await
        .unwrap();
    let mut hashes = Vec::new();
    for number in 0..BLOCKS {
        let header = Header {
            number,
            parent_hash: hashes.last().copied().unwrap_or_default(),
            ..Default::default()
        };
        let block = L2Block::new(ROLLUP, header, vec![transaction(number)]);
        assert_eq!(index.seen(&block).await.unwrap(), Seen::Taken);
        hashes.push(block.hash());
        if number % ATTESTED == ATTESTED - 1 {
            index
                .certified(&certificate(block.reference()))
                .await
                .unwrap();
        }
    }
    (index, hashes)
}

fn status(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (index, hashes) = runtime.block_on(index());
    // Far apart from one question to the next.
    let mut number = 0;
    let mut next = move || {
        number = (number + 618_033) % BLOCKS;
        number
    };
    let mut group = criterion.benchmark_group("finality among 1,000,000 blocks");
    group.bench_function("by height", |bencher| {
        bencher.iter(|| black_box(index.block_at(ROLLUP, next()).unwrap()));
    });
    group.bench_function("by hash", |bencher| {
        bencher.iter(|| {
            let hash = hashes.get(next() as usize).copied().unwrap();
            black_box(index.block_with_hash(ROLLUP, hash).unwrap())
        });
    });
    group.bench_function("by transaction", |bencher| {
        bencher.iter(|| {
            let hash = keccak256(transaction(next()));
            black_box(runtime.block_on(index.transaction(ROLLUP, hash)).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, status);
criterion_main!(benches);
