//! What the original's operators ask and are answered.

use alloy_primitives::{Address, B256, ChainId, TxHash};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    G1Bytes, OperatorId,
    legacy::{digest_v1, digest_v2},
    ports::BoxError,
};

/// Which digest the operators of a service manager sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestRule {
    /// [`digest_v1`]: until May 2024, and what the original's open operator knows.
    V1,
    /// [`digest_v2`], of this rollup.
    V2(ChainId),
}

impl DigestRule {
    /// The digest of an alert.
    pub fn digest(&self, message_hash: B256, reference_block: u32) -> B256 {
        match self {
            Self::V1 => digest_v1(message_hash, reference_block),
            Self::V2(rollup) => digest_v2(message_hash, reference_block, *rollup),
        }
    }
}

/// What an operator and its aggregator have to be configured with alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// EIP-155 id of L1.
    pub layer1_chain_id: u32,
    /// EIP-155 id of the rollup.
    pub layer2_chain_id: u32,
    /// The operator state retriever.
    pub operator_state_retriever: Address,
    /// The registry coordinator.
    pub registry_coordinator: Address,
}

/// An operator introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitOperator {
    /// What it is configured with.
    pub deployment: Deployment,
    /// Who it is.
    pub operator: OperatorId,
    /// Its account.
    pub address: Address,
}

/// Whether an operator is configured as the aggregator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitAnswer {
    /// Whether it is.
    pub ok: bool,
    /// The first difference, in the original's words; empty if there is none.
    pub reason: String,
}

impl Deployment {
    /// Compares what an operator is configured with.
    pub fn compare(&self, operator: &Self) -> InitAnswer {
        let reason = if operator.operator_state_retriever != self.operator_state_retriever {
            let expected = self.operator_state_retriever;
            format!("OperatorStateRetrieverAddr invaild, expect {expected}")
        } else if operator.registry_coordinator != self.registry_coordinator {
            let expected = self.registry_coordinator;
            format!("RegistryCoordinatorAddr invaild, expect {expected}")
        } else if operator.layer1_chain_id != self.layer1_chain_id {
            let expected = self.layer1_chain_id;
            format!("Layer1ChainId invaild, expect {expected}")
        } else if operator.layer2_chain_id != self.layer2_chain_id {
            let expected = self.layer2_chain_id;
            format!("Layer2ChainId invaild, expect {expected}")
        } else {
            String::new()
        };
        InitAnswer {
            ok: reason.is_empty(),
            reason,
        }
    }
}

/// A round of signatures of one alert, and its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertTask {
    /// Message hash of the alert.
    pub alert_hash: B256,
    /// Quorums that have to sign.
    pub quorum_numbers: Vec<u8>,
    /// Threshold of each quorum, in percent.
    pub quorum_threshold_percentages: Vec<u8>,
    /// Number of the task, from 0.
    pub task_index: u32,
    /// L1 block that operators and stakes are taken at.
    pub reference_block_number: u64,
}

/// An aggregator of the original's kind.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait LegacyTasks: Send + Sync {
    /// Compares what an operator is configured with.
    async fn init_operator(&self, operator: InitOperator) -> InitAnswer;

    /// Opens the task of an alert, or joins it.
    ///
    /// Errors: [`TaskError`].
    async fn create_task(&self, alert_hash: B256) -> Result<AlertTask, TaskError>;

    /// Takes an operator's signature of the digest of a task.
    ///
    /// Errors: [`TaskError`]; the signature is not counted then.
    async fn submit(
        &self,
        task: AlertTask,
        signature: G1Bytes,
        operator: OperatorId,
    ) -> Result<(), TaskError>;
}

/// Why a task was not opened or a signature not taken, in the original's words where it has any.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The alert stands on L1. Operators look for the words "already finished".
    #[error("the task {alert_hash} already finished: {transaction}")]
    AlreadyFinished {
        /// Message hash of the alert.
        alert_hash: B256,
        /// The transaction that confirmed it; zero if it stood there before.
        transaction: TxHash,
    },
    /// The terms of the task are not known.
    #[error("new alert task info failed: {0}")]
    NotOpened(#[source] BoxError),
    /// The signature may be right and is not durable: the store or L1 does not serve.
    #[error("the signature cannot be kept now")]
    NotKept(#[source] BoxError),
    /// No task has this hash and index.
    #[error("task not found")]
    NotFound,
    /// The task takes no signatures.
    #[error("task {0} not initialized or already completed")]
    NotOpen(u32),
    /// The operator has no stake in the task.
    #[error("operator {operator} not part of task {task}'s quorum")]
    NotInQuorum {
        /// Number of the task.
        task: u32,
        /// Who is said to have signed.
        operator: OperatorId,
    },
    /// The signature is another one's, or of something else.
    #[error("Signature verification failed. Incorrect Signature.")]
    WrongSignature,
    /// The signature is no point that can be one.
    #[error("Failed to verify signature: {0}")]
    Malformed(#[source] BoxError),
}
