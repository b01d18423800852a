//! The original's operator, for its verifiers.

mod answer;
mod recheck;
mod request;
mod served;

pub use recheck::Recheck;
pub use served::{LegacyAvs, LegacyNode, verifier_router};

use alloy_primitives::{B256, TxHash};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{BlockRef, legacy::LegacyAlert, ports::BoxError};

/// Who takes what a verifier of the original says.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait LegacyAlerts: Send + Sync {
    /// Takes an alert about the rollup of the AVS called `avs`.
    ///
    /// Errors: [`AlertRefusal`]; nothing was said on the verifier's word then.
    async fn alert(&self, avs: &str, alert: &LegacyAlert) -> Result<AlertAnswer, AlertRefusal>;

    /// Hears that a verifier lives, and which block it has come to.
    async fn alive(&self, avs: &str, block: BlockRef);
}

/// What a verifier is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertAnswer {
    /// Number of the aggregator's task; 0 where tasks have none.
    pub task_index: u32,
    /// The transaction, zero while there is none.
    pub tx_hash: TxHash,
    /// Message hash of the alert.
    pub alert_hash: B256,
}

/// Why an alert was not taken.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AlertRefusal {
    /// The alert stands already. Verifiers are told so by a code.
    #[error("{0}")]
    AlreadyFinished(String),
    /// Anything else.
    #[error("{0}")]
    Refused(BoxError),
}
