//! Compiled contracts, as `contracts/build.mjs` wrote them.

use std::sync::LazyLock;

use alloy_primitives::Bytes;
use serde::Deserialize;

/// A contract that can be deployed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Artifact {
    /// The service manager's implementation, to be put behind a proxy.
    MachServiceManager,
    /// The stand-alone operator registry.
    MachRegistry,
    /// The reads that clients need, over any registry.
    OperatorStateRetriever,
    /// Which service manager watches which rollup.
    MachServiceManagerRegistry,
    /// Checks certificates on BLS12-381.
    MachBls12381Verifier,
    /// Example of a contract that uses attestations, by the library `MachCertificate`.
    AttestedOutputs,
    /// Who may pause.
    PauserRegistry,
    /// Alerts about one rollup, decided by proofs or by the EVM.
    MachZkServiceManager,
    /// What the EVM can see by itself of headers and output roots; the one above makes its own.
    ZkEvidence,
    /// Takes proofs of RISC Zero.
    RiscZeroVerifierAdapter,
    /// Takes proofs of SP1.
    Sp1VerifierAdapter,
    /// Takes proofs of OpenVM.
    OpenVmVerifierAdapter,
    /// OpenZeppelin's proxy, which deploys its own admin.
    TransparentUpgradeableProxy,
}

impl Artifact {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::MachServiceManager,
        Self::MachRegistry,
        Self::OperatorStateRetriever,
        Self::MachServiceManagerRegistry,
        Self::MachBls12381Verifier,
        Self::AttestedOutputs,
        Self::PauserRegistry,
        Self::MachZkServiceManager,
        Self::ZkEvidence,
        Self::RiscZeroVerifierAdapter,
        Self::Sp1VerifierAdapter,
        Self::OpenVmVerifierAdapter,
        Self::TransparentUpgradeableProxy,
    ];

    /// Creation code; constructor arguments are appended to it.
    pub fn bytecode(self) -> Bytes {
        let code = match self {
            Self::MachServiceManager => &*SERVICE_MANAGER,
            Self::MachRegistry => &*REGISTRY,
            Self::OperatorStateRetriever => &*RETRIEVER,
            Self::MachServiceManagerRegistry => &*SERVICE_MANAGERS,
            Self::MachBls12381Verifier => &*BLS12381_VERIFIER,
            Self::AttestedOutputs => &*ATTESTED_OUTPUTS,
            Self::PauserRegistry => &*PAUSERS,
            Self::MachZkServiceManager => &*ZK_SERVICE_MANAGER,
            Self::ZkEvidence => &*ZK_EVIDENCE,
            Self::RiscZeroVerifierAdapter => &*RISC_ZERO,
            Self::Sp1VerifierAdapter => &*SP1,
            Self::OpenVmVerifierAdapter => &*OPEN_VM,
            Self::TransparentUpgradeableProxy => &*PROXY,
        };
        code.clone()
    }

    /// The whole artifact: ABI, bytecode, compiler, settings and hash of the sources, as JSON.
    pub const fn json(self) -> &'static str {
        match self {
            Self::MachServiceManager => include_str!("../artifacts/MachServiceManager.json"),
            Self::MachRegistry => include_str!("../artifacts/MachRegistry.json"),
            Self::OperatorStateRetriever => {
                include_str!("../artifacts/OperatorStateRetriever.json")
            }
            Self::MachServiceManagerRegistry => {
                include_str!("../artifacts/MachServiceManagerRegistry.json")
            }
            Self::MachBls12381Verifier => include_str!("../artifacts/MachBls12381Verifier.json"),
            Self::AttestedOutputs => include_str!("../artifacts/AttestedOutputs.json"),
            Self::PauserRegistry => include_str!("../artifacts/PauserRegistry.json"),
            Self::MachZkServiceManager => include_str!("../artifacts/MachZkServiceManager.json"),
            Self::ZkEvidence => include_str!("../artifacts/ZkEvidence.json"),
            Self::RiscZeroVerifierAdapter => {
                include_str!("../artifacts/RiscZeroVerifierAdapter.json")
            }
            Self::Sp1VerifierAdapter => include_str!("../artifacts/Sp1VerifierAdapter.json"),
            Self::OpenVmVerifierAdapter => include_str!("../artifacts/OpenVmVerifierAdapter.json"),
            Self::TransparentUpgradeableProxy => {
                include_str!("../artifacts/TransparentUpgradeableProxy.json")
            }
        }
    }

    fn parse(self) -> Bytes {
        #[derive(Deserialize)]
        struct Code {
            bytecode: Bytes,
        }
        let code: Code =
            serde_json::from_str(self.json()).expect("artifacts are JSON with their bytecode");
        code.bytecode
    }
}

static SERVICE_MANAGER: LazyLock<Bytes> = LazyLock::new(|| Artifact::MachServiceManager.parse());
static REGISTRY: LazyLock<Bytes> = LazyLock::new(|| Artifact::MachRegistry.parse());
static RETRIEVER: LazyLock<Bytes> = LazyLock::new(|| Artifact::OperatorStateRetriever.parse());
static SERVICE_MANAGERS: LazyLock<Bytes> =
    LazyLock::new(|| Artifact::MachServiceManagerRegistry.parse());
static BLS12381_VERIFIER: LazyLock<Bytes> =
    LazyLock::new(|| Artifact::MachBls12381Verifier.parse());
static ATTESTED_OUTPUTS: LazyLock<Bytes> = LazyLock::new(|| Artifact::AttestedOutputs.parse());
static PAUSERS: LazyLock<Bytes> = LazyLock::new(|| Artifact::PauserRegistry.parse());
static ZK_SERVICE_MANAGER: LazyLock<Bytes> =
    LazyLock::new(|| Artifact::MachZkServiceManager.parse());
static ZK_EVIDENCE: LazyLock<Bytes> = LazyLock::new(|| Artifact::ZkEvidence.parse());
static RISC_ZERO: LazyLock<Bytes> = LazyLock::new(|| Artifact::RiscZeroVerifierAdapter.parse());
static SP1: LazyLock<Bytes> = LazyLock::new(|| Artifact::Sp1VerifierAdapter.parse());
static OPEN_VM: LazyLock<Bytes> = LazyLock::new(|| Artifact::OpenVmVerifierAdapter.parse());
static PROXY: LazyLock<Bytes> = LazyLock::new(|| Artifact::TransparentUpgradeableProxy.parse());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artifact_has_code() {
        for artifact in Artifact::ALL {
            assert!(artifact.bytecode().len() > 100, "{artifact:?}");
        }
    }
}
