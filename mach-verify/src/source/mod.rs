//! Where blocks and their witnesses come from.

mod recorded;

pub use recorded::{MAX_FILE_BYTES, RecordError, RecordedBlock, recorded_files};
