use alloy_primitives::{B256, Bytes, TxHash};
use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{Bn254, Certificate, Confirmation, Curve, Statement, legacy::AlertCertificate};

/// What L1 has of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L1Standing {
    /// It stands there, whoever brought it.
    Stands,
    /// It is not there.
    Absent,
    /// It is an alert that stood there. The owner has removed it, and the contract does not take it again
    /// unless the owner reopens it.
    Withdrawn,
}

/// Tells what L1 has of statements. Asking costs no transaction.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait StatementReader: Send + Sync {
    /// What L1 has of `statement` at its head.
    ///
    /// Errors: [`ConfirmError`]; then nothing is known.
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError>;
}

/// Brings certificates to L1.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait StatementConfirmer<C: Curve = Bn254>: StatementReader {
    /// Has the statement of `certificate` confirmed.
    ///
    /// A statement that stands on L1 already is `Ok`, without a transaction.
    ///
    /// Errors: [`ConfirmError`]. An alert that is [`L1Standing::Withdrawn`] is
    /// [`ConfirmError::Withdrawn`].
    async fn confirm(&self, certificate: &Certificate<C>) -> Result<Confirmation, ConfirmError>;
}

/// Brings alerts of the original's generations to L1.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait AlertConfirmer<C: Curve = Bn254>: Send + Sync {
    /// Has the alert of `certificate` confirmed.
    ///
    /// An alert that stands on L1 already is `Ok`, without a transaction.
    async fn confirm_alert(
        &self,
        certificate: &AlertCertificate<C>,
    ) -> Result<Confirmation, ConfirmError>;
}

/// Why a certificate is not confirmed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The contract refuses the certificate.
    #[error("the contract refuses the certificate: {reason}")]
    Reverted {
        /// Decoded error, in words.
        reason: String,
        /// Revert data as it was returned.
        data: Bytes,
    },
    /// The owner of the contract has removed this alert, and has not reopened it.
    #[error("the owner of the contract has removed alert {0}")]
    Withdrawn(B256),
    /// The transaction was sent and is not included yet.
    #[error("transaction {transaction} was not included within {blocks} blocks")]
    NotIncluded {
        /// Hash of the last attempt.
        transaction: TxHash,
        /// L1 blocks waited.
        blocks: u64,
    },
    /// The request did not get through.
    #[error("L1 request failed")]
    Backend(#[source] BoxError),
}

impl ConfirmError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::NotIncluded { .. } | Self::Backend(_))
    }
}
