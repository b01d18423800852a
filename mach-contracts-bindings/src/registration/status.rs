//! Where an operator stands.

use alloy_primitives::Address;
use mach_core::{OperatorId, Stake};
use serde::Serialize;

use super::{Avs, World};
use crate::{
    CallError,
    abi::{IAllocationManager, IDelegationManager, IRegistryCoordinator, IStakeRegistry},
    call::call,
    convert::stake_from_u96,
};

/// Where an operator stands with an AVS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorStatus {
    /// Account of the operator.
    pub operator: Address,
    /// Whether it is in any quorum.
    pub standing: Standing,
    /// Id of its BLS key, if it ever registered one.
    pub operator_id: Option<OperatorId>,
    /// Whether EigenLayer knows it; `None` if the AVS is not on EigenLayer.
    pub eigenlayer_operator: Option<bool>,
    /// All quorums of the AVS, in the order of their numbers.
    pub quorums: Vec<QuorumStatus>,
    /// Terms of slashing; `None` in M2.
    pub allocation_delay: Option<AllocationDelay>,
}

/// Whether an operator is in any quorum.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Never was.
    NeverRegistered,
    /// Is.
    Registered,
    /// Was and left.
    Deregistered,
}

/// An operator and one quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumStatus {
    /// Number of the quorum, or id of the operator set.
    pub quorum: u8,
    /// Whether the operator is in it.
    pub member: bool,
    /// Whether its stake can be slashed for this quorum: also for a while after it left.
    pub slashable: bool,
    /// Stake that counts in signatures; zero unless it is a member.
    pub stake: Stake,
    /// Stake that an update of the quorum, or joining it, would give.
    pub weight: Stake,
    /// Least stake of a member.
    pub minimum_stake: Stake,
    /// Members.
    pub operators: u32,
    /// Most members, where the coordinator says so.
    pub max_operators: Option<u32>,
}

/// How long changes to slashable stake take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationDelay {
    /// L1 blocks until stake that the operator allocates counts. Without it, nothing can be allocated.
    pub allocation: Option<u32>,
    /// L1 blocks for which stake stays slashable after it is deallocated or the operator left.
    pub deallocation: u32,
}

impl From<u8> for Standing {
    fn from(status: u8) -> Self {
        match status {
            0 => Self::NeverRegistered,
            1 => Self::Registered,
            _ => Self::Deregistered,
        }
    }
}

impl Avs {
    pub(super) async fn status(
        &self,
        world: World,
        operator: Address,
        standing: Standing,
    ) -> Result<OperatorStatus, CallError> {
        let known = self.known(operator).await?;
        let count = self.ask(&IRegistryCoordinator::quorumCountCall {}).await?;
        let mut quorums = Vec::with_capacity(usize::from(count));
        for quorum in 0..count {
            let (weight, minimum_stake) = self.weight(operator, quorum).await?;
            let member = known.quorums.bit(usize::from(quorum));
            let stake = match known.id {
                Some(id) if member => self.stake(id, quorum).await?,
                _ => Stake::ZERO,
            };
            quorums.push(QuorumStatus {
                quorum,
                member,
                slashable: self.slashable(world, operator, quorum).await?,
                stake,
                weight,
                minimum_stake,
                operators: self.operators(quorum).await?,
                max_operators: self.max_operators(quorum).await?,
            });
        }
        let eigenlayer_operator = match self.delegation_manager() {
            Some(manager) => {
                let request = IDelegationManager::isOperatorCall { operator };
                Some(call(self.provider(), manager, &request).await?)
            }
            None => None,
        };
        Ok(OperatorStatus {
            operator,
            standing,
            operator_id: known.id,
            eigenlayer_operator,
            quorums,
            allocation_delay: self.allocation_delay(world, operator).await?,
        })
    }

    async fn stake(&self, id: OperatorId, quorum: u8) -> Result<Stake, CallError> {
        let request = IStakeRegistry::getCurrentStakeCall {
            operatorId: id.0,
            quorumNumber: quorum,
        };
        let stake = call(self.provider(), self.stake_registry(), &request).await?;
        Ok(stake_from_u96(stake))
    }

    pub(super) async fn slashable(
        &self,
        world: World,
        operator: Address,
        quorum: u8,
    ) -> Result<bool, CallError> {
        let Some(manager) = self.slashing(world) else {
            return Ok(false);
        };
        let request = IAllocationManager::isOperatorSlashableCall {
            operator,
            operatorSet: self.operator_set(quorum),
        };
        call(self.provider(), manager, &request).await
    }

    async fn allocation_delay(
        &self,
        world: World,
        operator: Address,
    ) -> Result<Option<AllocationDelay>, CallError> {
        let Some(manager) = self.slashing(world) else {
            return Ok(None);
        };
        let request = IAllocationManager::getAllocationDelayCall { operator };
        let allocation = call(self.provider(), manager, &request).await?;
        let request = IAllocationManager::DEALLOCATION_DELAYCall {};
        Ok(Some(AllocationDelay {
            allocation: allocation.isSet.then_some(allocation.delay),
            deallocation: call(self.provider(), manager, &request).await?,
        }))
    }

    fn slashing(&self, world: World) -> Option<Address> {
        self.allocation_manager()
            .filter(|_| world == World::OperatorSets)
    }
}
