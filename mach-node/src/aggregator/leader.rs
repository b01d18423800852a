//! Which of several instances leads.
//!
//! Two rows of the shared store: whose turn it is, which changes at a takeover only, and a
//! heartbeat. Every write of the leader expects the first one, so that whoever was overtaken without
//! noticing writes nothing any more. Nobody compares clocks: who stands by takes over when it has
//! seen the heartbeat unchanged for long enough by its own clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::hex;
use mach_core::Domain;
use rand::RngCore;
use tokio::time::Instant;
use tracing::{info, warn};

use super::InstanceConfig;
use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};

/// This instance among the others.
pub(super) struct Leadership {
    store: Arc<dyn Store>,
    config: InstanceConfig,
    /// Rows of the one whose turn it is, and of its heartbeat.
    turn: Vec<u8>,
    heartbeat: Vec<u8>,
    /// What the first row has while this instance leads: no two instances have the same.
    name: Vec<u8>,
    leads: AtomicBool,
}

/// What one look at the rows came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Stays,
    Begins,
    Ends,
}

/// The heartbeat as it was last seen.
pub(super) struct Seen {
    turn: Option<Vec<u8>>,
    heartbeat: Option<Vec<u8>>,
    since: Instant,
}

impl Seen {
    pub(super) fn nothing() -> Self {
        Self {
            turn: None,
            heartbeat: None,
            since: Instant::now(),
        }
    }
}

impl Leadership {
    pub(super) fn new(store: Arc<dyn Store>, domain: &Domain, config: InstanceConfig) -> Self {
        let mut name = [0; 16];
        rand::rng().fill_bytes(&mut name);
        let row = |name: &str| [domain_key(domain).as_slice(), name.as_bytes()].concat();
        Self {
            store,
            config,
            turn: row("turn"),
            heartbeat: row("heartbeat"),
            name: name.to_vec(),
            leads: AtomicBool::new(false),
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// Answers whether it led.
    pub(super) fn step_down(&self) -> bool {
        let led = self.leads.swap(false, Ordering::AcqRel);
        if led {
            warn!("another instance leads");
        }
        led
    }

    pub(super) const fn pause(&self) -> Duration {
        self.config.heartbeat
    }

    /// What every write of the leader expects: that it still is.
    pub(super) fn fence(&self) -> Change {
        Change {
            table: Table::Leader,
            key: self.turn.clone(),
            expected: Expected::Value(self.name.clone()),
            value: Some(self.name.clone()),
        }
    }

    /// Says that this instance lives, or looks whether another one does.
    pub(super) async fn look(&self, seen: &mut Seen) -> Result<Turn, StoreError> {
        if self.leads() {
            let beat = self.beat(Expected::Anything);
            return Ok(match self.store.write(vec![self.fence(), beat]).await? {
                Written::Applied => Turn::Stays,
                Written::Conflict { .. } => {
                    *seen = Seen::nothing();
                    Turn::Ends
                }
            });
        }
        let turn = self.store.get(Table::Leader, &self.turn).await?;
        let heartbeat = self.store.get(Table::Leader, &self.heartbeat).await?;
        let is_given_up = turn.as_ref().is_none_or(Vec::is_empty);
        if turn != seen.turn || heartbeat != seen.heartbeat {
            *seen = Seen {
                turn,
                heartbeat,
                since: Instant::now(),
            };
        }
        if !is_given_up && seen.since.elapsed() < self.config.takeover {
            return Ok(Turn::Stays);
        }
        let expected =
            |value: &Option<Vec<u8>>| (value.clone()).map_or(Expected::Absent, Expected::Value);
        let taken = Change {
            expected: expected(&seen.turn),
            ..self.fence()
        };
        let beat = self.beat(expected(&seen.heartbeat));
        match self.store.write(vec![taken, beat]).await? {
            Written::Applied => {
                self.leads.store(true, Ordering::Release);
                info!(instance = hex::encode(&self.name), "this instance leads");
                Ok(Turn::Begins)
            }
            Written::Conflict { .. } => Ok(Turn::Stays),
        }
    }

    /// Gives the turn up, so that nobody has to wait for it.
    pub(super) async fn give_up(&self) -> Result<(), StoreError> {
        if !self.step_down() {
            return Ok(());
        }
        let free = Change {
            value: Some(Vec::new()),
            ..self.fence()
        };
        self.store.write(vec![free]).await.map(|_| ())
    }

    /// No two heartbeats are the same.
    fn beat(&self, expected: Expected) -> Change {
        let mut beat = [0; 16];
        rand::rng().fill_bytes(&mut beat);
        Change {
            table: Table::Leader,
            key: self.heartbeat.clone(),
            expected,
            value: Some(beat.to_vec()),
        }
    }
}
