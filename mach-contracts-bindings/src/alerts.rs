//! Brings alerts of the original's generations to its service managers.

use alloy_primitives::{Address, B256, Bytes, ChainId, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use mach_core::{
    Confirmation,
    legacy::AlertCertificate,
    ports::{AlertConfirmer, ConfirmError},
};
use tracing::info;

use crate::{
    CallError, DigestKind, Generation, Probe, Revert, Submitter,
    abi::{
        self, IMachServiceManager as V2, IMachServiceManager::IMachServiceManagerErrors,
        IMachServiceManagerV1, IOperatorStateRetriever,
    },
    call::call,
    confirmer::{call_error, proof_of, refused, submit_error},
    service_manager::legacy::IMachServiceManagerV1 as V1,
};

/// Confirms alerts about one rollup on a service manager of any generation, in transactions of the
/// account that the contract calls its alert confirmer.
#[derive(Debug)]
pub struct ContractAlerts {
    submitter: Submitter,
    provider: DynProvider,
    service_manager: Address,
    coordinator: Address,
    retriever: Address,
    generation: Generation,
    rollup: ChainId,
}

impl ContractAlerts {
    /// Alerts about `rollup` go to the service manager that `probe` found.
    pub fn new(submitter: Submitter, probe: &Probe, retriever: Address, rollup: ChainId) -> Self {
        Self {
            provider: submitter.provider().clone(),
            submitter,
            service_manager: probe.address,
            coordinator: probe.registry_coordinator,
            retriever,
            generation: probe.generation,
            rollup,
        }
    }

    /// Whether the alert is active on L1.
    async fn stands(&self, message_hash: B256) -> Result<bool, CallError> {
        let rollup = U256::from(self.rollup);
        if self.generation.has_rollups() {
            let request = V2::containsCall {
                rollupChainId: rollup,
                messageHash: message_hash,
            };
            return call(&self.provider, self.service_manager, &request).await;
        }
        let request = V1::containsCall {
            messageHash: message_hash,
        };
        call(&self.provider, self.service_manager, &request).await
    }

    async fn input(&self, certificate: &AlertCertificate) -> Result<Bytes, CallError> {
        let round = &certificate.round;
        let quorums = Bytes::copy_from_slice(round.quorums().as_bytes());
        let thresholds: Vec<_> = round.terms().map(|(_, it)| it.value()).collect();
        let absent = certificate.non_signers.iter().map(|absent| absent.id.0);
        let request = IOperatorStateRetriever::getCheckSignaturesIndicesCall {
            registryCoordinator: self.coordinator,
            referenceBlockNumber: round.reference_block(),
            quorumNumbers: quorums.clone(),
            nonSignerOperatorIds: absent.collect(),
        };
        let indices = call(&self.provider, self.retriever, &request).await?;
        let AlertCertificate {
            non_signers,
            quorums: tallies,
            ..
        } = certificate;
        let sums = (certificate.apk_g2, certificate.sigma);
        let proof = proof_of(non_signers, tallies, sums, indices);
        if self.generation.has_rollups() {
            let request = V2::confirmAlertCall {
                alertHeader: abi::AlertHeader {
                    messageHash: certificate.message_hash,
                    quorumNumbers: quorums,
                    quorumThresholdPercentages: thresholds.into(),
                    referenceBlockNumber: round.reference_block(),
                    rollupChainID: U256::from(self.rollup),
                },
                nonSignerStakesAndSignature: proof,
            };
            return Ok(request.abi_encode().into());
        }
        let request = IMachServiceManagerV1::confirmAlertCall {
            alertHeader: abi::AlertHeaderV1 {
                messageHash: certificate.message_hash,
                quorumNumbers: quorums,
                quorumThresholdPercentages: thresholds.into(),
                referenceBlockNumber: round.reference_block(),
            },
            nonSignerStakesAndSignature: proof,
        };
        Ok(request.abi_encode().into())
    }

    async fn standing(&self, digest: B256) -> Result<Confirmation, ConfirmError> {
        let number = self.provider.get_block_number().await;
        Ok(Confirmation {
            digest,
            transaction: None,
            l1_block: number.map_err(|error| call_error(error.into()))?,
            gas_used: None,
        })
    }
}

#[async_trait]
impl AlertConfirmer for ContractAlerts {
    async fn confirm_alert(
        &self,
        certificate: &AlertCertificate,
    ) -> Result<Confirmation, ConfirmError> {
        // A V3 contract takes the alerts of V2.
        let expected = (self.generation.digest() != DigestKind::V1).then_some(self.rollup);
        if certificate.rollup_chain_id != expected {
            let reason = "the certificate's digest is not the service manager's";
            return Err(refused(reason, Bytes::new()));
        }
        let digest = certificate.digest();
        let message_hash = certificate.message_hash;
        if self.stands(message_hash).await.map_err(call_error)? {
            return self.standing(digest).await;
        }
        let input = self.input(certificate).await.map_err(call_error)?;
        let sent = self.submitter.submit(digest, self.service_manager, input);
        match sent.await {
            Ok(receipt) => {
                info!(
                    alert = %message_hash,
                    transaction = %receipt.transaction_hash,
                    gas_used = receipt.gas_used,
                    "alert confirmed on L1"
                );
                Ok(Confirmation {
                    digest,
                    transaction: Some(receipt.transaction_hash),
                    l1_block: receipt.block_number.unwrap_or_default(),
                    gas_used: Some(receipt.gas_used),
                })
            }
            // Somebody else was faster.
            Err(error) if is_added(error.revert()) => self.standing(digest).await,
            Err(error) => Err(submit_error(error)),
        }
    }
}

const fn is_added(revert: Option<&Revert>) -> bool {
    matches!(
        revert,
        Some(Revert::ServiceManager(
            IMachServiceManagerErrors::AlreadyAdded(_)
        ))
    )
}
