//! Several endpoints that have to say the same.

mod evidence;
mod health;
mod ports;
#[cfg(test)]
mod tests;
mod vote;

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy_primitives::B256;

use self::health::Health;

pub use evidence::{Disagreement, Matter, QuorumError};
pub use health::EndpointHealth;

/// Endpoints of one chain, of which so many have to agree.
///
/// Blocks, headers and heads are what enough endpoints say. An endpoint that lags, fails, hangs or
/// lies is outvoted: as long as enough others agree it costs nothing but a moment, and the memory for one
/// answer, whose bytes and lists are bounded. If too few have
/// a block yet, it is [`SourceError::NotYet`](mach_core::ports::SourceError::NotYet); who says something else than the quorum is kept as a
/// [`Disagreement`] and logged. Witnesses and receipts prove themselves, so any endpoint will do: those
/// that work are asked first, and share the witnesses.
///
/// An endpoint that fails rests, for twice as long each time, unless it is needed.
#[derive(Clone, Debug)]
pub struct Quorum<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    endpoints: Vec<Endpoint<S>>,
    needed: usize,
    disagreements: Mutex<VecDeque<Disagreement>>,
    /// Blocks whose witness was asked for last, and whom was asked first, oldest first.
    witnesses: Mutex<VecDeque<(B256, usize)>>,
    /// How many witnesses were asked for.
    turns: AtomicUsize,
}

#[derive(Debug)]
struct Endpoint<S> {
    label: String,
    source: S,
    health: Mutex<Health>,
}

impl<S> Quorum<S> {
    /// `needed` of the endpoints have to agree; each is shown by its label, which holds no secret.
    ///
    /// Errors: [`QuorumError::Impossible`] if there are fewer endpoints.
    pub fn new(
        needed: NonZeroUsize,
        endpoints: impl IntoIterator<Item = (String, S)>,
    ) -> Result<Self, QuorumError> {
        let endpoints: Vec<_> = endpoints
            .into_iter()
            .map(|(label, source)| Endpoint {
                label,
                source,
                health: Mutex::default(),
            })
            .collect();
        let needed = needed.get();
        if endpoints.len() < needed {
            return Err(QuorumError::Impossible {
                endpoints: endpoints.len(),
                needed,
            });
        }
        Ok(Self(Arc::new(Inner {
            endpoints,
            needed,
            disagreements: Mutex::default(),
            witnesses: Mutex::default(),
            turns: AtomicUsize::new(0),
        })))
    }

    /// More than half of the endpoints have to agree.
    ///
    /// Errors: [`QuorumError::Impossible`] without endpoints.
    pub fn majority(endpoints: impl IntoIterator<Item = (String, S)>) -> Result<Self, QuorumError> {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let needed = NonZeroUsize::MIN.saturating_add(endpoints.len() / 2);
        Self::new(needed, endpoints)
    }

    /// Who said something else than the quorum, oldest first, each handed out once. The newest 1,024
    /// are kept.
    pub fn take_disagreements(&self) -> Vec<Disagreement> {
        lock(&self.0.disagreements).drain(..).collect()
    }

    /// How each endpoint does, in the order in which they were given.
    pub fn health(&self) -> Vec<EndpointHealth> {
        (self.0.endpoints.iter())
            .map(|endpoint| lock(&endpoint.health).shown(&endpoint.label))
            .collect()
    }

    /// The endpoint whose chain is that of the quorum.
    fn first(&self) -> Option<&S> {
        self.0.endpoints.first().map(|endpoint| &endpoint.source)
    }

    /// Whose turn it is of those that do best.
    fn turn(&self) -> usize {
        let ranks = (self.0.endpoints.iter()).map(|endpoint| lock(&endpoint.health).rank());
        let mut ranks: Vec<_> = ranks.collect();
        ranks.sort_unstable();
        let best = ranks.iter().take_while(|it| Some(*it) == ranks.first());
        self.0.turns.fetch_add(1, Ordering::Relaxed) % best.count().max(1)
    }

    /// Endpoints that are not resting, best first; all if those do not suffice.
    fn order(&self, needed: usize) -> Vec<usize> {
        let mut ready: Vec<_> = (self.0.endpoints.iter().enumerate())
            .map(|(index, endpoint)| (lock(&endpoint.health).rank(), index))
            .collect();
        ready.sort_unstable();
        let resting = ready.iter().filter(|(rank, _)| rank.is_resting).count();
        let keep = if ready.len() - resting < needed {
            ready.len()
        } else {
            ready.len() - resting
        };
        ready
            .into_iter()
            .take(keep)
            .map(|(_, index)| index)
            .collect()
    }
}

/// Nothing can panic between two writes, so what a lock guards is never half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
