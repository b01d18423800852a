//! A chain that goes on: blocks fetched and prepared ahead, verdicts in order, reorgs told.

use std::{sync::Arc, time::Duration};

use alloy_primitives::BlockNumber;
use mach_core::{
    BlockRef, L2Block, Verdict,
    ports::{L2Head, L2Source, SourceError, ValidateError},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep},
};

use super::{Branch, Follower, Fork, Prepared};
use crate::{
    Witness, check_body,
    source::{WitnessSource, from_source},
};

/// How a [`Following`] paces itself.
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
        /// The last witness that came with it; nothing if none came.
        witness: Box<Witness>,
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
        /// Height of the last block that both branches share; `None` if it lies further back than
        /// is known, and then verification goes on where it is.
        fork: Option<BlockNumber>,
    },
}

/// A chain that is followed, until this is dropped. Waits when nobody takes what happens.
#[derive(Debug)]
pub struct Following {
    events: mpsc::Receiver<Followed>,
    fetching: AbortHandle,
    judging: AbortHandle,
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
        let fetch = Fetch {
            source: Arc::clone(&source),
            follower: Arc::clone(&follower),
            branch: Branch::new(config.window, ()),
            steps,
            config,
        };
        let judge = judge(source, follower, config, waiting, sender);
        Self {
            events,
            fetching: tokio::spawn(fetch.run()).abort_handle(),
            judging: tokio::spawn(judge).abort_handle(),
        }
    }

    /// What happens next, in the order of the blocks. Never `None` while the chain has heights.
    pub async fn next(&mut self) -> Option<Followed> {
        self.events.recv().await
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.fetching.abort();
        self.judging.abort();
    }
}

/// What the second stage gets from the first, in order.
enum Step {
    Block(Task<Result<Work, Unprepared>>),
    Tell(Followed),
}

/// A block that is ready to be executed.
struct Work {
    prepared: Prepared,
    elapsed: Duration,
}

struct Unprepared {
    block: L2Block,
    error: ValidateError,
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The first stage: finds the next block, and starts its preparation.
struct Fetch<S> {
    source: Arc<S>,
    follower: Arc<Follower>,
    branch: Branch<()>,
    steps: mpsc::Sender<Step>,
    config: FollowConfig,
}

/// The second stage has ended.
struct Gone;

impl<S: L2Source + WitnessSource + 'static> Fetch<S> {
    async fn run(mut self) {
        let mut next = self.config.start;
        loop {
            if let Ok(head) = self.source.head(self.config.head).await {
                // A head below the newest block, of another hash: a shorter branch.
                let ours = self.branch.get(head.number);
                let from = match ours {
                    Some(ours) if ours.hash != head.hash => head.number,
                    _ => next,
                };
                match self.advance(from, head.number).await {
                    Ok(Some(reached)) => next = reached,
                    Ok(None) | Err(Gone) => return,
                }
            }
            sleep(self.config.poll_interval).await;
        }
    }

    /// Takes blocks from `next` to `head`. Returns the next height; `None` if there are no more.
    async fn advance(
        &mut self,
        mut next: BlockNumber,
        head: BlockNumber,
    ) -> Result<Option<BlockNumber>, Gone> {
        while next <= head {
            match self.fetch(next).await {
                // The head went back, and no further block is another.
                Ok((block, _)) if self.branch.get(next) == Some(block.reference()) => {}
                Ok((block, fork)) => {
                    if let Some(back) = self.turn(&block, fork).await? {
                        next = back;
                        continue;
                    }
                    self.branch.push(&block, (), || ());
                    let prepare = prepare(
                        Arc::clone(&self.source),
                        Arc::clone(&self.follower),
                        block,
                        self.config,
                    );
                    let task = Task(tokio::spawn(prepare));
                    self.send(Step::Block(task)).await?;
                }
                // The head went back.
                Err(SourceError::NotYet(_)) => break,
                Err(error) => {
                    let number = next;
                    self.send(Step::Tell(Followed::Missing { number, error }))
                        .await?;
                }
            }
            match next.checked_add(1) {
                Some(following) => next = following,
                None => return Ok(None),
            }
        }
        let tip = self.branch.tip().and_then(|tip| tip.number.checked_add(1));
        Ok(Some(tip.map_or(next, |tip| next.max(tip))))
    }

    /// Tells of a fork. Returns the height to go on with, if it is not that of `block`.
    async fn turn(&mut self, block: &L2Block, fork: Fork) -> Result<Option<BlockNumber>, Gone> {
        let Some(left) = self.branch.tip() else {
            return Ok(None);
        };
        let fork = match fork {
            Fork::Next | Fork::Unlinked => return Ok(None),
            Fork::At(number) => Some(number),
            Fork::Deeper => None,
        };
        self.send(Step::Tell(Followed::Reorg { left, fork }))
            .await?;
        let Some(fork) = fork else {
            return Ok(None);
        };
        self.branch.rewind(fork);
        let first = fork.saturating_add(1);
        Ok((first < block.number()).then_some(first))
    }

    /// The block at a height, and how it stands to those before.
    async fn fetch(&self, number: BlockNumber) -> Result<(L2Block, Fork), SourceError> {
        let mut tries = self.config.tries.max(1);
        // After a block that is missing there is nothing to link to.
        let is_gap = (self.branch.tip()).is_some_and(|tip| tip.number < number.saturating_sub(1));
        loop {
            tries -= 1;
            let found = async {
                let block = self.source.block(number).await?;
                let fork = self.branch.fork(&*self.source, &block).await?;
                Ok((block, fork))
            };
            match found.await {
                // The source may be changing its branch: the next look tells.
                Ok((_, Fork::Unlinked)) if tries > 0 && !is_gap => {}
                Err(error @ SourceError::NotYet(_)) => return Err(error),
                Err(error) if tries > 0 && error.is_transient() => {}
                found => return found,
            }
            sleep(self.config.poll_interval).await;
        }
    }

    async fn send(&self, step: Step) -> Result<(), Gone> {
        self.steps.send(step).await.map_err(|_| Gone)
    }
}

/// Fetches the witness of `block` and hashes what is new in it.
async fn prepare<S: WitnessSource>(
    source: Arc<S>,
    follower: Arc<Follower>,
    block: L2Block,
    config: FollowConfig,
) -> Result<Work, Unprepared> {
    if let Err(error) = check_body(follower.spec(), &block) {
        let error = error.into();
        return Err(Unprepared { block, error });
    }
    let mut tries = config.tries.max(1);
    let witness = loop {
        tries -= 1;
        match source.witness(&block).await {
            Ok(witness) => break witness,
            Err(error) if tries > 0 && error.is_transient() => sleep(config.poll_interval).await,
            Err(error) => {
                let error = from_source(block.number(), error);
                return Err(Unprepared { block, error });
            }
        }
    };
    let copy = block.clone();
    let work = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let prepared = follower.prepare(block, witness);
        let elapsed = started.elapsed();
        Work { prepared, elapsed }
    });
    work.await.map_err(|error| Unprepared {
        error: ValidateError::Internal {
            block: copy.number(),
            source: Box::new(error),
        },
        block: copy,
    })
}

/// The second stage: executes what is prepared, in order.
async fn judge<S: WitnessSource>(
    source: Arc<S>,
    follower: Arc<Follower>,
    config: FollowConfig,
    mut steps: mpsc::Receiver<Step>,
    events: mpsc::Sender<Followed>,
) {
    while let Some(step) = steps.recv().await {
        let event = match step {
            Step::Tell(event) => event,
            Step::Block(mut task) => match (&mut task.0).await {
                Ok(Ok(work)) => execute(&source, &follower, config, work).await,
                Ok(Err(Unprepared { block, error })) => Followed::Judged {
                    block: Box::new(block),
                    result: Err(error),
                    witness: Box::default(),
                    elapsed: Duration::ZERO,
                },
                // Only when the runtime goes.
                Err(_) => return,
            },
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The verdict on a block; if its witness is incomplete, on another witness.
async fn execute<S: WitnessSource>(
    source: &Arc<S>,
    follower: &Arc<Follower>,
    config: FollowConfig,
    mut work: Work,
) -> Followed {
    let mut tries = config.tries.max(1);
    loop {
        tries -= 1;
        let number = work.prepared.block().number();
        let verify = {
            let follower = Arc::clone(follower);
            move || {
                let started = Instant::now();
                let result = follower.verify(&work.prepared);
                let elapsed = work.elapsed + started.elapsed();
                (work.prepared.into_parts(), result, elapsed)
            }
        };
        let ((block, witness), result, elapsed) = match tokio::task::spawn_blocking(verify).await {
            Ok(done) => done,
            Err(error) => {
                return Followed::Missing {
                    number,
                    error: SourceError::Backend(Box::new(error)),
                };
            }
        };
        match result {
            Err(error) if tries > 0 && error.is_transient() => {
                sleep(config.poll_interval).await;
                let again = FollowConfig { tries, ..config };
                match prepare(Arc::clone(source), Arc::clone(follower), block, again).await {
                    Ok(next) => work = next,
                    Err(Unprepared { block, error }) => {
                        return Followed::Judged {
                            block: Box::new(block),
                            result: Err(error),
                            witness: Box::new(witness),
                            elapsed,
                        };
                    }
                }
            }
            result => {
                return Followed::Judged {
                    block: Box::new(block),
                    result: result.map_err(Into::into),
                    witness: Box::new(witness),
                    elapsed,
                };
            }
        }
    }
}
