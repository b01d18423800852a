//! Claims of an op-node.

use alloy_primitives::{B256, U64};
use alloy_rpc_client::RpcClient;
use async_trait::async_trait;
use mach_core::{L2Block, ports::SourceError};
use serde::Deserialize;
use url::Url;

use super::{RpcOptions, call::request, hex, http};
use crate::source::ProposalSource;

/// A node that answers `optimism_outputAtBlock`: what a proposer would post on L1.
///
/// It is one node's word. For a devnet, for one's own node or for monitoring that is enough; an
/// operator with stake compares what the contract on L1 holds.
#[derive(Clone, Debug)]
pub struct OpNode(RpcClient);

impl OpNode {
    /// A node behind any alloy client.
    pub const fn new(client: RpcClient) -> Self {
        Self(client)
    }

    /// The node at an HTTP URL. Nothing is sent yet.
    ///
    /// Errors: [`SourceError::Backend`].
    pub fn connect(url: Url) -> Result<Self, SourceError> {
        Ok(Self(http::client(url, &RpcOptions::default())?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutputAtBlock {
    output_root: B256,
    block_ref: OutputBlock,
}

#[derive(Debug, Deserialize)]
struct OutputBlock {
    hash: B256,
    number: Number,
}

/// op-node writes plain numbers, and some of its relatives hex strings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Hex(U64),
}

#[async_trait]
impl ProposalSource for OpNode {
    async fn claimed_output_root(&self, block: &L2Block) -> Result<Option<B256>, SourceError> {
        let number = block.number();
        let output: OutputAtBlock =
            request(&self.0, "optimism_outputAtBlock", (hex(number),)).await?;
        let answered = match output.block_ref.number {
            Number::Plain(number) => number,
            Number::Hex(number) => number.to(),
        };
        if answered != number {
            return Err(SourceError::Malformed {
                number,
                field: "blockRef.number",
                source: format!("the node answers for block {answered}").into(),
            });
        }
        // A claim about another block at this height is no claim about this one.
        if output.block_ref.hash != block.hash() {
            return Err(SourceError::HashMismatch {
                number,
                computed: block.hash(),
                claimed: output.block_ref.hash,
            });
        }
        Ok(Some(output.output_root))
    }
}
