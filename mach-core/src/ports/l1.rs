use alloy_consensus::Header;
use alloy_eips::eip4844::Blob;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use auto_impl::auto_impl;

use super::SourceError;
use crate::{BlockRef, L2Block};

/// How settled an L1 block is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum L1Head {
    /// Newest block.
    #[default]
    Latest,
    /// Newest justified block.
    Safe,
    /// Newest final block.
    Finalized,
}

/// Where the blocks of L1 come from: what a rollup says of L1 is compared with them.
///
/// A source is asked, not trusted: headers link by their hashes, transactions and receipts prove
/// themselves to the roots of their header, and whoever uses them checks that.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait L1Source: Send + Sync {
    /// EIP-155 id of L1.
    fn chain_id(&self) -> ChainId;

    /// Newest block at the given confidence.
    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError>;

    /// Header at a height, with its computed hash.
    ///
    /// Errors: [`SourceError::NotYet`] above the head.
    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError>;

    /// Header, transactions and withdrawals at a height.
    ///
    /// Errors: [`SourceError::NotYet`] above the head.
    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError>;

    /// EIP-2718 encodings of the receipts of the block with this header, in block order.
    ///
    /// Errors: [`SourceError::NotHeld`] if the source has another block at this height.
    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError>;
}

/// Where the blobs of L1 blocks come from: a beacon node, an archive, files.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BlobSource: Send + Sync {
    /// The blobs with these EIP-4844 versioned hashes, in this order, of the L1 block with this
    /// header.
    ///
    /// Whoever uses a blob compares its hash; a source need not.
    ///
    /// Errors: [`SourceError::NotHeld`] if a blob is no longer kept.
    async fn blobs(
        &self,
        header: &Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError>;
}
