//! Waiting for L1.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mach_core::{
    L2Block, Verdict,
    ports::{BlockValidator, L2Source, ValidateError},
};
use mach_verify::derive::{DeriveError, DriverError};
use tracing::info;

use crate::nodes::Node;

/// Between two looks at L1.
const PAUSE: Duration = Duration::from_secs(2);

/// Validates with `V`, and waits while L1 does not say yet what it will say: until the batch of the
/// block is posted, or until the L1 block that speaks against it is final. What comes behind such a
/// block stands on it, so nothing is missed meanwhile.
///
/// A block that its node does not serve any more is not waited for.
pub(super) struct Settled<V> {
    inner: V,
    source: Arc<dyn Node>,
    rollup: u64,
}

impl<V> Settled<V> {
    pub(super) fn new(inner: V, source: Arc<dyn Node>, rollup: u64) -> Self {
        Self {
            inner,
            source,
            rollup,
        }
    }
}

#[async_trait]
impl<V: BlockValidator> BlockValidator for Settled<V> {
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError> {
        let mut is_told = false;
        loop {
            let error = match self.inner.validate(block).await {
                Err(error) if is_unsettled(&error) => error,
                judged => return judged,
            };
            if !is_told {
                let rollup = self.rollup;
                info!(rollup, block = %block.reference(), "waits until L1 settles it");
                is_told = true;
            }
            tokio::time::sleep(PAUSE).await;
            match self.source.block(block.number()).await {
                Ok(served) if served.hash() == block.hash() => {}
                _ => return Err(error),
            }
        }
    }
}

/// Whether L1 alone is what is waited for.
fn is_unsettled(error: &ValidateError) -> bool {
    let ValidateError::Incomplete { source, .. } = error else {
        return false;
    };
    let source = source.downcast_ref::<DriverError>();
    source.is_some_and(|error| {
        error.is_not_yet() || matches!(error, DriverError::Derive(DeriveError::Unsettled(_)))
    })
}
