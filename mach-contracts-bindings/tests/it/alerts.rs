//! Alerts of the original's generations, on the contract that takes them as V2 does.

use alloy_primitives::B256;
use mach_contracts_bindings::{ContractAlerts, Probe};
use mach_core::ports::{AlertConfirmer, ConfirmError};

use crate::clients::{Network, ROLLUP, submitter};

async fn alerts(network: &Network, account: usize) -> ContractAlerts {
    let contracts = &network.contracts;
    let probe = Probe::read(network.l1.provider(), contracts.service_manager);
    let submitter = submitter(&network.l1, account).await;
    let retriever = contracts.operator_state_retriever;
    ContractAlerts::new(submitter, &probe.await.unwrap(), retriever, ROLLUP)
}

async fn total(network: &Network) -> u64 {
    let probe = Probe::read(network.l1.provider(), network.contracts.service_manager);
    let active = probe.await.unwrap().active_alerts(ROLLUP).await;
    active.unwrap().unwrap()
}

#[tokio::test]
async fn an_alert_of_v2_is_confirmed_once() {
    let network = Network::start().await;
    let confirmer = alerts(&network, 0).await;
    let hash = B256::repeat_byte(0x41);
    let certificate = network.alert_certificate(hash, &[1]).await;
    let confirmed = confirmer.confirm_alert(&certificate).await.unwrap();
    assert_eq!(confirmed.digest, certificate.digest());
    assert!(confirmed.transaction.is_some());
    assert_eq!(total(&network).await, 1);
    // It stands: nothing is sent, whoever asks.
    let again = alerts(&network, 3).await.confirm_alert(&certificate).await;
    assert_eq!(again.unwrap().transaction, None);
    assert_eq!(total(&network).await, 1);
}

#[tokio::test]
async fn what_the_contract_refuses_is_said_and_not_tried_again() {
    let network = Network::start().await;
    let certificate = network
        .alert_certificate(B256::repeat_byte(0x42), &[])
        .await;
    // Account 3 is not the confirmer.
    let error = alerts(&network, 3).await.confirm_alert(&certificate).await;
    let error = error.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("InvalidConfirmer"), "{error}");
    // 400 of 1,000 are absent, and 66 % have to sign.
    let few = network
        .alert_certificate(B256::repeat_byte(0x43), &[4])
        .await;
    let confirmer = alerts(&network, 0).await;
    let error = confirmer.confirm_alert(&few).await.unwrap_err();
    assert!(
        error.to_string().contains("InsufficientThreshold"),
        "{error}"
    );
    // A signature of another digest, and a certificate of another generation.
    let mut other = certificate.clone();
    other.message_hash = B256::repeat_byte(0x44);
    let error = confirmer.confirm_alert(&other).await.unwrap_err();
    assert!(
        error.to_string().contains("signature is invalid"),
        "{error}"
    );
    let mut of_v1 = certificate;
    of_v1.rollup_chain_id = None;
    let error = confirmer.confirm_alert(&of_v1).await.unwrap_err();
    assert!(matches!(error, ConfirmError::Reverted { .. }), "{error:?}");
    assert_eq!(total(&network).await, 0);
}
