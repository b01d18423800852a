//! Where blocks and their witnesses come from.

mod archive;
mod blobs;
pub(crate) mod bounded;
mod chain_file;
mod l1_walk;
mod packed;
#[cfg(feature = "rpc")]
mod proof;
mod proposal;
#[cfg(feature = "rpc")]
mod quorum;
mod recorded;
mod recorded_blocks;
#[cfg(feature = "rpc")]
mod rpc;
mod validator;

pub use archive::{Archive, ArchiveError};
#[cfg(feature = "rpc")]
pub use blobs::BeaconNode;
pub use blobs::BlobFolder;
pub use chain_file::{ChainFile, ChainFileError};
pub use proposal::{ProposalSource, ProposalValidator};
#[cfg(feature = "rpc")]
pub use quorum::{Disagreement, EndpointHealth, Matter, Quorum, QuorumError};
pub use recorded::{MAX_FILE_BYTES, RecordError, RecordedBlock, recorded_files};
pub use recorded_blocks::RecordedBlocks;
#[cfg(feature = "rpc")]
pub use rpc::{HttpError, MAX_RESPONSE_BYTES, OpNode, RpcHashes, RpcOptions, RpcSource};
pub use validator::{StatelessValidator, WitnessSource};

pub(crate) use l1_walk::{L1Walk, MAX_RECENT, MAX_STEP};
pub(crate) use recorded::{read_file, write_file};
pub(crate) use validator::{from_source, run_beside, run_blocking};
