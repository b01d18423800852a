//! Registration with operator sets, EigenLayer's world since slashing.

use alloy_primitives::{Address, B256, Bytes, U256, uint};
use alloy_sol_types::SolValue;
use async_trait::async_trait;
use mach_core::{QuorumNumbers, Stake};

use super::{
    Avs, Consent, OperatorStatus, OptIn, Registration, RegistrationError, World,
    checks::missing,
    m2::{in_words, listed},
};
use crate::{
    CallError, Plan, Step,
    abi::{
        DeregisterParams, IAllocationManager, IRegistryCoordinator, ISlashingStakeRegistry,
        IStakeRegistry, OperatorSet, RegisterParams,
    },
    call::{call, probe},
};

/// `RegistrationType` of the slashing middleware.
const NORMAL: U256 = U256::ZERO;
const CHURN: U256 = U256::ONE;

/// `StakeType`, `MAX_WEIGHING_FUNCTION_LENGTH` and `WEIGHTING_DIVISOR` of the StakeRegistry.
const TOTAL_SLASHABLE: u8 = 1;
const MAX_STRATEGIES: u64 = 32;
const WEIGHTING_DIVISOR: U256 = uint!(1_000_000_000_000_000_000_U256);

/// Quorums that are operator sets of the AllocationManager.
#[derive(Clone, Debug)]
pub struct OperatorSetRegistration {
    avs: Avs,
    manager: Address,
}

impl OperatorSetRegistration {
    pub(super) const fn new(avs: Avs, manager: Address) -> Self {
        Self { avs, manager }
    }

    async fn check_sets(
        &self,
        operator: Address,
        quorums: &QuorumNumbers,
    ) -> Result<(), RegistrationError> {
        for quorum in quorums.iter() {
            let request = IAllocationManager::isOperatorSetCall {
                operatorSet: self.avs.operator_set(quorum),
            };
            if !call(self.avs.provider(), self.manager, &request).await? {
                let avs = self.avs.service_manager();
                return Err(RegistrationError::NotAnOperatorSet { avs, quorum });
            }
            // Of one who is not a member: it left, and is not let in again before the delay is over.
            if self
                .avs
                .slashable(World::OperatorSets, operator, quorum)
                .await?
            {
                let request = IAllocationManager::DEALLOCATION_DELAYCall {};
                let blocks = call(self.avs.provider(), self.manager, &request).await?;
                return Err(RegistrationError::StillSlashable { quorum, blocks });
            }
        }
        Ok(())
    }

    fn plan(&self, sender: Address, step: Step) -> Plan {
        Plan {
            chain_id: self.avs.l1_chain_id(),
            sender,
            steps: vec![step],
        }
    }
}

impl Avs {
    pub(super) fn operator_set(&self, quorum: u8) -> OperatorSet {
        OperatorSet {
            avs: self.service_manager(),
            id: quorum.into(),
        }
    }

    /// What a quorum of slashable stake will weigh of an operator that joins it; zero of other quorums. Of one who
    /// is not in the operator set nothing is slashable yet, and the StakeRegistry weighs nothing.
    pub(super) async fn allocated(
        &self,
        operator: Address,
        quorum: u8,
    ) -> Result<Stake, CallError> {
        let Some(manager) = self.allocation_manager() else {
            return Ok(Stake::ZERO);
        };
        let (provider, registry) = (self.provider(), self.stake_registry());
        let request = ISlashingStakeRegistry::stakeTypePerQuorumCall {
            quorumNumber: quorum,
        };
        if probe(provider, registry, &request).await? != Some(TOTAL_SLASHABLE) {
            return Ok(Stake::ZERO);
        }
        let request = IStakeRegistry::strategyParamsLengthCall {
            quorumNumber: quorum,
        };
        let length = call(provider, registry, &request).await?;
        let mut params = Vec::new();
        for index in 0..length.saturating_to::<u64>().min(MAX_STRATEGIES) {
            let request = ISlashingStakeRegistry::strategyParamsByIndexCall {
                quorumNumber: quorum,
                index: U256::from(index),
            };
            params.push(call(provider, registry, &request).await?);
        }
        let request = IAllocationManager::getAllocatedStakeCall {
            operatorSet: self.operator_set(quorum),
            operators: vec![operator],
            strategies: params.iter().map(|param| param.strategy).collect(),
        };
        let stakes = call(provider, manager, &request).await?;
        let weights = stakes.iter().flatten().zip(&params);
        let weight = weights.fold(U256::ZERO, |sum, (stake, param)| {
            let weight = stake.saturating_mul(U256::from(param.multiplier)) / WEIGHTING_DIVISOR;
            sum.saturating_add(weight)
        });
        Ok(Stake::new(weight.saturating_to()).unwrap_or(Stake::MAX))
    }
}

#[async_trait]
impl Registration for OperatorSetRegistration {
    fn world(&self) -> World {
        World::OperatorSets
    }

    fn avs(&self) -> &Avs {
        &self.avs
    }

    async fn consent_digest(
        &self,
        _operator: Address,
        _consent: Consent,
    ) -> Result<Option<B256>, RegistrationError> {
        Ok(None)
    }

    async fn register(&self, opt_in: &OptIn) -> Result<Plan, RegistrationError> {
        let operator = opt_in.operator;
        let known = self.avs.known(operator).await?;
        let id = self.avs.check_opt_in(opt_in, &known).await?;
        self.check_sets(operator, &opt_in.quorums).await?;
        let (socket, key) = (opt_in.socket.clone(), opt_in.key_params());
        // What the coordinator decodes; a tuple without an offset of its own in front.
        let (data, unsigned) = match &opt_in.churn {
            None => ((NORMAL, socket, key).abi_encode_params(), None),
            Some(churn) => (
                (
                    CHURN,
                    socket,
                    key,
                    churn.kick_params(),
                    churn.approval_params(),
                )
                    .abi_encode_params(),
                self.avs.check_churn(operator, id, churn).await?,
            ),
        };
        let request = IAllocationManager::registerForOperatorSetsCall {
            operator,
            params: RegisterParams {
                avs: self.avs.service_manager(),
                operatorSetIds: opt_in.quorums.iter().map(u32::from).collect(),
                data: Bytes::from(data),
            },
        };
        let mut step = Step::new(in_words("register", opt_in), self.manager, &request);
        step.unsigned.extend(unsigned);
        Ok(self.plan(operator, step))
    }

    async fn deregister(
        &self,
        operator: Address,
        quorums: &QuorumNumbers,
    ) -> Result<Plan, RegistrationError> {
        let known = self.avs.known(operator).await?;
        if let Some(quorum) = missing(quorums, known.quorums) {
            return Err(RegistrationError::NotRegistered(quorum));
        }
        let request = IAllocationManager::deregisterFromOperatorSetsCall {
            params: DeregisterParams {
                operator,
                avs: self.avs.service_manager(),
                operatorSetIds: quorums.iter().map(u32::from).collect(),
            },
        };
        let what = format!("deregister operator {operator} from {}", listed(quorums));
        Ok(self.plan(operator, Step::new(what, self.manager, &request)))
    }

    async fn status(&self, operator: Address) -> Result<OperatorStatus, CallError> {
        let request = IRegistryCoordinator::getOperatorStatusCall { operator };
        let standing = self.avs.ask(&request).await?.into();
        self.avs
            .status(World::OperatorSets, operator, standing)
            .await
    }
}
