//! Everything that talks to the contracts, on the devnet's L1.

use std::time::Duration;

use alloy_network::EthereumWallet;
use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96, hex, keccak256};
use alloy_provider::{Provider, RootProvider};
use ark_bn254::{G1Projective, G2Projective};
use ark_ff::AdditiveGroup;
use mach_contracts_bindings::{
    Admission, Artifact, Avs, Consent, ContractConfirmer, ContractRegistry, DeployConfig,
    Deployment, DeploymentFile, DryRun, KeyProof, OptIn, PlanError, Quorum, Registration,
    RegistrationError, ServiceManager, Standing, SubmitError, SubmitPolicy, Submitter, Target,
    abi::{self, IMachRegistry, IMachServiceManager as I},
    admit, deploy,
};
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Certificate, Domain, G1Bytes, NonSigner, OperatorId,
    OperatorSet, QuorumNumbers, QuorumStake, QuorumTally, Stake, Statement, Threshold,
    legacy::{AlertCertificate, digest_v2},
    ports::{
        ConfirmError, L1Standing, OperatorRegistry, RegistryError, StatementConfirmer,
        StatementReader,
    },
};
use mach_devnet::{Chain, DEV_ACCOUNTS, DevnetConfig, Ethereum, Mining};

use crate::bls::{Key, sol_g1, sol_g2};

pub(crate) const ROLLUP: u64 = 901;
pub(crate) const POLICY: SubmitPolicy = SubmitPolicy {
    poll_interval: Duration::from_millis(1),
    resend_after: 3,
    give_up_after: 12,
    confirmations: 0,
    finality: 96,
    fee_bump: 20,
    gas_margin: 50,
    max_fee_per_gas: SubmitPolicy::MAX_FEE_PER_GAS,
};

pub(crate) fn stake(weight: u128) -> Stake {
    Stake::new(weight).unwrap()
}

pub(crate) fn quorums(numbers: &[u8]) -> QuorumNumbers {
    QuorumNumbers::new(numbers).unwrap()
}

pub(crate) fn key(index: usize) -> Key {
    Key::new(7000 + index as u64)
}

/// Where the contracts are.
#[derive(Clone)]
pub(crate) enum L1 {
    Devnet(Chain<Ethereum>),
    /// A development node with `evm_mine`.
    Node(RootProvider),
}

impl L1 {
    pub(crate) fn devnet() -> Self {
        Self::Devnet(DevnetConfig::default().l1().unwrap())
    }

    /// The development node that the environment names.
    pub(crate) fn node() -> Option<Self> {
        let url = std::env::var("MACH_L1_RPC").ok()?;
        Some(Self::Node(RootProvider::new_http(url.parse().unwrap())))
    }

    pub(crate) fn chain(&self) -> &Chain<Ethereum> {
        match self {
            Self::Devnet(chain) => chain,
            Self::Node(_) => panic!("not a devnet"),
        }
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
}

pub(crate) async fn submitter(l1: &L1, account: usize) -> Submitter {
    with_policy(l1.provider(), account, POLICY).await
}

pub(crate) async fn with_policy(
    provider: RootProvider,
    account: usize,
    policy: SubmitPolicy,
) -> Submitter {
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[account].signer());
    Submitter::connect(provider, wallet, policy).await.unwrap()
}

/// Contracts of account 0, with the operators of accounts 1 to 4: 100, 200, 300 and 400 in quorum 0, the last
/// also 40 in quorum 1.
pub(crate) struct Network {
    pub(crate) l1: L1,
    pub(crate) contracts: Deployment,
    pub(crate) registry: ContractRegistry,
}

impl Network {
    pub(crate) async fn start() -> Self {
        Self::start_on(L1::devnet()).await
    }

    pub(crate) async fn start_on(l1: L1) -> Self {
        let owner = submitter(&l1, 0).await;
        let quorum = Quorum {
            minimum_stake: stake(1),
            max_operators: 10,
        };
        let config = DeployConfig {
            quorums: vec![quorum, quorum],
            ..DeployConfig::new(owner.sender(), [ROLLUP])
        };
        let contracts = deploy(&owner, &config).await.unwrap();
        let admissions: Vec<_> = (1..=4)
            .map(|index| {
                let weight = 100 * index as u128;
                let mut stakes = vec![(0, stake(weight))];
                if index == 4 {
                    stakes.push((1, stake(weight / 10)));
                }
                Admission {
                    address: DEV_ACCOUNTS[index].address,
                    stakes,
                }
            })
            .collect();
        admit(&owner, &contracts, &admissions).await.unwrap();
        for index in 1..=4 {
            let numbers = if index == 4 { &[0, 1][..] } else { &[0] };
            register(&l1, &contracts, index, numbers).await;
        }
        let provider = l1.provider();
        let registry = ContractRegistry::connect(
            provider,
            contracts.registry_coordinator,
            contracts.operator_state_retriever,
            contracts.l1_block,
        )
        .await
        .unwrap();
        Self {
            l1,
            contracts,
            registry,
        }
    }

    /// The same operators, and another service manager over them.
    pub(crate) fn with_contracts(self, contracts: Deployment) -> Self {
        Self { contracts, ..self }
    }

    fn domain(&self) -> Domain {
        self.contracts.domain()
    }

    pub(crate) async fn confirmer(&self, account: usize) -> ContractConfirmer {
        ContractConfirmer::connect(
            submitter(&self.l1, account).await,
            self.contracts.service_manager,
            self.contracts.operator_state_retriever,
        )
        .await
        .unwrap()
    }

    pub(crate) async fn head(&self) -> u32 {
        let provider = self.l1.provider();
        provider.get_block_number().await.unwrap() as u32
    }

    pub(crate) async fn service_manager(&self) -> ServiceManager {
        let provider = self.l1.provider();
        ServiceManager::connect(provider, self.contracts.service_manager)
            .await
            .unwrap()
    }

    /// The statement, signed by everybody but `absent` (by account), on the contract's terms.
    pub(crate) async fn certificate(&self, statement: Statement, absent: &[usize]) -> Certificate {
        // The reference block has to be past.
        self.l1.mine().await;
        let terms = self.service_manager().await.terms().await.unwrap();
        let round = terms.round(self.head().await - 1).unwrap();
        let set = self
            .registry
            .operator_set(round.quorums(), round.reference_block())
            .await
            .unwrap();
        let digest = statement.digest(&self.domain());
        sign(digest, statement, self.domain(), round, &set, absent)
    }

    /// The same for an alert of V2 about [`ROLLUP`].
    pub(crate) async fn alert_certificate(
        &self,
        message_hash: B256,
        absent: &[usize],
    ) -> AlertCertificate {
        let other = self.certificate(alert(1), absent).await;
        let round = other.round;
        let (quorums, reference_block) = (round.quorums(), round.reference_block());
        let set = self.registry.operator_set(quorums, reference_block).await;
        let digest = digest_v2(message_hash, reference_block, ROLLUP);
        let (statement, domain) = (other.statement, other.domain);
        let signed = sign(digest, statement, domain, round, &set.unwrap(), absent);
        AlertCertificate {
            message_hash,
            rollup_chain_id: Some(ROLLUP),
            round: signed.round,
            non_signers: signed.non_signers,
            quorums: signed.quorums,
            apk_g2: signed.apk_g2,
            sigma: signed.sigma,
        }
    }
}

pub(crate) async fn register(l1: &L1, contracts: &Deployment, index: usize, numbers: &[u8]) {
    let submitter = submitter(l1, index).await;
    let registration = registration(&submitter, contracts.registry_coordinator).await;
    let opt_in = opt_in(&registration, index, numbers).await;
    let plan = registration.register(&opt_in).await.unwrap();
    plan.send(&submitter).await.unwrap();
}

/// The way into quorum 0 of `coordinator`.
pub(crate) async fn registration(
    submitter: &Submitter,
    coordinator: Address,
) -> Box<dyn Registration> {
    let provider = submitter.provider().clone();
    let avs = Avs::connect(provider, &Target::new(coordinator)).await;
    avs.unwrap().registration(&quorums(&[0])).unwrap()
}

/// The wish of the account with this index, consented to.
pub(crate) async fn opt_in(registration: &dyn Registration, index: usize, numbers: &[u8]) -> OptIn {
    let opt_in = OptIn {
        operator: DEV_ACCOUNTS[index].address,
        quorums: quorums(numbers),
        socket: "operator:1".to_owned(),
        key: Some(proof(registration, index).await),
        consent: Consent {
            salt: B256::repeat_byte(index as u8),
            expiry: u64::MAX,
        },
        signature: None,
        churn: None,
    };
    let signer = DEV_ACCOUNTS[index].signer();
    opt_in.signed_by(registration, &signer).await.unwrap()
}

pub(crate) async fn proof(registration: &dyn Registration, index: usize) -> KeyProof {
    let operator = DEV_ACCOUNTS[index].address;
    let digest = registration.key_digest(operator).await.unwrap();
    KeyProof {
        key_g1: sol_g1(key(index).g1()).into(),
        key_g2: sol_g2(key(index).g2()).into(),
        signature: sol_g1(key(index).sign(digest)).into(),
    }
}

fn sign(
    digest: B256,
    statement: Statement,
    domain: Domain,
    round: mach_core::Round,
    set: &OperatorSet,
    absent: &[usize],
) -> Certificate {
    let (mut sigma, mut apk_g2) = (G1Projective::ZERO, G2Projective::ZERO);
    let mut tallies = Vec::new();
    for quorum in round.quorums().iter() {
        let (mut apk, mut signed) = (G1Projective::ZERO, Stake::ZERO);
        for index in 1..=4 {
            let id = OperatorId::from_key(&sol_g1(key(index).g1()).into());
            let Some(stake) = set.stake(quorum, &id) else {
                continue;
            };
            apk += key(index).g1();
            if !absent.contains(&index) {
                sigma += key(index).sign(digest);
                apk_g2 += key(index).g2();
                signed = signed.saturating_add(stake);
            }
        }
        tallies.push(QuorumTally {
            quorum,
            apk: sol_g1(apk).into(),
            signed,
            total: set.total_stake(quorum),
        });
    }
    let mut non_signers: Vec<_> = absent
        .iter()
        .map(|index| {
            let key_g1 = G1Bytes::from(sol_g1(key(*index).g1()));
            let id = OperatorId::from_key(&key_g1);
            let stake = |quorum| set.stake(quorum, &id);
            NonSigner {
                id,
                key_g1,
                stakes: (set.quorums().iter())
                    .filter_map(|quorum| {
                        let stake = stake(quorum)?;
                        Some(QuorumStake { quorum, stake })
                    })
                    .collect(),
            }
        })
        .collect();
    non_signers.sort_by_key(|absent| absent.id);
    Certificate {
        statement,
        domain,
        round,
        non_signers,
        quorums: tallies,
        apk_g2: sol_g2(apk_g2).into(),
        sigma: sol_g1(sigma).into(),
    }
}

pub(crate) fn alert(number: u64) -> Statement {
    Statement::Alert(Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: ROLLUP,
        block: block(number),
        rule: 3,
        claimed: B256::repeat_byte(2),
        computed: B256::repeat_byte(3),
    })
}

pub(crate) fn attestation(number: u64) -> Statement {
    Statement::Attestation(Attestation {
        rollup_chain_id: ROLLUP,
        block: block(number),
        state_root: B256::repeat_byte(5),
        output_root: B256::repeat_byte(6),
    })
}

fn block(number: u64) -> BlockRef {
    BlockRef {
        number,
        hash: keccak256(number.to_be_bytes()),
    }
}

#[tokio::test]
async fn a_deployment_is_as_it_was_ordered() {
    let network = Network::start().await;
    let contracts = network.contracts;
    let manager = network.service_manager().await;
    assert_eq!(manager.domain(), contracts.domain());
    let terms = manager.terms().await.unwrap();
    assert_eq!(terms.quorums, quorums(&[0]));
    assert_eq!(terms.thresholds, [Threshold::percent(66).unwrap()]);
    assert_eq!(terms.max_reference_block_age, 7200);
    assert_eq!(manager.active_alerts(ROLLUP).await.unwrap(), 0);
    assert_eq!(manager.attested_head(ROLLUP).await.unwrap(), None);

    // The names that tools of the MACH AVS read.
    let json = DeploymentFile::from(&contracts).to_json();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for name in [
        "machServiceManager",
        "registryCoordinator",
        "operatorStateRetriever",
    ] {
        assert!(json[name].is_string(), "{name}");
    }
    let provider = network.l1.provider();
    let admin = provider
        .get_code_at(contracts.proxy_admin.unwrap())
        .await
        .unwrap();
    assert!(!admin.is_empty());
}

#[tokio::test]
async fn the_operator_set_at_a_block_has_keys_and_stakes() {
    let network = Network::start().await;
    let both = quorums(&[0, 1]);
    let head = network.head().await;
    let set = network.registry.operator_set(&both, head).await.unwrap();
    assert_eq!(set.operators().count(), 4);
    assert_eq!(set.total_stake(0), stake(1000));
    assert_eq!(set.total_stake(1), stake(40));
    for (index, account) in DEV_ACCOUNTS.iter().enumerate().skip(1).take(4) {
        let key_g1 = G1Bytes::from(sol_g1(key(index).g1()));
        let id = OperatorId::from_key(&key_g1);
        let operator = set.operator(&id).unwrap();
        assert_eq!(operator.address, account.address);
        assert_eq!(operator.key_g1, key_g1);
        assert_eq!(operator.key_g2, sol_g2(key(index).g2()).into());
        assert_eq!(set.stake(0, &id), Some(stake(100 * index as u128)));
    }

    // One leaves; the past stays.
    let leaver = submitter(&network.l1, 2).await;
    let registration = registration(&leaver, network.contracts.registry_coordinator).await;
    let status = registration.status(leaver.sender()).await.unwrap();
    assert_eq!(status.standing, Standing::Registered);
    assert_eq!(status.eigenlayer_operator, None);
    let quorum = status.quorums[0];
    assert!(quorum.member && !quorum.slashable);
    assert_eq!((quorum.stake, quorum.weight), (stake(200), stake(200)));
    assert_eq!((quorum.operators, quorum.minimum_stake), (4, stake(1)));
    let plan = registration
        .deregister(leaver.sender(), &quorums(&[0]))
        .await
        .unwrap();
    plan.send(&leaver).await.unwrap();
    let status = registration.status(leaver.sender()).await.unwrap();
    assert_eq!(status.standing, Standing::Deregistered);
    assert!(status.operator_id.is_some());
    assert_eq!(status.quorums[0].stake, Stake::ZERO);
    let error = registration
        .deregister(leaver.sender(), &quorums(&[0]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RegistrationError::NotRegistered(0)),
        "{error}"
    );
    let now = network.head().await;
    let later = network.registry.operator_set(&both, now).await.unwrap();
    assert_eq!(later.total_stake(0), stake(800));
    assert_eq!(
        network.registry.operator_set(&both, head).await.unwrap(),
        set
    );

    let error = network
        .registry
        .operator_set(&quorums(&[0, 7]), now)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::UnknownQuorum { quorum: 7, .. }),
        "{error}"
    );
    assert!(!error.is_transient());
    // Before the registry was deployed there was no quorum either.
    let error = network
        .registry
        .operator_set(&quorums(&[0]), 0)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::UnknownQuorum { quorum: 0, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_is_confirmed_once() {
    confirm_once(Network::start().await).await;
}

/// On a development node with chain id 31337, such as anvil, at `MACH_L1_RPC`.
#[tokio::test]
async fn online_a_certificate_is_confirmed_once() {
    let Ok(url) = std::env::var("MACH_L1_RPC") else {
        println!("skipped: MACH_L1_RPC is not set");
        return;
    };
    let node = L1::Node(RootProvider::new_http(url.parse().unwrap()));
    confirm_once(Network::start_on(node).await).await;
}

async fn confirm_once(network: Network) {
    let manager = network.service_manager().await;
    // Any account may submit.
    let confirmer = network.confirmer(8).await;
    for (statement, absent) in [
        (alert(10), &[1][..]),
        (attestation(11), &[]),
        (attestation(12), &[1, 2]),
    ] {
        let certificate = network.certificate(statement.clone(), absent).await;
        assert!(!manager.stands(&statement).await.unwrap());
        let confirmation = confirmer.confirm(&certificate).await.unwrap();
        assert_eq!(confirmation.digest, certificate.digest());
        assert!(confirmation.transaction.is_some());
        assert_eq!(confirmation.l1_block, u64::from(network.head().await));
        assert!(confirmation.gas_used.unwrap() < 600_000);
        assert!(manager.stands(&statement).await.unwrap());

        let again = confirmer.confirm(&certificate).await.unwrap();
        assert_eq!(
            (again.digest, again.transaction),
            (certificate.digest(), None)
        );
    }
    assert_eq!(manager.active_alerts(ROLLUP).await.unwrap(), 1);
    assert_eq!(
        manager.attested_head(ROLLUP).await.unwrap(),
        Some(block(12))
    );
    let (attested, digest) = manager.attestation(ROLLUP, 12).await.unwrap().unwrap();
    assert_eq!(attested.blockHash, block(12).hash);
    assert_eq!(digest, attestation(12).digest(&network.domain()));
}

#[tokio::test]
async fn an_alert_that_was_reopened_is_raised_again() {
    let network = Network::start().await;
    let contracts = &network.contracts;
    let (manager, owner) = (contracts.service_manager, submitter(&network.l1, 0).await);
    let policy = SubmitPolicy {
        finality: 1,
        ..POLICY
    };
    let confirmer = ContractConfirmer::connect(
        with_policy(network.l1.provider(), 8, policy).await,
        manager,
        contracts.operator_state_retriever,
    )
    .await
    .unwrap();
    let certificate = network.certificate(alert(1), &[]).await;
    let digest = certificate.digest();
    let standing = async || confirmer.standing(&certificate.statement).await.unwrap();
    assert_eq!(standing().await, L1Standing::Absent);
    let first = confirmer.confirm(&certificate).await.unwrap();
    assert_eq!(standing().await, L1Standing::Stands);
    let sent = confirmer.submitter();
    assert_eq!(sent.done(digest).await, None);
    network.l1.mine().await;
    assert_eq!(sent.tend().await.unwrap(), 0);
    assert_eq!(sent.done(digest).await, first.transaction);

    let rollup = U256::from(ROLLUP);
    let remove = I::removeAlertCall {
        rollupChainId: rollup,
        messageHash: digest,
    };
    owner.call(manager, &remove).await.unwrap();
    let error = confirmer.confirm(&certificate).await.unwrap_err();
    assert!(
        matches!(error, ConfirmError::Withdrawn(it) if it == digest),
        "{error}"
    );
    assert!(!error.is_transient());
    assert_eq!(standing().await, L1Standing::Withdrawn);

    let reopen = I::reopenAlertCall {
        rollupChainId: rollup,
        messageHash: digest,
    };
    owner.call(manager, &reopen).await.unwrap();
    assert_eq!(standing().await, L1Standing::Absent);
    let second = confirmer.confirm(&certificate).await.unwrap();
    assert_eq!(standing().await, L1Standing::Stands);
    assert!(second.transaction.is_some());
    assert_ne!(second.transaction, first.transaction);
    let manager = network.service_manager().await;
    assert_eq!(manager.active_alerts(ROLLUP).await.unwrap(), 1);
}

#[tokio::test]
async fn two_confirmers_at_once_are_both_content() {
    let network = Network::start().await;
    let certificate = network.certificate(alert(1), &[]).await;
    let (a, b) = (network.confirmer(7).await, network.confirmer(8).await);
    let (a, b) = tokio::join!(a.confirm(&certificate), b.confirm(&certificate));
    let sent = [a.unwrap(), b.unwrap()]
        .iter()
        .filter(|confirmation| confirmation.transaction.is_some())
        .count();
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_words() {
    let network = Network::start().await;
    let confirmer = network.confirmer(8).await;
    let refusal = async |certificate: &Certificate| match confirmer.confirm(certificate).await {
        Err(error @ ConfirmError::Reverted { .. }) => {
            assert!(!error.is_transient());
            error.to_string()
        }
        other => panic!("{other:?}"),
    };
    // 600 of 1000.
    let certificate = network.certificate(alert(1), &[4]).await;
    assert_eq!(
        refusal(&certificate).await,
        "the contract refuses the certificate: ThresholdNotMet { quorumNumber: 0, signedStake: 600, \
         totalStake: 1000, threshold: 66 }"
    );
    let good = network.certificate(alert(1), &[]).await;
    let mut forged = good.clone();
    forged.statement = alert(2);
    assert_eq!(
        refusal(&forged).await,
        "the contract refuses the certificate: \
         BLSSignatureChecker.checkSignatures: signature is invalid"
    );
    let mut elsewhere = good.clone();
    elsewhere.domain.l1_chain_id = 1;
    assert_eq!(
        refusal(&elsewhere).await,
        "the contract refuses the certificate: the certificate is for another domain"
    );
    confirmer
        .confirm(&network.certificate(attestation(5), &[]).await)
        .await
        .unwrap();
    let Statement::Attestation(mut other) = attestation(5) else {
        unreachable!()
    };
    other.output_root = B256::ZERO;
    let contradicting = network.certificate(other.into(), &[]).await;
    assert!(
        refusal(&contradicting)
            .await
            .contains("ContradictingAttestation")
    );
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let network = Network::start().await;
    let provider = network.l1.provider();
    let dry_run = DryRun::connect(
        provider,
        network.contracts.service_manager,
        network.contracts.operator_state_retriever,
    )
    .await
    .unwrap();
    let certificate = network.certificate(alert(1), &[]).await;
    dry_run.try_out(&certificate).await.unwrap();
    let manager = network.service_manager().await;
    assert_eq!(manager.active_alerts(ROLLUP).await.unwrap(), 0);
    let certificate = network.certificate(alert(1), &[4]).await;
    assert!(matches!(
        dry_run.try_out(&certificate).await,
        Err(ConfirmError::Reverted { .. })
    ));
    // What stands would not be accepted again, and is none the worse for it.
    let certificate = network.certificate(alert(1), &[]).await;
    network
        .confirmer(1)
        .await
        .confirm(&certificate)
        .await
        .unwrap();
    dry_run.try_out(&certificate).await.unwrap();
}

#[tokio::test]
async fn a_registration_that_is_refused_says_why() {
    let network = Network::start().await;
    let outsider = submitter(&network.l1, 6).await;
    let coordinator = network.contracts.registry_coordinator;
    let registration = registration(&outsider, coordinator).await;
    let status = registration.status(outsider.sender()).await.unwrap();
    assert_eq!(
        (status.standing, status.operator_id),
        (Standing::NeverRegistered, None)
    );
    let opt_in = opt_in(&registration, 6, &[0]).await;
    let error = registration.register(&opt_in).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "operator does not meet the minimum stake of quorum 0: has 0, needs 1; \
         deposit or have delegated more, and allocate it where slashable stake counts"
    );
    // With stake, but not on the allowlist.
    let weights = vec![abi::Weight {
        operator: outsider.sender(),
        quorumNumber: 0,
        weight: U96::from(5),
    }];
    let owner = submitter(&network.l1, 0).await;
    let call = IMachRegistry::setWeightsCall { weights };
    owner.call(coordinator, &call).await.unwrap();
    let plan = registration.register(&opt_in).await.unwrap();
    let refused = plan.simulate(outsider.provider()).await.unwrap_err();
    assert!(matches!(refused, PlanError::Refused { .. }), "{refused}");
    assert!(refused.to_string().ends_with("NotAdded"), "{refused}");
    let refused = plan.send(&outsider).await.unwrap_err();
    assert_eq!(refused.revert().unwrap().to_string(), "NotAdded");
    // The point that the coordinator says is the digest, hashed.
    let digest = registration.key_digest(outsider.sender()).await.unwrap();
    let point = crate::bls::hash_to_g1(digest);
    assert_eq!(
        registration.key_point(outsider.sender()).await.unwrap(),
        sol_g1(point).into()
    );
}

#[tokio::test]
async fn an_operator_may_be_a_contract() {
    let network = Network::start().await;
    let owner = submitter(&network.l1, 0).await;
    let coordinator = network.contracts.registry_coordinator;
    let registration = registration(&owner, coordinator).await;
    let magic = hex!("1626ba7e");
    for (answer, accepts) in [(magic, true), (hex!("ffffffff"), false)] {
        // Answers so to every call: PUSH4 answer, PUSH1 224, SHL, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN.
        let code = [&hex!("63")[..], &answer, &hex!("60e01b5f5260205ff3")].concat();
        // PUSH14 code, PUSH0, MSTORE, PUSH1 14, PUSH1 18, RETURN.
        let creation = [&hex!("6d")[..], &code, &hex!("5f52600e6012f3")].concat();
        let (wallet, _) = owner.deploy(creation.into()).await.unwrap();
        let weights = vec![abi::Weight {
            operator: wallet,
            quorumNumber: 0,
            weight: U96::from(5),
        }];
        let call = IMachRegistry::setWeightsCall { weights };
        owner.call(coordinator, &call).await.unwrap();
        let mut opt_in = OptIn {
            operator: wallet,
            signature: None,
            ..opt_in(&registration, 6, &[0]).await
        };
        let plan = registration.register(&opt_in).await.unwrap();
        let asked: Vec<_> = plan.unsigned().collect();
        assert_eq!((asked.len(), asked[0].signer), (1, wallet));
        let digest = asked[0].digest;
        opt_in.signature = Some(Bytes::from_static(b"two of three owners"));
        match registration.register(&opt_in).await {
            Ok(plan) => {
                assert!(accepts);
                assert_eq!((plan.unsigned().count(), plan.sender), (0, wallet));
                // The wallet has to send it; no key can.
                let refused = plan.send(&owner).await.unwrap_err();
                assert!(
                    matches!(refused, PlanError::OtherSender { .. }),
                    "{refused}"
                );
            }
            Err(RegistrationError::SignatureRefused {
                account,
                digest: refused,
            }) => {
                assert!(!accepts);
                assert_eq!((account, refused), (wallet, digest));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn contracts_that_are_not_there_are_named() {
    let l1 = L1::devnet();
    let nowhere = Address::repeat_byte(0xee);
    let provider = l1.provider();
    let error = ContractRegistry::connect(provider, nowhere, nowhere, 0)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{nowhere} answers blsApkRegistry() with 0 bytes that are not its return type")
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn running_out_of_gas_is_no_refusal() {
    let network = Network::start().await;
    let wallet = EthereumWallet::from(DEV_ACCOUNTS[2].signer());
    let provider = network.l1.provider();
    let policy = SubmitPolicy {
        gas_margin: 0,
        ..POLICY
    };
    let tight = Submitter::connect(provider, wallet, policy).await.unwrap();
    let registration = registration(&tight, network.contracts.registry_coordinator).await;
    let plan = registration
        .deregister(tight.sender(), &quorums(&[0]))
        .await
        .unwrap();
    // The newest block changed the same histories, which makes the estimate too low.
    let error = plan.send(&tight).await.unwrap_err();
    assert!(error.is_transient());
    let PlanError::Submit { source, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(source, SubmitError::OutOfGas { .. }), "{source}");
    plan.send(&tight).await.unwrap();
}

/// An L1 that makes blocks only when told to.
pub(crate) async fn manual() -> (Chain<Ethereum>, Submitter) {
    let config = DevnetConfig {
        l1_mining: Mining::Manual,
        ..Default::default()
    };
    let l1 = config.l1().unwrap();
    let submitter = with_policy(l1.provider(), 0, POLICY).await;
    (l1, submitter)
}

/// Makes `count` blocks, one every 20 milliseconds.
pub(crate) async fn mine(l1: &Chain<Ethereum>, count: u64) {
    for _ in 0..count {
        tokio::time::sleep(Duration::from_millis(20)).await;
        l1.mine().unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_is_too_cheap_is_given_up_and_replaced() {
    let (l1, submitter) = manual().await;
    let code = Artifact::OperatorStateRetriever.bytecode();
    // No block takes it, and no resend may pay more.
    let policy = SubmitPolicy {
        max_fee_per_gas: 1,
        ..POLICY
    };
    let poor = with_policy(l1.provider(), 0, policy).await;
    let (outcome, ()) = tokio::join!(poor.deploy(code.clone()), mine(&l1, 20));
    let error = outcome.unwrap_err();
    assert!(
        matches!(
            error,
            SubmitError::FeeCeiling {
                blocks: 12..,
                ceiling: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_transient());
    // The same account pays more: its first transaction makes way.
    let (outcome, ()) = tokio::join!(submitter.deploy(code), mine(&l1, 2));
    assert!(outcome.unwrap().1.status());
}

#[tokio::test]
async fn a_nonce_that_somebody_else_used_is_no_inclusion() {
    let (l1, first) = manual().await;
    let second = with_policy(l1.provider(), 0, POLICY).await;
    let code = Artifact::OperatorStateRetriever.bytecode();
    // Stops at once and deploys an empty contract.
    let other = Bytes::from_static(&[0]);
    let (a, b, ()) = tokio::join!(first.deploy(code), second.deploy(other), mine(&l1, 2));
    let (included, lost) = if a.is_ok() { (a, b) } else { (b, a) };
    assert!(included.unwrap().1.status());
    let error = lost.unwrap_err();
    assert!(
        matches!(error, SubmitError::NonceTaken { nonce: 0, .. }),
        "{error}"
    );
    assert!(error.is_transient());
}

#[tokio::test]
async fn confirmations_are_waited_for_through_a_reorganisation() {
    let (l1, _) = manual().await;
    let policy = SubmitPolicy {
        confirmations: 2,
        ..POLICY
    };
    let patient = with_policy(l1.provider(), 1, policy).await;
    let chain = async {
        mine(&l1, 2).await;
        // Block 1 held the transaction; on the new branch block 1 is another.
        l1.rewind(0).unwrap();
        l1.increase_time(60);
        mine(&l1, 5).await;
    };
    let deployed = async {
        let (_, receipt) = patient
            .deploy(Artifact::OperatorStateRetriever.bytecode())
            .await
            .unwrap();
        let block = receipt.block_number.unwrap();
        assert_eq!(receipt.block_hash, l1.block_hash(block));
        assert!(patient.provider().get_block_number().await.unwrap() >= block + 2);
    };
    tokio::join!(deployed, chain);
}

#[tokio::test]
async fn a_reverted_transaction_is_refused_before_it_is_sent() {
    let network = Network::start().await;
    let stranger = submitter(&network.l1, 9).await;
    let before = network.head().await;
    let call = I::setRollupChainIDCall {
        rollupChainId: U256::from(1),
        status: true,
    };
    let error = stranger
        .call(network.contracts.service_manager, &call)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        SubmitError::Reverted {
            transaction: None,
            ..
        }
    ));
    assert!(
        error.to_string().contains("OwnableUnauthorizedAccount"),
        "{error}"
    );
    let call = IMachRegistry::setWeightsCall { weights: vec![] };
    let error = stranger
        .call(network.contracts.registry_coordinator, &call)
        .await
        .unwrap_err();
    assert!(error.revert().is_some());
    assert_eq!(network.head().await, before);
}
