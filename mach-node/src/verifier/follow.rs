//! The way along the chain, through reorgs.

use std::time::Instant;

use alloy_primitives::BlockNumber;
use backon::BackoffBuilder;
use futures::{SinkExt, channel::mpsc};
use mach_core::{
    BlockRef, Fault, L2Block, Verdict,
    ports::{AlertSink, BlockValidator, L2Head, L2Source, SourceError},
};
use mach_verify::follow::{Branch, Fork};
use tracing::{error, warn};

use super::{NoVerdict, Outcome, Reorg, Verifier, wait};

/// Nobody takes outcomes any more, or there is no further height.
struct Ended;

/// Where the verifier stands.
struct Position {
    /// The block that is looked at next.
    next: BlockNumber,
    /// The blocks before, each with whether it may be built on: it was found valid, and so were its
    /// ancestors down to the first block.
    branch: Branch<bool>,
}

/// What became of a look at a height.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
enum Look {
    /// The block has a verdict, and follows the newest block or not.
    Judged(L2Block, Verdict, IsNext),
    /// It is the block that was looked at before.
    Known,
    /// It is on another branch.
    Elsewhere(Fork),
}

type IsNext = bool;

impl<S: L2Source, V: BlockValidator, K: AlertSink> Verifier<S, V, K> {
    /// Gives outcomes in the order of the blocks, for ever.
    pub(super) async fn follow(&self, mut outcomes: mpsc::Sender<Outcome>) {
        let mut at = Position {
            next: self.config.start,
            // The parent of the first block is trusted.
            branch: Branch::new(self.config.max_reorg, true),
        };
        for block in &self.trusted {
            at.branch.push(block, true, || true);
        }
        loop {
            match self.source.head(self.config.head).await {
                Ok(head) => {
                    self.status.send_if_modified(|status| {
                        status.head_at = Some(Instant::now());
                        status.head.replace(head) != Some(head)
                    });
                    self.look_at_finality().await;
                    if let Err(Ended) = self.advance(&mut at, head, &mut outcomes).await {
                        return;
                    }
                }
                Err(error) => warn!(
                    error = &error as &dyn std::error::Error,
                    "the head is not known"
                ),
            }
            tokio::time::sleep(self.config.poll_interval).await;
        }
    }

    /// Remembers the highest block that was called final. Sources without finality have none.
    async fn look_at_finality(&self) {
        if let Ok(head) = self.source.head(L2Head::Finalized).await {
            self.status.send_if_modified(|status| {
                let is_higher = (status.finalized).is_none_or(|known| known.number < head.number);
                if is_higher {
                    status.finalized = Some(head);
                }
                is_higher
            });
        }
    }

    /// Verifies up to `head`, and back before that if the source has left the branch.
    async fn advance(
        &self,
        at: &mut Position,
        head: BlockRef,
        outcomes: &mut mpsc::Sender<Outcome>,
    ) -> Result<(), Ended> {
        // A branch that is no longer than ours shows by the hash of its head.
        let known = at.branch.get(head.number);
        let mut number = match known.filter(|known| known.hash != head.hash) {
            Some(_) => head.number,
            None => at.next,
        };
        while number <= head.number {
            match self.look(number, &at.branch).await {
                Ok(Look::Known) => {}
                Ok(Look::Elsewhere(fork)) => {
                    number = self.turn(at, number, fork);
                    continue;
                }
                Ok(Look::Judged(block, verdict, is_next)) => {
                    if self.is_to_be_told(&mut at.branch, &block, &verdict, is_next) {
                        let may_be_built_on = *at.branch.note();
                        let outcome = Outcome {
                            block,
                            verdict,
                            may_be_built_on,
                        };
                        outcomes.send(outcome).await.map_err(|_| Ended)?;
                    }
                }
                // The head went back: the block is not undecided, it is not there.
                Err((NoVerdict::Source(SourceError::NotYet(_)), _))
                    if !self.is_published(number).await =>
                {
                    break;
                }
                Err((error, block)) => {
                    self.record_undecided(number, &error);
                    match block {
                        Some(block) => at.branch.push(&block, false, || false),
                        // What comes next stands on a block that nobody has seen.
                        None if at.branch.tip().is_none() => {
                            at.branch = Branch::new(self.config.max_reorg, false);
                        }
                        None => {}
                    }
                }
            }
            number = number.checked_add(1).ok_or(Ended)?;
            if number > at.next {
                at.next = number;
                self.status.send_modify(|status| status.next = number);
            }
        }
        Ok(())
    }

    /// Fetches a block, finds out how it stands to those before, and has it judged if it follows
    /// them; again if that may help. With an error comes the block, if it was there.
    async fn look(
        &self,
        number: BlockNumber,
        branch: &Branch<bool>,
    ) -> Result<Look, (NoVerdict, Option<L2Block>)> {
        let mut retries = self.config.retry.backoff().build();
        let mut insists = true;
        loop {
            let mut fetched = None;
            let error = match self.try_look(number, branch, insists, &mut fetched).await {
                Ok(look) => {
                    if let Look::Judged(block, verdict, _) = &look {
                        self.record(block, verdict);
                    }
                    return Ok(look);
                }
                Err(error) => error,
            };
            match wait(&mut retries, number, error).await {
                Ok(()) => {}
                // It stays so: the block is judged as it stands.
                Err(NoVerdict::Unlinked(_)) if insists => insists = false,
                Err(error) => return Err((error, fetched)),
            }
        }
    }

    /// One try. If it `insists`, a block of which the source does not give the parent is an error.
    async fn try_look(
        &self,
        number: BlockNumber,
        branch: &Branch<bool>,
        insists: bool,
        fetched: &mut Option<L2Block>,
    ) -> Result<Look, NoVerdict> {
        let block = self.source.block(number).await?;
        if branch.get(number) == Some(block.reference()) {
            return Ok(Look::Known);
        }
        // After a block that could not be had there is nothing to link to.
        let is_gap = (branch.tip()).is_some_and(|tip| tip.number < number.saturating_sub(1));
        let fork = if is_gap {
            Fork::Unlinked
        } else {
            branch.fork(&self.source, &block).await?
        };
        match fork {
            Fork::At(_) | Fork::Deeper => return Ok(Look::Elsewhere(fork)),
            Fork::Unlinked if insists && !is_gap => return Err(NoVerdict::Unlinked(number)),
            Fork::Next | Fork::Unlinked => {}
        }
        let block = fetched.insert(block);
        let verdict = self.validator.validate(block).await?;
        Ok(Look::Judged(block.clone(), verdict, fork == Fork::Next))
    }

    /// Goes to the branch of the source. Returns the height to go on with.
    fn turn(&self, at: &mut Position, number: BlockNumber, fork: Fork) -> BlockNumber {
        let Some(left) = at.branch.tip() else {
            return number;
        };
        let fork = match fork {
            Fork::At(fork) => Some(fork),
            _ => None,
        };
        let reorg = Reorg { left, fork };
        let finalized = self.status.borrow().finalized;
        // What stays of our branch has to reach up to what is final of it.
        let is_final = |fork: BlockNumber| finalized.is_none_or(|it| it.number <= fork);
        let is_allowed = fork.is_some_and(is_final);
        match fork {
            Some(fork) => {
                at.branch.rewind(fork);
                at.next = fork.saturating_add(1);
            }
            None => {
                at.branch = Branch::new(self.config.max_reorg, false);
                at.next = number;
            }
        }
        if is_allowed {
            warn!(%left, fork, "reorg");
        } else {
            error!(
                %left, fork, finalized = finalized.map(|block| block.number),
                "reorg of blocks that were final or trusted: nothing is attested any more"
            );
        }
        let next = at.next;
        self.status.send_modify(|status| {
            status.next = next;
            status.reorgs += 1;
            status.last_reorg = Some(reorg);
            if !is_allowed {
                status.broken.get_or_insert(reorg);
            }
        });
        next
    }

    /// Whether the sink is to hear of the outcome: of every fault, and of a block that follows
    /// blocks that were found valid.
    fn is_to_be_told(
        &self,
        branch: &mut Branch<bool>,
        block: &L2Block,
        verdict: &Verdict,
        is_next: IsNext,
    ) -> bool {
        let is_linked = is_next && *branch.note() && self.status.borrow().broken.is_none();
        let is_valid = match verdict {
            Verdict::Valid(summary) => summary.assurance.is_proven(),
            // A wrong proposal says nothing against its block.
            Verdict::Invalid(fault) => matches!(fault, Fault::OutputRoot(_)),
        };
        branch.push(block, is_linked && is_valid, || false);
        let is_told = is_linked || matches!(verdict, Verdict::Invalid(_));
        if !is_told {
            let block = block.reference();
            self.status.send_modify(|status| {
                status.unlinked += 1;
                if status.unlinked == 1 {
                    warn!(%block, "not attested, an ancestor was not found valid");
                }
            });
        }
        is_told
    }

    async fn is_published(&self, number: BlockNumber) -> bool {
        let head = self.source.head(self.config.head).await;
        head.is_ok_and(|head| number <= head.number)
    }
}
