//! Contracts and operators of a devnet.

use std::time::Duration;

use alloy_network::EthereumWallet;
use alloy_primitives::B256;
use alloy_provider::{DynProvider, Provider, ProviderBuilder};
use alloy_transport::TransportError;
use mach_bls::{SecretKeyError, bn254::hash_to_g1};
use mach_contracts_bindings::{
    Admission, Avs, CallError, Consent, DeployConfig, DeployError, Deployment, KeyProof, OptIn,
    PlanError, RegistrationError, ServiceManager, SubmitError, SubmitPolicy, Submitter, Target,
    admit, deploy,
};
use mach_core::{Alert, BlockRef, Domain, QuorumError, QuorumNumbers};

use super::{
    StackOperator,
    actors::{MAX_OPERATORS, OWNER},
};
use crate::{ChainError, DevAccount, Devnet, DevnetConfig};

/// Name under which the operators of a devnet are reached; nobody calls them.
const SOCKET: &str = "in-process";

/// Seconds for which an operator's consent to registration holds.
const CONSENT_LIFETIME: u64 = 3600;

/// What a [`Stack`] is made of.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Both chains.
    pub devnet: DevnetConfig,
    /// Number of operators, from 1 to 7.
    pub operators: usize,
}

impl Default for StackConfig {
    /// Four operators on the default devnet.
    fn default() -> Self {
        Self {
            devnet: DevnetConfig::default(),
            operators: 4,
        }
    }
}

/// A devnet with mach's contracts on its L1.
#[derive(Debug)]
pub struct Stack {
    devnet: Devnet,
    l1: DynProvider,
    deployment: Deployment,
    operators: Vec<StackOperator>,
}

impl Stack {
    /// Starts both chains, deploys the contracts, and lets the operators opt in.
    ///
    /// Errors: [`StackError`].
    pub async fn start(config: &StackConfig) -> Result<Self, StackError> {
        let devnet = config.devnet.build()?;
        let l1 = devnet.l1().provider::<alloy_network::Ethereum>().erased();
        Self::deploy(devnet, l1, config.operators).await
    }

    /// The same with the contracts on another L1, whose first development accounts hold ether:
    /// anvil, for example. The devnet's own L1 stays the origin of the rollup's blocks.
    ///
    /// Errors: [`StackError`].
    pub async fn start_on(
        config: &StackConfig,
        l1: impl Provider + 'static,
    ) -> Result<Self, StackError> {
        Self::deploy(config.devnet.build()?, l1.erased(), config.operators).await
    }

    /// [`Self::start_on`] the L1 whose JSON-RPC is at `url`.
    ///
    /// Errors: [`StackError`].
    pub async fn start_at(config: &StackConfig, url: &str) -> Result<Self, StackError> {
        let l1 = ProviderBuilder::default().connect(url).await?;
        Self::start_on(config, l1).await
    }

    async fn deploy(devnet: Devnet, l1: DynProvider, operators: usize) -> Result<Self, StackError> {
        if operators == 0 || operators > MAX_OPERATORS {
            return Err(StackError::Operators(operators));
        }
        let operators: Vec<_> = (0..operators).filter_map(StackOperator::new).collect();
        let owner = submitter(&l1, &OWNER).await?;
        let config = DeployConfig::new(OWNER.address, [devnet.l2().chain_id()]);
        let deployment = deploy(&owner, &config).await?;
        let admissions: Vec<_> = operators
            .iter()
            .map(|operator| Admission {
                address: operator.account.address,
                stakes: vec![(0, operator.stake)],
            })
            .collect();
        admit(&owner, &deployment, &admissions).await?;
        Ok(Self {
            devnet,
            l1,
            deployment,
            operators,
        })
    }

    /// Opts one operator in, as its owner would: proof of its BLS key, consent of its account.
    ///
    /// Errors: [`StackError`].
    pub async fn opt_in(&self, operator: &StackOperator) -> Result<(), StackError> {
        let account = submitter(&self.l1, &operator.account).await?;
        let target = Target {
            coordinator: self.deployment.registry_coordinator,
            service_manager: Some(self.deployment.service_manager),
            l1_chain_id: Some(self.deployment.l1_chain_id),
        };
        let avs = Avs::connect(self.l1.clone(), &target).await?;
        let registration = avs.registration(&quorums()?)?;
        let digest = registration.key_digest(operator.account.address).await?;
        let proof = operator.secret_key()?.prove_possession(&hash_to_g1(digest));
        let opt_in = OptIn {
            operator: operator.account.address,
            quorums: quorums()?,
            socket: SOCKET.to_owned(),
            key: Some(KeyProof {
                key_g1: proof.key_g1,
                key_g2: proof.key_g2,
                signature: proof.signature,
            }),
            consent: Consent {
                salt: B256::ZERO,
                expiry: self.l1_time().await? + CONSENT_LIFETIME,
            },
            signature: None,
            churn: None,
        };
        let signer = operator.account.signer();
        let opt_in = opt_in.signed_by(&registration, &signer).await?;
        registration.register(&opt_in).await?.send(&account).await?;
        Ok(())
    }

    async fn l1_time(&self) -> Result<u64, StackError> {
        let block = self.l1.get_block(Default::default()).await?;
        Ok(block.map_or(0, |block| block.header.timestamp))
    }

    /// Both chains.
    pub const fn devnet(&self) -> &Devnet {
        &self.devnet
    }

    /// The L1 that the contracts are on.
    pub const fn l1(&self) -> &DynProvider {
        &self.l1
    }

    /// Addresses of the contracts.
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Where signatures count.
    pub const fn domain(&self) -> Domain {
        self.deployment.domain()
    }

    /// Whether `alert` stands on L1.
    ///
    /// Errors: [`CallError`].
    pub async fn has_alert(&self, alert: &Alert) -> Result<bool, CallError> {
        self.service_manager()
            .await?
            .stands(&alert.clone().into())
            .await
    }

    /// The highest block of the rollup that is attested on L1.
    ///
    /// Errors: [`CallError`].
    pub async fn attested_head(&self) -> Result<Option<BlockRef>, CallError> {
        self.service_manager()
            .await?
            .attested_head(self.devnet.l2().chain_id())
            .await
    }

    pub(super) async fn service_manager(&self) -> Result<ServiceManager, CallError> {
        ServiceManager::connect(self.l1.clone(), self.deployment.service_manager).await
    }

    /// The operators, registered or not.
    pub fn operators(&self) -> &[StackOperator] {
        &self.operators
    }
}

/// The only quorum.
pub(super) fn quorums() -> Result<QuorumNumbers, QuorumError> {
    QuorumNumbers::new([0])
}

/// Sends transactions of a development account. The chain makes a block at once, so that looking
/// for receipts often costs nothing.
pub(super) async fn submitter(
    l1: &DynProvider,
    account: &DevAccount,
) -> Result<Submitter, TransportError> {
    let policy = SubmitPolicy {
        poll_interval: Duration::from_millis(5),
        ..SubmitPolicy::default()
    };
    Submitter::connect(l1.clone(), EthereumWallet::from(account.signer()), policy).await
}

/// Why there is no stack.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// There are development accounts for 1 to 7 operators.
    #[error("{0} operators are not from 1 to {MAX_OPERATORS}")]
    Operators(usize),
    /// A chain did not start.
    #[error("a chain did not start")]
    Chain(#[from] ChainError),
    /// A contract was not deployed.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A role was not granted.
    #[error("operators were not admitted")]
    Admit(#[from] SubmitError),
    /// An operator was not registered.
    #[error("an operator was not registered")]
    Register(#[from] RegistrationError),
    /// A registration was not carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A key was not usable.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// The quorum is not one.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// A contract did not answer.
    #[error("a contract did not answer")]
    Call(#[from] CallError),
    /// L1 did not answer.
    #[error("L1 did not answer")]
    Transport(#[from] TransportError),
}
