//! L1 blocks that may be L1 origins.

use std::{collections::VecDeque, sync::Arc};

use alloy_consensus::{Header, Receipt, ReceiptEnvelope};
use alloy_primitives::{Address, B256, BlockNumber, Log, Sealed};

/// An L1 block, as far as rollup blocks follow from it.
#[derive(Clone, Debug)]
pub(super) struct Epoch {
    pub(super) header: Sealed<Header>,
    /// One receipt with the logs that count, where they stood.
    pub(super) receipts: Arc<[ReceiptEnvelope]>,
}

impl Epoch {
    /// Keeps of `receipts` the logs of `addresses` in transactions that succeeded, and nothing of
    /// blocks that have none.
    pub(super) fn new(
        header: Sealed<Header>,
        receipts: &[ReceiptEnvelope],
        addresses: &[Address],
    ) -> Self {
        let mut logs = Vec::new();
        let mut kept = 0;
        for receipt in receipts {
            for log in receipt.logs() {
                if receipt.status() && addresses.contains(&log.address) {
                    logs.push(log.clone());
                    kept = logs.len();
                } else {
                    // The place of a log in its block is part of a deposit's identity.
                    logs.push(Log::empty());
                }
            }
        }
        logs.truncate(kept);
        logs.shrink_to_fit();
        let receipts = if logs.is_empty() {
            Vec::new()
        } else {
            let receipt = Receipt {
                status: true.into(),
                cumulative_gas_used: 0,
                logs,
            };
            vec![ReceiptEnvelope::Legacy(receipt.into())]
        };
        Self {
            header,
            receipts: receipts.into(),
        }
    }

    pub(super) fn number(&self) -> BlockNumber {
        self.header.number
    }

    pub(super) const fn hash(&self) -> B256 {
        self.header.seal()
    }

    pub(super) fn timestamp(&self) -> u64 {
        self.header.timestamp
    }
}

/// Consecutive L1 blocks from the L1 origin of the last derived block on, or from the one after.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs(VecDeque<Epoch>);

impl Epochs {
    pub(super) fn push(&mut self, epoch: Epoch) {
        self.0.push_back(epoch);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first of them and the one after it, as far as they are known.
    pub(super) fn first_two(&self) -> (Option<&Epoch>, Option<&Epoch>) {
        (self.0.front(), self.0.get(1))
    }

    /// The L1 block at this height.
    pub(super) fn get(&self, number: BlockNumber) -> Option<&Epoch> {
        let first = self.0.front()?.number();
        self.0
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Forgets the first.
    pub(super) fn drop_first(&mut self) {
        self.0.pop_front();
    }

    /// Forgets what lies before `number`, if that is known.
    pub(super) fn start_at(&mut self, number: BlockNumber) {
        if self.get(number).is_some() {
            while self.0.front().is_some_and(|epoch| epoch.number() < number) {
                self.0.pop_front();
            }
        }
    }
}
