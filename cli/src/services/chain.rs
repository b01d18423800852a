//! The L1 that a service works with.

use std::sync::Arc;

use alloy_provider::DynProvider;
use eyre::{OptionExt, WrapErr};
use mach_contracts_bindings::{
    ContractRegistry, Deployment, DeploymentFile, ServiceManager, Terms,
};
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
        let url = config.rpc.as_ref().ok_or_eyre("l1.rpc is not set")?;
        let l1 = l1::L1::connect(&url.0).await.wrap_err("l1.rpc")?;
        let deployment = match (&config.deployment, file(config)?) {
            (Some(name), None) => l1.deployment(name).await.wrap_err("l1.deployment")?,
            (None, Some(file)) => l1.resolve(&file).await?,
            (None, None) => eyre::bail!(
                "l1.deployment is not set: a built-in deployment, a deployment file, or \
                 registry_coordinator and operator_state_retriever"
            ),
            (Some(_), Some(_)) => {
                eyre::bail!("l1.deployment and l1.registry_coordinator exclude each other")
            }
        };
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
            endpoint = %url,
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

/// The deployment that the file names by its addresses.
fn file(config: &config::L1) -> eyre::Result<Option<DeploymentFile>> {
    let Some(coordinator) = config.registry_coordinator else {
        return Ok(None);
    };
    let retriever =
        (config.operator_state_retriever).ok_or_eyre("l1.operator_state_retriever is not set")?;
    Ok(Some(DeploymentFile {
        service_manager: config.service_manager,
        l1_block: config.from_block,
        ..DeploymentFile::new(coordinator, retriever)
    }))
}
