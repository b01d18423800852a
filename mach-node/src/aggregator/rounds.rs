//! The rounds of an aggregator: one for a statement, bounded, expiring.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::{Added, Attempt, Tally, TallyError};
use mach_core::{
    Confirmation, Round, SignedStatement,
    ports::{AggregateError, Progress},
};
use tokio::{sync::OnceCell, time::Instant};

/// Place of one round. Whoever comes first fills it; all others wait for that.
type Slot = Arc<OnceCell<Arc<OpenRound>>>;

/// All rounds, by the digest of their statement.
pub(super) struct Rounds {
    slots: Mutex<HashMap<B256, (Instant, Slot)>>,
    limit: usize,
    lifetime: Duration,
}

impl Rounds {
    pub(super) fn new(limit: usize, lifetime: Duration) -> Self {
        Self {
            slots: Mutex::default(),
            limit,
            lifetime,
        }
    }

    /// The place for a statement's round, made if there is none and room for one.
    pub(super) fn slot(&self, digest: B256) -> Result<Slot, AggregateError> {
        let mut slots = lock(&self.slots);
        if let Some((opened, slot)) = slots.get(&digest)
            && !self.is_over(*opened, slot)
        {
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= self.limit {
            slots.retain(|_, (opened, slot)| !self.is_over(*opened, slot));
        }
        if slots.len() >= self.limit && !slots.contains_key(&digest) {
            return Err(AggregateError::Full(self.limit));
        }
        let slot = Slot::default();
        slots.insert(digest, (Instant::now(), Arc::clone(&slot)));
        Ok(slot)
    }

    /// The round of a statement that was opened.
    pub(super) fn get(&self, digest: &B256) -> Result<Arc<OpenRound>, AggregateError> {
        let slots = lock(&self.slots);
        let (opened, slot) = slots
            .get(digest)
            .ok_or(AggregateError::UnknownRound(*digest))?;
        let round = slot.get().ok_or(AggregateError::UnknownRound(*digest))?;
        if self.is_over(*opened, slot) && !round.is_confirmed() {
            return Err(AggregateError::Expired(*digest));
        }
        Ok(Arc::clone(round))
    }

    /// Takes back a place that nobody could fill.
    pub(super) fn forget_unopened(&self, digest: &B256) {
        let mut slots = lock(&self.slots);
        if slots
            .get(digest)
            .is_some_and(|(_, slot)| slot.get().is_none())
        {
            slots.remove(digest);
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.slots).len()
    }

    /// Whether a round has expired. One whose certificate is on its way has not.
    fn is_over(&self, opened: Instant, slot: &Slot) -> bool {
        opened.elapsed() >= self.lifetime && !slot.get().is_some_and(|round| round.is_confirming())
    }
}

/// One round.
pub(super) struct OpenRound {
    tally: Mutex<Tally>,
    phase: Mutex<Phase>,
}

/// How far a round is beyond its tally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Signatures are counted; the threshold may be reached.
    Collecting,
    /// The certificate is on its way to L1.
    Confirming,
    /// The statement stands on L1.
    Confirmed(Confirmation),
}

impl OpenRound {
    pub(super) const fn new(tally: Tally) -> Self {
        Self {
            tally: Mutex::new(tally),
            phase: Mutex::new(Phase::Collecting),
        }
    }

    pub(super) fn terms(&self) -> Round {
        lock(&self.tally).round().clone()
    }

    pub(super) fn add(&self, signed: &SignedStatement) -> Result<Added, TallyError> {
        lock(&self.tally).add(signed)
    }

    /// Makes the certificate, unless one is on its way. While it is made, nobody else makes one.
    pub(super) fn try_certify(&self) -> Option<Attempt> {
        let mut phase = lock(&self.phase);
        if *phase != Phase::Collecting {
            return None;
        }
        let attempt = lock(&self.tally).certificate();
        if attempt.certificate.is_some() {
            *phase = Phase::Confirming;
        }
        Some(attempt)
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    pub(super) fn progress(&self) -> Progress {
        let phase = lock(&self.phase).clone();
        let signers = lock(&self.tally).signers() as u64;
        match phase {
            Phase::Collecting => Progress::Collecting { signers },
            Phase::Confirming => Progress::Reached { signers },
            Phase::Confirmed(confirmation) => Progress::Confirmed(confirmation),
        }
    }

    fn is_confirming(&self) -> bool {
        *lock(&self.phase) == Phase::Confirming
    }

    fn is_confirmed(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Confirmed(_))
    }
}

/// A thread that panicked with the lock has left whole values behind: none is changed in parts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
