//! Output roots on L1 that are not those of the rollup's blocks.

use std::collections::VecDeque;

use mach_core::{
    Alert, AlertKind, BlockRef, Fault, Mismatch,
    ports::{AlertSink, BoxError},
};
use tracing::{debug, warn};

use super::{L1ZkContract, Proposal, ZkContractError, published::Next};

/// Most output roots that wait for a node to have their block.
const MAX_WAITING: usize = 256;

/// How far what is proposed was looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    next: Next,
    waiting: VecDeque<Proposal>,
}

impl L1ZkContract {
    /// Has `alerts` raised about the rollup's own output roots that were proposed since the last look, and that are
    /// not those of the blocks which its nodes have. The first look begins with the newest that are there. What no
    /// node has yet is compared later.
    ///
    /// This is no verdict, since a node may be on another chain. Nothing follows from it but that the EVM is
    /// shown, without a bond, what contradicts itself, and that people are told of what nobody opens.
    ///
    /// A look that is dropped, since a node does not answer, is gone on with by the next one, with other roots first.
    ///
    /// Errors: [`ZkContractError`]; the next look begins where this one did.
    pub async fn look(&self, alerts: &dyn AlertSink) -> Result<(), ZkContractError> {
        let mut watched = self.watched.lock().await;
        let (proposals, next) = self.sources.since(self.provider(), watched.next).await?;
        watched.next = next;
        watched.waiting.extend(proposals);
        while watched.waiting.len() > MAX_WAITING {
            let oldest = watched.waiting.pop_front();
            warn!(
                ?oldest,
                "too many output roots wait for their blocks: one is not compared"
            );
        }
        for _ in 0..watched.waiting.len() {
            let Some(proposal) = watched.waiting.pop_front() else {
                break;
            };
            // Behind the others, also if this look does not come to its end.
            watched.waiting.push_back(proposal);
            let number = proposal.number;
            match self.compared(&proposal, alerts).await {
                Ok(true) => drop(watched.waiting.pop_back()),
                Ok(false) => debug!(number, "no node has the block of an output root yet"),
                Err(error) => {
                    let error = &*error as &dyn std::error::Error;
                    debug!(number, error, "an output root is compared later");
                }
            }
        }
        Ok(())
    }

    /// Raises what is to be raised about a root; `false` if it cannot be compared yet.
    async fn compared(
        &self,
        proposal: &Proposal,
        alerts: &dyn AlertSink,
    ) -> Result<bool, BoxError> {
        let number = proposal.number;
        let Some((hash, root)) = self.chain.output_at(number).await? else {
            return Ok(false);
        };
        let Some(fault) = Mismatch::check(proposal.root, root).map(Fault::OutputRoot) else {
            return Ok(true);
        };
        let alert = Alert {
            kind: AlertKind::InvalidOutputProposal,
            rollup_chain_id: self.sources.rollup.try_into()?,
            block: BlockRef { number, hash },
            rule: fault.code(),
            claimed: proposal.root,
            computed: root,
        };
        warn!(block = %alert.block, claimed = %proposal.root, computed = %root, "another output root stands on L1");
        alerts.raise(&alert).await?;
        Ok(true)
    }
}
