//! What operators and churn approvers sign.

use alloy_primitives::{Address, B256, ChainId, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain, sol};
use mach_core::OperatorId;

use super::{Churn, Consent};

/// Version in the coordinator's EIP-712 domain, in every release so far.
const COORDINATOR_VERSION: &str = "v0.0.1";

/// EIP-712 digest of a key registration of `operator` with `coordinator`.
///
/// Source: `RegistryCoordinator`, domain ("AVSRegistryCoordinator", "v0.0.1").
pub fn key_digest(operator: Address, coordinator: Address, l1_chain_id: ChainId) -> B256 {
    versioned_key_digest(
        operator,
        coordinator,
        l1_chain_id,
        COORDINATOR_VERSION.into(),
    )
}

/// [`key_digest`] for a coordinator whose domain has another version.
pub(super) fn versioned_key_digest(
    operator: Address,
    coordinator: Address,
    l1_chain_id: ChainId,
    version: String,
) -> B256 {
    sol! {
        struct BN254PubkeyRegistration {
            address operator;
        }
    }
    let domain = coordinator_domain(coordinator, l1_chain_id, version);
    BN254PubkeyRegistration { operator }.eip712_signing_hash(&domain)
}

fn coordinator_domain(coordinator: Address, chain_id: ChainId, version: String) -> Eip712Domain {
    eip712_domain! {
        name: "AVSRegistryCoordinator",
        version: version,
        chain_id: chain_id,
        verifying_contract: coordinator,
    }
}

/// The domains that an AVSDirectory of EigenLayer may have: without a version until the slashing release,
/// with the major one since.
pub(super) fn directory_domains(
    directory: Address,
    chain_id: ChainId,
    version: Option<&str>,
) -> impl Iterator<Item = B256> {
    let plain = eip712_domain! {
        name: "EigenLayer",
        chain_id: chain_id,
        verifying_contract: directory,
    };
    // As `SemVerMixin._majorVersion`: "v1.4.2" is "v1".
    let major = version.and_then(|version| version.split('.').next());
    let versioned = major.map(|major| {
        eip712_domain! {
            name: "EigenLayer",
            version: major.to_owned(),
            chain_id: chain_id,
            verifying_contract: directory,
        }
    });
    [Some(plain), versioned]
        .into_iter()
        .flatten()
        .map(|domain| domain.separator())
}

/// Source: `AVSDirectory.calculateOperatorAVSRegistrationDigestHash`.
pub(super) fn consent_digest(
    domain: B256,
    operator: Address,
    avs: Address,
    consent: Consent,
) -> B256 {
    sol! {
        struct OperatorAVSRegistration {
            address operator;
            address avs;
            bytes32 salt;
            uint256 expiry;
        }
    }
    let consent = OperatorAVSRegistration {
        operator,
        avs,
        salt: consent.salt,
        expiry: U256::from(consent.expiry),
    };
    signing_hash(domain, consent.eip712_hash_struct())
}

/// Source: `RegistryCoordinator.calculateOperatorChurnApprovalDigestHash`, which encodes the kicks in the
/// struct as they are instead of hashing them as EIP-712 has it.
pub(super) fn churn_digest(domain: B256, operator: Address, id: OperatorId, churn: &Churn) -> B256 {
    let type_hash = keccak256(
        "OperatorChurnApproval(address registeringOperator,bytes32 registeringOperatorId,\
         OperatorKickParam[] operatorKickParams,bytes32 salt,uint256 expiry)\
         OperatorKickParam(uint8 quorumNumber,address operator)",
    );
    let encoded = (
        type_hash,
        operator,
        id.0,
        churn.kick_params(),
        churn.salt,
        U256::from(churn.expiry),
    )
        .abi_encode_params();
    signing_hash(domain, keccak256(encoded))
}

/// Domain of the coordinator, as [`churn_digest`] takes it.
pub(super) fn churn_domain(coordinator: Address, chain_id: ChainId) -> B256 {
    coordinator_domain(coordinator, chain_id, COORDINATOR_VERSION.into()).separator()
}

fn signing_hash(domain: B256, hash: B256) -> B256 {
    keccak256([&[0x19, 0x01][..], domain.as_slice(), hash.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};
    use std::str::FromStr;

    #[test]
    fn a_directory_has_a_version_in_its_domain_or_none() {
        let directory = address!("135DDa560e946695d6f155dACaFC6f1F25C1F5AF");
        let domains: Vec<_> = directory_domains(directory, 1, Some("v1.8.1")).collect();
        // keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)").
        let typed = b256!("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");
        let (name, version) = (keccak256("EigenLayer"), keccak256("v1"));
        let versioned = (typed, name, version, U256::from(1), directory).abi_encode_params();
        // The same without the version.
        let typed = b256!("8cad95687ba82c2ce50e74f7b754645e5117c3a5bec8151c0726d5857980a866");
        let plain = (typed, name, U256::from(1), directory).abi_encode_params();
        assert_eq!(domains, [keccak256(plain), keccak256(versioned)]);
        assert_eq!(directory_domains(directory, 1, None).count(), 1);
    }

    #[test]
    fn consents_are_those_that_the_genuine_directory_asks_for() {
        let Ok(folder) = std::env::var("MACH_DATA") else {
            println!("skipped: MACH_DATA is not set");
            return;
        };
        let text = std::fs::read_to_string(format!("{folder}/eigenlayer/vectors.m2.json")).unwrap();
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        fn parse<T: FromStr<Err: std::fmt::Debug>>(value: &serde_json::Value) -> T {
            value.as_str().unwrap().parse().unwrap()
        }
        let deployment = &vectors["deployment"];
        let directory = parse(&deployment["avsDirectory"]);
        let domain = directory_domains(directory, 31337, None).next().unwrap();
        let operators = vectors["operators"].as_array().unwrap();
        assert!(!operators.is_empty());
        for operator in operators {
            let consent = Consent {
                salt: parse(&operator["salt"]),
                expiry: parse(&operator["expiry"]),
            };
            let avs = parse(&deployment["machServiceManager"]);
            let digest = consent_digest(domain, parse(&operator["address"]), avs, consent);
            assert_eq!(digest, parse::<B256>(&operator["avsDigest"]));
        }
    }
}
