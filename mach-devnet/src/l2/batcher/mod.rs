//! Who posts the rollup's blocks on L1.

mod batch;
mod blob;
mod channel;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_consensus::{TxEip1559, TxEip4844, TxEip4844Variant, TxEnvelope};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, BlockNumber, FixedBytes, TxKind, U256, keccak256};
use op_alloy_consensus::OpTxEnvelope;

use super::{BATCH_INBOX, BATCHER, Lie, Optimism, OptimismFork, lie::alter};
use crate::{
    DevAccount, Settling,
    chain::{Block, Chain, ChainError, Ethereum, MAX_FEE, TIP, intrinsic_gas, sign},
};
use batch::BatchBlock;

/// Most bytes of frames in the calldata of one transaction: what a pool takes, less the rest of the
/// transaction.
const MAX_CALLDATA: usize = 120_000;

/// Most blobs of one transaction (EIP-7594).
const MAX_BLOBS: usize = 6;

/// Most that a blob pays for its gas, in wei.
const MAX_BLOB_FEE: u128 = 1_000_000_000;

/// Where the data goes on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataAvailability {
    /// Calldata of transactions.
    Calldata,
    /// Blobs; from Ecotone on.
    Blobs,
}

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// One block.
    Singular,
    /// All blocks of a channel; from Delta on.
    Span,
}

/// How a channel is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// RFC 1950.
    Zlib,
    /// RFC 7932; from Fjord on.
    Brotli,
}

/// How the batcher posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatcherConfig {
    /// Where the data goes.
    pub data: DataAvailability,
    /// What a batch holds.
    pub batches: BatchKind,
    /// How a channel is compressed.
    pub compression: Compression,
    /// Most blocks of one channel.
    pub channel_blocks: usize,
    /// Most bytes of one frame. A blob holds one frame, calldata as many as fit.
    pub frame_bytes: usize,
    /// Most frames of one transaction.
    pub transaction_frames: usize,
}

impl BatcherConfig {
    /// What operators use under `fork`: blobs, span batches and Brotli as soon as there are any.
    pub fn of(fork: OptimismFork) -> Self {
        let since = |first| fork >= first;
        Self {
            data: if since(OptimismFork::Ecotone) {
                DataAvailability::Blobs
            } else {
                DataAvailability::Calldata
            },
            batches: if since(OptimismFork::Delta) {
                BatchKind::Span
            } else {
                BatchKind::Singular
            },
            compression: if since(OptimismFork::Fjord) {
                Compression::Brotli
            } else {
                Compression::Zlib
            },
            channel_blocks: 256,
            frame_bytes: MAX_CALLDATA,
            transaction_frames: MAX_BLOBS,
        }
    }
}

/// Posts blocks of the rollup to the batch inbox; clones share what was posted.
#[derive(Clone, Debug)]
pub struct Batcher {
    l1: Chain<Ethereum>,
    l2: Chain<Optimism>,
    posting: Arc<Mutex<Posting>>,
}

#[derive(Debug)]
struct Posting {
    account: DevAccount,
    /// `None` for what fits the fork.
    config: Option<BatcherConfig>,
    /// Hashes of the blocks that were posted, from block 1 on.
    posted: Vec<B256>,
    /// Last block of each channel, with the L1 transaction of its last frame.
    channels: Vec<(BlockNumber, B256)>,
}

impl Batcher {
    pub(crate) fn new(
        l1: Chain<Ethereum>,
        l2: Chain<Optimism>,
        config: Option<BatcherConfig>,
    ) -> Self {
        let posting = Posting {
            account: BATCHER,
            config,
            posted: Vec::new(),
            channels: Vec::new(),
        };
        Self {
            l1,
            l2,
            posting: Arc::new(Mutex::new(posting)),
        }
    }

    /// Posts in this way from now on; `None` for what fits the fork.
    pub fn set_config(&self, config: Option<BatcherConfig>) {
        self.posting().config = config;
    }

    /// Posts from this account from now on. What the account of `SystemConfig` does not post does
    /// not count.
    pub fn set_account(&self, account: DevAccount) {
        self.posting().account = account;
    }

    /// Blocks that are not posted.
    pub fn waiting(&self) -> u64 {
        let posted = self.posting().posted.len() as u64;
        self.l2.head().saturating_sub(posted)
    }

    /// Puts every block that is not posted where it waits for an L1 block. After a reorganisation of
    /// the rollup its new blocks are posted. Gives the hashes of the L1 transactions.
    ///
    /// Errors: [`ChainError`].
    pub fn post(&self) -> Result<Vec<B256>, ChainError> {
        let mut posting = self.posting();
        let known = |number: usize| self.l2.block_hash(number as u64 + 1);
        let kept = (posting.posted.iter().enumerate())
            .take_while(|(index, hash)| known(*index) == Some(**hash))
            .count();
        posting.posted.truncate(kept);
        posting.channels.retain(|(last, _)| *last <= kept as u64);

        let mut hashes = Vec::new();
        while let Some(first) = self.l2.block((posting.posted.len() as u64 + 1).into()) {
            let epoch = self.l2.role().epoch(first.number());
            let time = epoch.map_or(first.header.timestamp, |epoch| epoch.origin.timestamp);
            let fork = self.l2.role().forks().active(time);
            let config = posting.config.unwrap_or(BatcherConfig::of(fork));
            let blocks: Vec<_> = (first.number()..)
                .map_while(|number| self.l2.block(number.into()))
                .take(config.channel_blocks.max(1))
                .collect();
            let sent = self.post_channel(&posting, &config, &blocks)?;
            if let (Some(last), Some(transaction)) = (blocks.last(), sent.last()) {
                posting.channels.push((last.number(), *transaction));
            }
            posting
                .posted
                .extend(blocks.iter().map(|block| block.hash()));
            hashes.extend(sent);
        }
        Ok(hashes)
    }

    /// Makes those blocks safe whose batches are on L1, and those final whose batches are on final
    /// blocks of L1.
    pub fn settle(&self) {
        let posting = self.posting();
        let head = self.l1.head();
        let finalized = self.l1.block(BlockNumberOrTag::Finalized.into());
        let finalized = finalized.map_or(0, |block| block.number());
        let on_l1 = |limit: BlockNumber| {
            let included = |(_, transaction): &&(u64, B256)| {
                let place = self.l1.transaction(transaction);
                place.is_some_and(|(block, _)| block.number() <= limit)
            };
            let channels = posting.channels.iter().take_while(included);
            channels.last().map_or(0, |(last, _)| *last)
        };
        self.l2.set_settling(Settling::At {
            safe: on_l1(head),
            finalized: on_l1(finalized),
        });
    }

    fn post_channel(
        &self,
        posting: &Posting,
        config: &BatcherConfig,
        blocks: &[Arc<Block<Optimism>>],
    ) -> Result<Vec<B256>, ChainError> {
        let batches: Vec<_> = blocks.iter().map(|block| self.batch_block(block)).collect();
        let genesis = self.l2.block(BlockNumberOrTag::Earliest.into());
        let genesis = genesis.map_or(0, |block| block.header.timestamp);
        let batches = match config.batches {
            BatchKind::Singular => batches.iter().map(batch::singular).collect(),
            BatchKind::Span => vec![batch::span(&batches, genesis)],
        };
        let channel =
            channel::compress(&batches, config.compression).map_err(ChainError::execution)?;
        let first = blocks.first().map_or(B256::ZERO, |block| block.hash());
        let id = FixedBytes::from_slice(keccak256(first).split_at(16).0);
        let room = match config.data {
            DataAvailability::Calldata => MAX_CALLDATA,
            DataAvailability::Blobs => blob::MAX_BLOB_DATA - 1,
        };
        let frames = channel::frames(id, &channel, config.frame_bytes.min(room));
        match config.data {
            DataAvailability::Calldata => self.post_calldata(posting, config, &frames),
            DataAvailability::Blobs => self.post_blobs(posting, config, &frames),
        }
    }

    /// As many frames in each transaction as fit and are permitted.
    fn post_calldata(
        &self,
        posting: &Posting,
        config: &BatcherConfig,
        frames: &[Vec<u8>],
    ) -> Result<Vec<B256>, ChainError> {
        let mut groups: Vec<Vec<u8>> = Vec::new();
        let mut count = 0;
        for frame in frames {
            match groups.last_mut() {
                Some(group)
                    if count < config.transaction_frames
                        && group.len() + frame.len() <= MAX_CALLDATA =>
                {
                    group.extend(frame);
                    count += 1;
                }
                _ => {
                    // The version of the data, in front of the frames.
                    groups.push([&[0], frame.as_slice()].concat());
                    count = 1;
                }
            }
        }
        let mut hashes = Vec::new();
        for input in groups {
            let mut transaction = TxEip1559 {
                chain_id: self.l1.chain_id(),
                nonce: self.l1.pending_nonce(posting.account.address)?,
                max_fee_per_gas: MAX_FEE,
                max_priority_fee_per_gas: TIP,
                to: TxKind::Call(BATCH_INBOX),
                input: input.into(),
                ..Default::default()
            };
            transaction.gas_limit = intrinsic_gas(&transaction);
            hashes.push(self.l1.enqueue(sign(&posting.account, transaction))?);
        }
        Ok(hashes)
    }

    /// One frame in each blob.
    fn post_blobs(
        &self,
        posting: &Posting,
        config: &BatcherConfig,
        frames: &[Vec<u8>],
    ) -> Result<Vec<B256>, ChainError> {
        let mut hashes = Vec::new();
        for group in frames.chunks(config.transaction_frames.clamp(1, MAX_BLOBS)) {
            let mut versioned_hashes = Vec::new();
            for frame in group {
                let data = [&[0], frame.as_slice()].concat();
                // A frame is never longer than a blob has room for.
                let Some(blob) = blob::encode(&data) else {
                    continue;
                };
                versioned_hashes.push(self.l1.role().blobs().commit(blob)?);
            }
            let transaction = TxEip4844 {
                chain_id: self.l1.chain_id(),
                nonce: self.l1.pending_nonce(posting.account.address)?,
                gas_limit: 21_000,
                max_fee_per_gas: MAX_FEE,
                max_priority_fee_per_gas: TIP,
                to: BATCH_INBOX,
                value: U256::ZERO,
                access_list: Default::default(),
                blob_versioned_hashes: versioned_hashes,
                max_fee_per_blob_gas: MAX_BLOB_FEE,
                input: Default::default(),
            };
            let transaction: TxEip4844Variant = TxEip4844Variant::TxEip4844(transaction);
            hashes.push(self.l1.enqueue(sign(&posting.account, transaction))?);
        }
        Ok(hashes)
    }

    fn batch_block(&self, block: &Block<Optimism>) -> BatchBlock {
        let role = self.l2.role();
        let mut signed: Vec<_> = (block.transactions.iter())
            .filter(|transaction| !transaction.is_deposit())
            .cloned()
            .collect();
        match role.batch_lie(block.number()) {
            Some(Lie::BatchDropped) => {
                signed.pop();
            }
            Some(Lie::BatchAltered) => {
                if let Some(other) = signed.last().and_then(alter)
                    && let Some(last) = signed.last_mut()
                {
                    *last = other;
                }
            }
            Some(Lie::BatchReordered) => {
                if let [.., a, b] = signed.as_mut_slice() {
                    std::mem::swap(a, b);
                }
            }
            _ => {}
        }
        let epoch = role.epoch(block.number());
        BatchBlock {
            parent: block.header.parent_hash,
            timestamp: block.header.timestamp,
            origin: epoch.map_or((0, B256::ZERO), |epoch| {
                (epoch.origin.number, epoch.origin.hash)
            }),
            is_first: epoch.is_some_and(|epoch| epoch.sequence_number == 0),
            transactions: signed
                .into_iter()
                .filter_map(|one| l1_form(one.into_inner()))
                .collect(),
        }
    }

    fn posting(&self) -> MutexGuard<'_, Posting> {
        self.posting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A signed transaction of the rollup; a deposit is none.
fn l1_form(transaction: OpTxEnvelope) -> Option<TxEnvelope> {
    match transaction {
        OpTxEnvelope::Legacy(signed) => Some(signed.into()),
        OpTxEnvelope::Eip2930(signed) => Some(signed.into()),
        OpTxEnvelope::Eip1559(signed) => Some(signed.into()),
        OpTxEnvelope::Eip7702(signed) => Some(signed.into()),
        OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_) => None,
    }
}
