//! Consecutive blocks verified on several threads.

use std::{
    io,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use mach_core::{Assurance, L2Block, Verdict};

use super::{Follower, Prepared};
use crate::{ExecuteError, Witness, execute::Threads};

/// Verdicts in the order of the blocks, each with its block. Made by [`Follower::verify_all`].
#[derive(Debug)]
pub struct Verdicts {
    follower: Arc<Follower>,
    /// One answer to come for each block, in their order.
    answers: mpsc::Receiver<mpsc::Receiver<Answer>>,
}

#[derive(Debug)]
enum Answer {
    /// What came with the block is gone, on the thread that made the most of it.
    Final(Box<(L2Block, Result<Verdict, ExecuteError>)>),
    /// The blocks before may change the verdict.
    Again(Box<Prepared>),
}

/// Blocks to take, each together with the place of its answer.
struct Work<I> {
    blocks: I,
    answers: mpsc::SyncSender<mpsc::Receiver<Answer>>,
}

impl Follower {
    /// Verifies blocks with their witnesses on `threads` threads, and gives the verdicts in the order
    /// of the blocks: those of [`Self::verify_block`] for one after another.
    ///
    /// While a block is executed, the next is taken from `blocks`, prepared, and executed too if its
    /// witness is complete: the header before says on which state. A block whose witness relies on
    /// those before waits for them. At most `threads + 2` blocks are held. The threads end with
    /// `blocks`, or when what this returns is dropped.
    ///
    /// Errors: if a thread cannot be started.
    pub fn verify_all<I>(self: &Arc<Self>, blocks: I, threads: NonZeroUsize) -> io::Result<Verdicts>
    where
        I: IntoIterator<Item = (L2Block, Witness)>,
        I::IntoIter: Send + 'static,
    {
        let (sender, answers) = mpsc::sync_channel(threads.get());
        let work = Arc::new(Mutex::new(Work {
            blocks: blocks.into_iter(),
            answers: sender,
        }));
        for _ in 0..threads.get() {
            let (follower, work) = (Arc::clone(self), Arc::clone(&work));
            let thread = thread::Builder::new().name("mach-follow".to_owned());
            thread.spawn(move || {
                while let Some((block, witness, answer)) = take(&work) {
                    let prepared = follower.prepare_on(Threads::Own, block, witness);
                    let verdict = follower.verify(&prepared);
                    let told = if is_final(&verdict) {
                        Answer::Final(Box::new((prepared.into_parts().0, verdict)))
                    } else {
                        Answer::Again(Box::new(prepared))
                    };
                    // Whoever does not wait for it has gone.
                    let _ = answer.send(told);
                }
            })?;
        }
        Ok(Verdicts {
            follower: Arc::clone(self),
            answers,
        })
    }
}

/// The next block, and where to answer; nothing if there is none or nobody asks any more.
fn take<I>(work: &Mutex<Work<I>>) -> Option<(L2Block, Witness, mpsc::SyncSender<Answer>)>
where
    I: Iterator<Item = (L2Block, Witness)>,
{
    let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
    let (block, witness) = work.blocks.next()?;
    let (sender, answer) = mpsc::sync_channel(1);
    work.answers.send(answer).ok()?;
    Some((block, witness, sender))
}

/// Whether the blocks before could not have changed the verdict.
fn is_final(verdict: &Result<Verdict, ExecuteError>) -> bool {
    match verdict {
        Ok(Verdict::Invalid(_)) => true,
        Ok(Verdict::Valid(summary)) => summary.assurance == Assurance::Executed,
        Err(_) => false,
    }
}

impl Iterator for Verdicts {
    type Item = (L2Block, Result<Verdict, ExecuteError>);

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.answers.recv().ok()?.recv().ok()? {
            Answer::Final(judged) => *judged,
            // All blocks before this one have been verified by now.
            Answer::Again(prepared) => {
                let verdict = self.follower.verify(&prepared);
                (prepared.into_parts().0, verdict)
            }
        })
    }
}
