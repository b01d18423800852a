//! Blocks and witnesses from a node's JSON-RPC.

mod http;
mod op_node;
mod witness;

use alloy_json_rpc::{RpcRecv, RpcSend};
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, U64, keccak256};
use alloy_rpc_client::RpcClient;
use alloy_transport::TransportError;
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L2Head, L2Source, SourceError},
};
use serde::Deserialize;
use url::Url;

use super::WitnessSource;
use crate::Witness;

pub use http::MAX_RESPONSE_BYTES;
pub use op_node::OpNode;

/// A node with the `eth` and `debug` namespaces: `debug_getRawBlock`, `debug_getRawHeader` and
/// `debug_executionWitness`, as reth, geth, op-reth and op-geth have them.
///
/// Nothing that the node says is trusted: the block has to hash to the hash that the node names,
/// and a witness proves itself. What is malformed is an error.
#[derive(Clone, Debug)]
pub struct RpcSource {
    client: RpcClient,
    chain_id: ChainId,
}

impl RpcSource {
    /// A node behind any alloy client, said to be on chain `chain_id`.
    pub const fn new(client: RpcClient, chain_id: ChainId) -> Self {
        Self { client, chain_id }
    }

    /// The node at an HTTP URL, asked for its chain. Answers are bounded by
    /// [`MAX_RESPONSE_BYTES`] and in time.
    ///
    /// Errors: [`SourceError::Backend`].
    pub async fn connect(url: Url) -> Result<Self, SourceError> {
        let client = http::client(url)?;
        let chain_id: U64 = request(&client, "eth_chainId", ()).await?;
        Ok(Self::new(client, chain_id.to()))
    }

    /// Block and witness at a height, to be kept.
    ///
    /// Errors: [`SourceError`].
    pub async fn record(&self, number: BlockNumber) -> Result<super::RecordedBlock, SourceError> {
        let block = self.block(number).await?;
        let witness = self.witness(&block).await?;
        Ok(super::RecordedBlock {
            block,
            witness,
            source: None,
        })
    }

    async fn named(&self, tag: &str) -> Result<Option<BlockRef>, SourceError> {
        #[derive(Debug, Deserialize)]
        struct Named {
            number: U64,
            hash: B256,
        }
        let named: Option<Named> = request(
            &self.client,
            "eth_getBlockByNumber",
            (tag.to_owned(), false),
        )
        .await?;
        Ok(named.map(|block| BlockRef {
            number: block.number.to(),
            hash: block.hash,
        }))
    }
}

#[async_trait]
impl L2Source for RpcSource {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let tag = match head {
            L2Head::Unsafe => "latest",
            L2Head::Safe => "safe",
            L2Head::Finalized => "finalized",
        };
        // Before anything is final there is genesis.
        self.named(tag).await?.ok_or(SourceError::NotYet(0))
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let tag = hex(number);
        let named = self.named(&tag).await?.ok_or(SourceError::NotYet(number))?;
        let raw: Bytes = request(&self.client, "debug_getRawBlock", (tag,)).await?;
        let block = L2Block::decode_rlp(self.chain_id, &raw)
            .map_err(|source| SourceError::Block { number, source })?;
        if block.number() != number {
            return Err(SourceError::Malformed {
                number,
                field: "number",
                source: format!("the node sent block {}", block.number()).into(),
            });
        }
        if block.hash() != named.hash {
            return Err(SourceError::HashMismatch {
                number,
                computed: block.hash(),
                claimed: named.hash,
            });
        }
        Ok(block)
    }
}

#[async_trait]
impl WitnessSource for RpcSource {
    async fn witness(&self, block: &L2Block) -> Result<Witness, SourceError> {
        let number = block.number();
        let raw: witness::RawWitness =
            request(&self.client, "debug_executionWitness", (hex(number),)).await?;
        let mut witness = raw.into_witness(number)?;
        let parent_hash = block.header.parent_hash;
        if witness.header(parent_hash).is_none()
            && let Some(parent) = number.checked_sub(1)
        {
            // Not every node adds the parent's header of its own accord.
            let header: Bytes = request(&self.client, "debug_getRawHeader", (hex(parent),)).await?;
            if keccak256(&header) == parent_hash {
                witness.headers.push(header);
            }
        }
        Ok(witness)
    }
}

fn hex(number: BlockNumber) -> String {
    format!("{number:#x}")
}

async fn request<P: RpcSend, R: RpcRecv>(
    client: &RpcClient,
    method: &'static str,
    params: P,
) -> Result<R, SourceError> {
    client.request(method, params).await.map_err(|error| {
        SourceError::Backend(Box::new(RequestError {
            method,
            source: error,
        }))
    })
}

/// Which request failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{method}")]
struct RequestError {
    method: &'static str,
    #[source]
    source: TransportError,
}
