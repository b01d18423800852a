//! Whether an aggregator answers.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{MAX_SENDING, queue::Entry};

/// What one aggregator is being sent at a time.
///
/// One that lets wait is sent one attestation at a time, to see whether it is back: the others do not wait with
/// it. Alerts have places of their own, so that attestations that are stuck take none.
#[derive(Debug)]
pub(super) struct Reach {
    is_slow: AtomicBool,
    alerts: Semaphore,
    attestations: Semaphore,
    probe: Semaphore,
}

impl Reach {
    pub(super) const fn new() -> Self {
        Self {
            is_slow: AtomicBool::new(false),
            alerts: Semaphore::const_new(2 * MAX_SENDING),
            attestations: Semaphore::const_new(MAX_SENDING),
            probe: Semaphore::const_new(1),
        }
    }

    /// A place for a statement on its way to it, if there is one now.
    pub(super) fn place(&self, entry: &Entry) -> Option<SemaphorePermit<'_>> {
        if !entry.is_attestation() {
            return self.alerts.try_acquire().ok();
        }
        let place = match self.is_slow.load(Relaxed) {
            true => None,
            false => self.attestations.try_acquire().ok(),
        };
        place.or_else(|| self.probe.try_acquire().ok())
    }

    /// Takes that it lets wait. Answers whether that is new.
    pub(super) fn note_late(&self) -> bool {
        !self.is_slow.swap(true, Relaxed)
    }

    /// Takes that it answers. Answers whether that is new.
    pub(super) fn note_there(&self) -> bool {
        self.is_slow.swap(false, Relaxed)
    }
}
