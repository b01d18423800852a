//! Blocks of a rollup from what its batcher posted to L1.

#![allow(dead_code, reason = "the pipeline that joins the stages follows")]

mod batch;
mod blob;
mod channel;
mod channel_assembler;
mod channel_bank;
mod decompress;
mod frame;
mod reader;

pub use batch::{
    Batch, BatchError, MAX_SPAN_BATCH_ELEMENTS, SingularBatch, SpanBatch, SpanBlock, SpanContext,
};
pub use blob::{BlobError, MAX_BLOB_DATA_BYTES, decode_blob};
pub use frame::{ChannelId, Frame, FrameError, MAX_FRAME_BYTES};
