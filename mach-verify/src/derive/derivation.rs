//! The state machine.

use alloy_eips::eip4844::Blob;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, BlockNumber, Bytes};
use mach_core::{BlockRef, Fault, L2Block};

use super::{
    DeriveError, DerivedBlock, OpenedL1, Origin, SingularBatch,
    batches::{Batches, Found},
    check::Context,
    epochs::Epochs,
    history::{History, PastBlock},
    stream::BatchStream,
};
use crate::header::transactions_root;
use crate::op::{
    BlockAttributes, L1Attributes, L1Error, L1View, Parent, Rollup, SystemConfig, verify_against_l1,
};

/// What derivation does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// This block follows. It is put before [`Derivation::accept`] or [`Derivation::reject`].
    Block(&'a DerivedBlock),
    /// The L1 block at this height is needed: [`Derivation::open`], [`Derivation::add`].
    NeedsL1(BlockNumber),
    /// The rollup block at this height, an ancestor of all that came, is needed:
    /// [`Derivation::add_ancestor`].
    NeedsAncestor(BlockNumber),
}

/// Blocks of a rollup from what stands on L1, one after another.
///
/// It starts behind a block that is trusted, asks for ancestors of that block until it knows where
/// on L1 to begin, and then for L1 blocks in order. Everything that comes is checked: ancestors by
/// their hashes, L1 blocks by their parents, bodies and receipts by their roots, blobs by their
/// commitments. What L1 blocks it is given are L1's is for the caller to know.
///
/// After an L1 reorganisation, derivation starts again, behind a block whose L1 origin is still
/// there; blocks whose inclusion is final never have to be derived again.
///
/// Memory: the channels that the protocol permits (100 MB, from Fjord on 1 GB before Holocene and
/// 100 MB after it), the headers and deposits of L1 blocks within a sequencing window, 112 bytes for
/// every rollup block within it, and the channel that is read with the span that is decoded from it
/// (100 MB each from Fjord on, 10 MB before). Before Holocene batches that are posted ahead of their
/// time wait in a queue, which the protocol does not bound: with 1 GB derivation ends
/// ([`DeriveError::TooFarAhead`]). It also ends with a batch of one block that has more transactions
/// than any block executes ([`DeriveError::TooManyTransactions`]). [`Driver`](super::Driver) has all of it twice while it suspects a
/// block.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html>
#[derive(Clone, Debug)]
pub struct Derivation {
    rollup: Rollup,
    safe: Parent,
    history: History,
    epochs: Epochs,
    batches: Batches,
    l1: Option<L1Position>,
    derived: Option<DerivedBlock>,
    /// Height of the block that is trusted.
    start: BlockNumber,
    /// L1 blocks before the L1 origin of that block in which channels may begin.
    lookback: u64,
}

/// Where on L1 derivation is.
#[derive(Clone, Debug)]
struct L1Position {
    /// Last L1 block that came, or the first that has to.
    block: BlockRef,
    /// Whether it came.
    is_read: bool,
    is_holocene: bool,
    /// Configuration after that block.
    system_config: SystemConfig,
    stream: BatchStream,
}

impl Derivation {
    /// Derivation behind `start`, which is trusted.
    ///
    /// Errors: [`DeriveError`].
    pub fn new(rollup: Rollup, start: &L2Block) -> Result<Self, DeriveError> {
        if rollup.config.has_alt_da() {
            return Err(DeriveError::AltDa);
        }
        rollup.config.check_drift()?;
        if rollup.l1.is_optimism() {
            return Err(DeriveError::NestedL1(rollup.l1.chain_id()));
        }
        prove(start)?;
        let safe = Parent::of_block(&rollup, start)?;
        let origin_timestamp = L1Attributes::of_block(start)
            .map_or(rollup.config.genesis.l2_time, |attributes| {
                attributes.timestamp
            });
        let mut derivation = Self {
            history: History::new(PastBlock::of(&safe, start)),
            epochs: Epochs::default(),
            batches: Batches::default(),
            l1: None,
            derived: None,
            start: start.number(),
            lookback: rollup.longest_channel_timeout(origin_timestamp),
            rollup,
            safe,
        };
        derivation.start_at(&derivation.safe.clone());
        Ok(derivation)
    }

    /// The rollup.
    pub const fn rollup(&self) -> &Rollup {
        &self.rollup
    }

    /// The last block that was accepted.
    pub fn head(&self) -> BlockRef {
        BlockRef {
            number: self.safe.header.number,
            hash: self.safe.header.seal(),
        }
    }

    /// L1 origin of [`Self::head`].
    pub const fn head_origin(&self) -> BlockRef {
        self.safe.origin
    }

    /// The block that [`Self::step`] gave last, until it is accepted or rejected.
    pub const fn derived(&self) -> Option<&DerivedBlock> {
        self.derived.as_ref()
    }

    /// Whether `block` was derived since the start, on L1 as it was then. Blocks are kept as far back
    /// as a batch can say them again.
    pub fn has_derived(&self, block: BlockRef) -> bool {
        block.number > self.start
            && (self.history.get(block.number)).is_some_and(|past| past.hash == block.hash)
    }

    /// What is wrong with a published block where the derived one has to be; `None` if it is that.
    ///
    /// The same as [`DerivedBlock::check`], but a block that breaks a rule of
    /// [`verify_against_l1`](crate::op::verify_against_l1) has the fault that is named there, whatever its batch says.
    ///
    /// Errors: [`DeriveError`], as there.
    pub fn check(&self, block: &L2Block) -> Result<Option<Fault>, DeriveError> {
        let derived = self.derived.as_ref();
        let derived = derived.ok_or(DeriveError::NotYet(block.number()))?;
        let fault = derived.check(block)?;
        Ok(fault.map(|fault| self.broken_rule(block, derived.inclusion).unwrap_or(fault)))
    }

    /// What L1 says of a block without its batch, as far as L1 is known here.
    fn broken_rule(&self, block: &L2Block, inclusion: BlockRef) -> Option<Fault> {
        let claimed = L1Attributes::of_block(block).ok();
        let origin = claimed.and_then(|claimed| self.epochs.get(claimed.number));
        let behind = origin.map_or(0, |origin| origin.number().saturating_add(1));
        let following = (behind..behind.saturating_add(2))
            .map_while(|number| Some(self.epochs.get(number)?.header.clone()));
        let view = L1View {
            origin: origin.map(|origin| &origin.header),
            receipts: origin.map(|origin| &*origin.receipts),
            following: &following.collect::<Vec<_>>(),
            settled: Some(inclusion.number),
        };
        verify_against_l1(&self.rollup, &self.safe, block, &view).ok()?
    }

    /// The next block if L1 decides it, or what is needed to know.
    ///
    /// Errors: [`DeriveError`]; the same again until something is added.
    pub fn step(&mut self) -> Result<Step<'_>, DeriveError> {
        if self.derived.is_none() {
            let Some(position) = &mut self.l1 else {
                let ancestor = self.history.next_ancestor().unwrap_or_default();
                return Ok(Step::NeedsAncestor(ancestor));
            };
            if !position.is_read {
                return Ok(Step::NeedsL1(position.block.number));
            }
            let behind = position.block.number < self.safe.origin.number;
            let context = Context {
                rollup: &self.rollup,
                safe: &self.safe,
                history: &self.history,
                inclusion: position.block.number,
                is_holocene: position.is_holocene,
            };
            let found = self
                .batches
                .next(&context, &mut self.epochs, &mut position.stream, behind);
            if position.stream.has_unread() {
                return Err(DeriveError::TooManyTransactions(position.block));
            }
            let (batch, origin) = match found {
                Found::Batch(batch) => (batch, Origin::Batch),
                Found::Empty(batch) => (batch, Origin::Empty),
                Found::NeedsAncestor(number) => return Ok(Step::NeedsAncestor(number)),
                Found::Nothing => {
                    return Ok(Step::NeedsL1(position.block.number.saturating_add(1)));
                }
                Found::Full => return Err(DeriveError::TooFarAhead(position.block)),
            };
            let inclusion = position.block;
            self.derived = Some(self.derive(batch, origin, inclusion)?);
        }
        match &self.derived {
            Some(block) => Ok(Step::Block(block)),
            None => Err(DeriveError::NotYet(self.safe.header.number)),
        }
    }

    /// Adds the parent of the earliest block that is known.
    ///
    /// Errors: [`DeriveError::WrongAncestor`] if it is another block.
    pub fn add_ancestor(&mut self, block: &L2Block) -> Result<(), DeriveError> {
        prove(block)?;
        let parent = Parent::of_block(&self.rollup, block)?;
        if !self.history.prepend(PastBlock::of(&parent, block)) {
            return Err(DeriveError::WrongAncestor(block.reference()));
        }
        if self.l1.is_none() {
            self.start_at(&parent);
        }
        Ok(())
    }

    /// Checks the L1 block that [`Step::NeedsL1`] asks for, with the EIP-2718 encodings of its
    /// receipts, and finds what the batcher posted to it.
    ///
    /// Errors: [`DeriveError::L1Reorg`] if it does not follow the one before, and others.
    pub fn open(&self, block: &L2Block, receipts: &[Bytes]) -> Result<OpenedL1, DeriveError> {
        let position = self.expected(block.reference(), block.header.parent_hash)?;
        let update = position.is_read;
        OpenedL1::new(
            &self.rollup,
            block,
            receipts,
            position.system_config,
            update,
        )
    }

    /// Adds an L1 block with the blobs that it needs, in the order of
    /// [`OpenedL1::blob_hashes`].
    ///
    /// Errors: [`DeriveError`]; nothing is added then.
    pub fn add(&mut self, opened: OpenedL1, blobs: &[Box<Blob>]) -> Result<(), DeriveError> {
        let header = opened.header();
        let (parent, timestamp) = (header.parent_hash, header.timestamp);
        let block = BlockRef {
            number: header.number,
            hash: header.seal(),
        };
        self.expected(block, parent)?;
        let system_config = opened.system_config;
        let (epoch, data) = opened.into_data(blobs)?;
        let is_holocene = self.rollup.is_active(OpHardfork::Holocene, timestamp);
        let Some(position) = &mut self.l1 else {
            return Ok(());
        };
        if !position.is_read {
            position.stream = BatchStream::new(&self.rollup, block.number, timestamp);
        } else if is_holocene != position.is_holocene {
            self.batches = Batches::default();
        }
        position
            .stream
            .advance(&self.rollup, block.number, timestamp, data);
        position.block = block;
        position.is_read = true;
        position.is_holocene = is_holocene;
        position.system_config = system_config;
        if block.number < self.safe.origin.number {
            self.epochs.clear();
        } else {
            self.epochs.push(epoch);
        }
        Ok(())
    }

    /// Goes on behind `block`, the one that was derived. What execution gives is for the caller to
    /// check.
    ///
    /// Errors: [`DeriveError`] if `block` is another one; nothing changes then.
    pub fn accept(&mut self, block: &L2Block) -> Result<(), DeriveError> {
        let number = block.number();
        let derived = self.derived.as_ref().ok_or(DeriveError::NotYet(number))?;
        if derived.check(block)?.is_some() {
            return Err(DeriveError::NotYet(number));
        }
        let parent = Parent::of_block(&self.rollup, block)?;
        let past = PastBlock::of(&parent, block);
        let window = self.rollup.config.seq_window_size.saturating_add(1);
        let oldest = derived.inclusion.number.saturating_sub(window);
        self.history.push(past, oldest);
        self.safe = parent;
        self.derived = None;
        Ok(())
    }

    /// Says that the transactions of the derived block cannot be executed on its parent.
    ///
    /// From Holocene on, the block is then derived without them and the rest of their channel is
    /// lost; before, the next batch counts. A block without transactions of the sequencer can
    /// always be executed, and stays.
    pub fn reject(&mut self) {
        let Some(derived) = &mut self.derived else {
            return;
        };
        if derived.transactions.is_empty() {
            return;
        }
        self.batches.clear_span();
        match &mut self.l1 {
            Some(position) if position.is_holocene => {
                position.stream.flush();
                derived.transactions.clear();
                derived.origin = Origin::Replacement;
            }
            _ => self.derived = None,
        }
    }

    /// Where on L1 to begin, if `ancestor` is far enough back.
    ///
    /// Channels that were opened before are not complete in time for any block behind the start,
    /// whichever time-out holds when they are completed.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#finding-the-sync-starting-point>
    fn start_at(&mut self, ancestor: &Parent) {
        let timestamp = ancestor.header.timestamp;
        let is_first = ancestor.header.number <= self.rollup.config.genesis.l2.number;
        if is_first
            || ancestor.origin.number.saturating_add(self.lookback) < self.safe.origin.number
        {
            self.l1 = Some(L1Position {
                block: ancestor.origin,
                is_read: false,
                is_holocene: self.rollup.is_active(OpHardfork::Holocene, timestamp),
                system_config: ancestor.system_config,
                stream: BatchStream::new(&self.rollup, ancestor.origin.number, timestamp),
            });
        }
    }

    /// The position, if `block` is the L1 block that comes next.
    fn expected(&self, block: BlockRef, parent: B256) -> Result<&L1Position, DeriveError> {
        let position = self.l1.as_ref().ok_or(DeriveError::WrongL1Block {
            expected: None,
            actual: block.number,
        })?;
        let last = position.block;
        let (number, follows) = if position.is_read {
            (last.number.saturating_add(1), parent == last.hash)
        } else {
            (last.number, block.hash == last.hash)
        };
        if block.number != number {
            return Err(DeriveError::WrongL1Block {
                expected: Some(number),
                actual: block.number,
            });
        }
        if !follows {
            return Err(DeriveError::L1Reorg {
                block,
                parent: last.hash,
            });
        }
        let origin = self.safe.origin;
        if block.number == origin.number && block.hash != origin.hash {
            return Err(DeriveError::WrongOrigin { block, origin });
        }
        Ok(position)
    }

    fn derive(
        &self,
        batch: SingularBatch,
        origin: Origin,
        inclusion: BlockRef,
    ) -> Result<DerivedBlock, DeriveError> {
        let epoch = self
            .epochs
            .get(batch.epoch_number)
            .ok_or(L1Error::MissingNext(batch.epoch_number))?;
        let receipts = (epoch.number() != self.safe.origin.number).then_some(&*epoch.receipts);
        let attributes = BlockAttributes::new(&self.rollup, &self.safe, &epoch.header, receipts)?;
        let number = self.safe.header.number.saturating_add(1);
        let rules = &self.rollup.l2;
        rules.check_supported(number, attributes.timestamp)?;
        let conflict = self.batches.conflict(attributes.timestamp);
        let unsupported = attributes.doubt.clone();
        let doubt = conflict.map(DeriveError::Conflict).or_else(|| {
            let doubt = unsupported.or_else(|| rules.doubt(attributes.timestamp))?;
            Some(doubt.into())
        });
        Ok(DerivedBlock {
            parent: self.head(),
            doubt,
            attributes,
            transactions: batch.transactions,
            origin,
            inclusion,
        })
    }
}

/// Checks that hash and body of a block are those of its header.
pub(super) fn prove(block: &L2Block) -> Result<(), DeriveError> {
    if block.header.hash_slow() != block.hash() {
        return Err(DeriveError::Body(block.reference(), "hash"));
    }
    if transactions_root(&block.transactions) != block.header.transactions_root {
        return Err(DeriveError::Body(block.reference(), "transactions"));
    }
    Ok(())
}
