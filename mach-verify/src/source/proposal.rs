//! Output roots that are claimed for a rollup's blocks.

use alloy_primitives::B256;
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, SourceError, ValidateError},
};

use crate::{output_root::unknown_output_root, verify_output_proposal};

/// Where claimed output roots come from: an op-node, a proposer.
///
/// A claim is about one block and not about a height, or a block that was reorganised away accuses
/// the honest claim for the one that took its place. What is proposed on L1 names only the height:
/// [`ProposalChecker`](crate::proposals::ProposalChecker) is for that.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait ProposalSource: Send + Sync {
    /// The output root that is claimed for `block`, of this hash; `None` if there is no claim.
    async fn claimed_output_root(&self, block: &L2Block) -> Result<Option<B256>, SourceError>;
}

/// Compares the output root of every valid block with the claim of `P`.
///
/// A wrong claim makes the verdict [`Fault::OutputRoot`](mach_core::Fault::OutputRoot), which
/// accuses the proposal and not the block. A claim about a block whose output root is not known,
/// for which its witness has to hold the account of the message passer, is neither right nor wrong:
/// [`ValidateError::Incomplete`].
#[derive(Clone, Debug)]
pub struct ProposalValidator<V, P> {
    blocks: V,
    proposals: P,
}

impl<V: BlockValidator, P: ProposalSource> ProposalValidator<V, P> {
    /// Validates blocks with `blocks`, then compares with `proposals`.
    pub const fn new(blocks: V, proposals: P) -> Self {
        Self { blocks, proposals }
    }
}

#[async_trait]
impl<V: BlockValidator, P: ProposalSource> BlockValidator for ProposalValidator<V, P> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let verdict = self.blocks.validate(block).await?;
        let summary = match &verdict {
            Verdict::Valid(summary) if summary.assurance.is_proven() => summary,
            // What rests on a claim accuses nobody.
            _ => return Ok(verdict),
        };
        let claimed = self
            .proposals
            .claimed_output_root(block)
            .await
            .map_err(|error| ValidateError::Incomplete {
                block: block.number(),
                source: Box::new(error),
            })?;
        let Some(claimed) = claimed else {
            return Ok(verdict);
        };
        if summary.output_root.is_none() {
            return Err(unknown_output_root(block.number()));
        }
        let fault = verify_output_proposal(summary, claimed);
        Ok(fault.map_or(verdict, Verdict::Invalid))
    }
}
