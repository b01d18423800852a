//! Operators join and leave an AVS, in either of EigenLayer's worlds.

mod avs;
mod checks;
mod digest;
mod error;
mod m2;
mod operator_sets;
mod opt_in;
mod status;

use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{G1Bytes, QuorumNumbers};

use alloy_primitives::{Address, B256};

pub use avs::{Avs, Target, World};
pub use digest::key_digest;
pub use error::RegistrationError;
pub use m2::M2Registration;
pub use operator_sets::OperatorSetRegistration;
pub use opt_in::{Churn, Consent, KeyProof, OptIn};
pub use status::{AllocationDelay, OperatorStatus, QuorumStatus, Standing};

use crate::{CallError, Plan};

/// How operators join and leave the quorums of an AVS. [`Avs::registration`] finds the right one.
///
/// Everything here reads; what it would change on chain it gives back as a [`Plan`]. What a contract is
/// known to refuse is an error before there is a plan.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait Registration: core::fmt::Debug + Send + Sync {
    /// Which world this is.
    fn world(&self) -> World;

    /// The AVS, as its chain describes it.
    fn avs(&self) -> &Avs;

    /// What the account of `operator` signs to be registered; `None` where sending the transaction is
    /// consent enough.
    ///
    /// Errors: [`RegistrationError::ForeignDomain`] if the AVSDirectory's EIP-712 domain is none of
    /// EigenLayer's for this chain and address.
    async fn consent_digest(
        &self,
        operator: Address,
        consent: Consent,
    ) -> Result<Option<B256>, RegistrationError>;

    /// Joins quorums.
    ///
    /// Errors: [`RegistrationError`]. A missing signature is no error: the plan has its digest.
    async fn register(&self, opt_in: &OptIn) -> Result<Plan, RegistrationError>;

    /// Leaves `quorums`.
    ///
    /// Errors: [`RegistrationError`].
    async fn deregister(
        &self,
        operator: Address,
        quorums: &QuorumNumbers,
    ) -> Result<Plan, RegistrationError>;

    /// What the BLS key signs to be registered for `operator`.
    ///
    /// Built here for the coordinator's address and chain; a node cannot choose it.
    ///
    /// Errors: [`RegistrationError::ForeignDomain`] if the coordinator has another digest.
    async fn key_digest(&self, operator: Address) -> Result<B256, RegistrationError> {
        self.avs().key_digest(operator).await
    }

    /// The coordinator's own answer to [`Self::key_digest`], hashed to the curve. It is there to be
    /// compared with: a key must not be multiplied with a point that a node sends.
    async fn key_point(&self, operator: Address) -> Result<G1Bytes, CallError> {
        self.avs().key_point(operator).await
    }

    /// Where `operator` stands.
    async fn status(&self, operator: Address) -> Result<OperatorStatus, CallError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_chosen_at_run_time() {
        const fn takes(_: Option<&dyn Registration>) {}
        takes(None);
    }
}
