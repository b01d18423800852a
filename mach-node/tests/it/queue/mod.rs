//! What every work queue does, whatever it is made of: each test runs on all of them.

#[cfg(feature = "nats")]
mod nats;
mod stored;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use alloy_primitives::{B256, keccak256};
use mach_core::{
    Assurance, BlockOutcome, BlockReport, Published, UnitReport, WorkPlan, WorkUnit,
    ports::{Claim, Completion, Lease, QueueError, Release, WorkQueue},
};
use mach_node::backfill::{BackfillReport, ReportError};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Long enough for a busy machine to extend, short enough to wait for.
const LEASE: Duration = Duration::from_millis(1500);

/// A place where a queue lives, whoever opens it.
#[async_trait::async_trait]
trait Place: Send + Sync {
    /// The queue as another worker sees it.
    async fn worker(&self) -> Arc<dyn WorkQueue>;

    /// Everybody who had the queue open dies, and it is opened again.
    async fn restart(&mut self) -> Arc<dyn WorkQueue>;
}

/// Makes a test of each function for a kind of queue: `$place` is an expression for a new one, or
/// `None` if it cannot be had here.
macro_rules! conformance {
    ($place:expr; $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(place) = $place.await {
                    crate::queue::$test(place).await;
                }
            }
        )*
    };
    ($place:expr) => {
        crate::queue::conformance! { $place;
            a_plan_is_put_in_once
            every_unit_is_done_once_by_many_workers
            a_unit_of_a_dead_worker_goes_to_another
            a_late_report_counts_if_it_is_the_first
            an_extended_lease_is_kept
            a_unit_given_back_is_free_at_once
            a_unit_that_nobody_finishes_is_reported_undecided
            workers_that_die_use_up_the_attempts
            what_is_done_survives_a_restart
            a_report_of_other_blocks_is_refused
            a_reopened_unit_is_done_again
            workers_that_come_and_go_change_nothing
        }
    };
}
use conformance;

fn plan(blocks: u64) -> WorkPlan {
    WorkPlan::new(10, 100..=99 + blocks)
        .unwrap()
        .with_unit_blocks(NonZeroU32::new(4).unwrap())
        .unwrap()
        .with_attempts(NonZeroU32::new(3).unwrap())
        .with_lease(LEASE)
}

fn hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

/// What `worker` says of a unit: every block is valid, with gas of its own.
fn found(unit: &WorkUnit, worker: &str) -> UnitReport {
    let block = |number: u64| BlockReport {
        number,
        published: Some(Published {
            hash: hash(number),
            parent_hash: hash(number - 1),
            gas_used: number,
            transactions: 2,
        }),
        outcome: BlockOutcome::Valid {
            state_root: hash(number),
            output_root: None,
            assurance: Assurance::Executed,
        },
        microseconds: 7,
    };
    UnitReport {
        unit: *unit,
        worker: worker.to_owned(),
        blocks: unit.blocks().map(block).collect(),
    }
}

async fn claim(queue: &dyn WorkQueue) -> Lease {
    match queue.claim().await.unwrap() {
        Claim::Unit(lease) => lease,
        other => panic!("{other:?} instead of a unit"),
    }
}

/// Waits until the queue has a unit again.
async fn claim_later(queue: &dyn WorkQueue) -> Lease {
    for _ in 0..200 {
        if let Claim::Unit(lease) = queue.claim().await.unwrap() {
            return lease;
        }
        tokio::time::sleep(LEASE / 20).await;
    }
    panic!("no unit came back");
}

async fn finish(queue: &dyn WorkQueue, lease: &Lease, worker: &str) -> Completion {
    let report = found(&lease.unit, worker);
    queue.complete(lease, &report).await.unwrap()
}

async fn collected(queue: &dyn WorkQueue) -> BackfillReport {
    BackfillReport::collect(queue, |_| Ok::<(), std::convert::Infallible>(()))
        .await
        .unwrap()
}

async fn a_plan_is_put_in_once(place: impl Place) {
    let queue = place.worker().await;
    assert_eq!(queue.planned().await.unwrap(), None);
    assert!(matches!(queue.claim().await, Err(QueueError::NoPlan)));
    let wanted = plan(10).with_rules(B256::repeat_byte(1));
    assert_eq!(queue.plan(&wanted).await.unwrap(), wanted);

    // The same blocks in other units are the same work, shared out as it was.
    let other_units = WorkPlan::new(10, wanted.blocks()).unwrap();
    let other = place.worker().await;
    assert_eq!(other.plan(&other_units).await.unwrap(), wanted);
    assert_eq!(other.planned().await.unwrap(), Some(wanted));
    let rules = |byte| plan(10).with_rules(B256::repeat_byte(byte));
    for other_work in [plan(11), WorkPlan::new(11, 100..=109).unwrap(), rules(2)] {
        assert!(matches!(
            other.plan(&other_work).await,
            Err(QueueError::OtherPlan { .. })
        ));
    }
    let mut blocks = Vec::new();
    while let Claim::Unit(lease) = other.claim().await.unwrap() {
        blocks.push(lease.unit.blocks());
    }
    assert_eq!(blocks, [100..=103, 104..=107, 108..=109]);
}

async fn every_unit_is_done_once_by_many_workers(place: impl Place) {
    let queue = place.worker().await;
    let plan = plan(4 * 60).with_lease(Duration::from_secs(600));
    queue.plan(&plan).await.unwrap();
    let mut workers = Vec::new();
    for index in 0..6 {
        let queue = place.worker().await;
        workers.push(tokio::spawn(async move {
            let name = format!("worker {index}");
            let mut done = Vec::new();
            loop {
                match queue.claim().await.unwrap() {
                    Claim::Unit(lease) => {
                        assert_eq!(lease.attempt, 1);
                        tokio::task::yield_now().await;
                        assert_eq!(finish(&queue, &lease, &name).await, Completion::Counted);
                        done.push(lease.unit.index);
                    }
                    Claim::Wait => tokio::time::sleep(Duration::from_millis(5)).await,
                    Claim::Done => return (name, done),
                }
            }
        }));
    }
    let (mut all, mut by_worker) = (Vec::new(), BTreeMap::new());
    for worker in workers {
        let (name, done) = worker.await.unwrap();
        by_worker.insert(name, done.len() as u64);
        all.extend(done);
    }
    all.sort_unstable();
    assert_eq!(all, (0..60).collect::<Vec<_>>());

    let progress = queue.progress().await.unwrap();
    assert_eq!((progress.units, progress.done), (60, 60));
    assert_eq!((progress.leased, progress.blocks), (0, 240));
    assert_eq!(progress.gas_used, (100..340).sum::<u64>());
    let mut numbers = Vec::new();
    let report = BackfillReport::collect(&queue, |block| {
        numbers.push(block.number);
        Ok::<(), std::convert::Infallible>(())
    })
    .await
    .unwrap();
    assert_eq!(numbers, (100..340).collect::<Vec<_>>());
    assert!(report.is_complete() && report.is_valid());
    assert_eq!((report.valid, report.transactions), (240, 480));
    assert_eq!(report.gas_used, progress.gas_used);
    assert_eq!(report.parent_hash, Some(hash(99)));
    assert_eq!(report.last_hash, Some(hash(339)));
    for (name, share) in report.workers {
        assert_eq!(share.units, by_worker[&name]);
    }
}

async fn a_unit_of_a_dead_worker_goes_to_another(place: impl Place) {
    let (dies, lives) = (place.worker().await, place.worker().await);
    dies.plan(&plan(4)).await.unwrap();
    let lost = claim(&dies).await;
    assert_eq!(lives.claim().await.unwrap(), Claim::Wait);
    assert_eq!(lives.progress().await.unwrap().leased, 1);

    let taken = claim_later(&lives).await;
    assert_eq!((taken.unit, taken.attempt), (lost.unit, 2));
    assert_eq!(finish(&lives, &taken, "lives").await, Completion::Counted);
    assert_eq!(lives.claim().await.unwrap(), Claim::Done);

    // It was not dead: what it says now changes nothing.
    assert_eq!(finish(&dies, &lost, "dies").await, Completion::Duplicate);
    assert_eq!(
        finish(&lives, &taken, "lives again").await,
        Completion::Duplicate
    );
    let report = collected(&lives).await;
    assert_eq!(report.valid, 4);
    assert_eq!(report.workers.keys().collect::<Vec<_>>(), ["lives"]);
    assert_eq!(lives.progress().await.unwrap().done, 1);
}

async fn a_late_report_counts_if_it_is_the_first(place: impl Place) {
    let (slow, fast) = (place.worker().await, place.worker().await);
    slow.plan(&plan(4)).await.unwrap();
    let late = claim(&slow).await;
    let taken = claim_later(&fast).await;
    assert_eq!(finish(&slow, &late, "slow").await, Completion::Counted);
    assert_eq!(finish(&fast, &taken, "fast").await, Completion::Duplicate);
    assert_eq!(fast.claim().await.unwrap(), Claim::Done);
    let report = collected(&fast).await;
    assert_eq!(report.workers.keys().collect::<Vec<_>>(), ["slow"]);
}

async fn an_extended_lease_is_kept(place: impl Place) {
    let (holds, waits) = (place.worker().await, place.worker().await);
    holds.plan(&plan(4)).await.unwrap();
    let lease = claim(&holds).await;
    for _ in 0..8 {
        tokio::time::sleep(LEASE / 4).await;
        holds.extend(&lease).await.unwrap();
        assert_eq!(waits.claim().await.unwrap(), Claim::Wait);
    }
    assert_eq!(finish(&holds, &lease, "holds").await, Completion::Counted);
}

async fn a_unit_given_back_is_free_at_once(place: impl Place) {
    let (stops, goes_on) = (place.worker().await, place.worker().await);
    stops.plan(&plan(4)).await.unwrap();
    // More often than there are attempts: a worker that is stopped has not failed.
    let mut unit = None;
    for _ in 0..5 {
        let lease = claim_later(&stops).await;
        assert_eq!(lease.attempt, 1);
        unit = Some(lease.unit);
        stops.release(&lease, &Release::Interrupted).await.unwrap();
    }
    let lease = claim_later(&goes_on).await;
    assert_eq!((Some(lease.unit), lease.attempt), (unit, 1));
    assert_eq!(finish(&goes_on, &lease, "w").await, Completion::Counted);
}

async fn a_unit_that_nobody_finishes_is_reported_undecided(place: impl Place) {
    let queue = place.worker().await;
    queue.plan(&plan(8)).await.unwrap();
    let (mut poison, mut good) = (0, 0);
    let mut reasons = ["first", "second", "third"].into_iter();
    loop {
        match queue.claim().await.unwrap() {
            Claim::Unit(lease) if lease.unit.index == 0 => {
                poison += 1;
                assert_eq!(lease.attempt, poison);
                let reason = Release::Failed(reasons.next().unwrap().to_owned());
                queue.release(&lease, &reason).await.unwrap();
            }
            Claim::Unit(lease) => {
                good += 1;
                finish(&queue, &lease, "w").await;
            }
            Claim::Wait => tokio::time::sleep(Duration::from_millis(10)).await,
            Claim::Done => break,
        }
    }
    assert_eq!((poison, good), (3, 1));
    let report = collected(&queue).await;
    assert_eq!((report.valid, report.undecided, report.invalid), (4, 4, 0));
    assert!(report.is_complete() && !report.linked);
    let numbers: Vec<_> = (report.undecided_blocks.iter())
        .map(|block| block.number)
        .collect();
    assert_eq!(numbers, [100, 101, 102, 103]);
    for block in &report.undecided_blocks {
        assert_eq!(
            block.reason,
            "given up after 3 attempts, the last of which failed: third"
        );
    }
}

async fn workers_that_die_use_up_the_attempts(mut place: impl Place) {
    let mut queue = place.worker().await;
    queue.plan(&plan(4)).await.unwrap();
    for attempt in 1..=3 {
        assert_eq!(claim_later(&queue).await.attempt, attempt);
        drop(queue);
        queue = place.restart().await;
    }
    for _ in 0..200 {
        if queue.claim().await.unwrap() == Claim::Done {
            break;
        }
        tokio::time::sleep(LEASE / 20).await;
    }
    let report = collected(&queue).await;
    assert_eq!((report.undecided, report.pending), (4, 0));
    assert_eq!(
        report.undecided_blocks[0].reason,
        "given up after 3 attempts"
    );
}

async fn what_is_done_survives_a_restart(mut place: impl Place) {
    let queue = place.worker().await;
    let wanted = plan(40);
    queue.plan(&wanted).await.unwrap();
    let mut done = Vec::new();
    for _ in 0..4 {
        let lease = claim(&queue).await;
        finish(&queue, &lease, "before").await;
        done.push(lease.unit.index);
    }
    let (lost, back) = (claim(&queue).await, claim(&queue).await);
    queue.release(&back, &Release::Interrupted).await.unwrap();
    let before = queue.progress().await.unwrap();
    drop(queue);

    let queue = place.restart().await;
    assert_eq!(queue.planned().await.unwrap(), Some(wanted.clone()));
    // Whoever comes back plans again, since it does not know how far it came.
    assert_eq!(queue.plan(&wanted).await.unwrap(), wanted);
    let after = queue.progress().await.unwrap();
    assert_eq!(
        (after.done, after.blocks, after.gas_used),
        (before.done, before.blocks, before.gas_used)
    );
    let mut rest = Vec::new();
    loop {
        match queue.claim().await.unwrap() {
            Claim::Unit(lease) => {
                finish(&queue, &lease, "after").await;
                rest.push(lease.unit.index);
            }
            Claim::Wait => tokio::time::sleep(LEASE / 20).await,
            Claim::Done => break,
        }
    }
    assert!(rest.contains(&lost.unit.index) && rest.contains(&back.unit.index));
    rest.extend(done);
    rest.sort_unstable();
    assert_eq!(rest, (0..10).collect::<Vec<_>>());
    let report = collected(&queue).await;
    assert_eq!((report.valid, report.linked), (40, true));
}

async fn a_report_of_other_blocks_is_refused(place: impl Place) {
    let queue = place.worker().await;
    queue.plan(&plan(8)).await.unwrap();
    let lease = claim(&queue).await;
    let right = found(&lease.unit, "w");
    let mut fewer = right.clone();
    fewer.blocks.pop();
    let mut twice = right.clone();
    twice.blocks[1] = twice.blocks[0].clone();
    let mut other = right.clone();
    other.unit.chain_id = 1;
    for wrong in [fewer, twice, other] {
        assert!(matches!(
            queue.complete(&lease, &wrong).await,
            Err(QueueError::OtherUnit(unit)) if unit == lease.unit
        ));
    }
    let unplanned = WorkUnit {
        index: 9,
        ..lease.unit
    };
    let elsewhere = Lease {
        unit: unplanned,
        ..lease.clone()
    };
    assert!(matches!(
        queue.complete(&elsewhere, &found(&unplanned, "w")).await,
        Err(QueueError::OtherUnit(_))
    ));
    assert_eq!(queue.report(0).await.unwrap(), None);
    assert_eq!(
        queue.complete(&lease, &right).await.unwrap(),
        Completion::Counted
    );
    assert_eq!(queue.report(0).await.unwrap(), Some(right));
}

async fn a_reopened_unit_is_done_again(place: impl Place) {
    let queue = place.worker().await;
    queue.plan(&plan(8)).await.unwrap();
    for _ in 0..2 {
        let lease = claim(&queue).await;
        finish(&queue, &lease, "first").await;
    }
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
    let before = queue.progress().await.unwrap();

    queue.reopen(1).await.unwrap();
    assert_eq!(queue.report(1).await.unwrap(), None);
    let between = queue.progress().await.unwrap();
    assert_eq!((between.done, between.blocks), (1, 4));
    let lease = claim(&queue).await;
    assert_eq!((lease.unit.index, lease.attempt), (1, 1));
    // What is not done cannot be reopened.
    queue.reopen(1).await.unwrap();
    assert_eq!(queue.claim().await.unwrap(), Claim::Wait);
    assert_eq!(finish(&queue, &lease, "second").await, Completion::Counted);
    assert_eq!(queue.claim().await.unwrap(), Claim::Done);
    assert_eq!(queue.progress().await.unwrap(), before);
    assert_eq!(queue.report(1).await.unwrap().unwrap().worker, "second");
    assert!(collected(&queue).await.is_valid());
}

/// Workers die, hang, stop and fail as chance has it, and hand in when others have done it.
async fn workers_that_come_and_go_change_nothing(place: impl Place) {
    let queue = place.worker().await;
    let wanted = plan(4 * 50)
        .with_attempts(NonZeroU32::new(1000).unwrap())
        .with_lease(Duration::from_millis(400));
    queue.plan(&wanted).await.unwrap();
    let mut workers = Vec::new();
    for seed in 0..6 {
        let queue = place.worker().await;
        workers.push(tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let name = format!("worker {seed}");
            let (mut counted, mut hanging) = (Vec::new(), Vec::new());
            loop {
                let lease = match queue.claim().await.unwrap() {
                    Claim::Unit(lease) => lease,
                    Claim::Wait => match hanging.pop() {
                        Some(lease) => lease,
                        None => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            continue;
                        }
                    },
                    Claim::Done => break,
                };
                match random.random_range(0..10) {
                    0 => drop(lease),
                    1 | 2 => hanging.push(lease),
                    3 => queue.release(&lease, &Release::Interrupted).await.unwrap(),
                    4 => {
                        let failed = Release::Failed(name.clone());
                        queue.release(&lease, &failed).await.unwrap();
                    }
                    _ => match finish(&queue, &lease, &name).await {
                        Completion::Counted => counted.push(lease.unit.index),
                        Completion::Duplicate => {}
                    },
                }
            }
            for lease in hanging {
                assert_eq!(finish(&queue, &lease, &name).await, Completion::Duplicate);
            }
            counted
        }));
    }
    let mut counted = Vec::new();
    for worker in workers {
        counted.extend(worker.await.unwrap());
    }
    counted.sort_unstable();
    assert_eq!(counted, (0..50).collect::<Vec<_>>());
    let progress = queue.progress().await.unwrap();
    assert_eq!((progress.done, progress.blocks), (50, 200));
    assert_eq!(progress.gas_used, (100..300).sum::<u64>());
    let report = collected(&queue).await;
    assert!(report.is_valid(), "{report:?}");
    assert_eq!(report.valid, 200);
}

/// Whoever takes the blocks of a report may stop it.
#[tokio::test]
async fn a_consumer_that_fails_stops_the_report() {
    let store = mach_node::store::MemoryStore::new();
    let queue = mach_node::backfill::StoredQueue::open(store).await.unwrap();
    queue.plan(&plan(8)).await.unwrap();
    let lease = claim(&queue).await;
    finish(&queue, &lease, "w").await;
    let report = BackfillReport::collect(&queue, |_| Err("full")).await;
    assert!(matches!(report, Err(ReportError::Consumer("full"))));
}
