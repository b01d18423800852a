//! A rollup and its L1, made of headers and bodies alone: nothing is executed.

use std::sync::{Arc, Mutex, MutexGuard};

use alloy_consensus::{
    EMPTY_ROOT_HASH, Header, SignableTransaction, TxEip1559, TxEip4844, TxEnvelope,
    proofs::ordered_trie_root_with_encoder,
};
use alloy_eips::{eip2718::Encodable2718, eip4844::Blob};
use alloy_hardforks::EthereumHardfork;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_rlp::BufMut;
use alloy_signer::SignerSync;
use async_trait::async_trait;
use mach_core::{
    BlockRef, Fault, L2Block,
    ports::{BlobSource, L1Head, L1Source, L2Head, L2Source, SourceError},
};
use mach_verify::{
    ChainSpec,
    derive::{Derivation, DeriveError, DerivedBlock, Step, versioned_hash},
    op::{BlockAttributes, Parent, Rollup, RollupConfig},
};

use super::encode::{self, Block};

pub(super) const INBOX: Address = Address::repeat_byte(0xff);
pub(super) const START: u64 = 1_000_000;

/// Everything that is published.
#[derive(Clone)]
pub(super) struct World {
    pub(super) rollup: Rollup,
    pub(super) l1: Vec<L2Block>,
    pub(super) l2: Vec<L2Block>,
    pub(super) blobs: Vec<Box<Blob>>,
    /// Height of the final L1 block, if it is not the newest.
    pub(super) finalized: Option<u64>,
    /// Height of the safe rollup block, if it is not the newest.
    pub(super) safe: Option<u64>,
}

impl World {
    /// A rollup with every fork up to `fork`, on an L1 whose first block is 100.
    pub(super) fn new(fork: OpHardfork) -> Self {
        let l2 = ChainSpec::optimism(901).with_op_forks_from_genesis(fork);
        let l1 = ChainSpec::ethereum(1).with_forks_from_genesis(EthereumHardfork::Prague);
        let mut world = Self {
            rollup: Rollup::new(config(fork), l2, l1),
            l1: Vec::new(),
            l2: Vec::new(),
            blobs: Vec::new(),
            finalized: None,
            safe: None,
        };
        world.push_l1(Vec::new());
        let mut extra_data = vec![0; 9];
        if fork >= OpHardfork::Jovian {
            extra_data = vec![0; 17];
            extra_data[0] = 1;
        }
        let genesis = Header {
            timestamp: START,
            gas_limit: 30_000_000,
            extra_data: extra_data.into(),
            transactions_root: EMPTY_ROOT_HASH,
            ..Default::default()
        };
        let genesis = L2Block::new(901, genesis, Vec::new());
        world.rollup.config.genesis.l2.hash = genesis.hash();
        world.rollup.config.genesis.l1.hash = world.l1[0].hash();
        world.l2.push(genesis);
        world
    }

    /// The next L1 block, 12 seconds after the last.
    fn push_l1(&mut self, transactions: Vec<Bytes>) {
        let number = 100 + self.l1.len() as u64;
        let header = Header {
            parent_hash: self.l1.last().map(L2Block::hash).unwrap_or_default(),
            number,
            timestamp: START + 12 * self.l1.len() as u64,
            transactions_root: root(&transactions),
            receipts_root: EMPTY_ROOT_HASH,
            mix_hash: B256::with_last_byte(number as u8),
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::repeat_byte(number as u8)),
            ..Default::default()
        };
        self.l1.push(L2Block::new(1, header, transactions));
    }

    /// The next L1 block, in which the batcher posts `data` as calldata of a transaction each.
    pub(super) fn post(&mut self, data: &[Vec<u8>]) {
        let transactions = data.iter().enumerate().map(|(nonce, data)| {
            sign(TxEip1559 {
                chain_id: 1,
                nonce: nonce as u64,
                to: TxKind::Call(INBOX),
                input: data.clone().into(),
                ..Default::default()
            })
        });
        let transactions = transactions.collect();
        self.push_l1(transactions);
    }

    /// The next L1 block, with a transaction that carries `data` in blobs.
    pub(super) fn post_blobs(&mut self, data: &[Vec<u8>]) {
        let blobs = data
            .iter()
            .map(|data| encode::blob(data))
            .collect::<Vec<_>>();
        let hashes = blobs.iter().map(|blob| versioned_hash(blob).unwrap());
        let transaction = sign(TxEip4844 {
            chain_id: 1,
            to: INBOX,
            blob_versioned_hashes: hashes.collect(),
            ..Default::default()
        });
        self.blobs.extend(blobs);
        self.push_l1(vec![transaction]);
    }

    /// L1 blocks without anything in them.
    pub(super) fn idle(&mut self, blocks: usize) {
        for _ in 0..blocks {
            self.post(&[]);
        }
    }

    /// The sequencer's next block, with L1 block `origin` (counted from 100) as its origin.
    pub(super) fn sequence(&mut self, origin: usize, transactions: Vec<Bytes>) {
        let parent = self.l2.last().unwrap();
        let parent = Parent::of_block(&self.rollup, parent).unwrap();
        let origin = &self.l1[origin].header;
        let attributes = BlockAttributes::new(&self.rollup, &parent, origin, Some(&[])).unwrap();
        let block = build(&parent, &attributes, transactions);
        self.l2.push(block);
    }

    /// The blocks that a batcher posts for `numbers`.
    pub(super) fn blocks(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<Block> {
        let block = |number: usize| {
            let block = &self.l2[number];
            let parent = Parent::of_block(&self.rollup, block).unwrap();
            let deposits = block.transactions.iter().take_while(|it| it[0] == 0x7e);
            Block {
                parent_hash: block.header.parent_hash,
                epoch: (parent.origin.number, parent.origin.hash),
                timestamp: block.header.timestamp,
                transactions: block.transactions[deposits.count()..].to_vec(),
            }
        };
        numbers.into_iter().map(block).collect()
    }

    /// One channel with a singular batch for each block.
    pub(super) fn singular(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let blocks = self.blocks(numbers);
        encode::channel(&blocks.iter().map(encode::singular).collect::<Vec<_>>())
    }

    /// One channel with one span of these blocks.
    pub(super) fn span(&self, numbers: std::ops::RangeInclusive<usize>) -> Vec<u8> {
        let parent = Parent::of_block(&self.rollup, &self.l2[numbers.start() - 1]).unwrap();
        let blocks = self.blocks(numbers);
        encode::channel(&[encode::span(&blocks, parent.origin.number, START)])
    }

    pub(super) fn derivation(&self) -> Derivation {
        Derivation::new(self.rollup.clone(), &self.l2[0]).unwrap()
    }

    /// Feeds `derivation` until it needs an L1 block that is not there, and compares every block.
    pub(super) fn follow(&self, derivation: &mut Derivation) -> Result<Vec<DerivedBlock>, Stop> {
        let mut derived = Vec::new();
        loop {
            match derivation.step()? {
                Step::Block(block) => {
                    let block = block.clone();
                    let Some(published) = self.l2.get(block.number() as usize) else {
                        return Ok(derived);
                    };
                    if let Some(fault) = block.check(published)? {
                        return Err(Stop::Fault(fault));
                    }
                    derivation.accept(published)?;
                    derived.push(block);
                }
                Step::NeedsAncestor(number) => {
                    derivation.add_ancestor(&self.l2[number as usize])?;
                }
                Step::NeedsL1(number) => {
                    let Some(block) = self.l1.get(number as usize - 100) else {
                        return Ok(derived);
                    };
                    let opened = derivation.open(block, &[])?;
                    let blobs = self.find(&opened.blob_hashes());
                    derivation.add(opened, &blobs)?;
                }
            }
        }
    }

    fn find(&self, hashes: &[B256]) -> Vec<Box<Blob>> {
        let find = |hash: &B256| {
            let mut blobs = self.blobs.iter();
            blobs
                .find(|blob| versioned_hash(blob) == Some(*hash))
                .cloned()
        };
        hashes.iter().filter_map(find).collect()
    }
}

/// Why following ends.
#[derive(Debug, PartialEq)]
pub(super) enum Stop {
    Fault(Fault),
    Error(DeriveError),
}

impl From<DeriveError> for Stop {
    fn from(error: DeriveError) -> Self {
        Self::Error(error)
    }
}

/// A block with these attributes; what execution gives is left out.
pub(super) fn build(
    parent: &Parent,
    attributes: &BlockAttributes,
    transactions: Vec<Bytes>,
) -> L2Block {
    let transactions = [attributes.deposits.clone(), transactions].concat();
    let is_ecotone = attributes.parent_beacon_block_root.is_some();
    let header = Header {
        parent_hash: parent.header.seal(),
        number: parent.header.number + 1,
        timestamp: attributes.timestamp,
        beneficiary: attributes.beneficiary,
        gas_limit: attributes.gas_limit,
        extra_data: attributes.extra_data.clone().unwrap_or_default(),
        mix_hash: attributes.mix_hash,
        base_fee_per_gas: Some(7),
        withdrawals_root: is_ecotone.then_some(EMPTY_ROOT_HASH),
        blob_gas_used: is_ecotone.then_some(0),
        excess_blob_gas: is_ecotone.then_some(0),
        parent_beacon_block_root: attributes.parent_beacon_block_root,
        transactions_root: root(&transactions),
        ..Default::default()
    };
    L2Block::new(901, header, transactions)
}

pub(super) fn root(transactions: &[Bytes]) -> B256 {
    ordered_trie_root_with_encoder(transactions, |bytes, out| out.put_slice(bytes))
}

fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Bytes
where
    alloy_consensus::Signed<T>: Into<TxEnvelope>,
{
    let hash = transaction.signature_hash();
    let signature = mach_devnet::BATCHER.signer().sign_hash_sync(&hash).unwrap();
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    envelope.encoded_2718().into()
}

/// Windows and time-outs are short, so that tests see their ends.
fn config(fork: OpHardfork) -> RollupConfig {
    let scalar = if fork >= OpHardfork::Ecotone {
        U256::from(1) << 248
    } else {
        U256::ZERO
    };
    serde_json::from_value(serde_json::json!({
        "genesis": {
            "l1": { "hash": B256::ZERO, "number": 100 },
            "l2": { "hash": B256::ZERO, "number": 0 },
            "l2_time": START,
            "system_config": {
                "batcherAddr": mach_devnet::BATCHER.address,
                "overhead": B256::ZERO,
                "scalar": B256::from(scalar),
                "gasLimit": 30_000_000,
            },
        },
        "block_time": 2,
        "max_sequencer_drift": 20,
        "seq_window_size": 6,
        "channel_timeout": 4,
        "l1_chain_id": 1,
        "l2_chain_id": 901,
        "delta_time": 0,
        "batch_inbox_address": INBOX,
        "deposit_contract_address": Address::repeat_byte(1),
        "l1_system_config_address": Address::repeat_byte(2),
    }))
    .unwrap()
}

fn at(blocks: &[L2Block], first: u64, number: u64) -> Result<L2Block, SourceError> {
    let index = number
        .checked_sub(first)
        .ok_or(SourceError::NotHeld(number))?;
    blocks
        .get(index as usize)
        .cloned()
        .ok_or(SourceError::NotYet(number))
}

/// A world that can be changed, as a source.
#[derive(Clone)]
pub(super) struct L1(pub(super) Arc<Mutex<World>>);

impl L1 {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl L1Source for L1 {
    fn chain_id(&self) -> u64 {
        1
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        let world = self.world();
        match world.finalized {
            Some(number) if head == L1Head::Finalized => at(&world.l1, 100, number),
            _ => Ok(world.l1.last().unwrap().clone()),
        }
        .map(|block| block.reference())
    }

    async fn header(&self, number: u64) -> Result<alloy_primitives::Sealed<Header>, SourceError> {
        at(&self.world().l1, 100, number).map(|block| block.header)
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        at(&self.world().l1, 100, number)
    }

    async fn receipts(
        &self,
        _header: &alloy_primitives::Sealed<Header>,
    ) -> Result<Vec<Bytes>, SourceError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl L2Source for L1 {
    fn chain_id(&self) -> u64 {
        901
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        let world = self.world();
        match world.safe {
            Some(number) if head != L2Head::Unsafe => at(&world.l2, 0, number),
            _ => Ok(world.l2.last().unwrap().clone()),
        }
        .map(|block| block.reference())
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        at(&self.world().l2, 0, number)
    }
}

#[async_trait]
impl BlobSource for L1 {
    async fn blobs(
        &self,
        header: &alloy_primitives::Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let blobs = self.world().find(hashes);
        if blobs.len() == hashes.len() {
            return Ok(blobs);
        }
        Err(SourceError::NotHeld(header.number))
    }
}
