//! Alerts that are believed only after the block was verified.

use std::collections::BTreeMap;

use alloy_primitives::TxHash;
use async_trait::async_trait;
use mach_core::{
    Alert, BlockRef, Verdict,
    legacy::LegacyAlert,
    ports::{AlertSink, BlockValidator, BoxError, L2Source},
};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::{AlertAnswer, AlertRefusal, LegacyAlerts};

/// Blocks that are verified at a time because a verifier says so.
const MAX_AT_ONCE: usize = 4;

/// Takes an alert as a reason to look at its block: what is signed is what this operator finds itself,
/// as the statement of its own generation. A verifier that is wrong, or lies, gets nothing signed.
///
/// An alert that names no block number, `alert_blockHash` and `alert_blockOutputOracleMismatch`, cannot
/// be looked at and is refused.
pub struct Recheck {
    rollups: BTreeMap<String, Rollup>,
    at_once: Semaphore,
}

/// How the blocks of an AVS's rollup are verified, and who says what is found.
struct Rollup {
    source: Box<dyn L2Source>,
    validator: Box<dyn BlockValidator>,
    sink: Box<dyn AlertSink>,
}

impl Recheck {
    /// Knows no AVS yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rollups: BTreeMap::new(),
            at_once: Semaphore::new(MAX_AT_ONCE),
        }
    }

    /// The same with the AVS called `avs`: its blocks come from `source`, are judged by `validator`, and
    /// `sink` is told of invalid ones.
    #[must_use]
    pub fn with_rollup(
        mut self,
        avs: impl Into<String>,
        source: impl L2Source + 'static,
        validator: impl BlockValidator + 'static,
        sink: impl AlertSink + 'static,
    ) -> Self {
        let rollup = Rollup {
            source: Box::new(source),
            validator: Box::new(validator),
            sink: Box::new(sink),
        };
        self.rollups.insert(avs.into(), rollup);
        self
    }
}

impl Default for Recheck {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Recheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.rollups.keys()).finish()
    }
}

#[async_trait]
impl LegacyAlerts for Recheck {
    async fn alert(&self, avs: &str, alert: &LegacyAlert) -> Result<AlertAnswer, AlertRefusal> {
        let rollup = self.rollups.get(avs);
        let rollup = rollup.ok_or_else(|| refused("there is no AVS of that name"))?;
        let LegacyAlert::BlockMismatch {
            l2_block_number, ..
        } = alert
        else {
            return Err(refused("the alert names no block that could be verified"));
        };
        let _place = (self.at_once.try_acquire())
            .map_err(|_| refused("too many alerts are being looked at"))?;
        let block = rollup
            .source
            .block(*l2_block_number)
            .await
            .map_err(refused)?;
        let verdict = rollup.validator.validate(&block).await.map_err(refused)?;
        let Verdict::Invalid(fault) = verdict else {
            warn!(avs, block = %block.reference(), "a verifier accuses a valid block");
            return Err(refused(format!("block {} is valid", block.reference())));
        };
        info!(avs, block = %block.reference(), %fault, "alert of a verifier found right");
        let statement = Alert::new(&block, &fault);
        rollup.sink.raise(&statement).await.map_err(refused)?;
        Ok(AlertAnswer {
            task_index: 0,
            tx_hash: TxHash::ZERO,
            alert_hash: alert.message_hash(),
        })
    }

    async fn alive(&self, avs: &str, block: BlockRef) {
        info!(avs, %block, "verifier lives");
    }
}

fn refused(error: impl Into<BoxError>) -> AlertRefusal {
    AlertRefusal::Refused(error.into())
}
