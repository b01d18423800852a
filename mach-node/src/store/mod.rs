//! What a service must not forget: ordered tables that change all at once or not at all.

mod group;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod redb;
mod sealed;

use alloy_primitives::hex;
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{Domain, ports::BoxError};

pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use redb::RedbStore;

/// Version of the layout that this release reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// A table. Keys are bytes in their natural order, values are what the table's owner makes of them.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// What was said about each height: [`StoredGuard`](crate::StoredGuard).
    Guard,
    /// What came of a range of blocks: [`StoredQueue`](crate::backfill::StoredQueue).
    Work,
    /// Rounds that an operator signed, by the digest of their statement:
    /// [`Aggregator`](crate::Aggregator).
    Rounds,
    /// Signatures of the rounds.
    Signatures,
    /// Which rounds are not confirmed on L1.
    Unconfirmed,
    /// Since when rounds and certificates grow old.
    Aging,
    /// Of which statements the finality index has not taken the newest.
    Untold,
    /// What applications ask for: [`FinalityIndex`](crate::finality::FinalityIndex).
    Finality,
    /// The best certificate of each statement, by its digest.
    Certificates,
    /// Up to which block each rollup is verified: [`VerifiedBlocks`](crate::VerifiedBlocks).
    Verified,
    /// Statements that no aggregator has taken yet: [`Outbox`](crate::Outbox).
    Outbox,
    /// Which of several instances leads.
    Leader,
    /// Wrong blocks on their way to be convicted: [`ZkMode`](crate::zk::ZkMode).
    Zk,
    /// Tasks of the original's operators: [`TaskAggregator`](crate::legacy::TaskAggregator).
    Tasks,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 14] = [
        Self::Guard,
        Self::Work,
        Self::Rounds,
        Self::Signatures,
        Self::Unconfirmed,
        Self::Aging,
        Self::Untold,
        Self::Finality,
        Self::Certificates,
        Self::Verified,
        Self::Outbox,
        Self::Leader,
        Self::Zk,
        Self::Tasks,
    ];

    /// Name of the table in a database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Work => "work",
            Self::Rounds => "rounds",
            Self::Signatures => "signatures",
            Self::Unconfirmed => "unconfirmed",
            Self::Aging => "aging",
            Self::Untold => "untold",
            Self::Finality => "finality",
            Self::Certificates => "certificates",
            Self::Verified => "verified",
            Self::Outbox => "outbox",
            Self::Leader => "leader",
            Self::Zk => "zk",
            Self::Tasks => "tasks",
        }
    }

    /// What the row with this key is about, if the key is one of the table's owner.
    fn record(self, key: &[u8]) -> Option<String> {
        match self {
            Self::Guard => crate::guard::record(key),
            Self::Work => crate::backfill::record(key),
            Self::Rounds
            | Self::Signatures
            | Self::Unconfirmed
            | Self::Aging
            | Self::Untold
            | Self::Certificates
            | Self::Leader => crate::aggregator::record(self, key),
            Self::Finality => crate::finality::record(key),
            Self::Verified => crate::verified::record(key),
            Self::Outbox => crate::operator::record(key),
            Self::Zk => crate::zk::record(key),
            Self::Tasks => crate::legacy::record(key),
        }
    }
}

/// What a row has to be before a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    #[default]
    Anything,
    /// Not there.
    Absent,
    /// This value.
    Value(Vec<u8>),
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: Table,
    /// The row.
    pub key: Vec<u8>,
    /// What the row has to be.
    pub expected: Expected,
    /// What it becomes; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// What became of changes.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of them are durable.
    Applied,
    /// None of them was made: a row was not what was expected.
    Conflict {
        /// Position of the first change whose expectation failed.
        change: usize,
    },
}

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Where a service keeps what must outlive it.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait Store: Send + Sync {
    /// Value of a row, as of the last write that was answered.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Rows whose keys begin with `prefix` and come after `after`, in the order of their keys, at
    /// most `limit` of them.
    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Makes all changes or none. What is answered with [`Written::Applied`] survives the death of
    /// the process and of the machine.
    ///
    /// The expectations are checked in the same step, so two writers that read the same value
    /// cannot both replace it. After an error it is not known whether the changes were made.
    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError>;
}

/// Where the rows of a service manager begin: chain id, big-endian, then address.
pub(crate) fn domain_key(domain: &Domain) -> Vec<u8> {
    let chain = domain.l1_chain_id.to_be_bytes();
    [chain.as_slice(), domain.service_manager.as_slice()].concat()
}

/// Why a store does not serve.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store.
    #[error("another process uses {0}")]
    InUse(String),
    /// There is no store, and none was to be made.
    #[error("there is no store at {0}")]
    Missing(String),
    /// The store was written by another release.
    #[error("the store has schema version {found}, this release reads {SCHEMA_VERSION}")]
    Version {
        /// Version of the store.
        found: u32,
    },
    /// A row is not what was written.
    #[error("row {key} of table {table} is damaged{}", about(record))]
    Damaged {
        /// Name of the table.
        table: &'static str,
        /// Key of the row, in hexadecimal.
        key: String,
        /// What the row is about, if the key says it.
        record: Option<String>,
    },
    /// The database as a whole is not what was written.
    #[error("the store is damaged")]
    Unreadable(#[source] BoxError),
    /// The database does not answer or cannot write, for example because the disk is full.
    #[error("the store is not available")]
    Backend(#[source] BoxError),
}

impl StoreError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }

    pub(crate) fn backend(error: impl Into<BoxError>) -> Self {
        Self::Backend(error.into())
    }

    pub(crate) fn damaged(table: Table, key: &[u8]) -> Self {
        Self::Damaged {
            table: table.name(),
            key: hex::encode_prefixed(key),
            record: table.record(key),
        }
    }
}

fn about(record: &Option<String>) -> String {
    (record.as_ref()).map_or_else(String::new, |record| format!(": {record}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when the port can no longer be a trait object.
    #[expect(dead_code, reason = "compiling it is the test")]
    struct DynCompatible(Box<dyn Store>);
}
