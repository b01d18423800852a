//! Why the index does not take or tell something.

use alloy_primitives::{B256, ChainId};
use mach_bls::CertificateError;
use mach_core::ports::BoxError;

use crate::store::StoreError;

/// Why the index does not take or tell something.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum FinalityError {
    /// The rollup is not served.
    #[error("rollup {0} is not served")]
    UnknownRollup(ChainId),
    /// No certificate of this statement is kept.
    #[error("no certificate of statement {0} is known")]
    UnknownStatement(B256),
    /// The certificate is for another service manager or L1 chain.
    #[error("the certificate is for another domain")]
    OtherDomain,
    /// The certificate proves nothing.
    #[error("the certificate is not valid")]
    Certificate(#[from] CertificateError),
    /// The store does not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the aggregator tells of its rounds did not come.
    #[error("the rounds are not told")]
    Rounds(#[source] BoxError),
}

impl FinalityError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}
