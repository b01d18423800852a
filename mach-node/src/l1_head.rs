//! Where L1 is.

use std::{sync::Arc, time::Duration};

use alloy_provider::{DynProvider, Provider};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::ports::BoxError;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long the height of L1 is taken for what it was.
const HEAD_LIFETIME: Duration = Duration::from_millis(500);
/// How long L1 has for its height.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Knows the height of L1.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait L1Head: Send + Sync {
    /// Number of the newest L1 block.
    async fn block_number(&self) -> Result<u64, BoxError>;
}

/// Asks an L1 node.
#[derive(Clone, Debug)]
pub struct ProviderHead(DynProvider);

impl ProviderHead {
    /// Asks through `provider`.
    pub fn new(provider: impl Provider + 'static) -> Self {
        Self(provider.erased())
    }
}

#[async_trait]
impl L1Head for ProviderHead {
    async fn block_number(&self) -> Result<u64, BoxError> {
        Ok(self.0.get_block_number().await?)
    }
}

/// Asks for the height once in a while: strangers may make us need it, and L1 does not feel it.
pub(crate) struct RecentHead {
    l1: Arc<dyn L1Head>,
    /// The height, if L1 told it, and when it was asked.
    known: Mutex<Option<(Option<u64>, Instant)>>,
}

impl RecentHead {
    pub(crate) fn new(l1: Arc<dyn L1Head>) -> Self {
        Self {
            l1,
            known: Mutex::default(),
        }
    }

    /// Number of the newest L1 block, or that of a moment ago.
    pub(crate) async fn block_number(&self) -> Result<u64, BoxError> {
        let mut known = self.known.lock().await;
        if let Some((head, read)) = *known
            && read.elapsed() < HEAD_LIFETIME
        {
            return head.ok_or_else(|| "L1 does not tell its height".into());
        }
        let head = timeout(HEAD_TIMEOUT, self.l1.block_number()).await;
        let head = head.unwrap_or_else(|error| Err(error.into()));
        *known = Some((head.as_ref().ok().copied(), Instant::now()));
        head
    }
}
