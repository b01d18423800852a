//! What is in the file.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use mach_core::{
    UnitReport, WorkPlan,
    ports::{BoxError, QueueError},
};
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    WriteTransaction,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of the tables below.
const VERSION: u64 = 1;

/// What the file is: `format`, `version`, `plan`, `cursor`, `tally`, each as JSON.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Units that were taken and are not done, by index: [`Attempts`] as JSON.
const BEGUN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("begun");
/// Units that are done, by index: [`UnitReport`] as JSON.
const REPORTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("reports");

const FORMAT: &str = "mach work queue";

/// Memory for pages of the file, in bytes. What is read is read once.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// How often a unit was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Attempts {
    pub(super) count: u32,
    /// Why the last worker that said so gave it back.
    pub(super) reason: Option<String>,
}

/// Sums over the units that are done.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) blocks: u64,
    pub(super) gas_used: u64,
}

#[derive(Debug)]
pub(super) struct Store {
    database: Database,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, QueueError> {
        if !path.try_exists().map_err(io)? {
            Self::create(path)?;
        }
        // redb asserts what it believes of its own files; a damaged one may be different.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let store = Self {
                database: builder().open(path).map_err(opening)?,
            };
            store.check()?;
            Ok(store)
        }));
        opened.unwrap_or_else(|_| Err(QueueError::Damaged("it cannot be repaired".into())))
    }

    /// Makes an empty queue under another name first: a file that a crash left half made would be
    /// in the way for ever.
    fn create(path: &Path) -> Result<(), QueueError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let made = path.with_file_name(name);
        let store = Self {
            database: builder().create(&made).map_err(opening)?,
        };
        store.write(|transaction| {
            put(transaction, "format", &FORMAT)?;
            put(transaction, "version", &VERSION)?;
            transaction.open_table(BEGUN).map_err(failed)?;
            transaction.open_table(REPORTS).map_err(failed)?;
            Ok(())
        })?;
        drop(store);
        // A link, unlike a new name, does not take the place of what another process just made.
        match fs::hard_link(&made, path) {
            // Not every file system has links.
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                fs::rename(&made, path).map_err(io)
            }
            _ => fs::remove_file(&made).map_err(io),
        }
    }

    /// Errors: the file is of another kind or version.
    fn check(&self) -> Result<(), QueueError> {
        match self.meta::<String>("format")? {
            Some(format) if format == FORMAT => {}
            _ => return Err(QueueError::Damaged("it is no work queue".into())),
        }
        match self.meta("version")? {
            Some(VERSION) => Ok(()),
            Some(found) => Err(QueueError::Version {
                found,
                known: VERSION,
            }),
            None => Err(QueueError::Damaged("its version is missing".into())),
        }
    }

    pub(super) fn plan(&self) -> Result<Option<WorkPlan>, QueueError> {
        self.meta("plan")
    }

    pub(super) fn cursor(&self) -> Result<u64, QueueError> {
        Ok(self.meta("cursor")?.unwrap_or_default())
    }

    pub(super) fn tally(&self) -> Result<Tally, QueueError> {
        Ok(self.meta("tally")?.unwrap_or_default())
    }

    /// Units that were taken and are not done.
    pub(super) fn begun(&self) -> Result<BTreeSet<u64>, QueueError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(BEGUN).map_err(failed)?;
        let rows = table.iter().map_err(failed)?;
        rows.map(|row| Ok(row.map_err(failed)?.0.value())).collect()
    }

    pub(super) fn attempts(&self, index: u64) -> Result<Attempts, QueueError> {
        Ok(self.row(BEGUN, index)?.unwrap_or_default())
    }

    pub(super) fn report(&self, index: u64) -> Result<Option<UnitReport>, QueueError> {
        self.row(REPORTS, index)
    }

    pub(super) fn put_plan(&self, plan: &WorkPlan) -> Result<(), QueueError> {
        self.write(|transaction| put(transaction, "plan", plan))
    }

    /// A unit is taken, or was given back.
    pub(super) fn begin(
        &self,
        index: u64,
        attempts: &Attempts,
        cursor: u64,
    ) -> Result<(), QueueError> {
        self.write(|transaction| {
            let mut begun = transaction.open_table(BEGUN).map_err(failed)?;
            begun
                .insert(index, encode(attempts)?.as_slice())
                .map_err(failed)?;
            put(transaction, "cursor", &cursor)
        })
    }

    /// A unit is done.
    pub(super) fn finish(&self, report: &UnitReport, tally: &Tally) -> Result<(), QueueError> {
        let index = report.unit.index;
        self.write(|transaction| {
            let mut reports = transaction.open_table(REPORTS).map_err(failed)?;
            reports
                .insert(index, encode(report)?.as_slice())
                .map_err(failed)?;
            let mut begun = transaction.open_table(BEGUN).map_err(failed)?;
            begun.remove(index).map_err(failed)?;
            put(transaction, "tally", tally)
        })
    }

    /// A unit is not done any more.
    pub(super) fn reopen(&self, index: u64, tally: &Tally) -> Result<(), QueueError> {
        self.write(|transaction| {
            let mut reports = transaction.open_table(REPORTS).map_err(failed)?;
            reports.remove(index).map_err(failed)?;
            let mut begun = transaction.open_table(BEGUN).map_err(failed)?;
            begun
                .insert(index, encode(&Attempts::default())?.as_slice())
                .map_err(failed)?;
            put(transaction, "tally", tally)
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), QueueError>,
    ) -> Result<(), QueueError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        change(&transaction)?;
        transaction.commit().map_err(failed)
    }

    fn row<T: DeserializeOwned>(
        &self,
        table: TableDefinition<'_, u64, &[u8]>,
        index: u64,
    ) -> Result<Option<T>, QueueError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(table).map_err(failed)?;
        let row = table.get(index).map_err(failed)?;
        row.map(|row| decode(row.value())).transpose()
    }

    fn meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, QueueError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = match transaction.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let row = table.get(key).map_err(failed)?;
        row.map(|row| decode(row.value())).transpose()
    }
}

fn put<T: Serialize>(
    transaction: &WriteTransaction,
    key: &str,
    value: &T,
) -> Result<(), QueueError> {
    let mut meta = transaction.open_table(META).map_err(failed)?;
    meta.insert(key, encode(value)?.as_slice())
        .map_err(failed)?;
    Ok(())
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, QueueError> {
    serde_json::to_vec(value).map_err(|error| QueueError::Backend(Box::new(error)))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, QueueError> {
    serde_json::from_slice(bytes).map_err(|error| QueueError::Damaged(Box::new(error)))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn io(error: std::io::Error) -> QueueError {
    QueueError::Backend(Box::new(error))
}

/// Errors of opening: what is no file of redb is damage, as far as its user is concerned.
fn opening(error: DatabaseError) -> QueueError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => QueueError::InUse,
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == ErrorKind::InvalidData =>
        {
            QueueError::Damaged(Box::new(error))
        }
        error => failed(error),
    }
}

fn failed(error: impl Into<redb::Error>) -> QueueError {
    let error = error.into();
    let is_damage = matches!(
        error,
        redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
    );
    let source: BoxError = Box::new(error);
    if is_damage {
        QueueError::Damaged(source)
    } else {
        QueueError::Backend(source)
    }
}
