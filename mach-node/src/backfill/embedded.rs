//! A work queue in a file, for the workers of one process.

mod schema;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use mach_core::{
    UnitReport, WorkPlan, WorkUnit,
    ports::{Claim, Completion, Lease, QueueError, QueueProgress, Release, WorkQueue},
};

use self::schema::{Store, Tally};
use super::{gas_of, given_up};

/// A [`WorkQueue`] in one file, for the workers of this process.
///
/// What is done survives the process, however it ends: a claim and a report are on the disk before
/// they count. No other process opens the file meanwhile, so whatever was in work when the last
/// one ended is free again when the file is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedQueue {
    inner: Arc<Mutex<Inner>>,
}

impl EmbeddedQueue {
    /// Opens the queue in a file, or makes one.
    ///
    /// Errors: [`QueueError::InUse`], [`QueueError::Version`], [`QueueError::Damaged`], also if
    /// the file is something else, and [`QueueError::Backend`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, QueueError> {
        let store = Store::open(path.as_ref())?;
        let inner = Inner {
            plan: store.plan()?,
            cursor: store.cursor()?,
            tally: store.tally()?,
            free: store.begun()?,
            leases: BTreeMap::new(),
            last_token: 0,
            store,
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
        })
    }

    /// Runs `work` where waiting for the disk holds up nobody.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            // What is in memory changes after what is on the disk, and cannot be half changed.
            work(&mut inner.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|error| QueueError::Backend(Box::new(error)))?
    }
}

#[async_trait]
impl WorkQueue for EmbeddedQueue {
    async fn plan(&self, plan: &WorkPlan) -> Result<WorkPlan, QueueError> {
        let plan = plan.clone();
        self.with(move |inner| inner.put_plan(plan)).await
    }

    async fn planned(&self) -> Result<Option<WorkPlan>, QueueError> {
        self.with(|inner| Ok(inner.plan.clone())).await
    }

    async fn claim(&self) -> Result<Claim, QueueError> {
        self.with(Inner::claim).await
    }

    async fn extend(&self, lease: &Lease) -> Result<(), QueueError> {
        let lease = lease.clone();
        self.with(move |inner| {
            let until = inner.deadline()?;
            if let Some(held) = inner.held(&lease) {
                held.until = until;
            }
            Ok(())
        })
        .await
    }

    async fn complete(&self, lease: &Lease, report: &UnitReport) -> Result<Completion, QueueError> {
        if !report.is_of(&lease.unit) {
            return Err(QueueError::OtherUnit(lease.unit));
        }
        let report = report.clone();
        self.with(move |inner| inner.complete(&report)).await
    }

    async fn release(&self, lease: &Lease, reason: &Release) -> Result<(), QueueError> {
        let (lease, reason) = (lease.clone(), reason.clone());
        self.with(move |inner| inner.release(&lease, &reason)).await
    }

    async fn progress(&self) -> Result<QueueProgress, QueueError> {
        self.with(|inner| {
            inner.expire();
            Ok(QueueProgress {
                units: inner.plan()?.unit_count(),
                done: inner.tally.done,
                leased: inner.leases.len() as u64,
                blocks: inner.tally.blocks,
                gas_used: inner.tally.gas_used,
            })
        })
        .await
    }

    async fn report(&self, index: u64) -> Result<Option<UnitReport>, QueueError> {
        self.with(move |inner| inner.store.report(index)).await
    }

    async fn reopen(&self, index: u64) -> Result<(), QueueError> {
        self.with(move |inner| inner.reopen(index)).await
    }
}

#[derive(Debug)]
struct Inner {
    store: Store,
    plan: Option<WorkPlan>,
    /// Index of the first unit that was never taken.
    cursor: u64,
    /// Units below the cursor that are neither done nor held.
    free: BTreeSet<u64>,
    leases: BTreeMap<u64, Held>,
    last_token: u64,
    tally: Tally,
}

#[derive(Debug)]
struct Held {
    token: u64,
    until: Instant,
}

impl Inner {
    fn put_plan(&mut self, wanted: WorkPlan) -> Result<WorkPlan, QueueError> {
        match &self.plan {
            Some(held) if held.has_blocks_of(&wanted) => Ok(held.clone()),
            Some(held) => Err(QueueError::OtherPlan {
                held: Box::new(held.clone()),
                wanted: Box::new(wanted),
            }),
            None => {
                self.store.put_plan(&wanted)?;
                self.plan = Some(wanted.clone());
                Ok(wanted)
            }
        }
    }

    fn claim(&mut self) -> Result<Claim, QueueError> {
        self.expire();
        loop {
            let plan = self.plan()?;
            let next = self.free.first().copied().unwrap_or(self.cursor);
            let Some(unit) = plan.unit(next) else {
                return Ok(if self.tally.done == plan.unit_count() {
                    Claim::Done
                } else {
                    Claim::Wait
                });
            };
            let mut attempts = self.store.attempts(next)?;
            if attempts.count >= plan.attempts() {
                let report = given_up(unit, attempts.count, attempts.reason.as_deref());
                self.complete(&report)?;
                continue;
            }
            attempts.count += 1;
            let until = self.deadline()?;
            let cursor = self.cursor.max(next + 1);
            self.store.begin(next, &attempts, cursor)?;
            self.cursor = cursor;
            self.free.remove(&next);
            self.last_token += 1;
            let token = self.last_token;
            self.leases.insert(next, Held { token, until });
            return Ok(Claim::Unit(Lease {
                unit,
                attempt: attempts.count,
                token: token.to_string(),
            }));
        }
    }

    fn complete(&mut self, report: &UnitReport) -> Result<Completion, QueueError> {
        let index = report.unit.index;
        self.check(&report.unit)?;
        if self.store.report(index)?.is_some() {
            return Ok(Completion::Duplicate);
        }
        let tally = Tally {
            done: self.tally.done + 1,
            blocks: self.tally.blocks + report.unit.block_count(),
            gas_used: self.tally.gas_used.saturating_add(gas_of(report)),
        };
        self.store.finish(report, &tally)?;
        self.tally = tally;
        self.free.remove(&index);
        self.leases.remove(&index);
        Ok(Completion::Counted)
    }

    fn release(&mut self, lease: &Lease, reason: &Release) -> Result<(), QueueError> {
        let index = lease.unit.index;
        if self.held(lease).is_none() {
            return Ok(());
        }
        let mut attempts = self.store.attempts(index)?;
        match reason {
            Release::Interrupted => attempts.count = attempts.count.saturating_sub(1),
            Release::Failed(reason) => attempts.reason = Some(reason.clone()),
        }
        self.store.begin(index, &attempts, self.cursor)?;
        self.leases.remove(&index);
        self.free.insert(index);
        Ok(())
    }

    fn reopen(&mut self, index: u64) -> Result<(), QueueError> {
        let Some(report) = self.store.report(index)? else {
            return Ok(());
        };
        let tally = Tally {
            done: self.tally.done.saturating_sub(1),
            blocks: (self.tally.blocks).saturating_sub(report.unit.block_count()),
            gas_used: self.tally.gas_used.saturating_sub(gas_of(&report)),
        };
        self.store.reopen(index, &tally)?;
        self.tally = tally;
        self.free.insert(index);
        Ok(())
    }

    /// Frees the units of those who did not answer in time.
    fn expire(&mut self) {
        let now = Instant::now();
        let free = &mut self.free;
        self.leases.retain(|index, held| {
            let is_held = held.until > now;
            if !is_held {
                free.insert(*index);
            }
            is_held
        });
    }

    /// Errors: the unit is not one of the plan.
    fn check(&self, unit: &WorkUnit) -> Result<(), QueueError> {
        match self.plan()?.unit(unit.index) {
            Some(planned) if planned == *unit => Ok(()),
            _ => Err(QueueError::OtherUnit(*unit)),
        }
    }

    fn held(&mut self, lease: &Lease) -> Option<&mut Held> {
        let held = self.leases.get_mut(&lease.unit.index)?;
        (held.token.to_string() == lease.token).then_some(held)
    }

    fn plan(&self) -> Result<&WorkPlan, QueueError> {
        self.plan.as_ref().ok_or(QueueError::NoPlan)
    }

    fn deadline(&self) -> Result<Instant, QueueError> {
        let lease = self.plan()?.lease();
        let now = Instant::now();
        // A lease that ends after the clock does is one that does not end.
        Ok(now.checked_add(lease).unwrap_or(now + FOREVER))
    }
}

/// A lease that does not end, in effect: ten years.
const FOREVER: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 60 * 60);
