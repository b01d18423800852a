//! L1 blocks as derivation reads them.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_eips::eip4844::Blob;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{B256, Bytes, Sealed};
use mach_core::L2Block;

use super::{
    DeriveError, Inbox, InboxData, decode_blob, derivation::prove, epochs::Epoch, versioned_hash,
};
use crate::op::{L1Error, Rollup, SystemConfig, proven_receipts};

/// An L1 block whose body and receipts are proven, and the blobs that it needs.
///
/// [`Derivation::open`](super::Derivation::open) makes it.
#[derive(Clone, Debug)]
pub struct OpenedL1 {
    pub(super) epoch: Epoch,
    pub(super) system_config: SystemConfig,
    data: Vec<InboxData>,
}

impl OpenedL1 {
    /// Proves `block` and `receipts` to the header, and finds what the batcher posted.
    ///
    /// `system_config` is the configuration after this block, or, with `update`, before it.
    pub(super) fn new(
        rollup: &Rollup,
        block: &L2Block,
        receipts: &[Bytes],
        mut system_config: SystemConfig,
        update: bool,
    ) -> Result<Self, DeriveError> {
        let header = &block.header;
        prove(block)?;
        let receipts: Vec<ReceiptEnvelope> =
            proven_receipts(header, receipts).map_err(|source| L1Error::Receipts {
                block: header.number,
                source,
            })?;
        if update {
            system_config.update(rollup, &receipts, header.timestamp)?;
        }
        let inbox = Inbox {
            address: rollup.config.batch_inbox_address,
            batcher: system_config.batcher,
            blobs: rollup.is_active(OpHardfork::Ecotone, header.timestamp),
        };
        let addresses = [
            rollup.config.deposit_contract_address,
            rollup.config.l1_system_config_address,
        ];
        Ok(Self {
            data: inbox.read(&block.transactions),
            epoch: Epoch::new(header.clone(), &receipts, &addresses),
            system_config,
        })
    }

    /// Its header.
    pub const fn header(&self) -> &Sealed<Header> {
        &self.epoch.header
    }

    /// Versioned hashes of the blobs that are needed, in order.
    pub fn blob_hashes(&self) -> Vec<B256> {
        self.data
            .iter()
            .filter_map(|data| match data {
                InboxData::Blob(hash) => Some(*hash),
                InboxData::Calldata(_) => None,
            })
            .collect()
    }

    /// The batcher's bytes, in order, where `blobs` are those of [`Self::blob_hashes`].
    ///
    /// Blobs that do not hold what a batcher posts are left out.
    pub(super) fn into_data(self, blobs: &[Box<Blob>]) -> Result<(Epoch, Vec<Bytes>), DeriveError> {
        let block = self.epoch.number();
        let mut blobs = blobs.iter();
        let mut bytes = Vec::with_capacity(self.data.len());
        for data in self.data {
            match data {
                InboxData::Calldata(calldata) => bytes.push(calldata),
                InboxData::Blob(hash) => {
                    let blob = blobs
                        .next()
                        .filter(|blob| versioned_hash(blob) == Some(hash))
                        .ok_or(DeriveError::Blob { block, hash })?;
                    bytes.extend(decode_blob(blob).ok());
                }
            }
        }
        Ok((self.epoch, bytes))
    }
}
