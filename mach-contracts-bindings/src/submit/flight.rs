//! Transactions between their first attempt and the block that nobody takes back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::Decodable2718;
use alloy_primitives::{B256, Bytes, ChainId, TxHash, TxKind, U256};
use alloy_rpc_types_eth::TransactionReceipt;

use super::{
    log::{AttemptLog, Finished, LogError, Record},
    policy::Fees,
};

/// How many finished transactions are remembered.
const MAX_FINISHED: usize = 1024;
/// Records on top of twice the live ones at which the log is rewritten.
const SLACK: usize = 256;

/// Everything that the account has under way, and the log that it stands in.
pub(super) struct Flight {
    log: Box<dyn AttemptLog>,
    /// By nonce.
    pub(super) entries: BTreeMap<u64, Entry>,
    /// By nonce.
    finished: BTreeMap<u64, Finished>,
    written: usize,
}

/// A nonce and all transactions that were signed for it, which differ in their fees only.
pub(super) struct Entry {
    pub(super) intent: B256,
    pub(super) nonce: u64,
    pub(super) body: Body,
    pub(super) newest: Attempt,
    /// Cheapest first.
    earlier: Vec<Attempt>,
    pub(super) stage: Stage,
    /// Head when the newest attempt was last taken by a node; `None` if it has to be sent.
    pub(super) sent: Option<u64>,
    /// Head when this process sent the first attempt.
    pub(super) since: Option<u64>,
    /// How often in a row the nonce was used, and no attempt in a block.
    pub(super) displaced_looks: u32,
    /// How often in a row the node refused all attempts, and its words.
    pub(super) refusals: u32,
    pub(super) refusal: String,
    waiters: Arc<AtomicUsize>,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) to: TxKind,
    pub(super) input: Bytes,
    pub(super) value: U256,
    pub(super) gas: u64,
}

/// Where a transaction is, as far as is known.
#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    #[default]
    Waiting,
    /// In a block of the canonical chain with so many blocks on top.
    Included {
        receipt: Box<TransactionReceipt>,
        depth: u64,
    },
}

/// A signed transaction.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) hash: TxHash,
    pub(super) raw: Bytes,
    pub(super) fees: Fees,
}

impl Flight {
    /// Nothing is under way.
    pub(super) fn new(log: Box<dyn AttemptLog>) -> Self {
        Self {
            log,
            entries: BTreeMap::new(),
            finished: BTreeMap::new(),
            written: 0,
        }
    }

    /// Takes up what an earlier process left behind.
    pub(super) fn resume(
        log: Box<dyn AttemptLog>,
        records: Vec<Record>,
        chain_id: ChainId,
    ) -> Result<Self, LogError> {
        let mut this = Self::new(log);
        this.written = records.len();
        for record in records {
            match record {
                Record::Finished(finished) => this.forget(finished),
                Record::Attempt { intent, raw } => {
                    let transaction = TxEnvelope::decode_2718_exact(&raw)
                        .ok()
                        .filter(|transaction| transaction.chain_id() == Some(chain_id))
                        .ok_or(LogError::Transaction { intent })?;
                    this.insert(intent, &transaction, raw);
                }
            }
        }
        Ok(this)
    }

    /// Puts an attempt on record. It may be sent once this returns.
    pub(super) fn record(
        &mut self,
        intent: B256,
        transaction: &TxEnvelope,
        raw: Bytes,
    ) -> Result<(), LogError> {
        self.write(&Record::Attempt {
            intent,
            raw: raw.clone(),
        })?;
        self.insert(intent, transaction, raw);
        Ok(())
    }

    /// Lets go of a nonce.
    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), LogError> {
        self.write(&Record::Finished(finished))?;
        self.forget(finished);
        if self.written > SLACK + 2 * self.live() {
            let finished = self.finished.values().copied().map(Record::Finished);
            let attempts = self.entries.values().flat_map(|entry| {
                entry.attempts().rev().map(|attempt| Record::Attempt {
                    intent: entry.intent,
                    raw: attempt.raw.clone(),
                })
            });
            let records: Vec<_> = finished.chain(attempts).collect();
            self.log.replace(&records)?;
            self.written = records.len();
        }
        Ok(())
    }

    /// The latest transaction for `intent` that is still under way.
    pub(super) fn entry_for(&self, intent: B256) -> Option<&Entry> {
        let mut latest_first = self.entries.values().rev();
        latest_first.find(|entry| entry.intent == intent)
    }

    /// The latest transaction for `intent` that is done with.
    pub(super) fn finished_for(&self, intent: B256) -> Option<Finished> {
        let mut latest_first = self.finished.values().rev();
        latest_first
            .find(|finished| finished.intent == intent)
            .copied()
    }

    pub(super) fn finished(&self, nonce: u64) -> Option<Finished> {
        self.finished.get(&nonce).copied()
    }

    /// The nonce after all that are on record.
    pub(super) fn next_nonce(&self) -> u64 {
        let entry = self.entries.last_key_value().map(|(nonce, _)| *nonce);
        let finished = self.finished.last_key_value().map(|(nonce, _)| *nonce);
        entry.max(finished).map_or(0, |nonce| nonce + 1)
    }

    fn live(&self) -> usize {
        let attempts: usize = self
            .entries
            .values()
            .map(|entry| entry.attempts().count())
            .sum();
        self.finished.len() + attempts
    }

    fn write(&mut self, record: &Record) -> Result<(), LogError> {
        self.log.append(record)?;
        self.written += 1;
        Ok(())
    }

    fn insert(&mut self, intent: B256, transaction: &TxEnvelope, raw: Bytes) {
        let nonce = transaction.nonce();
        if self.finished.contains_key(&nonce) {
            return;
        }
        let attempt = Attempt {
            hash: *transaction.tx_hash(),
            raw,
            fees: Fees {
                max: transaction.max_fee_per_gas(),
                tip: transaction.max_priority_fee_per_gas().unwrap_or_default(),
            },
        };
        if let Some(entry) = self.entries.get_mut(&nonce) {
            let cheaper = std::mem::replace(&mut entry.newest, attempt);
            entry.earlier.push(cheaper);
            entry.sent = None;
            return;
        }
        let entry = Entry {
            intent,
            nonce,
            body: Body {
                to: transaction.kind(),
                input: transaction.input().clone(),
                value: transaction.value(),
                gas: transaction.gas_limit(),
            },
            newest: attempt,
            earlier: Vec::new(),
            stage: Stage::Waiting,
            sent: None,
            since: None,
            displaced_looks: 0,
            refusals: 0,
            refusal: String::new(),
            waiters: Arc::default(),
        };
        self.entries.insert(nonce, entry);
    }

    fn forget(&mut self, finished: Finished) {
        self.entries.remove(&finished.nonce);
        self.finished.insert(finished.nonce, finished);
        while self.finished.len() > MAX_FINISHED {
            self.finished.pop_first();
        }
    }
}

impl Entry {
    /// Newest first.
    pub(super) fn attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        std::iter::once(&self.newest).chain(self.earlier.iter().rev())
    }

    /// Holds the entry for somebody who waits for it.
    pub(super) fn wait(&self) -> Waiter {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        Waiter {
            nonce: self.nonce,
            waiters: Arc::clone(&self.waiters),
        }
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.waiters.load(Ordering::Relaxed) > 0
    }

    /// The receipt, if at least so many blocks are on top of its block.
    pub(super) fn settled(&self, confirmations: u64) -> Option<&TransactionReceipt> {
        match &self.stage {
            Stage::Included { receipt, depth } if *depth >= confirmations => Some(receipt),
            _ => None,
        }
    }
}

impl core::fmt::Debug for Flight {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Flight")
            .field("nonces", &self.entries.keys())
            .finish_non_exhaustive()
    }
}

/// Somebody who waits for a nonce.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) nonce: u64,
    waiters: Arc<AtomicUsize>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}
