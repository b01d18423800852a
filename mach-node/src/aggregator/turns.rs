//! One after the other, for each statement.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::B256;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::rounds::lock;

/// Who may find out what there is of a statement that is not in memory. Thousands of operators sign at once:
/// one of them looks into the store and begins the round, and the others find it in memory.
#[derive(Debug, Default)]
pub(super) struct Turns(std::sync::Mutex<HashMap<B256, Arc<Mutex<()>>>>);

/// The turn of one of those who asked about a statement, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _held: OwnedMutexGuard<()>,
    _place: Place<'a>,
}

/// A place in the line, with or without a turn.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    digest: B256,
    /// There until the end.
    line: Option<Arc<Mutex<()>>>,
}

impl Turns {
    /// Waits for those who came before.
    pub(super) async fn take(&self, digest: B256) -> Turn<'_> {
        let line = Arc::clone(lock(&self.0).entry(digest).or_default());
        let place = Place {
            turns: self,
            digest,
            line: Some(Arc::clone(&line)),
        };
        let held = line.lock_owned().await;
        Turn {
            _held: held,
            _place: place,
        }
    }
}

impl Drop for Place<'_> {
    /// The last one takes the line away.
    fn drop(&mut self) {
        let mut lines = lock(&self.turns.0);
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
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = Turns::default();
        let soon = Duration::from_millis(1);
        let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let first = turns.take(one).await;
        assert!(timeout(soon, turns.take(one)).await.is_err());
        // Another statement has a line of its own.
        drop(timeout(soon, turns.take(other)).await.unwrap());
        assert_eq!(lock(&turns.0).len(), 1);

        // Who gave up is not waited for, and takes the line away if it is the last to go.
        let mut second = Box::pin(turns.take(one));
        assert!(timeout(soon, &mut second).await.is_err());
        drop(first);
        assert_eq!(lock(&turns.0).len(), 1);
        drop(timeout(soon, second).await.unwrap());
        assert!(lock(&turns.0).is_empty());

        let first = turns.take(one).await;
        let mut second = Box::pin(turns.take(one));
        assert!(timeout(soon, &mut second).await.is_err());
        drop(first);
        drop(second);
        assert!(lock(&turns.0).is_empty());
    }
}
