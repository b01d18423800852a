//! A directory of recorded blocks as a source.

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
    RecordError, RecordedBlock, WitnessSource,
    recorded::{peek, recorded_files},
};
use crate::Witness;

/// Recorded blocks of one chain: blocks and witnesses from files.
///
/// Files of other chains in the directory are passed over. The last block that was read stays in
/// memory, since whoever asks for a block asks for its witness next.
#[derive(Debug)]
pub struct RecordedBlocks {
    chain_id: ChainId,
    files: BTreeMap<BlockNumber, PathBuf>,
    last: Mutex<Option<Arc<RecordedBlock>>>,
}

impl RecordedBlocks {
    /// Blocks of chain `chain_id` in a directory, or in a single file.
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
            files,
            last: Mutex::new(None),
        })
    }

    /// Heights that are there, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = BlockNumber> {
        self.files.keys().copied()
    }

    /// Block and witness at a height.
    ///
    /// Errors: [`SourceError`].
    pub fn record(&self, number: BlockNumber) -> Result<Arc<RecordedBlock>, SourceError> {
        // A reader that panicked left a whole value behind, or none.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = last.as_ref().filter(|it| it.block.number() == number) {
            return Ok(Arc::clone(record));
        }
        let Some(file) = self.files.get(&number) else {
            let newest = self.files.last_key_value().map(|(number, _)| *number);
            return Err(if newest.is_some_and(|newest| number > newest) {
                SourceError::NotYet(number)
            } else {
                SourceError::NotHeld(number)
            });
        };
        let record = RecordedBlock::read(file).map_err(|error| error.into_source(number))?;
        if record.block.chain_id != self.chain_id || record.block.number() != number {
            return Err(SourceError::NotHeld(number));
        }
        let record = Arc::new(record);
        *last = Some(Arc::clone(&record));
        Ok(record)
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
        match self.files.last_key_value() {
            Some((number, _)) => Ok(self.record(*number)?.block.reference()),
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
