use alloy_primitives::BlockNumber;
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, BoxError, L2Head, L2Source, SourceError, ValidateError},
};

use super::Proposal;
use crate::{output_root::unknown_output_root, verify_output_proposal};

/// Says whether proposals are right, by executing the blocks that they are about.
///
/// Which block is the rollup's at a height is what `S` is trusted with: use a node of your own or a
/// quorum. Only blocks that are final on L1 are compared, and nothing is accused before they were
/// asked for once more.
#[derive(Clone, Debug)]
pub struct ProposalChecker<S, V> {
    blocks: S,
    validator: V,
    head: L2Head,
}

impl<S: L2Source, V: BlockValidator> ProposalChecker<S, V> {
    /// Takes blocks from `blocks` and has them executed by `validator`.
    pub const fn new(blocks: S, validator: V) -> Self {
        Self {
            blocks,
            validator,
            head: L2Head::Finalized,
        }
    }

    /// The same for blocks up to another head: [`L2Head::Safe`], if proposals are looked at before
    /// L1 is final. What is not safe is never compared.
    #[must_use]
    pub const fn with_head(mut self, head: L2Head) -> Self {
        self.head = match head {
            L2Head::Finalized => L2Head::Finalized,
            L2Head::Safe | L2Head::Unsafe => L2Head::Safe,
        };
        self
    }

    /// [`Fault::OutputRoot`](mach_core::Fault::OutputRoot) accuses the proposal, any other fault
    /// the block that it is about.
    ///
    /// Errors: [`ValidateError::Incomplete`] also while the block is not below the head yet: a
    /// proposal for a block of the future is neither right nor wrong; and if there is another block
    /// when a fault was found.
    pub async fn check(&self, proposal: &Proposal) -> Result<Verdict, ValidateError> {
        let number = proposal.block;
        let block = self.settled(number).await?;
        let verdict = self.judge(&block, proposal).await?;
        // Head and block are two answers, and a reorg may come between them.
        if verdict.fault().is_some() && self.settled(number).await?.hash() != block.hash() {
            return Err(incomplete(number)("the block was replaced".into()));
        }
        Ok(verdict)
    }

    async fn settled(&self, number: BlockNumber) -> Result<L2Block, ValidateError> {
        let head = self.blocks.head(self.head).await;
        let head = head.map_err(|error| incomplete(number)(error.into()))?;
        if head.number < number {
            return Err(incomplete(number)(SourceError::NotYet(number).into()));
        }
        let block = self.blocks.block(number).await;
        block.map_err(|error| incomplete(number)(error.into()))
    }

    async fn judge(&self, block: &L2Block, proposal: &Proposal) -> Result<Verdict, ValidateError> {
        let number = block.number();
        let verdict = self.validator.validate(block).await?;
        let summary = match &verdict {
            Verdict::Valid(summary) => summary,
            Verdict::Invalid(_) => return Ok(verdict),
        };
        if !summary.assurance.is_proven() {
            return Err(incomplete(number)("the block rests on a claim".into()));
        }
        if summary.output_root.is_none() {
            return Err(unknown_output_root(number));
        }
        let fault = verify_output_proposal(summary, proposal.output_root);
        Ok(fault.map_or(verdict, Verdict::Invalid))
    }
}

fn incomplete(block: BlockNumber) -> impl FnOnce(BoxError) -> ValidateError {
    move |source| ValidateError::Incomplete { block, source }
}
