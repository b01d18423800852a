//! Selectors and topics, as published and as compiled.

use std::collections::BTreeSet;

use alloy_json_abi::JsonAbi;
use alloy_primitives::{B256, hex, keccak256};
use alloy_sol_types::{SolEventInterface, SolInterface};
use mach_contracts_bindings::{
    Artifact,
    abi::{
        IAVSDirectory::{IAVSDirectoryCalls, IAVSDirectoryEvents},
        IAttestedOutputs::{IAttestedOutputsCalls, IAttestedOutputsErrors, IAttestedOutputsEvents},
        IBLSApkRegistry::{IBLSApkRegistryCalls, IBLSApkRegistryEvents},
        IMachRegistry::{IMachRegistryCalls, IMachRegistryErrors, IMachRegistryEvents},
        IMachServiceManager::{
            IMachServiceManagerCalls, IMachServiceManagerErrors, IMachServiceManagerEvents,
        },
        IMachServiceManagerRegistry::{
            IMachServiceManagerRegistryCalls, IMachServiceManagerRegistryErrors,
            IMachServiceManagerRegistryEvents,
        },
        IOperatorStateRetriever::{IOperatorStateRetrieverCalls, IOperatorStateRetrieverErrors},
        IPauserRegistry::{IPauserRegistryCalls, IPauserRegistryErrors, IPauserRegistryEvents},
        IRegistryCoordinator::{IRegistryCoordinatorCalls, IRegistryCoordinatorEvents},
        IStakeRegistry::{IStakeRegistryCalls, IStakeRegistryEvents},
        bls12381::IMachBls12381Verifier::{
            IMachBls12381VerifierCalls, IMachBls12381VerifierErrors, IMachBls12381VerifierEvents,
        },
    },
    zk::abi::{
        IMachZkServiceManager::{
            IMachZkServiceManagerCalls, IMachZkServiceManagerErrors, IMachZkServiceManagerEvents,
        },
        IOpenVmVerifierAdapter::{IOpenVmVerifierAdapterCalls, IOpenVmVerifierAdapterErrors},
        IProofVerifier::IProofVerifierErrors,
        IRiscZeroVerifierAdapter::IRiscZeroVerifierAdapterCalls,
        ISp1VerifierAdapter::ISp1VerifierAdapterCalls,
        IZkEvidence::{IZkEvidenceCalls, IZkEvidenceErrors},
    },
};

struct Abi {
    functions: BTreeSet<[u8; 4]>,
    errors: BTreeSet<[u8; 4]>,
    events: BTreeSet<B256>,
}

fn abi(artifact: Artifact) -> Abi {
    #[derive(serde::Deserialize)]
    struct File {
        abi: JsonAbi,
    }
    let File { abi } = serde_json::from_str(artifact.json()).unwrap();
    Abi {
        functions: abi.functions().map(|f| f.selector().0).collect(),
        errors: abi.errors().map(|e| e.selector().0).collect(),
        events: abi.events().map(|e| e.selector()).collect(),
    }
}

/// Source: COMPAT 1.3, computed from the original's sources and ABI.
#[test]
fn the_service_manager_has_the_selectors_of_the_original() {
    let abi = abi(Artifact::MachServiceManager);
    for (selector, function) in [
        ("4ab39dcd", "initialize"),
        ("0898f07f", "confirmAlert"),
        ("432de9c8", "allowOperators"),
        ("f90e4707", "disallowOperators"),
        ("c6a2aac8", "enableAllowlist"),
        ("cf8e629a", "disableAllowlist"),
        ("2f640a09", "setConfirmer"),
        ("f98f5b92", "setWhitelister"),
        ("3deebb69", "setRollupChainID"),
        ("edaa410e", "removeAlert"),
        ("429d5bf0", "updateQuorumThresholdPercentage"),
        ("9926ee7d", "registerOperatorToAVS"),
        ("a364f4da", "deregisterOperatorFromAVS"),
        ("b733cc77", "totalAlerts"),
        ("e0e387ab", "contains"),
        ("9d81ceba", "queryMessageHashes"),
        ("4c6b05d9", "rollupChainIDs"),
        ("a7cd52cb", "allowlist"),
        ("94c8e4ff", "allowlistEnabled"),
        ("39bc68e7", "alertConfirmer"),
        ("22758a4a", "whitelister"),
        ("4deabc21", "quorumThresholdPercentage"),
        ("ef024458", "THRESHOLD_DENOMINATOR"),
        ("6efb4636", "checkSignatures"),
        ("171f1d5b", "trySignatureAndApkVerification"),
        ("416c7e5e", "setStaleStakesForbidden"),
        ("b98d0908", "staleStakesForbidden"),
        ("6d14a987", "registryCoordinator"),
        ("68304835", "stakeRegistry"),
        ("5df45946", "blsApkRegistry"),
        ("df5cf723", "delegation"),
        ("6b3aa72e", "avsDirectory"),
        ("e481af9d", "getRestakeableStrategies"),
        ("33cfb7b7", "getOperatorRestakedStrategies"),
        ("a98fb355", "updateAVSMetadataURI"),
        ("8da5cb5b", "owner"),
        ("f2fde38b", "transferOwnership"),
        ("715018a6", "renounceOwnership"),
        ("136439dd", "pause"),
        ("595c6a67", "pauseAll"),
        ("fabc1cbc", "unpause"),
        ("5c975abb", "paused()"),
        ("5ac86ab7", "paused(uint8)"),
        ("886f1195", "pauserRegistry"),
        ("10d67a2f", "setPauserRegistry"),
    ] {
        let bytes = hex::decode_to_array(selector).unwrap();
        assert!(abi.functions.contains(&bytes), "{function}");
    }
}

/// Source: COMPAT 1.3. Topics that are cut short there are compared as far as they go.
#[test]
fn the_service_manager_has_the_topics_and_errors_of_the_original() {
    let abi = abi(Artifact::MachServiceManager);
    for (topic, event) in [
        (
            "fdda6f7d4825a4f1e4e97b50a26a69a8bcc3f4fcb1113cc14ce8e7098ca63665",
            "AlertConfirmed",
        ),
        (
            "1bdeffc0337373bf2f6fd4219080133eeaaee0554206d9bb24a019d96973c1eb",
            "AlertRemoved",
        ),
        ("ac6fa858", "OperatorAdded"),
        ("80c0b871", "OperatorRemoved"),
        ("dde65206", "OperatorAllowed"),
        ("8560daa1", "OperatorDisallowed"),
        ("8a943acd", "AllowlistEnabled"),
        ("2d35c8d3", "AllowlistDisabled"),
        ("175f2784", "AlertConfirmerChanged"),
        ("1d7f4da5", "WhitelisterChanged"),
        ("c3acdc4f", "QuorumThresholdPercentageChanged"),
        ("e6dc5430", "RollupChainIDUpdated"),
    ] {
        let start = hex::decode(topic).unwrap();
        assert!(
            abi.events.iter().any(|topic| topic.starts_with(&start)),
            "{event}"
        );
    }
    for event in [
        "StaleStakesForbiddenUpdate(bool)",
        "Paused(address,uint256)",
        "Unpaused(address,uint256)",
        "PauserRegistrySet(address,address)",
        "OwnershipTransferred(address,address)",
    ] {
        assert!(abi.events.contains(&keccak256(event)), "{event}");
    }
    for (selector, error) in [
        ("d92e233d", "ZeroAddress"),
        ("92c44259", "InvalidStartIndex"),
        ("fc4a01bd", "InvalidConfirmer"),
        ("b8088f87", "NotWhitelister"),
        ("ddb5de5e", "InvalidSender"),
        ("e79eac98", "NoStatusChange"),
        ("daf4a8a3", "InvalidRollupChainID"),
        ("c15ef5b5", "InvalidReferenceBlockNum"),
        ("e459c524", "InsufficientThreshold"),
        ("bbf727c1", "InsufficientThresholdPercentages"),
        ("c9df75a5", "InvalidQuorumParam"),
        ("48278b70", "InvalidQuorumThresholdPercentage"),
        ("2eeeca90", "AlreadyInAllowlist"),
        ("4414c633", "NotAdded"),
        ("f411c327", "AlreadyAdded"),
        ("939bc9df", "ResolvedAlert"),
        ("f2a5f75a", "AlreadyEnabled"),
        ("005ecddb", "AlreadyDisabled"),
    ] {
        let bytes = hex::decode_to_array(selector).unwrap();
        assert!(abi.errors.contains(&bytes), "{error}");
    }
}

/// Source: `getCheckSignaturesIndices` and the rest as EigenLayer's bindings list them.
#[test]
fn the_registry_has_the_selectors_of_eigenlayer() {
    let abi = abi(Artifact::MachRegistry);
    for (selector, function) in [
        ("a50857bf", "registerOperator"),
        ("ca4f2d97", "deregisterOperator"),
        ("6e3b17db", "ejectOperator"),
        ("0cf4b767", "updateSocket"),
        ("3c2a7f4c", "pubkeyRegistrationMessageHash"),
        ("73447992", "calculatePubkeyRegistrationMessageHash"),
        ("13542a4e", "getOperatorId"),
        ("296bb064", "getOperatorFromId"),
        ("5865c60c", "getOperator"),
        ("fd39105a", "getOperatorStatus"),
        ("871ef049", "getCurrentQuorumBitmap"),
        ("04ec6351", "getQuorumBitmapAtBlockNumberByIndex"),
        ("c391425e", "getQuorumBitmapIndicesAtBlockNumber"),
        ("9aa1653d", "quorumCount"),
        ("249a0c42", "quorumUpdateBlockNumber"),
        ("3998fdd3", "serviceManager"),
        ("5df45946", "blsApkRegistry"),
        ("68304835", "stakeRegistry"),
        ("9e9923c2", "indexRegistry"),
        ("5f61a884", "getApk"),
        ("377ed99d", "getApkHistoryLength"),
        ("68bccaac", "getApkHashAtBlockNumberAndIndex"),
        ("d5254a8c", "getApkIndicesAtBlockNumber"),
        ("7ff81a87", "getRegisteredPubkey"),
        ("de29fac0", "operatorToPubkeyHash"),
        ("e8bb9ae6", "pubkeyHashToOperator"),
        ("5401ed27", "getCurrentStake"),
        ("d5eccc05", "getCurrentTotalStake"),
        ("fa28c627", "getStakeAtBlockNumber"),
        ("f2be94ae", "getStakeAtBlockNumberAndIndex"),
        ("dd9846b9", "getStakeUpdateIndexAtBlockNumber"),
        ("c8294c56", "getTotalStakeAtBlockNumberFromIndex"),
        ("81c07502", "getTotalStakeIndicesAtBlockNumber"),
        ("c46778a5", "minimumStakeForQuorum"),
        ("1f9b74e0", "weightOfOperatorForQuorum"),
        ("3ca5a5f5", "strategyParamsLength"),
        ("89026245", "getOperatorListAtBlockNumber"),
        ("f3410922", "totalOperatorsForQuorum"),
        ("a1060c88", "calculateOperatorAVSRegistrationDigestHash"),
        ("49075da3", "avsOperatorStatus"),
        ("374823b5", "operatorSaltIsSpent"),
        ("ec76f442", "cancelSalt"),
        ("f698da25", "domainSeparator"),
        ("c448feb8", "minWithdrawalDelayBlocks"),
        ("6efb4636", "checkSignatures"),
    ] {
        let bytes = hex::decode_to_array(selector).unwrap();
        assert!(abi.functions.contains(&bytes), "{function}");
    }
    let retriever = self::abi(Artifact::OperatorStateRetriever);
    for selector in ["4f739f74", "3563b0d1", "cefdc1d4", "5c155662"] {
        let bytes = hex::decode_to_array(selector).unwrap();
        assert!(retriever.functions.contains(&bytes), "{selector}");
    }
}

/// Source: COMPAT 1.6. Topics that are cut short there are compared as far as they go.
#[test]
fn the_registry_of_service_managers_has_the_selectors_of_the_original() {
    let abi = abi(Artifact::MachServiceManagerRegistry);
    for selector in ["393c855c", "f503e108", "8480759c", "5fb6456e"] {
        let bytes = hex::decode_to_array(selector).unwrap();
        assert!(abi.functions.contains(&bytes), "{selector}");
    }
    for topic in ["68557f59", "333d5292"] {
        let start = hex::decode(topic).unwrap();
        assert!(
            abi.events.iter().any(|it| it.starts_with(&start)),
            "{topic}"
        );
    }
    for error in ["ZeroAddress()", "AlreadyAdded()", "NotAdded()"] {
        let hash = keccak256(error);
        assert!(abi.errors.contains(&hash[..4]), "{error}");
    }
}

#[test]
fn every_binding_is_in_a_compiled_contract() {
    fn calls<C: SolInterface>(artifact: Artifact) {
        let abi = abi(artifact);
        for selector in C::selectors() {
            let known = abi.functions.contains(&selector) || abi.errors.contains(&selector);
            assert!(known, "{}: {}", C::NAME, hex::encode(selector));
        }
    }
    fn events<E: SolEventInterface>(artifact: Artifact, topics: &[[u8; 32]]) {
        let abi = abi(artifact);
        for topic in topics {
            assert!(
                abi.events.contains(topic),
                "{}: {}",
                E::NAME,
                hex::encode(topic)
            );
        }
    }
    use Artifact::{
        AttestedOutputs, MachBls12381Verifier, MachRegistry, MachServiceManager,
        MachServiceManagerRegistry, OperatorStateRetriever, PauserRegistry,
    };
    calls::<IMachZkServiceManagerCalls>(Artifact::MachZkServiceManager);
    calls::<IMachZkServiceManagerErrors>(Artifact::MachZkServiceManager);
    events::<IMachZkServiceManagerEvents>(
        Artifact::MachZkServiceManager,
        IMachZkServiceManagerEvents::SELECTORS,
    );
    calls::<IZkEvidenceCalls>(Artifact::ZkEvidence);
    calls::<IZkEvidenceErrors>(Artifact::ZkEvidence);
    calls::<IRiscZeroVerifierAdapterCalls>(Artifact::RiscZeroVerifierAdapter);
    calls::<IProofVerifierErrors>(Artifact::RiscZeroVerifierAdapter);
    calls::<ISp1VerifierAdapterCalls>(Artifact::Sp1VerifierAdapter);
    calls::<IOpenVmVerifierAdapterCalls>(Artifact::OpenVmVerifierAdapter);
    calls::<IOpenVmVerifierAdapterErrors>(Artifact::OpenVmVerifierAdapter);
    calls::<IAttestedOutputsCalls>(AttestedOutputs);
    calls::<IAttestedOutputsErrors>(AttestedOutputs);
    events::<IAttestedOutputsEvents>(AttestedOutputs, IAttestedOutputsEvents::SELECTORS);
    calls::<IMachServiceManagerCalls>(MachServiceManager);
    calls::<IMachServiceManagerErrors>(MachServiceManager);
    calls::<IRegistryCoordinatorCalls>(MachRegistry);
    calls::<IBLSApkRegistryCalls>(MachRegistry);
    calls::<IStakeRegistryCalls>(MachRegistry);
    calls::<IAVSDirectoryCalls>(MachRegistry);
    calls::<IMachRegistryCalls>(MachRegistry);
    calls::<IMachRegistryErrors>(MachRegistry);
    calls::<IOperatorStateRetrieverCalls>(OperatorStateRetriever);
    calls::<IOperatorStateRetrieverErrors>(OperatorStateRetriever);
    calls::<IPauserRegistryCalls>(PauserRegistry);
    calls::<IPauserRegistryErrors>(PauserRegistry);
    calls::<IMachServiceManagerRegistryCalls>(MachServiceManagerRegistry);
    calls::<IMachServiceManagerRegistryErrors>(MachServiceManagerRegistry);
    calls::<IMachBls12381VerifierCalls>(MachBls12381Verifier);
    calls::<IMachBls12381VerifierErrors>(MachBls12381Verifier);
    events::<IMachServiceManagerEvents>(MachServiceManager, IMachServiceManagerEvents::SELECTORS);
    events::<IRegistryCoordinatorEvents>(MachRegistry, IRegistryCoordinatorEvents::SELECTORS);
    events::<IBLSApkRegistryEvents>(MachRegistry, IBLSApkRegistryEvents::SELECTORS);
    events::<IStakeRegistryEvents>(MachRegistry, IStakeRegistryEvents::SELECTORS);
    events::<IAVSDirectoryEvents>(MachRegistry, IAVSDirectoryEvents::SELECTORS);
    events::<IMachRegistryEvents>(MachRegistry, IMachRegistryEvents::SELECTORS);
    events::<IMachServiceManagerRegistryEvents>(
        MachServiceManagerRegistry,
        IMachServiceManagerRegistryEvents::SELECTORS,
    );
    events::<IMachBls12381VerifierEvents>(
        MachBls12381Verifier,
        IMachBls12381VerifierEvents::SELECTORS,
    );
    events::<IPauserRegistryEvents>(PauserRegistry, IPauserRegistryEvents::SELECTORS);
}

/// Source: COMPAT 1.7, computed from the original's sources.
#[test]
fn the_zk_service_manager_has_the_selectors_and_topics_of_the_original() {
    let abi = abi(Artifact::MachZkServiceManager);
    for (selector, function) in [
        ("d94c50f9", "alertBlockMismatch"),
        ("7852f6cd", "alertBlockOutputOracleMismatch"),
        ("85081886", "getAlert"),
        ("f926337b", "getAlertsLength"),
        ("e6251872", "latestAlertBlockNumber"),
        ("c6a2aac8", "enableAllowlist"),
        ("cf8e629a", "disableAllowlist"),
        ("a7cd52cb", "allowlist"),
        ("94c8e4ff", "allowlistEnabled"),
        ("f8e86ece", "addToAllowlist"),
        ("5da93d7e", "removeFromAllowlist"),
        // Which the registry of service managers asks.
        ("b733cc77", "totalAlerts"),
    ] {
        let selector: [u8; 4] = hex::decode(selector).unwrap().try_into().unwrap();
        assert!(abi.functions.contains(&selector), "{function}");
    }
    let topics: Vec<String> = abi.events.iter().map(ToString::to_string).collect();
    for start in ["0x72025bfb", "0xfb942794"] {
        assert!(topics.iter().any(|topic| topic.starts_with(start)));
    }
}

/// EIP-170 and EIP-3860.
#[test]
fn every_contract_can_be_deployed() {
    for artifact in Artifact::ALL {
        assert!(artifact.bytecode().len() <= 49_152, "{artifact:?}");
    }
}
