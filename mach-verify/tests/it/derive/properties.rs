//! Whatever is posted is read without a panic, and says no more than its bytes can.

use alloy_primitives::Bytes;
use mach_verify::derive::{Batch, Frame, SpanContext};
use proptest::prelude::*;

const CONTEXT: SpanContext = SpanContext {
    chain_id: 28,
    genesis_timestamp: 0,
    block_time: 2,
};

/// A span of op-node, behind its version byte.
fn span() -> Vec<u8> {
    let span = include_bytes!("../../../testdata/derive/span_batch.bin");
    [&[1], &span[..]].concat()
}

fn check(batch: &Batch, length: usize) {
    if let Batch::Span(span) = batch {
        assert!(span.len() <= length);
        let transactions = span.blocks().map(|block| block.transactions.len());
        assert!(transactions.sum::<usize>() * 64 <= length);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = Frame::parse_all(&Bytes::copy_from_slice(&bytes));
        if let Ok(batch) = Batch::decode(&bytes, &CONTEXT) {
            check(&batch, bytes.len());
        }
        let _ = Batch::read_channel(&bytes, 1 << 20, true, &CONTEXT);
    }

    #[test]
    fn a_span_with_changed_bytes_is_read(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = span();
        for (index, byte) in changes {
            // Mostly where lengths and counts are.
            let end = bytes.len().min(400);
            bytes[index.index(end)] = byte;
        }
        if let Ok(batch) = Batch::decode(&bytes, &CONTEXT) {
            check(&batch, bytes.len());
        }
    }

    #[test]
    fn frames_come_back(
        frames in proptest::collection::vec(
            (any::<[u8; 16]>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..50), any::<bool>()),
            1..6,
        ),
    ) {
        let mut bytes = vec![0];
        for (channel, number, data, is_last) in &frames {
            bytes.extend_from_slice(channel);
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&(data.len() as u32).to_be_bytes());
            bytes.extend_from_slice(data);
            bytes.push(u8::from(*is_last));
        }
        let read = Frame::parse_all(&bytes.into()).unwrap();
        prop_assert_eq!(read.len(), frames.len());
        for (read, (channel, number, data, is_last)) in read.iter().zip(&frames) {
            prop_assert_eq!(&read.channel.0, channel);
            prop_assert_eq!(read.number, *number);
            prop_assert_eq!(&read.data[..], &data[..]);
            prop_assert_eq!(read.is_last, *is_last);
        }
    }
}
