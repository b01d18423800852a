//! The rollup's chain, for what leads from an output root to a block.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U64, address};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::BlockId;
use futures::{StreamExt, stream};
use mach_core::ports::BoxError;
use mach_verify::output_root;

use super::{Accusation, Descent, published::REACH};

/// `L2ToL1MessagePasser`.
const MESSAGE_PASSER: Address = address!("0x4200000000000000000000000000000000000016");
/// Headers that are asked for at a time.
const AT_A_TIME: usize = 16;
/// Headers by which a branch is followed further at a time.
const FURTHER: usize = 512;
/// Most branches that are remembered: hashes of [`REACH`] blocks each.
const MAX_BRANCHES: usize = 64;

/// Nodes of the rollup. What they say proves itself: headers are told by their hashes and an output
/// root by what it is the hash of, so that one node is enough, and is not believed.
///
/// A rollup whose sequencer goes back leaves output roots on L1 whose blocks have no number any more. Which
/// blocks stood on an accused one is remembered for as long as this lives, so that they are found by
/// their hashes, for as long as a node has them.
#[derive(Clone, Debug, Default)]
pub struct RollupChain {
    nodes: Vec<DynProvider>,
    op_nodes: Vec<DynProvider>,
    /// What stood on each accused block, the lowest first.
    branches: Arc<Mutex<BTreeMap<B256, Vec<B256>>>>,
}

/// What stands on an accused block, and whether it is the rollup's chain now.
#[derive(Debug)]
pub(super) struct Branch {
    is_canonical: bool,
    /// Hashes from the child of the accused block on, as far as they were seen.
    above: Vec<B256>,
}

/// A block, and what its output root is made of.
#[derive(Debug)]
pub(super) struct Output {
    header: Header,
    hash: B256,
    message_passer: B256,
}

/// An account, as `eth_getProof` gives it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    storage_hash: B256,
    account_proof: Vec<Bytes>,
}

/// Whether the header has the storage root of the message passer: from Isthmus on.
const fn is_isthmus(header: &Header) -> bool {
    header.requests_hash.is_some() && header.withdrawals_root.is_some()
}

impl Output {
    pub(super) fn root(&self) -> B256 {
        output_root(self.header.state_root, self.message_passer, self.hash)
    }
}

impl RollupChain {
    /// These nodes; the next is asked where one does not answer.
    pub fn new(nodes: impl IntoIterator<Item = DynProvider>) -> Self {
        let nodes = nodes.into_iter().collect();
        Self {
            nodes,
            op_nodes: Vec::new(),
            branches: Arc::default(),
        }
    }

    /// The same with op-nodes, which say what output roots are the hashes of.
    #[must_use]
    pub fn with_op_nodes(mut self, nodes: impl IntoIterator<Item = DynProvider>) -> Self {
        self.op_nodes = nodes.into_iter().collect();
        self
    }

    /// What `root` is the hash of, and the header that it names, if an op-node claims it for a height.
    ///
    /// Errors: the nodes do not say.
    pub(super) async fn opening(
        &self,
        number: u64,
        root: B256,
    ) -> Result<Option<(Descent, Header)>, BoxError> {
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Claimed {
            state_root: B256,
            withdrawal_storage_root: B256,
            block_ref: Block,
        }
        #[derive(Clone, Debug, serde::Deserialize)]
        struct Block {
            hash: B256,
        }

        let mut failure = None;
        for node in &self.op_nodes {
            let asked = node.raw_request("optimism_outputAtBlock".into(), (U64::from(number),));
            let claimed: Claimed = match asked.await {
                Ok(claimed) => claimed,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let (state_root, message_passer) =
                (claimed.state_root, claimed.withdrawal_storage_root);
            let block_hash = claimed.block_ref.hash;
            if output_root(state_root, message_passer, block_hash) != root {
                continue;
            }
            let header = self.header_of(block_hash).await?;
            let header = header.ok_or_else(|| format!("no node has the header of {block_hash}"))?;
            let account_proof = match is_isthmus(&header) {
                true => Vec::new(),
                false => self.account(block_hash).await?.account_proof,
            };
            let descent = Descent {
                state_root,
                message_passer,
                block_hash,
                headers: vec![alloy_rlp::encode(&header).into()],
                account_proof,
            };
            return Ok(Some((descent, header)));
        }
        failure.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Hash and output root of the block of a height, if a node has it.
    ///
    /// Errors: the nodes do not say.
    pub(super) async fn output_at(&self, number: u64) -> Result<Option<(B256, B256)>, BoxError> {
        let Some(header) = self.header(number).await? else {
            return Ok(None);
        };
        let hash = header.hash_slow();
        let output = self.output(header, hash).await?;
        Ok(Some((hash, output.root())))
    }

    /// Storage root of the message passer after the block with this header, if a node says.
    pub(super) async fn passer_of(&self, header: &Header, hash: B256) -> Option<B256> {
        let output = self.output(header.clone(), hash).await.ok()?;
        Some(output.message_passer)
    }

    /// What stands on the accused block, followed as far as the chain goes now.
    ///
    /// Errors: the nodes do not say.
    pub(super) async fn branch(&self, accusation: &Accusation) -> Result<Branch, BoxError> {
        let (block, number) = (
            accusation.journal.block_hash,
            accusation.journal.block_number,
        );
        let mut above = self.branches().get(&block).cloned().unwrap_or_default();
        let canonical = self.header(number).await?;
        let is_canonical = canonical.is_some_and(|header| header.hash_slow() == block);
        if !is_canonical {
            return Ok(Branch {
                is_canonical,
                above,
            });
        }
        let first = number.saturating_add(1);
        let next = first.saturating_add(above.len() as u64);
        let last = number.saturating_add(REACH);
        let further = stream::iter((next..=last).take(FURTHER));
        let mut further = further.map(|it| self.header(it)).buffered(AT_A_TIME);
        let mut tip = above.last().copied().unwrap_or(block);
        // What does not answer is followed the next time.
        while let Some(Ok(Some(header))) = further.next().await {
            if header.parent_hash != tip {
                break;
            }
            tip = header.hash_slow();
            above.push(tip);
        }
        if !above.is_empty() {
            let mut branches = self.branches();
            if branches.len() >= MAX_BRANCHES && !branches.contains_key(&block) {
                branches.pop_first();
            }
            branches.insert(block, above.clone());
        }
        Ok(Branch {
            is_canonical,
            above,
        })
    }

    /// The blocks of a height that may stand on the accused one, or are it.
    ///
    /// Errors: the nodes do not say.
    pub(super) async fn outputs(
        &self,
        accusation: &Accusation,
        branch: &Branch,
        height: u64,
    ) -> Result<Vec<Output>, BoxError> {
        let number = accusation.journal.block_number;
        if height == number {
            let block = accusation.journal.block_hash;
            let output = self.output(accusation.header.clone(), block).await?;
            return Ok(vec![output]);
        }
        let mut outputs = Vec::new();
        if branch.is_canonical
            && let Some(header) = self.header(height).await?
        {
            let hash = header.hash_slow();
            outputs.push(self.output(header, hash).await?);
        }
        let index = height.checked_sub(number.saturating_add(1));
        let index = index.and_then(|index| usize::try_from(index).ok());
        let seen = index.and_then(|index| branch.above.get(index));
        if let Some(&hash) = seen
            && outputs.iter().all(|output| output.hash != hash)
            && let Some(header) = self.header_of(hash).await?
        {
            outputs.push(self.output(header, hash).await?);
        }
        Ok(outputs)
    }

    /// How an output leads to the accused block; `None` if its block does not descend from that.
    ///
    /// Errors: the nodes do not say.
    pub(super) async fn descent(
        &self,
        accusation: &Accusation,
        output: &Output,
    ) -> Result<Option<Descent>, BoxError> {
        let block = accusation.journal.block_hash;
        let lowest = accusation.journal.block_number.saturating_add(1);
        let mut descent = Descent {
            state_root: output.header.state_root,
            message_passer: output.message_passer,
            block_hash: output.hash,
            ..Descent::default()
        };
        if output.hash == block {
            return Ok(Some(descent));
        }
        // Of the rollup's chain many headers come at a time, those of a branch one after the other.
        let heights = stream::iter((lowest..output.header.number).rev());
        let mut canonical = heights.map(|it| self.header(it)).buffered(AT_A_TIME);
        let mut is_canonical = true;
        let mut header = output.header.clone();
        loop {
            descent.headers.push(alloy_rlp::encode(&header).into());
            let parent = header.parent_hash;
            if parent == block {
                return Ok(Some(descent));
            }
            if header.number <= lowest {
                return Ok(None);
            }
            let number = header.number - 1;
            let above = match is_canonical {
                true => canonical.next().await,
                false => None,
            };
            let found = match above {
                Some(Ok(Some(header))) if header.hash_slow() == parent => Some(header),
                _ => {
                    is_canonical = false;
                    self.header_of(parent).await?
                }
            };
            header = found.ok_or_else(|| format!("no node has the header of {parent}"))?;
            if header.number != number {
                return Err(format!("the header of {parent} is not of block {number}").into());
            }
        }
    }

    /// What the output root of a block is made of.
    async fn output(&self, header: Header, hash: B256) -> Result<Output, BoxError> {
        let message_passer = match header.withdrawals_root {
            Some(root) if is_isthmus(&header) => root,
            _ => self.account(hash).await?.storage_hash,
        };
        Ok(Output {
            header,
            hash,
            message_passer,
        })
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

    /// Header with a hash, if a node has it.
    async fn header_of(&self, hash: B256) -> Result<Option<Header>, BoxError> {
        let header: Option<alloy_rpc_types_eth::Header> =
            self.ask("eth_getBlockByHash", (hash, false)).await?;
        let Some(header) = header else {
            return Ok(None);
        };
        if header.inner.hash_slow() != hash {
            return Err(format!("the header of {hash} has another hash").into());
        }
        Ok(Some(header.inner))
    }

    /// The message passer after a block.
    async fn account(&self, block: B256) -> Result<Account, BoxError> {
        let keys: [B256; 0] = [];
        let params = (MESSAGE_PASSER, keys, BlockId::hash(block));
        let account: Option<Account> = self.ask("eth_getProof", params).await?;
        account.ok_or_else(|| format!("there is no state of block {block}").into())
    }

    fn branches(&self) -> MutexGuard<'_, BTreeMap<B256, Vec<B256>>> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner)
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
