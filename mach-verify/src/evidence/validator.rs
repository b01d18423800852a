use std::{
    collections::VecDeque,
    fmt::{self, Debug},
    num::NonZeroUsize,
    ops::RangeInclusive,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::B256;
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    Fault, L2Block, Verdict,
    ports::{BlockValidator, BoxError, SourceError, ValidateError},
};
use tracing::{info, warn};

use super::{Evidence, EvidenceFolder, PendingEvidence};
use crate::{
    ChainSpec, Witness,
    derive::DerivationAccuser,
    follow::Follower,
    op::L1Evidence,
    source::{RecordedBlock, WitnessSource, run_beside, run_blocking},
};

/// Codes of the faults that [`verify_against_l1`](crate::op::verify_against_l1) names: executing the
/// block does not show them.
const SHOWN_BY_L1: RangeInclusive<u16> = 160..=169;
/// Codes of the faults that [`Derivation`](crate::derive::Derivation) names, those of L1 among them.
const SHOWN_BY_DERIVATION: RangeInclusive<u16> = 160..=171;

/// Who proves what only L1 shows: [`OpL1Validator`](crate::op::OpL1Validator).
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait Accuser: Send + Sync {
    /// What L1 has against `block`, if anything.
    ///
    /// Errors: [`ValidateError`], whenever L1 is not known well enough.
    async fn accuse(&self, block: &L2Block) -> Result<Option<L1Evidence>, ValidateError>;
}

/// Leaves a bundle for every block that `V` calls invalid.
///
/// The verdict does not wait for it: where there is a tokio runtime, the bundle is replayed and
/// written beside, unless 8 others are being made. The witness comes from the memory that `V`
/// should take its own from, since a node that lies may not serve it twice. A fault that the bundle
/// does not give again, or a full disk, costs the evidence and not the verdict, and is logged.
pub struct EvidenceValidator<V, W> {
    blocks: V,
    maker: Maker<W>,
}

/// What makes bundles.
struct Maker<W> {
    spec: ChainSpec,
    witnesses: Arc<WitnessMemory<W>>,
    folder: EvidenceFolder,
    l1: Option<Arc<dyn Accuser>>,
    derivation: Option<Arc<dyn DerivationAccuser>>,
    follower: Option<Arc<Follower>>,
    /// Bundles that are being made beside.
    beside: PendingEvidence,
}

impl<W> Clone for Maker<W> {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            witnesses: Arc::clone(&self.witnesses),
            folder: self.folder.clone(),
            l1: self.l1.clone(),
            derivation: self.derivation.clone(),
            follower: self.follower.clone(),
            beside: self.beside.clone(),
        }
    }
}

impl<V: Clone, W> Clone for EvidenceValidator<V, W> {
    fn clone(&self) -> Self {
        Self {
            blocks: self.blocks.clone(),
            maker: self.maker.clone(),
        }
    }
}

impl<V: Debug, W> Debug for EvidenceValidator<V, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidenceValidator")
            .field("blocks", &self.blocks)
            .field("folder", &self.maker.folder)
            .finish_non_exhaustive()
    }
}

impl<V, W> EvidenceValidator<V, W> {
    /// Validates blocks of the chain of `spec` with `blocks`.
    pub fn new(
        spec: ChainSpec,
        blocks: V,
        witnesses: Arc<WitnessMemory<W>>,
        folder: EvidenceFolder,
    ) -> Self {
        let maker = Maker {
            spec,
            witnesses,
            folder,
            l1: None,
            derivation: None,
            follower: None,
            beside: PendingEvidence::default(),
        };
        Self { blocks, maker }
    }

    /// The same where `blocks` compares with L1 too: `accuser` proves what it finds there.
    #[must_use]
    pub fn with_l1(mut self, accuser: Arc<dyn Accuser>) -> Self {
        self.maker.l1 = Some(accuser);
        self
    }

    /// The same where `blocks` follows from L1 too: `accuser` proves what it finds.
    #[must_use]
    pub fn with_derivation(mut self, accuser: Arc<dyn DerivationAccuser>) -> Self {
        self.maker.derivation = Some(accuser);
        self
    }

    /// The same where `blocks` executes with `follower`, which needs less than a whole witness: what
    /// is not in one is put into the bundle.
    #[must_use]
    pub fn with_follower(mut self, follower: Arc<Follower>) -> Self {
        self.maker.follower = Some(follower);
        self
    }

    /// The bundles that are being made, for whoever ends the process to wait for.
    pub fn pending(&self) -> PendingEvidence {
        self.maker.beside.clone()
    }
}

impl<W: WitnessSource + 'static> Maker<W> {
    async fn keep(
        self,
        block: L2Block,
        fault: Fault,
        witness: Option<Witness>,
    ) -> Result<PathBuf, BoxError> {
        if let Some(l1) = &self.l1
            && SHOWN_BY_L1.contains(&fault.code())
        {
            let found = l1.accuse(&block).await?;
            let Some(evidence) = found.filter(|evidence| *evidence.fault() == fault) else {
                return Err("L1 does not say so any more".into());
            };
            return run_blocking(move || Ok(self.folder.keep(&evidence)?)).await?;
        }
        if let Some(derivation) = &self.derivation
            && SHOWN_BY_DERIVATION.contains(&fault.code())
        {
            let found = derivation.accuse(&block).await?;
            let Some(evidence) = found.filter(|evidence| *evidence.fault() == fault) else {
                return Err("derivation does not say so any more".into());
            };
            return run_blocking(move || Ok(self.folder.keep(&evidence)?)).await?;
        }
        let witness = match witness {
            Some(witness) => witness,
            None => self.witnesses.witness(&block).await?,
        };
        run_blocking(move || {
            let complete = (self.follower).and_then(|it| it.complete(&block, &witness).ok());
            let recorded = RecordedBlock {
                witness: complete.unwrap_or(witness),
                block,
                source: None,
            };
            let evidence = Evidence::new(self.spec, recorded, fault)?;
            Ok(self.folder.keep(&evidence)?)
        })
        .await?
    }
}

#[async_trait]
impl<V: BlockValidator, W: WitnessSource + 'static> BlockValidator for EvidenceValidator<V, W> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let verdict = self.blocks.validate(block).await?;
        if let Verdict::Invalid(fault) = &verdict {
            // Now, before the next blocks push it out.
            let witness = self.maker.witnesses.remembered(block.hash());
            let (maker, block, fault) = (self.maker.clone(), block.clone(), fault.clone());
            let place = self.maker.beside.place();
            let has_place = place.is_some();
            let work = async move {
                let _place = place;
                let block_ref = block.reference();
                match maker.keep(block, fault, witness).await {
                    Ok(file) => info!(block = %block_ref, file = %file.display(), "evidence kept"),
                    Err(error) => warn!(
                        block = %block_ref,
                        error = &*error as &dyn std::error::Error,
                        "no evidence"
                    ),
                }
            };
            if has_place {
                run_beside(work).await;
            } else {
                work.await;
            }
        }
        Ok(verdict)
    }
}

/// Witnesses that are kept unless it is told otherwise.
const CAPACITY: NonZeroUsize = const { NonZeroUsize::new(4).unwrap() };

/// Fetches witnesses from `W`, and keeps the last four for whoever needs one again.
///
/// Memory: those witnesses.
#[derive(Debug)]
pub struct WitnessMemory<W> {
    inner: W,
    kept: Mutex<VecDeque<(B256, Witness)>>,
    capacity: NonZeroUsize,
}

impl<W: WitnessSource> WitnessMemory<W> {
    /// In front of `inner`, with nothing kept.
    pub const fn new(inner: W) -> Self {
        Self {
            inner,
            kept: Mutex::new(VecDeque::new()),
            capacity: CAPACITY,
        }
    }

    /// The same with room for another number of witnesses: as many as blocks are validated at a
    /// time, or one may be gone before its block is found to be invalid.
    #[must_use]
    pub const fn with_capacity(mut self, witnesses: NonZeroUsize) -> Self {
        self.capacity = witnesses;
        self
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
        if kept.len() == self.capacity.get() {
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
