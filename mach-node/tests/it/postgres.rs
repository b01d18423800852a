//! The store in Postgres, where `MACH_POSTGRES_URL` names a server.

use std::{task::Poll, time::Duration};

use mach_node::store::{Change, Expected, PostgresStore, Store, StoreError, Table, Written};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::store::conforms;

/// A schema of its own on the server, and the URL that leads there.
pub(crate) async fn schema(name: &str) -> Option<(PgConnection, String)> {
    let Ok(url) = std::env::var("MACH_POSTGRES_URL") else {
        println!("skipped: MACH_POSTGRES_URL is not set");
        return None;
    };
    let name = format!("mach_{name}_{}", std::process::id());
    let url = format!("{url}?options=-c%20search_path%3D{name}");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let statement = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    Some((connection, url))
}

fn put(key: &[u8], expected: Expected, value: &[u8]) -> Change {
    Change {
        table: Table::Guard,
        key: key.to_vec(),
        expected,
        value: Some(value.to_vec()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let Some((_, url)) = schema("conforms").await else {
        return;
    };
    conforms(PostgresStore::connect(&url).await.unwrap()).await;
}

/// As many as there are connections begin to read, and do not go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_holds_up_nobody_who_writes() {
    let Some((_, url)) = schema("apart").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let read = || store.get(Table::Guard, b"key");
    futures::future::join_all((0..32).map(|_| read())).await;
    let mut reads: Vec<_> = (0..32).map(|_| read()).collect();
    for read in &mut reads {
        let _ = std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
    }
    let write = store.write(vec![put(b"key", Expected::Absent, b"value")]);
    let written = tokio::time::timeout(Duration::from_secs(60), write).await;
    assert_eq!(written.unwrap().unwrap(), Written::Applied);
}

/// Each with connections and a writer of its own, as two processes have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_share_a_database_lose_no_update() {
    const ROUNDS: u64 = 100;
    let Some((_, url)) = schema("shared").await else {
        return;
    };
    // Both make the tables.
    let (one, two) = tokio::join!(PostgresStore::connect(&url), PostgresStore::connect(&url));
    let (one, two) = (one.unwrap(), two.unwrap());
    let add = async |store: &PostgresStore| {
        let (mut done, mut refused) = (0, 0);
        while done < ROUNDS {
            let before = store.get(Table::Guard, b"sum").await.unwrap();
            let number = before
                .as_deref()
                .map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()));
            let expected = before.map_or(Expected::Absent, Expected::Value);
            let change = put(b"sum", expected, &(number + 1).to_be_bytes());
            match store.write(vec![change]).await.unwrap() {
                Written::Applied => done += 1,
                Written::Conflict { .. } => refused += 1,
            }
        }
        refused
    };
    let (refused, also) = tokio::join!(add(&one), add(&two));
    println!("{} writes refused", refused + also);
    let sum = one.get(Table::Guard, b"sum").await.unwrap().unwrap();
    assert_eq!(sum, (2 * ROUNDS).to_be_bytes());
}

#[tokio::test]
async fn a_damaged_row_is_named_and_another_version_refused() {
    let Some((mut connection, url)) = schema("damaged").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let changes = vec![
        put(b"some key", Expected::Absent, b"value"),
        put(b"other", Expected::Absent, b"whole"),
    ];
    assert_eq!(store.write(changes).await.unwrap(), Written::Applied);

    let damage = "UPDATE mach_rows SET value = set_byte(value, 5, 0) WHERE key = 'some key'";
    let changed = sqlx::query(damage).execute(&mut connection).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let named = "row 0x736f6d65206b6579 of table guard is damaged";
    let error = store.get(Table::Guard, b"some key").await.unwrap_err();
    assert_eq!(error.to_string(), named);
    // Who meets it fails, and nobody else.
    let over = vec![put(b"some key", Expected::Value(b"value".to_vec()), b"new")];
    assert!(matches!(
        store.write(over).await,
        Err(StoreError::Damaged { .. })
    ));
    let beside = vec![put(b"other", Expected::Value(b"whole".to_vec()), b"new")];
    assert_eq!(store.write(beside).await.unwrap(), Written::Applied);
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.to_string(), named);

    let newer = "UPDATE mach_schema SET version = 9";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Version { found: 9 }), "{error}");
}

/// Somebody who has the lock and stops, as a machine does that freezes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_in_the_middle_of_a_write_holds_up_nobody_for_long() {
    let Some((_, url)) = schema("frozen").await else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let settings = format!("{url}%20-c%20idle_in_transaction_session_timeout%3D500ms");
    let mut frozen = PgConnection::connect(&settings).await.unwrap();
    for statement in [
        "BEGIN",
        "SELECT pg_advisory_xact_lock(1835098984, hashtext(current_schema()))",
    ] {
        sqlx::query(statement).execute(&mut frozen).await.unwrap();
    }
    let change = vec![put(b"key", Expected::Absent, b"value")];
    assert_eq!(store.write(change).await.unwrap(), Written::Applied);
}

#[tokio::test]
async fn what_cannot_be_reached_is_an_error_without_the_password() {
    for (url, is_transient) in [
        ("no url at all secret", false),
        ("postgres://me:secret@127.0.0.1:1/nothing", true),
    ] {
        let error = PostgresStore::connect(url).await.unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{error}");
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
