//! What a breaker knows, and what is in force because of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{B256, BlockNumber, ChainId};
use backon::BackoffBuilder;
use mach_core::BlockRef;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};
use tracing::{error, info, warn};

use super::{
    feed::{AlertFeed, FeedEvent, StandingAlert},
    policy::{Policy, WhenLost},
};
use crate::{RetryPolicy, verifier::with_causes};

/// Alerts that are kept. With more the breaker stays tripped until the feed sends all that stands.
const MAX_ALERTS: usize = 1024;

/// How often it is looked whether the feed has become lost, to log it. Calls are judged at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Between two tries to hear the feed.
const RECONNECT: RetryPolicy = RetryPolicy {
    min_delay: Duration::from_millis(100),
    max_delay: Duration::from_secs(5),
    retries: usize::MAX,
};

/// When a breaker trips, and what it does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripRules {
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// What is done while an alert stands.
    pub policy: Policy,
    /// What is done while it is not known whether one does.
    pub when_lost: WhenLost,
    /// How long a feed may be silent before it counts as lost.
    pub lost_after: Duration,
}

/// The state of a breaker, shared by everything that asks it. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: TripRules,
    known: watch::Sender<Known>,
}

/// What the feed told.
#[derive(Clone, Debug, Default)]
struct Known {
    alerts: BTreeMap<B256, StandingAlert>,
    /// There were more alerts than are kept.
    overflowed: bool,
    attested: Option<BlockRef>,
    /// When the feed was heard last, after all that stands was.
    heard: Option<Instant>,
    /// Why it is not heard.
    error: Option<String>,
}

/// What is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum GateState {
    /// No alert stands.
    Serving,
    /// An alert stands.
    Tripped,
    /// The feed was not heard yet.
    Starting,
    /// The feed is not heard any more.
    Lost,
}

impl GateState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Serving, Self::Tripped, Self::Starting, Self::Lost];

    /// What it is called in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Tripped => "tripped",
            Self::Starting => "starting",
            Self::Lost => "lost",
        }
    }
}

/// A policy that is in force, and why.
#[derive(Clone, Debug)]
pub(super) struct Restriction {
    pub(super) state: GateState,
    pub(super) policy: Policy,
    /// The alert with the lowest block; `None` where the feed is lost.
    pub(super) alert: Option<StandingAlert>,
    /// Alerts that stand.
    pub(super) standing: usize,
    pub(super) attested: Option<BlockRef>,
    /// The last block that may be relied on, while [`Self::attested`] says so of it or a later one.
    pub(super) last_good: Option<BlockNumber>,
}

/// What a breaker knows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// The rollup.
    pub rollup: ChainId,
    /// What is in force.
    pub state: GateState,
    /// The policy in force; `None` while everything is served.
    pub policy: Option<Policy>,
    /// Alerts that stand.
    pub alerts: Vec<StandingAlert>,
    /// The highest attested block.
    pub attested: Option<BlockRef>,
    /// Milliseconds since the feed was heard; `None` if it never was.
    pub feed_silent_for: Option<u64>,
    /// Why the feed is not heard.
    pub feed_error: Option<String>,
}

impl Gate {
    /// A gate that has heard nothing yet.
    pub fn new(rules: TripRules) -> Self {
        Self(Arc::new(Shared {
            rules,
            known: watch::Sender::new(Known::default()),
        }))
    }

    /// When it trips, and what it does then.
    pub fn rules(&self) -> &TripRules {
        &self.0.rules
    }

    /// Takes note of what a feed tells; it is in force for the next call that is judged.
    pub fn apply(&self, event: FeedEvent) {
        let before = self.state();
        self.0.known.send_modify(|known| known.apply(event));
        self.log_change(before);
    }

    /// Takes note of a feed that is not heard.
    pub fn note_error(&self, error: &dyn std::error::Error) {
        let text: String = with_causes(error).chars().take(500).collect();
        self.0.known.send_modify(|known| known.error = Some(text));
    }

    /// Follows `feed` for ever.
    pub async fn follow(&self, mut feed: impl AlertFeed) {
        let delays = || RECONNECT.backoff().build();
        let mut waiting = delays();
        loop {
            match feed.next().await {
                Ok(event) => {
                    waiting = delays();
                    self.apply(event);
                }
                Err(error) => {
                    warn!(error = with_causes(&error), "alert feed is not heard");
                    self.note_error(&error);
                    let delay = waiting.next().unwrap_or(RECONNECT.max_delay);
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Logs when the feed becomes lost, for ever.
    pub async fn watch_silence(&self) {
        let mut before = self.state();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.state();
            if now == GateState::Lost && before != GateState::Lost {
                error!(
                    rollup = self.0.rules.rollup,
                    when_lost = %self.0.rules.when_lost,
                    "alert feed is lost"
                );
            }
            before = now;
        }
    }

    /// What is in force.
    pub fn state(&self) -> GateState {
        self.0.rules.state(&self.0.known.borrow())
    }

    /// What is known.
    pub fn status(&self) -> GateStatus {
        let known = self.0.known.borrow();
        let rules = &self.0.rules;
        let state = rules.state(&known);
        let silent = known.heard.map(|heard| heard.elapsed().as_millis());
        GateStatus {
            rollup: rules.rollup,
            state,
            policy: rules.policy(state),
            alerts: known.alerts.values().cloned().collect(),
            attested: known.attested,
            feed_silent_for: silent.map(|silent| silent.try_into().unwrap_or(u64::MAX)),
            feed_error: known.error.clone(),
        }
    }

    /// Waits until the state is `wanted`, as far as events bring it about.
    pub async fn reach(&self, wanted: GateState) {
        let mut known = self.0.known.subscribe();
        let is_wanted = |known: &Known| self.0.rules.state(known) == wanted;
        // The sender lives as long as this.
        let _ = known.wait_for(is_wanted).await;
    }

    /// The policy that is in force, or `None` while everything is served.
    pub(super) fn restriction(&self) -> Option<Restriction> {
        let known = self.0.known.borrow();
        let state = self.0.rules.state(&known);
        let policy = self.0.rules.policy(state)?;
        // Those whose block is known come first.
        let lowest = |alert: &&StandingAlert| {
            let number = alert.block().map(|block| block.number);
            (number.is_none(), number)
        };
        let first_bad = known.alerts.values().filter_map(|it| it.first_bad_block());
        let attested = known.attested;
        let last_good = attested.map(|attested| {
            first_bad.fold(attested.number, |last, bad| last.min(bad.saturating_sub(1)))
        });
        Some(Restriction {
            state,
            policy,
            alert: known.alerts.values().min_by_key(lowest).cloned(),
            standing: known.alerts.len(),
            attested,
            last_good,
        })
    }

    fn log_change(&self, before: GateState) {
        let now = self.state();
        if before == now {
            return;
        }
        let known = self.0.known.borrow();
        let rollup = self.0.rules.rollup;
        let labels = [
            ("rollup", rollup.to_string()),
            ("state", now.name().to_owned()),
        ];
        metrics::counter!("mach_breaker_changes", &labels).increment(1);
        match now {
            GateState::Tripped => {
                let alert = known.alerts.values().next();
                let digest = alert.map(|alert| alert.digest);
                let block = alert.and_then(StandingAlert::block).map(|it| it.number);
                let policy = self.0.rules.policy;
                warn!(rollup, ?digest, block, %policy, "breaker has tripped");
            }
            GateState::Serving => info!(rollup, "no alert stands, everything is served"),
            GateState::Starting | GateState::Lost => {}
        }
    }
}

impl Known {
    fn apply(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Snapshot { alerts, attested } => {
                self.alerts.clear();
                self.overflowed = false;
                for alert in alerts {
                    self.insert(alert);
                }
                self.attested = attested;
                self.heard = Some(Instant::now());
            }
            FeedEvent::Alerted(alert) => self.insert(*alert),
            FeedEvent::Resolved { digest } => {
                self.alerts.remove(&digest);
            }
            FeedEvent::Attested(block) => self.attested = block,
            FeedEvent::Alive => {}
        }
        // Until all that stands was told, an event proves nothing.
        if self.heard.is_some() {
            self.heard = Some(Instant::now());
            self.error = None;
        }
    }

    fn insert(&mut self, alert: StandingAlert) {
        if self.alerts.len() < MAX_ALERTS || self.alerts.contains_key(&alert.digest) {
            self.alerts.insert(alert.digest, alert);
        } else {
            self.overflowed = true;
        }
    }
}

impl TripRules {
    fn state(&self, known: &Known) -> GateState {
        if !known.alerts.is_empty() || known.overflowed {
            return GateState::Tripped;
        }
        match known.heard {
            None => GateState::Starting,
            Some(heard) if heard.elapsed() > self.lost_after => GateState::Lost,
            Some(_) => GateState::Serving,
        }
    }

    const fn policy(&self, state: GateState) -> Option<Policy> {
        match state {
            GateState::Serving => None,
            GateState::Tripped => Some(self.policy),
            GateState::Starting | GateState::Lost => self.when_lost.policy(self.policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mach_core::{Alert, AlertKind};

    fn gate(when_lost: WhenLost) -> Gate {
        Gate::new(TripRules {
            rollup: 901,
            policy: Policy::RefuseAll,
            when_lost,
            lost_after: Duration::from_secs(30),
        })
    }

    fn block(number: u64) -> BlockRef {
        BlockRef {
            number,
            hash: B256::with_last_byte(number as u8),
        }
    }

    fn alert(digest: u8, kind: AlertKind, number: u64) -> StandingAlert {
        StandingAlert {
            digest: B256::with_last_byte(digest),
            statement: Some(Alert {
                kind,
                rollup_chain_id: 901,
                block: block(number),
                rule: 3,
                claimed: B256::ZERO,
                computed: B256::ZERO,
            }),
            confirmation: None,
        }
    }

    fn snapshot(alerts: Vec<StandingAlert>, attested: u64) -> FeedEvent {
        FeedEvent::Snapshot {
            alerts,
            attested: Some(block(attested)),
        }
    }

    fn alerted(alert: StandingAlert) -> FeedEvent {
        FeedEvent::Alerted(Box::new(alert))
    }

    #[tokio::test(start_paused = true)]
    async fn it_trips_on_the_first_alert_and_recovers_with_the_last() {
        let gate = gate(WhenLost::Open);
        gate.apply(snapshot(vec![], 4));
        assert_eq!(gate.state(), GateState::Serving);
        assert!(gate.restriction().is_none());
        gate.apply(alerted(alert(2, AlertKind::InvalidBlock, 9)));
        gate.apply(alerted(alert(1, AlertKind::InvalidBlock, 7)));
        let restriction = gate.restriction().unwrap();
        assert_eq!(restriction.policy, Policy::RefuseAll);
        assert_eq!(restriction.alert.unwrap().digest, B256::with_last_byte(1));
        let resolved = |digest| FeedEvent::Resolved {
            digest: B256::with_last_byte(digest),
        };
        gate.apply(resolved(1));
        assert_eq!(gate.state(), GateState::Tripped);
        gate.apply(resolved(2));
        assert_eq!(gate.state(), GateState::Serving);
        // What is missing in a snapshot has been resolved.
        gate.apply(alerted(alert(3, AlertKind::InvalidBlock, 9)));
        gate.apply(snapshot(vec![], 4));
        assert_eq!(gate.state(), GateState::Serving);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_taken_for_a_clean_chain() {
        for (when_lost, policy) in [
            (WhenLost::Open, None),
            (WhenLost::ClosedForWrites, Some(Policy::RefuseWrites)),
            (WhenLost::Closed, Some(Policy::RefuseAll)),
        ] {
            let gate = gate(when_lost);
            let in_force = || gate.restriction().map(|it| it.policy);
            // A feed that lives and has not told what stands is no better than none.
            gate.apply(FeedEvent::Alive);
            assert_eq!(gate.state(), GateState::Starting);
            assert_eq!(in_force(), policy);
            gate.apply(snapshot(vec![], 1));
            assert_eq!(in_force(), None);
            tokio::time::advance(Duration::from_secs(29)).await;
            gate.apply(FeedEvent::Alive);
            tokio::time::advance(Duration::from_secs(30)).await;
            assert_eq!(gate.state(), GateState::Serving);
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!((gate.state(), in_force()), (GateState::Lost, policy));
            // An alert that stood when it was lost stands still, under its own policy.
            gate.apply(alerted(alert(1, AlertKind::InvalidBlock, 2)));
            tokio::time::advance(Duration::from_secs(3600)).await;
            assert_eq!(gate.state(), GateState::Tripped);
            assert_eq!(in_force(), Some(Policy::RefuseAll));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_block_is_attested_and_below_every_bad_one() {
        let gate = gate(WhenLost::Open);
        let last_good = || gate.restriction().unwrap().last_good;
        gate.apply(snapshot(vec![alert(1, AlertKind::InvalidBlock, 9)], 6));
        assert_eq!(last_good(), Some(6));
        gate.apply(FeedEvent::Attested(Some(block(8))));
        assert_eq!(last_good(), Some(8));
        // An attested block above a bad one contradicts it: what is below both is left.
        gate.apply(FeedEvent::Attested(Some(block(20))));
        assert_eq!(last_good(), Some(8));
        gate.apply(alerted(alert(2, AlertKind::InvalidOutputProposal, 3)));
        assert_eq!(last_good(), Some(8));
        gate.apply(alerted(alert(3, AlertKind::NotDerivable, 0)));
        assert_eq!(last_good(), Some(0));
        gate.apply(FeedEvent::Snapshot {
            alerts: vec![alert(1, AlertKind::InvalidBlock, 9)],
            attested: None,
        });
        assert_eq!(last_good(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn more_alerts_than_are_kept_stay_in_force() {
        let gate = gate(WhenLost::Open);
        let many: Vec<_> = (0..=MAX_ALERTS)
            .map(|index| StandingAlert {
                digest: B256::from(alloy_primitives::U256::from(index)),
                ..alert(0, AlertKind::InvalidBlock, 1)
            })
            .collect();
        gate.apply(snapshot(many.clone(), 0));
        for alert in many {
            gate.apply(FeedEvent::Resolved {
                digest: alert.digest,
            });
        }
        assert_eq!(gate.state(), GateState::Tripped);
        gate.apply(snapshot(vec![], 0));
        assert_eq!(gate.state(), GateState::Serving);
    }
}
