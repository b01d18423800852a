//! Stores in memory, whose writes a test has in its hand.

use std::{
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use async_trait::async_trait;
use mach_node::store::{Change, MemoryStore, Row, Store, StoreError, Table, Written};

/// What is done about a write.
#[async_trait]
pub(crate) trait Writes: Send + Sync {
    async fn write(&self, store: &MemoryStore, changes: Vec<Change>)
    -> Result<Written, StoreError>;
}

/// A store in memory, whose writes `W` makes.
#[derive(Debug, Default)]
pub(crate) struct WrittenBy<W> {
    store: MemoryStore,
    writes: W,
}

impl<W> From<W> for WrittenBy<W> {
    fn from(writes: W) -> Self {
        let store = MemoryStore::new();
        Self { store, writes }
    }
}

impl<W> Deref for WrittenBy<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.writes
    }
}

#[async_trait]
impl<W: Writes> Store for WrittenBy<W> {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(table, key).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.store.scan(table, prefix, after, limit).await
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        self.writes.write(&self.store, changes).await
    }
}

/// A disk that fails now and then.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    /// Writes that are not made.
    pub(crate) refused: AtomicU32,
    /// Writes that are made and whose answer is lost.
    pub(crate) unanswered: AtomicU32,
}

/// Whether one of `count` is left, which is taken.
fn one_of(count: &AtomicU32) -> bool {
    let less = |left: u32| left.checked_sub(1);
    count.fetch_update(SeqCst, SeqCst, less).is_ok()
}

#[async_trait]
impl Writes for Failing {
    async fn write(
        &self,
        store: &MemoryStore,
        changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        let lost = || StoreError::Backend("the disk went away".into());
        if one_of(&self.refused) {
            return Err(lost());
        }
        let written = store.write(changes).await;
        if one_of(&self.unanswered) {
            return Err(lost());
        }
        written
    }
}
