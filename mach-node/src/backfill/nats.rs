//! A work queue on NATS JetStream, for the workers of many machines.

mod names;
mod units;

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions, ServerAddr,
    jetstream::{
        self, Context,
        context::PublishErrorKind,
        message::PublishMessage,
        stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream},
    },
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use mach_core::{
    UnitReport, WorkPlan,
    ports::{BoxError, Claim, Completion, Lease, QueueError, QueueProgress, Release, WorkQueue},
};
use tokio::sync::{Mutex, OnceCell};

use self::{names::Names, units::Units};
use super::{gas_of, given_up};

/// How long a server is waited for when a queue is opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Room in a message for headers, in bytes.
const HEADER_BYTES: usize = 1024;

/// Messages that are asked for at a time.
const FETCHED: usize = 32;

/// A [`WorkQueue`] on a NATS server with JetStream (2.9 or later), for the workers of many machines.
///
/// | stream | subjects | |
/// |---|---|---|
/// | `MACH_name_UNITS` | `mach.name.plan`, `mach.name.units` | the plan, then the index of each unit; workers share the durable consumer `workers` |
/// | `MACH_name_REPORTS` | `mach.name.reports.INDEX` | the one report of each unit |
/// | `MACH_name_NOTES` | `mach.name.notes.INDEX.…` | units that were given back, and why |
///
/// The server keeps time: a unit that is not acknowledged within the lease goes to another worker.
/// A report is published only if there is none on its subject, and acknowledged after that, so it
/// is neither lost nor doubled wherever a worker dies. Everybody who may use the server's streams is
/// trusted: give workers an account of their own.
#[derive(Debug)]
pub struct NatsQueue {
    client: Client,
    context: Context,
    names: Names,
    opened: OnceCell<Opened>,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Opened {
    plan: WorkPlan,
    units: Units,
    reports: Stream,
    notes: Stream,
}

/// Sums over the reports up to a place in their stream.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    sequence: u64,
    blocks: u64,
    gas_used: u64,
}

impl NatsQueue {
    /// The queue called `name` on the server at `server` (`nats://[user:password@]host[:port]`, or
    /// `tls://…`). Nothing is made before a plan is put into it.
    ///
    /// A name has 1 to 64 letters, digits, `-` and `_`.
    ///
    /// Errors: [`QueueError::Backend`].
    pub async fn connect(server: &str, name: &str) -> Result<Self, QueueError> {
        let names = Names::new(name).ok_or_else(|| {
            backend("the name of a queue has 1 to 64 letters, digits, `-` and `_`")
        })?;
        let address: ServerAddr = server.parse().map_err(backend)?;
        let client = ConnectOptions::new()
            .name("mach")
            .connection_timeout(CONNECT_TIMEOUT)
            .connect(address)
            .await
            .map_err(backend)?;
        Ok(Self {
            context: jetstream::new(client.clone()),
            client,
            names,
            opened: OnceCell::new(),
            tally: Mutex::default(),
        })
    }

    /// Errors: [`QueueError::NoPlan`].
    async fn opened(&self) -> Result<&Opened, QueueError> {
        self.opened
            .get_or_try_init(async || {
                let units = Units::open(&self.context, &self.names).await?;
                let units = units.ok_or(QueueError::NoPlan)?;
                let plan = units.plan().await?.ok_or(QueueError::NoPlan)?;
                let stream = async |name| self.context.get_stream(name).await.map_err(backend);
                Ok(Opened {
                    units: units.with_consumer(&plan).await?,
                    plan,
                    reports: stream(self.names.reports_stream()).await?,
                    notes: stream(self.names.notes_stream()).await?,
                })
            })
            .await
    }

    /// Publishes the report of a unit, unless there is one.
    async fn publish(&self, report: &UnitReport) -> Result<Completion, QueueError> {
        let payload = serde_json::to_vec(report).map_err(backend)?;
        let most = self.client.max_payload().saturating_sub(HEADER_BYTES);
        if payload.len() > most {
            return Err(QueueError::TooLarge {
                bytes: payload.len(),
                most,
            });
        }
        let message = PublishMessage::build()
            .payload(payload.into())
            .expected_last_subject_sequence(0);
        let subject = self.names.report(report.unit.index);
        let sent = self.context.send_publish(subject, message).await;
        match sent.map_err(backend)?.await {
            Ok(_) => Ok(Completion::Counted),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                Ok(Completion::Duplicate)
            }
            Err(error) => Err(backend(error)),
        }
    }

    /// Which attempt a delivery is; `None` if the unit has its report.
    async fn attempt(
        &self,
        plan: &WorkPlan,
        lease: &Lease,
        delivered: u64,
    ) -> Result<Option<u32>, QueueError> {
        let unit = lease.unit;
        // A server that was killed may have forgotten that the unit is done.
        if self.report(unit.index).await?.is_some() {
            return Ok(None);
        }
        let mut attempt = delivered;
        if delivered > 1 {
            let (interrupted, reason) = self.notes(unit.index).await?;
            attempt = attempt.saturating_sub(interrupted).max(1);
            if attempt > u64::from(plan.attempts()) {
                let report = given_up(unit, plan.attempts(), reason.as_deref());
                self.publish(&report).await?;
                return Ok(None);
            }
        }
        Ok(Some(u32::try_from(attempt).unwrap_or(u32::MAX)))
    }

    async fn answer(&self, token: &str, kind: &'static str) -> Result<(), QueueError> {
        // Only what acknowledges a message may be sent where a token says.
        if !token.starts_with("$JS.ACK.") {
            return Err(backend("the lease is not one of this queue"));
        }
        let sent = self.client.publish(token.to_owned(), kind.into()).await;
        sent.map_err(backend)
    }

    /// How often a unit was given back by a worker that stopped, and why the last one that failed did.
    async fn notes(&self, index: u64) -> Result<(u64, Option<String>), QueueError> {
        let notes = &self.opened().await?.notes;
        let interrupted = self.names.interrupted(index);
        let mut counts = notes
            .info_with_subjects(&interrupted)
            .await
            .map_err(backend)?;
        let mut count = 0u64;
        while let Some(subject) = counts.next().await {
            count = count.saturating_add(subject.map_err(backend)?.1 as u64);
        }
        let reason = last_message(notes, &self.names.failed(index)).await?;
        let reason = reason.map(|(_, reason)| String::from_utf8_lossy(&reason).into_owned());
        Ok((count, reason))
    }

    /// Publishes the units again that have no report though nobody holds them and none waits: what
    /// somebody dropped from the stream, or was about to publish when it died.
    async fn put_missing(&self, opened: &Opened) -> Result<(), QueueError> {
        opened.units.fill(&opened.plan).await?;
        let mut units = stream::iter(0..opened.plan.unit_count())
            .map(|index| async move { (index, self.report(index).await) })
            .buffered(FETCHED);
        while let Some((index, report)) = units.next().await {
            if report?.is_none() {
                opened.units.put(index).await?;
            }
        }
        Ok(())
    }

    /// Adds the reports that have come since.
    async fn tally(&self, last_sequence: u64) -> Result<Tally, QueueError> {
        let reports = &self.opened().await?.reports;
        let mut tally = self.tally.lock().await;
        let mut messages = stream::iter(tally.sequence + 1..=last_sequence)
            .map(|sequence| reports.direct_get(sequence))
            .buffered(FETCHED);
        let mut sum = *tally;
        while let Some(message) = messages.next().await {
            match message {
                Ok(message) => {
                    let report = parse(&message.payload)?;
                    sum.blocks = sum.blocks.saturating_add(report.unit.block_count());
                    sum.gas_used = sum.gas_used.saturating_add(gas_of(&report));
                }
                // It was dropped, to be verified again.
                Err(error) if matches!(error.kind(), DirectGetErrorKind::NotFound) => {}
                Err(error) => return Err(backend(error)),
            }
        }
        sum.sequence = sum.sequence.max(last_sequence);
        *tally = sum;
        Ok(sum)
    }
}

#[async_trait]
impl WorkQueue for NatsQueue {
    async fn plan(&self, plan: &WorkPlan) -> Result<WorkPlan, QueueError> {
        for config in self.names.streams() {
            let made = self.context.get_or_create_stream(config).await;
            made.map_err(backend)?;
        }
        let units = Units::open(&self.context, &self.names).await?;
        let units = units.ok_or(QueueError::NoPlan)?;
        let held = units.put_plan(plan).await?;
        if !held.is_work_of(plan) {
            return Err(QueueError::OtherPlan {
                held: Box::new(held),
                wanted: Box::new(plan.clone()),
            });
        }
        units.fill(&held).await?;
        Ok(held)
    }

    async fn planned(&self) -> Result<Option<WorkPlan>, QueueError> {
        match self.opened().await {
            Ok(opened) => Ok(Some(opened.plan.clone())),
            Err(QueueError::NoPlan) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn claim(&self) -> Result<Claim, QueueError> {
        let opened = self.opened().await?;
        let plan = &opened.plan;
        while let Some(taken) = opened.units.take().await? {
            let Some(unit) = taken.index.and_then(|index| plan.unit(index)) else {
                // Whatever it is, nobody has to look at it again.
                self.answer(&taken.token, "+TERM").await?;
                continue;
            };
            let mut lease = Lease {
                unit,
                attempt: 0,
                token: taken.token,
            };
            match self.attempt(plan, &lease, taken.delivered).await {
                Ok(Some(attempt)) => {
                    lease.attempt = attempt;
                    return Ok(Claim::Unit(lease));
                }
                Ok(None) => self.answer(&lease.token, "+ACK").await?,
                Err(error) => {
                    // Otherwise nobody would have it until the lease runs out.
                    let _ = self.release(&lease, &Release::Interrupted).await;
                    return Err(error);
                }
            }
        }
        let nobody_holds_one = opened.units.is_empty().await?;
        let info = opened.reports.get_info().await.map_err(backend)?;
        if info.state.messages >= plan.unit_count() {
            return Ok(Claim::Done);
        }
        if nobody_holds_one {
            self.put_missing(opened).await?;
        }
        Ok(Claim::Wait)
    }

    async fn extend(&self, lease: &Lease) -> Result<(), QueueError> {
        self.answer(&lease.token, "+WPI").await
    }

    async fn complete(&self, lease: &Lease, report: &UnitReport) -> Result<Completion, QueueError> {
        let plan = &self.opened().await?.plan;
        if !report.is_of(&lease.unit) || plan.unit(lease.unit.index) != Some(lease.unit) {
            return Err(QueueError::OtherUnit(lease.unit));
        }
        let completion = self.publish(report).await?;
        // The report counts. A unit whose acknowledgement is lost is taken once more, and put away
        // then.
        let _ = self.answer(&lease.token, "+ACK").await;
        Ok(completion)
    }

    async fn release(&self, lease: &Lease, reason: &Release) -> Result<(), QueueError> {
        let index = lease.unit.index;
        let (subject, note) = match reason {
            Release::Interrupted => (self.names.interrupted(index), String::new()),
            Release::Failed(reason) => (self.names.failed(index), reason.clone()),
        };
        let end = note.floor_char_boundary(mach_core::MAX_REASON_BYTES);
        let note = note.get(..end).unwrap_or_default().to_owned();
        let sent = self.context.publish(subject, note.into()).await;
        sent.map_err(backend)?.await.map_err(backend)?;
        self.answer(&lease.token, "-NAK").await
    }

    async fn progress(&self) -> Result<QueueProgress, QueueError> {
        let opened = self.opened().await?;
        let info = opened.reports.get_info().await.map_err(backend)?;
        let tally = self.tally(info.state.last_sequence).await?;
        Ok(QueueProgress {
            units: opened.plan.unit_count(),
            done: info.state.messages,
            leased: opened.units.held().await?,
            blocks: tally.blocks,
            gas_used: tally.gas_used,
        })
    }

    async fn report(&self, index: u64) -> Result<Option<UnitReport>, QueueError> {
        let reports = &self.opened().await?.reports;
        let message = last_message(reports, &self.names.report(index)).await?;
        message.map(|(_, message)| parse(&message)).transpose()
    }

    async fn reopen(&self, index: u64) -> Result<(), QueueError> {
        let opened = self.opened().await?;
        let subject = self.names.report(index);
        let Some((sequence, report)) = last_message(&opened.reports, &subject).await? else {
            return Ok(());
        };
        let report = parse(&report)?;
        // The place of a unit that is there twice would be taken for that of one that is missing.
        opened.units.fill(&opened.plan).await?;
        for (stream, subject) in [
            (&opened.notes, self.names.notes(index)),
            (&opened.reports, self.names.report(index)),
        ] {
            stream.purge().filter(subject).await.map_err(backend)?;
        }
        // If this process ends here, `put_missing` finds the unit.
        opened.units.put(index).await?;
        let mut tally = self.tally.lock().await;
        if tally.sequence >= sequence {
            tally.blocks = (tally.blocks).saturating_sub(report.unit.block_count());
            tally.gas_used = tally.gas_used.saturating_sub(gas_of(&report));
        }
        Ok(())
    }
}

/// The newest message on a subject, with its number in the stream.
async fn last_message(
    stream: &Stream,
    subject: &str,
) -> Result<Option<(u64, Vec<u8>)>, QueueError> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some((message.sequence, message.payload.into()))),
        Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(backend(error)),
    }
}

fn parse(bytes: &[u8]) -> Result<UnitReport, QueueError> {
    serde_json::from_slice(bytes).map_err(|error| QueueError::Damaged(Box::new(error)))
}

fn backend(error: impl Into<BoxError>) -> QueueError {
    QueueError::Backend(error.into())
}
