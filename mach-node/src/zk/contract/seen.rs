//! Which of the numbered things on L1 were looked at.

use std::{collections::VecDeque, ops::Range};

use alloy_primitives::B256;
use futures::future::BoxFuture;

use super::{ZkContractError, published::AT_A_LOOK};

/// Most things that are told from those which may replace them: the newest.
const MAX_MARKS: usize = 1_024;

/// What tells one from another with the same number: when it came, and what it is.
pub(super) type Mark = (u64, B256);

/// What an answer about one is waited for with.
pub(super) type Marked<'a> = BoxFuture<'a, Result<Mark, ZkContractError>>;

/// How far a list was looked at that grows, and whose end may be replaced: the oracle deletes outputs and gives their
/// indexes to others, and L1 may be reorganised.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Number of the next one; none before the first look.
    pub(super) next: Option<u64>,
    /// Of the newest that were looked at, the last of them that before `next`.
    marks: VecDeque<Mark>,
    /// The same before there were fewer: where they are there again, it was a node that is behind.
    before: Option<(u64, VecDeque<Mark>)>,
}

impl Seen {
    /// Numbers of those to look at now, of `count`: at first the newest, and then those that are new or were replaced.
    ///
    /// Errors: as of `at`, which says what stands at a number.
    pub(super) async fn further<'a>(
        &mut self,
        count: u64,
        at: impl Fn(u64) -> Marked<'a>,
    ) -> Result<Range<u64>, ZkContractError> {
        let next = match self.next {
            None => count.saturating_sub(AT_A_LOOK),
            Some(next) => {
                let next = self.catch_up(next, count, &at).await?;
                if count < next && self.before.is_none() {
                    self.before = Some((next, self.marks.clone()));
                }
                let highest = self.before.as_ref().map_or(next, |(next, _)| *next);
                self.forget_replaced(next, count, at).await?;
                // However often a node says that there are none, nobody is set back to the first.
                let lowest = highest.saturating_sub(MAX_MARKS as u64);
                self.next.unwrap_or(next).min(count).max(lowest)
            }
        };
        self.next = Some(next);
        Ok(next..next.saturating_add(AT_A_LOOK).min(count).max(next))
    }

    /// The next one was looked at.
    pub(super) fn saw(&mut self, mark: Mark) {
        self.next = self.next.map(|next| next.saturating_add(1));
        self.marks.push_back(mark);
        if self.marks.len() > MAX_MARKS {
            self.marks.pop_front();
        }
    }

    /// Goes on from where it was before there were fewer, if those are there again, and says from where it goes on.
    async fn catch_up<'a>(
        &mut self,
        next: u64,
        count: u64,
        at: impl Fn(u64) -> Marked<'a>,
    ) -> Result<u64, ZkContractError> {
        let Some((before, marks)) = &self.before else {
            return Ok(next);
        };
        let last = before.saturating_sub(1);
        if count <= last {
            let Some(&(seen, _)) = marks.back() else {
                return Ok(next);
            };
            let later = later_than(seen, count, at).await?;
            if later == count {
                return Ok(next);
            }
            // A node that is behind knows of none that came later: there are fewer.
            self.before = None;
            if self.marks.back().is_some_and(|&(came, _)| came > seen) {
                return Ok(next);
            }
            let gone = next.saturating_sub(later);
            let left = (self.marks.len() as u64).saturating_sub(gone);
            self.marks
                .truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let next = next.min(later);
            self.next = Some(next);
            return Ok(next);
        }
        let is_there = Some(&at(last).await?) == marks.back();
        match self.before.take() {
            Some((before, marks)) if is_there => {
                self.marks = marks;
                self.next = Some(before);
                Ok(before)
            }
            _ => Ok(next),
        }
    }

    /// Goes back to the first that is another one by now, or that is gone: so are all behind it.
    async fn forget_replaced<'a>(
        &mut self,
        next: u64,
        count: u64,
        at: impl Fn(u64) -> Marked<'a>,
    ) -> Result<(), ZkContractError> {
        let first = next.saturating_sub(self.marks.len() as u64);
        // Mostly the last one stands, and with it all of them.
        let (mut standing, mut end) = (0, self.marks.len());
        let mut probe = end.saturating_sub(1);
        while standing < end {
            let index = first.saturating_add(probe as u64);
            if index < count && Some(&at(index).await?) == self.marks.get(probe) {
                standing = probe + 1;
            } else {
                end = probe;
            }
            probe = usize::midpoint(standing, end);
        }
        self.marks.truncate(standing);
        self.next = Some(first.saturating_add(standing as u64));
        Ok(())
    }
}

/// The first of `count` that came later than that; `count` if none did.
async fn later_than<'a>(
    time: u64,
    count: u64,
    at: impl Fn(u64) -> Marked<'a>,
) -> Result<u64, ZkContractError> {
    let (mut first, mut end) = (0, count);
    // Mostly it is none.
    let mut probe = count.saturating_sub(1);
    while first < end {
        let (came, _) = at(probe).await?;
        if came > time {
            end = probe;
        } else {
            first = probe + 1;
        }
        probe = u64::midpoint(first, end);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(numbers: Range<u64>, posted_at: u64) -> impl Iterator<Item = Mark> {
        numbers.map(move |number| (posted_at, B256::with_last_byte(number.to_le_bytes()[0])))
    }

    /// Looks until nothing is left; the numbers that were looked at.
    async fn looked(seen: &mut Seen, list: &[Mark]) -> Vec<u64> {
        let at = |index: u64| -> Marked<'_> {
            Box::pin(std::future::ready(
                Ok(list[usize::try_from(index).unwrap()]),
            ))
        };
        let mut looked = Vec::new();
        loop {
            let further = seen.further(list.len() as u64, at).await.unwrap();
            assert!(further.end - further.start <= AT_A_LOOK);
            if further.is_empty() {
                return looked;
            }
            for index in further {
                looked.push(index);
                seen.saw(list[usize::try_from(index).unwrap()]);
            }
        }
    }

    #[tokio::test]
    async fn what_is_new_or_was_replaced_is_looked_at_and_nothing_else() {
        for count in [0_u64, 1, 2, 63, 64, 200] {
            for kept in [0, 1, 2, 50, 62, 63, 64, 137, 199, 200] {
                for end in [kept, kept + 1, count, count + 70] {
                    if kept > count || end < kept || count.saturating_sub(kept) > AT_A_LOOK {
                        continue;
                    }
                    let before: Vec<Mark> = list(0..count, 5).collect();
                    let mut seen = Seen::default();
                    let first = count.saturating_sub(AT_A_LOOK);
                    assert_eq!(
                        looked(&mut seen, &before).await,
                        (first..count).collect::<Vec<_>>()
                    );
                    let after: Vec<Mark> = list(0..kept, 5).chain(list(kept..end, 6)).collect();
                    let again = looked(&mut seen, &after).await;
                    assert_eq!(
                        again,
                        (kept..end).collect::<Vec<_>>(),
                        "{count} {kept} {end}"
                    );
                    assert!(looked(&mut seen, &after).await.is_empty());
                }
            }
        }
    }

    /// More was replaced than is remembered: what is remembered is looked at again.
    #[tokio::test]
    async fn no_more_is_remembered_than_there_is_room_for() {
        let mut seen = Seen::default();
        assert!(looked(&mut seen, &[]).await.is_empty());
        let before: Vec<Mark> = list(0..5_000, 5).collect();
        assert_eq!(looked(&mut seen, &before).await.len(), 5_000);
        assert_eq!(seen.marks.len(), MAX_MARKS);
        let after: Vec<Mark> = list(0..5_000, 6).collect();
        let again = looked(&mut seen, &after).await;
        assert_eq!(again, (5_000 - MAX_MARKS as u64..5_000).collect::<Vec<_>>());
    }

    /// However often it says so, of none or of few.
    #[tokio::test]
    async fn a_node_that_is_behind_for_a_moment_sets_nobody_back() {
        let mut seen = Seen::default();
        assert!(looked(&mut seen, &[]).await.is_empty());
        let all: Vec<Mark> = list(0..5_001, 5).collect();
        let (last, before) = all.split_last().unwrap();
        assert_eq!(looked(&mut seen, before).await.len(), 5_000);
        for known in [0, 0, 1, 3_000, 4_500, 0] {
            let again = looked(&mut seen, &before[..known]).await;
            assert!(again.iter().all(|it| *it >= 5_000 - MAX_MARKS as u64));
            assert!(looked(&mut seen, before).await.is_empty(), "{known}");
        }
        assert!(looked(&mut seen, &[]).await.is_empty());
        assert_eq!(looked(&mut seen, &all).await, [5_000]);
        assert_eq!(seen.marks.back(), Some(last));
    }

    /// An oracle deletes more than are remembered, and goes on from there.
    #[tokio::test]
    async fn what_is_posted_behind_many_that_were_deleted_is_looked_at() {
        let mut seen = Seen::default();
        assert!(looked(&mut seen, &[]).await.is_empty());
        let before: Vec<Mark> = list(0..5_000, 5).collect();
        assert_eq!(looked(&mut seen, &before).await.len(), 5_000);
        assert!(looked(&mut seen, &before[..2_480]).await.is_empty());
        let after: Vec<Mark> = list(0..2_480, 5).chain(list(2_480..2_490, 6)).collect();
        assert_eq!(
            looked(&mut seen, &after).await,
            (2_480..2_490).collect::<Vec<_>>()
        );
        assert!(looked(&mut seen, &after).await.is_empty());
    }

    /// Fewer are there for a time, and then others in their places.
    #[tokio::test]
    async fn what_was_deleted_before_it_was_replaced_is_looked_at_again() {
        let mut seen = Seen::default();
        let before: Vec<Mark> = list(0..200, 5).collect();
        assert_eq!(looked(&mut seen, &before).await.len(), 64);
        // Fewer are left than are remembered.
        assert!(looked(&mut seen, &before[..100]).await.is_empty());
        let after: Vec<Mark> = list(0..100, 5).chain(list(100..230, 6)).collect();
        assert_eq!(
            looked(&mut seen, &after[..150]).await,
            (100..150).collect::<Vec<_>>()
        );
        assert_eq!(
            looked(&mut seen, &after).await,
            (150..230).collect::<Vec<_>>()
        );
        assert!(looked(&mut seen, &after).await.is_empty());
    }
}
