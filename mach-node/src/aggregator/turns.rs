//! A few at a time, for each statement.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use alloy_primitives::B256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rounds::lock;

/// Who may find out what there is of a statement that is not in memory. Thousands of operators sign at once:
/// as many of them as there are cores look into the store and begin the round, and the others find it in memory.
/// Forged signatures that come before the first right one take their turns, and all cores.
#[derive(Debug)]
pub(super) struct Turns {
    at_a_time: usize,
    lines: Mutex<HashMap<B256, Arc<Semaphore>>>,
}

/// The turn of one of those who asked about a statement, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// `None` never: lines are not closed.
    _held: Option<OwnedSemaphorePermit>,
    _place: Place<'a>,
}

/// A place in the line, with or without a turn.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    digest: B256,
    /// There until the end.
    line: Option<Arc<Semaphore>>,
}

impl Turns {
    /// For so many at a time.
    pub(super) fn new(at_a_time: usize) -> Self {
        Self {
            at_a_time: at_a_time.max(1),
            lines: Mutex::default(),
        }
    }

    /// Waits for those who came before.
    pub(super) async fn take(&self, digest: B256) -> Turn<'_> {
        let new = || Arc::new(Semaphore::new(self.at_a_time));
        let line = Arc::clone(lock(&self.lines).entry(digest).or_insert_with(new));
        let place = Place {
            turns: self,
            digest,
            line: Some(Arc::clone(&line)),
        };
        let held = line.acquire_owned().await.ok();
        Turn {
            _held: held,
            _place: place,
        }
    }
}

impl Drop for Place<'_> {
    /// The last one takes the line away.
    fn drop(&mut self) {
        let mut lines = lock(&self.turns.lines);
        self.line = None;
        if lines
            .get(&self.digest)
            .is_some_and(|line| Arc::strong_count(line) == 1)
        {
            lines.remove(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_at_a_time_and_nothing_is_left() {
        let turns = Turns::new(2);
        let waiting = || lock(&turns.lines).len();
        let soon = Duration::from_millis(1);
        let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let first = turns.take(one).await;
        let second = turns.take(one).await;
        assert!(timeout(soon, turns.take(one)).await.is_err());
        // Another statement has a line of its own.
        drop(timeout(soon, turns.take(other)).await.unwrap());
        assert_eq!(waiting(), 1);

        // Who gave up is not waited for, and takes the line away if it is the last to go.
        let mut third = Box::pin(turns.take(one));
        assert!(timeout(soon, &mut third).await.is_err());
        drop(first);
        assert_eq!(waiting(), 1);
        let third = timeout(soon, third).await.unwrap();
        drop((second, third));
        assert_eq!(waiting(), 0);

        let both = (turns.take(one).await, turns.take(one).await);
        let mut third = Box::pin(turns.take(one));
        assert!(timeout(soon, &mut third).await.is_err());
        drop(both);
        drop(third);
        assert_eq!(waiting(), 0);
    }
}
