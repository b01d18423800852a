//! A circuit breaker in front of a node: serves while the chain is clean, and less while an alert
//! stands.
//!
//! [`Breaker`] is a reverse proxy for JSON-RPC over HTTP and WebSocket. While no alert stands it hands
//! requests on as they are. While one stands, each call is judged alone, also within a batch, by the
//! [`Policy`] and by what single methods have instead of it. A refusal is a JSON-RPC error with
//! [`ALERT_STANDS`] that names the alert: `data` has `statement`, `block`, `digest` and
//! `confirmation`. What an [`AlertFeed`] resolves is served again with the next call.
//!
//! A feed that is silent for too long is no sign of a clean chain: [`WhenLost`] says what is done
//! then; refusals have [`FEED_LOST`].
//!
//! `/health` says whether the breaker knows if an alert stands (200 or 503), `/breaker/status` all that
//! it knows. Other paths of the node are not reachable through it.

mod config;
mod feed;
mod gate;
mod http;
mod jsonrpc;
mod methods;
mod pin;
mod policy;
mod proxy;
mod socket;
mod upstream;

use std::{sync::Arc, time::Duration};

use alloy_primitives::ChainId;
use axum::Router;
use mach_core::ports::BoxError;
use reqwest::Url;
use tokio::task::JoinSet;

pub use config::{BreakerConfig, BreakerLimits, ConfigError, FeedChoice};
pub use feed::{
    AlertFeed, EventFeed, FeedError, FeedEvent, L1Feed, LocalFeed, LocalFeedSender, MemoryError,
    StandingAlert,
};
pub use gate::{Gate, GateState, GateStatus, TripRules};
pub use policy::{MethodRule, MethodRules, Policy, UnknownName, WhenLost};
pub use proxy::{ALERT_STANDS, FEED_LOST};

use self::{http::Shared, proxy::Proxy, socket::Sockets, upstream::Upstream};

/// A circuit breaker in front of one node. It follows its feed until it is dropped; so does what
/// [`Self::router`] gives, with what was known last.
#[derive(Debug)]
pub struct Breaker {
    shared: Shared,
    tasks: JoinSet<()>,
}

impl Breaker {
    /// A breaker that learns of alerts from `feed`. Has to be called within a tokio runtime.
    ///
    /// Errors: [`ConfigError`].
    pub fn new(
        config: &BreakerConfig,
        limits: BreakerLimits,
        feed: impl AlertFeed + 'static,
    ) -> Result<Self, ConfigError> {
        let url = http_url(&config.upstream, "upstream", "an http")?;
        let ws_url = config.upstream_ws.as_ref().unwrap_or(&config.upstream);
        let ws_url = http_url(ws_url, "upstream_ws", "a ws")?;
        let gate = Gate::new(TripRules {
            rollup: config.rollup,
            policy: config.policy,
            when_lost: config.when_lost,
            lost_after: Duration::from_secs(config.lost_after),
        });
        let proxy = Proxy {
            gate: gate.clone(),
            methods: config.methods.clone(),
            upstream: Upstream::new(url, ws_url, limits)?,
            limits,
        };
        let mut tasks = JoinSet::new();
        let following = gate.clone();
        tasks.spawn(async move { following.follow(feed).await });
        tasks.spawn(async move { gate.watch_silence().await });
        let shared = Shared {
            proxy: Arc::new(proxy),
            sockets: Sockets::new(limits.max_sockets),
        };
        Ok(Self { shared, tasks })
    }

    /// Whether the node is on the rollup's chain.
    ///
    /// Errors: [`NodeError`]. It may be of the moment.
    pub async fn check_node(&self) -> Result<(), NodeError> {
        let expected = self.gate().rules().rollup;
        match self.shared.proxy.upstream.chain_id().await {
            Ok(Some(actual)) if actual == expected => Ok(()),
            Ok(Some(actual)) => Err(NodeError::OtherChain { expected, actual }),
            Ok(None) => Err(NodeError::NoChain),
            Err(error) => Err(NodeError::Unreachable(error.into())),
        }
    }

    /// What the breaker serves, to be mounted on a server.
    pub fn router(&self) -> Router {
        http::router(self.shared.clone())
    }

    /// What it knows.
    pub fn gate(&self) -> &Gate {
        &self.shared.proxy.gate
    }

    /// Whether the breaker still follows its feed.
    pub fn is_following(&self) -> bool {
        !self.tasks.is_empty()
    }
}

/// Why the node is not known to be the right one.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It is on another chain.
    #[error("the node is on chain {actual}, the breaker is for chain {expected}")]
    OtherChain {
        /// The rollup.
        expected: ChainId,
        /// What the node says.
        actual: ChainId,
    },
    /// It does not say which chain it is on.
    #[error("the node does not say which chain it is on")]
    NoChain,
    /// It does not answer.
    #[error(transparent)]
    Unreachable(BoxError),
}

impl NodeError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        !matches!(self, Self::OtherChain { .. })
    }
}

/// WebSocket begins with HTTP.
fn http_url(url: &Url, field: &'static str, expected: &'static str) -> Result<Url, ConfigError> {
    let scheme = match url.scheme() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return Err(ConfigError::Url { field, expected }),
    };
    // `set_scheme` refuses other changes than this one.
    let mut url = url.clone();
    let _ = url.set_scheme(scheme);
    Ok(url)
}
