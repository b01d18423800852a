use mach_core::{
    Verdict,
    ports::{BlockValidator, BoxError, L2Head, L2Source, SourceError, ValidateError},
};

use super::Proposal;
use crate::verify_output_proposal;

/// Says whether proposals are right, by executing the blocks that they are about.
///
/// Which block is the rollup's at a height is what `S` is trusted with: use a node of your own or a
/// quorum. Only safe blocks are compared, which follow from L1.
#[derive(Clone, Debug)]
pub struct ProposalChecker<S, V> {
    blocks: S,
    validator: V,
}

impl<S: L2Source, V: BlockValidator> ProposalChecker<S, V> {
    /// Takes blocks from `blocks` and has them executed by `validator`.
    pub const fn new(blocks: S, validator: V) -> Self {
        Self { blocks, validator }
    }

    /// [`Fault::OutputRoot`](mach_core::Fault::OutputRoot) accuses the proposal, any other fault
    /// the block that it is about.
    ///
    /// Errors: [`ValidateError::Incomplete`] also while the block is not safe yet: a proposal for
    /// a block of the future is neither right nor wrong.
    pub async fn check(&self, proposal: &Proposal) -> Result<Verdict, ValidateError> {
        let number = proposal.block;
        let incomplete = |source: BoxError| ValidateError::Incomplete {
            block: number,
            source,
        };
        let safe = self.blocks.head(L2Head::Safe).await;
        let safe = safe.map_err(|error| incomplete(error.into()))?;
        if safe.number < number {
            return Err(incomplete(SourceError::NotYet(number).into()));
        }
        let block = self.blocks.block(number).await;
        let block = block.map_err(|error| incomplete(error.into()))?;
        let verdict = self.validator.validate(&block).await?;
        let summary = match &verdict {
            Verdict::Valid(summary) => summary,
            Verdict::Invalid(_) => return Ok(verdict),
        };
        if !summary.assurance.is_proven() {
            return Err(incomplete("the block rests on a claim".into()));
        }
        if summary.output_root.is_none() {
            return Err(ValidateError::Unsupported {
                block: number,
                source: "a chain without output roots".into(),
            });
        }
        let fault = verify_output_proposal(summary, proposal.output_root);
        Ok(fault.map_or(verdict, Verdict::Invalid))
    }
}
