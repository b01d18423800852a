//! What a batcher posts.

use alloy_primitives::{Bytes, hex};
use mach_verify::derive::{Batch, Frame, MAX_BLOB_DATA_BYTES, SpanContext, decode_blob};

/// Bytes of a decompressed channel that count here.
const MAX_BYTES: usize = 1 << 20;

const CONTEXT: SpanContext = SpanContext {
    chain_id: 10,
    genesis_timestamp: 1_686_068_903,
    block_time: 2,
};

/// Frames, a channel, a batch and a blob from the same bytes.
pub fn derivation(data: &[u8]) {
    if let Ok(frames) = Frame::parse_all(&Bytes::copy_from_slice(data)) {
        let length: usize = frames.iter().map(|frame| frame.data.len() + 23).sum();
        assert_eq!(length + 1, data.len(), "frames are all there is");
        let channel: Vec<u8> = frames
            .iter()
            .flat_map(|frame| frame.data.to_vec())
            .collect();
        read(&channel);
    }
    read(data);
    if let Ok(batch) = Batch::decode(data, &CONTEXT) {
        check(&batch, data.len());
    }
    // A blob that begins with the bytes, as far as they are field elements.
    let mut blob = Box::<mach_verify::derive::Blob>::default();
    for (to, from) in blob.iter_mut().zip(data) {
        *to = *from;
    }
    if let Ok(data) = decode_blob(&blob) {
        assert!(data.len() <= MAX_BLOB_DATA_BYTES);
    }
    // The same bytes as somebody writes them down.
    if let Ok(bytes) = hex::decode(data.trim_ascii()) {
        read(&bytes);
    }
}

fn read(channel: &[u8]) {
    for batch in Batch::read_channel(channel, MAX_BYTES, true, &CONTEXT) {
        check(&batch, MAX_BYTES);
    }
}

/// What a batch says is bounded by the bytes that say it.
fn check(batch: &Batch, length: usize) {
    let Batch::Span(span) = batch else {
        return;
    };
    assert!(!span.is_empty() && span.len() <= length);
    let blocks: Vec<_> = span.blocks().collect();
    assert_eq!(blocks.len(), span.len());
    let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
    assert_eq!(first.epoch_number, span.first_epoch());
    assert_eq!(last.epoch_number, span.last_epoch());
    assert_eq!(first.timestamp, span.first_timestamp());
    assert_eq!(last.timestamp, span.last_timestamp());
    let transactions: usize = blocks.iter().map(|block| block.transactions.len()).sum();
    assert!(transactions * 64 <= length, "every signature was there");
}
