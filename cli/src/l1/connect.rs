//! The chain and the deployment that the flags name.

use std::path::Path;

use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::BlockId;
use eyre::{OptionExt, WrapErr, bail};
use mach_contracts_bindings::{
    Deployment, DeploymentFile, KnownDeployment, doctor::Finding, http_provider,
};
use url::Url;

use super::args::L1Args;
use crate::{config, remote::shown};

/// Longest file that is read, in bytes; the parser's own bound is lower.
const MAX_FILE: u64 = 1 << 20;

/// An L1 node.
pub(crate) struct L1 {
    pub(crate) provider: DynProvider,
    pub(crate) chain_id: u64,
    url: Url,
}

impl L1 {
    /// Errors: the node does not say which chain it is on.
    pub(crate) async fn connect(url: &Url) -> eyre::Result<Self> {
        let provider = http_provider(url.clone())
            .map_err(|error| reason(&error, url))
            .wrap_err_with(|| format!("{} cannot be used as an L1 node", shown(url)))?
            .erased();
        let chain_id = provider
            .get_chain_id()
            .await
            .map_err(|error| reason(&error, url))
            .wrap_err_with(|| {
                let node = shown(url);
                format!("no answer from the L1 node {node}: is the URL right, and is it reachable?")
            })?;
        Ok(Self {
            provider,
            chain_id,
            url: url.clone(),
        })
    }

    /// The error of a request, without what may be a secret in the URL.
    pub(crate) fn told(&self, error: &dyn std::error::Error) -> eyre::Report {
        reason(error, &self.url)
    }

    /// `text` without what may be a secret in the URL.
    pub(crate) fn clean(&self, text: String) -> String {
        clean(text, &self.url)
    }

    /// The deployment as it is on the chain.
    ///
    /// Errors: what is wrong with it, and how to mend it.
    pub(crate) async fn deployment(&self, name: &str) -> eyre::Result<Deployment> {
        self.resolve(&self.deployment_file(name)?).await
    }

    /// The deployment of a file as it is on the chain.
    ///
    /// Errors: what is wrong with it, and how to mend it.
    pub(crate) async fn resolve(&self, file: &DeploymentFile) -> eyre::Result<Deployment> {
        file.resolve(self.provider.clone()).await.map_err(|error| {
            let finding = Finding::from(&error);
            eyre::eyre!(clean(finding.to_string(), &self.url))
        })
    }

    /// Time of the newest block, in seconds since the Unix epoch.
    pub(crate) async fn time(&self) -> eyre::Result<u64> {
        let block = self.provider.get_block(BlockId::latest()).await;
        let block = block.map_err(|error| self.told(&error))?;
        Ok(block.map_or(0, |block| block.header.timestamp))
    }

    /// What the flag `--deployment` means on this chain.
    pub(crate) fn deployment_file(&self, name: &str) -> eyre::Result<DeploymentFile> {
        deployment_file(name, self.chain_id)
    }
}

/// Connects, and says what `--deployment` means.
pub(crate) async fn connect(args: &L1Args) -> eyre::Result<(L1, DeploymentFile)> {
    let l1 = L1::connect(&args.l1_rpc).await?;
    let file = l1.deployment_file(&args.deployment)?;
    Ok((l1, file))
}

/// The L1 and the deployment that a configuration names.
///
/// Errors: what is not set, or what is wrong with what is.
pub(crate) async fn configured(config: &config::L1) -> eyre::Result<(L1, Deployment)> {
    let url = config.rpc.as_ref().ok_or_eyre("l1.rpc is not set")?;
    match (&config.deployment, config.registry_coordinator) {
        (Some(name), None) => {
            let l1 = L1::connect(&url.0).await?;
            let deployment = l1.deployment(name).await?;
            Ok((l1, deployment))
        }
        (None, Some(coordinator)) => {
            let retriever = config.operator_state_retriever;
            let retriever = retriever.ok_or_eyre("l1.operator_state_retriever is not set")?;
            let file = DeploymentFile {
                service_manager: config.service_manager,
                l1_block: config.from_block,
                ..DeploymentFile::new(coordinator, retriever)
            };
            let l1 = L1::connect(&url.0).await?;
            let deployment = l1.resolve(&file).await?;
            Ok((l1, deployment))
        }
        (None, None) => bail!(
            "l1.deployment is not set: a built-in deployment, a deployment file, or \
             registry_coordinator and operator_state_retriever"
        ),
        (Some(_), Some(_)) => {
            bail!("l1.deployment and l1.registry_coordinator exclude each other")
        }
    }
}

/// Whether a deployment is meant to be a file, and not one that is built in.
pub(crate) fn names_a_file(name: &str) -> bool {
    Path::new(name).extension().is_some() || name.contains(std::path::is_separator)
}

fn deployment_file(name: &str, chain_id: u64) -> eyre::Result<DeploymentFile> {
    let path = Path::new(name);
    if !names_a_file(name) && !path.is_file() {
        return Ok(KnownDeployment::find(name, Some(chain_id))
            .wrap_err("name another deployment, or a deployment file")?
            .file());
    }
    let json = read(path).wrap_err_with(|| format!("deployment file {}", path.display()))?;
    DeploymentFile::parse(&json)
        .wrap_err_with(|| format!("correct {}, or name a built-in deployment", path.display()))
}

/// A file of bounded length.
pub(crate) fn read(path: &Path) -> eyre::Result<Vec<u8>> {
    use std::io::Read;

    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("longer than {MAX_FILE} bytes");
    }
    Ok(bytes)
}

/// An error with its causes, without what may be a secret in the URL.
fn reason(error: &dyn std::error::Error, url: &Url) -> eyre::Report {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    eyre::eyre!(clean(text, url))
}

/// Errors of the HTTP client carry the URL, and that carries keys.
fn clean(text: String, url: &Url) -> String {
    let safe = shown(url);
    let bare = url.as_str().trim_end_matches('/');
    text.replace(url.as_str(), &safe).replace(bare, &safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_the_secrets_of_its_url() {
        let url: Url = "https://user:pass@node.example/v2/key".parse().unwrap();
        let text = format!("error sending request for url ({url})");
        assert_eq!(
            clean(text, &url),
            "error sending request for url (https://node.example)"
        );
    }
}
