use alloy_primitives::{Address, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::{SolCall, sol};
use mach_core::{OperatorId, QuorumNumbers, Stake};
use serde::Serialize;

use crate::{
    CallError, Deployment, Standing as OperatorStatus,
    abi::{
        IBLSApkRegistry as Keys, IMachRegistry, IMachServiceManager as I,
        IRegistryCoordinator as C, IStakeRegistry as Stakes,
    },
    call::call,
    convert::stake_from_u96,
};

sol! {
    // Of EigenLayer's DelegationManager and of its RegistryCoordinator.
    function isOperator(address operator) external view returns (bool);
    function getOperatorSetParams(uint8 quorumNumber) external view returns (uint32 maxOperatorCount, uint16 kickBIPsOfOperatorStake, uint16 kickBIPsOfTotalStake);
}

/// Where an account stands with a deployment, at the head of L1. Reading it needs no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The account.
    pub operator: Address,
    /// Whether it is registered with the coordinator.
    pub status: OperatorStatus,
    /// Id of its BLS key, if it ever registered one. A key cannot be replaced.
    pub operator_id: Option<OperatorId>,
    /// Whether it is registered with EigenLayer; `None` for a stand-alone registry.
    pub eigenlayer: Option<bool>,
    /// Whether it is on the allowlist; `None` if there is no list or it is switched off.
    pub allowlisted: Option<bool>,
    /// How many quorums there are.
    pub quorum_count: u8,
    /// The quorums that were asked about and exist, ascending.
    pub quorums: Vec<QuorumStanding>,
}

/// Where an account stands with one quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuorumStanding {
    /// Number of the quorum.
    pub quorum: u8,
    /// Whether the operator is in it.
    pub member: bool,
    /// Stake that it counts with, as of its last update; zero if it is not in the quorum.
    pub stake: Stake,
    /// Stake that it would count with if it joined or were updated now.
    pub weight: Stake,
    /// Least stake of a member.
    pub minimum: Stake,
    /// Stake of all members.
    pub total: Stake,
    /// How many members there are.
    pub members: u32,
    /// Most members, if the registry says.
    pub room: Option<u32>,
}

impl Standing {
    /// Reads where `operator` stands; with `quorums` that it is not in beside those that it is in.
    pub async fn read(
        provider: impl Provider + 'static,
        deployment: &Deployment,
        operator: Address,
        quorums: Option<&QuorumNumbers>,
    ) -> Result<Self, CallError> {
        let reader = Reader {
            provider: provider.erased(),
            deployment,
            operator,
        };
        reader.standing(quorums).await
    }

    /// Numbers of the quorums that the operator is in, among those that were asked about.
    pub fn memberships(&self) -> impl Iterator<Item = u8> + '_ {
        let members = self.quorums.iter().filter(|quorum| quorum.member);
        members.map(|quorum| quorum.quorum)
    }
}

struct Reader<'a> {
    provider: DynProvider,
    deployment: &'a Deployment,
    operator: Address,
}

impl Reader<'_> {
    async fn standing(&self, quorums: Option<&QuorumNumbers>) -> Result<Standing, CallError> {
        let operator = self.operator;
        let coordinator = self.deployment.registry_coordinator;
        let quorum_count = self.ask(coordinator, C::quorumCountCall {}).await?;
        let status = match self
            .ask(coordinator, C::getOperatorStatusCall { operator })
            .await?
        {
            0 => OperatorStatus::NeverRegistered,
            1 => OperatorStatus::Registered,
            _ => OperatorStatus::Deregistered,
        };
        // The coordinator forgets the id of an operator that left; the registry of keys does not.
        let id = self
            .ask(
                self.deployment.apk_registry,
                Keys::operatorToPubkeyHashCall { operator },
            )
            .await?;
        let operator_id = (!id.is_zero()).then_some(OperatorId(id));
        let bitmap: U256 = match operator_id {
            Some(id) => {
                let request = C::getCurrentQuorumBitmapCall { operatorId: id.0 };
                // M2 reverts for an operator that was never in a quorum.
                let bitmap = self.optional(coordinator, request).await?;
                bitmap.map_or(U256::ZERO, |bitmap| U256::from(bitmap))
            }
            None => U256::ZERO,
        };
        let mut standings = Vec::new();
        for quorum in 0..quorum_count {
            let member = bitmap.bit(quorum.into());
            let asked = quorums.is_none_or(|quorums| quorums.iter().any(|asked| asked == quorum));
            if member || asked {
                standings.push(self.quorum(quorum, member, operator_id).await?);
            }
        }
        Ok(Standing {
            operator,
            status,
            operator_id,
            eigenlayer: self.eigenlayer().await?,
            allowlisted: self.allowlisted().await?,
            quorum_count,
            quorums: standings,
        })
    }

    async fn quorum(
        &self,
        quorum: u8,
        member: bool,
        id: Option<OperatorId>,
    ) -> Result<QuorumStanding, CallError> {
        let stakes = self.deployment.stake_registry;
        let minimum = Stakes::minimumStakeForQuorumCall {
            quorumNumber: quorum,
        };
        let weight = Stakes::weightOfOperatorForQuorumCall {
            quorumNumber: quorum,
            operator: self.operator,
        };
        let total = Stakes::getCurrentTotalStakeCall {
            quorumNumber: quorum,
        };
        let members = Stakes::totalOperatorsForQuorumCall {
            quorumNumber: quorum,
        };
        let stake = match id.filter(|_| member) {
            Some(id) => {
                let request = Stakes::getCurrentStakeCall {
                    operatorId: id.0,
                    quorumNumber: quorum,
                };
                stake_from_u96(self.ask(stakes, request).await?)
            }
            None => Stake::ZERO,
        };
        Ok(QuorumStanding {
            quorum,
            member,
            stake,
            weight: stake_from_u96(self.ask(stakes, weight).await?),
            minimum: stake_from_u96(self.ask(stakes, minimum).await?),
            total: stake_from_u96(self.ask(stakes, total).await?),
            members: self.ask(self.deployment.index_registry, members).await?,
            room: self.room(quorum).await?,
        })
    }

    async fn room(&self, quorum: u8) -> Result<Option<u32>, CallError> {
        let coordinator = self.deployment.registry_coordinator;
        let request = getOperatorSetParamsCall {
            quorumNumber: quorum,
        };
        if let Some(params) = self.optional(coordinator, request).await? {
            return Ok(Some(params.maxOperatorCount));
        }
        let request = IMachRegistry::maxOperatorCountForQuorumCall {
            quorumNumber: quorum,
        };
        self.optional(coordinator, request).await
    }

    async fn eigenlayer(&self) -> Result<Option<bool>, CallError> {
        let manager = self.deployment.service_manager;
        let delegation = match self.optional(manager, I::delegationCall {}).await? {
            Some(delegation) => Some(delegation),
            None => {
                let stakes = self.deployment.stake_registry;
                self.optional(stakes, Stakes::delegationCall {}).await?
            }
        };
        // A stand-alone registry names itself or nobody.
        let foreign = |delegation: &Address| {
            !delegation.is_zero() && *delegation != self.deployment.registry_coordinator
        };
        let Some(delegation) = delegation.filter(foreign) else {
            return Ok(None);
        };
        let request = isOperatorCall {
            operator: self.operator,
        };
        Ok(Some(self.ask(delegation, request).await?))
    }

    async fn allowlisted(&self) -> Result<Option<bool>, CallError> {
        let manager = self.deployment.service_manager;
        if self.optional(manager, I::allowlistEnabledCall {}).await? != Some(true) {
            return Ok(None);
        }
        let request = I::allowlistCall {
            operator: self.operator,
        };
        Ok(Some(self.ask(manager, request).await?))
    }

    async fn ask<C: SolCall>(&self, to: Address, request: C) -> Result<C::Return, CallError> {
        call(&self.provider, to, &request).await
    }

    /// The answer of a function that not every contract has.
    async fn optional<C: SolCall>(
        &self,
        to: Address,
        request: C,
    ) -> Result<Option<C::Return>, CallError> {
        match self.ask(to, request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(None),
        }
    }
}
