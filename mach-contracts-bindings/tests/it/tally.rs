//! Certificates that mach-bls makes, on the contracts of both curves.

use std::sync::Arc;

use alloy_primitives::{Bytes, U256, aliases::U96};
use mach_bls::{LocalSigner, OperatorKeys, Tally, bn254::SecretKey, verify_certificate};
use mach_contracts_bindings::abi::{self, IMachRegistry, IMachServiceManager};
use mach_core::{
    Certificate, Round, Statement,
    ports::{ConfirmError, OperatorRegistry, StatementConfirmer, StatementSigner},
};

use crate::clients::{Network, alert, attestation, quorums, register, submitter};

/// What the accounts in `signers` sign, on the contract's terms.
async fn certificate(network: &Network, statement: &Statement, signers: &[usize]) -> Certificate {
    let terms = network.service_manager().await.terms().await.unwrap();
    let round = terms.round(network.head().await - 1).unwrap();
    certificate_of(network, statement, round, signers).await
}

async fn certificate_of(
    network: &Network,
    statement: &Statement,
    round: Round,
    signers: &[usize],
) -> Certificate {
    let set = network
        .registry
        .operator_set(round.quorums(), round.reference_block())
        .await
        .unwrap();
    let keys = Arc::new(OperatorKeys::new(&set).unwrap());
    let domain = network.contracts.domain();
    let mut tally = Tally::new(statement.clone(), domain, round, Arc::clone(&keys)).unwrap();
    for account in signers {
        let secret = U256::from(7000 + account).to_be_bytes();
        let signer = LocalSigner::new(SecretKey::from_bytes(&secret).unwrap());
        tally
            .add(&signer.sign(statement, &domain).await.unwrap())
            .unwrap();
    }
    let certificate = tally.certificate().certificate.unwrap();
    verify_certificate(&certificate, &keys).unwrap();
    certificate
}

/// Accounts 3 and 4 are in both quorums: each counts twice in key and signature.
#[tokio::test]
async fn a_signer_in_two_quorums_counts_twice_on_the_contract() {
    let network = Network::start().await;
    let owner = submitter(&network.l1, 0).await;
    let weights = IMachRegistry::setWeightsCall {
        weights: vec![abi::Weight {
            operator: submitter(&network.l1, 3).await.sender(),
            quorumNumber: 1,
            weight: U96::from(15),
        }],
    };
    let registry = network.contracts.registry_coordinator;
    owner.call(registry, &weights).await.unwrap();
    register(&network.l1, &network.contracts, 3, &[1]).await;
    let both = IMachServiceManager::setStatementQuorumsCall {
        quorumNumbers: Bytes::from_static(&[0, 1]),
        thresholds: Bytes::from_static(&[66, 66]),
    };
    let service_manager = network.contracts.service_manager;
    owner.call(service_manager, &both).await.unwrap();
    network.l1.mine().await;

    let confirmer = network.confirmer(8).await;
    let manager = network.service_manager().await;
    for (statement, signers) in [
        (alert(1), &[1, 2, 3, 4][..]),
        (attestation(2), &[2, 3, 4]),
        // Account 3 is absent from both quorums.
        (attestation(3), &[1, 2, 4]),
    ] {
        let certificate = certificate(&network, &statement, signers).await;
        assert_eq!(certificate.round.quorums(), &quorums(&[0, 1]));
        assert_eq!(certificate.non_signers.len(), 4 - signers.len());
        confirmer.confirm(&certificate).await.unwrap();
        assert!(manager.stands(&statement).await.unwrap(), "{signers:?}");
    }

    // Sums in which every signer counts once are those of quorum 0 alone.
    let statement = attestation(4);
    let good = certificate(&network, &statement, &[1, 2, 3, 4]).await;
    let round = Round::new(
        quorums(&[0]),
        good.round
            .terms()
            .take(1)
            .map(|(_, share)| share)
            .collect::<Vec<_>>(),
        good.round.reference_block(),
    )
    .unwrap();
    let once = certificate_of(&network, &statement, round, &[1, 2, 3, 4]).await;
    let key_once = Certificate {
        apk_g2: once.apk_g2,
        ..good.clone()
    };
    let signature_once = Certificate {
        sigma: once.sigma,
        ..good.clone()
    };
    let both_once = Certificate {
        apk_g2: once.apk_g2,
        ..signature_once.clone()
    };
    for bad in [key_once, signature_once, both_once] {
        let refusal = confirmer.confirm(&bad).await.unwrap_err();
        assert!(
            matches!(refusal, ConfirmError::Reverted { .. }),
            "{refusal:?}"
        );
        assert!(
            refusal.to_string().contains("signature is invalid"),
            "{refusal}"
        );
    }
    confirmer.confirm(&good).await.unwrap();
}
