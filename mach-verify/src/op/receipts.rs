//! Receipts that prove themselves to their header.

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes};

use crate::header::transactions_root;

/// Why bytes are not the receipts of a block.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptsError {
    /// They hash to another root than the header's.
    #[error("receipts hash to {computed}, the header says {claimed}")]
    Root {
        /// Root in the header.
        claimed: B256,
        /// Root of the receipts.
        computed: B256,
    },
    /// A receipt has a type or form that is not known.
    #[error("receipt {index} is not understood")]
    Receipt {
        /// Position in the block, from 0.
        index: usize,
    },
}

/// The receipts that these EIP-2718 bytes are, once proven to the receipts root of `header`.
///
/// Errors: [`ReceiptsError`], which says nothing about the block.
pub fn proven_receipts(
    header: &Header,
    receipts: &[Bytes],
) -> Result<Vec<ReceiptEnvelope>, ReceiptsError> {
    // The root is that of any list of byte strings under their indices.
    let computed = transactions_root(receipts);
    if computed != header.receipts_root {
        return Err(ReceiptsError::Root {
            claimed: header.receipts_root,
            computed,
        });
    }
    (receipts.iter().enumerate())
        .map(|(index, bytes)| {
            ReceiptEnvelope::decode_2718_exact(bytes).map_err(|_| ReceiptsError::Receipt { index })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{EMPTY_ROOT_HASH, Receipt};
    use alloy_eips::eip2718::Encodable2718;

    use super::*;

    #[test]
    fn receipts_that_hash_to_another_root_are_refused() {
        let receipt = ReceiptEnvelope::Eip1559(
            Receipt {
                status: true.into(),
                cumulative_gas_used: 21_000,
                logs: Vec::new(),
            }
            .with_bloom(),
        );
        let bytes = vec![Bytes::from(receipt.encoded_2718())];
        let header = Header {
            receipts_root: alloy_consensus::proofs::calculate_receipt_root(std::slice::from_ref(
                &receipt,
            )),
            ..Default::default()
        };
        assert_eq!(proven_receipts(&header, &bytes), Ok(vec![receipt]));
        assert_eq!(
            proven_receipts(&header, &[]),
            Err(ReceiptsError::Root {
                claimed: header.receipts_root,
                computed: EMPTY_ROOT_HASH
            })
        );
        let odd = vec![Bytes::from_static(&[0x77, 1])];
        let header = Header {
            receipts_root: transactions_root(&odd),
            ..Default::default()
        };
        assert_eq!(
            proven_receipts(&header, &odd),
            Err(ReceiptsError::Receipt { index: 0 })
        );
    }
}
