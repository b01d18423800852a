//! A feed from an aggregator.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    time::Duration,
};

use alloy_primitives::{B256, ChainId};
use async_trait::async_trait;
use mach_core::Alert;
use reqwest::{Client, Response, Url, header, redirect::Policy};

use super::{
    AlertFeed, FeedError, FeedEvent, MAX_HELD, MemoryError, StandingAlert,
    memory::{Memory, Remembered},
    sse::{Item, Parser},
};
use crate::finality::{AlertView, EventRecord, FinalityEvent};

/// Largest event: a snapshot with all alerts that stand.
const MAX_EVENT_BYTES: usize = 4 << 20;

/// How long the connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the aggregator may be silent; it shows every 15 seconds that it lives.
const SILENCE: Duration = Duration::from_secs(40);

/// Follows `/v1/events` of an aggregator.
///
/// The aggregator is believed: what it says of certificates is not checked against L1.
#[derive(Debug)]
pub struct EventFeed {
    client: Client,
    url: Url,
    rollup: ChainId,
    connection: Option<Connection>,
    /// Alerts that stand, for the confirmation that comes later.
    standing: BTreeMap<B256, StandingAlert>,
    memory: Option<Memory>,
    /// Alerts that are told before the aggregator is heard.
    untold: VecDeque<StandingAlert>,
}

#[derive(Debug)]
struct Connection {
    response: Response,
    parser: Parser,
    items: VecDeque<Item>,
}

impl EventFeed {
    /// Follows the aggregator at `url`. Nothing is sent yet.
    ///
    /// Errors: there is no HTTP client.
    pub fn new(mut url: Url, rollup: ChainId) -> reqwest::Result<Self> {
        let path = url.path().trim_end_matches('/').to_owned();
        if !path.ends_with("/v1/events") {
            url.set_path(&format!("{path}/v1/events"));
        }
        url.query_pairs_mut()
            .append_pair("rollup", &rollup.to_string());
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self {
            client,
            url,
            rollup,
            connection: None,
            standing: BTreeMap::new(),
            memory: None,
            untold: VecDeque::new(),
        })
    }

    /// Keeps the alerts that stand in this file, and begins with those in it: they are told before the
    /// aggregator is heard, and stand until it says what does.
    ///
    /// Errors: [`MemoryError`].
    pub fn with_memory(mut self, path: PathBuf) -> Result<Self, MemoryError> {
        let memory = Memory::open(path, self.rollup, None)?;
        let kept = memory.kept().iter().map(|it| it.alert.clone());
        self.untold = kept.collect();
        self.standing = (self.untold.iter().cloned())
            .map(|alert| (alert.digest, alert))
            .collect();
        self.memory = Some(memory);
        Ok(self)
    }

    /// Writes down what stands.
    async fn keep(&mut self) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let standing = self.standing.values().map(|alert| Remembered {
            alert: alert.clone(),
            gone_since: None,
        });
        let standing = standing.collect();
        memory.keep(standing).await;
    }

    async fn connect(&self) -> Result<Connection, EventError> {
        let request = self.client.get(self.url.clone());
        let request = request.header(header::ACCEPT, "text/event-stream").send();
        let response = tokio::time::timeout(SILENCE, request)
            .await
            .map_err(|_| EventError::Silent)?
            // URLs hold keys.
            .map_err(|error| EventError::Http(error.without_url()))?;
        if !response.status().is_success() {
            return Err(EventError::Status(response.status().as_u16()));
        }
        Ok(Connection {
            response,
            parser: Parser::new(MAX_EVENT_BYTES),
            items: VecDeque::new(),
        })
    }

    fn read(&mut self, data: &str) -> Result<FeedEvent, EventError> {
        let record: EventRecord = serde_json::from_str(data).map_err(EventError::Malformed)?;
        Ok(match record.event {
            FinalityEvent::Snapshot { rollups } => {
                let of_rollup = rollups.into_iter().find(|it| it.rollup == self.rollup);
                let view = of_rollup.ok_or(EventError::NotServed(self.rollup))?;
                let standing = view.alerts.into_iter().filter(|it| !it.is_resolved);
                let alerts: Vec<_> = standing.map(alert).collect();
                self.standing = alerts.iter().map(|it| (it.digest, it.clone())).collect();
                FeedEvent::Snapshot {
                    alerts,
                    attested: view.heads.finalized_by_stake,
                }
            }
            FinalityEvent::Alerted(view) if view.rollup == self.rollup && !view.is_resolved => {
                let alert = alert(view);
                let is_known = self.standing.contains_key(&alert.digest);
                if is_known || self.standing.len() < MAX_HELD {
                    self.standing.insert(alert.digest, alert.clone());
                }
                FeedEvent::Alerted(Box::new(alert))
            }
            FinalityEvent::Confirmed {
                digest,
                confirmation,
                ..
            } => match self.standing.get_mut(&digest) {
                Some(alert) => {
                    alert.confirmation = Some(confirmation);
                    FeedEvent::Alerted(Box::new(alert.clone()))
                }
                None => FeedEvent::Alive,
            },
            FinalityEvent::Unconfirmed { digest, .. } => match self.standing.get_mut(&digest) {
                Some(alert) => {
                    alert.confirmation = None;
                    FeedEvent::Alerted(Box::new(alert.clone()))
                }
                None => FeedEvent::Alive,
            },
            FinalityEvent::Resolved { rollup, digest, .. } if rollup == self.rollup => {
                self.standing.remove(&digest);
                FeedEvent::Resolved { digest }
            }
            FinalityEvent::Head { rollup, heads } if rollup == self.rollup => {
                FeedEvent::Attested(heads.finalized_by_stake)
            }
            _ => FeedEvent::Alive,
        })
    }

    async fn advance(&mut self) -> Result<FeedEvent, EventError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let item = loop {
            if let Some(item) = connection.items.pop_front() {
                break item;
            }
            let chunk = tokio::time::timeout(SILENCE, connection.response.chunk());
            let chunk = chunk.await.map_err(|_| EventError::Silent)?;
            let chunk = chunk.map_err(|error| EventError::Http(error.without_url()))?;
            let chunk = chunk.ok_or(EventError::Ended)?;
            let items = connection.parser.push(&chunk);
            connection.items.extend(items.map_err(EventError::TooLong)?);
        };
        let event = match item {
            Item::Comment => FeedEvent::Alive,
            Item::Data(data) => self.read(&data)?,
        };
        // Only what was understood to here is read on; else a new one begins with a snapshot.
        self.connection = Some(connection);
        Ok(event)
    }
}

#[async_trait]
impl AlertFeed for EventFeed {
    async fn next(&mut self) -> Result<FeedEvent, FeedError> {
        if let Some(alert) = self.untold.pop_front() {
            return Ok(FeedEvent::Alerted(Box::new(alert)));
        }
        // What was told last is in force already, and did not wait for the disk.
        self.keep().await;
        self.advance()
            .await
            .map_err(|error| FeedError(error.into()))
    }
}

fn alert(view: AlertView) -> StandingAlert {
    StandingAlert {
        digest: view.digest,
        statement: Some(Alert {
            kind: view.kind,
            rollup_chain_id: view.rollup,
            block: view.block,
            rule: view.rule,
            claimed: view.claimed,
            computed: view.computed,
        }),
        confirmation: view.confirmation,
    }
}

#[derive(Debug, thiserror::Error)]
enum EventError {
    #[error("the aggregator is silent")]
    Silent,
    #[error("the aggregator ended its events")]
    Ended,
    #[error("the aggregator answers with HTTP status {0}")]
    Status(u16),
    #[error("the aggregator does not serve rollup {0}")]
    NotServed(ChainId),
    #[error("the aggregator cannot be reached")]
    Http(#[source] reqwest::Error),
    #[error("an event of the aggregator cannot be read")]
    Malformed(#[source] serde_json::Error),
    #[error("an event of the aggregator cannot be read")]
    TooLong(#[source] super::sse::TooLong),
}
