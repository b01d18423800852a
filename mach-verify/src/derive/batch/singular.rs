use alloy_primitives::{B256, BlockNumber, Bytes};
use alloy_rlp::{Decodable, RlpDecodable};

use super::BatchError;
use crate::source::bounded::is_list_above;

/// Most transactions of a batch of one block that are read: no block that is executed has the gas for
/// so many. op-node reads them, and in memory they take up to a hundred times their bytes.
const MAX_TRANSACTIONS: usize = 1_000_000;

/// Place of the transactions among the fields.
const TRANSACTIONS: usize = 4;

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
        if is_list_above(MAX_TRANSACTIONS, TRANSACTIONS, content) {
            return Err(BatchError::TooManyTransactions);
        }
        Ok(<Self as Decodable>::decode(&mut content)?)
    }
}

#[cfg(test)]
mod tests {
    use alloy_rlp::{Encodable, Header};

    use super::*;

    /// A batch with so many transactions of no byte.
    fn batch(transactions: usize) -> Vec<u8> {
        let mut fields = Vec::new();
        B256::ZERO.encode(&mut fields);
        7_u64.encode(&mut fields);
        B256::ZERO.encode(&mut fields);
        9_u64.encode(&mut fields);
        let list = |payload_length| Header {
            list: true,
            payload_length,
        };
        list(transactions).encode(&mut fields);
        fields.resize(fields.len() + transactions, 0x80);
        let mut batch = Vec::new();
        list(fields.len()).encode(&mut batch);
        batch.extend(fields);
        batch
    }

    #[test]
    fn transactions_are_counted_before_they_are_kept() {
        for count in [0, 1, MAX_TRANSACTIONS] {
            let read = SingularBatch::decode(&batch(count)).unwrap();
            assert_eq!(read.transactions.len(), count);
        }
        let error = SingularBatch::decode(&batch(MAX_TRANSACTIONS + 1)).unwrap_err();
        assert_eq!(error, BatchError::TooManyTransactions);
        assert!(!error.is_disputed());
    }
}
