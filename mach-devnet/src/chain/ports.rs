//! The chains as sources of mach, without a socket.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_eips::{BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L1Head, L1Source, L2Head, L2Source, SourceError},
};
use mach_verify::{Witness, source::WitnessSource};

use super::{Block, Chain, Ethereum, Role};

impl<R: Role> Chain<R> {
    fn at_height(&self, number: BlockNumber) -> Result<Arc<Block<R>>, SourceError> {
        self.block(number.into()).ok_or(SourceError::NotYet(number))
    }

    fn reference(&self, tag: BlockNumberOrTag) -> BlockRef {
        let block = self.block(tag.into()).unwrap_or_else(|| self.latest());
        BlockRef {
            number: block.number(),
            hash: block.hash(),
        }
    }
}

#[async_trait]
impl<R: Role> L2Source for Chain<R> {
    fn chain_id(&self) -> ChainId {
        self.role().chain_id()
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        Ok(self.reference(match head {
            L2Head::Unsafe => BlockNumberOrTag::Latest,
            L2Head::Safe => BlockNumberOrTag::Safe,
            L2Head::Finalized => BlockNumberOrTag::Finalized,
        }))
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        Ok(self.at_height(number)?.to_l2_block(self.role().chain_id()))
    }
}

#[async_trait]
impl<R: Role> WitnessSource for Chain<R> {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let number = block.number();
        let known = (self.block(block.hash().into())).ok_or(SourceError::NotHeld(number))?;
        self.execution_witness(&known)
            .map_err(|error| SourceError::Backend(error.into()))
    }
}

#[async_trait]
impl L1Source for Chain<Ethereum> {
    fn chain_id(&self) -> ChainId {
        self.role().spec().chain_id()
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        Ok(self.reference(match head {
            L1Head::Latest => BlockNumberOrTag::Latest,
            L1Head::Safe => BlockNumberOrTag::Safe,
            L1Head::Finalized => BlockNumberOrTag::Finalized,
        }))
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        Ok(self.at_height(number)?.header.clone())
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        L2Source::block(self, number).await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        let block = self.block(header.seal().into());
        let block = block.ok_or(SourceError::NotHeld(header.number))?;
        Ok((block.receipts.iter())
            .map(|receipt| receipt.encoded_2718().into())
            .collect())
    }
}
