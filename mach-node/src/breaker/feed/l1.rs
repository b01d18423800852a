//! A feed from the service manager on L1.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256, BlockNumber, ChainId, TxHash};
use alloy_provider::{DynProvider, Provider};
use async_trait::async_trait;
use mach_contracts_bindings::{ActiveAlert, Probe, RollupStanding};
use mach_core::Confirmation;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{
    AlertFeed, FeedError, FeedEvent, MAX_HELD, MemoryError, StandingAlert,
    memory::{Memory, Remembered},
};
use crate::{SETTLE_ALERTS, settling::Settling};

/// Most alerts that are read.
const MAX_ALERTS: u64 = 1_025;

/// How often a node that lags is asked again at once, and how long after.
const TRIES: u32 = 4;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Reads a service manager, of any generation, again and again.
///
/// Each look is at one L1 block. Alerts of V3 come with what they say, and a moment later with their
/// transaction; of older ones the contract keeps the hash alone, and no attested block.
///
/// An alert that was seen is in force until L1 was without it for some blocks: what a short
/// reorganisation takes away, or a node that lags does not know, is in force still.
#[derive(Debug)]
pub struct L1Feed {
    provider: DynProvider,
    service_manager: Address,
    rollup: ChainId,
    poll_interval: Duration,
    max_age: Option<Duration>,
    age: Age,
    probe: Option<Probe>,
    settling: Settling,
    /// Alerts in force.
    held: BTreeMap<B256, StandingAlert>,
    memory: Option<Memory>,
    /// Whether L1 was looked at before.
    is_later: bool,
    transactions: BTreeMap<B256, Option<TxHash>>,
    /// Alerts whose transaction is looked for.
    incomplete: VecDeque<StandingAlert>,
    /// Alerts that are told before L1 is looked at again.
    untold: VecDeque<StandingAlert>,
}

impl L1Feed {
    /// Looks at `service_manager` every `poll_interval`; an alert is gone after
    /// [`SETTLE_ALERTS`](crate::SETTLE_ALERTS) blocks without it. Nothing is sent yet.
    pub fn new(
        provider: impl Provider + 'static,
        service_manager: Address,
        rollup: ChainId,
        poll_interval: Duration,
    ) -> Self {
        Self {
            provider: provider.erased(),
            service_manager,
            rollup,
            poll_interval,
            max_age: None,
            age: Age::default(),
            probe: None,
            settling: Settling::new(SETTLE_ALERTS),
            held: BTreeMap::new(),
            memory: None,
            is_later: false,
            transactions: BTreeMap::new(),
            incomplete: VecDeque::new(),
            untold: VecDeque::new(),
        }
    }

    /// A newest block that is older than this, or has been the newest one for longer, says that the node
    /// lags: it counts as not heard.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// L1 blocks without an alert after which it is gone; with 0 it is gone at once.
    #[must_use]
    pub fn with_settle(mut self, blocks: u64) -> Self {
        self.settling = Settling::new(blocks);
        let kept = self.memory.iter().flat_map(Memory::kept);
        for Remembered { alert, gone_since } in kept {
            if let Some(since) = gone_since {
                self.settling.resume(alert.digest, *since);
            }
        }
        self
    }

    /// Keeps the alerts in force in this file, and begins with those in it: they are told before L1 is
    /// looked at.
    ///
    /// Errors: [`MemoryError`].
    pub fn with_memory(mut self, path: PathBuf) -> Result<Self, MemoryError> {
        let memory = Memory::open(path, self.rollup, Some(self.service_manager))?;
        for Remembered { alert, gone_since } in memory.kept() {
            self.held.insert(alert.digest, alert.clone());
            if let Some(since) = gone_since {
                self.settling.resume(alert.digest, *since);
            }
        }
        self.untold = self.held.values().cloned().collect();
        self.memory = Some(memory);
        Ok(self)
    }

    async fn probe(&mut self) -> Result<Probe, FeedError> {
        if let Some(probe) = &self.probe {
            return Ok(probe.clone());
        }
        let probe = Probe::read(self.provider.clone(), self.service_manager);
        let probe = probe.await.map_err(told)?;
        let enabled = probe.enabled_rollups(&[self.rollup]).await.map_err(told)?;
        if enabled.is_empty() {
            return Err(told(NotWatched {
                service_manager: self.service_manager,
                rollup: self.rollup,
            }));
        }
        self.probe = Some(probe.clone());
        Ok(probe)
    }

    async fn look(&mut self) -> Result<FeedEvent, FeedError> {
        let probe = self.probe().await?;
        let standing = self.newest(&probe).await?;
        if let Some(limit) = self.max_age {
            let age = self.age.of(standing.timestamp);
            if age > limit {
                return Err(told(TooOld { age, limit }));
            }
        }
        let (l1_block, newest) = (standing.l1_block.number, self.settling.newest());
        let is_current = self.settling.look(l1_block);
        let stands = |digest: &B256| standing.alerts.iter().any(|it| it.message_hash == *digest);
        let gone: Vec<_> = self.held.keys().filter(|it| !stands(it)).copied().collect();
        if is_current {
            self.transactions.retain(|digest, _| stands(digest));
            self.incomplete.clear();
        }
        for active in &standing.alerts {
            let alert = self.alert(active);
            self.settling.stands(&alert.digest);
            let is_known = self.held.contains_key(&alert.digest);
            if !is_known && self.held.len() >= MAX_HELD {
                continue;
            }
            if !is_known && !is_current {
                self.untold.push_back(alert.clone());
            }
            self.held.insert(alert.digest, alert);
        }
        // Of more alerts than are read, any may stand.
        if is_current && (standing.alerts.len() as u64) < MAX_ALERTS {
            for digest in gone {
                if self.settling.is_gone(digest, l1_block) {
                    info!(rollup = self.rollup, %digest, l1_block, "alert is gone from L1");
                    self.held.remove(&digest);
                }
            }
        }
        self.keep().await;
        if let Some(alert) = self.untold.pop_front() {
            // It stands, wherever the head is.
            return Ok(FeedEvent::Alerted(Box::new(alert)));
        }
        if !is_current {
            return Err(told(Behind { l1_block, newest }));
        }
        Ok(FeedEvent::Snapshot {
            alerts: self.held.values().cloned().collect(),
            attested: standing.attested,
        })
    }

    /// What stands, at a block that is not lower than the one before if there is one: behind one address
    /// may be several nodes, and one that lags knows nothing of the newest alert.
    async fn newest(&self, probe: &Probe) -> Result<RollupStanding, FeedError> {
        let mut tries = 0;
        loop {
            let standing = probe.standing(self.rollup, MAX_ALERTS).await;
            let standing = standing.map_err(told)?;
            if standing.l1_block.number >= self.settling.newest() || tries == TRIES {
                return Ok(standing);
            }
            tries += 1;
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Writes down what is in force.
    async fn keep(&mut self) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        let held = self.held.values().map(|alert| Remembered {
            alert: alert.clone(),
            gone_since: self.settling.since(&alert.digest),
        });
        let held = held.collect();
        memory.keep(held).await;
    }

    fn alert(&mut self, active: &ActiveAlert) -> StandingAlert {
        let digest = active.message_hash;
        let transaction = self.transactions.get(&digest).copied();
        let alert = StandingAlert {
            digest,
            statement: active.alert.clone(),
            confirmation: active.submitted_at.map(|l1_block| Confirmation {
                digest,
                transaction: transaction.flatten(),
                l1_block,
                gas_used: None,
            }),
        };
        if transaction.is_none() && alert.confirmation.is_some() {
            self.incomplete.push_back(alert.clone());
        }
        alert
    }

    /// The next alert whose transaction is found. It has been in force without it.
    async fn complete(&mut self) -> Option<StandingAlert> {
        let probe = self.probe.clone()?;
        while let Some(mut alert) = self.incomplete.pop_front() {
            let confirmation = alert.confirmation.as_mut()?;
            let found = probe.alert_transaction(alert.digest, confirmation.l1_block);
            match found.await {
                Ok(transaction) => {
                    self.transactions.insert(alert.digest, transaction);
                    confirmation.transaction = transaction;
                    self.held.insert(alert.digest, alert.clone());
                    return Some(alert);
                }
                // The next look tries again.
                Err(error) => debug!(digest = %alert.digest, %error, "transaction is not found"),
            }
        }
        None
    }
}

#[async_trait]
impl AlertFeed for L1Feed {
    async fn next(&mut self) -> Result<FeedEvent, FeedError> {
        if let Some(alert) = self.untold.pop_front() {
            return Ok(FeedEvent::Alerted(Box::new(alert)));
        }
        if let Some(alert) = self.complete().await {
            return Ok(FeedEvent::Alerted(Box::new(alert)));
        }
        if self.is_later {
            tokio::time::sleep(self.poll_interval).await;
        }
        self.is_later = true;
        self.look().await
    }
}

fn told(error: impl std::error::Error + Send + Sync + 'static) -> FeedError {
    FeedError(Box::new(error))
}

/// How old the newest block of L1 is: by the time of day, and if that went back at least as old as this has
/// known it.
#[derive(Debug, Default)]
struct Age(Option<(u64, Instant)>);

impl Age {
    fn of(&mut self, timestamp: u64) -> Duration {
        let now = Instant::now();
        let known = self.0.filter(|(newest, _)| timestamp <= *newest);
        let (_, since) = *self.0.insert(known.unwrap_or((timestamp, now)));
        let today = SystemTime::now().duration_since(UNIX_EPOCH);
        let by_day = (today.unwrap_or_default()).saturating_sub(Duration::from_secs(timestamp));
        by_day.max(now.duration_since(since))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the newest block of L1 is {} s old, more than {} s", .age.as_secs(), .limit.as_secs())]
struct TooOld {
    age: Duration,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("L1 is at block {l1_block}, and was at {newest}")]
struct Behind {
    l1_block: BlockNumber,
    newest: BlockNumber,
}

#[derive(Debug, thiserror::Error)]
#[error("the service manager {service_manager} takes no alerts about rollup {rollup}")]
struct NotWatched {
    service_manager: Address,
    rollup: ChainId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> u64 {
        let today = SystemTime::now().duration_since(UNIX_EPOCH);
        today.unwrap().as_secs()
    }

    /// The clock went an hour back: blocks are of times to come, and a node that stops is noticed all the same.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_back_makes_no_node_young() {
        let (mut age, ahead) = (Age::default(), today() + 3600);
        for block in 0..5 {
            assert_eq!(age.of(ahead + 12 * block), Duration::ZERO);
            tokio::time::advance(Duration::from_secs(12)).await;
        }
        tokio::time::advance(Duration::from_secs(78)).await;
        // A branch with a lower block makes it no younger.
        for last in [ahead + 48, ahead + 36] {
            assert_eq!(age.of(last), Duration::from_secs(90));
        }
        assert_eq!(age.of(ahead + 60), Duration::ZERO);
    }

    /// An hour forward, and every block is an hour old: L1 is not heard rather than believed.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_forward_makes_blocks_old() {
        let mut age = Age::default();
        let behind = today() - 3600;
        assert!(age.of(behind) >= Duration::from_secs(3600));
        assert!(age.of(behind + 12) >= Duration::from_secs(3588));
    }
}
