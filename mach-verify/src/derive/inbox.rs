//! What the batcher posted to an L1 block.

use alloy_consensus::{Transaction, TxEnvelope, TxType, Typed2718, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes};

/// Data of the batcher, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxData {
    /// In the calldata of a transaction.
    Calldata(Bytes),
    /// In the blob with this versioned hash.
    Blob(B256),
}

/// Who posts batches, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbox {
    /// L1 address that batches are sent to.
    pub address: Address,
    /// L1 account that sends them.
    pub batcher: Address,
    /// Whether blobs count (Ecotone); before that the calldata of their transaction does.
    pub blobs: bool,
}

impl Inbox {
    /// What the batcher posted with `transactions`, EIP-2718 encodings of an L1 block, in order.
    ///
    /// Whether a transaction succeeded does not matter. Transactions of types that L1 got after
    /// blobs carry no batches.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#l1-retrieval>,
    /// <https://specs.optimism.io/protocol/ecotone/derivation.html#ecotone-blob-retrieval>, and
    /// `isValidBatchTx` in op-node for the types.
    pub fn read(&self, transactions: &[Bytes]) -> Vec<InboxData> {
        let mut data = Vec::new();
        for bytes in transactions {
            let Ok(transaction) = TxEnvelope::decode_2718_exact(bytes) else {
                continue;
            };
            if transaction.to() != Some(self.address)
                || transaction.ty() > TxType::Eip4844 as u8
                || transaction.recover_signer().ok() != Some(self.batcher)
            {
                continue;
            }
            match transaction.blob_versioned_hashes() {
                Some(hashes) if self.blobs => {
                    data.extend(hashes.iter().copied().map(InboxData::Blob));
                }
                _ => data.push(InboxData::Calldata(transaction.input().clone())),
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip7702};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::{Signature, TxKind, U256};

    use super::*;

    const ADDRESS: Address = Address::repeat_byte(0xff);

    fn signature() -> Signature {
        Signature::new(U256::from(1), U256::from(9), false)
    }

    fn envelope(transaction: impl Into<TxEnvelope>) -> (Bytes, Address) {
        let envelope = transaction.into();
        let sender = envelope.recover_signer().unwrap();
        (envelope.encoded_2718().into(), sender)
    }

    fn call(to: Address) -> (Bytes, Address) {
        let transaction = TxEip1559 {
            chain_id: 1,
            to: TxKind::Call(to),
            input: Bytes::from_static(b"calldata"),
            ..Default::default()
        };
        envelope(transaction.into_signed(signature()))
    }

    #[test]
    fn only_the_batcher_is_heard() {
        let (batch, batcher) = call(ADDRESS);
        let (elsewhere, _) = call(Address::ZERO);
        let inbox = Inbox {
            address: ADDRESS,
            batcher,
            blobs: true,
        };
        let noise = Bytes::from_static(&[0x7e, 1, 2]);
        let data = InboxData::Calldata(Bytes::from_static(b"calldata"));
        assert_eq!(
            inbox.read(&[noise, elsewhere, batch.clone(), batch.clone()]),
            [data.clone(), data]
        );
        let other = Inbox {
            batcher: Address::ZERO,
            ..inbox
        };
        assert_eq!(other.read(&[batch]), []);
    }

    #[test]
    fn blobs_count_from_ecotone_on() {
        let hashes = vec![B256::repeat_byte(1), B256::repeat_byte(2)];
        let transaction = TxEip4844 {
            chain_id: 1,
            to: ADDRESS,
            input: Bytes::from_static(b"ignored"),
            blob_versioned_hashes: hashes.clone(),
            ..Default::default()
        };
        let (bytes, batcher) = envelope(transaction.into_signed(signature()));
        let inbox = Inbox {
            address: ADDRESS,
            batcher,
            blobs: true,
        };
        let blobs = hashes.into_iter().map(InboxData::Blob).collect::<Vec<_>>();
        assert_eq!(inbox.read(std::slice::from_ref(&bytes)), blobs);
        let before = Inbox {
            blobs: false,
            ..inbox
        };
        assert_eq!(
            before.read(&[bytes]),
            [InboxData::Calldata(Bytes::from_static(b"ignored"))]
        );
    }

    /// Type 4 and whatever comes after it: `isValidBatchTx` of op-node.
    #[test]
    fn later_types_carry_nothing() {
        let transaction = TxEip7702 {
            chain_id: 1,
            to: ADDRESS,
            input: Bytes::from_static(b"calldata"),
            ..Default::default()
        };
        let (bytes, batcher) = envelope(transaction.into_signed(signature()));
        let inbox = Inbox {
            address: ADDRESS,
            batcher,
            blobs: true,
        };
        assert_eq!(inbox.read(&[bytes]), []);
    }
}
