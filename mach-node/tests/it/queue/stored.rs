//! The queue in a store.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mach_core::{
    WorkPlan,
    ports::{Claim, Completion, QueueError, Release, WorkQueue},
};
use mach_node::{
    backfill::StoredQueue,
    store::{Change, Expected, MemoryStore, RedbStore, Store, Table, Written},
};
use tempfile::TempDir;

use super::{Place, claim, collected, conformance, finish, found, plan};
use crate::writes::{Failing, WrittenBy};

type Queue = Arc<StoredQueue<RedbStore>>;

struct File {
    folder: TempDir,
    queue: Option<Queue>,
}

async fn open(folder: &TempDir) -> Queue {
    let store = RedbStore::open(folder.path().join("queue.redb")).unwrap();
    Arc::new(StoredQueue::open(store).await.unwrap())
}

impl File {
    async fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let queue = Some(open(&folder).await);
        Some(Self { folder, queue })
    }
}

#[async_trait::async_trait]
impl Place for File {
    async fn worker(&self) -> Arc<dyn WorkQueue> {
        self.queue.clone().unwrap()
    }

    async fn restart(&mut self) -> Arc<dyn WorkQueue> {
        self.queue = None;
        self.queue = Some(open(&self.folder).await);
        self.worker().await
    }
}

conformance!(File::new());

/// A file as a crash leaves it: a copy made while the queue is open.
#[tokio::test]
async fn a_file_that_was_not_closed_holds_what_was_done() {
    let (folder, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let queue = open(&folder).await;
    queue.plan(&plan(400)).await.unwrap();
    let path = |folder: &TempDir| folder.path().join("queue.redb");
    for done in 0..20 {
        std::fs::copy(path(&folder), path(&crashed)).unwrap();
        let found = open(&crashed).await;
        assert_eq!(found.progress().await.unwrap().done, done);
        drop(found);
        let lease = claim(&queue).await;
        finish(&queue, &lease, "w").await;
    }
}

/// Whoever hands in again is told that there is a report, and the unit is done.
#[tokio::test]
async fn a_report_whose_answer_was_lost_counts_once() {
    let store = Arc::new(WrittenBy::<Failing>::default());
    let queue = StoredQueue::open(Arc::clone(&store)).await.unwrap();
    queue.plan(&plan(8)).await.unwrap();
    for done in 1..=2 {
        let lease = claim(&queue).await;
        store.unanswered.store(1, Ordering::SeqCst);
        let report = found(&lease.unit, "w");
        assert!(queue.complete(&lease, &report).await.is_err());
        assert_eq!(finish(&queue, &lease, "w").await, Completion::Duplicate);
        assert_eq!(finish(&queue, &lease, "w").await, Completion::Duplicate);
        let progress = queue.progress().await.unwrap();
        assert_eq!(
            (progress.done, progress.leased, progress.blocks),
            (done, 0, 4 * done)
        );
    }
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
}

/// More often than there are attempts.
#[tokio::test]
async fn a_claim_that_cannot_be_written_is_no_attempt() {
    let store = Arc::new(WrittenBy::<Failing>::default());
    let queue = StoredQueue::open(Arc::clone(&store)).await.unwrap();
    queue.plan(&plan(4)).await.unwrap();
    store.refused.store(5, Ordering::SeqCst);
    for _ in 0..5 {
        assert!(matches!(queue.claim().await, Err(QueueError::Backend(_))));
        assert_eq!(queue.progress().await.unwrap().leased, 0);
    }
    let lease = claim(&queue).await;
    assert_eq!(lease.attempt, 1);

    // A unit that cannot be given back in writing is free all the same.
    store.refused.store(1, Ordering::SeqCst);
    assert!(queue.release(&lease, &Release::Interrupted).await.is_err());

    // Nor is a unit lost that is given up while nothing can be written.
    for attempt in 1..=3 {
        let lease = claim(&queue).await;
        assert_eq!(lease.attempt, attempt);
        let failed = Release::Failed("no".to_owned());
        queue.release(&lease, &failed).await.unwrap();
    }
    store.refused.store(1, Ordering::SeqCst);
    assert!(queue.claim().await.is_err());
    assert_eq!(queue.progress().await.unwrap().leased, 0);
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
    let report = queue.report(0).await.unwrap().unwrap();
    assert!((report.blocks.iter()).all(|block| block.published.is_none()));
}

/// However often a process is killed, only what it had for the last time and alone is given up.
#[tokio::test]
async fn a_process_that_is_killed_often_gives_up_one_unit_at_most() {
    let store = MemoryStore::new();
    let open = async || StoredQueue::open(store.clone()).await.unwrap();
    let queue = open().await;
    queue.plan(&plan(4 * 4)).await.unwrap();
    for attempt in 1..=2 {
        let queue = open().await;
        for unit in 0..3 {
            let lease = claim(&queue).await;
            assert_eq!((lease.unit.index, lease.attempt), (unit, attempt));
        }
    }
    // What was not taken so often comes first; what is left waits for it, and is taken alone.
    let queue = open().await;
    let fresh = claim(&queue).await;
    assert_eq!((fresh.unit.index, fresh.attempt), (3, 1));
    assert_eq!(queue.claim().await.unwrap(), Claim::Wait);
    finish(&queue, &fresh, "w").await;
    let lease = claim(&queue).await;
    assert_eq!((lease.unit.index, lease.attempt), (0, 3));
    assert_eq!(queue.claim().await.unwrap(), Claim::Wait);
    // Killed once more.
    let queue = open().await;
    for unit in 1..3 {
        let lease = claim(&queue).await;
        assert_eq!((lease.unit.index, lease.attempt), (unit, 3));
        assert_eq!(queue.claim().await.unwrap(), Claim::Wait);
        // Who is told to stop has not failed.
        queue.release(&lease, &Release::Interrupted).await.unwrap();
        let lease = claim(&queue).await;
        assert_eq!((lease.unit.index, lease.attempt), (unit, 3));
        finish(&queue, &lease, "w").await;
    }
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
    let report = collected(&*Arc::new(queue)).await;
    assert_eq!((report.valid, report.undecided), (12, 4));
    assert_eq!(report.undecided_blocks[0].number, 100);
}

/// A claim that reached the disk after the report of its unit.
#[tokio::test]
async fn a_claim_beside_a_report_means_nothing() {
    let store = MemoryStore::new();
    let queue = StoredQueue::open(store.clone()).await.unwrap();
    queue.plan(&plan(8)).await.unwrap();
    let lease = claim(&queue).await;
    finish(&queue, &lease, "w").await;
    let late = Change {
        table: Table::Work,
        key: b"B\0\0\0\0\0\0\0\0".to_vec(),
        expected: Expected::Absent,
        value: Some(br#"{"count":3,"reason":null}"#.to_vec()),
    };
    assert_eq!(store.write(vec![late]).await.unwrap(), Written::Applied);
    let queue = StoredQueue::open(store).await.unwrap();
    assert_eq!(queue.progress().await.unwrap().done, 1);
    queue.reopen(0).await.unwrap();
    let lease = claim(&queue).await;
    assert_eq!((lease.unit.index, lease.attempt), (0, 1));
}

/// Several claims are written at a time, and a crash may leave any of them behind.
#[tokio::test]
async fn a_claim_that_was_not_written_is_made_again() {
    let store = MemoryStore::new();
    let queue = StoredQueue::open(store.clone()).await.unwrap();
    queue.plan(&plan(4 * 6)).await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(claim(&queue).await);
    }
    finish(&queue, &leases[1], "w").await;
    finish(&queue, &leases[3], "w").await;
    drop(queue);
    // As if the claims of units 0 and 2 had not reached the disk.
    for index in [0u64, 2] {
        let lost = Change {
            table: Table::Work,
            key: [b"B".as_slice(), &index.to_be_bytes()].concat(),
            expected: Expected::Anything,
            value: None,
        };
        assert_eq!(store.write(vec![lost]).await.unwrap(), Written::Applied);
    }
    let queue = StoredQueue::open(store).await.unwrap();
    let mut taken = Vec::new();
    while let Claim::Unit(lease) = queue.claim().await.unwrap() {
        assert_eq!(finish(&queue, &lease, "w").await, Completion::Counted);
        taken.push(lease.unit.index);
    }
    assert_eq!(taken, [0, 2, 4, 5]);
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
}

#[tokio::test]
async fn rows_that_cannot_be_are_an_error() {
    let report = |unit: &[u8]| [b"R".as_slice(), unit].concat();
    let rows: [(Vec<u8>, &[u8]); 6] = [
        (b"P".to_vec(), b"{}"),
        (b"P".to_vec(), b"\xff"),
        (report(&0u64.to_be_bytes()), b"{}"),
        (report(&u64::MAX.to_be_bytes()), b"{}"),
        (report(b"short"), b"{}"),
        (
            b"B\0\0\0\0\0\0\0\x63".to_vec(),
            br#"{"count":1,"reason":null}"#,
        ),
    ];
    for (key, value) in rows {
        let store = MemoryStore::new();
        let queue = StoredQueue::open(store.clone()).await.unwrap();
        queue.plan(&plan(8)).await.unwrap();
        let row = Change {
            table: Table::Work,
            key: key.clone(),
            expected: Expected::Anything,
            value: Some(value.to_vec()),
        };
        assert_eq!(store.write(vec![row]).await.unwrap(), Written::Applied);
        let opened = StoredQueue::open(store).await;
        assert!(
            matches!(opened, Err(QueueError::Damaged(_))),
            "{key:?} {opened:?}"
        );
    }
}

#[tokio::test]
async fn a_lease_longer_than_time_is_no_panic() {
    let queue = StoredQueue::open(MemoryStore::new()).await;
    let queue = queue.unwrap();
    let plan = WorkPlan::new(10, 1..=4).unwrap();
    queue.plan(&plan.with_lease(Duration::MAX)).await.unwrap();
    assert!(matches!(queue.claim().await.unwrap(), Claim::Unit(_)));
}
