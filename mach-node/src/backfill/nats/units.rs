//! The stream of units, and the consumer that workers share.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, PullConsumer, pull},
    context::{GetStreamErrorKind, PublishErrorKind},
    message::PublishMessage,
    stream::Stream,
};
use futures::{StreamExt, future};
use mach_core::{WorkPlan, ports::QueueError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{backend, last_message, names::Names};

/// Version of the plan's message and of what the streams hold.
const VERSION: u64 = 1;

/// Name of the durable consumer.
const CONSUMER: &str = "workers";

/// Most units that workers hold at a time, all together.
const MAX_HELD: i64 = 100_000;

/// How long an answer to the question for a unit is waited for.
const TAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Units that are published before their acknowledgements are waited for.
const PUBLISHED: u64 = 512;

/// The server's number for a stream that it does not have.
const NOT_FOUND: usize = 404;

/// The first message of the stream.
#[derive(Debug, Serialize, Deserialize)]
struct PlanMessage {
    version: u64,
    /// Read after the version.
    plan: serde_json::Value,
}

/// The stream of units: the plan, then the index of each unit in order. The unit with index `i` is
/// the message with sequence `i + 2`, so that what is missing after a crash is known from the
/// stream's length.
#[derive(Debug)]
pub(super) struct Units {
    context: Context,
    stream: Stream,
    plan: String,
    units: String,
    consumer: Option<PullConsumer>,
}

/// A message that was taken.
pub(super) struct Taken {
    /// Index of the unit; `None` if the message is something else.
    pub(super) index: Option<u64>,
    /// How often it was delivered, this time included.
    pub(super) delivered: u64,
    /// Where its acknowledgement goes.
    pub(super) token: String,
}

impl Units {
    /// The stream; `None` if there is none.
    pub(super) async fn open(context: &Context, names: &Names) -> Result<Option<Self>, QueueError> {
        let stream = match context.get_stream(names.units_stream()).await {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    GetStreamErrorKind::JetStream(error) if error.code() == NOT_FOUND => Ok(None),
                    _ => Err(backend(error)),
                };
            }
        };
        Ok(Some(Self {
            context: context.clone(),
            stream,
            plan: names.plan(),
            units: names.units(),
            consumer: None,
        }))
    }

    /// The plan in force, if there is one.
    pub(super) async fn plan(&self) -> Result<Option<WorkPlan>, QueueError> {
        let Some((_, bytes)) = last_message(&self.stream, &self.plan).await? else {
            return Ok(None);
        };
        let damaged = |error| QueueError::Damaged(Box::new(error));
        let message: PlanMessage = serde_json::from_slice(&bytes).map_err(damaged)?;
        if message.version != VERSION {
            return Err(QueueError::Version {
                found: message.version,
                known: VERSION,
            });
        }
        serde_json::from_value(message.plan)
            .map(Some)
            .map_err(damaged)
    }

    /// Publishes the plan unless there is one, and answers the one that is there then.
    pub(super) async fn put_plan(&self, plan: &WorkPlan) -> Result<WorkPlan, QueueError> {
        let message = PlanMessage {
            version: VERSION,
            plan: serde_json::to_value(plan).map_err(backend)?,
        };
        let payload = serde_json::to_vec(&message).map_err(backend)?;
        let message = PublishMessage::build()
            .payload(payload.into())
            .expected_last_subject_sequence(0);
        let sent = self.context.send_publish(self.plan.clone(), message).await;
        match sent.map_err(backend)?.await {
            Ok(_) => {}
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
            Err(error) => return Err(backend(error)),
        }
        self.plan().await?.ok_or(QueueError::NoPlan)
    }

    /// Publishes the units that are missing at the end.
    pub(super) async fn fill(&self, plan: &WorkPlan) -> Result<(), QueueError> {
        loop {
            let info = self.stream.get_info().await.map_err(backend)?;
            let sequence = info.state.last_sequence.max(1);
            let next = sequence - 1;
            if next >= plan.unit_count() {
                return Ok(());
            }
            let end = next.saturating_add(PUBLISHED).min(plan.unit_count());
            let mut sent = Vec::new();
            for index in next..end {
                // Others may publish the same units: of each one message is taken.
                let message = PublishMessage::build()
                    .payload(index.to_string().into())
                    .expected_last_sequence(index + 1);
                let publish = self.context.send_publish(self.units.clone(), message);
                sent.push(publish.await.map_err(backend)?.into_future());
            }
            for acknowledged in future::join_all(sent).await {
                match acknowledged {
                    Ok(_) => {}
                    Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
                    Err(error) => return Err(backend(error)),
                }
            }
        }
    }

    /// Publishes a unit once more.
    pub(super) async fn put(&self, index: u64) -> Result<(), QueueError> {
        let publish = (self.context).publish(self.units.clone(), index.to_string().into());
        publish.await.map_err(backend)?.await.map_err(backend)?;
        Ok(())
    }

    /// The same with the consumer that workers share, which is made if it is not there.
    pub(super) async fn with_consumer(mut self, plan: &WorkPlan) -> Result<Self, QueueError> {
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            filter_subject: self.units.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: plan.lease(),
            // Attempts are counted by whoever takes a unit, so that none is dropped without a report.
            max_deliver: -1,
            max_ack_pending: MAX_HELD,
            ..pull::Config::default()
        };
        let made = self.stream.get_or_create_consumer(CONSUMER, config).await;
        self.consumer = Some(made.map_err(backend)?);
        Ok(self)
    }

    /// Takes a unit; `None` if there is none at present.
    pub(super) async fn take(&self) -> Result<Option<Taken>, QueueError> {
        let mut batch = self
            .consumer()?
            .fetch()
            .max_messages(1)
            .messages()
            .await
            .map_err(backend)?;
        // The server says so if there is none, but for an answer that is lost nobody waits for ever:
        // a unit that was in it comes again after its lease.
        let Ok(Some(message)) = timeout(TAKE_TIMEOUT, batch.next()).await else {
            return Ok(None);
        };
        let message = message.map_err(backend)?;
        let delivered = message.info().map_err(backend)?.delivered;
        let text = core::str::from_utf8(&message.payload).ok();
        Ok(Some(Taken {
            index: text.and_then(|text| text.parse().ok()),
            delivered: u64::try_from(delivered).unwrap_or_default(),
            token: message
                .reply
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }))
    }

    /// Number of units that workers hold.
    pub(super) async fn held(&self) -> Result<u64, QueueError> {
        let info = self.consumer()?.get_info().await.map_err(backend)?;
        Ok(info.num_ack_pending as u64)
    }

    /// Whether no unit is held and none waits to be taken.
    pub(super) async fn is_empty(&self) -> Result<bool, QueueError> {
        let info = self.consumer()?.get_info().await.map_err(backend)?;
        Ok(info.num_ack_pending == 0 && info.num_pending == 0)
    }

    fn consumer(&self) -> Result<&PullConsumer, QueueError> {
        self.consumer.as_ref().ok_or(QueueError::NoPlan)
    }
}
