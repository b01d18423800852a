//! Receipts, and what the header says of them.

use core::iter;

use alloy_consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxEnvelope, TxReceipt, TxType,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_evm::{
    Evm,
    eth::receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
};
use alloy_op_evm::block::receipt_builder::OpReceiptBuilder;
use alloy_primitives::{B256, Bloom, Log};
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_keccak::keccak256_batch;
use op_alloy_consensus::{OpDepositReceipt, OpReceiptEnvelope, OpTxEnvelope, OpTxType};

/// Most logs whose addresses and topics are hashed together.
const BATCH: usize = 256;

/// Builds receipts whose bloom is empty until [`roots`] fills it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = TxEnvelope;
    type Receipt = ReceiptEnvelope;

    fn build_receipt<E: Evm>(&self, context: ReceiptBuilderCtx<'_, TxType, E>) -> ReceiptEnvelope {
        let kind = context.tx_type;
        let receipt = without_bloom(receipt(context));
        match kind {
            TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
            TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
            TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
            TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
            TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
        }
    }
}

impl OpReceiptBuilder for Receipts {
    type Transaction = OpTxEnvelope;
    type Receipt = OpReceiptEnvelope;

    fn build_receipt<'a, E: Evm>(
        &self,
        context: ReceiptBuilderCtx<'a, OpTxType, E>,
    ) -> Result<OpReceiptEnvelope, ReceiptBuilderCtx<'a, OpTxType, E>> {
        let envelope = match context.tx_type {
            OpTxType::Legacy => OpReceiptEnvelope::Legacy,
            OpTxType::Eip2930 => OpReceiptEnvelope::Eip2930,
            OpTxType::Eip1559 => OpReceiptEnvelope::Eip1559,
            OpTxType::Eip7702 => OpReceiptEnvelope::Eip7702,
            OpTxType::PostExec => OpReceiptEnvelope::PostExec,
            // Its receipt says more.
            OpTxType::Deposit => return Err(context),
        };
        Ok(envelope(without_bloom(receipt(context))))
    }

    fn build_deposit_receipt(&self, receipt: OpDepositReceipt) -> OpReceiptEnvelope {
        OpReceiptEnvelope::Deposit(without_bloom(receipt))
    }
}

fn receipt<T, E: Evm>(context: ReceiptBuilderCtx<'_, T, E>) -> Receipt {
    Receipt {
        status: Eip658Value::Eip658(context.result.is_success()),
        cumulative_gas_used: context.cumulative_gas_used,
        logs: context.result.into_logs(),
    }
}

const fn without_bloom<R>(receipt: R) -> ReceiptWithBloom<R> {
    ReceiptWithBloom {
        receipt,
        logs_bloom: Bloom::ZERO,
    }
}

/// Root of the trie from RLP(index) to the receipt, and the bloom of all logs.
pub(super) fn roots<R: Bloomed>(receipts: &mut [R]) -> (B256, Bloom) {
    let mut all = Bloom::ZERO;
    for receipt in &mut *receipts {
        let bloom = bloom(receipt.logs());
        *receipt.bloom_mut() = bloom;
        all |= bloom;
    }
    let root = ordered_trie_root_with_encoder(receipts, |receipt, out| receipt.encode_2718(out));
    (root, all)
}

/// The bloom of Yellow Paper, section 4.4.3.
fn bloom(logs: &[Log]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for logs in logs.chunks(BATCH) {
        let inputs: Vec<_> = (logs.iter())
            .flat_map(|log| {
                let topics = log.topics().iter().map(|topic| topic.as_slice());
                iter::once(log.address.as_slice()).chain(topics)
            })
            .collect();
        for hash in keccak256_batch(&inputs) {
            bloom.m3_2048_hashed(&hash);
        }
    }
    bloom
}

/// A receipt whose bloom can be filled in.
pub(super) trait Bloomed: Encodable2718 + TxReceipt<Log = Log> {
    fn bloom_mut(&mut self) -> &mut Bloom;
}

impl Bloomed for ReceiptEnvelope {
    fn bloom_mut(&mut self) -> &mut Bloom {
        match self {
            Self::Legacy(it)
            | Self::Eip2930(it)
            | Self::Eip1559(it)
            | Self::Eip4844(it)
            | Self::Eip7702(it) => &mut it.logs_bloom,
        }
    }
}

impl Bloomed for OpReceiptEnvelope {
    fn bloom_mut(&mut self) -> &mut Bloom {
        match self {
            Self::Legacy(it)
            | Self::Eip2930(it)
            | Self::Eip1559(it)
            | Self::Eip7702(it)
            | Self::PostExec(it) => &mut it.logs_bloom,
            Self::Deposit(it) => &mut it.logs_bloom,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes};

    use super::*;

    /// The peer is alloy's bloom.
    #[test]
    fn a_bloom_is_that_of_all_addresses_and_topics() {
        for count in [0, 1, 2, 9, BATCH, BATCH + 1, 3 * BATCH] {
            let logs: Vec<_> = (0..count)
                .map(|at| {
                    let byte = at.to_le_bytes();
                    let topics = vec![B256::right_padding_from(&byte); at % 5];
                    let address = Address::left_padding_from(&byte);
                    Log::new_unchecked(address, topics, Bytes::new())
                })
                .collect();
            assert_eq!(bloom(&logs), alloy_primitives::logs_bloom(&logs), "{count}");
        }
    }
}
