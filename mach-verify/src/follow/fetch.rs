//! The first stage of following a chain: which block is next.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::BlockNumber;
use async_trait::async_trait;
use mach_core::{
    BlockRef, L2Block,
    ports::{L2Head, L2Source, SourceError},
};
use tokio::{sync::mpsc, time::sleep};

use super::{
    Branch, FollowConfig, Followed, Follower, Fork,
    judge::{Block, Step, Supply, Task, prepare},
};
use crate::source::WitnessSource;

/// Blocks between two looks at what is final.
const FINALITY_EVERY: u64 = 64;

/// Most blocks that are kept from the way down to a fork for the way back up.
const MAX_PASSED: usize = 64;

/// Finds the next block, and starts its preparation.
pub(super) struct Fetch<S> {
    source: Arc<S>,
    follower: Arc<Follower>,
    branch: Branch<()>,
    /// What was seen of a branch on the way to its fork, the lowest block last.
    passed: VecDeque<L2Block>,
    /// Whether the next block follows nothing that was looked at.
    is_cut: bool,
    /// Height of the head at which to look next for what is final.
    finality: BlockNumber,
    steps: mpsc::Sender<Step>,
    config: FollowConfig,
}

/// The second stage has ended.
struct Gone;

impl<S: L2Source + WitnessSource + 'static> Fetch<S> {
    pub(super) fn new(
        source: Arc<S>,
        follower: Arc<Follower>,
        steps: mpsc::Sender<Step>,
        config: FollowConfig,
    ) -> Self {
        Self {
            source,
            follower,
            branch: Branch::new(config.window, ()),
            passed: VecDeque::new(),
            is_cut: false,
            finality: config.start.saturating_add(FINALITY_EVERY),
            steps,
            config,
        }
    }

    pub(super) async fn run(mut self) {
        let mut next = self.config.start;
        let mut is_told = false;
        loop {
            let found = self.source.head(self.config.head).await;
            let was_told = std::mem::replace(&mut is_told, found.is_err());
            match found {
                Ok(head) => {
                    // A head below the newest block, of another hash: a shorter branch.
                    let from = match self.branch.get(head.number) {
                        Some(ours) if ours.hash != head.hash => head.number,
                        _ => next,
                    };
                    match self.advance(from, head.number).await {
                        Ok(Some(reached)) => next = reached,
                        Ok(None) | Err(Gone) => return,
                    }
                    self.finalize(head.number).await;
                }
                Err(_) if was_told => {}
                Err(error) => {
                    let event = Step::Tell(Followed::NoHead { error });
                    if let Err(Gone) = self.send(event).await {
                        return;
                    }
                }
            }
            sleep(self.config.poll_interval).await;
        }
    }

    /// Lets the follower forget the branches that finality rules out, now and then. A source that
    /// does not tell costs memory, within the limits.
    async fn finalize(&mut self, head: BlockNumber) {
        if head < self.finality {
            return;
        }
        self.finality = head.saturating_add(FINALITY_EVERY);
        if let Ok(block) = self.source.head(L2Head::Finalized).await {
            self.follower.finalize(block.hash);
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
                Ok(Some((block, _))) if self.branch.get(next) == Some(block.reference()) => {}
                Ok(Some((block, fork))) => {
                    if let Some(back) = self.turn(&block, fork).await? {
                        next = back;
                        continue;
                    }
                    let was_cut = std::mem::take(&mut self.is_cut);
                    self.branch.push(&block, (), || ());
                    self.begin(block, fork != Fork::Unlinked && !was_cut)
                        .await?;
                }
                // The head went back.
                Ok(None) => break,
                Err(error) => {
                    let number = next;
                    self.is_cut |= self.branch.tip().is_none();
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

    /// Has a block prepared, and judged after those before.
    async fn begin(&self, block: L2Block, is_linked: bool) -> Result<(), Gone> {
        // What was verified before, on a branch that is back, needs nothing that is not retained.
        let supply = match self.follower.header(&block.hash()) {
            Some(_) => Supply::Retained,
            None => Supply::Source,
        };
        let (source, follower) = (Arc::clone(&self.source), Arc::clone(&self.follower));
        let prepare = prepare(source, follower, block, supply, self.config);
        let task = Task::spawn(prepare);
        self.send(Step::Block(Block { task, is_linked })).await
    }

    /// Tells of a fork. Returns the height to go on with, if it is not that of `block`.
    async fn turn(&mut self, block: &L2Block, fork: Fork) -> Result<Option<BlockNumber>, Gone> {
        let (Some(left), Fork::At(_) | Fork::Deeper) = (self.branch.tip(), fork) else {
            return Ok(None);
        };
        let at = match fork {
            Fork::At(number) => Some(number),
            _ => None,
        };
        let tell = Step::Tell(Followed::Reorg { left, fork: at });
        self.send(tell).await?;
        let first = match at {
            Some(fork) => {
                self.branch.rewind(fork);
                fork.saturating_add(1)
            }
            None => {
                let oldest = self.branch.first().unwrap_or(block.number());
                self.branch = Branch::new(self.config.window, ());
                self.is_cut = true;
                oldest
            }
        };
        Ok((first < block.number()).then_some(first))
    }

    /// The block at a height, and how it stands to those before; `None` if the head went back.
    async fn fetch(&mut self, number: BlockNumber) -> Result<Option<(L2Block, Fork)>, SourceError> {
        if let Some(block) = self.take_passed(number) {
            return Ok(Some((block, Fork::Next)));
        }
        let mut tries = self.config.tries.max(1);
        // After a block that is missing there is nothing to link to.
        let is_gap = (self.branch.tip()).is_some_and(|tip| tip.number < number.saturating_sub(1));
        loop {
            tries -= 1;
            let trail = Trail::new(&*self.source);
            let found = async {
                let block = trail.block(number).await?;
                let fork = self.branch.fork(&trail, &block).await?;
                Ok((block, fork))
            };
            match found.await {
                // The source may be changing its branch: the next look tells.
                Ok((_, Fork::Unlinked)) if tries > 0 && !is_gap => {}
                Err(SourceError::NotYet(_)) if !self.is_published(number).await => {
                    return Ok(None);
                }
                Err(error) if tries > 0 && error.is_transient() => {}
                found => {
                    let found = found?;
                    if matches!(found.1, Fork::At(_) | Fork::Deeper) {
                        self.passed = trail.into_passed();
                    }
                    return Ok(Some(found));
                }
            }
            sleep(self.config.poll_interval).await;
        }
    }

    /// The block at this height, if it follows what is known and was seen before.
    fn take_passed(&mut self, number: BlockNumber) -> Option<L2Block> {
        let block = self.passed.pop_back()?;
        let follows = block.number() == number
            && (self.branch.tip()).is_none_or(|tip| tip.hash == block.header.parent_hash);
        if !follows {
            self.passed.clear();
        }
        follows.then_some(block)
    }

    async fn is_published(&self, number: BlockNumber) -> bool {
        let head = self.source.head(self.config.head).await;
        head.is_ok_and(|head| number <= head.number)
    }

    async fn send(&self, step: Step) -> Result<(), Gone> {
        self.steps.send(step).await.map_err(|_| Gone)
    }
}

/// A source of which the last blocks that it gave are kept.
struct Trail<'a, S> {
    source: &'a S,
    passed: Mutex<VecDeque<L2Block>>,
}

impl<'a, S> Trail<'a, S> {
    const fn new(source: &'a S) -> Self {
        Self {
            source,
            passed: Mutex::new(VecDeque::new()),
        }
    }

    fn into_passed(self) -> VecDeque<L2Block> {
        (self.passed.into_inner()).unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: L2Source> L2Source for Trail<'_, S> {
    fn chain_id(&self) -> u64 {
        self.source.chain_id()
    }

    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError> {
        self.source.head(head).await
    }

    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError> {
        let block = self.source.block(number).await?;
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.len() == MAX_PASSED {
            passed.pop_front();
        }
        passed.push_back(block.clone());
        Ok(block)
    }
}
