//! Where blocks and their witnesses come from.

mod chain_file;
mod directory;
mod proposal;
mod recorded;
#[cfg(feature = "rpc")]
mod rpc;
mod validator;

pub use chain_file::{ChainFile, ChainFileError};
pub use directory::RecordedBlocks;
pub use proposal::{ProposalSource, ProposalValidator};
pub use recorded::{MAX_FILE_BYTES, RecordError, RecordedBlock, recorded_files};
#[cfg(feature = "rpc")]
pub use rpc::{MAX_RESPONSE_BYTES, OpNode, RpcSource};
pub use validator::{StatelessValidator, WitnessSource};
