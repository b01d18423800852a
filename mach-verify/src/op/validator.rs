//! The check against L1 as a port: what it needs is fetched, proven, and compared.

use std::sync::{Mutex, PoisonError};

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{BlockNumber, Bytes, Sealed};
use async_trait::async_trait;
use mach_core::{
    Fault, L2Block, Verdict,
    ports::{
        BlockValidator, BoxError, L1Head, L1Source, L2Head, L2Source, SourceError, ValidateError,
    },
};

use super::{
    Basis, L1Error, L1Evidence, L1Facts, L1View, Parent, Rollup, judge_against_l1, proven_receipts,
};
use crate::{Accuser, header::transactions_root};

/// Most L1 blocks after an L1 origin that a check needs.
const MAX_FOLLOWING: usize = 2;

/// Which L1 blocks count as settled: only they can accuse a block of naming another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// Those that L1 has finalized.
    #[default]
    Finalized,
    /// Those with this many L1 blocks on top.
    Depth(u64),
}

/// Validates with `V`, and then against L1.
///
/// A block that `V` finds valid is compared with what L1 says it has to be; the verdict on any
/// other is left alone. Blocks that an L1 source does not hold, receipts that do not hash to their
/// header's root, an L1 that was reorganised since: all of that is undecided.
///
/// Which L1 block is canonical is the one thing that `L` is trusted with, and only below
/// [`Settlement`]: use a node of your own, or a quorum. A single wrong answer of it is noticed.
///
/// A block that was right on an L1 that was reorganised since is wrong on the L1 that is there now,
/// and a rollup node that missed the reorganisation still serves it. What rests on which L1 block is
/// there now is therefore said only of blocks that `S` serves as safe: [`L1Error::Orphaned`].
#[derive(Debug)]
pub struct OpL1Validator<V, L, S> {
    inner: V,
    rollup: Rollup,
    l1: L,
    parents: S,
    settlement: Settlement,
    last: Mutex<Option<Parent>>,
}

impl<V, L, S> OpL1Validator<V, L, S>
where
    V: BlockValidator,
    L: L1Source,
    S: L2Source,
{
    /// Validator that asks `l1` for L1 blocks, and `parents` for the parent of a block that does
    /// not follow the one before, and for what is safe.
    pub const fn new(inner: V, rollup: Rollup, l1: L, parents: S) -> Self {
        Self {
            inner,
            rollup,
            l1,
            parents,
            settlement: Settlement::Finalized,
            last: Mutex::new(None),
        }
    }

    /// The same validator with another idea of settled.
    #[must_use]
    pub const fn with_settlement(mut self, settlement: Settlement) -> Self {
        self.settlement = settlement;
        self
    }

    /// The rollup.
    pub const fn rollup(&self) -> &Rollup {
        &self.rollup
    }

    /// What L1 says of `block`, whatever executing it gives.
    ///
    /// Errors: [`ValidateError`], whenever L1 is not known well enough.
    pub async fn check(&self, block: &L2Block) -> Result<Option<Fault>, ValidateError> {
        Ok(self.examine(block).await?.0)
    }

    /// [`Self::check`], and a bundle that proves the fault to others.
    ///
    /// Errors: [`ValidateError`]; also if what was found is not found again in the bundle.
    pub async fn accuse(&self, block: &L2Block) -> Result<Option<L1Evidence>, ValidateError> {
        let (Some(fault), facts) = self.examine(block).await? else {
            return Ok(None);
        };
        let parent = self.parent_block(block).await?;
        let rollup = self.rollup.clone();
        let evidence = L1Evidence::new(rollup, parent, block.clone(), facts, fault);
        evidence.map(Some).map_err(|error| ValidateError::Internal {
            block: block.number(),
            source: Box::new(error),
        })
    }

    async fn examine(&self, block: &L2Block) -> Result<(Option<Fault>, L1Facts), ValidateError> {
        let number = block.number();
        if self.l1.chain_id() != self.rollup.config.l1_chain_id {
            let error = SourceError::WrongChain {
                expected: self.rollup.config.l1_chain_id,
                actual: self.l1.chain_id(),
            };
            return Err(ValidateError::Internal {
                block: number,
                source: Box::new(error),
            });
        }
        let parent = self.parent(block).await?;
        let mut known = Known::default();
        loop {
            let error = match judge_against_l1(&self.rollup, &parent, block, &known.view()) {
                Ok(None) => return Ok((None, known.facts)),
                Ok(Some((fault, basis))) => {
                    if basis == Basis::Canonical {
                        self.confirm(block).await?;
                    }
                    return Ok((Some(fault), known.facts));
                }
                Err(error) => error,
            };
            match error {
                L1Error::MissingOrigin(height) if known.facts.origin.is_none() => {
                    known.facts.origin = Some(self.header(number, height).await?);
                }
                L1Error::MissingNext(height) if known.facts.following.len() < MAX_FOLLOWING => {
                    known
                        .facts
                        .following
                        .push(self.header(number, height).await?);
                }
                L1Error::MissingReceipts(_) if known.receipts.is_none() => {
                    let Some(origin) = &known.facts.origin else {
                        return Err(from_l1(number, error));
                    };
                    let (raw, receipts) = self.receipts(number, origin).await?;
                    known.facts.receipts = Some(raw);
                    known.receipts = Some(receipts);
                }
                L1Error::Unsettled(_) if known.facts.settled.is_none() => {
                    // First what is settled, then the blocks again: one that was replaced in
                    // between must not count as settled.
                    known = Known::default();
                    known.facts.settled = Some(self.settled(number).await?);
                }
                error => return Err(from_l1(number, error)),
            }
        }
    }

    /// Errors: unless the source stands by `block`.
    async fn confirm(&self, block: &L2Block) -> Result<(), ValidateError> {
        let number = block.number();
        match is_stood_by(&self.parents, block).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(from_l1(number, L1Error::Orphaned(block.reference()))),
            Err(error) => Err(incomplete(number, error)),
        }
    }

    /// What the parent says, from the block before or from the source.
    async fn parent(&self, block: &L2Block) -> Result<Parent, ValidateError> {
        let hash = block.header.parent_hash;
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(last) = last
            && last.header.seal() == hash
        {
            return Ok(last);
        }
        let parent = self.parent_block(block).await?;
        Parent::of_block(&self.rollup, &parent).map_err(|error| from_l1(block.number(), error))
    }

    /// The parent from the source, proven by its hash.
    async fn parent_block(&self, block: &L2Block) -> Result<L2Block, ValidateError> {
        let number = block.number();
        let height = number.saturating_sub(1);
        let found = self.parents.block(height).await;
        let found = found.map_err(|error| incomplete(number, error))?;
        // The hash is that of the header, whose transactions root binds the body.
        let header = Sealed::new(found.header.inner().clone());
        let found = L2Block { header, ..found };
        if found.hash() != block.header.parent_hash
            || transactions_root(&found.transactions) != found.header.transactions_root
        {
            return Err(incomplete(number, SourceError::NotHeld(height)));
        }
        Ok(found)
    }

    async fn header(
        &self,
        block: BlockNumber,
        height: BlockNumber,
    ) -> Result<Sealed<Header>, ValidateError> {
        let header = self.l1.header(height).await;
        let header = header.map_err(|error| incomplete(block, error))?;
        if header.number != height {
            return Err(incomplete(block, SourceError::NotHeld(height)));
        }
        Ok(Sealed::new(header.into_inner()))
    }

    async fn receipts(
        &self,
        block: BlockNumber,
        origin: &Sealed<Header>,
    ) -> Result<(Vec<Bytes>, Vec<ReceiptEnvelope>), ValidateError> {
        let receipts = self.l1.receipts(origin).await;
        let receipts = receipts.map_err(|error| incomplete(block, error))?;
        let proven = proven_receipts(origin, &receipts).map_err(|source| {
            let error = L1Error::Receipts {
                block: origin.number,
                source,
            };
            from_l1(block, error)
        })?;
        Ok((receipts, proven))
    }

    async fn settled(&self, block: BlockNumber) -> Result<BlockNumber, ValidateError> {
        let (head, depth) = match self.settlement {
            Settlement::Finalized => (L1Head::Finalized, 0),
            Settlement::Depth(depth) => (L1Head::Latest, depth),
        };
        let head = self.l1.head(head).await;
        let head = head.map_err(|error| incomplete(block, error))?;
        Ok(head.number.saturating_sub(depth))
    }
}

#[async_trait]
impl<V, L, S> BlockValidator for OpL1Validator<V, L, S>
where
    V: BlockValidator,
    L: L1Source,
    S: L2Source,
{
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let verdict = self.inner.validate(block).await?;
        if verdict.fault().is_some() {
            return Ok(verdict);
        }
        if let Some(fault) = self.check(block).await? {
            return Ok(Verdict::Invalid(fault));
        }
        // The next block starts from here; one that cannot be understood is found then.
        let parent = Parent::of_block(&self.rollup, block).ok();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = parent;
        Ok(verdict)
    }
}

#[async_trait]
impl<V, L, S> Accuser for OpL1Validator<V, L, S>
where
    V: BlockValidator,
    L: L1Source,
    S: L2Source,
{
    async fn accuse(&self, block: &L2Block) -> Result<Option<L1Evidence>, ValidateError> {
        // The method above.
        Self::accuse(self, block).await
    }
}

/// What was fetched for one block.
#[derive(Debug, Default)]
struct Known {
    facts: L1Facts,
    /// The receipts of `facts`, proven.
    receipts: Option<Vec<ReceiptEnvelope>>,
}

impl Known {
    fn view(&self) -> L1View<'_> {
        L1View {
            origin: self.facts.origin.as_ref(),
            receipts: self.receipts.as_deref(),
            following: &self.facts.following,
            settled: self.facts.settled,
        }
    }
}

/// Whether `source` serves `block` as safe, now. One that has no safe block stands by none.
pub(crate) async fn is_stood_by<S: L2Source>(
    source: &S,
    block: &L2Block,
) -> Result<bool, SourceError> {
    let served = match source.head(L2Head::Safe).await {
        Ok(head) if head.number < block.number() => return Ok(false),
        Ok(_) => source.block(block.number()).await,
        Err(error) => Err(error),
    };
    match served {
        Ok(served) => Ok(served.header.hash_slow() == block.header.hash_slow()),
        Err(SourceError::NotYet(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn incomplete(block: BlockNumber, error: SourceError) -> ValidateError {
    let source: BoxError = Box::new(error);
    ValidateError::Incomplete { block, source }
}

fn from_l1(block: BlockNumber, error: L1Error) -> ValidateError {
    let is_transient = error.is_transient();
    let source: BoxError = Box::new(error);
    if is_transient {
        ValidateError::Incomplete { block, source }
    } else {
        ValidateError::Unsupported { block, source }
    }
}
