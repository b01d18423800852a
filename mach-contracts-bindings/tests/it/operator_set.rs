//! The operator set of a large registry, over reorganisations and restarts.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use alloy_eips::Encodable2718;
use alloy_network::{EthereumWallet, NetworkTransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use mach_contracts_bindings::{
    Admission, ContractRegistry, DeployConfig, Deployment, KeyCache, KeyCacheError, Quorum, abi,
    abi::{IAVSDirectory, IMachRegistry, IOperatorStateRetriever, IRegistryCoordinator},
    admit, deploy, key_digest,
};
use mach_core::{
    OperatorId,
    ports::{OperatorRegistry, RegistryError},
};
use mach_devnet::{Chain, DEV_ACCOUNTS, DevnetConfig, Ethereum, Mining};
use serde_json::{Value, json};

use crate::{
    bls::{Key, sol_g1, sol_g2},
    clients::{L1, Network, key, quorums, register, stake, submitter},
    node::{failure, lying, success},
};

/// A node that writes down what it is asked.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, String)>>>);

impl Asked {
    fn node(&self, chain: &Chain<Ethereum>) -> RootProvider {
        let asked = Arc::clone(&self.0);
        lying(chain, move |method, params, _| {
            let request = (method.to_owned(), params.to_owned());
            asked.lock().unwrap().push(request);
            None
        })
    }

    /// The methods since the last time, each with the number of its requests.
    fn take(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.0.lock().unwrap());
        asked.into_iter().map(|(method, _)| method).collect()
    }
}

fn count(methods: &[String], method: &str) -> usize {
    methods.iter().filter(|asked| *asked == method).count()
}

async fn connect(node: RootProvider, contracts: &Deployment) -> ContractRegistry {
    ContractRegistry::connect(
        node,
        contracts.registry_coordinator,
        contracts.operator_state_retriever,
        contracts.l1_block,
    )
    .await
    .unwrap()
}

fn temporary(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("mach-{}-{name}.json", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// Operators with keys and stakes that follow from their index.
struct Crowd {
    signers: Vec<PrivateKeySigner>,
}

impl Crowd {
    fn new(size: usize) -> Self {
        let signers = (0..size).map(|index| {
            PrivateKeySigner::from_bytes(&B256::from(U256::from(1_000_000 + index))).unwrap()
        });
        Self {
            signers: signers.collect(),
        }
    }

    fn key(index: usize) -> Key {
        Key::new(50_000 + index as u64)
    }

    fn stake(index: usize) -> u128 {
        10 + index as u128
    }

    /// Sends everybody ether for gas.
    async fn fund(&self, l1: &Chain<Ethereum>) {
        const ETHER: u64 = 1_000_000_000_000_000_000;
        let account = DEV_ACCOUNTS[9];
        l1.set_mining(Mining::Manual);
        for (nonce, signer) in self.signers.iter().enumerate() {
            let request = TransactionRequest {
                to: Some(TxKind::Call(signer.address())),
                value: Some(U256::from(ETHER)),
                gas: Some(21_000),
                ..Default::default()
            };
            send(l1, &account.signer(), nonce as u64, request).await;
        }
        l1.mine().unwrap();
        l1.set_mining(Mining::Auto);
    }

    /// Everybody registers for quorum 0, as many in a block as have room.
    async fn register(&self, l1: &Chain<Ethereum>, contracts: &Deployment) {
        let provider = l1.provider();
        l1.set_mining(Mining::Manual);
        for (index, signer) in self.signers.iter().enumerate() {
            let key = Self::key(index);
            let consent = Self::consent(&provider, contracts, signer).await;
            let digest = key_digest(
                signer.address(),
                contracts.registry_coordinator,
                contracts.l1_chain_id,
            );
            let call = IRegistryCoordinator::registerOperatorCall {
                quorumNumbers: Bytes::from_static(&[0]),
                socket: String::new(),
                params: abi::PubkeyRegistrationParams {
                    pubkeyRegistrationSignature: sol_g1(key.sign(digest)),
                    pubkeyG1: sol_g1(key.g1()),
                    pubkeyG2: sol_g2(key.g2()),
                },
                operatorSignature: consent,
            };
            let request = TransactionRequest {
                to: Some(TxKind::Call(contracts.registry_coordinator)),
                input: TransactionInput::new(call.abi_encode().into()),
                gas: Some(950_000),
                ..Default::default()
            };
            send(l1, signer, 0, request).await;
            if index % 60 == 59 {
                l1.mine().unwrap();
            }
        }
        l1.mine().unwrap();
        l1.set_mining(Mining::Auto);
    }

    async fn consent(
        provider: &RootProvider,
        contracts: &Deployment,
        signer: &PrivateKeySigner,
    ) -> abi::SignatureWithSaltAndExpiry {
        let (salt, expiry) = (B256::ZERO, U256::MAX);
        let call = IAVSDirectory::calculateOperatorAVSRegistrationDigestHashCall {
            operator: signer.address(),
            avs: contracts.service_manager,
            salt,
            expiry,
        };
        let request = TransactionRequest::default()
            .to(contracts.registry_coordinator)
            .input(TransactionInput::new(call.abi_encode().into()));
        let digest = provider.call(request).await.unwrap();
        let signature = signer.sign_hash_sync(&B256::from_slice(&digest)).unwrap();
        abi::SignatureWithSaltAndExpiry {
            signature: signature.as_bytes().to_vec().into(),
            salt,
            expiry,
        }
    }
}

async fn send(
    l1: &Chain<Ethereum>,
    signer: &PrivateKeySigner,
    nonce: u64,
    request: TransactionRequest,
) {
    let request = TransactionRequest {
        from: Some(signer.address()),
        chain_id: Some(l1.chain_id()),
        nonce: Some(nonce),
        max_fee_per_gas: Some(1_000_000_000_000),
        max_priority_fee_per_gas: Some(500_000_000_000),
        ..request
    };
    let wallet = EthereumWallet::from(signer.clone());
    let transaction = request.build(&wallet).await.unwrap();
    l1.send_raw_transaction(&transaction.encoded_2718())
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_operators_take_few_requests() {
    const SIZE: usize = 1000;
    let started = Instant::now();
    let crowd = Crowd::new(SIZE);
    let chain = DevnetConfig::default().l1().unwrap();
    crowd.fund(&chain).await;
    let l1 = L1::Devnet(chain.clone());
    let owner = submitter(&l1, 0).await;
    let quorum = Quorum {
        minimum_stake: stake(1),
        max_operators: SIZE as u32,
    };
    let config = DeployConfig {
        quorums: vec![quorum],
        ..DeployConfig::new(owner.sender(), [10])
    };
    let contracts = deploy(&owner, &config).await.unwrap();
    let admissions: Vec<_> = crowd
        .signers
        .iter()
        .enumerate()
        .map(|(index, signer)| Admission {
            address: signer.address(),
            stakes: vec![(0, stake(Crowd::stake(index)))],
        })
        .collect();
    for admissions in admissions.chunks(200) {
        admit(&owner, &contracts, admissions).await.unwrap();
    }
    crowd.register(&chain, &contracts).await;
    println!("{SIZE} operators registered in {:?}", started.elapsed());

    let asked = Asked::default();
    let head = chain.head() as u32;
    let registry = connect(asked.node(&chain), &contracts).await;
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    let methods = asked.take();
    println!("{} requests: {methods:?}", methods.len());
    assert!(methods.len() <= 20, "{methods:?}");
    assert_eq!(set.operators().count(), SIZE);
    let total = (0..SIZE).map(Crowd::stake).sum();
    assert_eq!(set.total_stake(0), stake(total));
    for index in [0, 499, 999] {
        let key = Crowd::key(index);
        let id = OperatorId::from_key(&sol_g1(key.g1()).into());
        let operator = set.operator(&id).unwrap();
        assert_eq!(operator.address, crowd.signers[index].address());
        assert_eq!(operator.key_g2, sol_g2(key.g2()).into());
        assert_eq!(set.stake(0, &id), Some(stake(Crowd::stake(index))));
    }

    // Once more costs one request, to see that the block is still the same.
    let again = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(again, set);
    assert_eq!(asked.take(), ["eth_getBlockByNumber"]);
    // Another block, and no key is asked for again.
    let before = head - 3;
    let earlier = registry.operator_set(&quorums(&[0]), before).await.unwrap();
    assert!(earlier.operators().count() < SIZE);
    assert_eq!(count(&asked.take(), "eth_getLogs"), 0);

    // Over HTTP, nothing known yet.
    let server = chain.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let node = RootProvider::new_http(server.http_url().parse().unwrap());
    let started = Instant::now();
    let registry = connect(node, &contracts).await;
    let remote = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    println!("{SIZE} operators read in {:?}", started.elapsed());
    assert_eq!(remote, set);
}

#[tokio::test]
async fn a_settled_set_is_remembered_without_a_request() {
    let network = Network::start().await;
    let asked = Asked::default();
    let registry = connect(asked.node(network.l1.chain()), &network.contracts).await;
    let block = network.head().await;
    for _ in 0..64 {
        network.l1.chain().mine().unwrap();
    }
    let set = registry.operator_set(&quorums(&[0]), block).await.unwrap();
    asked.take();
    let again = registry.operator_set(&quorums(&[0]), block).await.unwrap();
    assert_eq!(again, set);
    assert_eq!(asked.take(), [] as [&str; 0]);
    // The same block and other quorums are another set.
    let both = registry
        .operator_set(&quorums(&[0, 1]), block)
        .await
        .unwrap();
    assert_eq!(both.total_stake(1), stake(40));
    assert_eq!(count(&asked.take(), "eth_getLogs"), 0);
}

#[tokio::test]
async fn a_restart_goes_on_from_the_file() {
    let network = Network::start().await;
    let chain = network.l1.chain();
    for _ in 0..100 {
        chain.mine().unwrap();
    }
    let path = temporary("restart");
    let asked = Asked::default();
    let first = connect(asked.node(chain), &network.contracts).await;
    let first = first.with_key_file(&path).unwrap();
    let head = network.head().await;
    let set = first.operator_set(&quorums(&[0]), head).await.unwrap();
    let cache = KeyCache::load(&path).unwrap().unwrap();
    assert_eq!(cache.keys.len(), 4);
    assert_eq!(cache.height, u64::from(head) - 64);
    assert_eq!(Some(cache.block_hash), chain.block_hash(cache.height));

    // Everybody is in the file, so that no event is read.
    asked.take();
    let second = connect(asked.node(chain), &network.contracts).await;
    let second = second.with_key_file(&path).unwrap();
    let read = second.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(read, set);
    assert_eq!(count(&asked.take(), "eth_getLogs"), 0);

    // Of a newcomer only what came after the file.
    admitted(&network, 5).await;
    register(&network.l1, &network.contracts, 5, &[0]).await;
    let requests = asked.0.clone();
    let head = network.head().await;
    let third = connect(asked.node(chain), &network.contracts).await;
    let third = third.with_key_file(&path).unwrap();
    let read = third.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(read.operators().count(), 5);
    let ranges: Vec<_> = requests
        .lock()
        .unwrap()
        .iter()
        .filter(|(method, _)| method == "eth_getLogs")
        .map(|(_, params)| from_block(params))
        .collect();
    assert_eq!(ranges, [cache.height + 1]);

    // A file of another registry is not taken for this one's.
    let other = KeyCache {
        apk_registry: Address::repeat_byte(7),
        ..cache
    };
    other.save(&path).unwrap();
    let fourth = connect(asked.node(chain), &network.contracts).await;
    let error = fourth.with_key_file(&path).unwrap_err();
    assert!(matches!(error, KeyCacheError::OtherRegistry { .. }));
    std::fs::remove_file(&path).unwrap();
}

fn from_block(params: &str) -> u64 {
    let params: Value = serde_json::from_str(params).unwrap();
    let hex = params[0]["fromBlock"].as_str().unwrap();
    u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap()
}

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

#[tokio::test]
async fn what_a_reorganisation_took_back_is_forgotten() {
    let network = Network::start().await;
    let chain = network.l1.chain();
    let registry = connect(network.l1.provider(), &network.contracts).await;
    for _ in 0..100 {
        chain.mine().unwrap();
    }
    admitted(&network, 5).await;
    let fork = chain.head();
    register(&network.l1, &network.contracts, 5, &[0]).await;
    let head = network.head().await;
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(set.operators().count(), 5);

    // The registration is gone, and another operator registers in its place.
    chain.set_mining(Mining::Manual);
    chain.rewind(fork).unwrap();
    drop_pending(chain).await;
    chain.set_mining(Mining::Auto);
    admitted(&network, 6).await;
    register(&network.l1, &network.contracts, 6, &[0]).await;
    // The height that was read before has another block.
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(set.operators().count(), 4);
    let head = network.head().await;
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    let ids: Vec<_> = [5, 6]
        .into_iter()
        .map(|index| OperatorId::from_key(&sol_g1(key(index).g1()).into()))
        .collect();
    assert!(set.operator(&ids[0]).is_none());
    assert!(set.operator(&ids[1]).is_some());
    // It is not in what the next process is given either.
    for _ in 0..100 {
        chain.mine().unwrap();
    }
    admitted(&network, 7).await;
    register(&network.l1, &network.contracts, 7, &[0]).await;
    let head = network.head().await;
    registry.operator_set(&quorums(&[0]), head).await.unwrap();
    let cache = registry.key_cache().await.unwrap();
    let kept: Vec<_> = cache
        .keys
        .iter()
        .map(|key| OperatorId::from_key(&key.key_g1))
        .collect();
    assert!(!kept.contains(&ids[0]));
    assert!(kept.contains(&ids[1]));
}

/// Makes the next transaction of the account that waits another one.
async fn drop_pending(chain: &Chain<Ethereum>) {
    let account = DEV_ACCOUNTS[5];
    let provider: RootProvider = chain.provider();
    let nonce = provider
        .get_transaction_count(account.address)
        .await
        .unwrap();
    let request = TransactionRequest {
        to: Some(TxKind::Call(account.address)),
        gas: Some(21_000),
        ..Default::default()
    };
    send(chain, &account.signer(), nonce, request).await;
    chain.mine().unwrap();
}

#[tokio::test]
async fn a_file_of_a_chain_that_was_replaced_is_read_anew() {
    let network = Network::start().await;
    let chain = network.l1.chain();
    for _ in 0..100 {
        chain.mine().unwrap();
    }
    let first = connect(network.l1.provider(), &network.contracts).await;
    let head = network.head().await;
    first.operator_set(&quorums(&[0]), head).await.unwrap();
    let mut cache = first.key_cache().await.unwrap();
    cache.block_hash = B256::repeat_byte(1);
    cache.keys.truncate(1);

    let asked = Asked::default();
    let second = connect(asked.node(chain), &network.contracts).await;
    let second = second.with_key_cache(cache).unwrap();
    let set = second.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(set.operators().count(), 4);
    let asked = asked.0.lock().unwrap();
    let logs = asked.iter().find(|(method, _)| method == "eth_getLogs");
    assert_eq!(from_block(&logs.unwrap().1), network.contracts.l1_block);
}

#[tokio::test]
async fn ranges_shrink_to_what_the_node_allows() {
    let network = Network::start().await;
    let chain = network.l1.chain();
    for _ in 0..100 {
        chain.mine().unwrap();
    }
    let head = network.head().await;
    let least = Arc::new(AtomicU64::new(u64::MAX));
    let node = lying(chain, {
        let least = Arc::clone(&least);
        move |method, params, _| {
            if method != "eth_getLogs" {
                return None;
            }
            let value: Value = serde_json::from_str(params).unwrap();
            let to = value[0]["toBlock"].as_str().unwrap();
            let to = u64::from_str_radix(to.trim_start_matches("0x"), 16).unwrap();
            let blocks = to + 1 - from_block(params);
            least.fetch_min(blocks, Ordering::Relaxed);
            (blocks > 20).then(|| failure(-32602, "block range is too wide"))
        }
    });
    let registry = connect(node, &network.contracts).await;
    let set = registry.operator_set(&quorums(&[0]), head).await.unwrap();
    assert_eq!(set.operators().count(), 4);
    assert!(least.load(Ordering::Relaxed) <= 20);

    // A node that refuses every range is a failure that may pass.
    let deaf = lying(chain, |method, _, _| {
        (method == "eth_getLogs").then(|| failure(-32005, "limit exceeded"))
    });
    let registry = connect(deaf, &network.contracts).await;
    let error = registry.operator_set(&quorums(&[0]), head).await;
    assert!(matches!(error, Err(RegistryError::Backend(_))), "{error:?}");
}

/// Who leaves an operator out of the set, or puts one in, has to find other keys with the same sum.
#[tokio::test]
async fn a_set_whose_keys_do_not_add_up_is_refused() {
    let network = Network::start().await;
    let head = network.head().await;
    let selector =
        alloy_primitives::hex::encode(IOperatorStateRetriever::getOperatorStateCall::SELECTOR);
    let short = Arc::new(AtomicBool::new(true));
    let node = lying(network.l1.chain(), {
        let short = Arc::clone(&short);
        move |method, params, truth| {
            if method != "eth_call" || !params.contains(&selector) {
                return None;
            }
            let data: Bytes = truth.as_str()?.parse().unwrap();
            let mut state =
                IOperatorStateRetriever::getOperatorStateCall::abi_decode_returns(&data).unwrap();
            if short.load(Ordering::Relaxed) {
                state[0].pop();
            } else {
                // Twice the same.
                let first = state[0][0].clone();
                state[0].push(first);
            }
            let answer = IOperatorStateRetriever::getOperatorStateCall::abi_encode_returns(&state);
            Some(success(&json!(Bytes::from(answer))))
        }
    });
    let registry = connect(node, &network.contracts).await;
    for (operators, left_out) in [(3, true), (5, false)] {
        short.store(left_out, Ordering::Relaxed);
        let error = registry
            .operator_set(&quorums(&[0]), head)
            .await
            .unwrap_err();
        let RegistryError::Malformed(source) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            source.to_string(),
            format!(
                "the keys of the {operators} operators of quorum 0 do not add up to its aggregate key at L1 block {head}"
            )
        );
    }
}

#[tokio::test]
async fn sets_of_the_past_are_as_they_were() {
    let network = Network::start().await;
    let registry = connect(network.l1.provider(), &network.contracts).await;
    let owner = submitter(&network.l1, 0).await;
    let before = network.head().await;
    // Another weight, and one that goes.
    let weight = |index: usize, weight: u64| abi::Weight {
        operator: DEV_ACCOUNTS[index].address,
        quorumNumber: 0,
        weight: alloy_primitives::aliases::U96::from(weight),
    };
    let set = IMachRegistry::setWeightsCall {
        weights: vec![weight(1, 150)],
    };
    let coordinator = network.contracts.registry_coordinator;
    owner.call(coordinator, &set).await.unwrap();
    let weighed = network.head().await;
    let leave = IMachRegistry::setWeightsCall {
        weights: vec![weight(2, 0)],
    };
    owner.call(coordinator, &leave).await.unwrap();
    let left = network.head().await;
    network.l1.chain().mine().unwrap();
    for (block, operators, total) in [(before, 4, 1000), (weighed, 4, 1050), (left, 3, 850)] {
        let set = registry.operator_set(&quorums(&[0]), block).await.unwrap();
        assert_eq!(set.operators().count(), operators, "block {block}");
        assert_eq!(set.total_stake(0), stake(total), "block {block}");
    }
    // A quorum that never had a member, and one that is not there.
    let empty = IMachRegistry::createQuorumCall {
        params: abi::QuorumParams {
            minimumStake: alloy_primitives::aliases::U96::from(1),
            maxOperatorCount: 1,
        },
    };
    owner.call(coordinator, &empty).await.unwrap();
    let head = network.head().await;
    let set = registry
        .operator_set(&quorums(&[0, 2]), head)
        .await
        .unwrap();
    assert_eq!(set.members(2).count(), 0);
    let error = registry.operator_set(&quorums(&[2]), left).await;
    assert!(
        matches!(error, Err(RegistryError::UnknownQuorum { quorum: 2, .. })),
        "{error:?}"
    );
}
