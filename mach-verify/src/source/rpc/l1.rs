//! The same node as a source of L1.

use alloy_consensus::Header;
use alloy_primitives::{BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L1Head, L1Source, L2Source, SourceError},
};

use super::RpcSource;

/// Any node of L1 will do: what it does not serve as raw bytes is read as JSON.
#[async_trait]
impl L1Source for RpcSource {
    fn chain_id(&self) -> ChainId {
        L2Source::chain_id(self)
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        self.tagged(match head {
            L1Head::Latest => "latest",
            L1Head::Safe => "safe",
            L1Head::Finalized => "finalized",
        })
        .await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        self.header_at(number).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        L2Source::block(self, number).await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        self.block_receipts(header).await
    }
}
