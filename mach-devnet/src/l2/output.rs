//! The methods of op-node that proposers and verifiers use.

use alloy_consensus::Header;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, Sealed, keccak256};
use async_trait::async_trait;
use mach_core::{L2Block, ports::SourceError};
use mach_verify::source::ProposalSource;
use serde_json::{Value, json};

use super::{Epoch, Optimism, predeploys::MESSAGE_PASSER};
use crate::{
    chain::{Chain, ChainError},
    rpc::{Params, RpcError},
};

impl Chain<Optimism> {
    /// The output root that the proposer claims for a block; a lie if it was told to.
    ///
    /// `None` if the block is not there.
    ///
    /// Errors: [`ChainError::State`].
    pub fn claimed_output_root(&self, number: u64) -> Result<Option<B256>, ChainError> {
        let Some(block) = self.block(number.into()) else {
            return Ok(None);
        };
        let passer = self.claimed_message_passer(&block.header)?;
        Ok(Some(output_root(&block.header, passer)))
    }

    /// The message passer's storage root that the proposer claims; the lie is that of other withdrawals.
    fn claimed_message_passer(&self, header: &Sealed<Header>) -> Result<B256, ChainError> {
        let passer = self
            .states()
            .storage_root(header.state_root, MESSAGE_PASSER)?;
        let is_lie = self
            .role()
            .sequencing()
            .wrong_outputs
            .contains(&header.number);
        Ok(if is_lie { keccak256(passer) } else { passer })
    }
}

#[async_trait]
impl ProposalSource for Chain<Optimism> {
    async fn claimed_output_root(&self, block: &L2Block) -> Result<Option<B256>, SourceError> {
        if self.block(block.hash().into()).is_none() {
            return Ok(None);
        }
        self.claimed_output_root(block.number())
            .map_err(|error| SourceError::Backend(error.into()))
    }
}

/// `keccak256(version ‖ state root ‖ message passer's storage root ‖ block hash)`, version 0.
///
/// Source: <https://specs.optimism.io/protocol/proposals.html#l2-output-commitment-construction>.
fn output_root(header: &Sealed<Header>, message_passer: B256) -> B256 {
    keccak256([B256::ZERO, header.state_root, message_passer, header.seal()].concat())
}

pub(super) fn output_at_block(
    chain: &Chain<Optimism>,
    params: &Params<'_>,
) -> Result<Value, RpcError> {
    let tag: BlockNumberOrTag = params.required(0)?;
    let block = chain
        .block(tag.into())
        .ok_or_else(|| RpcError::server("not found"))?;
    let claimed = chain.claimed_output_root(block.number())?;
    let state_root = block.header.state_root;
    Ok(json!({
        "version": B256::ZERO,
        "outputRoot": claimed,
        "blockRef": block_ref(chain, &block.header),
        "withdrawalStorageRoot": chain.claimed_message_passer(&block.header)?,
        "stateRoot": state_root,
        "syncStatus": sync_status(chain)?,
    }))
}

/// L1 is where the newest block's origin is.
pub(super) fn sync_status(chain: &Chain<Optimism>) -> Result<Value, RpcError> {
    let head = chain.latest();
    let origin = epoch(chain, head.number())
        .map(|epoch| epoch.origin)
        .unwrap_or_default();
    let l1 = json!({
        "hash": origin.hash,
        "number": origin.number,
        "parentHash": B256::ZERO,
        "timestamp": origin.timestamp,
    });
    let at = |tag: BlockNumberOrTag| {
        let block = chain.block(tag.into()).unwrap_or_else(|| head.clone());
        block_ref(chain, &block.header)
    };
    let safe = at(BlockNumberOrTag::Safe);
    Ok(json!({
        "current_l1": l1,
        "current_l1_finalized": l1,
        "head_l1": l1,
        "safe_l1": l1,
        "finalized_l1": l1,
        "unsafe_l2": block_ref(chain, &head.header),
        "safe_l2": safe,
        "finalized_l2": at(BlockNumberOrTag::Finalized),
        "pending_safe_l2": safe,
    }))
}

fn block_ref(chain: &Chain<Optimism>, header: &Sealed<Header>) -> Value {
    let epoch = epoch(chain, header.number);
    let (origin, sequence_number) = epoch
        .map(|epoch| (epoch.origin, epoch.sequence_number))
        .unwrap_or_default();
    json!({
        "hash": header.seal(),
        "number": header.number,
        "parentHash": header.parent_hash,
        "timestamp": header.timestamp,
        "l1origin": { "hash": origin.hash, "number": origin.number },
        "sequenceNumber": sequence_number,
    })
}

fn epoch(chain: &Chain<Optimism>, number: u64) -> Option<Epoch> {
    chain.role().epoch(number)
}
