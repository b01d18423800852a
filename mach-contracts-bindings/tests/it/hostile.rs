//! Nodes that lie, lag and fail: nothing is signed, believed or given up because of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use alloy_primitives::{B256, U256, hex};
use alloy_provider::{Provider, RootProvider};
use alloy_sol_types::{SolCall, SolError};
use mach_contracts_bindings::{
    Admission, Artifact, Consent, ContractConfirmer, ContractRegistry, OperatorStatus,
    Registration, SubmitError, SubmitPolicy, Submitter,
    abi::{IAVSDirectory, IMachServiceManager as I},
    admit,
};
use mach_core::{
    OperatorId,
    ports::{ConfirmError, OperatorRegistry, RegistryError, StatementConfirmer},
};
use mach_devnet::{Chain, DEV_ACCOUNTS, Ethereum};
use serde_json::{Value, json};

use crate::{
    bls::{sol_g1, sol_g2},
    clients::{
        L1, Network, POLICY, alert, key, manual, mine, proof, quorums, stake, submitter,
        with_policy,
    },
    node::{failure, lying, success},
};

fn devnet(network: &Network) -> &Chain<Ethereum> {
    match &network.l1 {
        L1::Devnet(chain) => chain,
        L1::Node(_) => unreachable!("started on the devnet"),
    }
}

async fn registry(network: &Network, node: RootProvider) -> ContractRegistry {
    ContractRegistry::connect(
        node,
        network.contracts.registry_coordinator,
        network.contracts.operator_state_retriever,
        network.contracts.l1_block,
    )
    .await
    .unwrap()
}

async fn confirmer(network: &Network, node: RootProvider) -> ContractConfirmer {
    ContractConfirmer::connect(
        with_policy(node, 8, POLICY).await,
        network.contracts.service_manager,
        network.contracts.operator_state_retriever,
    )
    .await
    .unwrap()
}

/// The account with this index, admitted to quorum 0 and not registered yet.
async fn admitted(network: &Network, index: usize) {
    let admission = Admission {
        address: DEV_ACCOUNTS[index].address,
        stakes: vec![(0, stake(500))],
    };
    let owner = submitter(&network.l1, 0).await;
    admit(&owner, &network.contracts, &[admission])
        .await
        .unwrap();
}

async fn register(network: &Network, submitter: &Submitter, index: usize) {
    let coordinator = network.contracts.registry_coordinator;
    let registration = Registration::connect(submitter, coordinator).await.unwrap();
    assert_eq!(
        registration.service_manager(),
        network.contracts.service_manager
    );
    let consent = Consent {
        salt: B256::repeat_byte(index as u8),
        expiry: u64::MAX,
    };
    let (key, signer) = (proof(&registration, index), DEV_ACCOUNTS[index].signer());
    registration
        .register(&quorums(&[0]), "operator:1", &key, consent, &signer)
        .await
        .unwrap();
    assert_eq!(
        registration.status().await.unwrap(),
        OperatorStatus::Registered
    );
}

#[tokio::test]
async fn a_node_cannot_choose_what_an_operator_signs() {
    let network = Network::start().await;
    admitted(&network, 5).await;
    let selector =
        hex::encode(IAVSDirectory::calculateOperatorAVSRegistrationDigestHashCall::SELECTOR);
    // The hash of a transaction, say. Had it been signed, the contract would refuse the consent.
    let node = lying(devnet(&network), move |_, params, _| {
        let asked = params.contains(&selector);
        asked.then(|| success(&json!(B256::repeat_byte(0x66))))
    });
    register(&network, &with_policy(node, 5, POLICY).await, 5).await;
}

#[tokio::test]
