use alloy_primitives::{B256, BlockNumber, Bytes};
use alloy_rlp::{Decodable, RlpDecodable};

use super::BatchError;

/// One block: its place, and the transactions that the sequencer chose.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#batch-format>
#[derive(Clone, Debug, PartialEq, Eq, RlpDecodable)]
pub struct SingularBatch {
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Height of the L1 origin.
    pub epoch_number: BlockNumber,
    /// Hash of the L1 origin.
    pub epoch_hash: B256,
    /// Second of the block.
    pub timestamp: u64,
    /// EIP-2718 encodings, without the deposits.
    pub transactions: Vec<Bytes>,
}

impl SingularBatch {
    /// Decodes the RLP list behind the version byte. Bytes behind the list do not count.
    pub(super) fn decode(mut content: &[u8]) -> Result<Self, BatchError> {
        Ok(<Self as Decodable>::decode(&mut content)?)
    }
}
