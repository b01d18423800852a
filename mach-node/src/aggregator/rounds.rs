//! The rounds of an aggregator in memory: one for a statement, bounded, expiring.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use mach_bls::Scheme;
use mach_core::{OperatorId, ports::AggregateError};

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

    /// Keeps a round, unless the statement has one: then that one is the answer.
    ///
    /// Errors: [`AggregateError::Full`].
    pub(super) fn insert(&self, round: OpenRound<S>) -> Result<Inserted<S>, AggregateError> {
        let digest = round.digest();
        let mut rounds = lock(&self.rounds);
        if let Some(known) = rounds.get(&digest) {
            return Ok(Inserted::Known(Arc::clone(known)));
        }
        if let Some(operator) = round.only_signer() {
            let alone = |round: &&Arc<OpenRound<S>>| round.only_signer() == Some(operator);
            if rounds.values().filter(alone).count() >= self.limit_per_operator {
                return Err(AggregateError::Full(self.limit_per_operator));
            }
        }
        self.make_room(&mut rounds)?;
        let round = Arc::new(round);
        rounds.insert(digest, Arc::clone(&round));
        Ok(Inserted::New(round))
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
        let aged = rounds.values().filter(|round| round.is_aged(self.lifetime));
        aged.min_by_key(|round| (round.is_certified(), round.signers(), round.opened()))
            .cloned()
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

/// Operator who is alone with a round.
pub(super) type OnlySigner = Option<OperatorId>;

/// A thread that panicked with the lock has left whole values behind: none is changed in parts.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
