//! Operators join and leave the registry.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_provider::DynProvider;
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_signer::Signer;
use alloy_sol_types::{SolStruct, eip712_domain, sol};
use mach_core::{G1Bytes, G2Bytes, OperatorId, QuorumNumbers};

use crate::{
    CallError, SubmitError, Submitter,
    abi::{
        self, IAVSDirectory, IMachServiceManager, IRegistryCoordinator, SignatureWithSaltAndExpiry,
    },
    call::call,
};

/// Registers one operator with a coordinator of EigenLayer's M2 interface, `MachRegistry` included.
///
/// The submitter's account is the operator.
#[derive(Debug)]
pub struct Registration<'a> {
    submitter: &'a Submitter,
    coordinator: Address,
    service_manager: Address,
    avs_directory: Address,
}

/// An operator's BLS key, with the proof that the operator holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyProof {
    /// Key in G1.
    pub key_g1: G1Bytes,
    /// Key in G2.
    pub key_g2: G2Bytes,
    /// Signature of [`Registration::key_digest`].
    pub signature: G1Bytes,
}

/// Consent of an operator to one service manager, for a single use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Any value that the operator has not used before.
    pub salt: B256,
    /// Seconds since the Unix epoch until which the consent can be used.
    pub expiry: u64,
}

/// Where an operator stands with a coordinator.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorStatus {
    /// Never was in a quorum.
    NeverRegistered,
    /// Is in a quorum.
    Registered,
    /// Was in a quorum and left.
    Deregistered,
}

impl<'a> Registration<'a> {
    /// Reads from `coordinator` which service manager and AVSDirectory belong to it.
    pub async fn connect(
        submitter: &'a Submitter,
        coordinator: Address,
    ) -> Result<Self, CallError> {
        let provider = submitter.provider();
        let request = IRegistryCoordinator::serviceManagerCall {};
        let service_manager = call(provider, coordinator, &request).await?;
        let request = IMachServiceManager::avsDirectoryCall {};
        Ok(Self {
            avs_directory: call(provider, service_manager, &request).await?,
            submitter,
            coordinator,
            service_manager,
        })
    }

    /// The service manager that the operator consents to, as the node names it.
    pub const fn service_manager(&self) -> Address {
        self.service_manager
    }

    /// What the BLS key has to sign to be registered for the submitter's account.
    ///
    /// Source: `RegistryCoordinator.pubkeyRegistrationMessageHash`, which hashes this to the curve.
    pub fn key_digest(&self) -> B256 {
        key_digest(
            self.submitter.sender(),
            self.coordinator,
            self.submitter.chain_id(),
        )
    }

    /// The coordinator's own answer to [`Self::key_digest`], hashed to the curve. It is there to be
    /// compared with: a key must not be multiplied with a point that a node sends.
    pub async fn key_point(&self) -> Result<G1Bytes, CallError> {
        let request = IRegistryCoordinator::pubkeyRegistrationMessageHashCall {
            operator: self.submitter.sender(),
        };
        Ok(self.call(&request).await?.into())
    }

    /// Joins `quorums`. An operator that is in a quorum already needs no new proof and no consent;
    /// both are then ignored.
    ///
    /// `signer` holds the key of the submitter's account.
    pub async fn register(
        &self,
        quorums: &QuorumNumbers,
        socket: &str,
        key: &KeyProof,
        consent: Consent,
        signer: &(dyn Signer + Send + Sync),
    ) -> Result<TransactionReceipt, RegistrationError> {
        let digest = self
            .consent_digest(consent)
            .await
            .map_err(SubmitError::from)?;
        let signature = signer.sign_hash(&digest).await?;
        let request = IRegistryCoordinator::registerOperatorCall {
            quorumNumbers: Bytes::copy_from_slice(quorums.as_bytes()),
            socket: socket.to_owned(),
            params: abi::PubkeyRegistrationParams {
                pubkeyRegistrationSignature: key.signature.into(),
                pubkeyG1: key.key_g1.into(),
                pubkeyG2: key.key_g2.into(),
            },
            operatorSignature: SignatureWithSaltAndExpiry {
                signature: Bytes::copy_from_slice(&signature.as_bytes()),
                salt: consent.salt,
                expiry: U256::from(consent.expiry),
            },
        };
        Ok(self.submitter.call(self.coordinator, &request).await?)
    }

    /// Leaves `quorums`.
    pub async fn deregister(
        &self,
        quorums: &QuorumNumbers,
    ) -> Result<TransactionReceipt, SubmitError> {
        let request = IRegistryCoordinator::deregisterOperatorCall {
            quorumNumbers: Bytes::copy_from_slice(quorums.as_bytes()),
        };
        self.submitter.call(self.coordinator, &request).await
    }

    /// Where the operator stands.
    pub async fn status(&self) -> Result<OperatorStatus, CallError> {
        let request = IRegistryCoordinator::getOperatorStatusCall {
            operator: self.submitter.sender(),
        };
        Ok(match self.call(&request).await? {
            0 => OperatorStatus::NeverRegistered,
            1 => OperatorStatus::Registered,
            _ => OperatorStatus::Deregistered,
        })
    }

    /// Id of the operator's key, if it ever registered one.
    pub async fn operator_id(&self) -> Result<Option<OperatorId>, CallError> {
        let request = IRegistryCoordinator::getOperatorIdCall {
            operator: self.submitter.sender(),
        };
        let id = self.call(&request).await?;
        Ok((!id.is_zero()).then_some(OperatorId(id)))
    }

    /// The AVSDirectory would say this too, but whoever answers for it could then have anything signed:
    /// only the domain, which has a version on some chains and none on others, is taken from there.
    async fn consent_digest(&self, consent: Consent) -> Result<B256, CallError> {
        sol! {
            struct OperatorAVSRegistration {
                address operator;
                address avs;
                bytes32 salt;
                uint256 expiry;
            }
        }
        let domain = IAVSDirectory::domainSeparatorCall {};
        let domain = call(self.provider(), self.avs_directory, &domain).await?;
        let consent = OperatorAVSRegistration {
            operator: self.submitter.sender(),
            avs: self.service_manager,
            salt: consent.salt,
            expiry: U256::from(consent.expiry),
        };
        let hash = consent.eip712_hash_struct();
        Ok(keccak256(
            [&[0x19, 0x01][..], domain.as_slice(), hash.as_slice()].concat(),
        ))
    }

    async fn call<C: alloy_sol_types::SolCall>(&self, request: &C) -> Result<C::Return, CallError> {
        call(self.provider(), self.coordinator, request).await
    }

    const fn provider(&self) -> &DynProvider {
        self.submitter.provider()
    }
}

/// EIP-712 digest of a key registration of `operator` with `coordinator`.
///
/// Source: `RegistryCoordinator`, domain ("AVSRegistryCoordinator", "v0.0.1").
pub fn key_digest(operator: Address, coordinator: Address, l1_chain_id: u64) -> B256 {
    sol! {
        struct BN254PubkeyRegistration {
            address operator;
        }
    }
    BN254PubkeyRegistration { operator }.eip712_signing_hash(&eip712_domain! {
        name: "AVSRegistryCoordinator",
        version: "v0.0.1",
        chain_id: l1_chain_id,
        verifying_contract: coordinator,
    })
}

/// Why an operator is not registered.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The account's key could not be used.
    #[error("the consent could not be signed")]
    Sign(#[from] alloy_signer::Error),
    /// The transaction did not succeed.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}
