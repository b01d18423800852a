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
use tokio::sync::{mpsc, oneshot};

use super::{Change, Expected, Row, Store, StoreError, Table, Written};

/// Most writes that become durable together.
const MAX_GROUP: usize = 1024;
/// Most writes that wait.
const MAX_WAITING: usize = 16 * 1024;
/// Bytes of the checksum before each value.
const CHECKSUM_BYTES: usize = 4;

/// A [`Store`] in a redb file. Clones share it; a second process is refused.
///
/// Writes that come together share one commit, which is on the disk before any of them is answered.
/// Every value carries a checksum (CRC-32) of its table, key and bytes; all of them are
/// checked when the store is opened, and each one again when it is read.
///
/// When the last clone is dropped, what was written is on the disk and the file is free.
#[derive(Clone, Debug)]
pub struct RedbStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    database: Arc<Database>,
    /// There until the end.
    writes: Option<mpsc::Sender<Write>>,
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

/// Changes that wait for their commit.
#[derive(Debug)]
struct Write {
    changes: Vec<Change>,
    answer: oneshot::Sender<Result<Written, StoreError>>,
}

impl RedbStore {
    /// Opens the store at `path`, or makes it, and checks every row.
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
        let (writes, waiting) = mpsc::channel(MAX_WAITING);
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
        let (answer, answered) = oneshot::channel();
        let stopped = || StoreError::backend("the writer has stopped");
        let write = Write { changes, answer };
        let writes = self.0.writes.as_ref().ok_or_else(stopped)?;
        writes.send(write).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// Commits what waits, again and again, until nobody can write any more.
fn write_all(database: &Database, mut waiting: mpsc::Receiver<Write>) {
    let mut group = Vec::new();
    while waiting.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        match commit(database, &group) {
            Ok(outcomes) => {
                for (write, outcome) in group.drain(..).zip(outcomes) {
                    // Whoever went away does not want to know.
                    let _ = write.answer.send(outcome);
                }
            }
            Err(error) => {
                tracing::error!(reason = chain(&error), "the store cannot be written");
                for write in group.drain(..) {
                    let _ = write.answer.send(Err(again(&error)));
                }
            }
        }
    }
}

/// One commit of many writes, each of which applies whole or not at all. A damaged row is the
/// failure of the write that meets it, and of no other.
fn commit(
    database: &Database,
    group: &[Write],
) -> Result<Vec<Result<Written, StoreError>>, StoreError> {
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

fn seal(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(CHECKSUM_BYTES + value.len());
    sealed.extend(checksum(table, key, value));
    sealed.extend(value);
    sealed
}

fn unseal<'a>(table: Table, key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], StoreError> {
    (stored.split_first_chunk::<CHECKSUM_BYTES>())
        .filter(|(sum, value)| **sum == checksum(table, key, value))
        .map(|(_, value)| value)
        .ok_or_else(|| StoreError::damaged(table, key))
}

/// The length of the key stands between key and value, so that neither can take from the other.
fn checksum(table: Table, key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(table.name().as_bytes());
    sum.update(&(key.len() as u64).to_be_bytes());
    sum.update(key);
    sum.update(value);
    sum.finalize().to_be_bytes()
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

/// The failure of a commit, for each of those who waited for it.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unreadable(cause) => StoreError::Unreadable(chain(cause.as_ref()).into()),
        StoreError::Backend(cause) => StoreError::backend(chain(cause.as_ref())),
        other => StoreError::backend(chain(other)),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
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

    /// What cannot pass is not tried again by whoever waited for the same commit.
    #[test]
    fn a_failed_commit_is_told_as_what_it_is() {
        let damaged = again(&StoreError::Unreadable("a page is gone".into()));
        assert!(!damaged.is_transient());
        let full = std::io::Error::other("no space left on device");
        let full = again(&StoreError::backend(full));
        assert!(full.is_transient());
        assert_eq!(
            chain(&full),
            "the store is not available: no space left on device"
        );
    }
}
