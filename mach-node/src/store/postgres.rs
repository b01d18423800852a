//! The store in a Postgres database, for several processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{
    PgPool, PgTransaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::mpsc;

use super::{
    Change, Expected, Row, SCHEMA_VERSION, Store, StoreError, Table, Written,
    group::{MAX_GROUP, Outcomes, Write, Writes, answer},
    sealed::{seal, unseal},
};

/// Most connections of a process: one writes, the others read.
const MAX_CONNECTIONS: u32 = 8;
/// How long a connection is waited for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows of one page when all of them are checked.
const PAGE: usize = 1024;

/// Settings of every connection, whatever those of the server are.
///
/// A process that stops in the middle of a write, with its machine for example, holds up the others
/// for no longer than its transaction may be idle. Reads after the lock have to see what its last
/// holder wrote, which they do at the level `read committed`.
const SETTINGS: [(&str, &str); 5] = [
    ("default_transaction_isolation", "read committed"),
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "500ms"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "10s"),
];

/// Makes those who write come one after another, also from several processes.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1835098984, hashtext(current_schema()))";

const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS mach_schema (version bigint PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS mach_rows (
        name text COLLATE \"C\" NOT NULL,
        key bytea NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (name, key)
    )",
];

/// A [`Store`] in a Postgres database that several processes share. Clones share its connections.
///
/// Its rows stand in the table `mach_rows` of the connection's schema. Writes of a process that come
/// together share one transaction, and one process writes at a time, so that expectations hold
/// between processes too. Every value carries a checksum (CRC-32) of its table, key and bytes; all of
/// them are checked when the store is opened, and each one again when it is read.
///
/// A pooler between process and server has to keep a session for each connection.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    /// For reading.
    pool: PgPool,
    /// The writer ends with the last clone.
    writes: Writes,
}

/// Says nothing of where the database is: its URL has the password.
impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store in the database at `url` (`postgres://user:password@host/database`), or makes
    /// it, and checks every row. Has to be called in a tokio runtime.
    ///
    /// Errors: [`StoreError::Version`], [`StoreError::Damaged`], [`StoreError::Unreadable`] if `url`
    /// is none, [`StoreError::Backend`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // What sqlx says of a URL may quote it.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| StoreError::Unreadable("this is no URL of a Postgres database".into()))?
            .application_name("mach")
            .options(SETTINGS);
        let pool = async |connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_with(options.clone())
                .await
                .map_err(StoreError::backend)
        };
        // Those who read, strangers among them, do not hold up what is written.
        let (readers, writer) = (pool(MAX_CONNECTIONS).await?, pool(1).await?);
        make(&writer).await?;
        let (writes, waiting) = Writes::channel();
        let store = Self(Arc::new(Shared {
            pool: readers,
            writes,
        }));
        store.check().await?;
        tokio::spawn(write_all(writer, waiting));
        Ok(store)
    }

    /// Reads every row.
    async fn check(&self) -> Result<(), StoreError> {
        for table in Table::ALL {
            let mut after = None;
            while let Some((last, _)) = (self.scan(table, &[], after.as_deref(), PAGE).await?).pop()
            {
                after = Some(last);
            }
        }
        Ok(())
    }
}

/// Makes the tables where there are none.
async fn make(pool: &PgPool) -> Result<(), StoreError> {
    let mut transaction = locked(pool).await?;
    for statement in CREATE {
        let made = sqlx::query(statement).execute(&mut *transaction).await;
        made.map_err(StoreError::backend)?;
    }
    let version =
        sqlx::query_scalar::<_, i64>("SELECT max(version) FROM mach_schema HAVING count(*) > 0")
            .fetch_optional(&mut *transaction)
            .await
            .map_err(StoreError::backend)?;
    match version {
        Some(version) if version == i64::from(SCHEMA_VERSION) => {}
        Some(version) => {
            let found = u32::try_from(version).unwrap_or(u32::MAX);
            return Err(StoreError::Version { found });
        }
        None => {
            sqlx::query("INSERT INTO mach_schema VALUES ($1)")
                .bind(i64::from(SCHEMA_VERSION))
                .execute(&mut *transaction)
                .await
                .map_err(StoreError::backend)?;
        }
    }
    transaction.commit().await.map_err(StoreError::backend)
}

/// A transaction of the only one who writes.
async fn locked(pool: &PgPool) -> Result<PgTransaction<'static>, StoreError> {
    let mut transaction = pool.begin().await.map_err(StoreError::backend)?;
    let locked = sqlx::query(LOCK).execute(&mut *transaction).await;
    locked.map_err(StoreError::backend)?;
    Ok(transaction)
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let stored: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT value FROM mach_rows WHERE name = $1 AND key = $2")
                .bind(table.name())
                .bind(key)
                .fetch_optional(&self.0.pool)
                .await
                .map_err(StoreError::backend)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        unseal(table, key, &stored).map(|value| Some(value.to_vec()))
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        const FROM: &str = "SELECT key, value FROM mach_rows
            WHERE name = $1 AND key >= $2 AND ($3::bytea IS NULL OR key < $3) ORDER BY key LIMIT $4";
        const AFTER: &str = "SELECT key, value FROM mach_rows
            WHERE name = $1 AND key > $2 AND ($3::bytea IS NULL OR key < $3) ORDER BY key LIMIT $4";
        let (query, start) = match after {
            Some(after) if after >= prefix => (AFTER, after),
            _ => (FROM, prefix),
        };
        let rows: Vec<Row> = sqlx::query_as(query)
            .bind(table.name())
            .bind(start)
            .bind(past(prefix))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.0.pool)
            .await
            .map_err(StoreError::backend)?;
        let unsealed = rows.into_iter().map(|(key, stored)| {
            let value = unseal(table, &key, &stored)?.to_vec();
            Ok((key, value))
        });
        unsealed.collect()
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        self.0.writes.write(changes).await
    }
}

/// The first key after all that begin with `prefix`, if there is one.
fn past(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut past = prefix.to_vec();
    while let Some(last) = past.pop() {
        if let Some(next) = last.checked_add(1) {
            past.push(next);
            return Some(past);
        }
    }
    None
}

/// Commits what waits, again and again, until nobody can write any more.
async fn write_all(pool: PgPool, mut waiting: mpsc::Receiver<Write>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, MAX_GROUP).await > 0 {
        let outcomes = commit(&pool, &group).await;
        answer(&mut group, outcomes);
    }
}

/// One transaction for many writes, each of which applies whole or not at all. A damaged row is the
/// failure of the write that meets it, and of no other.
async fn commit(pool: &PgPool, group: &[Write]) -> Outcomes {
    let mut transaction = locked(pool).await?;
    let mut rows = Rows::read(&mut transaction, group).await?;
    let outcomes = group
        .iter()
        .map(|write| rows.apply(&write.changes))
        .collect();
    rows.write(&mut transaction).await?;
    transaction.commit().await.map_err(StoreError::backend)?;
    Ok(outcomes)
}

/// The rows that a group of writes is about, as they are and as they become.
struct Rows {
    /// With their checksums; those of which something is expected.
    stored: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    changed: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
}

impl Rows {
    async fn read(
        transaction: &mut PgTransaction<'static>,
        group: &[Write],
    ) -> Result<Self, StoreError> {
        let wanted: BTreeSet<(Table, &[u8])> = (group.iter())
            .flat_map(|write| &write.changes)
            .filter(|change| change.expected != Expected::Anything)
            .map(|change| (change.table, change.key.as_slice()))
            .collect();
        let mut stored = BTreeMap::new();
        for table in Table::ALL {
            let keys: Vec<&[u8]> = (wanted.iter())
                .filter(|(of, _)| *of == table)
                .map(|(_, key)| *key)
                .collect();
            if keys.is_empty() {
                continue;
            }
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT key, value FROM mach_rows WHERE name = $1 AND key = ANY($2)",
            )
            .bind(table.name())
            .bind(keys)
            .fetch_all(&mut **transaction)
            .await
            .map_err(StoreError::backend)?;
            stored.extend(rows.into_iter().map(|(key, value)| ((table, key), value)));
        }
        Ok(Self {
            stored,
            changed: BTreeMap::new(),
        })
    }

    /// Looks at every row before it changes one.
    fn apply(&mut self, changes: &[Change]) -> Result<Written, StoreError> {
        for (position, change) in changes.iter().enumerate() {
            if !self.holds(change)? {
                return Ok(Written::Conflict { change: position });
            }
        }
        for change in changes {
            let row = (change.table, change.key.clone());
            self.changed.insert(row, change.value.clone());
        }
        Ok(Written::Applied)
    }

    /// Whether the row is what the change expects.
    fn holds(&self, change: &Change) -> Result<bool, StoreError> {
        if change.expected == Expected::Anything {
            return Ok(true);
        }
        let row = (change.table, change.key.clone());
        let value = match (self.changed.get(&row), self.stored.get(&row)) {
            (Some(changed), _) => changed.as_deref(),
            (None, Some(stored)) => Some(unseal(change.table, &change.key, stored)?),
            (None, None) => None,
        };
        Ok(match &change.expected {
            Expected::Anything => true,
            Expected::Absent => value.is_none(),
            Expected::Value(expected) => value == Some(expected.as_slice()),
        })
    }

    async fn write(self, transaction: &mut PgTransaction<'static>) -> Result<(), StoreError> {
        let (mut names, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (mut removed_names, mut removed_keys) = (Vec::new(), Vec::new());
        for ((table, key), value) in self.changed {
            match value {
                Some(value) => {
                    values.push(seal(table, &key, &value));
                    names.push(table.name());
                    keys.push(key);
                }
                None => {
                    removed_names.push(table.name());
                    removed_keys.push(key);
                }
            }
        }
        if !keys.is_empty() {
            sqlx::query(
                "INSERT INTO mach_rows (name, key, value)
                SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[])
                ON CONFLICT (name, key) DO UPDATE SET value = excluded.value",
            )
            .bind(names)
            .bind(keys)
            .bind(values)
            .execute(&mut **transaction)
            .await
            .map_err(StoreError::backend)?;
        }
        if !removed_keys.is_empty() {
            sqlx::query(
                "DELETE FROM mach_rows
                USING unnest($1::text[], $2::bytea[]) AS removed (name, key)
                WHERE mach_rows.name = removed.name AND mach_rows.key = removed.key",
            )
            .bind(removed_names)
            .bind(removed_keys)
            .execute(&mut **transaction)
            .await
            .map_err(StoreError::backend)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_prefix() {
        assert_eq!(past(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(past(&[1, 0xff]), Some(vec![2]));
        assert_eq!(past(&[0xff, 0xff]), None);
        assert_eq!(past(&[]), None);
    }
}
