use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::PathBuf,
};

use alloy_consensus::Header;
use alloy_eips::eip4844::{BYTES_PER_BLOB, Blob};
use alloy_primitives::{B256, Sealed, hex};
use async_trait::async_trait;
use mach_core::ports::{BlobSource, SourceError};

/// Longest file that is read: a blob in hexadecimal, with a prefix and a line end.
const MAX_FILE_BYTES: usize = 2 * BYTES_PER_BLOB + 4;

/// Blobs in the files of a folder, each named by its versioned hash: `0x01….blob`.
///
/// A file holds the bytes of the blob, or the same in hexadecimal.
#[derive(Clone, Debug)]
pub struct BlobFolder {
    folder: PathBuf,
}

impl BlobFolder {
    /// The blobs in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn read(&self, block: u64, hash: &B256) -> Result<Box<Blob>, SourceError> {
        let path = self.folder.join(format!("{hash}.blob"));
        let backend = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => SourceError::NotHeld(block),
            _ => SourceError::Backend(Box::new(error)),
        };
        let mut bytes = Vec::new();
        File::open(path)
            .map_err(backend)?
            .take(MAX_FILE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(backend)?;
        if bytes.len() != BYTES_PER_BLOB {
            bytes = hex::decode(bytes.trim_ascii()).map_err(|error| malformed(block, error))?;
        }
        boxed(&bytes).ok_or_else(|| malformed(block, "the length is not that of a blob"))
    }
}

#[async_trait]
impl BlobSource for BlobFolder {
    async fn blobs(
        &self,
        header: &Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let read = |hash| self.read(header.number, hash);
        hashes.iter().map(read).collect()
    }
}

/// A blob of these bytes, if their length is that of a blob.
pub(super) fn boxed(bytes: &[u8]) -> Option<Box<Blob>> {
    let mut blob = Box::<Blob>::default();
    if bytes.len() != blob.len() {
        return None;
    }
    blob.copy_from_slice(bytes);
    Some(blob)
}

pub(super) fn malformed(number: u64, source: impl Into<mach_core::ports::BoxError>) -> SourceError {
    SourceError::Malformed {
        number,
        field: "blob",
        source: source.into(),
    }
}
