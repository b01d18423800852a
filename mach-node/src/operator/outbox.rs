//! What an operator has to say, kept until it is heard.

mod queue;
mod reach;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{B256, BlockNumber, ChainId};
use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use mach_core::{
    Alert, Attestation, Domain, Statement,
    ports::{AlertSink, ConfirmError, L1Standing, Progress, SinkError, StatementReader},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{Operator, Unsent};
use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};
use queue::{Entry, Queue};
use reach::Reach;

/// Most statements that are being sent at a time, and most alerts beside them.
const MAX_SENDING: usize = 64;
/// How long a statement that several aggregators are to have holds up others while one of them does not answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Rows that are read at a time.
const PAGE: usize = 1024;
/// How long L1 has to say what it has of an alert.
const L1_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxConfig {
    /// How long an attestation is sent to aggregators that have it without a certificate, or that are away
    /// while another one has it; and an alert to those that are away while L1 has it, or where L1 is not asked
    /// while another has its certificate. After a restart it begins anew.
    pub resend_for: Duration,
    /// Most statements that wait. At the limit the oldest attestation is given up: a later one of
    /// its rollup covers it. An alert is given up only if there is none, and some aggregator has it.
    pub limit: usize,
}

impl Default for OutboxConfig {
    /// One hour, which is as long as a round lives, and 65,536 statements.
    fn default() -> Self {
        Self {
            resend_for: Duration::from_secs(3600),
            limit: 65_536,
        }
    }
}

/// Statements on their way to the aggregators of an [`Operator`]. Clones share them.
///
/// A statement is durable before the verifier goes on, and it is sent until every aggregator has a
/// certificate of it, through restarts: an aggregator that is away for a day misses
/// nothing. One that has the signature and waits for others is reminded every half minute, and ever more
/// seldom, down to every 15 minutes: an alert for as long as it takes, whoever signs it when; an
/// attestation until a later one of its rollup has a certificate, which covers it, or
/// [`OutboxConfig::resend_for`] is over. What an aggregator refuses is settled with it, but for an alert, of
/// which it is reminded too. That there is a certificate of an alert is no aggregator's to say where L1 is
/// asked: while the alert stands there nobody is reminded of it, nor of one
/// that the owner of the contract has removed; after a quarter of an hour of that it is settled. It is the
/// [`Operator`] that asks its guard and signs, so that the same statement always comes with the same signature. Alerts go before attestations, older ones
/// before newer ones, and reminders last, at most 50 in a second. An aggregator that lets wait holds up no
/// other, and no alert waits behind attestations that are stuck.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct Outbox<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    operator: Operator,
    /// Where it is asked whether an alert that waits for others to sign stands already.
    l1: Option<Arc<dyn StatementReader>>,
    domain: Domain,
    config: OutboxConfig,
    /// Of each aggregator, by its position.
    reaches: Vec<Reach>,
    queue: Mutex<Queue>,
    /// The newest attestation of each rollup that has a certificate.
    covered: Mutex<BTreeMap<ChainId, BlockNumber>>,
    queued: Notify,
    /// A row was removed.
    left: Notify,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
    withdrawn: AtomicU64,
}

/// How an [`Outbox`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Statements that are not settled with every aggregator.
    pub waiting: usize,
    /// Those among them that some aggregator has, without a certificate yet.
    pub held: usize,
    /// Statements since the process began.
    pub received: u64,
    /// Those that an aggregator has taken.
    pub accepted: u64,
    /// Those that are refused for good.
    pub refused: u64,
    /// Statements that were given up: at the limit, or because they can no longer matter.
    pub given_up: u64,
    /// Alerts that the owner of the contract has removed on L1, and that are not sent any more.
    pub withdrawn: u64,
}

/// A row.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    statement: Statement,
    /// Seconds since 1970. It says in which order statements are sent after a restart, and nothing else: clocks
    /// jump.
    queued_at: u64,
}

impl<S: Store> Outbox<S> {
    /// The outbox of `operator` in `store`, with what an earlier process left there. Without `l1` it is the
    /// aggregators alone that say when an alert is not needed any more.
    ///
    /// Errors: [`StoreError`].
    pub async fn open(
        store: S,
        operator: Operator,
        l1: Option<Arc<dyn StatementReader>>,
        config: OutboxConfig,
    ) -> Result<Self, StoreError> {
        let domain = operator.domain();
        let mut left = Vec::new();
        let (prefix, mut after) = (domain_key(&domain), None::<Vec<u8>>);
        loop {
            let rows = (store.scan(Table::Outbox, &prefix, after.as_deref(), PAGE)).await?;
            for (key, value) in &rows {
                let stored: Stored = serde_json::from_slice(value)
                    .map_err(|_| StoreError::damaged(Table::Outbox, key))?;
                left.push(stored);
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => break,
            }
        }
        left.sort_by_key(|stored| (stored.queued_at, stored.statement.block().number));
        let mut queue = Queue::new();
        for stored in left {
            let digest = stored.statement.digest(&domain);
            queue.push(digest, Entry::new(stored.statement));
        }
        if !queue.is_empty() {
            info!(
                statements = queue.len(),
                "statements of an earlier run are sent"
            );
        }
        let reaches = (0..operator.aggregators()).map(|_| Reach::new());
        Ok(Self(Arc::new(Inner {
            reaches: reaches.collect(),
            store,
            operator,
            l1,
            domain,
            config,
            queue: Mutex::new(queue),
            covered: Mutex::default(),
            queued: Notify::new(),
            left: Notify::new(),
            counts: Counts::default(),
        })))
    }

    /// Where the verifier of one rollup puts its outcomes. Every how many blocks a valid one is
    /// attested; `None` attests nothing.
    pub fn sink(&self, attest_every: Option<NonZeroU64>) -> OutboxSink<S> {
        OutboxSink {
            outbox: Self(Arc::clone(&self.0)),
            attest_every,
        }
    }

    /// How it is.
    pub fn status(&self) -> OutboxStatus {
        let Counts {
            received,
            accepted,
            refused,
            given_up,
            withdrawn,
        } = &self.0.counts;
        let queue = self.0.queue();
        OutboxStatus {
            waiting: queue.len(),
            held: queue.held(),
            received: received.load(Relaxed),
            accepted: accepted.load(Relaxed),
            refused: refused.load(Relaxed),
            given_up: given_up.load(Relaxed),
            withdrawn: withdrawn.load(Relaxed),
        }
    }

    /// Sends what waits, until `shutdown`. What is being sent then is left, and sent by the next
    /// process.
    pub async fn run(&self, shutdown: CancellationToken) {
        let (slots, reserve) = (Semaphore::new(MAX_SENDING), Semaphore::new(MAX_SENDING));
        let mut sending = FuturesUnordered::new();
        loop {
            while let Some((slot, digest, entry)) = self.0.next(&slots, &reserve) {
                sending.push(self.0.send(digest, entry, slot));
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = sending.next() => {}
                () = self.0.queued.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

impl<S: Store> Inner<S> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the statement durable.
    async fn put(&self, statement: Statement) -> Result<(), SinkError> {
        let digest = statement.digest(&self.domain);
        if self.waits(&digest).await {
            return Ok(());
        }
        let mut changes = Vec::new();
        let mut given_up = None;
        if self.queue().len() >= self.config.limit {
            let Some((oldest, entry)) = self.queue().give_up() else {
                return Err(backend("too many alerts wait for an aggregator".into()));
            };
            changes.push(self.removal(&oldest));
            given_up = Some((Leaving(self, oldest), entry));
        }
        let stored = Stored {
            statement,
            queued_at: now(),
        };
        let value = serde_json::to_vec(&stored).map_err(|error| backend(error.into()))?;
        changes.push(Change {
            table: Table::Outbox,
            key: self.key(&digest),
            expected: Expected::Anything,
            value: Some(value),
        });
        let written = match self.store.write(changes).await {
            Ok(Written::Applied) => Ok(()),
            Ok(Written::Conflict { .. }) => Err(backend("the store has changed".into())),
            Err(error) => Err(backend(error.into())),
        };
        if let Some((leaving, entry)) = given_up {
            if written.is_err() {
                // What cannot take its place does not cost it.
                self.queue().stay(leaving.1, entry);
            } else {
                self.counts.given_up.fetch_add(1, Relaxed);
                let (digest, is_alert) = (leaving.1, !entry.is_attestation());
                warn!(%digest, is_alert, "statement given up, too many wait");
            }
        }
        written?;
        let entry = Entry::new(stored.statement);
        if self.queue().push(digest, entry) {
            self.counts.received.fetch_add(1, Relaxed);
        }
        self.queued.notify_one();
        Ok(())
    }

    /// What is to be sent now, and its slot. The reserve is for alerts.
    fn next<'s>(
        &self,
        slots: &'s Semaphore,
        reserve: &'s Semaphore,
    ) -> Option<(SemaphorePermit<'s>, B256, Entry)> {
        let (slot, (digest, entry)) = match slots.try_acquire() {
            Ok(slot) => (slot, self.queue().take_due()?),
            Err(_) => (reserve.try_acquire().ok()?, self.queue().take_due_alert()?),
        };
        Some((slot, digest, entry))
    }

    /// Offers the statement once to every aggregator that is to have it now. Answers that take long are taken
    /// when the slot is somebody else's.
    async fn send(&self, digest: B256, mut entry: Entry, slot: SemaphorePermit<'_>) {
        let count = self.operator.aggregators();
        if let Some(reason) = self.is_pointless(&entry) {
            return self.give_up(&digest, &entry, reason).await;
        }
        if let Some(standing) = self.on_l1(&digest, &mut entry).await {
            // One look may be at a branch that does not stay.
            if !entry.is_settled_on_l1() {
                return self.queue().put_back(digest, entry, count);
            }
            if standing == L1Standing::Withdrawn {
                return self.withdraw(&digest, &entry).await;
            }
            info!(%digest, "the alert stands on L1, nobody is reminded of it");
            self.certified(&mut entry);
            let have_it = std::mem::take(&mut entry.at_leisure);
            entry.settled.extend(have_it);
            if entry.settled.len() >= count {
                return self.settle(&digest, &entry).await;
            }
        }
        let (statement, signed) = (entry.statement.clone(), Arc::clone(&entry.signed));
        let mut asked = BTreeSet::new();
        let mut offers = FuturesUnordered::new();
        for index in entry.waiting(count) {
            let Some(place) = self.reaches.get(index).and_then(|it| it.place(&entry)) else {
                continue;
            };
            asked.insert(index);
            let (statement, signed) = (&statement, &signed);
            offers.push(async move {
                let _place = place;
                (index, self.operator.offer(statement, signed, index).await)
            });
        }
        let mut failure = None;
        let mut patience = pin!(tokio::time::sleep(PATIENCE));
        loop {
            let answer = tokio::select! {
                answer = offers.next() => answer,
                // Where there is no other aggregator nothing is gained.
                () = &mut patience, if count > 1 => break,
            };
            let Some((index, outcome)) = answer else {
                break;
            };
            asked.remove(&index);
            self.answers(index);
            if let Some(error) = self.answered(&digest, &mut entry, index, outcome) {
                failure = Some(error);
            }
        }
        for index in &asked {
            if self.reaches.get(*index).is_some_and(Reach::note_late) {
                warn!(
                    aggregator = index,
                    "an aggregator lets wait, others do not wait for it"
                );
            }
        }
        entry.asked.extend(asked);
        self.conclude(digest, entry, failure).await;
        drop(slot);
        self.queued.notify_one();
        while let Some((index, outcome)) = offers.next().await {
            self.answered_late(digest, index, outcome).await;
        }
    }

    fn answers(&self, index: usize) {
        if self.reaches.get(index).is_some_and(Reach::note_there) {
            info!(aggregator = index, "the aggregator answers again");
        }
    }

    /// Takes an answer that came when its statement was waiting again, or being sent to others.
    async fn answered_late(&self, digest: B256, index: usize, outcome: Result<Progress, Unsent>) {
        if !outcome.as_ref().is_err_and(Unsent::is_transient) {
            self.answers(index);
        }
        let mut entry = loop {
            if let Some(entry) = self.queue().take(&digest) {
                break entry;
            }
            if !self.queue().contains(&digest) {
                return;
            }
            tokio::time::sleep(TICK).await;
        };
        // Unless it was settled, and said once more since.
        let failure = match entry.asked.remove(&index) {
            true => self.answered(&digest, &mut entry, index, outcome),
            false => None,
        };
        self.conclude(digest, entry, failure).await;
    }

    /// Settles a statement, gives it up, or has it wait until it is sent again.
    async fn conclude(&self, digest: B256, entry: Entry, failure: Option<SinkError>) {
        let count = self.operator.aggregators();
        if entry.settled.len() >= count {
            return self.settle(&digest, &entry).await;
        }
        if let Some(reason) = self.is_pointless(&entry) {
            return self.give_up(&digest, &entry, reason).await;
        }
        if let (Some(error), true) = (failure, entry.is_first_failure()) {
            warn!(
                %digest, block = %entry.statement.block(),
                error = &error as &dyn std::error::Error,
                "an aggregator did not take the signature, it is sent again"
            );
        }
        self.queue().put_back(digest, entry, count);
    }

    /// Takes the answer of an aggregator. Gives the error, if it is to be asked again.
    fn answered(
        &self,
        digest: &B256,
        entry: &mut Entry,
        index: usize,
        outcome: Result<Progress, Unsent>,
    ) -> Option<SinkError> {
        entry.at_leisure.remove(&index);
        match outcome {
            Ok(progress) => {
                debug!(%digest, ?progress, "signature taken");
                if !std::mem::replace(&mut entry.is_accepted, true) {
                    self.counts.accepted.fetch_add(1, Relaxed);
                }
                match progress {
                    // That it was removed on L1 an aggregator takes back if L1 does, and needs the
                    // signature then.
                    Progress::Collecting { .. } | Progress::Withdrawn => {
                        entry.at_leisure.insert(index);
                    }
                    Progress::Reached { .. } | Progress::Confirmed(_) => {
                        self.certified_by(entry, index);
                    }
                }
            }
            Err(Unsent::TooLate(error)) => {
                info!(%digest, %error, "the aggregator needs the signature no more");
                self.certified_by(entry, index);
            }
            // An alert's may be renewed when the aggregator sees L1 again.
            Err(Unsent::Old(error)) if !entry.is_attestation() => {
                entry.at_leisure.insert(index);
                return Some(SinkError::Refused(error.into()));
            }
            Err(Unsent::NotYet(error)) if !entry.is_attestation() => {
                entry.at_leisure.insert(index);
                return Some(SinkError::Refused(error));
            }
            Err(Unsent::NotYet(error)) => {
                let error = &*error as &dyn std::error::Error;
                warn!(%digest, error, "refused");
                entry.settled.insert(index);
            }
            Err(Unsent::Old(error)) => {
                info!(%digest, %error, "the round is too long ago to be joined, nothing is signed");
                entry.settled.insert(index);
                entry.is_certified = true;
            }
            Err(Unsent::Failed(error)) if error.is_transient() => {
                debug!(%digest, error = &error as &dyn std::error::Error, "to be sent again");
                return Some(error);
            }
            Err(Unsent::Failed(error)) => {
                warn!(%digest, error = &error as &dyn std::error::Error, "refused");
                entry.settled.insert(index);
            }
        }
        None
    }

    /// Why nobody has to be reminded of an alert now: it stands on L1, or was removed there. Nothing of all
    /// else, and where L1 does not say.
    async fn on_l1(&self, digest: &B256, entry: &mut Entry) -> Option<L1Standing> {
        let l1 = self.l1.as_ref().filter(|_| entry.is_alert_to_remind())?;
        let asked = tokio::time::timeout(L1_TIMEOUT, l1.standing(&entry.statement)).await;
        let asked = asked.unwrap_or_else(|silent| Err(ConfirmError::Backend(silent.into())));
        match asked {
            Ok(standing) => entry.hear(standing),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                debug!(%digest, error, "it is not known whether the alert stands on L1");
                None
            }
        }
    }

    async fn withdraw(&self, digest: &B256, entry: &Entry) {
        self.counts.withdrawn.fetch_add(1, Relaxed);
        let block = entry.statement.block();
        warn!(%digest, %block, "the owner of the contract has removed the alert, it is not sent any more");
        self.remove(digest).await;
    }

    /// Takes that an aggregator says that there is a certificate. Of an alert that is its word alone: where L1
    /// is asked, the aggregator is reminded until L1 has the alert.
    fn certified_by(&self, entry: &mut Entry, index: usize) {
        self.certified(entry);
        match entry.is_attestation() || self.l1.is_none() {
            true => entry.settled.insert(index),
            false => entry.at_leisure.insert(index),
        };
    }

    /// Takes that there is a certificate, which covers earlier blocks of its rollup if it is one of an
    /// attestation.
    fn certified(&self, entry: &mut Entry) {
        entry.is_certified = true;
        if entry.is_attestation() {
            let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
            let (rollup, block) = (entry.statement.rollup_chain_id(), entry.statement.block());
            let newest = covered.entry(rollup).or_default();
            *newest = block.number.max(*newest);
        }
    }

    /// Why there is no point in sending a statement once more.
    fn is_pointless(&self, entry: &Entry) -> Option<&'static str> {
        let is_late = self.is_late(entry);
        if !entry.is_attestation() {
            let is_needed = match self.l1 {
                Some(_) => !entry.is_settled_on_l1(),
                None => !entry.is_certified,
            };
            return (is_late && !is_needed).then_some("others have it");
        }
        let covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = covered.get(&entry.statement.rollup_chain_id());
        if newest.is_some_and(|newest| entry.statement.block().number < *newest)
            && entry.is_accepted
        {
            return Some("a later attestation covers it");
        }
        (entry.is_accepted && is_late).then_some("its time is over")
    }

    /// Whether a statement was sent for as long as the configuration says.
    fn is_late(&self, entry: &Entry) -> bool {
        entry.queued.elapsed() >= self.config.resend_for
    }

    async fn give_up(&self, digest: &B256, entry: &Entry, reason: &str) {
        if !entry.is_certified {
            self.counts.given_up.fetch_add(1, Relaxed);
        }
        info!(%digest, block = %entry.statement.block(), reason, "not sent any more");
        self.remove(digest).await;
    }

    async fn settle(&self, digest: &B256, entry: &Entry) {
        let block = entry.statement.block();
        if entry.is_accepted || entry.is_certified {
            info!(%digest, %block, "signature settled");
        } else {
            self.counts.refused.fetch_add(1, Relaxed);
            error!(%digest, %block, "no aggregator takes the statement");
        }
        self.remove(digest).await;
    }

    /// Has nothing more to say. Who says the same meanwhile is heard when the row is gone: another one that was
    /// written before would go with it.
    async fn remove(&self, digest: &B256) {
        self.queue().leave(digest);
        let _leaving = Leaving(self, *digest);
        if let Err(error) = self.store.write(vec![self.removal(digest)]).await {
            warn!(%digest, error = &error as &dyn std::error::Error, "stays in the outbox");
        }
    }

    /// Whether the statement is on its way already. What is leaving is waited for.
    async fn waits(&self, digest: &B256) -> bool {
        loop {
            let left = self.left.notified();
            {
                let queue = self.queue();
                if !queue.is_leaving(digest) {
                    return queue.contains(digest);
                }
            }
            left.await;
        }
    }

    fn removal(&self, digest: &B256) -> Change {
        Change {
            table: Table::Outbox,
            key: self.key(digest),
            expected: Expected::Anything,
            value: None,
        }
    }

    fn key(&self, digest: &B256) -> Vec<u8> {
        [domain_key(&self.domain).as_slice(), digest.as_slice()].concat()
    }
}

/// A statement whose row is being removed. It is gone with this, whether the store has made it so or not: what
/// is left is sent once more by the next process, which changes nothing.
struct Leaving<'o, S: Store>(&'o Inner<S>, B256);

impl<S: Store> Drop for Leaving<'_, S> {
    fn drop(&mut self) {
        self.0.queue().gone(&self.1);
        self.0.left.notify_waiters();
    }
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let digest: [u8; 32] = key.get(28..)?.try_into().ok()?;
    Some(format!("statement {} on its way", B256::from(digest)))
}

/// One rollup's way into an [`Outbox`].
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct OutboxSink<S> {
    outbox: Outbox<S>,
    attest_every: Option<NonZeroU64>,
}

#[async_trait]
impl<S: Store> AlertSink for OutboxSink<S> {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        self.outbox.0.put(Statement::from(alert.clone())).await
    }

    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        match self.attest_every {
            Some(every) if attestation.block.number.is_multiple_of(every.get()) => {
                let statement = Statement::from(attestation.clone());
                self.outbox.0.put(statement).await
            }
            _ => Ok(()),
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn backend(error: mach_core::ports::BoxError) -> SinkError {
    SinkError::Backend(error)
}
