//! Where a breaker learns of alerts.

mod events;
mod l1;
mod local;
mod memory;
mod sse;

use alloy_primitives::{B256, BlockNumber};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{Alert, AlertKind, BlockRef, Confirmation, ports::BoxError};
use serde::{Deserialize, Serialize};

pub use events::EventFeed;
pub use l1::L1Feed;
pub use local::{LocalFeed, LocalFeedSender};
pub use memory::MemoryError;

/// Alerts in force that are kept, far above what a breaker tells apart. With more it is tripped anyway.
const MAX_HELD: usize = 4_096;

/// Tells of the alerts and of the attested head of one rollup.
#[async_trait]
#[auto_impl(Box)]
pub trait AlertFeed: Send {
    /// What happens next. The first event, and the first after an error, is a
    /// [`FeedEvent::Snapshot`], but for alerts that are known to stand before all else is; a feed that has
    /// nothing to tell sends [`FeedEvent::Alive`] now and then, since silence means that it is lost.
    ///
    /// Errors: [`FeedError`]; the next call tries again.
    async fn next(&mut self) -> Result<FeedEvent, FeedError>;
}

/// What a feed tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// All that stands: what was known before and is not in it has been resolved.
    Snapshot {
        /// Alerts that stand.
        alerts: Vec<StandingAlert>,
        /// The highest attested block.
        attested: Option<BlockRef>,
    },
    /// An alert stands, or more is known about one that does.
    Alerted(Box<StandingAlert>),
    /// An alert was removed.
    Resolved {
        /// [`StandingAlert::digest`].
        digest: B256,
    },
    /// The highest attested block is another one, which may be a lower one.
    Attested(Option<BlockRef>),
    /// The source was heard.
    Alive,
}

/// The source was not heard.
#[derive(Debug, thiserror::Error)]
#[error("the alert feed was not heard")]
pub struct FeedError(#[source] pub BoxError);

/// An alert that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingAlert {
    /// Digest of the statement; for alerts of the original's generations their message hash.
    pub digest: B256,
    /// What is said; `None` where the contract keeps the hash alone, as the original's does.
    pub statement: Option<Alert>,
    /// Where it stands on L1; `None` while it is only certified.
    pub confirmation: Option<Confirmation>,
}

impl StandingAlert {
    /// The block that the alert is about.
    pub fn block(&self) -> Option<BlockRef> {
        self.statement.as_ref().map(|alert| alert.block)
    }

    /// The first block that cannot be relied on. An output proposal says nothing against its block.
    pub(super) fn first_bad_block(&self) -> Option<BlockNumber> {
        let alert = self.statement.as_ref()?;
        (alert.kind != AlertKind::InvalidOutputProposal).then_some(alert.block.number)
    }
}

/// Fails to compile when a feed can no longer be a trait object.
const _: fn(Box<dyn AlertFeed>) = |_| {};
