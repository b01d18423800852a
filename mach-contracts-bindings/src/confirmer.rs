//! Brings V3 certificates to the service manager.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_provider::{DynProvider, Provider};
use async_trait::async_trait;
use mach_core::{
    Certificate, Confirmation, G1Bytes, G2Bytes, NonSigner, QuorumTally, Statement,
    ports::{BoxError, ConfirmError, StatementConfirmer},
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
    call::{call, simulate},
};

/// Submits certificates, or with [`Self::dry_run`] only asks whether they would be accepted.
#[derive(Debug)]
pub struct ContractConfirmer {
    provider: DynProvider,
    service_manager: ServiceManager,
    coordinator: Address,
    retriever: Address,
    submitter: Option<Submitter>,
}

impl ContractConfirmer {
    /// Certificates go to `service_manager`, in transactions of `submitter`.
    pub async fn connect(
        submitter: Submitter,
        service_manager: Address,
        retriever: Address,
    ) -> Result<Self, CallError> {
        let provider = submitter.provider().clone();
        let mut this = Self::dry_run(provider, service_manager, retriever).await?;
        this.submitter = Some(submitter);
        Ok(this)
    }

    /// Certificates are run against the contract and leave no trace.
    pub async fn dry_run(
        provider: impl Provider + 'static,
        service_manager: Address,
        retriever: Address,
    ) -> Result<Self, CallError> {
        let provider = provider.erased();
        Ok(Self {
            service_manager: ServiceManager::connect(provider.clone(), service_manager).await?,
            coordinator: call(&provider, service_manager, &registryCoordinatorCall {}).await?,
            provider,
            retriever,
            submitter: None,
        })
    }

    /// The certificate as `checkSignatures` takes it, with the indices that the registries answer.
    pub async fn proof(
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

    /// Sends `request`, or runs it if there is nobody to send it.
    async fn submit<C: alloy_sol_types::SolCall + Sync>(
        &self,
        certificate: &Certificate,
        request: &C,
    ) -> Result<Confirmation, SubmitError> {
        let to = self.service_manager.address();
        let Some(submitter) = &self.submitter else {
            simulate(&self.provider, Address::ZERO, to, request).await?;
            return self.standing(certificate).await.map_err(Into::into);
        };
        let intent = intent(submitter, certificate).await;
        let input = request.abi_encode().into();
        let receipt = submitter.submit(intent, to, input).await?;
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

    /// What sends the certificates; [`Submitter::tend`] it if reorganisations are to be survived that
    /// are deeper than the policy's confirmations.
    pub const fn submitter(&self) -> Option<&Submitter> {
        self.submitter.as_ref()
    }

    async fn standing(&self, certificate: &Certificate) -> Result<Confirmation, CallError> {
        Ok(Confirmation {
            digest: certificate.digest(),
            transaction: None,
            l1_block: self.provider.get_block_number().await?,
            gas_used: None,
        })
    }
}

#[async_trait]
impl StatementConfirmer for ContractConfirmer {
    async fn confirm(&self, certificate: &Certificate) -> Result<Confirmation, ConfirmError> {
        if certificate.domain != self.service_manager.domain() {
            return Err(refused(
                "the certificate is for another domain",
                Bytes::new(),
            ));
        }
        // What this account has sent itself is waited for, until it is as deep as the policy says.
        let is_under_way = match &self.submitter {
            Some(submitter) => {
                let intent = intent(submitter, certificate).await;
                submitter.is_under_way(intent).await
            }
            None => false,
        };
        if !is_under_way
            && self
                .service_manager
                .stands(&certificate.statement)
                .await
                .map_err(call_error)?
        {
            return self.standing(certificate).await.map_err(call_error);
        }
        let reference_block = certificate.round.reference_block();
        // A node that has not seen the block would refuse what is accepted a moment later.
        let head = self.provider.get_block_number().await;
        let head = head.map_err(|error| call_error(error.into()))?;
        if head < reference_block.into() {
            return Err(ConfirmError::Backend(Box::new(Behind {
                head,
                reference_block,
            })));
        }
        let proof = self.proof(certificate).await.map_err(call_error)?;
        let outcome = match &certificate.statement {
            Statement::Alert(alert) => {
                let request = submitAlertCall {
                    alert: alert.into(),
                    referenceBlockNumber: reference_block,
                    nonSignerStakesAndSignature: proof,
                };
                self.submit(certificate, &request).await
            }
            Statement::Attestation(attestation) => {
                let request = submitAttestationCall {
                    attestation: attestation.into(),
                    referenceBlockNumber: reference_block,
                    nonSignerStakesAndSignature: proof,
                };
                self.submit(certificate, &request).await
            }
        };
        match outcome {
            Ok(confirmation) => Ok(confirmation),
            Err(error) if error.revert().is_some() => {
                // Whatever the reason given, somebody else may have been faster.
                let stands = self.service_manager.stands(&certificate.statement).await;
                if stands.map_err(call_error)? {
                    return self.standing(certificate).await.map_err(call_error);
                }
                // In a block that is not there yet, or that this node has not seen; or another node,
                // behind the same address, has not seen the reference block.
                if already_confirmed(error.revert()) || is_early(error.revert()) {
                    return Err(ConfirmError::Backend(Box::new(error)));
                }
                Err(submit_error(error))
            }
            Err(error) => Err(submit_error(error)),
        }
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
