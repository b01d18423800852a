//! Events on their way to whoever listens.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::broadcast;

use super::view::{EventRecord, FinalityEvent};

/// Events that are kept for those who reconnect, and that may wait for a listener.
const KEPT: usize = 1024;
/// Ids of one millisecond: enough for a million events in each second that a process ran.
const IDS_PER_MILLISECOND: u64 = 1 << 10;

/// Gives each event its number and hands it out.
#[derive(Debug)]
pub(super) struct Hub(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    last: u64,
    recent: VecDeque<Arc<EventRecord>>,
    sender: broadcast::Sender<Arc<EventRecord>>,
}

/// A place in the stream of events.
#[derive(Debug)]
pub(super) struct Subscription {
    /// What comes first.
    pub(super) missed: Vec<Arc<EventRecord>>,
    /// What comes then.
    pub(super) receiver: broadcast::Receiver<Arc<EventRecord>>,
}

impl Hub {
    /// Ids start above those of any earlier process, or below them if the clock has gone back since: what
    /// an earlier one said last is not taken for one of these, and is answered with a snapshot. They stay below
    /// 2^53, so that JavaScript reads them.
    pub(super) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::at(since.unwrap_or_default())
    }

    /// As if it began so long after 1970.
    fn at(since: Duration) -> Self {
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or_default();
        Self(Mutex::new(Inner {
            last: milliseconds.saturating_mul(IDS_PER_MILLISECOND),
            recent: VecDeque::new(),
            sender: broadcast::Sender::new(KEPT),
        }))
    }

    pub(super) fn send(&self, event: FinalityEvent) {
        let mut inner = self.lock();
        inner.last += 1;
        let id = inner.last;
        let record = Arc::new(EventRecord { id, event });
        if inner.recent.len() >= KEPT {
            inner.recent.pop_front();
        }
        inner.recent.push_back(Arc::clone(&record));
        // An error says that nobody listens.
        let _ = inner.sender.send(record);
    }

    /// Everything after the event `last`; where that is not known any more, `snapshot` and everything
    /// after it.
    pub(super) fn subscribe(
        &self,
        last: Option<u64>,
        snapshot: impl FnOnce() -> FinalityEvent,
    ) -> Subscription {
        let inner = self.lock();
        let receiver = inner.sender.subscribe();
        let oldest = inner.recent.front().map_or(inner.last + 1, |it| it.id);
        let is_known = |last: &u64| *last <= inner.last && *last + 1 >= oldest;
        let missed = match last.filter(is_known) {
            Some(last) => {
                let missed = inner.recent.iter().filter(|it| it.id > last);
                missed.cloned().collect()
            }
            None => vec![Arc::new(EventRecord {
                id: inner.last,
                event: snapshot(),
            })],
        };
        Subscription { missed, receiver }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finality::Heads;

    fn head(rollup: u64) -> FinalityEvent {
        FinalityEvent::Head {
            rollup,
            heads: Heads::default(),
        }
    }

    fn snapshot() -> FinalityEvent {
        FinalityEvent::Snapshot {
            rollups: Vec::new(),
        }
    }

    #[test]
    fn who_reconnects_gets_what_it_missed() {
        let hub = Hub::new();
        for rollup in 0..5 {
            hub.send(head(rollup));
        }
        let first = hub.subscribe(None, snapshot).missed;
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].event, snapshot());
        let newest = first[0].id;

        let missed = hub.subscribe(Some(newest - 2), snapshot).missed;
        let missed: Vec<_> = missed.iter().map(|it| it.event.clone()).collect();
        assert_eq!(missed, [head(3), head(4)]);
        assert!(hub.subscribe(Some(newest), snapshot).missed.is_empty());
        // From before this process, from nowhere.
        for unknown in [0, newest - 6, newest + 1, u64::MAX] {
            let missed = hub.subscribe(Some(unknown), snapshot).missed;
            assert_eq!(missed[0].event, snapshot(), "{unknown}");
        }
    }

    /// A process that is started again at once, or whose clock went forward or back by an hour.
    #[test]
    fn what_another_process_said_last_is_answered_with_a_snapshot() {
        let began = Duration::from_secs(1_800_000_000);
        let hour = Duration::from_secs(3600);
        let before = Hub::at(began);
        for rollup in 0..5 {
            before.send(head(rollup));
        }
        let heard = before.subscribe(None, snapshot).missed[0].id;
        for again in [
            began + Duration::from_millis(20),
            began + hour,
            began - hour,
        ] {
            let after = Hub::at(again);
            for rollup in 0..9 {
                after.send(head(rollup));
            }
            let missed = after.subscribe(Some(heard), snapshot).missed;
            assert_eq!(missed[0].event, snapshot(), "{again:?}");
            assert!(missed[0].id < 1 << 53);
        }
    }

    #[test]
    fn what_nobody_hears_is_bounded() {
        let hub = Hub::new();
        let mut slow = hub.subscribe(None, snapshot).receiver;
        for rollup in 0..=KEPT as u64 {
            hub.send(head(rollup));
        }
        let lagged = slow.try_recv();
        let is_lagged = matches!(lagged, Err(broadcast::error::TryRecvError::Lagged(_)));
        assert!(is_lagged, "{lagged:?}");
        assert_eq!(hub.lock().recent.len(), KEPT);
    }
}
