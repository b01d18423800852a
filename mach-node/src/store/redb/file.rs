//! The file of a store: made, opened, checked.

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    thread,
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableHandle,
};

use super::{definition, unopened_table, unread, unseal};
use crate::store::{SCHEMA_VERSION, StoreError, Table};

/// Cache of the database, in bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

const META: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
const VERSION: &str = "schema version";

/// The store at `path`, which is made if there is none.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    if let Some(database) = existing(path)? {
        return Ok(database);
    }
    if let Some(database) = create(path)? {
        return Ok(database);
    }
    // Somebody else made it meanwhile, and may have it.
    let gone = || StoreError::backend(format!("{} comes and goes", path.display()));
    existing(path)?.ok_or_else(gone)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// The store at `path`, checked; `None` if there is no file.
pub(super) fn existing(path: &Path) -> Result<Option<Database>, StoreError> {
    let Some(mut database) = guarded(|| opened(path))? else {
        return Ok(None);
    };
    let checked = guarded(|| check_pages(&mut database, path));
    let Err(error) = checked else {
        // Only now: to a damaged page a table may be missing that is not.
        guarded(|| {
            ADDED
                .into_iter()
                .try_for_each(|table| add_table(&database, table))
        })?;
        guarded(|| check_tables(&database))?;
        return Ok(Some(database));
    };
    // Which row it was, the checksum of the row tells. No page was put back to what it was before, since every
    // commit has two phases.
    let named = guarded(|| check_rows(&database));
    // It panics once more if it did before.
    let _ = guarded(move || {
        drop(database);
        Ok(())
    });
    match named {
        Err(named @ StoreError::Damaged { .. }) => Err(named),
        _ => Err(error),
    }
}

/// What `look` says. redb panics on pages that cannot be.
fn guarded<T>(look: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| {
        Err(StoreError::Unreadable(
            "its pages contradict each other".into(),
        ))
    })
}

/// The file as it is; `None` if there is none.
fn opened(path: &Path) -> Result<Option<Database>, StoreError> {
    let database = match builder().open(path) {
        Err(DatabaseError::Storage(StorageError::Io(error)))
            if error.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(None);
        }
        other => other.map_err(|error| unopened(error, path))?,
    };
    check_version(&database)?;
    Ok(Some(database))
}

/// Compares every page with its checksum: one that is wrong may be one that a statement was forgotten with.
fn check_pages(database: &mut Database, path: &Path) -> Result<(), StoreError> {
    let is_whole = database.check_integrity();
    if is_whole.map_err(|error| unopened(error, path))? {
        return Ok(());
    }
    Err(StoreError::Unreadable("its pages were changed".into()))
}

/// Makes a store under a name of its own and gives it `path` when it is whole; `None` if somebody
/// else was faster. It is locked before it can be found.
fn create(path: &Path) -> Result<Option<Database>, StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    // Gone again if anything below fails.
    let made = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".new")
        .tempfile_in(folder)
        .map_err(StoreError::backend)?
        .into_temp_path();
    let database = builder().create(&made);
    let database = database.map_err(|error| unopened(error, path))?;
    prepare(&database)?;
    match made.persist_noclobber(path) {
        Ok(()) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(StoreError::backend(error.error)),
    }
    sync_folder(folder).map_err(StoreError::backend)?;
    Ok(Some(database))
}

/// Makes the name of a new file durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Makes the tables of a new store.
fn prepare(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(StoreError::backend)?;
    {
        let mut meta = transaction.open_table(META).map_err(unopened_table)?;
        meta.insert(VERSION, SCHEMA_VERSION).map_err(unread)?;
        for table in Table::ALL {
            transaction
                .open_table(definition(table))
                .map_err(unopened_table)?;
        }
    }
    transaction.commit().map_err(StoreError::backend)
}

/// Refuses the store of another release, and what is none.
fn check_version(database: &Database) -> Result<(), StoreError> {
    let read = database.begin_read().map_err(StoreError::backend)?;
    let is_store = (read.list_tables().map_err(unread)?).any(|it| it.name() == META.name());
    let version = if is_store {
        let meta = read.open_table(META).map_err(unopened_table)?;
        meta.get(VERSION)
            .map_err(unread)?
            .map(|version| version.value())
    } else {
        None
    };
    match version {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(StoreError::Version { found }),
        None => Err(StoreError::Unreadable(
            "it is the database of another program".into(),
        )),
    }
}

/// Tables that stores of an earlier release of this schema lack.
const ADDED: [Table; 4] = [Table::Aging, Table::Untold, Table::Zk, Table::Tasks];

/// Makes a table that may be missing.
fn add_table(database: &Database, table: Table) -> Result<(), StoreError> {
    let read = database.begin_read().map_err(StoreError::backend)?;
    if (read.list_tables().map_err(unread)?).any(|it| it.name() == table.name()) {
        return Ok(());
    }
    let transaction = database.begin_write().map_err(StoreError::backend)?;
    (transaction.open_table(definition(table))).map_err(unopened_table)?;
    transaction.commit().map_err(StoreError::backend)
}

/// Refuses a store without one of its tables.
fn check_tables(database: &Database) -> Result<(), StoreError> {
    let read = database.begin_read().map_err(StoreError::backend)?;
    for table in Table::ALL {
        read.open_table(definition(table)).map_err(unopened_table)?;
    }
    Ok(())
}

/// Looks for a row that is not what was written, each table on a thread of its own.
fn check_rows(database: &Database) -> Result<(), StoreError> {
    thread::scope(|scope| {
        let checks = Table::ALL.map(|table| {
            thread::Builder::new().spawn_scoped(scope, move || check_table(database, table))
        });
        for check in checks {
            let check = check.map_err(StoreError::backend)?;
            check.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        Ok(())
    })
}

fn check_table(database: &Database, table: Table) -> Result<(), StoreError> {
    let read = database.begin_read().map_err(StoreError::backend)?;
    let rows = read.open_table(definition(table)).map_err(unopened_table)?;
    for row in rows.iter().map_err(unread)? {
        let (key, stored) = row.map_err(unread)?;
        unseal(table, key.value(), stored.value())?;
    }
    Ok(())
}

fn unopened(error: DatabaseError, path: &Path) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.display().to_string()),
        DatabaseError::Storage(error) => unread(error),
        error @ (DatabaseError::UpgradeRequired(_) | DatabaseError::RepairAborted) => {
            StoreError::Unreadable(error.into())
        }
        error => StoreError::backend(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn without(table: Table, path: &Path) -> Result<Option<Database>, StoreError> {
        drop(create(path).unwrap());
        let database = Database::open(path).unwrap();
        let transaction = database.begin_write().unwrap();
        assert!(transaction.delete_table(definition(table)).unwrap());
        transaction.commit().unwrap();
        drop(database);
        existing(path)
    }

    #[test]
    fn a_store_of_an_earlier_release_gets_the_tables_that_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        for table in ADDED {
            let path = folder.path().join(table.name());
            let database = without(table, &path).unwrap().unwrap();
            let read = database.begin_read().unwrap();
            assert!(
                read.open_table(definition(table)).is_ok(),
                "{}",
                table.name()
            );
        }
    }

    /// The pages are read as they are: a table whose name is damaged would be made anew, and be empty.
    #[test]
    fn a_table_whose_name_is_damaged_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        drop(create(&path).unwrap());
        let good = fs::read(&path).unwrap();
        for table in Table::ALL {
            let name = table.name().as_bytes();
            let mut bad = good.clone();
            let places: Vec<_> = (0..good.len() - name.len())
                .filter(|start| good[*start..].starts_with(name))
                .collect();
            assert!(!places.is_empty(), "{}", table.name());
            for place in places {
                bad[place] ^= 1;
            }
            fs::write(&path, &bad).unwrap();
            assert!(existing(&path).is_err(), "{}", table.name());
        }
    }

    /// A guard without its table would sign anything.
    #[test]
    fn a_store_that_has_lost_a_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for table in Table::ALL.into_iter().filter(|it| !ADDED.contains(it)) {
            let path = folder.path().join(table.name());
            assert!(without(table, &path).is_err(), "{}", table.name());
        }
    }
}
