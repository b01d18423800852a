//! The order in which statements are sent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use alloy_primitives::B256;
use mach_core::Statement;
use tokio::time::Instant;

/// The shortest and the longest wait before a statement is sent again.
const DELAYS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// A statement on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) statement: Statement,
    /// Seconds since 1970.
    pub(super) queued_at: u64,
    /// Aggregators that took or refused it, by their position.
    pub(super) settled: BTreeSet<usize>,
    pub(super) is_accepted: bool,
    failures: u32,
}

impl Entry {
    pub(super) const fn new(statement: Statement, queued_at: u64) -> Self {
        Self {
            statement,
            queued_at,
            settled: BTreeSet::new(),
            is_accepted: false,
            failures: 0,
        }
    }

    pub(super) const fn is_first_failure(&self) -> bool {
        self.failures == 0
    }
}

/// Alerts before attestations, then as they came.
type Place = (bool, u64);

/// Statements that wait, and which of them are being sent.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BTreeMap<Place, (B256, Entry)>,
    /// Those that are sent again, by the time when.
    delayed: BTreeMap<(Instant, Place), (B256, Entry)>,
    /// Of all that wait or are being sent.
    places: HashMap<B256, Place>,
    next: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn contains(&self, digest: &B256) -> bool {
        self.places.contains_key(digest)
    }

    /// Answers `false` if it is there already.
    pub(super) fn push(&mut self, digest: B256, entry: Entry) -> bool {
        if self.contains(&digest) {
            return false;
        }
        let is_attestation = matches!(entry.statement, Statement::Attestation(_));
        let place = (is_attestation, self.next);
        self.next += 1;
        self.places.insert(digest, place);
        self.ready.insert(place, (digest, entry));
        true
    }

    /// The first that is due; it stays known until it is [`Self::done`].
    pub(super) fn take_due(&mut self) -> Option<(B256, Entry)> {
        let now = Instant::now();
        while let Some(first) = self.delayed.first_entry().filter(|it| it.key().0 <= now) {
            let ((_, place), waiting) = first.remove_entry();
            self.ready.insert(place, waiting);
        }
        self.ready.pop_first().map(|(_, waiting)| waiting)
    }

    /// To be sent again, later each time.
    pub(super) fn put_back(&mut self, digest: B256, mut entry: Entry) {
        let Some(place) = self.places.get(&digest) else {
            return;
        };
        let (shortest, longest) = DELAYS;
        let delay = shortest.saturating_mul(1 << entry.failures.min(16));
        entry.failures = entry.failures.saturating_add(1);
        let due = Instant::now() + delay.min(longest);
        self.delayed.insert((due, *place), (digest, entry));
    }

    pub(super) fn done(&mut self, digest: &B256) {
        self.places.remove(digest);
    }

    /// Takes the oldest attestation out that is not being sent.
    pub(super) fn give_up(&mut self) -> Option<B256> {
        let ready = (self.ready.range((true, 0)..).next()).map(|(place, _)| *place);
        let delayed = (self.delayed.keys())
            .filter(|(_, place)| place.0)
            .min_by_key(|it| it.1);
        let delayed = delayed.copied();
        let is_ready = match (ready, delayed) {
            (Some(ready), Some((_, delayed))) => ready < delayed,
            (ready, _) => ready.is_some(),
        };
        let (digest, _) = if is_ready {
            self.ready.remove(&ready?)?
        } else {
            self.delayed.remove(&delayed?)?
        };
        self.places.remove(&digest);
        Some(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use mach_core::{Alert, AlertKind, Attestation, BlockRef};

    fn digest(number: u64) -> B256 {
        U256::from(number).into()
    }

    fn attestation(number: u64) -> Entry {
        let block = BlockRef {
            number,
            hash: digest(number),
        };
        let attestation = Attestation {
            rollup_chain_id: 10,
            block,
            state_root: B256::ZERO,
            output_root: B256::ZERO,
        };
        Entry::new(attestation.into(), 0)
    }

    fn alert(number: u64) -> Entry {
        let block = attestation(number).statement.block();
        let alert = Alert {
            kind: AlertKind::InvalidBlock,
            rollup_chain_id: 10,
            block,
            rule: 1,
            claimed: B256::ZERO,
            computed: B256::ZERO,
        };
        Entry::new(alert.into(), 0)
    }

    fn due(queue: &mut Queue) -> Vec<u64> {
        let due = std::iter::from_fn(|| queue.take_due());
        due.map(|(_, entry)| entry.statement.block().number)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn alerts_go_first_and_failures_wait() {
        let mut queue = Queue::default();
        assert!(queue.push(digest(1), attestation(1)));
        assert!(queue.push(digest(2), alert(2)));
        assert!(queue.push(digest(3), attestation(3)));
        assert!(!queue.push(digest(3), attestation(3)));
        assert_eq!(due(&mut queue), [2, 1, 3]);
        // Known while they are being sent.
        assert!(!queue.push(digest(1), attestation(1)));
        queue.done(&digest(3));
        queue.put_back(digest(1), attestation(1));
        queue.put_back(digest(2), alert(2));
        assert_eq!((due(&mut queue), queue.len()), (vec![], 2));
        tokio::time::advance(DELAYS.0).await;
        assert_eq!(due(&mut queue), [2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_attestation_is_given_up_and_no_alert() {
        let mut queue = Queue::default();
        for number in 1..=3 {
            queue.push(digest(number), attestation(number));
        }
        queue.push(digest(4), alert(4));
        let (sent, entry) = queue.take_due().unwrap();
        assert_eq!(sent, digest(4));
        queue.put_back(sent, entry);
        let (sent, entry) = queue.take_due().unwrap();
        queue.put_back(sent, entry);
        // 1 waits to be sent again, 2 and 3 for the first time.
        let given_up: Vec<_> = std::iter::from_fn(|| queue.give_up()).collect();
        assert_eq!(given_up, [digest(1), digest(2), digest(3)]);
        assert_eq!(queue.len(), 1);
    }
}
