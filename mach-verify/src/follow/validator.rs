//! A follower as a port.

use std::sync::Arc;

use async_trait::async_trait;
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, ValidateError},
};

use super::Follower;
use crate::{
    Witness, check_body,
    source::{WitnessSource, from_source, run_blocking},
};

/// Validates blocks with the witnesses of `W` and what a [`Follower`] retains.
///
/// Stands wherever [`StatelessValidator`](crate::source::StatelessValidator) does, and costs less
/// for blocks that come one after another. Clones share the follower. Around it,
/// [`EvidenceValidator::with_follower`](crate::EvidenceValidator::with_follower) leaves bundles that
/// replay alone.
#[derive(Clone, Debug)]
pub struct FollowValidator<W> {
    follower: Arc<Follower>,
    witnesses: W,
}

impl<W: WitnessSource> FollowValidator<W> {
    /// Validator with a follower of its own, or one that others use too.
    pub fn new(follower: impl Into<Arc<Follower>>, witnesses: W) -> Self {
        Self {
            follower: follower.into(),
            witnesses,
        }
    }

    /// What verifies.
    pub const fn follower(&self) -> &Arc<Follower> {
        &self.follower
    }

    async fn verify(&self, block: &L2Block, witness: Witness) -> Result<Verdict, ValidateError> {
        let (follower, number) = (Arc::clone(&self.follower), block.number());
        let block = block.clone();
        let verdict = run_blocking(move || follower.verify_block(block, witness)).await;
        Ok(verdict.map_err(|source| ValidateError::Internal {
            block: number,
            source,
        })??)
    }
}

#[async_trait]
impl<W: WitnessSource> BlockValidator for FollowValidator<W> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        check_body(self.follower.spec(), block)?;
        // A branch that is back: what was validated before needs nothing that is not retained.
        if self.follower.header(&block.hash()).is_some()
            && let Ok(verdict) = self.verify(block, Witness::default()).await
        {
            return Ok(verdict);
        }
        let witness = (self.witnesses.witness(block).await)
            .map_err(|error| from_source(block.number(), error))?;
        self.verify(block, witness).await
    }
}
