use std::{io, path::PathBuf};

use alloy_primitives::BlockNumber;
use mach_core::{BlockError, ports::BoxError};

use super::MAX_FILE_BYTES;

/// Why a file holds no block.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("more than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// The file is not one JSON object.
    #[error("not a JSON object")]
    Json(#[source] serde_json::Error),
    /// A field is missing.
    #[error("{}field {field} is missing", Of(*block))]
    Missing {
        /// Height of the block, if the file says it.
        block: Option<BlockNumber>,
        /// Name of the field.
        field: &'static str,
    },
    /// A field does not have its type.
    #[error("{}field {field} is malformed", Of(*block))]
    Field {
        /// Height of the block, if the file says it.
        block: Option<BlockNumber>,
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// `block_rlp` is not a block.
    #[error("block {block}: field block_rlp is malformed")]
    Block {
        /// Height that the file says.
        block: BlockNumber,
        /// Which part, and why.
        #[source]
        source: BlockError,
    },
    /// A field says something else than the block itself.
    #[error("block {block}: field {field} is {file}, the block says {actual}")]
    Contradiction {
        /// Height that the file says.
        block: BlockNumber,
        /// Name of the field.
        field: &'static str,
        /// Value of the field.
        file: String,
        /// Value in the block.
        actual: String,
    },
}

/// Shows a height that is known.
struct Of(Option<BlockNumber>);

impl core::fmt::Display for Of {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0
            .map_or(Ok(()), |number| write!(f, "block {number}: "))
    }
}
