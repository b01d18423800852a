//! Where the time of a verdict goes.

use core::{cell::Cell, time::Duration};
use std::{rc::Rc, sync::LazyLock, time::Instant};

/// What verification spent its time on.
///
/// Wall time of one thread. Every moment counts for one phase, so the sum is the whole.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Hashing the witness: what is found in it is found by its hash.
    pub keccak: Duration,
    /// Decoding transactions and recovering their senders.
    pub recovery: Duration,
    /// Executing transactions, and what no other phase names.
    pub evm: Duration,
    /// Reading accounts, slots and codes: decoding trie nodes, analysing code.
    pub trie: Duration,
    /// Roots of the transactions, the state after them and the receipts, and the bloom.
    pub roots: Duration,
}

impl Phases {
    /// All phases together.
    pub fn total(&self) -> Duration {
        self.keccak + self.recovery + self.evm + self.trie + self.roots
    }
}

/// One of the [`Phases`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Phase {
    Keccak,
    Recovery,
    #[default]
    Evm,
    Trie,
    Roots,
}

/// Time since some moment in the past.
pub(crate) fn clock() -> Duration {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    STARTED.elapsed()
}

/// Counts the time of each phase.
#[derive(Debug)]
struct Stopwatch {
    clock: fn() -> Duration,
    phases: Cell<Phases>,
    phase: Cell<Phase>,
    since: Cell<Duration>,
}

impl Stopwatch {
    fn start(clock: fn() -> Duration) -> Self {
        Self {
            clock,
            phases: Cell::default(),
            phase: Cell::default(),
            since: Cell::new(clock()),
        }
    }

    /// Ends a phase, begins the next and says which one ended.
    fn switch(&self, next: Phase) -> Phase {
        let now = (self.clock)();
        let phase = self.phase.replace(next);
        let spent = now.saturating_sub(self.since.replace(now));
        let mut phases = self.phases.get();
        *match phase {
            Phase::Keccak => &mut phases.keccak,
            Phase::Recovery => &mut phases.recovery,
            Phase::Evm => &mut phases.evm,
            Phase::Trie => &mut phases.trie,
            Phase::Roots => &mut phases.roots,
        } += spent;
        self.phases.set(phases);
        phase
    }
}

/// A stopwatch that may be absent, and then costs one comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Option<Rc<Stopwatch>>);

impl Watch {
    pub(crate) fn start(clock: fn() -> Duration) -> Self {
        Self(Some(Rc::new(Stopwatch::start(clock))))
    }

    /// Ends the phase and gives all of them; nothing if there is no stopwatch.
    pub(crate) fn phases(&self) -> Phases {
        let Some(stopwatch) = &self.0 else {
            return Phases::default();
        };
        stopwatch.switch(stopwatch.phase.get());
        stopwatch.phases.get()
    }

    /// Counts `work` as `phase`.
    pub(crate) fn during<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let Some(stopwatch) = &self.0 else {
            return work();
        };
        let around = stopwatch.switch(phase);
        let result = work();
        stopwatch.switch(around);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_counts_once() {
        let started = Instant::now();
        let watch = Watch::start(clock);
        let nap = || std::thread::sleep(Duration::from_millis(2));
        watch.during(Phase::Roots, || {
            nap();
            watch.during(Phase::Trie, nap);
            nap();
        });
        let phases = watch.phases();
        assert!(phases.total() <= started.elapsed());
        assert!(phases.roots >= Duration::from_millis(4), "{phases:?}");
        assert!(phases.trie >= Duration::from_millis(2), "{phases:?}");
        assert_eq!(phases.keccak + phases.recovery, Duration::ZERO);
        // Nothing is left to the default but what passed between the calls.
        assert_eq!(phases.total() - phases.roots - phases.trie, phases.evm);
        assert_eq!(Watch::default().during(Phase::Evm, || 7), 7);
    }
}
