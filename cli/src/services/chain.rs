//! The L1 that a service works with.

use std::sync::Arc;

use alloy_provider::DynProvider;
use eyre::WrapErr;
use mach_contracts_bindings::{ContractRegistry, Deployment, ServiceManager, Terms};
use mach_node::{ProviderHead, metrics};
use tracing::info;

use crate::{config, l1};

/// L1, the contracts there, and what they ask of a certificate.
pub(super) struct Chain {
    pub(super) provider: DynProvider,
    pub(super) deployment: Deployment,
    pub(super) terms: Terms,
    pub(super) head: Arc<ProviderHead>,
}

impl Chain {
    /// Errors: what is missing or does not answer.
    pub(super) async fn connect(config: &config::L1) -> eyre::Result<Self> {
        let (l1, deployment) = l1::configured(config).await?;
        let manager = ServiceManager::connect(l1.provider.clone(), deployment.service_manager);
        let terms = manager.await.map_err(|error| l1.told(&error))?;
        let terms = (terms.terms().await)
            .map_err(|error| l1.told(&error))
            .wrap_err_with(|| {
                format!(
                    "service manager {} takes no statements of version 3; is it the original's?",
                    deployment.service_manager
                )
            })?;
        info!(
            chain = deployment.l1_chain_id,
            service_manager = %deployment.service_manager,
            endpoint = config.rpc.as_ref().map(tracing::field::display),
            "L1"
        );
        let provider = metrics::counted(&l1.provider).await;
        Ok(Self {
            head: Arc::new(ProviderHead::new(provider.clone())),
            provider,
            deployment,
            terms,
        })
    }

    /// Operators and their stakes; keys are kept in `folder` for the next start.
    pub(super) async fn registry(
        &self,
        folder: &std::path::Path,
    ) -> eyre::Result<ContractRegistry> {
        let registry = ContractRegistry::connect(
            self.provider.clone(),
            self.deployment.registry_coordinator,
            self.deployment.operator_state_retriever,
            self.deployment.l1_block,
        )
        .await?;
        let file = folder.join(format!(
            "keys-{}-{}.json",
            self.deployment.l1_chain_id, self.deployment.registry_coordinator
        ));
        registry
            .with_key_file(&file)
            .wrap_err_with(|| file.display().to_string())
    }
}
