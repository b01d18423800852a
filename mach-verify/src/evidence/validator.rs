use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::B256;
use async_trait::async_trait;
use mach_core::{
    Fault, L2Block, Verdict,
    ports::{BlockValidator, BoxError, SourceError, ValidateError},
};
use tracing::{info, warn};

use super::{Evidence, EvidenceFolder};
use crate::{
    ChainSpec, Witness,
    source::{RecordedBlock, WitnessSource, run_blocking},
};

/// Leaves a bundle for every block that `V` calls invalid.
///
/// The witness comes from the memory that `V` should take its own from, since a node that lies may
/// not serve it twice. A fault that the bundle does not give again, or a full disk, costs the
/// evidence and not the verdict, and is logged.
#[derive(Clone, Debug)]
pub struct EvidenceValidator<V, W> {
    spec: ChainSpec,
    blocks: V,
    witnesses: Arc<WitnessMemory<W>>,
    folder: EvidenceFolder,
}

impl<V: BlockValidator, W: WitnessSource> EvidenceValidator<V, W> {
    /// Validates blocks of the chain of `spec` with `blocks`.
    pub const fn new(
        spec: ChainSpec,
        blocks: V,
        witnesses: Arc<WitnessMemory<W>>,
        folder: EvidenceFolder,
    ) -> Self {
        Self {
            spec,
            blocks,
            witnesses,
            folder,
        }
    }

    async fn keep(&self, block: &L2Block, fault: &Fault) -> Result<PathBuf, BoxError> {
        let witness = match self.witnesses.remembered(block.hash()) {
            Some(witness) => witness,
            None => self.witnesses.witness(block).await?,
        };
        let recorded = RecordedBlock {
            block: block.clone(),
            witness,
            source: None,
        };
        let (spec, fault, folder) = (self.spec.clone(), fault.clone(), self.folder.clone());
        run_blocking(move || {
            let evidence = Evidence::new(spec, recorded, fault)?;
            Ok(folder.keep(&evidence)?)
        })
        .await?
    }
}

#[async_trait]
impl<V: BlockValidator, W: WitnessSource> BlockValidator for EvidenceValidator<V, W> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let verdict = self.blocks.validate(block).await?;
        if let Verdict::Invalid(fault) = &verdict {
            let block_ref = block.reference();
            match self.keep(block, fault).await {
                Ok(file) => info!(block = %block_ref, file = %file.display(), "evidence kept"),
                Err(error) => warn!(
                    block = %block_ref,
                    error = &*error as &dyn std::error::Error,
                    "no evidence"
                ),
            }
        }
        Ok(verdict)
    }
}

/// Witnesses that are kept.
const CAPACITY: usize = 4;

/// Fetches witnesses from `W`, and keeps the last four for whoever needs one again.
///
/// Memory: those witnesses.
#[derive(Debug)]
pub struct WitnessMemory<W> {
    inner: W,
    kept: Mutex<VecDeque<(B256, Witness)>>,
}

impl<W: WitnessSource> WitnessMemory<W> {
    /// In front of `inner`, with nothing kept.
    pub const fn new(inner: W) -> Self {
        Self {
            inner,
            kept: Mutex::new(VecDeque::new()),
        }
    }

    /// The witness of the block with this hash that was fetched last.
    pub fn remembered(&self, hash: B256) -> Option<Witness> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(known, _)| *known == hash)?;
        Some(found.1.clone())
    }

    fn remember(&self, hash: B256, witness: Witness) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != hash);
        if kept.len() == CAPACITY {
            kept.pop_front();
        }
        kept.push_back((hash, witness));
    }
}

#[async_trait]
impl<W: WitnessSource> WitnessSource for WitnessMemory<W> {
    /// Asks anew each time: the witness that was not complete may be so now.
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let witness = self.inner.witness(block).await?;
        self.remember(block.hash(), witness.clone());
        Ok(witness)
    }
}
