//! What a breaker is made of.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use alloy_primitives::{Address, ChainId};
use mach_contracts_bindings::http_provider;
use mach_core::ports::BoxError;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{
    feed::{AlertFeed, EventFeed, L1Feed, MemoryError},
    policy::{MethodRules, Policy, WhenLost},
};
use crate::{SETTLE_ALERTS, http::HttpLimits};

/// A breaker as a configuration file has it, in its section `[breaker]`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// JSON-RPC of the node over HTTP.
    pub upstream: Url,
    /// JSON-RPC of the node over WebSocket; by default where `upstream` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_ws: Option<Url>,
    /// Where the breaker listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// What is done while an alert stands.
    #[serde(default)]
    pub policy: Policy,
    /// What single methods have instead of the policy.
    #[serde(default, skip_serializing_if = "MethodRules::is_empty")]
    pub methods: MethodRules,
    /// What is done while it is not known whether an alert stands.
    #[serde(default)]
    pub when_lost: WhenLost,
    /// Seconds after which a feed that is silent counts as lost.
    #[serde(default = "default_lost_after")]
    pub lost_after: u64,
    /// URL of an aggregator, whose events are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Url>,
    /// JSON-RPC of L1, where the service manager is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1_rpc: Option<Url>,
    /// Address of the service manager on L1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_manager: Option<Address>,
    /// Milliseconds between two looks at L1.
    #[serde(default = "default_poll_interval")]
    pub poll_interval: u64,
    /// Seconds that the newest block of L1 may be old; an older one says that the node lags. 0 allows
    /// any age.
    #[serde(default = "default_l1_age")]
    pub max_l1_age: u64,
    /// Blocks of L1 without an alert after which it is gone; until then a reorganisation may bring it
    /// back. 0 is for an L1 without reorganisations.
    #[serde(default = "default_settle_alerts")]
    pub settle_alerts: u64,
    /// File where alerts that are in force are kept for the next process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8645)
}

const fn default_lost_after() -> u64 {
    30
}

const fn default_poll_interval() -> u64 {
    2_000
}

const fn default_l1_age() -> u64 {
    600
}

const fn default_settle_alerts() -> u64 {
    SETTLE_ALERTS
}

impl BreakerConfig {
    /// A breaker of `rollup` in front of `upstream`, with the defaults of the file.
    pub fn new(rollup: ChainId, upstream: Url) -> Self {
        Self {
            rollup,
            upstream,
            upstream_ws: None,
            listen: default_listen(),
            policy: Policy::default(),
            methods: MethodRules::new(),
            when_lost: WhenLost::default(),
            lost_after: default_lost_after(),
            events: None,
            l1_rpc: None,
            service_manager: None,
            poll_interval: default_poll_interval(),
            max_l1_age: default_l1_age(),
            settle_alerts: default_settle_alerts(),
            state: None,
        }
    }

    /// Where alerts come from.
    ///
    /// Errors: [`ConfigError::Feed`] if none or more than one is named.
    pub const fn feed(&self) -> Result<FeedChoice<'_>, ConfigError> {
        match (&self.events, &self.l1_rpc, self.service_manager) {
            (Some(url), None, None) => Ok(FeedChoice::Events(url)),
            (None, Some(url), Some(service_manager)) => Ok(FeedChoice::L1 {
                url,
                service_manager,
            }),
            _ => Err(ConfigError::Feed),
        }
    }

    /// The feed that is named, with the alerts in [`Self::state`]. Nothing is sent yet.
    ///
    /// Errors: [`ConfigError`].
    pub fn connect(&self) -> Result<Box<dyn AlertFeed>, ConfigError> {
        match self.feed()? {
            FeedChoice::Events(url) => {
                let mut feed = EventFeed::new(url.clone(), self.rollup)?;
                if let Some(file) = &self.state {
                    feed = feed.with_memory(file.clone())?;
                }
                Ok(Box::new(feed))
            }
            FeedChoice::L1 {
                url,
                service_manager,
            } => {
                let provider = http_provider(url.clone());
                let provider = provider.map_err(|error| ConfigError::L1(error.into()))?;
                let interval = Duration::from_millis(self.poll_interval);
                let feed = L1Feed::new(provider, service_manager, self.rollup, interval);
                let mut feed = feed.with_settle(self.settle_alerts);
                if self.max_l1_age > 0 {
                    feed = feed.with_max_age(Duration::from_secs(self.max_l1_age));
                }
                if let Some(file) = &self.state {
                    feed = feed.with_memory(file.clone())?;
                }
                Ok(Box::new(feed))
            }
        }
    }
}

impl std::fmt::Debug for BreakerConfig {
    /// URLs of nodes hold keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BreakerConfig")
            .field("rollup", &self.rollup)
            .field("upstream", &self.upstream.host_str())
            .field("listen", &self.listen)
            .field("policy", &self.policy)
            .field("when_lost", &self.when_lost)
            .finish_non_exhaustive()
    }
}

/// Where alerts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedChoice<'a> {
    /// An aggregator.
    Events(&'a Url),
    /// The service manager on L1.
    L1 {
        /// JSON-RPC of L1.
        url: &'a Url,
        /// Its address.
        service_manager: Address,
    },
}

/// What is wrong with a configuration.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No feed, or more than one.
    #[error("name either `events`, or `l1_rpc` and `service_manager`")]
    Feed,
    /// The scheme is another one.
    #[error("{field} is no {expected} URL")]
    Url {
        /// Name of the field.
        field: &'static str,
        /// What it has to begin with.
        expected: &'static str,
    },
    /// The URL of L1 cannot be used.
    #[error("`l1_rpc` cannot be used")]
    L1(#[source] BoxError),
    /// What an earlier process has kept is not known.
    #[error("`state` cannot be used")]
    State(#[from] MemoryError),
    /// There is no HTTP client.
    #[error("there is no HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Bounds of what passes a breaker. In memory are at most `max_in_flight` requests with their answers,
/// and for each socket one message in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Largest request or message of a client, in bytes.
    pub max_request_bytes: usize,
    /// Largest answer or message of the node, in bytes.
    pub max_response_bytes: usize,
    /// Most calls of a batch that is looked at.
    pub max_batch: usize,
    /// Most requests that wait for the node at a time.
    pub max_in_flight: usize,
    /// Most sockets at a time.
    pub max_sockets: usize,
    /// How long a connection to the node is waited for.
    pub connect_timeout: Duration,
    /// How long an answer of the node is waited for.
    pub request_timeout: Duration,
    /// How long a client may take for its request, or to take a message.
    pub client_timeout: Duration,
}

impl BreakerLimits {
    /// Limits of a server with [`Breaker::router`](super::Breaker::router) that let through what these
    /// do. How often a client asks is left to the node.
    pub fn http(&self) -> HttpLimits {
        HttpLimits {
            connections: self.max_sockets.saturating_add(self.max_in_flight),
            connections_per_address: self.max_sockets.saturating_add(self.max_in_flight),
            body: self.max_request_bytes,
            // The breaker's own time-outs come first, and say what was late.
            request_timeout: (self.client_timeout + self.connect_timeout + self.request_timeout)
                .saturating_mul(2),
            rate: None,
            ..HttpLimits::default()
        }
    }
}

impl Default for BreakerLimits {
    /// Requests of 5 MiB, as geth has it, and answers of 64 MiB; 1,000 calls a batch; 512 requests and
    /// 1,024 sockets at a time; 5, 30 and 10 seconds.
    fn default() -> Self {
        Self {
            max_request_bytes: 5 << 20,
            max_response_bytes: 64 << 20,
            max_batch: 1_000,
            max_in_flight: 512,
            max_sockets: 1_024,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            client_timeout: Duration::from_secs(10),
        }
    }
}
