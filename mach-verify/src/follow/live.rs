//! A chain that goes on: blocks fetched and prepared ahead, verdicts in order, reorgs told.

use std::{sync::Arc, time::Duration};

use alloy_primitives::BlockNumber;
use mach_core::{
    BlockRef, L2Block, Verdict,
    ports::{BoxError, L2Head, L2Source, SourceError, ValidateError},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinError, JoinHandle},
};

use super::{Follower, fetch::Fetch, judge::judge};
use crate::{Witness, source::WitnessSource};

/// How a [`Following`] paces itself.
///
/// In memory are, beside what its [`Follower`] holds, `ahead` + 2 blocks with their witnesses, up to
/// 64 blocks without, which were passed on the way down to a fork, and 48 bytes for each block of
/// `window`.
#[derive(Clone, Copy, Debug)]
pub struct FollowConfig {
    /// First block.
    pub start: BlockNumber,
    /// Which head is followed.
    pub head: L2Head,
    /// Time between two looks at the head, and between two tries of a request that failed.
    pub poll_interval: Duration,
    /// Most tries of one request, and of one block whose witness is incomplete.
    pub tries: usize,
    /// Most blocks that are fetched and prepared ahead of the one that is executed.
    pub ahead: usize,
    /// How many blocks back a fork is found.
    pub window: usize,
}

impl FollowConfig {
    /// Follows the unsafe head from `start`: a look every second, five tries, four blocks ahead,
    /// forks up to 1,024 blocks back.
    pub const fn new(start: BlockNumber) -> Self {
        Self {
            start,
            head: L2Head::Unsafe,
            poll_interval: Duration::from_secs(1),
            tries: 5,
            ahead: 4,
            window: 1024,
        }
    }
}

/// What happens while a chain is followed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Followed {
    /// A block has its verdict, or stays without one after all tries.
    Judged {
        /// The block.
        block: Box<L2Block>,
        /// The verdict, or why there is none.
        result: Result<Verdict, ValidateError>,
        /// The last witness that came with it; of an invalid block one that suffices alone, if it
        /// could be made. Nothing if none was needed or came.
        witness: Box<Witness>,
        /// Whether its parent is the block that was judged before it, or the trusted parent of the
        /// first. If not, a verdict says nothing of what lies between: a block that is missing, a
        /// fork deeper than is known, a source that does not give the parent that a block names.
        is_linked: bool,
        /// Time of preparation and execution.
        elapsed: Duration,
    },
    /// A block could not be had, and is left behind.
    Missing {
        /// Its height.
        number: BlockNumber,
        /// Why.
        error: SourceError,
    },
    /// The source is on another branch. What comes next follows `fork`.
    Reorg {
        /// Newest block of the branch that was left.
        left: BlockRef,
        /// Height of the last block that both branches share. `None` if it lies further back than
        /// is known: then every height that is known is verified again on the new branch, and
        /// nobody has looked at what the branch has below.
        fork: Option<BlockNumber>,
    },
    /// The head is not known. Told once, until it is known again; it is asked for all the time.
    NoHead {
        /// Why.
        error: SourceError,
    },
}

/// Why nothing can happen any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// A task has panicked, or the runtime ends.
    #[error("a task that follows the chain ended before its time")]
    Task(#[source] BoxError),
    /// The chain has no further heights.
    #[error("no height is left to follow")]
    Ended,
}

/// A chain that is followed, until this is dropped. Waits when nobody takes what happens.
#[derive(Debug)]
pub struct Following {
    events: mpsc::Receiver<Followed>,
    /// Until they have ended.
    tasks: Option<Tasks>,
    aborts: [AbortHandle; 2],
}

#[derive(Debug)]
struct Tasks {
    fetching: JoinHandle<()>,
    judging: JoinHandle<Result<(), JoinError>>,
}

impl Following {
    /// Starts to follow the chain of `source` with `follower`. Has to be called within a tokio
    /// runtime.
    pub fn start<S>(source: S, follower: impl Into<Arc<Follower>>, config: FollowConfig) -> Self
    where
        S: L2Source + WitnessSource + 'static,
    {
        let follower = follower.into();
        let source = Arc::new(source);
        let (steps, waiting) = mpsc::channel(config.ahead.max(1));
        let (sender, events) = mpsc::channel(1);
        let fetch = Fetch::new(Arc::clone(&source), Arc::clone(&follower), steps, config);
        let tasks = Tasks {
            fetching: tokio::spawn(fetch.run()),
            judging: tokio::spawn(judge(source, follower, config, waiting, sender)),
        };
        Self {
            events,
            aborts: [tasks.fetching.abort_handle(), tasks.judging.abort_handle()],
            tasks: Some(tasks),
        }
    }

    /// What happens next, in the order of the blocks.
    ///
    /// Errors: [`FollowError`]; nothing happens after one.
    pub async fn next(&mut self) -> Result<Followed, FollowError> {
        if let Some(event) = self.events.recv().await {
            return Ok(event);
        }
        let Some(Tasks { fetching, judging }) = self.tasks.take() else {
            return Err(FollowError::Ended);
        };
        // One that panics takes the other with it, and this one waits for nobody.
        match judging.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => return Err(FollowError::Task(Box::new(error))),
        }
        match fetching.await {
            Ok(()) => Err(FollowError::Ended),
            Err(error) => Err(FollowError::Task(Box::new(error))),
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        for task in &self.aborts {
            task.abort();
        }
    }
}
