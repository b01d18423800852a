//! Deployment files against a chain.

use alloy_primitives::Address;
use alloy_provider::Provider;
use mach_contracts_bindings::{
    DeployConfig, DeployError, Deployment, DeploymentError, DeploymentFile, KnownDeployment,
    RegistryChoice, deploy,
};
use mach_core::{Domain, ports::StatementConfirmer};

use crate::{
    clients::{Network, ROLLUP, alert, submitter},
    node::{failure, lying},
};

async fn resolve(network: &Network, file: DeploymentFile) -> Result<Deployment, DeploymentError> {
    file.resolve(network.l1.provider()).await
}

#[tokio::test]
async fn what_a_file_leaves_out_is_asked_for() {
    let network = Network::start().await;
    let contracts = network.contracts;
    let whole = DeploymentFile::from(&contracts);
    let read = DeploymentFile::parse(whole.to_json().as_bytes()).unwrap();
    assert_eq!(read, whole);
    assert_eq!(resolve(&network, read).await.unwrap(), contracts);

    // All that the original's aggregator needs.
    let least = DeploymentFile::new(
        contracts.registry_coordinator,
        contracts.operator_state_retriever,
    );
    let expected = Deployment {
        l1_block: 0,
        ..contracts
    };
    assert_eq!(resolve(&network, least).await.unwrap(), expected);
}

#[tokio::test]
async fn a_file_of_another_chain_or_with_other_addresses_is_refused() {
    let network = Network::start().await;
    let contracts = network.contracts;
    let good = DeploymentFile::from(&contracts);
    let nobody = Address::repeat_byte(0x11);
    let chain = contracts.l1_chain_id;
    let manager = contracts.service_manager;
    let cases = [
        (
            DeploymentFile {
                l1_chain_id: Some(1),
                ..good
            },
            format!("the deployment is on chain 1, the node is on chain {chain}"),
        ),
        (
            DeploymentFile {
                registry_coordinator: nobody,
                ..good
            },
            format!(
                "there is no contract at {nobody} (`registryCoordinator`) on chain {chain}: is it the right chain?"
            ),
        ),
        (
            DeploymentFile {
                operator_state_retriever: nobody,
                ..good
            },
            format!(
                "there is no contract at {nobody} (`operatorStateRetriever`) on chain {chain}: is it the right chain?"
            ),
        ),
        (
            DeploymentFile {
                registry_coordinator: contracts.operator_state_retriever,
                ..good
            },
            format!(
                "{} (`registryCoordinator`) is not a registry coordinator",
                contracts.operator_state_retriever
            ),
        ),
        (
            DeploymentFile {
                service_manager: Some(nobody),
                ..good
            },
            format!(
                "the deployment says that `machServiceManager` is {nobody}, the coordinator says {manager}"
            ),
        ),
        (
            DeploymentFile {
                stake_registry: Some(nobody),
                ..good
            },
            format!(
                "the deployment says that `stakeRegistry` is {nobody}, the coordinator says {}",
                contracts.stake_registry
            ),
        ),
    ];
    for (file, message) in cases {
        let error = resolve(&network, file).await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.is_transient());
    }
    // A built-in deployment is not on the devnet.
    let known = KnownDeployment::find("cyber", None).unwrap().file();
    let error = resolve(&network, known).await.unwrap_err();
    assert!(matches!(
        error,
        DeploymentError::WrongChain { expected: 1, .. }
    ));
}

#[tokio::test]
async fn a_node_that_fails_says_nothing_about_the_deployment() {
    let network = Network::start().await;
    let file = DeploymentFile::from(&network.contracts);
    for method in ["eth_chainId", "eth_getCode", "eth_call", "eth_getStorageAt"] {
        let node = lying(network.l1.chain(), move |asked, _, _| {
            (asked == method).then(|| failure(-32005, "limit exceeded"))
        });
        let error = file.resolve(node.erased()).await.unwrap_err();
        assert!(error.is_transient(), "{method}: {error}");
    }
}

#[tokio::test]
async fn a_service_manager_counts_the_stake_of_a_coordinator_that_is_there() {
    let network = Network::start().await;
    let first = network.contracts;
    let owner = submitter(&network.l1, 9).await;
    let config = |coordinator| DeployConfig {
        registry: RegistryChoice::Existing(coordinator),
        ..DeployConfig::new(owner.sender(), [ROLLUP])
    };
    let second = deploy(&owner, &config(first.registry_coordinator))
        .await
        .unwrap();
    assert_ne!(second.service_manager, first.service_manager);
    assert_eq!(second.registry_coordinator, first.registry_coordinator);
    assert_eq!(
        second.domain(),
        Domain {
            service_manager: second.service_manager,
            ..first.domain()
        }
    );
    let file = DeploymentFile::from(&second);
    assert_eq!(resolve(&network, file).await.unwrap(), second);

    // The operators of the first sign for the second, and nothing else changes.
    let network = network.with_contracts(second);
    let certificate = network.certificate(alert(1), &[]).await;
    let confirmer = network.confirmer(7).await;
    confirmer.confirm(&certificate).await.unwrap();
    let manager = network.service_manager().await;
    assert_eq!(manager.active_alerts(ROLLUP).await.unwrap(), 1);

    // Nothing is sent over what is no coordinator.
    let provider = network.l1.provider();
    let nonce = provider.get_transaction_count(owner.sender());
    let before = nonce.await.unwrap();
    let error = deploy(&owner, &config(second.service_manager))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            DeployError::Coordinator(DeploymentError::NotACoordinator { .. })
        ),
        "{error}"
    );
    let nonce = provider.get_transaction_count(owner.sender());
    assert_eq!(nonce.await.unwrap(), before);
}
