//! The chains that the contracts are put on.

use std::time::Duration;

use alloy_network::EthereumWallet;
use alloy_primitives::Address;
use alloy_provider::{Provider, RootProvider};
use mach_contracts_bindings::{SubmitPolicy, Submitter};
use mach_devnet::{Chain, DEV_ACCOUNTS, DevnetConfig, Ethereum};

#[derive(Clone)]
pub(crate) enum L1 {
    Devnet(Chain<Ethereum>),
    /// A development node with `evm_mine` and the usual accounts.
    Node(RootProvider),
}

impl L1 {
    pub(crate) fn devnet() -> Self {
        Self::Devnet(DevnetConfig::default().l1().unwrap())
    }

    pub(crate) fn node() -> Option<Self> {
        let url = std::env::var("MACH_L1_RPC").ok()?;
        Some(Self::Node(RootProvider::new_http(url.parse().unwrap())))
    }

    pub(crate) fn provider(&self) -> RootProvider {
        match self {
            Self::Devnet(chain) => chain.provider(),
            Self::Node(provider) => provider.clone(),
        }
    }

    pub(crate) async fn mine(&self) {
        match self {
            Self::Devnet(chain) => {
                chain.mine().unwrap();
            }
            Self::Node(provider) => {
                let _: String = provider.raw_request("evm_mine".into(), ()).await.unwrap();
            }
        }
    }

    pub(crate) async fn head(&self) -> u32 {
        self.provider().get_block_number().await.unwrap() as u32
    }

    pub(crate) async fn time(&self) -> u64 {
        let block = self.provider().get_block(Default::default()).await.unwrap();
        block.unwrap().header.timestamp
    }

    pub(crate) async fn submitter(&self, account: usize) -> Submitter {
        let wallet = EthereumWallet::from(DEV_ACCOUNTS[account].signer());
        let policy = SubmitPolicy {
            poll_interval: Duration::from_millis(5),
            ..SubmitPolicy::default()
        };
        Submitter::connect(self.provider(), wallet, policy)
            .await
            .unwrap()
    }
}

pub(crate) const fn account(index: usize) -> Address {
    DEV_ACCOUNTS[index].address
}
