//! What the batcher posts, read back by the rules of the specification.

use std::io::Read;

use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use mach_core::{
    L2Block,
    ports::{BlobSource, L1Source, L2Head, L2Source, SourceError},
};
use mach_devnet::{
    BATCH_INBOX, BATCHER, BatchKind, BatcherConfig, Compression, DataAvailability, Devnet,
    DevnetConfig, Lie, OptimismFork, Settling,
};
use mach_verify::derive::{Batch, Frame, SpanContext, decode_blob};

/// Transactions of a block that its sequencer put there.
fn signed(block: &L2Block) -> Vec<Bytes> {
    let all = block.transactions.iter();
    all.filter(|bytes| bytes[0] != 0x7e).cloned().collect()
}

/// The data that the batcher sent in an L1 block, in the order of its transactions.
async fn data(devnet: &Devnet, number: u64) -> Vec<Bytes> {
    let l1: &dyn L1Source = devnet.l1();
    let block = l1.block(number).await.unwrap();
    let mut data = Vec::new();
    for bytes in &block.transactions {
        let transaction = TxEnvelope::decode_2718_exact(bytes).unwrap();
        if transaction.to() != Some(BATCH_INBOX) {
            continue;
        }
        assert_eq!(transaction.recover_signer().unwrap(), BATCHER.address);
        let Some(hashes) = transaction.blob_versioned_hashes() else {
            data.push(transaction.input().clone());
            continue;
        };
        let blobs: &dyn BlobSource = devnet.l1();
        for blob in blobs.blobs(&block.header, hashes).await.unwrap() {
            data.push(decode_blob(&blob).unwrap());
        }
    }
    data
}

/// Blocks in the channels of these data: parent if it is said, timestamp, and transactions.
fn blocks(devnet: &Devnet, data: &[Bytes]) -> Vec<(Option<B256>, u64, Vec<Bytes>)> {
    let config = &devnet.rollup().config;
    let context = SpanContext {
        chain_id: config.l2_chain_id,
        genesis_timestamp: config.genesis.l2_time,
        block_time: config.block_time,
    };
    let frames = data.iter().flat_map(|one| Frame::parse_all(one).unwrap());
    let (mut found, mut channel, mut next) = (Vec::new(), Vec::new(), 0);
    for frame in frames {
        assert_eq!(frame.number, next);
        channel.extend_from_slice(&frame.data);
        next += 1;
        if !frame.is_last {
            continue;
        }
        let mut plain = Vec::new();
        if channel[0] == 1 {
            brotli::Decompressor::new(&channel[1..], 4096)
                .read_to_end(&mut plain)
                .unwrap();
        } else {
            flate2::read::ZlibDecoder::new(channel.as_slice())
                .read_to_end(&mut plain)
                .unwrap();
        }
        let mut rest = plain.as_slice();
        while !rest.is_empty() {
            let batch = Bytes::decode(&mut rest).unwrap();
            match Batch::decode(&batch, &context).unwrap() {
                Batch::Singular(one) => {
                    found.push((Some(one.parent_hash), one.timestamp, one.transactions));
                }
                Batch::Span(span) => found.extend(
                    span.blocks()
                        .map(|one| (None, one.timestamp, one.transactions.to_vec())),
                ),
            }
        }
        channel.clear();
        next = 0;
    }
    found
}

fn configs() -> impl Iterator<Item = BatcherConfig> {
    let data = [DataAvailability::Calldata, DataAvailability::Blobs];
    data.into_iter().flat_map(|data| {
        [BatchKind::Singular, BatchKind::Span]
            .into_iter()
            .flat_map(move |batches| {
                [Compression::Zlib, Compression::Brotli].map(|compression| BatcherConfig {
                    data,
                    batches,
                    compression,
                    ..BatcherConfig::of(OptimismFork::Jovian)
                })
            })
    })
}

#[tokio::test]
async fn every_way_of_posting_says_what_the_blocks_say() {
    for config in configs() {
        let devnet = Devnet::new().unwrap();
        devnet.batcher().set_config(Some(config));
        for _ in 0..20 {
            devnet.sequencer().produce().unwrap();
        }
        assert_eq!(devnet.batcher().waiting(), 20);
        devnet.publish().unwrap();
        assert_eq!(devnet.batcher().waiting(), 0);
        let posted = blocks(&devnet, &data(&devnet, 1).await);
        assert_eq!(posted.len(), 20, "{config:?}");
        for ((parent, timestamp, transactions), number) in posted.into_iter().zip(1..) {
            let block = devnet.l2().l2_block(number).unwrap();
            assert!(parent.is_none_or(|hash| hash == block.header.parent_hash));
            assert_eq!(timestamp, block.header.timestamp);
            assert_eq!(transactions, signed(&block), "{config:?}, block {number}");
        }
    }
}

#[tokio::test]
async fn channels_are_cut_into_frames_and_transactions() {
    for data_availability in [DataAvailability::Calldata, DataAvailability::Blobs] {
        let devnet = Devnet::new().unwrap();
        devnet.batcher().set_config(Some(BatcherConfig {
            data: data_availability,
            channel_blocks: 5,
            frame_bytes: 700,
            transaction_frames: 2,
            ..BatcherConfig::of(OptimismFork::Jovian)
        }));
        for _ in 0..12 {
            devnet.sequencer().produce().unwrap();
        }
        let sent = devnet.batcher().post().unwrap();
        // Twelve blocks make three channels, each of more frames than one transaction takes.
        assert!(sent.len() > 3, "{}", sent.len());
        let mut posted = Vec::new();
        let mut l1_blocks = 0;
        while posted.len() < 12 && l1_blocks < 9 {
            devnet.l1().mine().unwrap();
            l1_blocks += 1;
            let mut all = Vec::new();
            for number in 1..=devnet.l1().head() {
                all.extend(data(&devnet, number).await);
            }
            let longest = all.iter().map(|one| one.len()).max().unwrap();
            assert!(longest <= 1 + 2 * 700);
            posted = blocks(&devnet, &all);
        }
        assert_eq!(posted.len(), 12);
    }
}

#[tokio::test]
async fn lies_about_batches_are_told_in_one_block() {
    for lie in [Lie::BatchDropped, Lie::BatchAltered, Lie::BatchReordered] {
        let devnet = Devnet::new().unwrap();
        devnet.sequencer().produce().unwrap();
        devnet.sequencer().lie_next(lie);
        let lying = devnet.sequencer().produce().unwrap();
        devnet.sequencer().produce().unwrap();
        devnet.publish().unwrap();
        let posted = blocks(&devnet, &data(&devnet, 1).await);
        for ((.., transactions), number) in posted.into_iter().zip(1..) {
            let mut right = signed(&devnet.l2().l2_block(number).unwrap());
            if number == lying {
                assert_ne!(transactions, right, "{lie}");
                let last = right.len() - 1;
                match lie {
                    Lie::BatchDropped => assert_eq!(transactions, right[..last]),
                    Lie::BatchReordered => {
                        right.swap(last - 1, last);
                        assert_eq!(transactions, right);
                    }
                    _ => assert_eq!(transactions[..last], right[..last]),
                }
            } else {
                assert_eq!(transactions, right, "{lie}, block {number}");
            }
        }
    }
}

#[tokio::test]
async fn blocks_are_safe_when_their_batches_are_on_l1() {
    let config = DevnetConfig {
        l1_settling: Settling::Behind {
            safe: 1,
            finalized: 2,
        },
        ..Default::default()
    };
    let devnet = config.build().unwrap();
    let l2: &dyn L2Source = devnet.l2();
    let heads = async || {
        let mut heads = Vec::new();
        for head in [L2Head::Unsafe, L2Head::Safe, L2Head::Finalized] {
            heads.push(l2.head(head).await.unwrap().number);
        }
        heads
    };
    for _ in 0..18 {
        devnet.step().unwrap();
    }
    // L1 makes a block every sixth step, with what was there by then.
    assert_eq!(devnet.l1().head(), 3);
    assert_eq!(heads().await, [18, 18, 6]);
    devnet.step().unwrap();
    assert_eq!(heads().await, [19, 18, 6]);
    // What replaces a posted block is posted.
    devnet.sequencer().reorg(3).unwrap();
    assert_eq!(devnet.batcher().waiting(), 1);
    devnet.publish().unwrap();
    assert_eq!(heads().await[..2], [19, 19]);
    let posted = blocks(&devnet, &data(&devnet, 4).await);
    let timestamps: Vec<u64> = posted.iter().map(|(_, timestamp, _)| *timestamp).collect();
    let of = |number| devnet.l2().l2_block(number).unwrap().header.timestamp;
    assert_eq!(timestamps, [of(17), of(18), of(19)]);
}

#[tokio::test]
async fn a_reorg_of_l1_takes_the_rollup_back() {
    let devnet = Devnet::new().unwrap();
    for _ in 0..30 {
        devnet.step().unwrap();
    }
    assert_eq!(devnet.l1().head(), 5);
    let before = devnet.l1().block_hash(4).unwrap();
    devnet.reorg_l1(2).unwrap();
    assert_eq!(devnet.l1().head(), 5);
    assert_ne!(devnet.l1().block_hash(4).unwrap(), before);
    // L1 block 4 was made after block 24.
    assert_eq!(devnet.l2().head(), 24);
    for _ in 0..12 {
        devnet.step().unwrap();
    }
    let spec = devnet.l2().role().spec();
    for number in 20..=36 {
        let verdict = super::verify(devnet.l2(), spec, number).await.unwrap();
        assert!(verdict.fault().is_none(), "block {number}: {verdict:?}");
    }
}

#[tokio::test]
async fn blobs_that_nobody_sent_are_not_held() {
    let devnet = Devnet::new().unwrap();
    let header = L1Source::header(devnet.l1(), 0).await.unwrap();
    let blobs: &dyn BlobSource = devnet.l1();
    let error = blobs.blobs(&header, &[keccak256("none")]).await;
    assert!(matches!(error.unwrap_err(), SourceError::NotHeld(0)));
}
