//! What owner, whitelister and pausers tell a service manager.

use core::fmt;

use alloy_primitives::{Address, B256, Bytes, ChainId, U256};
use alloy_provider::Provider;
use alloy_sol_types::SolCall;
use mach_core::{QuorumNumbers, Threshold};

use super::{
    legacy::IMachServiceManagerV1 as V1,
    probe::{Generation, Probe, ProbeError},
};
use crate::{
    CallError, Revert,
    abi::{IMachServiceManager as I, IPauserRegistry},
    call::{call, simulate_bytes},
};

/// A change of a service manager.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// Lets operators register.
    AllowOperators(Vec<Address>),
    /// Keeps operators from registering; those that are registered stay.
    DisallowOperators(Vec<Address>),
    /// Lets only operators on the allowlist register.
    EnableAllowlist,
    /// Lets every operator register.
    DisableAllowlist,
    /// Names who may send V1 and V2 alerts.
    SetConfirmer(Address),
    /// Names who keeps the allowlist.
    SetWhitelister(Address),
    /// Says whether statements may be about a rollup. A V1.2 has one rollup, which is replaced.
    SetRollup {
        /// The rollup.
        rollup: ChainId,
        /// Whether statements may be about it.
        enabled: bool,
    },
    /// Sets the share of its stake with which each quorum has to sign an alert.
    SetThreshold(Threshold),
    /// Removes an alert. The generations V1.0 to V1.2 have one rollup and do not ask which.
    RemoveAlert {
        /// The rollup.
        rollup: ChainId,
        /// Message hash of the alert; for a V3 alert its digest.
        message_hash: B256,
    },
    /// Lets a removed alert be raised again; V3.
    ReopenAlert {
        /// The rollup.
        rollup: ChainId,
        /// Message hash of the alert; for a V3 alert its digest.
        message_hash: B256,
    },
    /// Names the quorums that have to sign V3 statements, and each one's share.
    SetStatementQuorums {
        /// The quorums.
        quorums: QuorumNumbers,
        /// The share of each, in the same order.
        thresholds: Vec<Threshold>,
    },
    /// Sets how many L1 blocks old the reference block of a V3 statement may be.
    SetMaxReferenceBlockAge(u32),
    /// Stops registrations and confirmations.
    Pause,
    /// Ends the pause.
    Unpause,
}

/// Who may give a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The owner.
    Owner,
    /// Who keeps the allowlist.
    Whitelister,
    /// One of those that may pause.
    Pauser,
    /// The one that may end a pause.
    Unpauser,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Whitelister => "whitelister",
            Self::Pauser => "pauser",
            Self::Unpauser => "unpauser",
        })
    }
}

/// A transaction that is yet to be sent: by [`Submitter::send_to`](crate::Submitter::send_to), or by
/// whoever holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The contract.
    pub to: Address,
    /// What it is called with.
    pub calldata: Bytes,
    /// Signature of the function.
    pub function: &'static str,
    /// What the transaction does, in words.
    pub summary: String,
}

impl Action {
    fn new<C: SolCall>(to: Address, call: &C, summary: impl Into<String>) -> Self {
        Self {
            to,
            calldata: call.abi_encode().into(),
            function: C::SIGNATURE,
            summary: summary.into(),
        }
    }
}

impl AdminCommand {
    /// Who may give the command to a service manager of this generation.
    pub const fn role(&self, generation: Generation) -> Role {
        match self {
            Self::AllowOperators(_) | Self::DisallowOperators(_) => match generation {
                Generation::V1_0 => Role::Owner,
                _ => Role::Whitelister,
            },
            Self::Pause => Role::Pauser,
            Self::Unpause => Role::Unpauser,
            _ => Role::Owner,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::AllowOperators(_) => "allow operators",
            Self::DisallowOperators(_) => "disallow operators",
            Self::EnableAllowlist => "enable the allowlist",
            Self::DisableAllowlist => "disable the allowlist",
            Self::SetConfirmer(_) => "set the confirmer",
            Self::SetWhitelister(_) => "set the whitelister",
            Self::SetRollup { .. } => "set a rollup",
            Self::SetThreshold(_) => "set the threshold",
            Self::RemoveAlert { .. } => "remove an alert",
            Self::ReopenAlert { .. } => "reopen an alert",
            Self::SetStatementQuorums { .. } => "set the quorums of statements",
            Self::SetMaxReferenceBlockAge(_) => "set the age of reference blocks",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
        }
    }

    /// The transactions that give the command, to be sent in this order.
    ///
    /// Errors: [`AdminError::Unsupported`] if the generation has no such command.
    pub fn actions(&self, to: Address, generation: Generation) -> Result<Vec<Action>, AdminError> {
        let unsupported = || AdminError::Unsupported {
            command: self.name(),
            generation,
        };
        let batches = generation >= Generation::V2;
        let one = |action| Ok(vec![action]);
        match self {
            Self::AllowOperators(operators) | Self::DisallowOperators(operators)
                if operators.is_empty() =>
            {
                Err(AdminError::NoOperators)
            }
            Self::AllowOperators(operators) if batches => {
                let operators = operators.clone();
                let summary = format!("allow {} to register", list(&operators));
                one(Action::new(
                    to,
                    &I::allowOperatorsCall { operators },
                    summary,
                ))
            }
            Self::DisallowOperators(operators) if batches => {
                let operators = operators.clone();
                let summary = format!("keep {} from registering", list(&operators));
                one(Action::new(
                    to,
                    &I::disallowOperatorsCall { operators },
                    summary,
                ))
            }
            Self::AllowOperators(operators) => Ok(operators
                .iter()
                .map(|operator| {
                    let call = V1::addToAllowlistCall {
                        operator: *operator,
                    };
                    Action::new(to, &call, format!("allow {operator} to register"))
                })
                .collect()),
            Self::DisallowOperators(operators) => Ok(operators
                .iter()
                .map(|operator| {
                    let call = V1::removeFromAllowlistCall {
                        operator: *operator,
                    };
                    Action::new(to, &call, format!("keep {operator} from registering"))
                })
                .collect()),
            Self::EnableAllowlist => one(Action::new(
                to,
                &I::enableAllowlistCall {},
                "let only operators on the allowlist register",
            )),
            Self::DisableAllowlist => one(Action::new(
                to,
                &I::disableAllowlistCall {},
                "let every operator register",
            )),
            Self::SetConfirmer(confirmer) => one(Action::new(
                to,
                &I::setConfirmerCall {
                    confirmer: *confirmer,
                },
                format!("let {confirmer} confirm alerts, and nobody else"),
            )),
            Self::SetWhitelister(_) if generation == Generation::V1_0 => Err(unsupported()),
            Self::SetWhitelister(whitelister) => one(Action::new(
                to,
                &I::setWhitelisterCall {
                    newWhitelister: *whitelister,
                },
                format!("let {whitelister} keep the allowlist, and nobody else"),
            )),
            Self::SetRollup { rollup, enabled } if generation.has_rollups() => {
                let call = I::setRollupChainIDCall {
                    rollupChainId: U256::from(*rollup),
                    status: *enabled,
                };
                let verb = if *enabled { "take" } else { "refuse" };
                one(Action::new(
                    to,
                    &call,
                    format!("{verb} statements about rollup {rollup}"),
                ))
            }
            Self::SetRollup {
                rollup,
                enabled: true,
            } if generation == Generation::V1_2 => {
                let call = V1::updateRollupChainIdCall {
                    rollupChainId: U256::from(*rollup),
                };
                one(Action::new(
                    to,
                    &call,
                    format!("take alerts about rollup {rollup} only"),
                ))
            }
            Self::SetRollup { .. } => Err(unsupported()),
            Self::SetThreshold(threshold) => one(Action::new(
                to,
                &I::updateQuorumThresholdPercentageCall {
                    thresholdPercentage: threshold.value(),
                },
                format!("ask for {}% of each quorum's stake", threshold.value()),
            )),
            Self::RemoveAlert {
                rollup,
                message_hash,
            } if generation.has_rollups() => {
                let call = I::removeAlertCall {
                    rollupChainId: U256::from(*rollup),
                    messageHash: *message_hash,
                };
                let summary = format!("remove alert {message_hash} about rollup {rollup}");
                one(Action::new(to, &call, summary))
            }
            Self::RemoveAlert { message_hash, .. } => one(Action::new(
                to,
                &V1::removeAlertCall {
                    messageHash: *message_hash,
                },
                format!("remove alert {message_hash}"),
            )),
            Self::Pause => one(Action::new(
                to,
                &I::pauseAllCall {},
                "stop registrations and confirmations",
            )),
            Self::Unpause => one(Action::new(
                to,
                &I::unpauseCall {
                    newPausedStatus: U256::ZERO,
                },
                "end the pause",
            )),
            // The rest is V3's.
            _ if generation < Generation::V3 => Err(unsupported()),
            Self::ReopenAlert {
                rollup,
                message_hash,
            } => {
                let call = I::reopenAlertCall {
                    rollupChainId: U256::from(*rollup),
                    messageHash: *message_hash,
                };
                let summary =
                    format!("let alert {message_hash} about rollup {rollup} be raised again");
                one(Action::new(to, &call, summary))
            }
            Self::SetStatementQuorums {
                quorums,
                thresholds,
            } => {
                let call = I::setStatementQuorumsCall {
                    quorumNumbers: Bytes::copy_from_slice(quorums.as_bytes()),
                    thresholds: thresholds.iter().map(|share| share.value()).collect(),
                };
                let shares: Vec<_> = quorums
                    .iter()
                    .zip(thresholds)
                    .map(|(quorum, share)| format!("{}% of quorum {quorum}", share.value()))
                    .collect();
                let summary = format!("ask for {} to state anything", shares.join(", "));
                one(Action::new(to, &call, summary))
            }
            Self::SetMaxReferenceBlockAge(blocks) => one(Action::new(
                to,
                &I::setMaxReferenceBlockAgeCall { blocks: *blocks },
                format!("refuse reference blocks older than {blocks} blocks"),
            )),
        }
    }
}

fn list(addresses: &[Address]) -> String {
    let addresses: Vec<_> = addresses.iter().map(Address::to_string).collect();
    addresses.join(", ")
}

/// Commands to one service manager, checked before they are sent.
#[derive(Clone, Debug)]
pub struct Admin {
    probe: Probe,
}

impl Admin {
    /// The service manager at `address`, whose generation is probed.
    pub async fn connect(
        provider: impl Provider + 'static,
        address: Address,
    ) -> Result<Self, ProbeError> {
        let probe = Probe::read(provider, address).await?;
        Ok(Self { probe })
    }

    /// What the service manager turned out to be.
    pub const fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Who holds a role; of the pausers only those that `among` names are known.
    pub async fn holder(&self, role: Role, among: Address) -> Result<Option<Address>, CallError> {
        let (provider, to) = (self.probe.provider(), self.probe.address);
        match role {
            Role::Owner => Ok(Some(call(provider, to, &I::ownerCall {}).await?)),
            Role::Whitelister => Ok(Some(call(provider, to, &I::whitelisterCall {}).await?)),
            Role::Pauser | Role::Unpauser => {
                let pausers = call(provider, to, &I::pauserRegistryCall {}).await?;
                if role == Role::Unpauser {
                    let unpauser = IPauserRegistry::unpauserCall {};
                    return Ok(Some(call(provider, pausers, &unpauser).await?));
                }
                let asked = IPauserRegistry::isPauserCall { account: among };
                let may = call(provider, pausers, &asked).await?;
                Ok(may.then_some(among))
            }
        }
    }

    /// The transactions that give `command`, once it is known that the service manager takes it from
    /// `sender`: the role is asked for and each transaction is simulated. Nothing is sent.
    ///
    /// Errors: [`AdminError`].
    pub async fn prepare(
        &self,
        command: &AdminCommand,
        sender: Address,
    ) -> Result<Vec<Action>, AdminError> {
        let actions = command.actions(self.probe.address, self.probe.generation)?;
        let role = command.role(self.probe.generation);
        let holder = self.holder(role, sender).await?;
        if holder != Some(sender) {
            return Err(AdminError::NotAuthorized {
                sender,
                role,
                holder,
            });
        }
        self.check_alert(command).await?;
        for action in &actions {
            let (provider, calldata) = (self.probe.provider(), action.calldata.clone());
            match simulate_bytes(provider, sender, action.to, calldata, action.function).await {
                Ok(_) => {}
                Err(CallError::Reverted { revert, .. }) => {
                    return Err(AdminError::Refused {
                        action: Box::new(action.clone()),
                        revert: Box::new(revert),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(actions)
    }

    /// Service managers remove what is not there without a word.
    async fn check_alert(&self, command: &AdminCommand) -> Result<(), AdminError> {
        let AdminCommand::RemoveAlert {
            rollup,
            message_hash,
        } = *command
        else {
            return Ok(());
        };
        let (provider, to) = (self.probe.provider(), self.probe.address);
        let active = if self.probe.generation.has_rollups() {
            let request = I::containsCall {
                rollupChainId: U256::from(rollup),
                messageHash: message_hash,
            };
            call(provider, to, &request).await?
        } else {
            let request = V1::containsCall {
                messageHash: message_hash,
            };
            call(provider, to, &request).await?
        };
        if active {
            return Ok(());
        }
        Err(AdminError::NoSuchAlert {
            rollup,
            message_hash,
        })
    }
}

/// Why a command is not given.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The generation has no such command.
    #[error("a service manager of generation {generation} cannot be told to {command}")]
    Unsupported {
        /// The command.
        command: &'static str,
        /// The generation.
        generation: Generation,
    },
    /// There is nobody to allow or disallow.
    #[error("no operators are named")]
    NoOperators,
    /// The sender is not who may give the command.
    #[error("{sender} is not the service manager's {role}{}", told(*.holder))]
    NotAuthorized {
        /// Who was going to send.
        sender: Address,
        /// Who may give the command.
        role: Role,
        /// Who that is, if it is one account.
        holder: Option<Address>,
    },
    /// The service manager would refuse, though not because of who sends.
    #[error("the service manager refuses to {}: {revert}{}", action.summary, why(.revert))]
    Refused {
        /// The transaction.
        action: Box<Action>,
        /// Why, decoded.
        revert: Box<Revert>,
    },
    /// There is nothing to remove.
    #[error("no alert {message_hash} about rollup {rollup} is active")]
    NoSuchAlert {
        /// The rollup.
        rollup: ChainId,
        /// Message hash of the alert.
        message_hash: B256,
    },
    /// The service manager was not heard.
    #[error(transparent)]
    Call(Box<CallError>),
}

impl From<CallError> for AdminError {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

impl AdminError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Call(error) => error.is_transient(),
            _ => false,
        }
    }
}

fn why(revert: &Revert) -> String {
    revert
        .explanation()
        .map_or_else(String::new, |why| format!(" ({why})"))
}

fn told(holder: Option<Address>) -> String {
    holder.map_or_else(String::new, |holder| format!(", which is {holder}"))
}
