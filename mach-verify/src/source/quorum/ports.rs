//! A quorum as a source.

use std::future::Future;

use alloy_consensus::Header;
use alloy_primitives::{BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L1Head, L1Source, L2Head, L2Source, SourceError},
};

use super::{Matter, Quorum, lock};
use crate::{Witness, source::WitnessSource};

/// Most blocks of which it is remembered how often their witness was asked for: more than are
/// verified at a time.
const MAX_WITNESSES: usize = 1024;

#[async_trait]
impl<S: L2Source> L2Source for Quorum<S> {
    /// Of the first endpoint; those of other chains have no voice.
    fn chain_id(&self) -> ChainId {
        self.first().map_or(0, S::chain_id)
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let chain = L2Source::chain_id(self);
        self.agreed_head(
            |source| on_chain(chain, source.chain_id(), source.head(head)),
            |source, number| {
                let reference = async move { Ok(source.block(number).await?.reference()) };
                on_chain(chain, source.chain_id(), reference)
            },
        )
        .await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let chain = L2Source::chain_id(self);
        self.agreed_block(number, |source| {
            on_chain(chain, source.chain_id(), source.block(number))
        })
        .await
    }
}

#[async_trait]
impl<S: L1Source> L1Source for Quorum<S> {
    fn chain_id(&self) -> ChainId {
        self.first().map_or(0, S::chain_id)
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        let chain = L1Source::chain_id(self);
        self.agreed_head(
            |source| on_chain(chain, source.chain_id(), source.head(head)),
            |source, number| {
                let reference = async move {
                    let hash = source.header(number).await?.seal();
                    Ok(BlockRef { number, hash })
                };
                on_chain(chain, source.chain_id(), reference)
            },
        )
        .await
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        let chain = L1Source::chain_id(self);
        self.agree(
            Matter::Header,
            number,
            |source| on_chain(chain, source.chain_id(), source.header(number)),
            Sealed::seal,
        )
        .await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let chain = L1Source::chain_id(self);
        self.agreed_block(number, |source| {
            on_chain(chain, source.chain_id(), source.block(number))
        })
        .await
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        self.any(0, |source| source.receipts(header)).await
    }
}

#[async_trait]
impl<S: WitnessSource> WitnessSource for Quorum<S> {
    /// The best endpoints take turns. A witness that is asked for again was of no use: the next
    /// endpoint is asked first.
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let first = {
            let mut last = lock(&self.0.witnesses);
            let known = last.iter().position(|(hash, _)| *hash == block.hash());
            let known = known.and_then(|index| last.remove(index));
            let first = known.map_or_else(|| self.turn(), |(_, first)| first.wrapping_add(1));
            if last.len() == MAX_WITNESSES {
                last.pop_front();
            }
            last.push_back((block.hash(), first));
            first
        };
        self.any(first, |source| source.witness(block)).await
    }
}

/// Asks an endpoint, unless it is on another chain: it has no voice then.
async fn on_chain<T>(
    expected: ChainId,
    actual: ChainId,
    ask: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    if expected != actual {
        return Err(SourceError::WrongChain { expected, actual });
    }
    ask.await
}
