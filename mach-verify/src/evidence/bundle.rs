use std::path::Path;

use super::EvidenceError;
use crate::source::{RecordError, read_file, write_file};

/// Evidence as a file that anybody replays offline to the same fault.
pub trait Bundle: Sized {
    /// Why bytes are no such bundle.
    type Error: From<RecordError> + Into<EvidenceError>;

    /// Name of the file: `<chain>-<number>-<block>-<fault>-<what>.json.gz`, with the first 4 bytes of
    /// the block's hash and of the hash of the fault's JSON, so that two wrong output roots that are
    /// claimed for one block have a file each.
    fn file_name(&self) -> String;

    /// The JSON object. The same evidence gives the same bytes.
    ///
    /// Errors: [`Self::Error`] for rules that cannot be written.
    fn to_json(&self) -> Result<Vec<u8>, Self::Error>;

    /// Reads the JSON object. What it says is not checked before it is replayed.
    ///
    /// Errors: [`Self::Error`].
    fn parse(json: &[u8]) -> Result<Self, Self::Error>;

    /// Reads a file of at most [`MAX_FILE_BYTES`](crate::source::MAX_FILE_BYTES); one that ends in
    /// `.gz` is decompressed.
    ///
    /// Errors: [`Self::Error`].
    fn read(path: impl AsRef<Path>) -> Result<Self, Self::Error> {
        Self::parse(&read_file(path.as_ref())?)
    }

    /// Writes a file that [`Self::read`] reads; one that ends in `.gz` is compressed. It appears
    /// whole or not at all.
    ///
    /// Errors: [`Self::Error`].
    fn write(&self, path: impl AsRef<Path>) -> Result<(), Self::Error> {
        Ok(write_file(path.as_ref(), &self.to_json()?)?)
    }
}
