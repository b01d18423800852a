//! The account that pays on L1.

use std::path::Path;

use alloy_network::{Ethereum, EthereumWallet, NetworkWallet};
use alloy_primitives::{Address, ChainId};
use alloy_provider::DynProvider;
use eyre::WrapErr;
use mach_contracts_bindings::{
    FileLog, LogError, SubmitError, SubmitPolicy, Submitter, Web3Signer,
};

use crate::{config::Endpoint, l1};

/// How a section of the configuration names it.
pub(super) struct Account<'a> {
    pub(super) section: &'static str,
    pub(super) key: Option<&'a Path>,
    pub(super) password_file: Option<&'a Path>,
    pub(super) web3signer: Option<&'a Endpoint>,
    pub(super) address: Option<Address>,
}

impl Account<'_> {
    /// The account in its file or with a remote signer.
    pub(super) async fn wallet(&self) -> eyre::Result<EthereumWallet> {
        let section = self.section;
        match (self.key, self.web3signer) {
            (Some(key), None) => Ok(l1::ecdsa_with(key, self.password_file)?.into()),
            (None, Some(url)) => {
                let address = self.address;
                let address = address.ok_or_else(|| eyre::eyre!("{section}.address is not set"))?;
                let signer = Web3Signer::connect(url.0.clone(), address).await;
                Ok(EthereumWallet::new(
                    signer.wrap_err_with(|| format!("{section}.web3signer {url}"))?,
                ))
            }
            (None, None) => Err(eyre::eyre!(
                "{section}.ecdsa_key is not set: an account that pays, or {section}.web3signer"
            )),
            (Some(_), Some(_)) => Err(eyre::eyre!(
                "{section}.ecdsa_key and {section}.web3signer exclude each other"
            )),
        }
    }
}

/// Sends the transactions of an account, those that an earlier process had sent among them; they are on
/// record in `folder`.
pub(super) async fn submitter(
    folder: &Path,
    chain_id: ChainId,
    provider: &DynProvider,
    wallet: EthereumWallet,
) -> eyre::Result<Submitter> {
    let account = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
    let path = folder.join(format!("transactions-{chain_id}-{account}.jsonl"));
    let log = FileLog::open(&path).map_err(|error| match error {
        LogError::InUse(_) => eyre::eyre!(
            "another process sends transactions of {account}: {}",
            path.display()
        ),
        error => eyre::Report::new(error).wrap_err(path.display().to_string()),
    })?;
    let submitter = Submitter::resume(provider.clone(), wallet, SubmitPolicy::default(), log);
    submitter.await.map_err(|error| match error {
        SubmitError::Log(error) => eyre::Report::new(error).wrap_err(path.display().to_string()),
        error => error.into(),
    })
}
