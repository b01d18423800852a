//! Writes that become durable together.

use tokio::sync::{mpsc, oneshot};

use super::{Change, StoreError, Written};

/// Most writes that become durable together.
pub(super) const MAX_GROUP: usize = 1024;
/// Most writes that wait.
const MAX_WAITING: usize = 16 * 1024;

/// Changes that wait for their commit.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) changes: Vec<Change>,
    pub(super) answer: oneshot::Sender<Result<Written, StoreError>>,
}

/// What came of each write of a group, in their order; or why none of them could be made.
pub(super) type Outcomes = Result<Vec<Result<Written, StoreError>>, StoreError>;

/// The way to the one who commits.
#[derive(Clone, Debug)]
pub(super) struct Writes(mpsc::Sender<Write>);

impl Writes {
    /// Both ends.
    pub(super) fn channel() -> (Self, mpsc::Receiver<Write>) {
        let (writes, waiting) = mpsc::channel(MAX_WAITING);
        (Self(writes), waiting)
    }

    /// Waits until the changes are durable, or refused.
    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<Written, StoreError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || StoreError::backend("the writer has stopped");
        let write = Write { changes, answer };
        self.0.send(write).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// Tells each of `group` what came of it, and empties it.
pub(super) fn answer(group: &mut Vec<Write>, outcomes: Outcomes) {
    match outcomes {
        Ok(outcomes) => {
            for (write, outcome) in group.drain(..).zip(outcomes) {
                // Whoever went away does not want to know.
                let _ = write.answer.send(outcome);
            }
        }
        Err(error) => {
            tracing::error!(reason = chain(&error), "the store cannot be written");
            for write in group.drain(..) {
                let _ = write.answer.send(Err(again(&error)));
            }
        }
    }
}

/// The failure of a commit, for each of those who waited for it.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unreadable(cause) => StoreError::Unreadable(chain(cause.as_ref()).into()),
        StoreError::Backend(cause) => StoreError::backend(chain(cause.as_ref())),
        other => StoreError::backend(chain(other)),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot pass is not tried again by whoever waited for the same commit.
    #[test]
    fn a_failed_commit_is_told_as_what_it_is() {
        let damaged = again(&StoreError::Unreadable("a page is gone".into()));
        assert!(!damaged.is_transient());
        let full = std::io::Error::other("no space left on device");
        let full = again(&StoreError::backend(full));
        assert!(full.is_transient());
        assert_eq!(
            chain(&full),
            "the store is not available: no space left on device"
        );
    }
}
