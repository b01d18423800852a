//! What was sent, on record before it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256, Bytes, ChainId, TxHash};
use serde::{Deserialize, Serialize};

/// Account whose transactions a log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// EIP-155 id of the chain.
    pub chain_id: ChainId,
    /// The sender.
    pub address: Address,
}

impl core::fmt::Display for Account {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} on chain {}", self.address, self.chain_id)
    }
}

/// One entry of an [`AttemptLog`]. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A signed transaction is about to be sent.
    Attempt {
        /// What it is for.
        intent: B256,
        /// The transaction as it is sent (EIP-2718).
        raw: Bytes,
    },
    /// A nonce is used up and no reorganisation is expected to change that.
    Finished(Finished),
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// What the nonce was for.
    pub intent: B256,
    /// The nonce.
    pub nonce: u64,
    /// The attempt that was included; the last one if none was.
    pub transaction: TxHash,
    /// How it went.
    pub outcome: Outcome,
}

/// How a transaction went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Included with its effect.
    Succeeded,
    /// Included without any effect.
    Reverted,
    /// Not included: something else used the nonce.
    Displaced,
}

/// Memory of a [`Submitter`](crate::Submitter) that outlives it.
///
/// What [`Self::append`] was given is there at the next [`Self::load`], whatever happens to the
/// process in between. Calls block for as long as the disk takes, a few milliseconds.
pub trait AttemptLog: Send + Sync {
    /// Everything on record, oldest first. The log belongs to `account` from then on.
    ///
    /// Errors: [`LogError::Account`] if it belongs to another one.
    fn load(&mut self, account: Account) -> Result<Vec<Record>, LogError>;

    /// Puts `record` on record, durably once this returns.
    fn append(&mut self, record: &Record) -> Result<(), LogError>;

    /// Puts `records` in the place of everything on record, all or nothing.
    fn replace(&mut self, records: &[Record]) -> Result<(), LogError>;
}

/// Why the record cannot be read or written.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another submitter is using the log.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// The log is about other transactions.
    #[error("the log is of {recorded}, not of {account}")]
    Account {
        /// Whose log it is.
        recorded: Account,
        /// Whose it should be.
        account: Account,
    },
    /// What stands in the log was not written there. The transactions after it are not known: look up
    /// the account's nonce, move the file away and start anew.
    #[error("line {line} of {log} is damaged: {reason}")]
    Damaged {
        /// The log.
        log: String,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An attempt is not a transaction that the submitter could have made.
    #[error("what is on record for {intent} is no transaction of this chain")]
    Transaction {
        /// What the attempt is for.
        intent: B256,
    },
    /// There is no room for more.
    #[error("the log holds {0} bytes and may not grow")]
    Full(u64),
    /// The disk.
    #[error("the log cannot be read or written")]
    Io(#[from] std::io::Error),
}

/// A log in memory; clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<Vec<Record>>>);

impl MemoryLog {
    /// What is on record.
    pub fn records(&self) -> Vec<Record> {
        self.locked().clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptLog for MemoryLog {
    fn load(&mut self, _account: Account) -> Result<Vec<Record>, LogError> {
        Ok(self.records())
    }

    fn append(&mut self, record: &Record) -> Result<(), LogError> {
        self.locked().push(record.clone());
        Ok(())
    }

    fn replace(&mut self, records: &[Record]) -> Result<(), LogError> {
        *self.locked() = records.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_chosen_at_run_time() {
        let mut log: Box<dyn AttemptLog> = Box::new(MemoryLog::default());
        let account = Account {
            chain_id: 1,
            address: Address::ZERO,
        };
        assert!(log.load(account).unwrap().is_empty());
    }
}
