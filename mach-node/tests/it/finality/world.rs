//! A rollup's node whose blocks are made by hand, and operators who say what they are told to.

use std::sync::{Arc, Mutex};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, TxHash, keccak256};
use async_trait::async_trait;
use mach_bls::{OperatorKeys, Tally};
use mach_core::{
    Alert, Attestation, BlockRef, Certificate, L2Block, Round, SignedStatement, Statement,
    ports::{L2Head, L2Source, OperatorRegistry, SourceError},
};
use mach_node::{
    finality::{FinalityConfig, FinalityIndex, Seen},
    store::{MemoryStore, Store},
};

use crate::ports::{DOMAIN, FixedRegistry, HEAD, ROLLUP, alert, id, key, percent, quorums};

/// The chain of a node: block `i` has number `i`.
#[derive(Clone, Default)]
pub(crate) struct Node(Arc<Mutex<Vec<L2Block>>>);

impl Node {
    /// Blocks 0 to `head`.
    pub(crate) fn new(head: u64) -> Self {
        let node = Self::default();
        node.grow(head, 0);
        node
    }

    /// Replaces the blocks from `number` on by as many others; `fork` tells them apart.
    pub(crate) fn fork(&self, number: u64, fork: u8) {
        let head = self.head().number;
        self.0.lock().unwrap().truncate(number as usize);
        self.grow(head, fork);
    }

    /// Blocks up to `head`.
    pub(crate) fn grow(&self, head: u64, fork: u8) {
        let mut blocks = self.0.lock().unwrap();
        while blocks.len() as u64 <= head {
            let header = Header {
                number: blocks.len() as u64,
                parent_hash: blocks.last().map_or(B256::ZERO, L2Block::hash),
                extra_data: vec![fork].into(),
                ..Default::default()
            };
            let transactions = vec![payload(header.number), Bytes::from(vec![fork])];
            blocks.push(L2Block::new(ROLLUP, header, transactions));
        }
    }

    pub(crate) fn cut(&self, head: u64) {
        self.0.lock().unwrap().truncate(head as usize + 1);
    }

    pub(crate) fn get(&self, number: u64) -> L2Block {
        self.0.lock().unwrap()[number as usize].clone()
    }

    pub(crate) fn reference(&self, number: u64) -> BlockRef {
        self.get(number).reference()
    }

    pub(crate) fn head(&self) -> BlockRef {
        self.0.lock().unwrap().last().unwrap().reference()
    }
}

/// The first transaction of a block, whichever fork it is on.
fn payload(number: u64) -> Bytes {
    let mut bytes = vec![2];
    bytes.extend(number.to_be_bytes());
    bytes.into()
}

pub(crate) fn transaction(number: u64) -> TxHash {
    keccak256(payload(number))
}

#[async_trait]
impl L2Source for Node {
    fn chain_id(&self) -> u64 {
        ROLLUP
    }

    async fn head(&self, _: L2Head) -> Result<BlockRef, SourceError> {
        Ok(Self::head(self))
    }

    async fn block(&self, number: u64) -> Result<L2Block, SourceError> {
        let blocks = self.0.lock().unwrap();
        let block = blocks.get(number as usize).cloned();
        block.ok_or(SourceError::NotYet(number))
    }
}

pub(crate) fn attestation(block: BlockRef) -> Statement {
    Statement::from(Attestation {
        rollup_chain_id: ROLLUP,
        block,
        state_root: B256::repeat_byte(1),
        output_root: B256::repeat_byte(2),
    })
}

pub(crate) fn accusation(block: BlockRef) -> Statement {
    Statement::from(Alert { block, ..alert(0) })
}

pub(crate) fn signed(statement: &Statement, operator: u64) -> SignedStatement {
    SignedStatement {
        statement: statement.clone(),
        domain: DOMAIN,
        operator: id(operator),
        signature: key(operator).sign(statement.digest(&DOMAIN)).to_bytes(),
    }
}

/// Signed by this many of four operators with equal stakes, of whom three are enough.
pub(crate) async fn certificate(statement: &Statement, signers: u64) -> Certificate {
    certificate_of(statement, signers, 4).await
}

/// Signed by `signers` of `operators` with equal stakes, of whom two thirds are enough.
pub(crate) async fn certificate_of(
    statement: &Statement,
    signers: u64,
    operators: u64,
) -> Certificate {
    let reference_block = HEAD as u32 - 1;
    let registry = FixedRegistry::new(operators);
    let set = registry.operator_set(&quorums(), reference_block).await;
    let keys = Arc::new(OperatorKeys::new(&set.unwrap()).unwrap());
    let round = Round::new(quorums(), vec![percent(66)], reference_block).unwrap();
    let mut tally = Tally::new(statement.clone(), DOMAIN, round, keys).unwrap();
    for operator in 0..signers {
        tally.add(&signed(statement, operator)).unwrap();
    }
    tally.certificate().certificate.unwrap()
}

pub(crate) fn config() -> FinalityConfig {
    FinalityConfig::new(DOMAIN, [ROLLUP])
}

pub(crate) async fn index() -> FinalityIndex {
    index_on(MemoryStore::new()).await
}

pub(crate) async fn index_on(store: impl Store + 'static) -> FinalityIndex {
    FinalityIndex::open(store, config()).await.unwrap()
}

/// Shows the index these blocks of the node.
pub(crate) async fn show(
    index: &FinalityIndex,
    node: &Node,
    numbers: std::ops::RangeInclusive<u64>,
) {
    for number in numbers {
        assert_eq!(index.seen(&node.get(number)).await.unwrap(), Seen::Taken);
    }
}

pub(crate) async fn attest(index: &FinalityIndex, block: BlockRef) -> B256 {
    let statement = attestation(block);
    let certificate = certificate(&statement, 3).await;
    index.certified(&certificate).await.unwrap();
    statement.digest(&DOMAIN)
}

pub(crate) async fn accuse(index: &FinalityIndex, block: BlockRef) -> B256 {
    let statement = accusation(block);
    let certificate = certificate(&statement, 3).await;
    index.certified(&certificate).await.unwrap();
    statement.digest(&DOMAIN)
}
