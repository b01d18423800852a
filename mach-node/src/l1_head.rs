//! Where L1 is.

use alloy_provider::{DynProvider, Provider};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::ports::BoxError;

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
