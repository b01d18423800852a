//! The store that forgets.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Change, Expected, Row, Store, StoreError, Table, Written};

/// A [`Store`] in memory, for tests and development networks: it is empty whenever a process
/// starts. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Rows>>);

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// No change is made in parts, so a thread that panicked has left whole rows behind.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(&(table, key.to_vec())).cloned())
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        let rows = self.rows();
        let found = rows
            .range((start, Bound::Unbounded))
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        Ok(found)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        let mut rows = self.rows();
        let refused = changes.iter().position(|change| {
            let row = rows.get(&(change.table, change.key.clone()));
            match &change.expected {
                Expected::Anything => false,
                Expected::Absent => row.is_some(),
                Expected::Value(value) => row != Some(value),
            }
        });
        if let Some(change) = refused {
            return Ok(Written::Conflict { change });
        }
        for Change {
            table, key, value, ..
        } in changes
        {
            match value {
                Some(value) => rows.insert((table, key), value),
                None => rows.remove(&(table, key)),
            };
        }
        Ok(Written::Applied)
    }
}
