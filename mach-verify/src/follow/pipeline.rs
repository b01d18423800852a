//! Blocks prepared on one thread while those before them are executed on another.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use mach_core::{L2Block, Verdict};

use super::{Follower, Prepared};
use crate::{ExecuteError, Witness};

/// Verdicts in the order of the blocks, each with its block. Made by [`Follower::verify_all`].
#[derive(Debug)]
pub struct Verdicts {
    follower: Arc<Follower>,
    prepared: mpsc::Receiver<Prepared>,
}

impl Follower {
    /// Verifies blocks with their witnesses, one after another, while another thread takes the next
    /// from `blocks` and prepares them.
    ///
    /// At most `ahead` blocks wait, prepared; another one may be in work. The thread ends with
    /// `blocks`, or when what this returns is dropped.
    ///
    /// Errors: if no thread can be started.
    pub fn verify_all<I>(self: &Arc<Self>, blocks: I, ahead: usize) -> io::Result<Verdicts>
    where
        I: IntoIterator<Item = (L2Block, Witness)> + Send + 'static,
    {
        let (sender, prepared) = mpsc::sync_channel(ahead);
        let follower = Arc::clone(self);
        let prepare = move || {
            for (block, witness) in blocks {
                if sender.send(follower.prepare(block, witness)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("mach-prepare".to_owned());
        thread.spawn(prepare)?;
        Ok(Verdicts {
            follower: Arc::clone(self),
            prepared,
        })
    }
}

impl Iterator for Verdicts {
    type Item = (L2Block, Result<Verdict, ExecuteError>);

    fn next(&mut self) -> Option<Self::Item> {
        let prepared = self.prepared.recv().ok()?;
        let verdict = self.follower.verify(&prepared);
        Some((prepared.into_parts().0, verdict))
    }
}
