//! The queue in a file.

use std::sync::Arc;

use mach_core::{
    WorkPlan,
    ports::{Claim, QueueError, WorkQueue},
};
use mach_node::backfill::EmbeddedQueue;
use tempfile::TempDir;

use super::{Place, conformance, finish, plan};

struct File {
    folder: TempDir,
    queue: Option<EmbeddedQueue>,
}

impl File {
    async fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let queue = EmbeddedQueue::open(folder.path().join("queue.redb")).unwrap();
        Some(Self {
            folder,
            queue: Some(queue),
        })
    }
}

#[async_trait::async_trait]
impl Place for File {
    async fn worker(&self) -> Arc<dyn WorkQueue> {
        Arc::new(self.queue.clone().unwrap())
    }

    async fn restart(&mut self) -> Arc<dyn WorkQueue> {
        self.queue = None;
        self.queue = Some(EmbeddedQueue::open(self.folder.path().join("queue.redb")).unwrap());
        self.worker().await
    }
}

conformance!(File::new());

/// A file as a crash leaves it: a copy made while the queue is open.
#[tokio::test]
async fn a_file_that_was_not_closed_holds_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.redb");
    let queue = EmbeddedQueue::open(&path).unwrap();
    queue.plan(&plan(400)).await.unwrap();
    for done in 0..20 {
        let copy = folder.path().join(format!("{done}.redb"));
        std::fs::copy(&path, &copy).unwrap();
        let found = EmbeddedQueue::open(&copy).unwrap();
        assert_eq!(found.progress().await.unwrap().done, done);
        drop(found);
        std::fs::remove_file(copy).unwrap();
        let Claim::Unit(lease) = queue.claim().await.unwrap() else {
            panic!("there is another unit");
        };
        finish(&queue, &lease, "w").await;
    }
}

#[tokio::test]
async fn nobody_else_opens_the_file_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.redb");
    let queue = EmbeddedQueue::open(&path).unwrap();
    assert!(matches!(EmbeddedQueue::open(&path), Err(QueueError::InUse)));
    drop(queue);
    EmbeddedQueue::open(&path).unwrap();
    // Nothing but the queue is left of making it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn another_version_or_another_file_is_named() {
    const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.redb");
    drop(EmbeddedQueue::open(&path).unwrap());
    let set = |key: &str, value: &[u8]| {
        let database = redb::Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        (transaction.open_table(META).unwrap())
            .insert(key, value)
            .unwrap();
        transaction.commit().unwrap();
    };
    set("version", b"2");
    let error = EmbeddedQueue::open(&path).unwrap_err();
    assert!(matches!(error, QueueError::Version { found: 2, known: 1 }));
    set("version", b"1");
    set("plan", b"{\"chainId\":10}");
    assert!(matches!(
        EmbeddedQueue::open(&path),
        Err(QueueError::Damaged(_))
    ));
    set("format", b"\"something else\"");
    assert!(matches!(
        EmbeddedQueue::open(&path),
        Err(QueueError::Damaged(_))
    ));

    // A database of somebody else's, and what is none.
    let path = folder.path().join("other.redb");
    drop(redb::Database::create(&path).unwrap());
    assert!(matches!(
        EmbeddedQueue::open(&path),
        Err(QueueError::Damaged(_))
    ));
    let path = folder.path().join("notes.txt");
    for text in [&b"not a queue"[..], b"", &[0; 4096]] {
        std::fs::write(&path, text).unwrap();
        let error = EmbeddedQueue::open(&path).unwrap_err();
        assert!(matches!(error, QueueError::Damaged(_)), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), text);
    }
}

/// Whatever a disk does to the file, it is an error or the queue, never a panic.
#[tokio::test]
async fn a_damaged_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.redb");
    let queue = EmbeddedQueue::open(&path).unwrap();
    queue.plan(&plan(400)).await.unwrap();
    for _ in 0..10 {
        let Claim::Unit(lease) = queue.claim().await.unwrap() else {
            panic!("there is another unit");
        };
        finish(&queue, &lease, "w").await;
    }
    drop(queue);
    let whole = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.redb");
    let used = (whole.len()).min(256 * 1024);
    let mut refused = 0;
    let cases = (0..60usize).map(|case| {
        let mut bytes = whole.clone();
        // Places all over the pages in use, and ends of all lengths.
        match case % 3 {
            0 => bytes.truncate(used * case / 60),
            1 => bytes[used * case / 60] ^= 0xff,
            _ => bytes[used * case / 60..][..512].fill(0xa5),
        }
        bytes
    });
    for bytes in cases {
        std::fs::write(&damaged, bytes).unwrap();
        match EmbeddedQueue::open(&damaged) {
            Ok(queue) => {
                // Reading may find what opening did not.
                for index in 0..10 {
                    let _ = queue.report(index).await;
                }
                let _ = queue.claim().await;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn a_lease_longer_than_time_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let queue = EmbeddedQueue::open(folder.path().join("queue.redb")).unwrap();
    let plan = WorkPlan::new(10, 1..=4).unwrap();
    let plan = plan.with_lease(std::time::Duration::MAX);
    queue.plan(&plan).await.unwrap();
    assert!(matches!(queue.claim().await.unwrap(), Claim::Unit(_)));
}
