//! Brings V3 certificates to the service manager.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use mach_core::{
    Certificate, Confirmation, G1Bytes, G2Bytes, NonSigner, QuorumTally, Statement,
    ports::{BoxError, ConfirmError, L1Standing, StatementConfirmer, StatementReader},
};
use tracing::info;

use crate::{
    CallError, Revert, ServiceManager, SubmitError, Submitter,
    abi::{
        self, CheckSignaturesIndices,
        IMachServiceManager::{
            IMachServiceManagerErrors, registryCoordinatorCall, submitAlertCall,
            submitAttestationCall,
        },
        IOperatorStateRetriever,
    },
    call::{call, simulate_bytes},
};

/// Submits certificates.
#[derive(Debug)]
pub struct ContractConfirmer {
    contracts: Contracts,
    submitter: Submitter,
}

impl ContractConfirmer {
    /// Certificates go to `service_manager`, in transactions of `submitter`.
    pub async fn connect(
        submitter: Submitter,
        service_manager: Address,
        retriever: Address,
    ) -> Result<Self, CallError> {
        let provider = submitter.provider().clone();
        let contracts = Contracts::connect(provider, service_manager, retriever).await?;
        Ok(Self {
            contracts,
            submitter,
        })
    }

    /// The certificate as `checkSignatures` takes it, with the indices that the registries answer.
    pub async fn proof(
        &self,
        certificate: &Certificate,
    ) -> Result<abi::NonSignerStakesAndSignature, CallError> {
        self.contracts.proof(certificate).await
    }

    /// What sends the certificates; [`Submitter::tend`] it if reorganisations are to be survived that
    /// are deeper than the policy's confirmations.
    pub const fn submitter(&self) -> &Submitter {
        &self.submitter
    }

    async fn submit(
        &self,
        certificate: &Certificate,
        call: Bytes,
    ) -> Result<Confirmation, SubmitError> {
        let intent = intent(&self.submitter, certificate).await;
        let to = self.contracts.service_manager.address();
        let receipt = self.submitter.submit(intent, to, call).await?;
        info!(
            digest = %certificate.digest(),
            transaction = %receipt.transaction_hash,
            gas_used = receipt.gas_used,
            "statement confirmed on L1"
        );
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: Some(receipt.transaction_hash),
            l1_block: receipt.block_number.unwrap_or_default(),
            gas_used: Some(receipt.gas_used),
        })
    }
}

#[async_trait]
impl StatementReader for ContractConfirmer {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        StatementReader::standing(&self.contracts.service_manager, statement).await
    }
}

#[async_trait]
impl StatementConfirmer for ContractConfirmer {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        let contracts = &self.contracts;
        contracts.check_domain(certificate)?;
        // What this account has sent itself is waited for, until it is as deep as the policy says.
        let intent = intent(&self.submitter, certificate).await;
        if !self.submitter.is_under_way(intent).await && contracts.stands(certificate).await? {
            return contracts.standing(certificate).await;
        }
        let call = contracts.call(certificate).await?;
        match self.submit(certificate, call.calldata).await {
            Ok(confirmation) => Ok(confirmation),
            Err(error) if error.revert().is_some() => {
                // Whatever the reason given, somebody else may have been faster.
                if contracts.stands(certificate).await? {
                    return contracts.standing(certificate).await;
                }
                // In a block that is not there yet, or that this node has not seen; or another node,
                // behind the same address, has not seen the reference block.
                if already_confirmed(error.revert()) || is_early(error.revert()) {
                    return Err(ConfirmError::Backend(Box::new(error)));
                }
                if was_removed(error.revert()) {
                    return Err(ConfirmError::Withdrawn(certificate.digest()));
                }
                Err(submit_error(error))
            }
            Err(error) => Err(submit_error(error)),
        }
    }
}

/// Runs certificates against the contract and leaves no trace.
///
/// It is no [`StatementConfirmer`]: what was tried does not stand on L1, and nobody may be told so.
#[derive(Debug)]
pub struct DryRun(Contracts);

impl DryRun {
    /// Certificates are tried against `service_manager`.
    pub async fn connect(
        provider: impl Provider + 'static,
        service_manager: Address,
        retriever: Address,
    ) -> Result<Self, CallError> {
        let contracts = Contracts::connect(provider.erased(), service_manager, retriever);
        Ok(Self(contracts.await?))
    }

    /// Whether the contract takes `certificate`, or has its statement already.
    ///
    /// Errors: [`ConfirmError`], as if it had been sent.
    pub async fn try_out(&self, certificate: &Certificate) -> Result<(), ConfirmError> {
        self.0.check_domain(certificate)?;
        if self.0.stands(certificate).await? {
            return Ok(());
        }
        let Call {
            calldata,
            signature,
        } = self.0.call(certificate).await?;
        let (provider, to) = (&self.0.provider, self.0.service_manager.address());
        let tried = simulate_bytes(provider, Address::ZERO, to, calldata, signature).await;
        tried.map(|_| ()).map_err(call_error)
    }
}

#[async_trait]
impl StatementReader for DryRun {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        StatementReader::standing(&self.0.service_manager, statement).await
    }
}

/// The contracts that certificates go to.
#[derive(Debug)]
struct Contracts {
    provider: DynProvider,
    service_manager: ServiceManager,
    coordinator: Address,
    retriever: Address,
}

/// What is sent to the service manager.
struct Call {
    calldata: Bytes,
    /// The function, for errors.
    signature: &'static str,
}

impl Call {
    fn new<C: SolCall>(call: &C) -> Self {
        Self {
            calldata: call.abi_encode().into(),
            signature: C::SIGNATURE,
        }
    }
}

impl Contracts {
    async fn connect(
        provider: DynProvider,
        service_manager: Address,
        retriever: Address,
    ) -> Result<Self, CallError> {
        Ok(Self {
            service_manager: ServiceManager::connect(provider.clone(), service_manager).await?,
            coordinator: call(&provider, service_manager, &registryCoordinatorCall {}).await?,
            provider,
            retriever,
        })
    }

    fn check_domain(&self, certificate: &Certificate) -> Result<(), ConfirmError> {
        if certificate.domain == self.service_manager.domain() {
            return Ok(());
        }
        let reason = "the certificate is for another domain";
        Err(refused(reason, Bytes::new()))
    }

    async fn stands(&self, certificate: &Certificate) -> Result<bool, ConfirmError> {
        let stands = self.service_manager.stands(&certificate.statement).await;
        stands.map_err(call_error)
    }

    async fn standing(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: None,
            l1_block: self.head().await?,
            gas_used: None,
        })
    }

    async fn head(&self) -> Result<u64, ConfirmError> {
        let head = self.provider.get_block_number().await;
        head.map_err(|error| call_error(error.into()))
    }

    async fn proof(
        &self,
        certificate: &Certificate,
    ) -> Result<abi::NonSignerStakesAndSignature, CallError> {
        let request = IOperatorStateRetriever::getCheckSignaturesIndicesCall {
            registryCoordinator: self.coordinator,
            referenceBlockNumber: certificate.round.reference_block(),
            quorumNumbers: Bytes::copy_from_slice(certificate.round.quorums().as_bytes()),
            nonSignerOperatorIds: certificate
                .non_signers
                .iter()
                .map(|absent| absent.id.0)
                .collect(),
        };
        let indices = call(&self.provider, self.retriever, &request).await?;
        Ok(proof(certificate, indices))
    }

    /// What brings `certificate` to the contract.
    async fn call(&self, certificate: &Certificate) -> Result<Call, ConfirmError> {
        let reference_block = certificate.round.reference_block();
        // A node that has not seen the block would refuse what is accepted a moment later.
        let head = self.head().await?;
        if head < reference_block.into() {
            return Err(ConfirmError::Backend(Box::new(Behind {
                head,
                reference_block,
            })));
        }
        let proof = self.proof(certificate).await.map_err(call_error)?;
        Ok(match &certificate.statement {
            Statement::Alert(alert) => Call::new(&submitAlertCall {
                alert: alert.into(),
                referenceBlockNumber: reference_block,
                nonSignerStakesAndSignature: proof,
            }),
            Statement::Attestation(attestation) => Call::new(&submitAttestationCall {
                attestation: attestation.into(),
                referenceBlockNumber: reference_block,
                nonSignerStakesAndSignature: proof,
            }),
        })
    }
}

/// Puts a certificate and the registries' indices into the contract's struct.
pub fn proof(
    certificate: &Certificate,
    indices: CheckSignaturesIndices,
) -> abi::NonSignerStakesAndSignature {
    let Certificate {
        non_signers,
        quorums,
        ..
    } = certificate;
    let sums = (certificate.apk_g2, certificate.sigma);
    proof_of(non_signers, quorums, sums, indices)
}

pub(crate) fn proof_of(
    non_signers: &[NonSigner],
    quorums: &[QuorumTally],
    (apk_g2, sigma): (G2Bytes, G1Bytes),
    indices: CheckSignaturesIndices,
) -> abi::NonSignerStakesAndSignature {
    abi::NonSignerStakesAndSignature {
        nonSignerQuorumBitmapIndices: indices.nonSignerQuorumBitmapIndices,
        nonSignerPubkeys: non_signers
            .iter()
            .map(|absent| absent.key_g1.into())
            .collect(),
        quorumApks: quorums.iter().map(|quorum| quorum.apk.into()).collect(),
        apkG2: apk_g2.into(),
        sigma: sigma.into(),
        quorumApkIndices: indices.quorumApkIndices,
        totalStakeIndices: indices.totalStakeIndices,
        nonSignerStakeIndices: indices.nonSignerStakeIndices,
    }
}

const fn already_confirmed(revert: Option<&Revert>) -> bool {
    matches!(
        revert,
        Some(Revert::ServiceManager(
            IMachServiceManagerErrors::AlreadyConfirmed(_)
                | IMachServiceManagerErrors::AlreadyAdded(_)
        ))
    )
}

const fn was_removed(revert: Option<&Revert>) -> bool {
    matches!(
        revert,
        Some(Revert::ServiceManager(
            IMachServiceManagerErrors::AlertWasRemoved(_)
        ))
    )
}

fn is_early(revert: Option<&Revert>) -> bool {
    matches!(revert, Some(Revert::Message(message)) if message.contains("invalid reference block"))
}

/// What the submitter knows the certificate's transaction by: the digest, until a transaction for it is
/// final and the statement is to be confirmed all the same. Then the owner has removed the alert, and has
/// to reopen it before another transaction is accepted.
async fn intent(submitter: &Submitter, certificate: &Certificate) -> B256 {
    let mut intent = certificate.digest();
    while let Some(done) = submitter.done(intent).await {
        intent = keccak256([intent, done].concat());
    }
    intent
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the node is at L1 block {head}, before the certificate's reference block {reference_block}"
)]
struct Behind {
    head: u64,
    reference_block: u32,
}

pub(crate) fn refused(reason: &str, data: Bytes) -> ConfirmError {
    ConfirmError::Reverted {
        reason: reason.to_owned(),
        data,
    }
}

pub(crate) fn call_error(error: CallError) -> ConfirmError {
    match error {
        CallError::Reverted { revert, data, .. } => refused(&revert.to_string(), data),
        error => ConfirmError::Backend(Box::new(error)),
    }
}

pub(crate) fn submit_error(error: SubmitError) -> ConfirmError {
    match error {
        SubmitError::Reverted { revert, data, .. } => refused(&revert.to_string(), data),
        SubmitError::Call(error) => call_error(error),
        SubmitError::NotIncluded {
            transaction,
            blocks,
        } => ConfirmError::NotIncluded {
            transaction,
            blocks,
        },
        error => ConfirmError::Backend(BoxError::from(error)),
    }
}
