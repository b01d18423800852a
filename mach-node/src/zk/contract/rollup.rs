//! The rollup's chain, for what leads from an output root to a block.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U64, address};
use alloy_provider::{DynProvider, Provider};
use futures::{StreamExt, TryStreamExt, stream};
use mach_core::ports::BoxError;
use mach_verify::output_root;

use super::{Accusation, Descent, Proposal};

/// `L2ToL1MessagePasser`.
const MESSAGE_PASSER: Address = address!("0x4200000000000000000000000000000000000016");
/// Headers that are asked for at a time.
const AT_A_TIME: usize = 16;

/// Nodes of the rollup. What they say proves itself: headers are told by their hashes and an output
/// root by what it is the hash of, so that one node is enough, and is not believed.
#[derive(Clone, Debug, Default)]
pub struct RollupChain {
    nodes: Vec<DynProvider>,
}

impl RollupChain {
    /// These nodes; the next is asked where one does not answer.
    pub fn new(nodes: impl IntoIterator<Item = DynProvider>) -> Self {
        let nodes = nodes.into_iter().collect();
        Self { nodes }
    }

    /// How `proposal` leads to the accused block; `None` if it is not the output root of the chain's
    /// block of its height, or that does not descend from the accused one.
    ///
    /// Errors: the nodes do not say.
    pub(super) async fn descent(
        &self,
        accusation: &Accusation,
        proposal: &Proposal,
    ) -> Result<Option<Descent>, BoxError> {
        let (hash, number) = (
            accusation.journal.block_hash,
            accusation.journal.block_number,
        );
        let (named, block_hash) = if proposal.number == number {
            (accusation.header.clone(), hash)
        } else {
            match self.header(proposal.number).await? {
                Some(header) => {
                    let hash = header.hash_slow();
                    (header, hash)
                }
                // The proposer is ahead of the node, or makes it up.
                None => return Ok(None),
            }
        };
        let message_passer = match (named.requests_hash, named.withdrawals_root) {
            // From Isthmus on the header has it.
            (Some(_), Some(root)) => root,
            _ => self.message_passer(proposal.number).await?,
        };
        if output_root(named.state_root, message_passer, block_hash) != proposal.root {
            return Ok(None);
        }
        let mut descent = Descent {
            state_root: named.state_root,
            message_passer,
            block_hash,
            headers: Vec::new(),
        };
        if proposal.number == number {
            return Ok(Some(descent));
        }
        // Between the two, the highest first.
        let between = (number.saturating_add(1)..proposal.number).rev();
        let headers = stream::iter(between.map(|number| self.header(number)));
        let headers: Vec<Option<Header>> = headers.buffered(AT_A_TIME).try_collect().await?;
        let mut expected = block_hash;
        for header in std::iter::once(Some(named)).chain(headers) {
            let header = header.ok_or("a header is missing")?;
            // Another chain than that of the header above: asked again.
            if header.hash_slow() != expected {
                return Err("the rollup was reorganised meanwhile".into());
            }
            expected = header.parent_hash;
            descent.headers.push(alloy_rlp::encode(&header).into());
        }
        Ok((expected == hash).then_some(descent))
    }

    /// Header of a height, if a node has it.
    async fn header(&self, number: u64) -> Result<Option<Header>, BoxError> {
        let params = (U64::from(number), false);
        let header: Option<alloy_rpc_types_eth::Header> =
            self.ask("eth_getBlockByNumber", params).await?;
        let Some(header) = header else {
            return Ok(None);
        };
        if header.inner.number != number || header.inner.hash_slow() != header.hash {
            return Err(format!("the header of block {number} is not that of its hash").into());
        }
        Ok(Some(header.inner))
    }

    /// Storage root of the message passer after a block.
    async fn message_passer(&self, number: u64) -> Result<B256, BoxError> {
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Account {
            storage_hash: B256,
        }

        let keys: [B256; 0] = [];
        let params = (MESSAGE_PASSER, keys, U64::from(number));
        let account: Option<Account> = self.ask("eth_getProof", params).await?;
        let account = account.ok_or_else(|| format!("there is no state of block {number}"))?;
        Ok(account.storage_hash)
    }

    /// The first answer that is one, or `None` if all that answer have none.
    async fn ask<P, T>(&self, method: &'static str, params: P) -> Result<Option<T>, BoxError>
    where
        P: alloy_json_rpc::RpcSend,
        T: alloy_json_rpc::RpcRecv,
    {
        let mut failure = None;
        let mut is_answered = false;
        for node in &self.nodes {
            match node.raw_request(method.into(), params.clone()).await {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => is_answered = true,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !is_answered => Err(error.into()),
            _ => Ok(None),
        }
    }
}
