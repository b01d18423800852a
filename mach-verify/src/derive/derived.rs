//! What a block has to be, by what stands on L1.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use mach_core::{BlockRef, Fault, L2Block, Mismatch};

use super::{DeriveError, derivation::prove};
use crate::{
    header::transactions_root,
    op::{BlockAttributes, L1Attributes},
};

/// Where the transactions of a derived block come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a batch.
    Batch,
    /// From nowhere: the sequencing window of its epoch ended without a batch for it.
    Empty,
    /// From nowhere: the transactions of its batch cannot be executed (Holocene).
    Replacement,
}

/// A block that follows from L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedBlock {
    /// The block that it follows.
    pub parent: BlockRef,
    /// Everything but the sequencer's transactions.
    pub attributes: BlockAttributes,
    /// EIP-2718 encodings of the sequencer's transactions, which follow the deposits.
    pub transactions: Vec<Bytes>,
    /// Where those come from.
    pub origin: Origin,
    /// The L1 block that decided it.
    pub inclusion: BlockRef,
    /// Why a difference accuses nobody, if the rules are not known for certain.
    pub(super) doubt: Option<DeriveError>,
}

impl DerivedBlock {
    /// Height of the block.
    pub const fn number(&self) -> u64 {
        self.parent.number.saturating_add(1)
    }

    /// What is wrong with a published block at this height; `None` if it is this one.
    ///
    /// What only execution gives (roots, bloom, gas used, base fee) is not looked at.
    ///
    /// Errors: [`DeriveError`] if the rules of the block are not known for certain, or if it does
    /// not follow the same parent.
    pub fn check(&self, block: &L2Block) -> Result<Option<Fault>, DeriveError> {
        prove(block)?;
        let parent = BlockRef {
            number: block.number().wrapping_sub(1),
            hash: block.header.parent_hash,
        };
        if parent != self.parent {
            return Err(DeriveError::WrongParent {
                block: block.reference(),
                parent: self.parent,
            });
        }
        let fault = self
            .origin_fault(block)
            .or_else(|| self.header_fault(&block.header))
            .or_else(|| self.transactions_fault(block));
        match (fault, self.doubt.as_ref()) {
            (Some(_), Some(doubt)) => Err(doubt.clone()),
            (fault, _) => Ok(fault),
        }
    }

    /// The block that the batch says, if `replacement` is the one in its place that has nothing but
    /// deposits: under the header of that, for what execution gives is not known.
    ///
    /// Source: <https://specs.optimism.io/protocol/holocene/derivation.html#engine-queue>
    pub(super) fn candidate(&self, replacement: &L2Block) -> L2Block {
        let mut transactions = replacement.transactions.clone();
        transactions.extend_from_slice(&self.transactions);
        let header = Header {
            transactions_root: transactions_root(&transactions),
            ..replacement.header.inner().clone()
        };
        L2Block::new(replacement.chain_id, header, transactions)
    }

    /// The L1 origin is the batch's choice, or the only one that is left without a batch.
    fn origin_fault(&self, block: &L2Block) -> Option<Fault> {
        // A block without L1 attributes has other transactions.
        let claimed = L1Attributes::of_block(block).ok()?;
        Mismatch::check(claimed.number, self.attributes.l1.number).map(Fault::BatchOrigin)
    }

    fn header_fault(&self, header: &Header) -> Option<Fault> {
        let word = |value: u64| B256::from(U256::from(value));
        let expected = &self.attributes;
        let extra_data = expected.extra_data.as_ref().unwrap_or(&header.extra_data);
        let fields = [
            (
                "timestamp",
                word(header.timestamp),
                word(expected.timestamp),
            ),
            (
                "beneficiary",
                header.beneficiary.into_word(),
                expected.beneficiary.into_word(),
            ),
            ("gasLimit", word(header.gas_limit), word(expected.gas_limit)),
            (
                "extraData",
                keccak256(&header.extra_data),
                keccak256(extra_data),
            ),
            ("mixHash", header.mix_hash, expected.mix_hash),
            (
                "parentBeaconBlockRoot",
                header.parent_beacon_block_root.unwrap_or_default(),
                expected.parent_beacon_block_root.unwrap_or_default(),
            ),
        ];
        fields.into_iter().find_map(|(field, claimed, computed)| {
            let values = Mismatch::check(claimed, computed)?;
            let field = field.to_owned();
            Some(Fault::PayloadAttributes { field, values })
        })
    }

    fn transactions_fault(&self, block: &L2Block) -> Option<Fault> {
        let attributes = &self.attributes;
        let expected = (attributes.deposits.iter().map(keccak256))
            .chain(attributes.upgrades.iter().map(|upgrade| upgrade.hash))
            .chain(self.transactions.iter().map(keccak256))
            .collect::<Vec<_>>();
        let published = &block.transactions;
        (0..published.len().max(expected.len())).find_map(|index| {
            let values = Mismatch::check(
                published.get(index).map(keccak256),
                expected.get(index).copied(),
            )?;
            let index = index as u64;
            Some(Fault::BatchTransactions { index, values })
        })
    }
}
