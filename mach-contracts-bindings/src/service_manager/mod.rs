//! What the service manager knows and asks for, and what may be told it.

mod admin;
pub(crate) mod legacy;
mod probe;
mod standing;

use alloy_primitives::{Address, B256, ChainId, U256};
use alloy_provider::{DynProvider, Provider};
use async_trait::async_trait;
use mach_core::{
    Alert, BlockRef, Domain, QuorumError, QuorumNumbers, Round, Statement, Threshold,
    ports::{ConfirmError, L1Standing, StatementReader},
};

use crate::{
    CallError, Revert,
    abi::{self, IMachServiceManager as I},
    call::{call, simulate},
    confirmer::call_error,
};

pub use admin::{Action, Admin, AdminCommand, AdminError, Role};
pub use probe::{DigestKind, Generation, Probe, ProbeError};
pub use standing::{ActiveAlert, RollupStanding};

/// Reads of one service manager.
#[derive(Clone, Debug)]
pub struct ServiceManager {
    provider: DynProvider,
    domain: Domain,
}

/// [`abi::AlertRecord::status`] of an alert that is active, and of one that was removed.
const ACTIVE: u8 = 1;
const REMOVED: u8 = 2;

/// What the service manager asks of a V3 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Quorums that have to sign.
    pub quorums: QuorumNumbers,
    /// Share of its stake that each quorum has to sign with, in the same order.
    pub thresholds: Vec<Threshold>,
    /// L1 blocks that the reference block may lie behind.
    pub max_reference_block_age: u32,
}

impl Terms {
    /// The round with these terms.
    ///
    /// Errors: [`QuorumError::ThresholdCount`] if thresholds and quorums are not equally many.
    pub fn round(&self, reference_block: u32) -> Result<Round, QuorumError> {
        Round::new(
            self.quorums.clone(),
            self.thresholds.clone(),
            reference_block,
        )
    }
}

impl ServiceManager {
    /// The service manager (the proxy) at `address` of the chain behind `provider`.
    pub async fn connect(
        provider: impl Provider + 'static,
        address: Address,
    ) -> Result<Self, CallError> {
        let l1_chain_id = provider.get_chain_id().await?;
        Ok(Self {
            provider: provider.erased(),
            domain: Domain {
                l1_chain_id,
                service_manager: address,
            },
        })
    }

    /// Where signatures for this service manager count.
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// Address of the service manager.
    pub const fn address(&self) -> Address {
        self.domain.service_manager
    }

    /// The terms in force at the head of L1.
    pub async fn terms(&self) -> Result<Terms, TermsError> {
        let quorums = self.call(&I::statementQuorumsCall {}).await?;
        let thresholds = quorums.thresholds.iter().copied();
        Ok(Terms {
            quorums: QuorumNumbers::new(quorums.quorumNumbers.to_vec())?,
            thresholds: thresholds
                .map(Threshold::percent)
                .collect::<Result<_, _>>()?,
            max_reference_block_age: self.call(&I::maxReferenceBlockAgeCall {}).await?,
        })
    }

    /// How many alerts of a rollup are active, of every generation.
    pub async fn active_alerts(&self, rollup: ChainId) -> Result<u64, CallError> {
        let rollup_chain_id = U256::from(rollup);
        let total = self
            .call(&I::totalAlertsCall {
                rollupChainId: rollup_chain_id,
            })
            .await?;
        Ok(total.saturating_to())
    }

    /// The V3 alert with this digest; its `status` says whether there is one.
    pub async fn alert(&self, digest: B256) -> Result<abi::AlertRecord, CallError> {
        self.call(&I::alertByDigestCall { digest }).await
    }

    /// The highest attested block of a rollup.
    pub async fn attested_head(&self, rollup: ChainId) -> Result<Option<BlockRef>, CallError> {
        let head = self
            .call(&I::attestedHeadCall {
                rollupChainId: U256::from(rollup),
            })
            .await?;
        Ok((!head.blockHash.is_zero()).then_some(BlockRef {
            number: head.blockNumber,
            hash: head.blockHash,
        }))
    }

    /// What is attested for a height of a rollup, with its digest.
    pub async fn attestation(
        &self,
        rollup: ChainId,
        number: u64,
    ) -> Result<Option<(abi::Attestation, B256)>, CallError> {
        let answer = self
            .call(&I::attestationCall {
                rollupChainId: U256::from(rollup),
                blockNumber: number,
            })
            .await?;
        Ok((!answer.digest.is_zero()).then_some((answer.attested, answer.digest)))
    }

    /// What L1 has of `statement`: an alert that is active, or the attestation of its height.
    pub async fn standing(&self, statement: &Statement) -> Result<L1Standing, CallError> {
        let digest = statement.digest(&self.domain);
        match statement {
            Statement::Alert(alert) => match self.alert(digest).await?.status {
                ACTIVE => Ok(L1Standing::Stands),
                REMOVED => self.removed(alert).await,
                _ => Ok(L1Standing::Absent),
            },
            Statement::Attestation(attestation) => {
                let number = attestation.block.number;
                let standing = self
                    .attestation(attestation.rollup_chain_id, number)
                    .await?;
                Ok(match standing {
                    Some((_, standing)) if standing == digest => L1Standing::Stands,
                    _ => L1Standing::Absent,
                })
            }
        }
    }

    /// Whether `statement` stands.
    pub async fn stands(&self, statement: &Statement) -> Result<bool, CallError> {
        Ok(self.standing(statement).await? == L1Standing::Stands)
    }

    /// What is left of an alert that was removed. Its record is the same after the owner has reopened it, so
    /// that it is tried with a reference block that no chain has: only what is not removed gets as far as
    /// that.
    async fn removed(&self, alert: &Alert) -> Result<L1Standing, CallError> {
        let unsigned = I::submitAlertCall {
            alert: alert.into(),
            referenceBlockNumber: u32::MAX,
            nonSignerStakesAndSignature: abi::NonSignerStakesAndSignature::default(),
        };
        let to = self.domain.service_manager;
        match simulate(&self.provider, Address::ZERO, to, &unsigned).await {
            Err(CallError::Reverted {
                revert: Revert::ServiceManager(I::IMachServiceManagerErrors::AlertWasRemoved(_)),
                ..
            }) => Ok(L1Standing::Withdrawn),
            Err(CallError::Reverted {
                revert: Revert::ServiceManager(I::IMachServiceManagerErrors::AlreadyConfirmed(_)),
                ..
            }) => Ok(L1Standing::Stands),
            Ok(_)
            | Err(CallError::Reverted {
                revert:
                    Revert::ServiceManager(I::IMachServiceManagerErrors::ReferenceBlockNotPast(_)),
                ..
            }) => Ok(L1Standing::Absent),
            // A pause, a rollup that is not enabled: nothing is known.
            Err(error) => Err(error),
        }
    }

    async fn call<C: alloy_sol_types::SolCall>(&self, request: &C) -> Result<C::Return, CallError> {
        call(&self.provider, self.domain.service_manager, request).await
    }
}

#[async_trait]
impl StatementReader for ServiceManager {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        Self::standing(self, statement).await.map_err(call_error)
    }
}

/// Why terms are not known.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// The contract's quorums or thresholds are none.
    #[error("the service manager's quorums are malformed")]
    Malformed(#[from] QuorumError),
    /// The contract was not heard.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl TermsError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_transient())
    }
}
