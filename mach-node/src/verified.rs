//! How far a rollup is verified, for the process after this one.

use std::{collections::VecDeque, time::Duration};

use alloy_primitives::{BlockNumber, ChainId};
use mach_core::{
    BlockRef, L2Block,
    ports::{L2Source, SourceError},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    VerifierStatus,
    store::{Change, Expected, Store, StoreError, Table, Written},
};

/// Blocks that are remembered: after a reorg the next run goes back to the newest that is left.
const REMEMBERED: usize = 64;
/// Ancestors that a run begins with, so that it survives a reorg of the block that it begins behind.
const ANCESTORS: usize = 16;
/// Between two writes.
const KEEP_INTERVAL: Duration = Duration::from_millis(500);

/// Remembers in a [`Store`] up to which block a rollup is verified and what was found is delivered.
///
/// Blocks behind that are verified once more after a crash, and what is said of them is the same: no
/// block is passed over.
#[derive(Clone, Debug)]
pub struct VerifiedBlocks<S> {
    store: S,
    rollup: ChainId,
    /// What the run was told to begin with; another one begins anew.
    start: Option<BlockNumber>,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remembered {
    start: Option<BlockNumber>,
    /// Of one branch, the newest last.
    blocks: VecDeque<BlockRef>,
    /// The highest block that was final at that time.
    finalized: Option<BlockNumber>,
}

impl Remembered {
    fn add(&mut self, block: BlockRef) {
        while (self.blocks.back()).is_some_and(|known| known.number >= block.number) {
            self.blocks.pop_back();
        }
        self.blocks.push_back(block);
        if self.blocks.len() > REMEMBERED {
            self.blocks.pop_front();
        }
    }
}

impl<S: Store> VerifiedBlocks<S> {
    /// Those of one rollup. `start` is the first block of the first run, `None` for the head: a run
    /// that is told another one does not go on with what was remembered.
    pub const fn new(store: S, rollup: ChainId, start: Option<BlockNumber>) -> Self {
        Self {
            store,
            rollup,
            start,
        }
    }

    /// The newest remembered block that is still on the chain of `source`, and some of its ancestors
    /// before it; empty if nothing is remembered.
    ///
    /// If all of them are gone, it is the last block that was final at that time: nothing up to it
    /// can have changed.
    ///
    /// Errors: [`ResumeError`].
    pub async fn resume(
        &self,
        source: &(impl L2Source + ?Sized),
    ) -> Result<Vec<L2Block>, ResumeError> {
        let remembered = self.read().await?;
        if remembered.start != self.start {
            return Ok(Vec::new());
        }
        let Some(newest) = remembered.blocks.back().copied() else {
            return Ok(Vec::new());
        };
        let mut found = None;
        for known in remembered.blocks.iter().rev() {
            match source.block(known.number).await {
                Ok(block) if block.hash() == known.hash => {
                    found = Some(block);
                    break;
                }
                Ok(_) | Err(SourceError::NotYet(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let block = match (found, remembered.finalized) {
            (Some(block), _) => block,
            (None, Some(finalized)) if finalized <= newest.number => {
                source.block(finalized).await?
            }
            _ => return Err(ResumeError::Lost(newest)),
        };
        info!(rollup = self.rollup, block = %block.reference(), "goes on behind");
        let mut blocks = VecDeque::from([block]);
        while let Some(first) = blocks.front().filter(|_| blocks.len() <= ANCESTORS) {
            let Some(number) = first.number().checked_sub(1) else {
                break;
            };
            match source.block(number).await {
                Ok(parent) if parent.hash() == first.header.parent_hash => {
                    blocks.push_front(parent);
                }
                // They are not needed.
                _ => break,
            }
        }
        Ok(blocks.into())
    }

    /// Remembers what the verifier with this `status` has verified, until the end of the verifier.
    pub async fn keep(&self, mut status: watch::Receiver<VerifierStatus>) {
        // What cannot be read was read when the run began, or is written anew.
        let mut remembered = self.read().await.unwrap_or_default();
        if remembered.start != self.start {
            remembered = Remembered {
                start: self.start,
                ..Remembered::default()
            };
        }
        let mut is_over = false;
        while !is_over {
            is_over = status.changed().await.is_err();
            let (recent, finalized) = {
                let status = status.borrow_and_update();
                (status.recent.clone(), status.finalized)
            };
            if !recent.is_empty() && recent.back() != remembered.blocks.back() {
                recent.into_iter().for_each(|block| remembered.add(block));
                remembered.finalized = finalized.map(|block| block.number);
                if let Err(error) = self.write(&remembered).await {
                    warn!(
                        rollup = self.rollup,
                        error = &error as &dyn std::error::Error,
                        "how far it is verified was not stored"
                    );
                }
            }
            if !is_over {
                tokio::time::sleep(KEEP_INTERVAL).await;
            }
        }
    }

    /// Finds out whether the store takes a row.
    ///
    /// Errors: [`StoreError`].
    pub async fn probe(store: &S) -> Result<(), StoreError> {
        let change = Change {
            table: Table::Verified,
            // Shorter than the key of a rollup.
            key: b"probe".to_vec(),
            expected: Expected::Anything,
            value: Some(Vec::new()),
        };
        store.write(vec![change]).await.map(|_| ())
    }

    async fn read(&self) -> Result<Remembered, StoreError> {
        let key = self.key();
        match self.store.get(Table::Verified, &key).await? {
            Some(value) => serde_json::from_slice(&value)
                .map_err(|_| StoreError::damaged(Table::Verified, &key)),
            None => Ok(Remembered::default()),
        }
    }

    async fn write(&self, remembered: &Remembered) -> Result<(), StoreError> {
        let value = serde_json::to_vec(remembered).map_err(StoreError::backend)?;
        let change = Change {
            table: Table::Verified,
            key: self.key(),
            expected: Expected::Anything,
            value: Some(value),
        };
        match self.store.write(vec![change]).await? {
            Written::Applied | Written::Conflict { .. } => Ok(()),
        }
    }

    fn key(&self) -> Vec<u8> {
        self.rollup.to_be_bytes().to_vec()
    }
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let rollup = ChainId::from_be_bytes(key.try_into().ok()?);
    Some(format!("how far rollup {rollup} is verified"))
}

/// Why it is not known where to go on.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The store does not serve.
    #[error("how far the rollup is verified cannot be read")]
    Store(#[from] StoreError),
    /// The source does not serve.
    #[error("the last verified block cannot be looked at")]
    Source(#[from] SourceError),
    /// No remembered block is on the chain any more, and none of them was final.
    #[error("block {0} and those before it are no longer on the chain: name a block to begin with")]
    Lost(BlockRef),
}

impl ResumeError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Source(error) => error.is_transient(),
            Self::Lost(_) => false,
        }
    }
}
