//! What a node claims beyond the bytes of a block.

use alloy_primitives::{Address, B256, BlockNumber};
use async_trait::async_trait;
use mach_core::{BlockRef, ports::SourceError};
use serde::Deserialize;

use super::{RpcSource, hex};
use crate::cross_check::{BlockHashes, SenderSource};

/// A node that is asked for hashes only, of blocks in any format: a node of ZKsync, for example,
/// whose block hashes are not those of their headers.
#[derive(Clone, Debug)]
pub struct RpcHashes(RpcSource);

impl RpcHashes {
    /// Asks the node of `source`.
    pub const fn new(source: RpcSource) -> Self {
        Self(source)
    }
}

#[async_trait]
impl BlockHashes for RpcHashes {
    async fn block_hash(&self, number: BlockNumber) -> Result<B256, SourceError> {
        #[derive(Debug, Deserialize)]
        struct Named {
            hash: B256,
        }
        let named: Option<Named> = (self.0)
            .request("eth_getBlockByNumber", (hex(number), false))
            .await?;
        Ok(named.ok_or(SourceError::NotYet(number))?.hash)
    }
}

#[async_trait]
impl SenderSource for RpcSource {
    async fn senders(&self, block: BlockRef) -> Result<Vec<Address>, SourceError> {
        #[derive(Debug, Deserialize)]
        struct Sent {
            from: Address,
        }
        #[derive(Debug, Deserialize)]
        struct Body {
            hash: B256,
            transactions: Vec<Sent>,
        }
        let body: Option<Body> = self
            .request("eth_getBlockByNumber", (hex(block.number), true))
            .await?;
        let body = body.ok_or(SourceError::NotYet(block.number))?;
        if body.hash != block.hash {
            return Err(SourceError::NotHeld(block.number));
        }
        Ok(body.transactions.into_iter().map(|it| it.from).collect())
    }
}
