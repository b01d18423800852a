//! Blocks of a rollup from what its batcher posted to L1.
//!
//! Pure and synchronous: [`Derivation`] is fed with L1 blocks and gives one [`DerivedBlock`] after
//! another, which is compared with the published one.

mod batch;
mod batch_queue;
mod batches;
mod blob;
mod channel;
mod channel_assembler;
mod channel_bank;
mod check;
mod decompress;
mod derivation;
mod derived;
mod driver;
mod epochs;
mod error;
mod evidence;
mod frame;
mod history;
mod inbox;
mod kzg;
mod l1;
mod reader;
mod stream;
#[cfg(feature = "rpc")]
mod validator;

pub use alloy_eips::eip4844::Blob;
pub use batch::{
    Batch, BatchError, MAX_SPAN_BATCH_ELEMENTS, SingularBatch, SpanBatch, SpanBlock, SpanContext,
};
pub use blob::{BlobError, MAX_BLOB_DATA_BYTES, decode_blob};
pub use derivation::{Derivation, Step};
pub use derived::{DerivedBlock, Origin};
pub use driver::{Driver, DriverError, Finding};
pub use error::DeriveError;
pub use evidence::{DerivationAccuser, DerivationEvidence, DerivationEvidenceError, EvidenceL1};
pub use frame::{ChannelId, Frame, FrameError, MAX_FRAME_BYTES};
pub use inbox::{Inbox, InboxData};
pub use kzg::versioned_hash;
pub use l1::OpenedL1;
#[cfg(feature = "rpc")]
pub use validator::DerivationValidator;
