//! Where blocks and their witnesses come from.

mod chain_file;
mod directory;
mod recorded;
mod validator;

pub use chain_file::{ChainFile, ChainFileError};
pub use directory::RecordedBlocks;
pub use recorded::{MAX_FILE_BYTES, RecordError, RecordedBlock, recorded_files};
pub use validator::{StatelessValidator, WitnessSource};
