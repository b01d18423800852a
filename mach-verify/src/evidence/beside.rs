//! Bundles that are made beside.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// Bundles that are made beside at once; each has a block and its witness in memory.
const MAX_BESIDE: usize = 8;

/// The bundles that an [`EvidenceValidator`](super::EvidenceValidator) is making: those of a process
/// that ends before them are lost.
#[derive(Clone, Debug, Default)]
pub struct PendingEvidence(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    count: usize,
    waiting: Vec<Waker>,
}

impl PendingEvidence {
    /// Returns when none is being made any more.
    pub async fn finished(&self) {
        poll_fn(|context| {
            let mut pending = self.lock();
            if pending.count == 0 {
                return Poll::Ready(());
            }
            let waker = context.waker();
            if !pending.waiting.iter().any(|known| known.will_wake(waker)) {
                pending.waiting.push(waker.clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// One of so many that may be made, until it is dropped.
    pub(super) fn place(&self) -> Option<Place> {
        let mut pending = self.lock();
        if pending.count == MAX_BESIDE {
            return None;
        }
        pending.count += 1;
        Some(Place(self.clone()))
    }

    /// Never held while something is waited for.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Place(PendingEvidence);

impl Drop for Place {
    fn drop(&mut self) {
        let waiting = {
            let mut pending = self.0.lock();
            pending.count = pending.count.saturating_sub(1);
            if pending.count > 0 {
                return;
            }
            std::mem::take(&mut pending.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_hears_of_the_last() {
        let pending = PendingEvidence::default();
        pending.finished().await;
        let mut places: Vec<_> = std::iter::repeat_with(|| pending.place())
            .map_while(|place| place)
            .collect();
        assert_eq!(places.len(), MAX_BESIDE);
        let waiting = tokio::spawn({
            let pending = pending.clone();
            async move { pending.finished().await }
        });
        tokio::task::yield_now().await;
        let last = places.pop();
        drop(places);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(last);
        waiting.await.unwrap();
    }
}
