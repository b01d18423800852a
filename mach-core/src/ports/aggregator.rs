use alloy_primitives::B256;
use async_trait::async_trait;
use auto_impl::auto_impl;
use serde::{Deserialize, Serialize};

use super::{BoxError, RegistryError};
use crate::{Bn254, Confirmation, Curve, OperatorId, Round, SignedStatement, Statement};

/// Collects signatures until a certificate can be made.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait SignatureAggregator<C: Curve = Bn254>: Send + Sync {
    /// Terms of the round for `statement`: there is one round for a statement, however many operators
    /// ask at once. Answers terms, never a hash to sign.
    ///
    /// Asking changes nothing, and a stranger may ask. A round begins with its first signature.
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError>;

    /// Adds one signature, and begins the round if it is the first one. The same signature again
    /// changes nothing.
    async fn submit(&self, signed: SignedStatement<C>) -> Result<Progress, AggregateError>;
}

/// How far a round is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum Progress {
    /// Some quorum is below its threshold.
    Collecting {
        /// Operators whose signatures count so far.
        signers: u64,
    },
    /// Every quorum reached its threshold; the certificate is on its way to L1.
    Reached {
        /// Operators whose signatures count so far.
        signers: u64,
    },
    /// The statement stands on L1.
    Confirmed(Confirmation),
    /// The statement is an alert that was removed on L1 by the owner of the contract: no signature is needed
    /// any more, and this one is not kept.
    Withdrawn,
}

/// Why a round was not opened or a signature not taken.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// The operator is in none of the round's quorums.
    #[error("operator {0} is in none of the round's quorums")]
    UnknownOperator(OperatorId),
    /// No round is open for the statement.
    #[error("no round is open for statement {0}")]
    UnknownRound(B256),
    /// The signature was made for another service manager or L1 chain.
    #[error("the signature is for another domain")]
    WrongDomain,
    /// The signature is not the operator's signature of the statement.
    #[error("the signature of operator {0} is not valid")]
    BadSignature(OperatorId),
    /// The statement is about a rollup that the aggregator does not serve.
    #[error("rollup {0} is not served")]
    UnknownRollup(u64),
    /// The round ended before its threshold was reached.
    #[error("the round for statement {0} has expired")]
    Expired(B256),
    /// The certificate of the statement is not extended any more. Nothing is wrong with the signature, and
    /// it is not kept.
    #[error("the signature of statement {0} comes too late, its certificate is complete")]
    TooLate(B256),
    /// The aggregator is at its limit of open rounds.
    #[error("the limit of {0} open rounds is reached")]
    Full(usize),
    /// Too many signatures of statements of long ago come at once.
    #[error("too many late signatures come at once")]
    Busy,
    /// Another instance leads; this one stands by.
    #[error("another instance of the aggregator leads")]
    Standby,
    /// The operator set could not be read.
    #[error("the operator set is not known")]
    Registry(#[source] RegistryError),
    /// The request did not get through.
    #[error("aggregator request failed")]
    Backend(#[source] BoxError),
}

impl AggregateError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Full(_) | Self::Busy | Self::Standby | Self::Backend(_) => true,
            Self::Registry(source) => source.is_transient(),
            _ => false,
        }
    }
}
