//! EigenLayer's core: what an operator does before it joins an AVS.

use alloy_primitives::{Address, ChainId, U256, utils::format_units};
use alloy_provider::{DynProvider, Provider};
use serde::Serialize;

use crate::{
    CallError, EigenLayer, Plan, Step,
    abi::{
        AllocateParams, IAllocationManager, IDelegationManager, IDelegationManagerM2, IERC20,
        IStrategy, IStrategyManager, OperatorDetails, OperatorSet,
    },
    call::{call, probe},
};

/// EigenLayer's core on one chain, of either generation.
#[derive(Clone, Debug)]
pub struct EigenLayerCore {
    provider: DynProvider,
    chain_id: ChainId,
    delegation_manager: Address,
    strategy_manager: Address,
    /// Since slashing.
    allocation_manager: Option<Address>,
}

/// What an operator says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorProfile {
    /// Who has to agree when somebody delegates to the operator; zero for nobody.
    pub delegation_approver: Address,
    /// L1 blocks until stake that the operator allocates counts; of no use before slashing.
    pub allocation_delay: u32,
    /// Where a JSON file describes the operator.
    pub metadata_uri: String,
}

/// Where an account stands with EigenLayer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EigenLayerStatus {
    /// The account.
    pub operator: Address,
    /// Whether it is an operator.
    pub is_operator: bool,
    /// Whom it delegates to, if anybody; an operator to itself.
    pub delegated_to: Option<Address>,
    /// L1 blocks until stake that it allocates counts, once that is set; `None` before slashing too.
    pub allocation_delay: Option<u32>,
    /// Shares delegated to it, for each strategy that was asked for, in units of the strategy.
    pub shares: Vec<(Address, U256)>,
}

impl EigenLayerCore {
    /// EigenLayer behind `delegation_manager`, for example [`Avs::delegation_manager`].
    ///
    /// Errors: [`EigenLayerError::NotEigenLayer`] if the contract does not answer as one;
    /// [`EigenLayerError::Foreign`] if a contract of a chain in [`EigenLayer::ALL`] is another one.
    ///
    /// [`Avs::delegation_manager`]: crate::Avs::delegation_manager
    pub async fn connect(
        provider: impl Provider + 'static,
        delegation_manager: Address,
    ) -> Result<Self, EigenLayerError> {
        let provider = provider.erased();
        let chain_id = provider.get_chain_id().await.map_err(CallError::from)?;
        let code = provider.get_code_at(delegation_manager).await;
        if code.map_err(CallError::from)?.is_empty() {
            return Err(EigenLayerError::NoCode(delegation_manager));
        }
        let request = IDelegationManager::strategyManagerCall {};
        let strategy_manager = probe(&provider, delegation_manager, &request).await?;
        let request = IDelegationManager::allocationManagerCall {};
        let allocation_manager = probe(&provider, delegation_manager, &request).await?;
        let request = IDelegationManagerM2::slasherCall {};
        let slasher = probe(&provider, delegation_manager, &request).await?;
        // A third generation would have neither.
        match strategy_manager {
            Some(strategy_manager) if allocation_manager.is_some() || slasher.is_some() => {
                check_known(
                    chain_id,
                    delegation_manager,
                    strategy_manager,
                    allocation_manager,
                )?;
                Ok(Self {
                    provider,
                    chain_id,
                    delegation_manager,
                    strategy_manager,
                    allocation_manager,
                })
            }
            _ => Err(EigenLayerError::NotEigenLayer(delegation_manager)),
        }
    }

    /// The AllocationManager, since slashing.
    pub const fn allocation_manager(&self) -> Option<Address> {
        self.allocation_manager
    }

    /// Makes `operator` an operator.
    ///
    /// Errors: [`EigenLayerError`].
    pub async fn register(
        &self,
        operator: Address,
        profile: &OperatorProfile,
    ) -> Result<Plan, EigenLayerError> {
        let status = self.status(operator, &[]).await?;
        if status.is_operator {
            return Err(EigenLayerError::AlreadyOperator(operator));
        }
        if let Some(to) = status.delegated_to {
            return Err(EigenLayerError::Delegated { operator, to });
        }
        let what = format!("register {operator} as an operator of EigenLayer");
        let step = if self.allocation_manager.is_some() {
            let request = IDelegationManager::registerAsOperatorCall {
                initDelegationApprover: profile.delegation_approver,
                allocationDelay: profile.allocation_delay,
                metadataURI: profile.metadata_uri.clone(),
            };
            Step::new(what, self.delegation_manager, &request)
        } else {
            let request = IDelegationManagerM2::registerAsOperatorCall {
                registeringOperatorDetails: OperatorDetails {
                    // Deprecated, but must not be zero.
                    earningsReceiver: operator,
                    delegationApprover: profile.delegation_approver,
                    stakerOptOutWindowBlocks: 0,
                },
                metadataURI: profile.metadata_uri.clone(),
            };
            Step::new(what, self.delegation_manager, &request)
        };
        Ok(self.plan(operator, vec![step]))
    }

    /// Deposits `amount` of the strategy's token, in its smallest unit, from `staker`.
    ///
    /// Errors: [`EigenLayerError`].
    pub async fn deposit(
        &self,
        staker: Address,
        strategy: Address,
        amount: U256,
    ) -> Result<Plan, EigenLayerError> {
        if amount.is_zero() {
            return Err(EigenLayerError::Nothing);
        }
        let request = IStrategyManager::strategyIsWhitelistedForDepositCall { strategy };
        if !call(&self.provider, self.strategy_manager, &request).await? {
            return Err(EigenLayerError::NotAStrategy(strategy));
        }
        let request = IStrategy::underlyingTokenCall {};
        let token = call(&self.provider, strategy, &request).await?;
        let request = IERC20::balanceOfCall { account: staker };
        let balance = call(&self.provider, token, &request).await?;
        let coin = self.coin(token).await?;
        if balance < amount {
            return Err(EigenLayerError::Balance {
                token,
                has: coin.amount(balance),
                needs: coin.amount(amount),
            });
        }
        let request = IERC20::allowanceCall {
            owner: staker,
            spender: self.strategy_manager,
        };
        let mut steps = Vec::new();
        if call(&self.provider, token, &request).await? < amount {
            let request = IERC20::approveCall {
                spender: self.strategy_manager,
                amount,
            };
            let what = format!(
                "allow EigenLayer's StrategyManager {} to take {}",
                self.strategy_manager,
                coin.amount(amount)
            );
            steps.push(Step::new(what, token, &request));
        }
        let request = IStrategyManager::depositIntoStrategyCall {
            strategy,
            token,
            amount,
        };
        let what = format!("deposit {} into strategy {strategy}", coin.amount(amount));
        steps.push(Step::new(what, self.strategy_manager, &request));
        Ok(self.plan(staker, steps))
    }

    /// Lets parts of the operator's stake be slashed by an operator set: for each strategy a share in
    /// units of 10^-18.
    ///
    /// Errors: [`EigenLayerError::NoAllocationDelay`] until the delay that the operator chose is in force.
    pub async fn allocate(
        &self,
        operator: Address,
        operator_set: OperatorSet,
        shares: &[(Address, u64)],
    ) -> Result<Plan, EigenLayerError> {
        let manager = self
            .allocation_manager
            .ok_or(EigenLayerError::NotEigenLayer(self.delegation_manager))?;
        if self.status(operator, &[]).await?.allocation_delay.is_none() {
            return Err(EigenLayerError::NoAllocationDelay(operator));
        }
        let mut shares = shares.to_vec();
        // The contract wants them in order.
        shares.sort_unstable();
        let (strategies, magnitudes) = shares.into_iter().unzip();
        let OperatorSet { avs, id } = operator_set;
        let what = format!("allocate stake of {operator} to operator set {id} of {avs}");
        let request = IAllocationManager::modifyAllocationsCall {
            operator,
            params: vec![AllocateParams {
                operatorSet: operator_set,
                strategies,
                newMagnitudes: magnitudes,
            }],
        };
        Ok(self.plan(operator, vec![Step::new(what, manager, &request)]))
    }

    /// Where `operator` stands, with its shares in `strategies`.
    pub async fn status(
        &self,
        operator: Address,
        strategies: &[Address],
    ) -> Result<EigenLayerStatus, CallError> {
        let request = IDelegationManager::isOperatorCall { operator };
        let is_operator = self.ask(&request).await?;
        let request = IDelegationManager::delegatedToCall { staker: operator };
        let delegated_to = self.ask(&request).await?;
        let mut shares = Vec::with_capacity(strategies.len());
        for strategy in strategies {
            let request = IDelegationManager::operatorSharesCall {
                operator,
                strategy: *strategy,
            };
            shares.push((*strategy, self.ask(&request).await?));
        }
        let allocation_delay = match self.allocation_manager {
            Some(manager) => {
                let request = IAllocationManager::getAllocationDelayCall { operator };
                let delay = call(&self.provider, manager, &request).await?;
                delay.isSet.then_some(delay.delay)
            }
            None => None,
        };
        Ok(EigenLayerStatus {
            operator,
            is_operator,
            delegated_to: (!delegated_to.is_zero()).then_some(delegated_to),
            allocation_delay,
            shares,
        })
    }

    async fn ask<C: alloy_sol_types::SolCall>(&self, request: &C) -> Result<C::Return, CallError> {
        call(&self.provider, self.delegation_manager, request).await
    }

    async fn coin(&self, token: Address) -> Result<Coin, CallError> {
        let symbol = probe(&self.provider, token, &IERC20::symbolCall {}).await?;
        let decimals = probe(&self.provider, token, &IERC20::decimalsCall {}).await?;
        Ok(Coin {
            name: symbol
                .filter(|symbol| symbol.len() <= 16 && symbol.chars().all(|c| c.is_ascii_graphic()))
                .unwrap_or_else(|| token.to_string()),
            decimals: decimals.unwrap_or_default(),
        })
    }

    const fn plan(&self, sender: Address, steps: Vec<Step>) -> Plan {
        Plan {
            chain_id: self.chain_id,
            sender,
            steps,
        }
    }
}

/// Tokens are approved to the contract that is named as StrategyManager: where it is known which one that
/// is, no node may name another.
fn check_known(
    chain_id: ChainId,
    delegation_manager: Address,
    strategy_manager: Address,
    allocation_manager: Option<Address>,
) -> Result<(), EigenLayerError> {
    let Some(core) = EigenLayer::on(chain_id) else {
        return Ok(());
    };
    let allocations = core.allocation_manager;
    let cases = [
        (
            "DelegationManager",
            delegation_manager,
            core.delegation_manager,
        ),
        ("StrategyManager", strategy_manager, core.strategy_manager),
        (
            "AllocationManager",
            allocation_manager.unwrap_or(allocations),
            allocations,
        ),
    ];
    for (role, named, known) in cases {
        if named != known {
            return Err(EigenLayerError::Foreign {
                role,
                chain_id,
                named,
                known,
            });
        }
    }
    Ok(())
}

/// How a token is told.
struct Coin {
    name: String,
    decimals: u8,
}

impl Coin {
    fn amount(&self, amount: U256) -> String {
        let text = format_units(amount, self.decimals).unwrap_or_else(|_| amount.to_string());
        let text = match text.split_once('.') {
            Some((whole, part)) => match part.trim_end_matches('0') {
                "" => whole.to_owned(),
                part => format!("{whole}.{part}"),
            },
            None => text,
        };
        format!("{text} {}", self.name)
    }
}

/// Why there is no plan for EigenLayer. Nothing was sent.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EigenLayerError {
    /// There is no contract.
    #[error(
        "there is no contract at {0}, which should be the DelegationManager: check address and chain"
    )]
    NoCode(Address),
    /// The contract is of no generation that is known.
    #[error(
        "the contract at {0} does not answer as a DelegationManager that is known, or not for this: check the address"
    )]
    NotEigenLayer(Address),
    /// The contract is not the one that EigenLayer has on this chain.
    #[error(
        "the {role} of chain {chain_id} is {known}, not {named}: check the address, and do not trust a node \
         that names another"
    )]
    Foreign {
        /// What the contract should be.
        role: &'static str,
        /// EIP-155 id of the chain.
        chain_id: ChainId,
        /// Where it was said to be.
        named: Address,
        /// Where it is.
        known: Address,
    },
    /// The account is an operator.
    #[error("{0} is an operator of EigenLayer already: nothing to do")]
    AlreadyOperator(Address),
    /// The account delegates, and cannot be an operator meanwhile.
    #[error(
        "{operator} delegates to {to} and cannot be an operator too: undelegate first, or use another account"
    )]
    Delegated {
        /// The account.
        operator: Address,
        /// Its operator.
        to: Address,
    },
    /// The strategy takes no deposits.
    #[error("{0} is no strategy that EigenLayer takes deposits for: check the address")]
    NotAStrategy(Address),
    /// A deposit of nothing.
    #[error("the amount is zero: say how much to deposit")]
    Nothing,
    /// The account has too little.
    #[error("the account has {has} of the {needs} to deposit: get more of the token {token}")]
    Balance {
        /// The token's contract.
        token: Address,
        /// What the account has.
        has: String,
        /// What is to be deposited.
        needs: String,
    },
    /// The operator cannot allocate yet.
    #[error(
        "the allocation delay of {0} is not in force yet: set one, then wait for EigenLayer's configuration delay"
    )]
    NoAllocationDelay(Address),
    /// A contract was not heard.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl EigenLayerError {
    /// Whether a later try may succeed without anything being changed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_transient())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_cannot_name_who_is_approved_where_that_is_known() {
        let stranger = Address::repeat_byte(0xee);
        for core in EigenLayer::ALL {
            let check = |delegations, strategies, allocations| {
                let error = check_known(core.l1_chain_id, delegations, strategies, allocations);
                error.map_err(|error| match error {
                    EigenLayerError::Foreign { role, named, .. } => (role, named),
                    other => panic!("{other}"),
                })
            };
            let (delegations, strategies) = (core.delegation_manager, core.strategy_manager);
            let allocations = Some(core.allocation_manager);
            assert_eq!(check(delegations, strategies, allocations), Ok(()));
            assert_eq!(check(delegations, strategies, None), Ok(()));
            assert_eq!(
                check(stranger, strategies, None),
                Err(("DelegationManager", stranger))
            );
            assert_eq!(
                check(delegations, stranger, None),
                Err(("StrategyManager", stranger))
            );
            assert_eq!(
                check(delegations, strategies, Some(stranger)),
                Err(("AllocationManager", stranger))
            );
        }
        // Nothing is known of a development chain.
        assert!(check_known(31337, stranger, stranger, None).is_ok());
    }

    #[test]
    fn amounts_are_told_in_whole_tokens() {
        let coin = |decimals| Coin {
            name: "MACH".to_owned(),
            decimals,
        };
        let one = U256::from(10).pow(U256::from(18));
        assert_eq!(coin(18).amount(one * U256::from(32)), "32 MACH");
        assert_eq!(coin(18).amount(one / U256::from(4)), "0.25 MACH");
        assert_eq!(coin(0).amount(U256::from(100)), "100 MACH");
        // A token may say anything.
        assert!(coin(255).amount(one).ends_with(" MACH"));
    }
}
