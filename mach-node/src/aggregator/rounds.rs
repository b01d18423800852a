//! The rounds of an aggregator: one for a statement, bounded, expiring.
//!
//! Locks are taken in one order: the table before a round's phase, a round's tally before its phase
//! and before what is not recorded.
//! The phase is held for an instant only, so that checking one round's signatures holds up no other
//! round.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::{Added, Attempt, Scheme, Signature, Tally, TallyError};
use mach_core::{
    Confirmation, G1Bytes, OperatorId, Round, SignedStatement,
    ports::{AggregateError, Progress},
};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    ledger::{StoredRound, UnixTime},
    view::{RoundState, RoundView},
};

/// Place of one round. Whoever comes first fills it; all others wait for that.
type Slot<S> = Arc<OnceCell<Arc<OpenRound<S>>>>;

/// All rounds, by the digest of their statement.
pub(super) struct Rounds<S: Scheme> {
    slots: Mutex<HashMap<B256, (Instant, Slot<S>)>>,
    limit: usize,
    lifetime: Duration,
}

impl<S: Scheme> Rounds<S> {
    pub(super) fn new(limit: usize, lifetime: Duration) -> Self {
        Self {
            slots: Mutex::new(HashMap::new()),
            limit,
            lifetime,
        }
    }

    /// The place for a statement's round, made if there is none and room for one.
    pub(super) fn slot(&self, digest: B256) -> Result<Slot<S>, AggregateError> {
        let mut slots = lock(&self.slots);
        if let Some((_, slot)) = slots.get(&digest) {
            if !self.is_over(slot) {
                return Ok(Arc::clone(slot));
            }
            slots.remove(&digest);
        }
        self.make_room(&mut slots)?;
        let slot = Slot::<S>::default();
        slots.insert(digest, (Instant::now(), Arc::clone(&slot)));
        Ok(slot)
    }

    /// The round of a statement that was opened.
    pub(super) fn get(&self, digest: &B256) -> Result<Arc<OpenRound<S>>, AggregateError> {
        let slots = lock(&self.slots);
        let round = slots
            .get(digest)
            .and_then(|(_, slot)| slot.get())
            .ok_or(AggregateError::UnknownRound(*digest))?;
        if round.is_expired(self.lifetime) && round.phase().takes_signatures() {
            return Err(AggregateError::Expired(*digest));
        }
        Ok(Arc::clone(round))
    }

    /// The newest rounds, newest first.
    pub(super) fn newest(&self, most: usize) -> Vec<(B256, Arc<OpenRound<S>>)> {
        let slots = lock(&self.slots);
        let mut rounds: Vec<_> = (slots.iter())
            .filter_map(|(digest, (_, slot))| Some((*digest, Arc::clone(slot.get()?))))
            .collect();
        drop(slots);
        rounds.sort_by_key(|(digest, round)| (std::cmp::Reverse(round.opened), *digest));
        rounds.truncate(most);
        rounds
    }

    /// Number of rounds that are open or remembered.
    pub(super) fn len(&self) -> usize {
        let slots = lock(&self.slots);
        slots
            .values()
            .filter(|(_, slot)| slot.initialized())
            .count()
    }

    /// Makes sure that one more round fits in.
    ///
    /// Rounds that are over go first; then the oldest that is confirmed; then the oldest that
    /// nobody signed, since opening rounds costs a stranger nothing. A round that an operator
    /// signed stays until it is over, and so does one that somebody works on: references to it are
    /// given out under the lock of the table only.
    fn make_room(
        &self,
        slots: &mut HashMap<B256, (Instant, Slot<S>)>,
    ) -> Result<(), AggregateError> {
        if slots.len() < self.limit {
            return Ok(());
        }
        slots.retain(|_, (_, slot)| !self.is_over(slot));
        if slots.len() < self.limit {
            return Ok(());
        }
        let expendable = slots.iter().filter_map(|(digest, (since, slot))| {
            let is_held = Arc::strong_count(slot) > 1
                || slot.get().is_some_and(|round| Arc::strong_count(round) > 1);
            if is_held {
                return None;
            }
            let phase = slot.get().map_or(Phase::Unsigned, |round| round.phase());
            let rank = match phase {
                Phase::Confirmed(_) => 0,
                Phase::Unsigned => 1,
                Phase::Collecting | Phase::Confirming => return None,
            };
            Some((rank, *since, *digest))
        });
        let (_, _, digest) = expendable.min().ok_or(AggregateError::Full(self.limit))?;
        slots.remove(&digest);
        Ok(())
    }

    fn is_over(&self, slot: &Slot<S>) -> bool {
        slot.get().is_some_and(|round| round.is_over(self.lifetime))
    }
}

/// One round.
pub(super) struct OpenRound<S: Scheme> {
    opened: Instant,
    /// Without its confirmation.
    stored: StoredRound,
    tally: Mutex<Tally<S>>,
    phase: Mutex<Phase>,
    is_stored: AtomicBool,
    /// Signatures that count and are not known to be durable.
    unrecorded: Mutex<HashSet<(OperatorId, G1Bytes<S>)>>,
}

/// How far a round is beyond its tally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No operator has signed.
    Unsigned,
    /// Signatures are counted; the threshold may be reached.
    Collecting,
    /// The certificate is on its way to L1.
    Confirming,
    /// The statement stands on L1.
    Confirmed(Confirmation),
}

impl Phase {
    const fn takes_signatures(&self) -> bool {
        matches!(self, Self::Unsigned | Self::Collecting)
    }
}

impl<S: Scheme> OpenRound<S> {
    pub(super) fn new(tally: Tally<S>) -> Self {
        let stored = StoredRound {
            statement: tally.statement().clone(),
            terms: tally.round().clone(),
            opened_at: UnixTime::now(),
            confirmation: None,
        };
        Self {
            opened: Instant::now(),
            stored,
            tally: Mutex::new(tally),
            phase: Mutex::new(Phase::Unsigned),
            is_stored: AtomicBool::new(false),
            unrecorded: Mutex::default(),
        }
    }

    /// A round as it was stored. Its signatures are proved here, for who wrote them is not known.
    pub(super) fn restore(
        mut tally: Tally<S>,
        opened_at: UnixTime,
        signatures: &[(OperatorId, G1Bytes<S>)],
    ) -> Self {
        for (operator, signature) in signatures {
            let added =
                Signature::from_bytes(signature).map(|it| tally.add_signature(*operator, it));
            if !matches!(added, Ok(Ok(_))) {
                tracing::debug!(%operator, "stored signature dropped");
            }
        }
        for operator in tally.prove() {
            tracing::debug!(%operator, "stored signature dropped, it is not valid");
        }
        let phase = match tally.signers() {
            0 => Phase::Unsigned,
            _ => Phase::Collecting,
        };
        let mut round = Self::new(tally);
        round.stored.opened_at = opened_at;
        let age = opened_at.elapsed();
        round.opened = round.opened.checked_sub(age).unwrap_or(round.opened);
        Self {
            phase: Mutex::new(phase),
            is_stored: AtomicBool::new(true),
            ..round
        }
    }

    pub(super) fn terms(&self) -> Round {
        self.stored.terms.clone()
    }

    /// Whether the store has the round.
    pub(super) fn is_stored(&self) -> bool {
        self.is_stored.load(Ordering::Acquire)
    }

    /// The round as it is to be stored.
    pub(super) fn to_stored(&self) -> StoredRound {
        let confirmation = match self.phase() {
            Phase::Confirmed(confirmation) => Some(confirmation),
            _ => None,
        };
        StoredRound {
            confirmation,
            ..self.stored.clone()
        }
    }

    /// Counts a signature.
    ///
    /// The first one is checked by itself: a round that takes up room for its whole lifetime, and
    /// on the disk, has been signed by an operator.
    pub(super) fn add(&self, signed: &SignedStatement<S>) -> Result<(), TallyError> {
        let mut tally = lock(&self.tally);
        let added = tally.add(signed)?;
        if tally.proved_signers() == 0 && !tally.prove().is_empty() {
            return Err(TallyError::BadSignature(signed.operator));
        }
        if added == Added::New {
            lock(&self.unrecorded).insert((signed.operator, signed.signature));
        }
        let mut phase = lock(&self.phase);
        if *phase == Phase::Unsigned {
            *phase = Phase::Collecting;
        }
        Ok(())
    }

    /// Whether a signature that was counted may still be lost, and that would matter.
    pub(super) fn is_unrecorded(&self, operator: OperatorId, signature: G1Bytes<S>) -> bool {
        !matches!(self.phase(), Phase::Confirmed(_))
            && lock(&self.unrecorded).contains(&(operator, signature))
    }

    /// A signature, and with it the round, is durable.
    pub(super) fn recorded(&self, operator: OperatorId, signature: G1Bytes<S>) {
        self.is_stored.store(true, Ordering::Release);
        lock(&self.unrecorded).remove(&(operator, signature));
    }

    /// Whether this signature is the operator's that counts. One that turned out wrong does not.
    pub(super) fn counts(&self, operator: OperatorId, signature: &G1Bytes<S>) -> bool {
        let tally = lock(&self.tally);
        let counted = tally.signature(&operator);
        counted.is_some_and(|counted| counted.to_bytes() == *signature)
    }

    /// Makes the certificate, unless one is on its way. While it is made, nobody else makes one.
    pub(super) fn try_certify(&self) -> Option<Attempt<S>> {
        let mut tally = lock(&self.tally);
        if self.phase() != Phase::Collecting {
            return None;
        }
        let attempt = tally.certificate();
        if attempt.certificate.is_some() {
            self.set_phase(Phase::Confirming);
        }
        Some(attempt)
    }

    pub(super) fn confirmed(&self, confirmation: Confirmation) {
        self.set_phase(Phase::Confirmed(confirmation));
    }

    /// Ends a confirmation that came to nothing: the next signature starts another.
    pub(super) fn not_confirmed(&self) {
        let mut phase = lock(&self.phase);
        if *phase == Phase::Confirming {
            *phase = Phase::Collecting;
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let signers = lock(&self.tally).signers() as u64;
        match self.phase() {
            Phase::Unsigned | Phase::Collecting => Progress::Collecting { signers },
            Phase::Confirming => Progress::Reached { signers },
            Phase::Confirmed(confirmation) => Progress::Confirmed(confirmation),
        }
    }

    pub(super) fn view(&self, digest: B256) -> RoundView {
        let tally = lock(&self.tally);
        let state = match self.phase() {
            Phase::Unsigned | Phase::Collecting => RoundState::Collecting,
            Phase::Confirming => RoundState::Certified,
            Phase::Confirmed(confirmation) => RoundState::Confirmed(confirmation),
        };
        RoundView::new(digest, &tally, state)
    }

    pub(super) fn is_expired(&self, lifetime: Duration) -> bool {
        self.opened.elapsed() >= lifetime
    }

    /// Whether the round makes room for another. One whose certificate is on its way does not.
    pub(super) fn is_over(&self, lifetime: Duration) -> bool {
        self.is_expired(lifetime) && self.phase() != Phase::Confirming
    }

    fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }

    fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }
}

/// A thread that panicked with the lock has left whole values behind: none is changed in parts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
