//! What every store has to do.

use std::fs;

use futures::future::join_all;
use mach_node::store::{
    Change, Expected, MemoryStore, RedbStore, Store, StoreError, Table, Written,
};

fn put(key: &[u8], expected: Expected, value: &[u8]) -> Change {
    Change {
        table: Table::Guard,
        key: key.to_vec(),
        expected,
        value: Some(value.to_vec()),
    }
}

fn remove(key: &[u8], expected: Expected) -> Change {
    Change {
        value: None,
        ..put(key, expected, &[])
    }
}

async fn get(store: &impl Store, key: &[u8]) -> Option<Vec<u8>> {
    store.get(Table::Guard, key).await.unwrap()
}

/// The suite. `store` is empty.
pub(crate) async fn conforms(store: impl Store + Clone + 'static) {
    changes_are_made_all_or_none(&store).await;
    rows_come_in_the_order_of_their_keys(&store).await;
    of_two_who_replace_one_value_one_succeeds(store).await;
}

async fn changes_are_made_all_or_none(store: &impl Store) {
    let first = vec![
        put(b"a", Expected::Absent, b"1"),
        put(b"b", Expected::Anything, b""),
    ];
    assert_eq!(store.write(first).await.unwrap(), Written::Applied);
    assert_eq!(get(store, b"a").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(get(store, b"b").await.as_deref(), Some(&b""[..]));
    assert_eq!(get(store, b"c").await, None);

    for (expected, change) in [
        (Expected::Absent, 1),
        (Expected::Value(b"2".to_vec()), 1),
        (Expected::Value(b"".to_vec()), 1),
    ] {
        let changes = vec![put(b"c", Expected::Absent, b"3"), put(b"a", expected, b"9")];
        let outcome = store.write(changes).await.unwrap();
        assert_eq!(outcome, Written::Conflict { change });
    }
    assert_eq!(get(store, b"a").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(get(store, b"c").await, None, "a part of a refused write");
    let outcome = store
        .write(vec![put(b"d", Expected::Value(Vec::new()), b"4")])
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Written::Conflict { change: 0 },
        "absent is not empty"
    );

    let second = vec![
        put(b"a", Expected::Value(b"1".to_vec()), b"2"),
        remove(b"b", Expected::Value(Vec::new())),
        remove(b"nothing", Expected::Absent),
    ];
    assert_eq!(store.write(second).await.unwrap(), Written::Applied);
    assert_eq!(get(store, b"a").await.as_deref(), Some(&b"2"[..]));
    assert_eq!(get(store, b"b").await, None);
    assert_eq!(store.write(Vec::new()).await.unwrap(), Written::Applied);
    let last = vec![remove(b"a", Expected::Anything)];
    assert_eq!(store.write(last).await.unwrap(), Written::Applied);
}

async fn rows_come_in_the_order_of_their_keys(store: &impl Store) {
    let keys: [&[u8]; 6] = [&[1, 0], &[1], &[0xff, 0xff], &[1, 0xff], &[2], &[0xff]];
    let changes = keys.map(|key| put(key, Expected::Absent, key)).to_vec();
    assert_eq!(store.write(changes).await.unwrap(), Written::Applied);
    let scan = async |prefix: &[u8], after: Option<&[u8]>, limit| -> Vec<Vec<u8>> {
        let rows = store
            .scan(Table::Guard, prefix, after, limit)
            .await
            .unwrap();
        assert!(rows.iter().all(|(key, value)| key == value));
        rows.into_iter().map(|(key, _)| key).collect()
    };
    let all = scan(&[], None, 100).await;
    assert!(all.is_sorted() && all.len() == keys.len());
    assert_eq!(
        scan(&[1], None, 100).await,
        [vec![1], vec![1, 0], vec![1, 255]]
    );
    assert_eq!(scan(&[1], Some(&[1]), 1).await, [[1, 0]]);
    assert_eq!(scan(&[1], Some(&[0]), 1).await, [[1]], "before the prefix");
    assert_eq!(scan(&[1], Some(&[1, 255]), 100).await.len(), 0);
    assert_eq!(scan(&[1], Some(&[2]), 100).await.len(), 0);
    assert_eq!(scan(&[255], None, 100).await, [vec![255], vec![255, 255]]);
    assert_eq!(scan(&[], None, 0).await.len(), 0);
    let changes = keys.map(|key| remove(key, Expected::Anything)).to_vec();
    assert_eq!(store.write(changes).await.unwrap(), Written::Applied);
}

/// Counts up from many tasks; a lost update would be missing in the sum.
async fn of_two_who_replace_one_value_one_succeeds(store: impl Store + Clone + 'static) {
    const TASKS: u64 = 8;
    const ROUNDS: u64 = 20;
    let count = async |store: &dyn Store| -> u64 {
        let value = store.get(Table::Guard, b"sum").await.unwrap();
        value.map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()))
    };
    let tasks = (0..TASKS).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while done < ROUNDS {
                let before = store.get(Table::Guard, b"sum").await.unwrap();
                let number = (before.clone())
                    .map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()));
                let expected = before.map_or(Expected::Absent, Expected::Value);
                let change = put(b"sum", expected, &(number + 1).to_be_bytes());
                done += u64::from(store.write(vec![change]).await.unwrap() == Written::Applied);
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(count(&store).await, TASKS * ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_and_the_memory_conform() {
    let folder = tempfile::tempdir().unwrap();
    conforms(RedbStore::open(folder.path().join("store.redb")).unwrap()).await;
    conforms(MemoryStore::new()).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = RedbStore::open(&path).unwrap();
    let outcome = store
        .write(vec![put(b"key", Expected::Absent, b"value")])
        .await;
    assert_eq!(outcome.unwrap(), Written::Applied);

    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(
        error.to_string().contains("another process uses"),
        "{error}"
    );
    drop(store);
    assert_eq!(
        get(&RedbStore::open(&path).unwrap(), b"key")
            .await
            .as_deref(),
        Some(&b"value"[..])
    );
}

/// What opens says what was written.
#[tokio::test]
async fn a_damaged_file_is_refused_and_the_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let value = b"a value that stands nowhere else";
    let store = RedbStore::open(&path).unwrap();
    let changes = vec![put(b"some key", Expected::Absent, value)];
    assert_eq!(store.write(changes).await.unwrap(), Written::Applied);
    drop(store);
    drop(RedbStore::open(&path).unwrap());

    let good = fs::read(&path).unwrap();
    let places: Vec<_> = (0..good.len() - value.len())
        .filter(|start| good[*start..].starts_with(value))
        .collect();
    assert!(!places.is_empty());
    let mut bad = good.clone();
    for place in &places {
        bad[*place] ^= 1;
    }
    fs::write(&path, &bad).unwrap();
    // As often as it is started.
    for _ in 0..3 {
        let error = RedbStore::open(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("row 0x{} of table guard is damaged", hex(b"some key"))
        );
    }

    // Anywhere else: an error, or what was written.
    let mut opened = 0;
    for place in (0..good.len()).step_by(good.len() / 100) {
        let mut bad = good.clone();
        bad[place] ^= 0x55;
        fs::write(&path, &bad).unwrap();
        if let Ok(store) = RedbStore::open(&path) {
            opened += 1;
            let read = get(&store, b"some key").await;
            assert_eq!(read.as_deref(), Some(&value[..]), "byte {place}");
            drop(store);
        }
        let _ = fs::remove_file(&path);
    }
    println!("{opened} of 100 opened, with what was written");
    for bytes in [&b"this is no database"[..], &[], &good[..good.len() / 2]] {
        fs::write(&path, bytes).unwrap();
        let error = RedbStore::open(&path).unwrap_err();
        assert!(!error.is_transient(), "{} bytes: {error}", bytes.len());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of many who find no store one has it, and the others are told so.
#[test]
fn a_store_that_several_make_at_once_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let path = folder.path().join(format!("{round}.redb"));
        let start = std::sync::Barrier::new(6);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = || {
                start.wait();
                RedbStore::open(&path)
            };
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap();
            threads.into_iter().map(join).collect()
        });
        assert_eq!(opened.iter().filter(|it| it.is_ok()).count(), 1);
        for refused in opened.into_iter().filter_map(Result::err) {
            assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
        }
    }
    let left = fs::read_dir(folder.path()).unwrap();
    assert_eq!(left.count(), 8, "nothing is left beside the stores");
}

const STORE: &str = "MACH_LIMITED_STORE";

/// The process that meets the end of the disk.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let opened = RedbStore::open(path);
    // Not an assertion: how it ends is what is looked at.
    std::process::exit(match opened {
        Ok(_) => 0,
        Err(error) if error.is_transient() => 7,
        Err(_) => 8,
    });
}

/// Makes a store in a process whose files must not grow beyond `blocks`; `before` is for the shell.
fn limited(path: &std::path::Path, before: &str, blocks: u32) -> std::process::ExitStatus {
    let script = format!("{before}; ulimit -c 0; ulimit -f {blocks}; exec \"$@\"");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script, "sh"]);
    shell.arg(std::env::current_exe().unwrap());
    shell.args(["--exact", "store::child", "--ignored", "--nocapture"]);
    let output = shell.env(STORE, path).output().unwrap();
    output.status
}

/// The process dies at the first byte for which there is no room.
#[test]
#[cfg(unix)]
fn a_crash_while_a_store_is_made_leaves_none() {
    use std::os::unix::process::ExitStatusExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut died = 0;
    for blocks in [0, 1, 8, 64, 256, 1024, 2048] {
        let status = limited(&path, ":", blocks);
        if status.signal().is_some() {
            died += 1;
            assert!(!path.exists(), "{blocks} blocks");
        } else {
            assert_eq!(status.code(), Some(0), "{blocks} blocks");
            drop(RedbStore::open(&path).unwrap());
            fs::remove_file(&path).unwrap();
        }
    }
    assert!(died >= 2, "{died}");
    drop(RedbStore::open(&path).unwrap());
}

/// The process is told that there is no room.
#[test]
#[cfg(unix)]
fn a_full_disk_is_said_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut refused = 0;
    for blocks in [0, 1, 8, 64, 256] {
        match limited(&path, "trap '' XFSZ", blocks).code() {
            Some(7) => refused += 1,
            other => assert_eq!(other, Some(0), "{blocks} blocks"),
        }
        if path.exists() {
            drop(RedbStore::open(&path).unwrap());
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    assert!(refused >= 2, "{refused}");
}

#[test]
fn a_store_of_another_release_is_refused() {
    use redb::{Database, TableDefinition};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(RedbStore::open(&path).unwrap());
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let meta: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
        let mut meta = write.open_table(meta).unwrap();
        meta.insert("schema version", 7).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Version { found: 7 }), "{error}");

    let path = folder.path().join("foreign.redb");
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    let foreign: TableDefinition<'_, u64, u64> = TableDefinition::new("somebody's");
    drop(write.open_table(foreign).unwrap());
    write.commit().unwrap();
    drop(database);
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error}");
}
