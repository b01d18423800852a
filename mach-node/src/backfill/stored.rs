//! A work queue in a store, for the workers of one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mach_core::{
    UnitReport, WorkPlan,
    ports::{Claim, Completion, Lease, QueueError, QueueProgress, Release, WorkQueue},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{gas_of, given_up};
use crate::store::{Change, Expected, Store, StoreError, Table, Written};

/// Rows that are read at a time.
const PAGE: usize = 256;

/// A lease that does not end, in effect: ten years.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A [`WorkQueue`] in a [`Store`], for the workers of this process.
///
/// What is done survives the process, however it ends: a claim and a report are durable before they
/// count. Who holds what is in memory, so whatever was in work when the last process ended is free
/// again at once; the attempt counts.
///
/// | row of [`Table::Work`] | |
/// |---|---|
/// | `P` | the plan |
/// | `B` and index | a unit that was taken and is not done: how often, and why it was given back |
/// | `R` and index | the report of a unit |
///
/// Indexes are 8 bytes, big-endian; values are JSON.
///
/// The last attempt at a unit is made alone: nothing else is handed out until it is over. A process
/// that is killed as often as there are attempts costs at most one unit then, and not all that it
/// held; and of a unit whose blocks kill it, the others do not suffer.
#[derive(Debug)]
pub struct StoredQueue<S> {
    store: S,
    state: Mutex<State>,
    /// Held while a report is dropped, or counted by somebody who did not write it.
    reports: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<WorkPlan>,
    /// Index of the first unit that was never taken. Those below it are free, held or done.
    cursor: u64,
    free: BTreeSet<u64>,
    /// Units that were taken and are not done.
    attempts: BTreeMap<u64, Attempts>,
    leases: BTreeMap<u64, Held>,
    last_token: u64,
    done: u64,
    blocks: u64,
    gas_used: u64,
}

/// How often a unit was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Attempts {
    count: u32,
    /// Why the last worker that said so gave it back.
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    token: u64,
    until: Instant,
}

/// What there is for whoever asks.
enum Next {
    Taken(Lease, Attempts),
    /// A unit that was tried often enough.
    GiveUp(Lease, UnitReport),
    Nothing(Claim),
}

impl<S: Store> StoredQueue<S> {
    /// The queue in `store`, as it was left.
    ///
    /// Errors: [`QueueError::Damaged`], [`QueueError::Backend`].
    pub async fn open(store: S) -> Result<Self, QueueError> {
        let plan: Option<WorkPlan> = match store.get(Table::Work, PLAN).await.map_err(failed)? {
            Some(value) => Some(decode(PLAN, &value)?),
            None => None,
        };
        let queue = Self {
            store,
            state: Mutex::new(State {
                plan,
                ..State::default()
            }),
            reports: tokio::sync::Mutex::default(),
        };
        queue.load().await?;
        Ok(queue)
    }

    /// Counts what is done.
    async fn load(&self) -> Result<(), QueueError> {
        let mut state = State::default();
        state.plan.clone_from(&self.state().plan);
        let units = state.plan.as_ref().map_or(0, WorkPlan::unit_count);
        self.each(REPORT, units, |index, report: UnitReport| {
            state.close(index, &report);
        })
        .await?;
        // Claims are written by several at a time: one may be there and the one before it not.
        self.each(BEGUN, units, |index, attempts: Attempts| {
            if state.is_done(index) {
                return;
            }
            state.free.extend(state.cursor..=index);
            state.cursor = state.cursor.max(index + 1);
            state.attempts.insert(index, attempts);
        })
        .await?;
        *self.state() = state;
        Ok(())
    }

    /// Hands out the rows of a kind, in order.
    async fn each<T: DeserializeOwned>(
        &self,
        kind: u8,
        units: u64,
        mut take: impl FnMut(u64, T),
    ) -> Result<(), QueueError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self
                .store
                .scan(Table::Work, &[kind], after.as_deref(), PAGE)
                .await
                .map_err(failed)?;
            for (key, value) in &rows {
                let index = index_of(key).filter(|index| *index < units);
                let index = index.ok_or_else(|| damaged(key))?;
                take(index, decode(key, value)?);
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn finish(&self, report: &UnitReport) -> Result<Completion, QueueError> {
        let index = report.unit.index;
        let changes = vec![
            change(REPORT, index, Expected::Absent, Some(encode(report)?)),
            change(BEGUN, index, Expected::Anything, None),
        ];
        if self.write(changes).await? == Written::Applied {
            self.state().close(index, report);
            return Ok(Completion::Counted);
        }
        // Whoever wrote the report may have been told that it could not be written, and not count it.
        let _reports = self.reports.lock().await;
        if let Some(first) = self.report(index).await? {
            self.state().close(index, &first);
        }
        Ok(Completion::Duplicate)
    }

    async fn write_attempts(&self, index: u64, attempts: &Attempts) -> Result<(), QueueError> {
        let row = change(BEGUN, index, Expected::Anything, Some(encode(attempts)?));
        self.write(vec![row]).await.map(drop)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<Written, QueueError> {
        self.store.write(changes).await.map_err(failed)
    }

    /// Never held while something is waited for.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: Store> WorkQueue for StoredQueue<S> {
    async fn plan(&self, plan: &WorkPlan) -> Result<WorkPlan, QueueError> {
        let held = self.state().plan.clone();
        if let Some(held) = held {
            return if held.is_work_of(plan) {
                Ok(held)
            } else {
                Err(QueueError::OtherPlan {
                    held: Box::new(held),
                    wanted: Box::new(plan.clone()),
                })
            };
        }
        let row = Change {
            table: Table::Work,
            key: PLAN.to_vec(),
            expected: Expected::Absent,
            value: Some(encode(plan)?),
        };
        if self.write(vec![row]).await? == Written::Applied {
            self.state().plan = Some(plan.clone());
            return Ok(plan.clone());
        }
        // Somebody planned at the same time.
        let value = self.store.get(Table::Work, PLAN).await.map_err(failed)?;
        let held = decode(PLAN, &value.ok_or_else(|| damaged(PLAN))?)?;
        self.state().plan = Some(held);
        self.plan(plan).await
    }

    async fn planned(&self) -> Result<Option<WorkPlan>, QueueError> {
        Ok(self.state().plan.clone())
    }

    async fn claim(&self) -> Result<Claim, QueueError> {
        loop {
            let next = self.state().next()?;
            match next {
                Next::Taken(lease, attempts) => {
                    let index = lease.unit.index;
                    if let Err(error) = self.write_attempts(index, &attempts).await {
                        self.state().undo(&lease);
                        return Err(error);
                    }
                    return Ok(Claim::Unit(lease));
                }
                Next::GiveUp(lease, report) => {
                    if let Err(error) = self.finish(&report).await {
                        self.state().give_back(&lease);
                        return Err(error);
                    }
                }
                Next::Nothing(claim) => return Ok(claim),
            }
        }
    }

    async fn extend(&self, lease: &Lease) -> Result<(), QueueError> {
        let mut state = self.state();
        let until = state.deadline()?;
        if let Some(held) = state.held(lease) {
            held.until = until;
        }
        Ok(())
    }

    async fn complete(&self, lease: &Lease, report: &UnitReport) -> Result<Completion, QueueError> {
        let planned = self.state().plan()?.unit(lease.unit.index);
        if !report.is_of(&lease.unit) || planned != Some(lease.unit) {
            return Err(QueueError::OtherUnit(lease.unit));
        }
        self.finish(report).await
    }

    async fn release(&self, lease: &Lease, reason: &Release) -> Result<(), QueueError> {
        let index = lease.unit.index;
        let attempts = {
            let mut state = self.state();
            if state.held(lease).is_none() {
                return Ok(());
            }
            let attempts = state.attempts.entry(index).or_default();
            match reason {
                Release::Interrupted => attempts.count = attempts.count.saturating_sub(1),
                Release::Failed(reason) => attempts.reason = Some(reason.clone()),
            }
            attempts.clone()
        };
        let written = self.write_attempts(index, &attempts).await;
        self.state().give_back(lease);
        written
    }

    async fn progress(&self) -> Result<QueueProgress, QueueError> {
        let mut state = self.state();
        state.expire();
        Ok(QueueProgress {
            units: state.plan()?.unit_count(),
            done: state.done,
            leased: state.leases.len() as u64,
            blocks: state.blocks,
            gas_used: state.gas_used,
        })
    }

    async fn report(&self, index: u64) -> Result<Option<UnitReport>, QueueError> {
        let key = key(REPORT, index);
        let value = self.store.get(Table::Work, &key).await.map_err(failed)?;
        value.map(|value| decode(&key, &value)).transpose()
    }

    async fn reopen(&self, index: u64) -> Result<(), QueueError> {
        let _reports = self.reports.lock().await;
        if !self.state().is_done(index) {
            return Ok(());
        }
        let key = key(REPORT, index);
        let Some(value) = self.store.get(Table::Work, &key).await.map_err(failed)? else {
            return Ok(());
        };
        let report: UnitReport = decode(&key, &value)?;
        let attempts = encode(&Attempts::default())?;
        let changes = vec![
            change(REPORT, index, Expected::Value(value), None),
            change(BEGUN, index, Expected::Anything, Some(attempts)),
        ];
        if self.write(changes).await? == Written::Applied {
            let mut state = self.state();
            state.free.insert(index);
            state.done = state.done.saturating_sub(1);
            state.blocks = (state.blocks).saturating_sub(report.unit.block_count());
            state.gas_used = state.gas_used.saturating_sub(gas_of(&report));
        }
        Ok(())
    }
}

impl State {
    fn next(&mut self) -> Result<Next, QueueError> {
        self.expire();
        let plan = self.plan()?;
        let most = plan.attempts();
        if self.leases.keys().any(|index| self.is_alone(*index)) {
            return Ok(Next::Nothing(Claim::Wait));
        }
        let is_last = |index: &&u64| {
            let taken = self.attempts.get(index).map_or(0, |it| it.count);
            taken > 0 && taken.saturating_add(1) == most
        };
        let free = self.free.iter().find(|index| !is_last(index)).copied();
        let index = free.unwrap_or(self.cursor);
        let (index, unit) = match (plan.unit(index), self.free.first()) {
            (Some(unit), _) => (index, Some(unit)),
            (None, Some(last)) if self.leases.is_empty() => (*last, plan.unit(*last)),
            (None, _) => (index, None),
        };
        let Some(unit) = unit else {
            return Ok(Next::Nothing(if self.done == plan.unit_count() {
                Claim::Done
            } else {
                Claim::Wait
            }));
        };
        let until = self.deadline()?;
        self.free.remove(&index);
        self.cursor = self.cursor.max(index + 1);
        self.last_token += 1;
        let token = self.last_token;
        self.leases.insert(index, Held { token, until });
        let attempts = self.attempts.entry(index).or_default();
        let is_given_up = attempts.count >= most;
        if !is_given_up {
            attempts.count += 1;
        }
        let lease = Lease {
            unit,
            attempt: attempts.count,
            token: token.to_string(),
        };
        Ok(if is_given_up {
            let report = given_up(unit, attempts.count, attempts.reason.as_deref());
            Next::GiveUp(lease, report)
        } else {
            Next::Taken(lease, attempts.clone())
        })
    }

    /// Whether the unit is held for its last attempt, after others.
    fn is_alone(&self, index: u64) -> bool {
        let most = self.plan.as_ref().map_or(0, WorkPlan::attempts);
        let taken = self.attempts.get(&index).map_or(0, |it| it.count);
        taken > 1 && taken >= most
    }

    fn is_done(&self, index: u64) -> bool {
        index < self.cursor && !self.free.contains(&index) && !self.leases.contains_key(&index)
    }

    /// Counts the report of a unit, once.
    fn close(&mut self, index: u64, report: &UnitReport) {
        if self.is_done(index) {
            return;
        }
        self.free.extend(self.cursor..index);
        self.cursor = self.cursor.max(index + 1);
        self.free.remove(&index);
        self.leases.remove(&index);
        self.attempts.remove(&index);
        self.done += 1;
        self.blocks = self.blocks.saturating_add(report.unit.block_count());
        self.gas_used = self.gas_used.saturating_add(gas_of(report));
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

    /// Nobody has seen `lease`: it is no attempt.
    fn undo(&mut self, lease: &Lease) {
        if self.held(lease).is_some()
            && let Some(attempts) = self.attempts.get_mut(&lease.unit.index)
        {
            attempts.count = attempts.count.saturating_sub(1);
        }
        self.give_back(lease);
    }

    fn give_back(&mut self, lease: &Lease) {
        if self.held(lease).is_some() {
            self.leases.remove(&lease.unit.index);
            self.free.insert(lease.unit.index);
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
        let lease = self.plan()?.lease().min(FOREVER);
        Ok(Instant::now() + lease)
    }
}

const PLAN: &[u8] = b"P";
const BEGUN: u8 = b'B';
const REPORT: u8 = b'R';

fn key(kind: u8, index: u64) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend(index.to_be_bytes());
    key
}

fn index_of(key: &[u8]) -> Option<u64> {
    let (_, index) = key.split_first()?;
    Some(u64::from_be_bytes(index.try_into().ok()?))
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    if key == PLAN {
        return Some("the plan of a backfill".to_owned());
    }
    let index = index_of(key)?;
    match key.first().copied()? {
        BEGUN => Some(format!("who took unit {index} of a backfill")),
        REPORT => Some(format!("the report of unit {index} of a backfill")),
        _ => None,
    }
}

fn change(kind: u8, index: u64, expected: Expected, value: Option<Vec<u8>>) -> Change {
    Change {
        table: Table::Work,
        key: key(kind, index),
        expected,
        value,
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, QueueError> {
    serde_json::to_vec(value).map_err(|error| QueueError::Backend(error.into()))
}

fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, QueueError> {
    serde_json::from_slice(value).map_err(|_| damaged(key))
}

fn damaged(key: &[u8]) -> QueueError {
    failed(StoreError::damaged(Table::Work, key))
}

fn failed(error: StoreError) -> QueueError {
    if error.is_transient() {
        QueueError::Backend(error.into())
    } else {
        QueueError::Damaged(error.into())
    }
}
