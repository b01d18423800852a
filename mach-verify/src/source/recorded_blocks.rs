//! Recorded blocks, in a directory or in an archive, as a source.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L2Head, L2Source, SourceError},
};

use super::{
    Archive, ArchiveError, RecordError, RecordedBlock, WitnessSource,
    recorded::{peek, recorded_files},
};
use crate::Witness;

/// Recorded blocks of one chain: blocks and witnesses from files.
///
/// The last block that was read stays in memory, since whoever asks for a block asks for its
/// witness next.
#[derive(Debug)]
pub struct RecordedBlocks {
    chain_id: ChainId,
    store: Store,
    last: Mutex<Option<Arc<RecordedBlock>>>,
}

#[derive(Debug)]
enum Store {
    Files(BTreeMap<BlockNumber, PathBuf>),
    Archive(Archive),
}

impl RecordedBlocks {
    /// Blocks of chain `chain_id` in a directory, or in a single file. Files of other chains are
    /// passed over.
    ///
    /// Errors: [`RecordError`] for the first file that is not a recorded block.
    pub fn open(path: impl AsRef<Path>, chain_id: ChainId) -> Result<Self, RecordError> {
        let mut files = BTreeMap::new();
        for file in recorded_files(path)? {
            let (chain, number) = peek(&file)?;
            if chain == chain_id {
                files.insert(number, file);
            }
        }
        Ok(Self {
            chain_id,
            store: Store::Files(files),
            last: Mutex::new(None),
        })
    }

    /// Blocks of an archive.
    pub const fn from_archive(archive: Archive) -> Self {
        Self {
            chain_id: archive.chain_id(),
            store: Store::Archive(archive),
            last: Mutex::new(None),
        }
    }

    /// Heights that are there, ascending.
    pub fn numbers(&self) -> impl DoubleEndedIterator<Item = BlockNumber> {
        // Two kinds of iterator in one: of each pair one is empty.
        let (files, archive) = match &self.store {
            Store::Files(files) => (Some(files.keys().copied()), None),
            Store::Archive(archive) => (None, Some(archive.numbers())),
        };
        (files.into_iter().flatten()).chain(archive.into_iter().flatten())
    }

    /// Block and witness at a height.
    ///
    /// Errors: [`SourceError`].
    pub fn record(&self, number: BlockNumber) -> Result<Arc<RecordedBlock>, SourceError> {
        // A reader that panicked left a whole value behind, or none.
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = last().as_ref().filter(|it| it.block.number() == number) {
            return Ok(Arc::clone(record));
        }
        // Nobody waits while another reads.
        let Some(record) = self.read(number)? else {
            return Err(if self.newest().is_some_and(|newest| number > newest) {
                SourceError::NotYet(number)
            } else {
                SourceError::NotHeld(number)
            });
        };
        if record.block.chain_id != self.chain_id || record.block.number() != number {
            return Err(SourceError::NotHeld(number));
        }
        let record = Arc::new(record);
        *last() = Some(Arc::clone(&record));
        Ok(record)
    }

    fn newest(&self) -> Option<BlockNumber> {
        self.numbers().next_back()
    }

    fn read(&self, number: BlockNumber) -> Result<Option<RecordedBlock>, SourceError> {
        match &self.store {
            Store::Files(files) => (files.get(&number).map(RecordedBlock::read))
                .transpose()
                .map_err(|error| error.into_source(number)),
            Store::Archive(archive) => {
                (archive.read(number)).map_err(|error| error.into_source(number))
            }
        }
    }
}

impl ArchiveError {
    /// What the error means to whoever asked for block `number`.
    fn into_source(self, number: BlockNumber) -> SourceError {
        match self {
            Self::Damaged { .. } | Self::Record { .. } => SourceError::Malformed {
                number,
                field: "archive",
                source: Box::new(self),
            },
            _ => SourceError::Backend(Box::new(self)),
        }
    }
}

impl RecordError {
    /// What the error means to whoever asked for block `number`.
    fn into_source(self, number: BlockNumber) -> SourceError {
        match self {
            Self::Block { block, source } => SourceError::Block {
                number: block,
                source,
            },
            Self::Io { .. } => SourceError::Backend(Box::new(self)),
            Self::Missing { field, .. }
            | Self::Field { field, .. }
            | Self::Contradiction { field, .. } => SourceError::Malformed {
                number,
                field,
                source: Box::new(self),
            },
            Self::TooLarge | Self::Json(_) => SourceError::Malformed {
                number,
                field: "file",
                source: Box::new(self),
            },
        }
    }
}

#[async_trait]
impl L2Source for RecordedBlocks {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        match self.newest() {
            Some(number) => Ok(self.record(number)?.block.reference()),
            None => Err(SourceError::NotYet(0)),
        }
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        Ok(self.record(number)?.block.clone())
    }
}

#[async_trait]
impl WitnessSource for RecordedBlocks {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let record = self.record(block.number())?;
        if record.block.hash() != block.hash() {
            return Err(SourceError::NotHeld(block.number()));
        }
        Ok(record.witness.clone())
    }
}
