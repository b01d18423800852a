//! Blocks in files: what a node was asked once, for ever.

mod error;
mod file;
mod format;

use std::path::Path;

use alloy_primitives::{BlockNumber, ChainId};
use mach_core::L2Block;

use crate::Witness;

pub use error::RecordError;
pub use file::{MAX_FILE_BYTES, recorded_files};

pub(crate) use file::{read_file, write_file};
pub(crate) use format::peek;

/// A block with its witness, as one JSON object in a `.json` or `.json.gz` file.
///
/// | field | |
/// |---|---|
/// | `chain_id`, `number`, `hash`, `timestamp`, `gas_used`, `tx_count` | what the block says too; numbers may be decimal strings |
/// | `block_rlp` | header, transactions, ommers, withdrawals |
/// | `witness` | `state`, `codes`, `keys`, `headers`, as `debug_executionWitness` answers |
/// | `parent_state_root`, `block_hashes` | claims beyond the witness; optional |
/// | `source` | who recorded it; optional |
/// | `evidence` | what is wrong with it; optional, read by [`Evidence`](crate::Evidence) |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedBlock {
    /// The block.
    pub block: L2Block,
    /// What its execution needs.
    pub witness: Witness,
    /// Who recorded it, for people.
    pub source: Option<String>,
}

impl RecordedBlock {
    /// Reads a file; one that ends in `.gz` is decompressed.
    ///
    /// Errors: [`RecordError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        Self::parse(&read_file(path.as_ref())?)
    }

    /// Writes a file that [`Self::read`] reads; one that ends in `.gz` is compressed.
    ///
    /// The file appears whole or not at all.
    ///
    /// Errors: [`RecordError::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), RecordError> {
        write_file(path.as_ref(), &self.to_json())
    }

    /// The name that a directory of recorded blocks gives the file: `<chain>-<number>.json.gz`.
    pub fn file_name(&self) -> String {
        Self::file_name_of(self.block.chain_id, self.block.number())
    }

    /// The same name for a block that is not there yet.
    pub fn file_name_of(chain_id: ChainId, number: BlockNumber) -> String {
        format!("{chain_id}-{number}.json.gz")
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;

    use super::*;

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("block.json.gz");
        let recorded = RecordedBlock {
            block: L2Block::new(10, Header::default(), vec![]),
            witness: Witness::default(),
            source: None,
        };
        recorded.write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(
            RecordedBlock::read(&path),
            Err(RecordError::Io { .. })
        ));
        assert!(matches!(
            RecordedBlock::read(directory.path().join("absent.json")),
            Err(RecordError::Io { .. })
        ));
    }
}
