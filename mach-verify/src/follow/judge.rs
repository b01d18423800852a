//! The second stage of following a chain: verdicts on what is prepared, in order.

use std::{sync::Arc, time::Duration};

use mach_core::{
    L2Block, Verdict,
    ports::{SourceError, ValidateError},
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
    time::{Instant, sleep},
};

use super::{FollowConfig, Followed, Follower, Prepared};
use crate::{
    Witness, check_body,
    source::{WitnessSource, from_source},
};

/// What the second stage gets from the first, in order.
pub(super) enum Step {
    Block(Block),
    Tell(Followed),
}

/// A block whose preparation has begun.
pub(super) struct Block {
    pub(super) task: Task<Result<Work, Unprepared>>,
    pub(super) is_linked: bool,
}

/// A block that is ready to be executed.
pub(super) struct Work {
    prepared: Prepared,
    supply: Supply,
    elapsed: Duration,
}

pub(super) struct Unprepared {
    block: L2Block,
    error: ValidateError,
}

/// Where what a block needs comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// From the blocks before alone; if that does not do, from the source after all.
    Retained,
    /// From the source.
    Source,
}

/// A task that ends with whoever waits for it.
pub(super) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Fetches the witness of `block` and hashes what is new in it.
pub(super) async fn prepare<S: WitnessSource>(
    source: Arc<S>,
    follower: Arc<Follower>,
    block: L2Block,
    supply: Supply,
    config: FollowConfig,
) -> Result<Work, Unprepared> {
    if let Err(error) = check_body(follower.spec(), &block) {
        let error = error.into();
        return Err(Unprepared { block, error });
    }
    let witness = match supply {
        Supply::Retained => Witness::default(),
        Supply::Source => match fetch(&source, &block, config).await {
            Ok(witness) => witness,
            Err(error) => return Err(Unprepared { block, error }),
        },
    };
    let copy = block.clone();
    let work = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let prepared = follower.prepare(block, witness);
        let elapsed = started.elapsed();
        Work {
            prepared,
            supply,
            elapsed,
        }
    });
    work.await.map_err(|error| Unprepared {
        error: ValidateError::Internal {
            block: copy.number(),
            source: Box::new(error),
        },
        block: copy,
    })
}

async fn fetch<S: WitnessSource>(
    source: &S,
    block: &L2Block,
    config: FollowConfig,
) -> Result<Witness, ValidateError> {
    let mut tries = config.tries.max(1);
    loop {
        tries -= 1;
        match source.witness(block).await {
            Ok(witness) => return Ok(witness),
            Err(error) if tries > 0 && error.is_transient() => sleep(config.poll_interval).await,
            Err(error) => return Err(from_source(block.number(), error)),
        }
    }
}

/// Executes what is prepared, in order.
///
/// Errors: if a preparation has panicked.
pub(super) async fn judge<S: WitnessSource>(
    source: Arc<S>,
    follower: Arc<Follower>,
    config: FollowConfig,
    mut steps: mpsc::Receiver<Step>,
    events: mpsc::Sender<Followed>,
) -> Result<(), JoinError> {
    while let Some(step) = steps.recv().await {
        let event = match step {
            Step::Tell(event) => event,
            Step::Block(Block {
                mut task,
                is_linked,
            }) => match (&mut task.0).await? {
                Ok(work) => execute(&source, &follower, config, work, is_linked).await,
                Err(Unprepared { block, error }) => Followed::Judged {
                    block: Box::new(block),
                    result: Err(error),
                    witness: Box::default(),
                    is_linked,
                    elapsed: Duration::ZERO,
                },
            },
        };
        if events.send(event).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The verdict on a block; if its witness is incomplete, on another witness.
async fn execute<S: WitnessSource>(
    source: &Arc<S>,
    follower: &Arc<Follower>,
    config: FollowConfig,
    mut work: Work,
    is_linked: bool,
) -> Followed {
    let mut tries = config.tries.max(1);
    loop {
        let number = work.prepared.block().number();
        let supply = work.supply;
        let verify = {
            let follower = Arc::clone(follower);
            move || {
                let started = Instant::now();
                let result = follower.verify(&work.prepared);
                let elapsed = work.elapsed + started.elapsed();
                let (block, mut witness) = work.prepared.into_parts();
                if let Ok(Verdict::Invalid(_)) = &result
                    && let Ok(complete) = follower.complete(&block, &witness)
                {
                    witness = complete;
                }
                (block, witness, result, elapsed)
            }
        };
        let (block, witness, result, elapsed) = match tokio::task::spawn_blocking(verify).await {
            Ok(done) => done,
            Err(error) => {
                return Followed::Missing {
                    number,
                    error: SourceError::Backend(Box::new(error)),
                };
            }
        };
        let error = match result {
            Err(error) if error.is_transient() => error,
            result => {
                return Followed::Judged {
                    block: Box::new(block),
                    result: result.map_err(Into::into),
                    witness: Box::new(witness),
                    is_linked,
                    elapsed,
                };
            }
        };
        // What is retained was worth looking at, and costs no try.
        tries -= usize::from(supply == Supply::Source);
        let undecided = |block, error| Followed::Judged {
            block: Box::new(block),
            result: Err(error),
            witness: Box::new(witness),
            is_linked,
            elapsed,
        };
        if tries == 0 {
            return undecided(block, error.into());
        }
        if supply == Supply::Source {
            sleep(config.poll_interval).await;
        }
        let again = FollowConfig { tries, ..config };
        let (source, follower) = (Arc::clone(source), Arc::clone(follower));
        work = match prepare(source, follower, block, Supply::Source, again).await {
            Ok(next) => next,
            Err(Unprepared { block, error }) => return undecided(block, error),
        };
    }
}
