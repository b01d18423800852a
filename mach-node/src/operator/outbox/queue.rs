//! The order in which statements are sent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::B256;
use mach_core::{Statement, ports::L1Standing};
use rand::Rng;
use tokio::time::Instant;

use super::super::Signed;

/// The shortest and the longest wait before a statement is sent again to an aggregator that did not take
/// it.
const DELAYS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// The same for one that has it, and no certificate yet.
const PACES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));
/// Between two statements that are sent to aggregators that have them, and how many may come at once.
const GAP: Duration = Duration::from_millis(20);
const BURST: u32 = 50;

/// How long L1 has to say the same before an alert is settled by it: longer than 64 blocks, which is as long as
/// aggregators look again.
const SETTLES_AFTER: Duration = Duration::from_secs(64 * 12);

/// A statement on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) statement: Statement,
    /// Since when this process has it.
    pub(super) queued: Instant,
    /// Made once: a remote signer is not asked again for what it has signed.
    pub(super) signed: Arc<Signed>,
    /// Aggregators that need it no more or refused it, by their position.
    pub(super) settled: BTreeSet<usize>,
    /// Those that are asked again at leisure: they have it and wait for others to sign, or for L1, or do not
    /// take it as things are.
    pub(super) at_leisure: BTreeSet<usize>,
    /// Those that have not answered yet.
    pub(super) asked: BTreeSet<usize>,
    /// Whether some aggregator has taken it.
    pub(super) is_accepted: bool,
    /// Whether there is a certificate somewhere.
    pub(super) is_certified: bool,
    /// What L1 says of it, and since when.
    on_l1: Option<(L1Standing, Instant)>,
    failures: u32,
    reminders: u32,
    /// When those that have it are asked again.
    remind_at: Option<Instant>,
}

impl Entry {
    pub(super) fn new(statement: Statement) -> Self {
        Self {
            statement,
            queued: Instant::now(),
            signed: Arc::default(),
            settled: BTreeSet::new(),
            at_leisure: BTreeSet::new(),
            asked: BTreeSet::new(),
            is_accepted: false,
            is_certified: false,
            on_l1: None,
            failures: 0,
            reminders: 0,
            remind_at: None,
        }
    }

    pub(super) const fn is_first_failure(&self) -> bool {
        self.failures == 0
    }

    pub(super) const fn is_attestation(&self) -> bool {
        matches!(self.statement, Statement::Attestation(_))
    }

    /// Whether it is an alert, and somebody who has it is to be asked now.
    pub(super) fn is_alert_to_remind(&self) -> bool {
        let is_due = self.remind_at.is_some_and(|at| at <= Instant::now());
        !self.is_attestation() && is_due && !self.at_leisure.is_empty()
    }

    /// Notes what L1 says; gives it, if the alert is there or was.
    pub(super) fn hear(&mut self, standing: L1Standing) -> Option<L1Standing> {
        if self.on_l1.is_none_or(|(before, _)| before != standing) {
            self.on_l1 = Some((standing, Instant::now()));
        }
        (standing != L1Standing::Absent).then_some(standing)
    }

    /// Whether L1 has said for long enough that the alert is there, or was.
    pub(super) fn is_settled_on_l1(&self) -> bool {
        self.on_l1.is_some_and(|(standing, since)| {
            standing != L1Standing::Absent && since.elapsed() >= SETTLES_AFTER
        })
    }

    /// Of so many aggregators those that it is to be sent to now.
    pub(super) fn waiting(&self, count: usize) -> Vec<usize> {
        let is_due = self.remind_at.is_none_or(|at| at <= Instant::now());
        let waits = |index: &usize| {
            !self.settled.contains(index)
                && !self.asked.contains(index)
                && (is_due || !self.at_leisure.contains(index))
        };
        (0..count).filter(waits).collect()
    }

    /// When it is to be sent again: soon to those of `count` aggregators that did not take it, at leisure to
    /// those that have it. The times grow, and differ from operator to operator.
    fn due(&mut self, count: usize) -> Instant {
        let now = Instant::now();
        let after = |(shortest, longest): (Duration, Duration), times: u32| {
            shortest.saturating_mul(1 << times.min(16)).min(longest)
        };
        if self.at_leisure.is_empty() {
            self.remind_at = None;
        } else if self.remind_at.is_none_or(|at| at <= now) {
            let pace = after(PACES, self.reminders);
            self.reminders = self.reminders.saturating_add(1);
            let part = rand::rng().random_range(0.75..1.25);
            self.remind_at = Some(now + pace.mul_f64(part));
        }
        if self.settled.len() + self.at_leisure.len() >= count {
            return self.remind_at.unwrap_or(now);
        }
        let delay = after(DELAYS, self.failures);
        self.failures = self.failures.saturating_add(1);
        let again = now + delay;
        self.remind_at.map_or(again, |at| at.min(again))
    }
}

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Alert,
    Attestation,
    /// Some aggregator has it already.
    Reminder,
}

/// Classes one after the other, then as they came.
type Place = (Class, u64);

/// Statements that wait, and which of them are being sent.
#[derive(Debug)]
pub(super) struct Queue {
    ready: BTreeMap<Place, (B256, Entry)>,
    /// Those that are sent again, by the time when.
    delayed: BTreeMap<(Instant, Place), (B256, Entry)>,
    /// Of all that wait or are being sent, how many came before.
    places: HashMap<B256, u64>,
    /// Those of them whose rows are being removed.
    leaving: HashSet<B256>,
    next: u64,
    /// When the next reminder may go.
    remind_at: Instant,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            ready: BTreeMap::new(),
            delayed: BTreeMap::new(),
            places: HashMap::new(),
            leaving: HashSet::new(),
            next: 0,
            remind_at: Instant::now(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many some aggregator has, without a certificate yet.
    pub(super) fn held(&self) -> usize {
        let waiting = self.ready.values().chain(self.delayed.values());
        (waiting.filter(|(_, entry)| entry.is_accepted && !entry.is_certified)).count()
    }

    pub(super) fn contains(&self, digest: &B256) -> bool {
        self.places.contains_key(digest)
    }

    pub(super) fn is_leaving(&self, digest: &B256) -> bool {
        self.leaving.contains(digest)
    }

    /// Answers `false` if it is there already.
    pub(super) fn push(&mut self, digest: B256, entry: Entry) -> bool {
        if self.contains(&digest) {
            return false;
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(digest, place);
        self.ready.insert((class(&entry), place), (digest, entry));
        true
    }

    /// The first that is due; it stays known until it is [`Self::gone`].
    pub(super) fn take_due(&mut self) -> Option<(B256, Entry)> {
        let now = Instant::now();
        self.ripen(now);
        let first = self.ready.first_entry()?;
        if first.key().0 == Class::Reminder {
            if self.remind_at > now {
                return None;
            }
            let earliest = now.checked_sub(GAP * BURST).unwrap_or(now);
            self.remind_at = self.remind_at.max(earliest) + GAP;
        }
        Some(first.remove())
    }

    /// The same, if it is an alert that no aggregator has.
    pub(super) fn take_due_alert(&mut self) -> Option<(B256, Entry)> {
        self.ripen(Instant::now());
        let first = self.ready.first_entry()?;
        (first.key().0 == Class::Alert).then(|| first.remove())
    }

    /// This one, due or not, unless it is being sent or leaves.
    pub(super) fn take(&mut self, digest: &B256) -> Option<Entry> {
        let place = *self.places.get(digest)?;
        self.pull(place).map(|(_, entry)| entry)
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(first) = self.delayed.first_entry().filter(|it| it.key().0 <= now) {
            let ((_, place), waiting) = first.remove_entry();
            self.ready.insert(place, waiting);
        }
    }

    /// To be sent again to those of `count` aggregators that have not settled it, later each time.
    pub(super) fn put_back(&mut self, digest: B256, mut entry: Entry, count: usize) {
        let Some(place) = self.places.get(&digest) else {
            return;
        };
        let due = entry.due(count);
        let place = (class(&entry), *place);
        self.delayed.insert((due, place), (digest, entry));
    }

    /// Takes that the row of one that was taken is being removed.
    pub(super) fn leave(&mut self, digest: &B256) {
        self.leaving.insert(*digest);
    }

    /// Takes that its row is removed, unless it stays after all.
    pub(super) fn gone(&mut self, digest: &B256) {
        if self.leaving.remove(digest) {
            self.places.remove(digest);
        }
    }

    /// Takes back that one leaves.
    pub(super) fn stay(&mut self, digest: B256, entry: Entry) {
        if self.leaving.remove(&digest)
            && let Some(place) = self.places.get(&digest)
        {
            self.ready.insert((class(&entry), *place), (digest, entry));
        }
    }

    /// Has the oldest attestation leave that is not being sent, or if there is none the oldest alert that
    /// some aggregator has.
    pub(super) fn give_up(&mut self) -> Option<(B256, Entry)> {
        let place = (self.oldest(Entry::is_attestation))
            .or_else(|| self.oldest(|entry| entry.is_accepted))?;
        let given_up = self.pull(place)?;
        self.leave(&given_up.0);
        Some(given_up)
    }

    fn pull(&mut self, place: u64) -> Option<(B256, Entry)> {
        let ready = self.ready.keys().find(|it| it.1 == place).copied();
        let delayed = self.delayed.keys().find(|it| it.1.1 == place).copied();
        let ready = ready.and_then(|key| self.ready.remove(&key));
        let delayed = delayed.and_then(|key| self.delayed.remove(&key));
        ready.or(delayed)
    }

    fn oldest(&self, which: impl Fn(&Entry) -> bool) -> Option<u64> {
        let ready = self.ready.iter().map(|(key, it)| (key.1, it));
        let delayed = self.delayed.iter().map(|(key, it)| (key.1.1, it));
        let waiting = ready.chain(delayed).filter(|(_, (_, entry))| which(entry));
        waiting.map(|(place, _)| place).min()
    }
}

const fn class(entry: &Entry) -> Class {
    match (&entry.statement, entry.is_accepted) {
        (_, true) => Class::Reminder,
        (Statement::Alert(_), false) => Class::Alert,
        (Statement::Attestation(_), false) => Class::Attestation,
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
        Entry::new(attestation.into())
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
        Entry::new(alert.into())
    }

    fn due(queue: &mut Queue) -> Vec<u64> {
        let due = std::iter::from_fn(|| queue.take_due());
        due.map(|(_, entry)| entry.statement.block().number)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn alerts_go_first_and_failures_wait() {
        let mut queue = Queue::new();
        assert!(queue.push(digest(1), attestation(1)));
        assert!(queue.push(digest(2), alert(2)));
        assert!(queue.push(digest(3), attestation(3)));
        assert!(!queue.push(digest(3), attestation(3)));
        assert_eq!(due(&mut queue), [2, 1, 3]);
        // Known while they are being sent.
        assert!(!queue.push(digest(1), attestation(1)));
        queue.leave(&digest(3));
        assert!(queue.contains(&digest(3)) && !queue.push(digest(3), attestation(3)));
        queue.gone(&digest(3));
        queue.put_back(digest(1), attestation(1), 1);
        queue.put_back(digest(2), alert(2), 1);
        assert_eq!((due(&mut queue), queue.len()), (vec![], 2));
        tokio::time::advance(DELAYS.0).await;
        assert_eq!(due(&mut queue), [2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_attestation_is_given_up_and_no_alert() {
        let mut queue = Queue::new();
        for number in 1..=3 {
            queue.push(digest(number), attestation(number));
        }
        queue.push(digest(4), alert(4));
        let (sent, entry) = queue.take_due().unwrap();
        assert_eq!(sent, digest(4));
        queue.put_back(sent, entry, 1);
        let (sent, entry) = queue.take_due().unwrap();
        queue.put_back(sent, entry, 1);
        // 1 waits to be sent again, 2 and 3 for the first time.
        let given_up = std::iter::from_fn(|| queue.give_up()).map(|(digest, _)| digest);
        assert_eq!(
            given_up.collect::<Vec<_>>(),
            [digest(1), digest(2), digest(3)]
        );
        for number in 1..=3 {
            queue.gone(&digest(number));
        }
        assert_eq!(queue.len(), 1);
        // Unless an aggregator has it.
        queue.push(digest(5), held(5));
        let (given_up, entry) = queue.give_up().unwrap();
        assert_eq!(given_up, digest(5));
        assert!(queue.give_up().is_none());
        // It stays after all.
        queue.stay(given_up, entry);
        queue.gone(&given_up);
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.give_up().unwrap().0, digest(5));
    }

    fn held(number: u64) -> Entry {
        let mut entry = alert(number);
        entry.is_accepted = true;
        entry.at_leisure.insert(0);
        entry
    }

    /// Of two aggregators one has it, and the other is away: the first is not asked as often.
    #[tokio::test(start_paused = true)]
    async fn who_has_it_is_reminded_at_leisure() {
        let (mut queue, begin) = (Queue::new(), Instant::now());
        queue.push(digest(1), held(1));
        let mut asked = [vec![], vec![]];
        while begin.elapsed() < Duration::from_secs(4000) {
            while let Some((digest, entry)) = queue.take_due() {
                for index in entry.waiting(2) {
                    asked[index].push(begin.elapsed().as_secs());
                }
                queue.put_back(digest, entry, 2);
            }
            tokio::time::advance(Duration::from_millis(250)).await;
        }
        // Half a minute, one, two, four, eight, and from then on a quarter of an hour, more or less.
        let [reminded, sent] = asked;
        let pauses: Vec<u64> = reminded.windows(2).map(|it| it[1] - it[0]).collect();
        let expected = [30, 60, 120, 240, 480, 900, 900, 900];
        for (pause, expected) in pauses.iter().zip(expected) {
            assert!(
                (expected * 3 / 4 - 1..=expected * 5 / 4 + 1).contains(pause),
                "{pauses:?}"
            );
        }
        assert!((6..=9).contains(&pauses.len()), "{pauses:?}");
        assert!(sent.len() > 250, "{}", sent.len());
    }

    #[tokio::test(start_paused = true)]
    async fn reminders_come_last_and_not_all_at_once() {
        let mut queue = Queue::new();
        for number in 0..1000 {
            queue.push(digest(number), held(number));
        }
        queue.push(digest(1000), attestation(1000));
        assert_eq!(queue.take_due().unwrap().0, digest(1000));
        let mut taken = 0;
        for _ in 0..100 {
            taken += std::iter::from_fn(|| queue.take_due()).count();
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!((450..=550).contains(&taken), "{taken} in ten seconds");
    }
}
