//! What proves that a block is not the one that the batcher posted, to whoever was not there.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use alloy_consensus::Header;
use alloy_eips::eip4844::Blob;
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId, Sealed};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    BlockRef, Fault, L2Block,
    ports::{BlobSource, L1Head, L1Source, L2Head, L2Source, SourceError, ValidateError},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;

use super::{Driver, DriverError, Finding};
use crate::{
    Bundle, ChainSpec, evidence,
    op::{self, Rollup, RollupConfig},
    source::{
        MAX_FILE_BYTES, RecordError,
        bounded::{AtMost, MAX_ITEMS, MAX_TRANSACTIONS, decode_block},
    },
};

/// Format that is written, and the only one that is read.
const VERSION: u64 = 1;

/// Most blocks of the rollup that are read: a sequencing window has some tens of thousands.
const MAX_ANCESTORS: usize = 1_000_000;
/// Most L1 blocks that are read: more than a sequencing window and a channel time-out.
const MAX_L1: usize = 10_000;
/// Most blobs of an L1 block that are read.
const MAX_BLOBS: usize = 1_000;
/// Most bytes of what a bundle is made from: JSON has two digits for each.
pub(super) const MAX_RECORD_BYTES: u64 = MAX_FILE_BYTES / 2;
/// Bytes that an item takes at most besides its content.
const ITEM_BYTES: usize = 8;
/// Bytes that a block takes at most besides its transactions.
const BLOCK_BYTES: usize = 2_048;

/// Who proves what only derivation shows: `DerivationValidator`.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait DerivationAccuser: Send + Sync {
    /// What derivation has against `block`, if anything.
    ///
    /// Errors: [`ValidateError`], whenever L1 is not known well enough.
    async fn accuse(&self, block: &L2Block) -> Result<Option<DerivationEvidence>, ValidateError>;
}

/// A bundle that anybody replays offline to the same fault: the block, its parent, and everything
/// on L1 that derivation reads from there to the block, with the configuration of the rollup.
///
/// Everything in it proves itself, as it does for [`Derivation`](super::Derivation): ancestors by
/// their hashes, up from the parent that the block names; L1 blocks by theirs, up from the L1
/// origin of an ancestor; bodies, receipts and blobs by their headers. What is left to look at is
/// that the block was served as safe (one that never was may have given way to another),
/// [`Self::rollup`], and that [`Self::decided_by`] is on L1 for good. What it costs is to read L1
/// blocks and their receipts again: a channel time-out of them (50 from Granite on) and those up to the
/// block that decides, a sequencing window at most, so that some 3,650 blocks show what was left out on
/// OP Mainnet. A bundle of more than half of [`MAX_FILE_BYTES`] is not made.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivationEvidence {
    rollup: Rollup,
    block: L2Block,
    record: Record,
    fault: Fault,
}

/// An L1 block as derivation reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceL1 {
    /// Header and transactions.
    pub block: L2Block,
    /// EIP-2718 encodings of its receipts.
    pub receipts: Vec<Bytes>,
    /// Its blobs that the batcher posted.
    pub blobs: Vec<Box<Blob>>,
}

/// Why evidence accuses nobody.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DerivationEvidenceError {
    /// The file cannot be read or written.
    #[error("the file cannot be read or written")]
    File(#[from] RecordError),
    /// The bytes are not such evidence.
    #[error("not evidence of derivation")]
    Json(#[from] serde_json::Error),
    /// A part is not what it has to be.
    #[error("{0} is malformed")]
    Field(&'static str),
    /// The evidence is of another format.
    #[error("format {0} is not known")]
    Version(u64),
    /// What the bundle holds does not decide it.
    #[error("what follows from L1 is not known")]
    Undecided(#[from] DriverError),
    /// The parts give another fault, or none.
    #[error("recorded is {recorded}, found is {found:?}")]
    Differs {
        /// Fault of the bundle.
        recorded: Box<Fault>,
        /// What the parts give.
        found: Box<Option<Fault>>,
    },
}

impl DerivationEvidence {
    /// Derives the block behind the parent of `block` from the sources, and keeps what was read if
    /// it is another one.
    pub(super) async fn gather<L: L1Source, B: BlobSource, S: L2Source>(
        rollup: &Rollup,
        block: &L2Block,
        l1: &L,
        blobs: &B,
        l2: &S,
    ) -> Result<Option<Self>, DriverError> {
        let tape = Tape::new(MAX_RECORD_BYTES);
        let l2 = Recorder {
            inner: l2,
            tape: &tape,
        };
        let parent = l2.block(block.number().saturating_sub(1)).await?;
        let l1 = Recorder {
            inner: l1,
            tape: &tape,
        };
        let blobs = Recorder {
            inner: blobs,
            tape: &tape,
        };
        let mut driver = Driver::new(rollup.clone(), &parent, l1, blobs, l2)?;
        let finding = driver.check(block).await;
        drop(driver);
        let tape = tape.into_inner();
        if tape.is_full {
            return Err(DriverError::TooLarge(block.number()));
        }
        let Finding::NotDerivable(fault) = finding? else {
            return Ok(None);
        };
        let mut record = tape.record;
        // What the source serves in its place is the block itself.
        record.l2.remove(&block.number());
        Ok(Some(Self {
            rollup: rollup.clone(),
            block: block.clone(),
            record,
            fault,
        }))
    }

    /// Derives the block again, by the configuration of the bundle.
    ///
    /// Errors: [`DerivationEvidenceError`]; the bundle accuses nobody then.
    pub fn replay(&self) -> Result<Fault, DerivationEvidenceError> {
        self.replay_by(&self.rollup)
    }

    /// [`Self::replay`] by a configuration that the reader trusts.
    ///
    /// Errors: [`DerivationEvidenceError`].
    pub fn replay_by(&self, rollup: &Rollup) -> Result<Fault, DerivationEvidenceError> {
        let source = Replay {
            record: &self.record,
            accused: &self.block,
            l1_chain_id: rollup.config.l1_chain_id,
            l2_chain_id: rollup.config.l2_chain_id,
        };
        let parent = self.record.l2(self.block.number().saturating_sub(1));
        let parent = parent.map_err(DriverError::from)?;
        let mut driver = Driver::new(rollup.clone(), &parent, source, source, source)?;
        let found = match ready(driver.check(&self.block)) {
            Some(finding) => finding?,
            None => return Err(DerivationEvidenceError::Field("l1")),
        };
        match found {
            Finding::NotDerivable(fault) if fault == self.fault => Ok(fault),
            found => Err(DerivationEvidenceError::Differs {
                recorded: Box::new(self.fault.clone()),
                found: Box::new(match found {
                    Finding::NotDerivable(fault) => Some(fault),
                    Finding::Derived(_) => None,
                }),
            }),
        }
    }

    /// How the rollup follows from L1, as the bundle says.
    pub const fn rollup(&self) -> &Rollup {
        &self.rollup
    }

    /// The accused block.
    pub const fn block(&self) -> &L2Block {
        &self.block
    }

    /// The fault that was found.
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The last L1 block that was read: if it is L1's, all of them are.
    pub fn decided_by(&self) -> Option<BlockRef> {
        let (_, last) = self.record.l1.last_key_value()?;
        Some(last.block.reference())
    }

    /// The L1 blocks that were read, in order.
    pub fn l1(&self) -> impl Iterator<Item = &EvidenceL1> {
        self.record.l1.values()
    }
}

impl Bundle for DerivationEvidence {
    type Error = DerivationEvidenceError;

    fn file_name(&self) -> String {
        evidence::file_name(&self.block, &self.fault)
    }

    fn to_json(&self) -> Result<Vec<u8>, DerivationEvidenceError> {
        let l1 = self.record.l1.values().map(|l1| WireL1 {
            block: l1.block.encode_rlp().into(),
            receipts: l1.receipts.clone(),
            blobs: (l1.blobs.iter())
                .map(|blob| Bytes::copy_from_slice(blob.as_slice()))
                .collect(),
        });
        let wire = Wire {
            version: VERSION,
            software: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            fault: self.fault.clone(),
            rollup: self.rollup.config.clone(),
            rules: self.rollup.l2.clone(),
            l1_rules: self.rollup.l1.clone(),
            block: self.block.encode_rlp().into(),
            ancestors: (self.record.l2.values())
                .map(|block| block.encode_rlp().into())
                .collect(),
            derived_from: l1.collect(),
            finalized: self.record.finalized,
        };
        Ok(serde_json::to_vec(&wire)?)
    }

    fn parse(json: &[u8]) -> Result<Self, DerivationEvidenceError> {
        let wire: Wire = serde_json::from_slice(json)?;
        if wire.version != VERSION {
            return Err(DerivationEvidenceError::Version(wire.version));
        }
        let (l2_chain, l1_chain) = (wire.rules.chain_id(), wire.l1_rules.chain_id());
        if (wire.rollup.l2_chain_id, wire.rollup.l1_chain_id) != (l2_chain, l1_chain) {
            return Err(DerivationEvidenceError::Field("rollup"));
        }
        // Of all blocks together, as there are many.
        let mut transactions = 0;
        let mut block = |chain, bytes: &Bytes, name| {
            let block = decode_block(chain, bytes).ok();
            transactions += block.as_ref().map_or(0, |block| block.transactions.len());
            block
                .filter(|_| transactions <= MAX_ITEMS)
                .ok_or(DerivationEvidenceError::Field(name))
        };
        let mut record = Record {
            finalized: wire.finalized,
            ..Record::default()
        };
        for bytes in &wire.ancestors {
            let block = block(l2_chain, bytes, "ancestors")?;
            record.l2.insert(block.number(), block);
        }
        for l1 in wire.derived_from {
            let block = block(l1_chain, &l1.block, "derivedFrom")?;
            let blobs = l1.blobs.iter().map(|bytes| {
                Blob::try_from(&bytes[..])
                    .map(Box::new)
                    .map_err(|_| DerivationEvidenceError::Field("blobs"))
            });
            let blobs = blobs.collect::<Result<_, _>>()?;
            let receipts = l1.receipts;
            let l1 = EvidenceL1 {
                block,
                receipts,
                blobs,
            };
            record.l1.insert(l1.block.number(), l1);
        }
        Ok(Self {
            block: block(l2_chain, &wire.block, "block")?,
            rollup: Rollup::new(wire.rollup, wire.rules, wire.l1_rules),
            record,
            fault: wire.fault,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: u64,
    software: String,
    fault: Fault,
    #[serde(deserialize_with = "op::bounded_config")]
    rollup: RollupConfig,
    rules: ChainSpec,
    l1_rules: ChainSpec,
    block: Bytes,
    /// The parent of the block, and what lies before that.
    #[serde(deserialize_with = "at_most::<_, _, MAX_ANCESTORS>")]
    ancestors: Vec<Bytes>,
    #[serde(deserialize_with = "l1_blocks")]
    derived_from: Vec<WireL1>,
    finalized: BlockNumber,
}

#[derive(Serialize, Deserialize)]
struct WireL1 {
    block: Bytes,
    #[serde(deserialize_with = "at_most::<_, _, MAX_TRANSACTIONS>")]
    receipts: Vec<Bytes>,
    #[serde(deserialize_with = "at_most::<_, _, MAX_BLOBS>")]
    blobs: Vec<Bytes>,
}

fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(AtMost::<T, N>::deserialize(deserializer)?.0)
}

/// L1 blocks, one after another, with at most [`MAX_ITEMS`] receipts in all.
fn l1_blocks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WireL1>, D::Error> {
    let list = AtMost::<&RawValue, MAX_L1>::deserialize(deserializer)?.0;
    let mut receipts = 0;
    let read = |json: &RawValue| {
        let block: WireL1 = serde_json::from_str(json.get()).map_err(D::Error::custom)?;
        receipts += block.receipts.len();
        if receipts > MAX_ITEMS {
            let what = format_args!("more than {MAX_ITEMS} receipts");
            return Err(D::Error::custom(what));
        }
        Ok(block)
    };
    list.into_iter().map(read).collect()
}

/// What sources answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    l2: BTreeMap<BlockNumber, L2Block>,
    l1: BTreeMap<BlockNumber, EvidenceL1>,
    /// Height of the final L1 block.
    finalized: BlockNumber,
}

impl Record {
    fn l2(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        self.l2
            .get(&number)
            .cloned()
            .ok_or(SourceError::NotHeld(number))
    }

    fn l1(&self, number: BlockNumber) -> Result<&EvidenceL1, SourceError> {
        self.l1.get(&number).ok_or(SourceError::NotHeld(number))
    }
}

/// A record that is being made.
#[derive(Debug)]
struct Tape(Mutex<Taped>);

#[derive(Debug)]
struct Taped {
    record: Record,
    /// Bytes that may still come.
    left: u64,
    /// Whether something did not fit.
    is_full: bool,
}

impl Tape {
    fn new(limit: u64) -> Self {
        Self(Mutex::new(Taped {
            record: Record::default(),
            left: limit,
            is_full: false,
        }))
    }

    /// Keeps what takes `bytes`, which L1 block or ancestor `number` has.
    ///
    /// Errors: [`SourceError::NotHeld`] if that is too much, which ends derivation.
    fn note(
        &self,
        number: BlockNumber,
        bytes: usize,
        note: impl FnOnce(&mut Record),
    ) -> Result<(), SourceError> {
        let mut taped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = taped.left.checked_sub(bytes as u64) else {
            taped.is_full = true;
            return Err(SourceError::NotHeld(number));
        };
        taped.left = left;
        note(&mut taped.record);
        Ok(())
    }

    fn into_inner(self) -> Taped {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of items in a list.
fn bytes_of<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let bytes = items.into_iter().map(|item| item.len() + ITEM_BYTES);
    bytes.sum()
}

/// Bytes of a block.
fn bytes_of_block(block: &L2Block) -> usize {
    BLOCK_BYTES
        + block.header.extra_data.len()
        + bytes_of(block.transactions.iter().map(|it| &it[..]))
}

/// A source whose answers are kept.
#[derive(Debug)]
struct Recorder<'a, T> {
    inner: &'a T,
    tape: &'a Tape,
}

#[async_trait]
impl<T: L1Source> L1Source for Recorder<'_, T> {
    fn chain_id(&self) -> ChainId {
        self.inner.chain_id()
    }

    async fn head(&self, head: L1Head) -> Result<BlockRef, SourceError> {
        let found = self.inner.head(head).await?;
        self.tape
            .note(found.number, 0, |record| record.finalized = found.number)?;
        Ok(found)
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        self.inner.header(number).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let block = self.inner.block(number).await?;
        let l1 = EvidenceL1 {
            block: block.clone(),
            receipts: Vec::new(),
            blobs: Vec::new(),
        };
        self.tape.note(number, bytes_of_block(&block), |record| {
            record.l1.insert(number, l1);
        })?;
        Ok(block)
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        let receipts = self.inner.receipts(header).await?;
        let bytes = bytes_of(receipts.iter().map(|it| &it[..]));
        self.tape.note(header.number, bytes, |record| {
            if let Some(l1) = record.l1.get_mut(&header.number) {
                l1.receipts.clone_from(&receipts);
            }
        })?;
        Ok(receipts)
    }
}

#[async_trait]
impl<T: BlobSource> BlobSource for Recorder<'_, T> {
    async fn blobs(
        &self,
        header: &Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let blobs = self.inner.blobs(header, hashes).await?;
        let bytes = bytes_of(blobs.iter().map(|it| it.as_slice()));
        self.tape.note(header.number, bytes, |record| {
            if let Some(l1) = record.l1.get_mut(&header.number) {
                l1.blobs.clone_from(&blobs);
            }
        })?;
        Ok(blobs)
    }
}

#[async_trait]
impl<T: L2Source> L2Source for Recorder<'_, T> {
    fn chain_id(&self) -> ChainId {
        self.inner.chain_id()
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        self.inner.head(head).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let block = self.inner.block(number).await?;
        let copy = block.clone();
        self.tape.note(number, bytes_of_block(&block), |record| {
            record.l2.insert(number, copy);
        })?;
        Ok(block)
    }
}

/// A record as a source that answers at once.
#[derive(Clone, Copy, Debug)]
struct Replay<'a> {
    record: &'a Record,
    accused: &'a L2Block,
    l1_chain_id: ChainId,
    l2_chain_id: ChainId,
}

#[async_trait]
impl L1Source for Replay<'_> {
    fn chain_id(&self) -> ChainId {
        self.l1_chain_id
    }

    async fn head(&self, _head: L1Head) -> Result<BlockRef, SourceError> {
        Ok(BlockRef {
            number: self.record.finalized,
            hash: B256::ZERO,
        })
    }

    async fn header(&self, number: BlockNumber) -> Result<Sealed<Header>, SourceError> {
        Ok(self.record.l1(number)?.block.header.clone())
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        Ok(self.record.l1(number)?.block.clone())
    }

    async fn receipts(&self, header: &Sealed<Header>) -> Result<Vec<Bytes>, SourceError> {
        Ok(self.record.l1(header.number)?.receipts.clone())
    }
}

#[async_trait]
impl BlobSource for Replay<'_> {
    async fn blobs(
        &self,
        header: &Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        // In the order in which they were asked for once; whoever uses them compares the hashes.
        let blobs = &self.record.l1(header.number)?.blobs;
        let is_whole = hashes.len() == blobs.len();
        is_whole
            .then(|| blobs.clone())
            .ok_or(SourceError::NotHeld(header.number))
    }
}

#[async_trait]
impl L2Source for Replay<'_> {
    fn chain_id(&self) -> ChainId {
        self.l2_chain_id
    }

    /// A block without a node that stands by it is not accused.
    async fn head(&self, _head: L2Head) -> Result<BlockRef, SourceError> {
        Ok(self.accused.reference())
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        if number == self.accused.number() {
            return Ok(self.accused.clone());
        }
        self.record.l2(number)
    }
}

/// What a future gives that never waits.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_that_is_full_says_so() {
        let tape = Tape::new(1_000);
        tape.note(1, 600, |record| record.finalized = 1).unwrap();
        let error = tape.note(2, 401, |record| record.finalized = 2);
        assert!(matches!(error, Err(SourceError::NotHeld(2))));
        let taped = tape.into_inner();
        assert!(taped.is_full);
        assert_eq!(taped.record.finalized, 1);
        // What is counted is what the JSON object has, and not less.
        let block = L2Block::new(
            1,
            Header {
                extra_data: vec![7; 32].into(),
                ..Default::default()
            },
            vec![vec![1; 500].into(), vec![2].into()],
        );
        assert!(bytes_of_block(&block) >= block.encode_rlp().len() + ITEM_BYTES);
    }
}
