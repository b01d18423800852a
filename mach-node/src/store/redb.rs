//! The store in one file, for one process.

mod file;

use std::{
    ops::Bound,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use async_trait::async_trait;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError, WriteTransaction,
};
use tokio::sync::mpsc;

use super::{
    Change, Expected, Row, Store, StoreError, Table, Written,
    group::{MAX_GROUP, Outcomes, Write, Writes, answer},
    sealed::{seal, unseal},
};

/// A [`Store`] in a redb file. Clones share it; a second process is refused.
///
/// Writes that come together share one commit, which is on the disk before any of them is answered.
/// Every page has a checksum, and all of them are checked when the store is opened. Every value carries
/// another one (CRC-32), of its table, key and bytes: it is checked when the value is read, and says which
/// row it is that a damaged page had.
///
/// When the last clone is dropped, what was written is on the disk and the file is free.
#[derive(Clone, Debug)]
pub struct RedbStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    database: Arc<Database>,
    /// There until the end.
    writes: Option<Writes>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl RedbStore {
    /// Opens the store at `path`, or makes it, and checks every page.
    ///
    /// A new store gets its name when it is whole and on the disk, and only if the name is free: a
    /// crash leaves none or a whole one, and of two who make it one has it.
    ///
    /// Errors: [`StoreError::InUse`], [`StoreError::Version`], [`StoreError::Damaged`],
    /// [`StoreError::Unreadable`], [`StoreError::Backend`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::with(file::open(path.as_ref())?)
    }

    /// Opens the store at `path`, which is there already, as [`Self::open`] does.
    ///
    /// Errors: also [`StoreError::Missing`].
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let missing = || StoreError::Missing(path.display().to_string());
        Self::with(file::existing(path)?.ok_or_else(missing)?)
    }

    fn with(database: Database) -> Result<Self, StoreError> {
        let database = Arc::new(database);
        let (writes, waiting) = Writes::channel();
        let writer = Arc::clone(&database);
        let writer = thread::Builder::new()
            .name("mach-store".to_owned())
            .spawn(move || write_all(&writer, waiting))
            .map_err(StoreError::backend)?;
        Ok(Self(Arc::new(Shared {
            database,
            writes: Some(writes),
            writer: Some(writer),
        })))
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.0.database.begin_read().map_err(StoreError::backend)
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.read()?;
        let rows = read.open_table(definition(table)).map_err(unopened_table)?;
        let Some(stored) = rows.get(key).map_err(unread)? else {
            return Ok(None);
        };
        unseal(table, key, stored.value()).map(|value| Some(value.to_vec()))
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let read = self.read()?;
        let rows = read.open_table(definition(table)).map_err(unopened_table)?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = (rows.range::<&[u8]>((start, Bound::Unbounded))).map_err(unread)?;
        let mut found = Vec::new();
        for row in range.take(limit) {
            let (key, stored) = row.map_err(unread)?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            let value = unseal(table, key, stored.value())?;
            found.push((key.to_vec(), value.to_vec()));
        }
        Ok(found)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        let stopped = || StoreError::backend("the writer has stopped");
        let writes = self.0.writes.as_ref().ok_or_else(stopped)?;
        writes.write(changes).await
    }
}

/// Commits what waits, again and again, until nobody can write any more.
fn write_all(database: &Database, mut waiting: mpsc::Receiver<Write>) {
    let mut group = Vec::new();
    while waiting.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        let outcomes = commit(database, &group);
        answer(&mut group, outcomes);
    }
}

/// One commit of many writes, each of which applies whole or not at all. A damaged row is the
/// failure of the write that meets it, and of no other.
fn commit(database: &Database, group: &[Write]) -> Outcomes {
    let mut transaction = database.begin_write().map_err(StoreError::backend)?;
    // After a crash the file opens at once, without a scan.
    transaction.set_quick_repair(true);
    let mut outcomes = Vec::with_capacity(group.len());
    let mut is_changed = false;
    {
        let mut tables = Tables::open(&transaction)?;
        for write in group {
            let outcome = match tables.apply(&write.changes) {
                Err(error @ StoreError::Damaged { .. }) => Err(error),
                other => Ok(other?),
            };
            is_changed |= matches!(outcome, Ok(Written::Applied)) && !write.changes.is_empty();
            outcomes.push(outcome);
        }
    }
    if is_changed {
        transaction.commit().map_err(StoreError::backend)?;
    } else {
        transaction.abort().map_err(StoreError::backend)?;
    }
    Ok(outcomes)
}

/// All tables, open for writing.
struct Tables<'t>(Vec<(Table, Rows<'t>)>);

type Rows<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let tables = Table::ALL.into_iter().map(|table| {
            let rows = transaction.open_table(definition(table));
            Ok((table, rows.map_err(unopened_table)?))
        });
        tables.collect::<Result<_, _>>().map(Self)
    }

    fn of(&mut self, table: Table) -> Result<&mut Rows<'t>, StoreError> {
        let mut found = self.0.iter_mut().filter(|(it, _)| *it == table);
        let missing = || StoreError::backend("a table that is not one of all");
        found.next().map(|(_, rows)| rows).ok_or_else(missing)
    }

    /// Looks at every row before it changes one.
    fn apply(&mut self, changes: &[Change]) -> Result<Written, StoreError> {
        for (position, change) in changes.iter().enumerate() {
            if !self.holds(change)? {
                return Ok(Written::Conflict { change: position });
            }
        }
        for change in changes {
            let rows = self.of(change.table)?;
            let key = change.key.as_slice();
            match &change.value {
                Some(value) => {
                    let sealed = seal(change.table, key, value);
                    rows.insert(key, sealed.as_slice()).map_err(unread)?;
                }
                None => {
                    rows.remove(key).map_err(unread)?;
                }
            }
        }
        Ok(Written::Applied)
    }

    /// Whether the row is what the change expects.
    fn holds(&mut self, change: &Change) -> Result<bool, StoreError> {
        if change.expected == Expected::Anything {
            return Ok(true);
        }
        let rows = self.of(change.table)?;
        let stored = rows.get(change.key.as_slice()).map_err(unread)?;
        let Some(stored) = stored else {
            return Ok(change.expected == Expected::Absent);
        };
        let value = unseal(change.table, &change.key, stored.value())?;
        Ok(matches!(&change.expected, Expected::Value(expected) if expected == value))
    }
}

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn unopened_table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => unread(error),
        error => StoreError::Unreadable(error.into()),
    }
}

fn unread(error: StorageError) -> StoreError {
    match error {
        error @ StorageError::Corrupted(_) => StoreError::Unreadable(error.into()),
        // What redb says of a file that is not one of its own.
        StorageError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            StoreError::Unreadable(error.into())
        }
        error => StoreError::backend(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn put(key: &[u8], expected: Expected) -> Change {
        Change {
            table: Table::Guard,
            key: key.to_vec(),
            expected,
            value: Some(b"new".to_vec()),
        }
    }

    /// One row loses its checksum while the store is open.
    #[tokio::test]
    async fn a_damaged_row_fails_who_meets_it_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(folder.path().join("store.redb")).unwrap();
        let damage = store.0.database.begin_write().unwrap();
        {
            let mut rows = damage.open_table(definition(Table::Guard)).unwrap();
            rows.insert(&b"bad"[..], &b"without"[..]).unwrap();
        }
        damage.commit().unwrap();

        let (answers, group): (Vec<_>, Vec<_>) = [
            vec![put(b"one", Expected::Absent)],
            vec![
                put(b"two", Expected::Absent),
                put(b"bad", Expected::Value(b"old".to_vec())),
            ],
            vec![put(b"three", Expected::Absent)],
        ]
        .into_iter()
        .map(|changes| {
            let (answer, answered) = oneshot::channel();
            (answered, Write { changes, answer })
        })
        .unzip();
        drop(answers);
        let outcomes = commit(&store.0.database, &group).unwrap();
        let [one, two, three] = outcomes.as_slice() else {
            panic!("an answer for each write");
        };
        assert_eq!(one.as_ref().unwrap(), &Written::Applied);
        assert_eq!(three.as_ref().unwrap(), &Written::Applied);
        let error = two.as_ref().unwrap_err();
        assert_eq!(error.to_string(), "row 0x626164 of table guard is damaged");
        assert!(!error.is_transient());

        let new = Some(&b"new"[..]);
        for (key, value) in [(&b"one"[..], new), (b"two", None), (b"three", new)] {
            let stored = store.get(Table::Guard, key).await.unwrap();
            assert_eq!(stored.as_deref(), value);
        }
        let read = store.get(Table::Guard, b"bad").await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })));
    }
}
