//! Keys, proofs and calldata that EigenLayer's genuine M2 contracts accepted, given to ours.
//!
//! The vectors are not in the repository; `MACH_DATA` says where they are.

use alloy_primitives::{Address, B256, Bytes, U256, address, aliases::U96, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use mach_contracts_bindings::{
    Artifact,
    abi::{
        self, IAVSDirectory, IBLSApkRegistry, IMachRegistry, IMachServiceManager as I,
        IOperatorStateRetriever, IPauserRegistry, IRegistryCoordinator as C,
        ITransparentUpgradeableProxy,
    },
    key_digest,
};
use serde_json::Value;

use crate::{
    bls::{Key, hash_to_g1, sol_g1, sol_g2},
    chain::{CHAIN_ID, Chain},
    fixture::NoArguments,
};

fn vectors() -> Option<Value> {
    let Ok(folder) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(format!("{folder}/eigenlayer/vectors.m2.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

fn g1(value: &Value) -> abi::G1Point {
    abi::G1Point {
        X: parse(&value["X"]),
        Y: parse(&value["Y"]),
    }
}

fn g2(value: &Value) -> abi::G2Point {
    let pair = |value: &Value| [parse(&value[0]), parse(&value[1])];
    abi::G2Point {
        X: pair(&value["X"]),
        Y: pair(&value["Y"]),
    }
}

fn numbers(value: &Value) -> Vec<u32> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|number| {
            number
                .as_u64()
                .or_else(|| number.as_str()?.parse().ok())
                .unwrap() as u32
        })
        .collect()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap()
}

fn alert(vector: &Value) -> I::confirmAlertCall {
    let (header, proof) = (&vector["hdr"], &vector["nss"]);
    let list = |value: &Value| value.as_array().unwrap().clone();
    I::confirmAlertCall {
        alertHeader: abi::AlertHeader {
            messageHash: parse(&header["messageHash"]),
            quorumNumbers: parse(&header["quorumNumbers"]),
            quorumThresholdPercentages: parse(&header["quorumThresholdPercentages"]),
            referenceBlockNumber: number(&header["referenceBlockNumber"]) as u32,
            rollupChainID: U256::from(number(&header["rollupChainID"])),
        },
        nonSignerStakesAndSignature: abi::NonSignerStakesAndSignature {
            nonSignerQuorumBitmapIndices: numbers(&proof["nonSignerQuorumBitmapIndices"]),
            nonSignerPubkeys: list(&proof["nonSignerPubkeys"]).iter().map(g1).collect(),
            quorumApks: list(&proof["quorumApks"]).iter().map(g1).collect(),
            apkG2: g2(&proof["apkG2"]),
            sigma: g1(&proof["sigma"]),
            quorumApkIndices: numbers(&proof["quorumApkIndices"]),
            totalStakeIndices: numbers(&proof["totalStakeIndices"]),
            nonSignerStakeIndices: list(&proof["nonSignerStakeIndices"])
                .iter()
                .map(numbers)
                .collect(),
        },
    }
}

#[test]
fn the_test_signer_agrees_with_genuine_keys_and_proofs() {
    let Some(vectors) = vectors() else { return };
    let coordinator = parse(&vectors["deployment"]["registryCoordinator"]);
    for operator in vectors["operators"].as_array().unwrap() {
        let key = Key::parse(operator["blsKey"].as_str().unwrap());
        assert_eq!(sol_g1(key.g1()), g1(&operator["pubkeyG1"]));
        assert_eq!(sol_g2(key.g2()), g2(&operator["pubkeyG2"]));
        let digest = key_digest(parse(&operator["address"]), coordinator, CHAIN_ID);
        assert_eq!(
            sol_g1(hash_to_g1(digest)),
            g1(&operator["registrationMessageHash"])
        );
        assert_eq!(
            sol_g1(key.sign(digest)),
            g1(&operator["pubkeyRegistrationSignature"])
        );
    }
    assert_eq!(
        IAVSDirectory::calculateOperatorAVSRegistrationDigestHashCall::SELECTOR,
        hex!("a1060c88")
    );
}

/// The registry is put at the genuine coordinator's address, where the genuine proofs of possession
/// hold; the calldata of the alerts is taken byte for byte.
#[test]
fn our_contracts_accept_what_the_genuine_ones_accepted() {
    let Some(vectors) = vectors() else { return };
    let deployment = &vectors["deployment"];
    let coordinator: Address = parse(&deployment["registryCoordinator"]);
    let service_manager: Address = parse(&deployment["machServiceManager"]);
    // The genuine deployer and the nonces at which its contracts have these addresses.
    let deployer = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let nonce = |target| {
        (0..200)
            .find(|nonce| deployer.create(*nonce) == target)
            .unwrap()
    };

    let mut chain = Chain::new();
    let helper = Address::repeat_byte(0x0d);
    let pausers = IPauserRegistry::constructorCall {
        pausers: vec![],
        unpauser: deployer,
    };
    let pausers = chain
        .deploy(helper, Artifact::PauserRegistry, &pausers)
        .unwrap();
    let retriever = chain
        .deploy(helper, Artifact::OperatorStateRetriever, &NoArguments)
        .unwrap();
    chain.set_nonce(deployer, nonce(coordinator));
    let quorum = abi::QuorumParams {
        minimumStake: U96::from(1),
        maxOperatorCount: 50,
    };
    let registry = IMachRegistry::constructorCall {
        owner: deployer,
        serviceManager: service_manager,
        quorums: vec![quorum],
    };
    let registry = chain
        .deploy(deployer, Artifact::MachRegistry, &registry)
        .unwrap();
    assert_eq!(registry, coordinator);
    let implementation = I::constructorCall {
        avsDirectory: registry,
        registryCoordinator: registry,
        stakeRegistry: registry,
    };
    let implementation = chain
        .deploy(helper, Artifact::MachServiceManager, &implementation)
        .unwrap();
    let initialize = I::initializeCall {
        pauserRegistry: pausers,
        initialPausedStatus: U256::ZERO,
        initialOwner: deployer,
        alertConfirmer: deployer,
        whitelister: deployer,
        rollupChainIDs: vec![U256::from(901), U256::from(20240219)],
    };
    let proxy = ITransparentUpgradeableProxy::constructorCall {
        logic: implementation,
        initialOwner: deployer,
        data: initialize.abi_encode().into(),
    };
    chain.set_nonce(deployer, nonce(service_manager));
    let proxy = chain
        .deploy(deployer, Artifact::TransparentUpgradeableProxy, &proxy)
        .unwrap();
    assert_eq!(proxy, service_manager);

    for operator in vectors["operators"].as_array().unwrap() {
        let address: Address = parse(&operator["address"]);
        let allow = I::allowOperatorsCall {
            operators: vec![address],
        };
        chain.send(deployer, service_manager, &allow).unwrap();
        let weight = abi::Weight {
            operator: address,
            quorumNumber: 0,
            weight: parse(&operator["stake"]),
        };
        let weights = IMachRegistry::setWeightsCall {
            weights: vec![weight],
        };
        chain.send(deployer, registry, &weights).unwrap();

        let expiry = U256::from(number(&operator["expiry"]));
        let salt: B256 = parse(&operator["salt"]);
        let digest = IAVSDirectory::calculateOperatorAVSRegistrationDigestHashCall {
            operator: address,
            avs: service_manager,
            salt,
            expiry,
        };
        // The one value that is not the genuine one: our registry is its own AVSDirectory.
        let digest = chain.call(registry, &digest).unwrap();
        let signer: PrivateKeySigner = parse(&operator["ecdsaKey"]);
        let consent = signer.sign_hash_sync(&digest).unwrap();
        let call = C::registerOperatorCall {
            quorumNumbers: Bytes::from_static(&[0]),
            socket: String::new(),
            params: abi::PubkeyRegistrationParams {
                pubkeyRegistrationSignature: g1(&operator["pubkeyRegistrationSignature"]),
                pubkeyG1: g1(&operator["pubkeyG1"]),
                pubkeyG2: g2(&operator["pubkeyG2"]),
            },
            operatorSignature: abi::SignatureWithSaltAndExpiry {
                signature: consent.as_bytes().to_vec().into(),
                salt,
                expiry,
            },
        };
        chain.send(address, registry, &call).unwrap();
        let id = chain
            .call(registry, &C::getOperatorIdCall { operator: address })
            .unwrap();
        assert_eq!(id, parse::<B256>(&operator["onchainOperatorId"]));
    }
    let apk = chain
        .call(registry, &IBLSApkRegistry::getApkCall { quorumNumber: 0 })
        .unwrap();
    assert_eq!(apk, g1(&vectors["apk"]));

    let alerts = [alert(&vectors["alert1"]), alert(&vectors["alert2"])];
    chain.mine(100);
    for alert in &alerts {
        let header = &alert.alertHeader;
        let ids = alert.nonSignerStakesAndSignature.nonSignerPubkeys.iter();
        let ids = ids.map(|key| {
            let key = [key.X.to_be_bytes::<32>(), key.Y.to_be_bytes::<32>()].concat();
            alloy_primitives::keccak256(key)
        });
        let indices = IOperatorStateRetriever::getCheckSignaturesIndicesCall {
            registryCoordinator: registry,
            referenceBlockNumber: header.referenceBlockNumber,
            quorumNumbers: header.quorumNumbers.clone(),
            nonSignerOperatorIds: ids.collect(),
        };
        // Our histories have the same shape: the indices are the genuine ones.
        let indices = chain.call(retriever, &indices).unwrap();
        let proof = &alert.nonSignerStakesAndSignature;
        assert_eq!(indices.quorumApkIndices, proof.quorumApkIndices);
        assert_eq!(indices.totalStakeIndices, proof.totalStakeIndices);
        assert_eq!(indices.nonSignerStakeIndices, proof.nonSignerStakeIndices);
        assert_eq!(
            indices.nonSignerQuorumBitmapIndices,
            proof.nonSignerQuorumBitmapIndices
        );
    }

    let genuine: Bytes = parse(&vectors["alert1"]["txInput"]);
    assert_eq!(alerts[0].abi_encode(), genuine.to_vec());
    let gas = &vectors["gas"];
    for (input, vector, genuine_gas) in [
        (genuine, "alert1", &gas["confirmAlert_1nonsigner"]),
        (
            alerts[1].abi_encode().into(),
            "alert2",
            &gas["confirmAlert_allsign"],
        ),
    ] {
        let done = chain.send_raw(deployer, service_manager, input).unwrap();
        let event = done.event::<I::AlertConfirmed>();
        assert_eq!(event.alertHeaderHash, parse::<B256>(&vectors[vector]["hh"]));
        println!("{vector}: {} gas, genuine {}", done.gas_used, genuine_gas);
    }
}
