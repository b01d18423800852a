//! The rounds of an aggregator in memory: one for a statement, bounded, expiring.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::Scheme;
use mach_core::ports::AggregateError;

use super::round::OpenRound;

/// Most closed rounds in memory; the store answers for all others.
const MAX_CLOSED: usize = 64;

/// All rounds, by the digest of their statement.
pub(super) struct Rounds<S: Scheme> {
    rounds: Mutex<HashMap<B256, Arc<OpenRound<S>>>>,
    limit: usize,
    limit_per_operator: usize,
    lifetime: Duration,
}

impl<S: Scheme> Rounds<S> {
    pub(super) fn new(limit: usize, limit_per_operator: usize, lifetime: Duration) -> Self {
        Self {
            rounds: Mutex::default(),
            limit,
            limit_per_operator,
            lifetime,
        }
    }

    /// The round of a statement, and whether it is over.
    pub(super) fn get(&self, digest: &B256) -> Option<(Arc<OpenRound<S>>, bool)> {
        let rounds = lock(&self.rounds);
        let round = rounds.get(digest)?;
        Some((Arc::clone(round), round.is_over(self.lifetime)))
    }

    /// Keeps a round, unless the statement has one: then that one is the answer. A round that goes on in
    /// other terms takes its own place.
    ///
    /// Errors: [`AggregateError::Full`].
    pub(super) fn insert(&self, round: OpenRound<S>) -> Result<Inserted<S>, AggregateError> {
        let digest = round.digest();
        let mut rounds = lock(&self.rounds);
        match rounds.get(&digest) {
            Some(known) if !round.follows(known) => {
                return Ok(Inserted::Known(Arc::clone(known)));
            }
            Some(_) => {}
            None => {
                self.check_share(&rounds, &round)?;
                self.make_room(&mut rounds)?;
            }
        }
        let round = Arc::new(round);
        rounds.insert(digest, Arc::clone(&round));
        Ok(Inserted::New(round))
    }

    /// Whether whoever begins this round may.
    ///
    /// Errors: [`AggregateError::Full`] if it signed too many others without a certificate.
    pub(super) fn check(&self, round: &OpenRound<S>) -> Result<(), AggregateError> {
        self.check_share(&lock(&self.rounds), round)
    }

    /// Alerts and attestations are counted apart, so that neither keep the others out.
    fn check_share(
        &self,
        rounds: &HashMap<B256, Arc<OpenRound<S>>>,
        round: &OpenRound<S>,
    ) -> Result<(), AggregateError> {
        let Some(operator) = round.opener() else {
            return Ok(());
        };
        let limit = self.limit_per_operator;
        let is_charged = |it: &&Arc<OpenRound<S>>| {
            it.is_lasting() == round.is_lasting() && it.is_charged_to(&operator)
        };
        match rounds.values().filter(is_charged).count() < limit {
            true => Ok(()),
            false => Err(AggregateError::Full(limit)),
        }
    }

    /// The newest rounds, newest first.
    pub(super) fn newest(&self, most: usize) -> Vec<Arc<OpenRound<S>>> {
        let mut rounds: Vec<_> = lock(&self.rounds).values().cloned().collect();
        rounds.sort_by_key(|round| Reverse(round.opened()));
        rounds.truncate(most);
        rounds
    }

    /// The rounds that are over.
    pub(super) fn over(&self) -> Vec<Arc<OpenRound<S>>> {
        let rounds = lock(&self.rounds);
        let over = rounds.values().filter(|round| round.is_over(self.lifetime));
        over.cloned().collect()
    }

    /// At most so many rounds of which L1 may know more than is known here, the oldest first.
    pub(super) fn in_question(&self, most: usize) -> Vec<Arc<OpenRound<S>>> {
        let rounds = lock(&self.rounds);
        let due = rounds.values().filter(|round| round.is_question_due());
        let mut due: Vec<_> = due.cloned().collect();
        due.sort_by_key(|round| round.opened());
        due.truncate(most);
        due
    }

    /// Forgets all of them: another instance works on them.
    pub(super) fn clear(&self) {
        lock(&self.rounds).clear();
    }

    /// Takes out this round.
    pub(super) fn remove(&self, digest: &B256, round: &Arc<OpenRound<S>>) {
        let mut rounds = lock(&self.rounds);
        if (rounds.get(digest)).is_some_and(|known| Arc::ptr_eq(known, round)) {
            rounds.remove(digest);
        }
    }

    /// Whether a round has to go before another fits in.
    pub(super) fn is_full(&self) -> bool {
        let rounds = lock(&self.rounds);
        rounds.len() >= self.limit && !rounds.values().any(|round| round.is_put_away())
    }

    /// Of the rounds that go on beyond their lifetime, the one that comes back with the least effort: those
    /// with a certificate last, then the one with the fewest signers, then the oldest.
    pub(super) fn least(&self) -> Option<Arc<OpenRound<S>>> {
        let rounds = lock(&self.rounds);
        let outlived = (rounds.values()).filter(|round| round.has_outlived(self.lifetime));
        outlived
            .min_by_key(|round| (round.is_certified(), round.signers(), round.opened()))
            .cloned()
    }

    /// Whether a closed round may be brought back only to be shown.
    pub(super) fn has_room_for_closed(&self) -> bool {
        let rounds = lock(&self.rounds);
        let closed = rounds.values().filter(|round| round.is_put_away());
        closed.count() < MAX_CLOSED && rounds.len() < self.limit / 2
    }

    /// Keeps a closed round, unless the statement has one.
    pub(super) fn show(&self, round: OpenRound<S>) {
        let mut rounds = lock(&self.rounds);
        (rounds.entry(round.digest())).or_insert_with(|| Arc::new(round));
    }

    /// Number of rounds, open or closed.
    pub(super) fn len(&self) -> usize {
        lock(&self.rounds).len()
    }

    /// Makes sure that one more round fits in, at the cost of the oldest that the store has as closed. A
    /// round that operators signed stays until it is over.
    fn make_room(
        &self,
        rounds: &mut HashMap<B256, Arc<OpenRound<S>>>,
    ) -> Result<(), AggregateError> {
        let closed = || rounds.iter().filter(|(_, round)| round.is_put_away());
        if rounds.len() >= self.limit || closed().count() >= MAX_CLOSED {
            let oldest = closed().min_by_key(|(_, round)| round.opened());
            if let Some(digest) = oldest.map(|(digest, _)| *digest) {
                rounds.remove(&digest);
            }
        }
        if rounds.len() >= self.limit {
            return Err(AggregateError::Full(self.limit));
        }
        Ok(())
    }
}

/// A round that is kept.
pub(super) enum Inserted<S: Scheme> {
    New(Arc<OpenRound<S>>),
    Known(Arc<OpenRound<S>>),
}

/// A thread that panicked with the lock has left whole values behind: none is changed in parts.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
