use alloy_primitives::{Bytes, TxHash};
use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{Bn254, Certificate, Confirmation, Curve, legacy::AlertCertificate};

/// Brings certificates to L1.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait StatementConfirmer<C: Curve = Bn254>: Send + Sync {
    /// Has the statement of `certificate` confirmed.
    ///
    /// A statement that stands on L1 already is `Ok`, without a transaction.
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
