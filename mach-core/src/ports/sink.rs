use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{Alert, Attestation};

/// Where the outcome of verification goes: an operator, a pager, a circuit breaker.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait AlertSink: Send + Sync {
    /// Takes responsibility for `alert`.
    ///
    /// Raising the same alert twice has the effect of raising it once.
    ///
    /// Errors: [`SinkError`]; the alert may or may not have been delivered.
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError>;

    /// Takes note of a valid block. A sink that is about alerts only leaves this as it is.
    ///
    /// Errors: [`SinkError`]; the attestation may or may not have been delivered.
    async fn attest(&self, attestation: &Attestation) -> Result<(), SinkError> {
        let _ = attestation;
        Ok(())
    }
}

/// Why a sink did not take an outcome.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It will never be taken: it contradicts what was said before, or nobody may sign it.
    #[error("the outcome is refused")]
    Refused(#[source] BoxError),
    /// It did not get through.
    #[error("the outcome was not delivered")]
    Backend(#[source] BoxError),
}

impl SinkError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }
}
