//! Derivation over ports.

use std::{collections::VecDeque, fmt, sync::Arc};

use alloy_primitives::{B256, BlockNumber};
use mach_core::{
    BlockRef, Fault, L2Block, Verdict,
    ports::{BlobSource, BlockValidator, L1Head, L1Source, L2Source, SourceError, ValidateError},
};

use super::{
    Derivation, DerivationEvidence, DeriveError, DerivedBlock, Origin, Step,
    evidence::MAX_RECORD_BYTES,
};
use crate::op::{Rollup, is_stood_by};

/// Most L1 blocks of which it is remembered what they decided: more than come between two final
/// ones. Each takes 80 bytes.
const MAX_DECIDED: usize = 10_000;

/// What following from L1 says of a published block.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is the block that follows from L1.
    Derived(Box<DerivedBlock>),
    /// Another block follows from L1.
    NotDerivable(Fault),
}

/// Follows a rollup block by block, trusting L1 alone.
///
/// L1 blocks, receipts and blobs are fetched as derivation needs them, and published blocks are
/// compared with what follows. A block that the batcher has not posted yet is
/// [`SourceError::NotYet`].
///
/// It goes as far as the finalized L1 block, unless [`Self::with_head`] says otherwise. Nearer to
/// the head, L1 may be reorganised: that is [`DeriveError::L1Reorg`] once another L1 block comes,
/// and [`Self::recover`] or [`Self::restart`] begins again. Nothing is said against a block before the L1 block that
/// decides it is final and still there: until then it is [`DeriveError::Unsettled`]. A block may be
/// left over from before a reorganisation that its node has missed, or from before its sequencer
/// replaced it: it is [`DeriveError::Orphaned`] unless the rollup's source serves it as safe.
///
/// From Holocene on a batch whose transactions cannot be executed gives way to a block with nothing
/// but deposits. Only who executes the batch knows: [`Self::with_executor`], or whoever says so with
/// [`Self::accept_replacement`]; until then such a block is [`DeriveError::Replaced`].
pub struct Driver<L, B, S> {
    l1: L,
    blobs: B,
    l2: S,
    executor: Option<Arc<dyn BlockValidator>>,
    head: L1Head,
    /// Highest L1 block that was known to exist.
    l1_head: BlockNumber,
    derivation: Derivation,
    suspicion: Option<Box<Suspicion>>,
    /// The block that is trusted.
    start: BlockRef,
    /// The last block that each L1 block decided.
    decided: VecDeque<Decided>,
}

#[derive(Clone, Copy, Debug)]
struct Decided {
    block: BlockRef,
    inclusion: BlockRef,
}

/// A block that is not what its first batch says, while it is not known whether that batch counts.
#[derive(Debug)]
struct Suspicion {
    block: B256,
    /// What is wrong with it, if the batch counts.
    fault: Fault,
    /// Derivation as it was when the block came: no other block has to do with its batch.
    before: Derivation,
}

impl<L: L1Source, B: BlobSource, S: L2Source> Driver<L, B, S> {
    /// Derivation behind `start`, a rollup block that is trusted.
    ///
    /// Earlier blocks are read from `l2` as well; their hashes prove them.
    ///
    /// Errors: [`DriverError`].
    pub fn new(
        rollup: Rollup,
        start: &L2Block,
        l1: L,
        blobs: B,
        l2: S,
    ) -> Result<Self, DriverError> {
        for (expected, actual) in [
            (rollup.config.l1_chain_id, l1.chain_id()),
            (rollup.config.l2_chain_id, l2.chain_id()),
        ] {
            if expected != actual {
                return Err(SourceError::WrongChain { expected, actual }.into());
            }
        }
        Ok(Self {
            derivation: Derivation::new(rollup, start)?,
            l1,
            blobs,
            l2,
            executor: None,
            head: L1Head::Finalized,
            l1_head: 0,
            suspicion: None,
            start: start.reference(),
            decided: VecDeque::new(),
        })
    }

    /// The same driver, reading L1 up to another head.
    #[must_use]
    pub const fn with_head(mut self, head: L1Head) -> Self {
        self.head = head;
        self
    }

    /// The same driver, asking `executor` whether the transactions of a batch can be executed where
    /// the block in its place has none.
    ///
    /// What it is asked is on nobody's chain, so it has to gather its witness itself:
    /// `StatelessValidator` over `RpcSource::with_proofs_only`, for example. Only
    /// [`Fault::Transaction`] counts, and only for the block.
    #[must_use]
    pub fn with_executor(mut self, executor: Arc<dyn BlockValidator>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// Begins again behind `start`, after L1 was reorganised.
    ///
    /// Errors: [`DriverError`].
    pub fn restart(&mut self, start: &L2Block) -> Result<(), DriverError> {
        self.derivation = Derivation::new(self.derivation.rollup().clone(), start)?;
        self.suspicion = None;
        self.l1_head = 0;
        self.start = start.reference();
        self.decided.clear();
        Ok(())
    }

    /// Begins again behind the last block that a final L1 block decided, or behind the start if there
    /// is none: that block follows from L1 whatever is reorganised.
    ///
    /// Errors: [`DriverError`]; it stays where it was then. [`DeriveError::WrongAncestor`] if the
    /// rollup's source has another block there.
    pub async fn recover(&mut self) -> Result<(), DriverError> {
        let finalized = self.l1.head(L1Head::Finalized).await?.number;
        let mut start = self.start;
        for decided in self.decided.iter().rev() {
            let inclusion = decided.inclusion;
            if inclusion.number <= finalized
                && self.l1.header(inclusion.number).await?.seal() == inclusion.hash
            {
                start = decided.block;
                break;
            }
        }
        let block = self.l2.block(start.number).await?;
        if block.reference() != start {
            return Err(DeriveError::WrongAncestor(block.reference()).into());
        }
        self.restart(&block)
    }

    /// Whether the rollup's source has left the branch of [`Derivation::head`].
    ///
    /// Errors: [`DriverError`].
    pub async fn is_left(&self) -> Result<bool, DriverError> {
        let head = self.derivation.head();
        match self.l2.block(head.number).await {
            Ok(block) => Ok(block.reference() != head),
            Err(SourceError::NotYet(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// How far it is.
    pub const fn derivation(&self) -> &Derivation {
        &self.derivation
    }

    /// Compares the next block, as the rollup's source has it.
    ///
    /// Errors: [`DriverError`]; the same block comes next then. After a
    /// [`Finding::NotDerivable`], too: nothing behind that block follows from L1.
    pub async fn next(&mut self) -> Result<(L2Block, Finding), DriverError> {
        // What L1 does not decide yet is not asked for: the source may still replace it. It may
        // have replaced a block that was suspected.
        if self.suspicion.is_none() {
            self.derive().await?;
        }
        let number = self.derivation.head().number.saturating_add(1);
        let block = self.l2.block(number).await?;
        let finding = self.check(&block).await?;
        Ok((block, finding))
    }

    /// Compares `block`, which has to be the next one, and goes on behind it if it is derived.
    ///
    /// Errors: [`DriverError`]; [`DeriveError::Orphaned`] if it is not, and the rollup's source does not
    /// serve it as safe.
    pub async fn check(&mut self, block: &L2Block) -> Result<Finding, DriverError> {
        self.forget_suspicion(|suspect| suspect != block.hash());
        loop {
            self.derive().await?;
            let fault = self.derivation.check(block)?;
            let Some(derived) = self.derivation.derived() else {
                return Err(DeriveError::NotYet(block.number()).into());
            };
            let is_certain = derived.transactions.is_empty();
            match (fault, &self.suspicion) {
                (None, None) => return self.accept(block),
                // It is what counts if the transactions of an earlier batch cannot be executed.
                (None, Some(suspicion)) => {
                    let is_replacement = derived.origin == Origin::Replacement;
                    if is_replacement && self.is_impossible(suspicion, block).await? {
                        return self.accept(block);
                    }
                    return Err(DeriveError::Replaced(block.number()).into());
                }
                (Some(fault), suspicion) if is_certain => {
                    let fault = suspicion.as_ref().map_or(fault, |it| it.fault.clone());
                    let inclusion = derived.inclusion;
                    self.confirm(inclusion).await?;
                    // A sequencer may replace what it has not posted, and a node that misses that
                    // serves the old block for a while, never as safe.
                    if !is_stood_by(&self.l2, block).await? {
                        return Err(DeriveError::Orphaned(block.reference()).into());
                    }
                    return Ok(Finding::NotDerivable(fault));
                }
                (Some(fault), suspicion) => {
                    if suspicion.is_none() {
                        self.suspicion = Some(Box::new(Suspicion {
                            block: block.hash(),
                            fault,
                            before: self.derivation.clone(),
                        }));
                    }
                    // The batch differs. Is the block what counts if the batch does not?
                    self.derivation.reject();
                }
            }
        }
    }

    /// Says that the transactions of the batch cannot be executed in whose place `block` stands,
    /// and goes on behind `block`.
    ///
    /// Errors: [`DriverError`], if [`Self::check`] does not answer [`DeriveError::Replaced`] to
    /// `block`.
    pub async fn accept_replacement(&mut self, block: &L2Block) -> Result<Finding, DriverError> {
        match self.check(block).await {
            Err(DriverError::Derive(DeriveError::Replaced(_))) => self.accept(block),
            other => other,
        }
    }

    /// Evidence against `block`, made from L1 as the sources have it now: derivation starts behind
    /// the parent of `block` once more. `None` if nothing is found against it.
    ///
    /// Errors: [`DriverError`].
    pub async fn accuse(&self, block: &L2Block) -> Result<Option<DerivationEvidence>, DriverError> {
        let rollup = self.derivation.rollup();
        DerivationEvidence::gather(rollup, block, &self.l1, &self.blobs, &self.l2).await
    }

    fn accept(&mut self, block: &L2Block) -> Result<Finding, DriverError> {
        let derived = self.derivation.derived().cloned();
        let derived = derived.ok_or(DeriveError::NotYet(block.number()))?;
        self.derivation.accept(block)?;
        self.suspicion = None;
        let decided = Decided {
            block: block.reference(),
            inclusion: derived.inclusion,
        };
        match self.decided.back_mut() {
            Some(last) if last.inclusion == decided.inclusion => *last = decided,
            _ => {
                // Without the oldest there is still the start.
                if self.decided.len() == MAX_DECIDED {
                    self.decided.pop_front();
                }
                self.decided.push_back(decided);
            }
        }
        Ok(Finding::Derived(Box::new(derived)))
    }

    /// Puts derivation back to where it was before a suspected block came.
    fn forget_suspicion(&mut self, is_over: impl FnOnce(B256) -> bool) {
        if let Some(suspicion) = self.suspicion.take_if(|it| is_over(it.block)) {
            self.derivation = suspicion.before;
        }
    }

    /// Whether it is known that the transactions cannot be executed in whose place `block` stands.
    async fn is_impossible(
        &self,
        suspicion: &Suspicion,
        block: &L2Block,
    ) -> Result<bool, DriverError> {
        let (Some(executor), Some(batch)) = (&self.executor, suspicion.before.derived()) else {
            return Ok(false);
        };
        let candidate = batch.candidate(block);
        let first = block.transactions.len() as u64;
        let verdict = executor.validate(&candidate).await?;
        Ok(matches!(
            verdict,
            Verdict::Invalid(Fault::Transaction { index, .. }) if index >= first
        ))
    }

    /// Whether L1 still has the block that decided the next one, and keeps it.
    async fn confirm(&self, inclusion: BlockRef) -> Result<(), DriverError> {
        let finalized = self.l1.head(L1Head::Finalized).await?.number;
        if inclusion.number > finalized {
            return Err(DeriveError::Unsettled(inclusion).into());
        }
        let header = self.l1.header(inclusion.number).await?;
        if header.seal() != inclusion.hash {
            let block = BlockRef {
                number: header.number,
                hash: header.seal(),
            };
            return Err(DeriveError::L1Replaced { block, inclusion }.into());
        }
        Ok(())
    }

    /// Derives the next block, fetching what is needed.
    async fn derive(&mut self) -> Result<(), DriverError> {
        loop {
            match self.derivation.step()? {
                Step::Block(_) => return Ok(()),
                Step::NeedsAncestor(number) => {
                    let block = self.l2.block(number).await?;
                    self.derivation.add_ancestor(&block)?;
                }
                Step::NeedsL1(number) => self.read_l1(number).await?,
            }
        }
    }

    async fn read_l1(&mut self, number: BlockNumber) -> Result<(), DriverError> {
        if number > self.l1_head {
            self.l1_head = self.l1.head(self.head).await?.number;
        }
        if number > self.l1_head {
            let next = self.derivation.head().number.saturating_add(1);
            return Err(SourceError::NotYet(next).into());
        }
        let block = self.l1.block(number).await?;
        let receipts = self.l1.receipts(&block.header).await?;
        let opened = self.derivation.open(&block, &receipts)?;
        let hashes = opened.blob_hashes();
        let blobs = if hashes.is_empty() {
            Vec::new()
        } else {
            self.blobs.blobs(&block.header, &hashes).await?
        };
        self.derivation.add(opened, &blobs)?;
        Ok(())
    }
}

impl<L: fmt::Debug, B: fmt::Debug, S: fmt::Debug> fmt::Debug for Driver<L, B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("l1", &self.l1)
            .field("blobs", &self.blobs)
            .field("l2", &self.l2)
            .field("head", &self.head)
            .field("derivation", &self.derivation.head())
            .finish_non_exhaustive()
    }
}

/// Why it is not known whether a block follows from L1.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A source does not answer, or not well.
    #[error("a source does not give what derivation needs")]
    Source(#[from] SourceError),
    /// What the sources gave does not decide it.
    #[error("what follows from L1 is not known")]
    Derive(#[from] DeriveError),
    /// Whether the transactions of a batch can be executed is not known.
    #[error("whether the batch of the block can be executed is not known")]
    Execute(#[from] ValidateError),
    /// What decides the block is more than a bundle of evidence holds.
    #[error("block {0} is decided by more than the {MAX_RECORD_BYTES} bytes that evidence holds")]
    TooLarge(BlockNumber),
}

impl DriverError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Derive(error) => error.is_transient(),
            Self::Execute(error) => error.is_transient(),
            Self::TooLarge(_) => false,
        }
    }

    /// Whether L1, or the rollup, was reorganised under the driver: [`Driver::recover`] or
    /// [`Driver::restart`] begins again.
    pub const fn is_reorg(&self) -> bool {
        matches!(
            self,
            Self::Derive(
                DeriveError::L1Reorg { .. }
                    | DeriveError::L1Replaced { .. }
                    | DeriveError::WrongOrigin { .. }
                    | DeriveError::WrongParent { .. }
            )
        )
    }

    /// Whether L1 was reorganised under the driver, whatever the rollup did.
    #[cfg(feature = "rpc")]
    pub(super) const fn is_l1_reorg(&self) -> bool {
        matches!(
            self,
            Self::Derive(
                DeriveError::L1Reorg { .. }
                    | DeriveError::L1Replaced { .. }
                    | DeriveError::WrongOrigin { .. }
            )
        )
    }

    /// Whether the batcher has not posted the block yet.
    pub const fn is_not_yet(&self) -> bool {
        matches!(
            self,
            Self::Source(SourceError::NotYet(_)) | Self::Derive(DeriveError::NotYet(_))
        )
    }
}
