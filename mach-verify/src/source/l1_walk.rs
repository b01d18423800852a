//! Block after block of L1, as far as it is settled, with bodies and receipts that are proven.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{BlockNumber, Bloom, Sealed};
use mach_core::{
    BlockRef, L2Block,
    ports::{BoxError, L1Head, L1Source, SourceError},
};

use crate::{
    header::transactions_root,
    op::{Settlement, proven_receipts},
};

/// L1 blocks that are looked at in one go.
pub(crate) const MAX_STEP: u64 = 1024;
/// L1 blocks whose hashes a follower keeps, to find where a reorganisation began.
pub(crate) const MAX_RECENT: usize = 256;

/// Looks at the blocks of L1, each on the one before.
#[derive(Debug)]
pub(crate) struct L1Walk<L> {
    pub(crate) l1: L,
    pub(crate) settlement: Settlement,
    pub(crate) start: BlockNumber,
}

/// One L1 block on the way.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: BlockRef,
    /// Body and receipts, if the bloom said that they are of interest.
    pub(crate) content: Option<(L2Block, Vec<ReceiptEnvelope>)>,
}

impl<L: L1Source> L1Walk<L> {
    /// Highest block that is looked at.
    pub(crate) async fn settled(&self) -> Result<BlockNumber, SourceError> {
        let (head, depth) = match self.settlement {
            Settlement::Finalized => (L1Head::Finalized, 0),
            Settlement::Depth(depth) => (L1Head::Latest, depth),
        };
        Ok(self.l1.head(head).await?.number.saturating_sub(depth))
    }

    /// Whether L1 still holds the last block that was looked at.
    ///
    /// Errors: [`SourceError::NotYet`] also if the block was final and lies above the final head
    /// now: that is a node that lags, and nothing is gone.
    pub(crate) async fn holds(
        &self,
        block: BlockRef,
        settled: BlockNumber,
    ) -> Result<bool, SourceError> {
        if settled < block.number && self.settlement == Settlement::Finalized {
            return Err(SourceError::NotYet(block.number));
        }
        match self.header(block.number).await {
            Ok(header) => Ok(header.seal() == block.hash),
            Err(SourceError::NotYet(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The block after `last`, or the first; `None` if it is not settled, or if L1 was reorganised
    /// while it was looked at.
    pub(crate) async fn next(
        &self,
        last: Option<BlockRef>,
        settled: BlockNumber,
        is_wanted: impl Fn(&Bloom) -> bool,
    ) -> Result<Option<Step>, SourceError> {
        let number = last.map_or(self.start, |last| last.number.saturating_add(1));
        if number > settled {
            return Ok(None);
        }
        let header = self.header(number).await?;
        if last.is_some_and(|last| last.hash != header.parent_hash) {
            return Ok(None);
        }
        let at = BlockRef {
            number,
            hash: header.seal(),
        };
        let content = if is_wanted(&header.logs_bloom) {
            Some(self.content(header).await?)
        } else {
            None
        };
        Ok(Some(Step { at, content }))
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        let header = Sealed::new(self.l1.header(number).await?.into_inner());
        if header.number != number {
            return Err(SourceError::NotHeld(number));
        }
        Ok(header)
    }

    async fn content(
        &self,
        header: Sealed<Header>,
    ) -> Result<(L2Block, Vec<ReceiptEnvelope>), SourceError> {
        let number = header.number;
        let malformed = |field, source: BoxError| SourceError::Malformed {
            number,
            field,
            source,
        };
        let receipts = self.l1.receipts(&header).await?;
        let receipts = proven_receipts(&header, &receipts)
            .map_err(|error| malformed("receipts", Box::new(error)))?;
        let body = self.l1.block(number).await?;
        let computed = transactions_root(&body.transactions);
        if computed != header.transactions_root {
            let what = format!("they hash to {computed}");
            return Err(malformed("transactions", what.into()));
        }
        Ok((L2Block { header, ..body }, receipts))
    }
}
