//! A deployment with registered operators.

use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use ark_bn254::{G1Projective, G2Projective};
use ark_ff::AdditiveGroup;
use mach_contracts_bindings::{
    Artifact, Revert,
    abi::{
        self, IAVSDirectory, IBLSApkRegistry, IMachRegistry, IMachServiceManager,
        IOperatorStateRetriever, IPauserRegistry, IRegistryCoordinator,
        ITransparentUpgradeableProxy,
    },
    key_digest,
};

use crate::{
    bls::{Key, sol_g1, sol_g2},
    chain::{CHAIN_ID, Chain, Done},
};

pub(crate) const ROLLUP: u64 = 901;
pub(crate) const OWNER: Address = Address::repeat_byte(0x01);
pub(crate) const CONFIRMER: Address = Address::repeat_byte(0x02);
pub(crate) const WHITELISTER: Address = Address::repeat_byte(0x03);
pub(crate) const PAUSER: Address = Address::repeat_byte(0x04);
pub(crate) const UNPAUSER: Address = Address::repeat_byte(0x05);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x99);
const DEPLOYER: Address = Address::repeat_byte(0x0d);

#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) signer: PrivateKeySigner,
    pub(crate) bls: Key,
}

impl Operator {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            signer: PrivateKeySigner::from_slice(&[number; 32]).unwrap(),
            bls: Key::new(1000 + u64::from(number)),
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.signer.address()
    }

    pub(crate) fn id(&self) -> B256 {
        let key = sol_g1(self.bls.g1());
        keccak256([key.X.to_be_bytes::<32>(), key.Y.to_be_bytes::<32>()].concat())
    }
}

pub(crate) struct Fixture {
    pub(crate) chain: Chain,
    pub(crate) service_manager: Address,
    pub(crate) registry: Address,
    pub(crate) retriever: Address,
    pub(crate) pauser_registry: Address,
    pub(crate) operators: Vec<Operator>,
}

impl Fixture {
    /// Contracts with two quorums and nobody in them.
    pub(crate) fn empty() -> Self {
        let mut chain = Chain::new();
        let pausers = IPauserRegistry::constructorCall {
            pausers: vec![PAUSER],
            unpauser: UNPAUSER,
        };
        let pauser_registry = chain
            .deploy(DEPLOYER, Artifact::PauserRegistry, &pausers)
            .unwrap();
        let retriever = chain
            .deploy(DEPLOYER, Artifact::OperatorStateRetriever, &NoArguments)
            .unwrap();
        let quorum = abi::QuorumParams {
            minimumStake: U96::from(1),
            maxOperatorCount: 4,
        };
        let registry = IMachRegistry::constructorCall {
            owner: OWNER,
            serviceManager: DEPLOYER.create(4),
            quorums: vec![quorum.clone(), quorum],
        };
        let registry = chain
            .deploy(DEPLOYER, Artifact::MachRegistry, &registry)
            .unwrap();
        let mut this = Self {
            chain,
            service_manager: Address::ZERO,
            registry,
            retriever,
            pauser_registry,
            operators: Vec::new(),
        };
        this.service_manager = this.deploy_service_manager(registry);
        assert_eq!(this.service_manager, DEPLOYER.create(4));
        this
    }

    /// Four operators with stakes 100, 200, 300 and 400 in quorum 0; the last two also with 30 and 40 in
    /// quorum 1.
    pub(crate) fn new() -> Self {
        let mut this = Self::empty();
        for number in 1..=4 {
            let operator = Operator::new(number);
            let stake = 100 * u64::from(number);
            let mut stakes = vec![(0, stake)];
            if number > 2 {
                stakes.push((1, stake / 10));
            }
            this.admit(&operator, &stakes);
            let quorums: Vec<u8> = stakes.iter().map(|(quorum, _)| *quorum).collect();
            this.register(&operator, &quorums).unwrap();
            this.operators.push(operator);
        }
        this
    }

    pub(crate) fn deploy_service_manager(&mut self, coordinator: Address) -> Address {
        let implementation = IMachServiceManager::constructorCall {
            avsDirectory: self.registry,
            registryCoordinator: coordinator,
            stakeRegistry: self.registry,
        };
        let implementation = self
            .chain
            .deploy(DEPLOYER, Artifact::MachServiceManager, &implementation)
            .unwrap();
        let proxy = ITransparentUpgradeableProxy::constructorCall {
            logic: implementation,
            initialOwner: OWNER,
            data: self.initialization().abi_encode().into(),
        };
        self.chain
            .deploy(DEPLOYER, Artifact::TransparentUpgradeableProxy, &proxy)
            .unwrap()
    }

    pub(crate) fn initialization(&self) -> IMachServiceManager::initializeCall {
        IMachServiceManager::initializeCall {
            pauserRegistry: self.pauser_registry,
            initialPausedStatus: U256::ZERO,
            initialOwner: OWNER,
            alertConfirmer: CONFIRMER,
            whitelister: WHITELISTER,
            rollupChainIDs: vec![U256::from(ROLLUP)],
        }
    }

    /// Calls the service manager.
    pub(crate) fn send(&mut self, from: Address, call: &impl SolCall) -> Result<Done, Revert> {
        self.chain.send(from, self.service_manager, call)
    }

    /// Reads the service manager.
    pub(crate) fn read<C: SolCall>(&mut self, call: &C) -> C::Return {
        self.chain.call(self.service_manager, call).unwrap()
    }

    /// Reads the registry.
    pub(crate) fn ask<C: SolCall>(&mut self, call: &C) -> C::Return {
        self.chain.call(self.registry, call).unwrap()
    }

    pub(crate) fn admit(&mut self, operator: &Operator, stakes: &[(u8, u64)]) {
        let allow = IMachServiceManager::allowOperatorsCall {
            operators: vec![operator.address()],
        };
        self.send(WHITELISTER, &allow).unwrap();
        self.weigh(operator, stakes).unwrap();
    }

    pub(crate) fn weigh(
        &mut self,
        operator: &Operator,
        stakes: &[(u8, u64)],
    ) -> Result<Done, Revert> {
        let weights = stakes
            .iter()
            .map(|(quorum, stake)| abi::Weight {
                operator: operator.address(),
                quorumNumber: *quorum,
                weight: U96::from(*stake),
            })
            .collect();
        let call = IMachRegistry::setWeightsCall { weights };
        self.chain.send(OWNER, self.registry, &call)
    }

    pub(crate) fn register(&mut self, operator: &Operator, quorums: &[u8]) -> Result<Done, Revert> {
        let call = self.registration(operator, quorums);
        self.chain.send(operator.address(), self.registry, &call)
    }

    pub(crate) fn registration(
        &mut self,
        operator: &Operator,
        quorums: &[u8],
    ) -> IRegistryCoordinator::registerOperatorCall {
        let digest = key_digest(operator.address(), self.registry, CHAIN_ID);
        IRegistryCoordinator::registerOperatorCall {
            quorumNumbers: Bytes::copy_from_slice(quorums),
            socket: "operator.example:8901".to_owned(),
            params: abi::PubkeyRegistrationParams {
                pubkeyRegistrationSignature: sol_g1(operator.bls.sign(digest)),
                pubkeyG1: sol_g1(operator.bls.g1()),
                pubkeyG2: sol_g2(operator.bls.g2()),
            },
            operatorSignature: self.consent(operator),
        }
    }

    pub(crate) fn consent(&mut self, operator: &Operator) -> abi::SignatureWithSaltAndExpiry {
        let salt = B256::from(U256::from(self.chain.block()));
        let expiry = U256::from(self.chain.timestamp() + 3600);
        let digest = self.ask(
            &IAVSDirectory::calculateOperatorAVSRegistrationDigestHashCall {
                operator: operator.address(),
                avs: self.service_manager,
                salt,
                expiry,
            },
        );
        let signature = operator.signer.sign_hash_sync(&digest).unwrap();
        abi::SignatureWithSaltAndExpiry {
            signature: signature.as_bytes().to_vec().into(),
            salt,
            expiry,
        }
    }

    /// Last block that is past.
    pub(crate) fn reference_block(&self) -> u32 {
        self.chain.block() - 1
    }

    /// The signature of everybody but `absent` (by index), with all that the contract wants to know.
    pub(crate) fn proof(
        &mut self,
        digest: B256,
        quorums: &[u8],
        reference_block: u32,
        absent: &[usize],
    ) -> abi::NonSignerStakesAndSignature {
        let mut non_signers: Vec<Operator> = absent
            .iter()
            .map(|index| self.operators[*index].clone())
            .collect();
        non_signers.sort_by_key(Operator::id);
        let indices = self
            .chain
            .call(
                self.retriever,
                &IOperatorStateRetriever::getCheckSignaturesIndicesCall {
                    registryCoordinator: self.registry,
                    referenceBlockNumber: reference_block,
                    quorumNumbers: Bytes::copy_from_slice(quorums),
                    nonSignerOperatorIds: non_signers.iter().map(Operator::id).collect(),
                },
            )
            .unwrap();
        let (mut sigma, mut apk_g2) = (G1Projective::ZERO, G2Projective::ZERO);
        for index in 0..self.operators.len() {
            if absent.contains(&index) {
                continue;
            }
            let operator = self.operators[index].clone();
            let bitmap = self.ask(&IRegistryCoordinator::getCurrentQuorumBitmapCall {
                operatorId: operator.id(),
            });
            // Once for each quorum that the signer is in.
            for _ in quorums
                .iter()
                .filter(|quorum| bitmap.bit(usize::from(**quorum)))
            {
                sigma += operator.bls.sign(digest);
                apk_g2 += operator.bls.g2();
            }
        }
        abi::NonSignerStakesAndSignature {
            nonSignerQuorumBitmapIndices: indices.nonSignerQuorumBitmapIndices,
            nonSignerPubkeys: non_signers.iter().map(|op| sol_g1(op.bls.g1())).collect(),
            quorumApks: quorums
                .iter()
                .map(|quorum| {
                    self.ask(&IBLSApkRegistry::getApkCall {
                        quorumNumber: *quorum,
                    })
                })
                .collect(),
            apkG2: sol_g2(apk_g2),
            sigma: sol_g1(sigma),
            quorumApkIndices: indices.quorumApkIndices,
            totalStakeIndices: indices.totalStakeIndices,
            nonSignerStakeIndices: indices.nonSignerStakeIndices,
        }
    }
}

/// A constructor without parameters.
pub(crate) struct NoArguments;

impl alloy_sol_types::SolConstructor for NoArguments {
    type Parameters<'a> = ();
    type Token<'a> = ();

    fn new<'a>((): <Self::Parameters<'a> as alloy_sol_types::SolType>::RustType) -> Self {
        Self
    }

    fn tokenize(&self) -> Self::Token<'_> {}
}

/// Short names for reverts that are compared with.
pub(crate) fn refused<T>(result: Result<T, Revert>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(revert) => revert.to_string(),
    }
}
