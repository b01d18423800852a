//! Transactions, before they are sent.

use alloy_primitives::{Address, B256, Bytes, ChainId, TxKind, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{TransactionInput, TransactionReceipt, TransactionRequest};
use alloy_transport::TransportError;
use serde::Serialize;

use crate::{Revert, SubmitError, Submitter, call::revert_data};

/// What is to be done on L1, step by step: to be read, carried elsewhere, or sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a plan does nothing until it is sent"]
pub struct Plan {
    /// Chain that the steps are for.
    pub chain_id: ChainId,
    /// Account that has to send them.
    pub sender: Address,
    /// In this order; empty if there is nothing to do.
    pub steps: Vec<Step>,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it does, in words.
    pub what: String,
    /// The contract.
    pub to: Address,
    /// Ether to send along, in wei.
    pub value: U256,
    /// Input of the call. Where a signature is missing it has an empty one in its place.
    pub calldata: Bytes,
    /// Signatures that are missing.
    pub unsigned: Vec<Unsigned>,
}

/// A signature that is yet to be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unsigned {
    /// What is signed, in words.
    pub what: String,
    /// Account that has to sign.
    pub signer: Address,
    /// What it signs, as it is: EIP-712 is applied already.
    pub digest: B256,
}

impl Plan {
    /// Signatures that are missing before the plan can be sent.
    pub fn unsigned(&self) -> impl Iterator<Item = &Unsigned> {
        self.steps.iter().flat_map(|step| &step.unsigned)
    }

    /// Runs the first step as its sender would, and forgets its effects. The later steps build on it and
    /// cannot be tried before it is done.
    ///
    /// Errors: [`PlanError`], as [`Self::send`] would have.
    pub async fn simulate(&self, provider: &DynProvider) -> Result<(), PlanError> {
        self.check_complete()?;
        self.check_chain(provider.get_chain_id().await?)?;
        let Some(step) = self.steps.first() else {
            return Ok(());
        };
        let request = TransactionRequest {
            from: Some(self.sender),
            to: Some(TxKind::Call(step.to)),
            value: Some(step.value),
            input: TransactionInput::both(step.calldata.clone()),
            ..Default::default()
        };
        match provider.call(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match revert_data(&error) {
                Some(data) => PlanError::Refused {
                    what: step.what.clone(),
                    revert: Revert::decode(&data),
                },
                None => error.into(),
            }),
        }
    }

    /// Sends the steps, each after the one before it is in a block.
    ///
    /// Errors: [`PlanError`]; nothing is sent unless it is [`PlanError::Submit`], and then no step after
    /// the one that it names.
    pub async fn send(&self, submitter: &Submitter) -> Result<Vec<TransactionReceipt>, PlanError> {
        self.check_complete()?;
        self.check_chain(submitter.chain_id())?;
        if submitter.sender() != self.sender {
            return Err(PlanError::OtherSender {
                sender: self.sender,
                account: submitter.sender(),
            });
        }
        // The submitter sends no ether; no step so far needs any.
        if let Some(step) = self.steps.iter().find(|step| !step.value.is_zero()) {
            return Err(PlanError::Value(step.what.clone()));
        }
        let mut receipts = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let receipt = submitter
                .send_to(step.to, step.calldata.clone())
                .await
                .map_err(|source| PlanError::Submit {
                    what: step.what.clone(),
                    source,
                })?;
            receipts.push(receipt);
        }
        Ok(receipts)
    }

    fn check_complete(&self) -> Result<(), PlanError> {
        match self.unsigned().next() {
            Some(unsigned) => Err(PlanError::Unsigned(unsigned.clone())),
            None => Ok(()),
        }
    }

    const fn check_chain(&self, connected: ChainId) -> Result<(), PlanError> {
        if connected == self.chain_id {
            return Ok(());
        }
        Err(PlanError::OtherChain {
            planned: self.chain_id,
            connected,
        })
    }
}

impl Step {
    pub(crate) fn new(
        what: impl Into<String>,
        to: Address,
        call: &impl alloy_sol_types::SolCall,
    ) -> Self {
        Self {
            what: what.into(),
            to,
            value: U256::ZERO,
            calldata: call.abi_encode().into(),
            unsigned: Vec::new(),
        }
    }
}

impl core::fmt::Display for Plan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            chain_id, sender, ..
        } = self;
        if self.steps.is_empty() {
            return writeln!(f, "nothing to do");
        }
        writeln!(f, "{sender} sends on chain {chain_id}:")?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{}. {}", number + 1, step.what)?;
            writeln!(f, "   to       {}", step.to)?;
            if !step.value.is_zero() {
                writeln!(f, "   value    {} wei", step.value)?;
            }
            if step.unsigned.is_empty() {
                writeln!(f, "   calldata {}", step.calldata)?;
            }
            for missing in &step.unsigned {
                let Unsigned {
                    what,
                    signer,
                    digest,
                } = missing;
                writeln!(f, "   {what}: {signer} has to sign {digest}")?;
            }
        }
        Ok(())
    }
}

/// Why a plan is not carried out.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A signature is missing.
    #[error("{} is missing: sign {} with the key of {} and give the signature", .0.what, .0.digest, .0.signer)]
    Unsigned(Unsigned),
    /// The plan is for another chain.
    #[error(
        "the plan is for chain {planned}, the node is on chain {connected}: use a node of {planned}"
    )]
    OtherChain {
        /// Chain of the plan.
        planned: ChainId,
        /// Chain of the node.
        connected: ChainId,
    },
    /// The plan is for another account.
    #[error(
        "{sender} has to send this and the key is that of {account}: use its key, or let it send the \
         calldata if it is a contract"
    )]
    OtherSender {
        /// Account that has to send.
        sender: Address,
        /// Account of the submitter.
        account: Address,
    },
    /// A step moves ether.
    #[error("\"{0}\" moves ether: send it with a wallet")]
    Value(String),
    /// A contract would refuse.
    #[error("\"{what}\" would be refused: {revert}")]
    Refused {
        /// The step, in words.
        what: String,
        /// Why.
        revert: Revert,
    },
    /// A step did not succeed.
    #[error("\"{what}\" did not succeed")]
    Submit {
        /// The step, in words.
        what: String,
        /// Why.
        #[source]
        source: SubmitError,
    },
    /// The request did not get through.
    #[error("L1 request failed")]
    Transport(#[from] TransportError),
}

impl PlanError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Submit { source, .. } => source.is_transient(),
            Self::Transport(_) => true,
            _ => false,
        }
    }

    /// Why a contract refuses, if it does.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Refused { revert, .. } => Some(revert),
            Self::Submit { source, .. } => source.revert(),
            _ => None,
        }
    }
}
