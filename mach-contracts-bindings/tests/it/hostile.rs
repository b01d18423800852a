//! Nodes that lie, lag and fail: nothing is signed, believed or given up because of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use alloy_consensus::Transaction;
use alloy_primitives::{B256, U256, hex};
use alloy_provider::{Provider, RootProvider};
use alloy_sol_types::{SolCall, SolError};
use mach_contracts_bindings::{
    Admission, Artifact, ContractConfirmer, ContractRegistry, Standing, SubmitError, SubmitPolicy,
    Submitter,
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
        L1, Network, POLICY, alert, key, manual, mine, opt_in, quorums, registration, stake,
        submitter, with_policy,
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
    let registration = registration(submitter, coordinator).await;
    assert_eq!(
        registration.avs().service_manager(),
        network.contracts.service_manager
    );
    let opt_in = opt_in(&registration, index, &[0]).await;
    let plan = registration.register(&opt_in).await.unwrap();
    plan.send(submitter).await.unwrap();
    let status = registration.status(submitter.sender()).await.unwrap();
    assert_eq!(status.standing, Standing::Registered);
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
async fn a_node_that_lags_knows_no_operators() {
    let network = Network::start().await;
    let head = network.head().await;
    let registry_at_head = registry(&network, network.l1.provider()).await;
    let error = registry_at_head
        .operator_set(&quorums(&[0]), head + 1)
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Backend(_)), "{error:?}");
    assert!(error.is_transient());

    // One node says how high the chain is, another behind the same address has not seen it.
    let ahead = lying(devnet(&network), move |method, _, _| {
        (method == "eth_blockNumber").then(|| success(&json!(format!("{:#x}", head + 3))))
    });
    let error = registry(&network, ahead)
        .await
        .operator_set(&quorums(&[0]), head + 1)
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::Backend(_)), "{error:?}");
}

#[tokio::test]
async fn an_event_that_was_left_out_is_found_later() {
    let network = Network::start().await;
    let silent = Arc::new(AtomicBool::new(false));
    let node = lying(devnet(&network), {
        let silent = Arc::clone(&silent);
        move |method, _, _| {
            let left_out = method == "eth_getLogs" && silent.load(Ordering::Relaxed);
            left_out.then(|| success(&json!([])))
        }
    });
    let registry = registry(&network, node).await;
    let known = network.head().await;
    registry.operator_set(&quorums(&[0]), known).await.unwrap();

    admitted(&network, 5).await;
    register(&network, &submitter(&network.l1, 5).await, 5).await;
    // Far enough that what is read again for reorganisations does not reach back to the event.
    for _ in 0..100 {
        devnet(&network).mine().unwrap();
    }
    let head = network.head().await;
    silent.store(true, Ordering::Relaxed);
    let error = registry.operator_set(&quorums(&[0]), head).await;
    assert!(matches!(error, Err(RegistryError::Malformed(_))));
    silent.store(false, Ordering::Relaxed);
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(set.total_stake(0), stake(1500));
}

#[tokio::test]
async fn keys_come_from_the_registrys_own_events() {
    let network = Network::start().await;
    // After each event the same one of another contract, with the first operator's key in G2.
    let node = lying(devnet(&network), |method, _, truth| {
        if method != "eth_getLogs" {
            return None;
        }
        let mut logs = Vec::new();
        for log in truth.as_array()? {
            let mut forged = log.clone();
            forged["address"] = json!("0x00000000000000000000000000000000000bad00");
            let data = log["data"].as_str()?;
            let other = truth[0]["data"].as_str()?;
            forged["data"] = json!(format!("{}{}", &data[..2 + 128], &other[2 + 128..]));
            logs.extend([log.clone(), forged]);
        }
        Some(success(&Value::from(logs)))
    });
    let head = network.head().await;
    let registry = registry(&network, node).await;
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    for index in 1..=4 {
        let id = OperatorId::from_key(&sol_g1(key(index).g1()).into());
        assert_eq!(
            set.operator(&id).unwrap().key_g2,
            sol_g2(key(index).g2()).into()
        );
    }
}

/// Whatever a node gives as the reason, and if it gives none, an alert that stands is confirmed.
#[tokio::test]
async fn a_refusal_of_what_stands_already_is_a_confirmation() {
    let network = Network::start().await;
    let certificate = network.certificate(alert(1), &[]).await;
    network
        .confirmer(7)
        .await
        .confirm(&certificate)
        .await
        .unwrap();
    let looks = AtomicU32::new(0);
    let selector = hex::encode(I::alertByDigestCall::SELECTOR);
    let node = lying(devnet(&network), move |method, params, _| match method {
        "eth_estimateGas" => Some(failure(3, "execution reverted")),
        // At the first look it was not there.
        "eth_call" if params.contains(&selector) && looks.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(success(&json!(format!("0x{}", "00".repeat(320)))))
        }
        _ => None,
    });
    let confirmation = confirmer(&network, node)
        .await
        .confirm(&certificate)
        .await
        .unwrap();
    assert_eq!(confirmation.transaction, None);
    assert_eq!(confirmation.digest, certificate.digest());
}

/// What a node that lags refuses is accepted a moment later: nobody may give the alert up for it.
#[tokio::test]
async fn a_node_that_lags_refuses_no_certificate_for_good() {
    let network = Network::start().await;
    let certificate = network.certificate(alert(1), &[]).await;
    let before = certificate.round.reference_block() - 1;
    let behind = lying(devnet(&network), move |method, _, _| {
        (method == "eth_blockNumber").then(|| success(&json!(format!("{before:#x}"))))
    });
    // The node that says how high the chain is has the block, the one that estimates has not.
    let mixed = lying(devnet(&network), |method, _, _| {
        (method == "eth_estimateGas").then(|| {
            let message = "BLSSignatureChecker.checkSignatures: invalid reference block";
            let data = alloy_sol_types::Revert::from(message).abi_encode();
            let mut payload = json!({"code": 3, "message": "execution reverted"});
            payload["data"] = json!(hex::encode_prefixed(data));
            alloy_json_rpc::ResponsePayload::Failure(serde_json::from_value(payload).unwrap())
        })
    });
    for node in [behind, mixed] {
        let confirmer = confirmer(&network, node).await;
        let error = confirmer.confirm(&certificate).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
}

/// A node may estimate on its pending block, where a rival's transaction is that may never be included.
#[tokio::test]
async fn a_confirmation_that_is_only_pending_is_none() {
    let network = Network::start().await;
    let certificate = network.certificate(alert(1), &[]).await;
    let digest = certificate.digest();
    let node = lying(devnet(&network), move |method, _, _| {
        (method == "eth_estimateGas").then(|| {
            let data = hex::encode_prefixed(I::AlreadyConfirmed { digest }.abi_encode());
            let mut payload = json!({"code": 3, "message": "execution reverted"});
            payload["data"] = json!(data);
            alloy_json_rpc::ResponsePayload::Failure(serde_json::from_value(payload).unwrap())
        })
    });
    let error = confirmer(&network, node)
        .await
        .confirm(&certificate)
        .await
        .unwrap_err();
    assert!(matches!(error, ConfirmError::Backend(_)), "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn absurd_numbers_are_errors() {
    let (l1, _) = manual().await;
    for absurd in [
        "eth_estimateGas",
        "eth_getTransactionCount",
        "eth_feeHistory",
    ] {
        let node = lying(&l1, move |method, _, truth| {
            if method != absurd {
                return None;
            }
            let mut answer = json!(U256::from(u64::MAX));
            if method == "eth_feeHistory" {
                answer = truth.clone();
                let blocks = answer["baseFeePerGas"].as_array()?.len();
                answer["baseFeePerGas"] = json!(vec![U256::from(u128::MAX); blocks]);
            }
            Some(success(&answer))
        });
        let policy = SubmitPolicy {
            gas_margin: 200,
            ..POLICY
        };
        let submitter = with_policy(node, 0, policy).await;
        let code = Artifact::OperatorStateRetriever.bytecode();
        let (outcome, ()) = tokio::join!(submitter.deploy(code), mine(&l1, 15));
        match absurd {
            "eth_estimateGas" => {
                let error = outcome.unwrap_err();
                assert!(matches!(error, SubmitError::Underfunded { .. }), "{error}");
            }
            "eth_getTransactionCount" => {
                let error = outcome.unwrap_err();
                assert!(
                    matches!(error, SubmitError::AbsurdNonce(u64::MAX)),
                    "{error}"
                );
            }
            // Whatever the node says, the ceiling is the ceiling.
            _ => {
                let (_, receipt) = outcome.unwrap();
                let transaction = submitter
                    .provider()
                    .get_transaction_by_hash(receipt.transaction_hash)
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(transaction.max_fee_per_gas(), SubmitPolicy::MAX_FEE_PER_GAS);
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_is_silent_for_a_moment_loses_no_transaction() {
    let (l1, _) = manual().await;
    let asked = AtomicU32::new(0);
    // The first receipts are asked for in vain.
    let node = lying(&l1, move |method, _, _| {
        let late = match method {
            "eth_getTransactionReceipt" => asked.fetch_add(1, Ordering::Relaxed) < 5,
            _ => false,
        };
        late.then(|| failure(-32603, "internal error"))
    });
    let submitter = with_policy(node, 0, POLICY).await;
    let code = Artifact::OperatorStateRetriever.bytecode();
    let (outcome, ()) = tokio::join!(submitter.deploy(code), mine(&l1, 3));
    let (address, receipt) = outcome.unwrap();
    assert!(receipt.status());
    assert!(
        !submitter
            .provider()
            .get_code_at(address)
            .await
            .unwrap()
            .is_empty()
    );
    // It is not patient for ever.
    let dead = lying(&l1, |method, _, _| {
        (method == "eth_getTransactionReceipt").then(|| failure(-32603, "internal error"))
    });
    let submitter = with_policy(dead, 1, POLICY).await;
    let error = submitter
        .deploy(Artifact::OperatorStateRetriever.bytecode())
        .await
        .unwrap_err();
    assert!(matches!(error, SubmitError::Transport(_)), "{error}");
    assert!(error.is_transient());
}
