//! What a contract says when it refuses.

use alloy_primitives::Bytes;
use alloy_sol_types::{Panic, Revert as Message, SolError, SolInterface};

use crate::abi::{
    IEigenLayerErrors, IMachRegistry, IMachServiceManager, IMachServiceManagerRegistry,
    IOperatorStateRetriever, IPauserRegistry, bls12381::IMachBls12381Verifier,
};

/// Why a contract reverted, decoded.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revert {
    /// Error of the service manager.
    ServiceManager(IMachServiceManager::IMachServiceManagerErrors),
    /// Error of the stand-alone registry.
    Registry(IMachRegistry::IMachRegistryErrors),
    /// Error of the reads that clients need.
    Retriever(IOperatorStateRetriever::IOperatorStateRetrieverErrors),
    /// Error of the registry of service managers, unless the service manager has the same.
    ServiceManagers(IMachServiceManagerRegistry::IMachServiceManagerRegistryErrors),
    /// Error of the verifier on BLS12-381, unless one of the above has the same.
    Bls12381Verifier(IMachBls12381Verifier::IMachBls12381VerifierErrors),
    /// Error of EigenLayer's contracts since slashing.
    EigenLayer(IEigenLayerErrors::IEigenLayerErrorsErrors),
    /// Error of the list of pausers.
    Pausers(IPauserRegistry::IPauserRegistryErrors),
    /// A message, which is how EigenLayer's contracts and the checks taken over from them answer.
    Message(String),
    /// Failed assertion of the compiler, with its code: 0x11 overflow, 0x32 index out of bounds.
    Panic(u64),
    /// Nothing that is known here.
    Unknown(Bytes),
}

impl Revert {
    /// Reads revert data.
    pub fn decode(data: &[u8]) -> Self {
        if let Ok(error) = IMachServiceManager::IMachServiceManagerErrors::abi_decode(data) {
            return Self::ServiceManager(error);
        }
        if let Ok(error) = IMachRegistry::IMachRegistryErrors::abi_decode(data) {
            return Self::Registry(error);
        }
        if let Ok(error) = IOperatorStateRetriever::IOperatorStateRetrieverErrors::abi_decode(data)
        {
            return Self::Retriever(error);
        }
        if let Ok(error) =
            IMachServiceManagerRegistry::IMachServiceManagerRegistryErrors::abi_decode(data)
        {
            return Self::ServiceManagers(error);
        }
        if let Ok(error) = IMachBls12381Verifier::IMachBls12381VerifierErrors::abi_decode(data) {
            return Self::Bls12381Verifier(error);
        }
        if let Ok(error) = IPauserRegistry::IPauserRegistryErrors::abi_decode(data) {
            return Self::Pausers(error);
        }
        if let Ok(error) = IEigenLayerErrors::IEigenLayerErrorsErrors::abi_decode(data) {
            return Self::EigenLayer(error);
        }
        if let Ok(message) = Message::abi_decode(data) {
            return Self::Message(message.reason);
        }
        if let Ok(panic) = Panic::abi_decode(data) {
            return Self::Panic(panic.code.saturating_to());
        }
        Self::Unknown(Bytes::copy_from_slice(data))
    }
}

impl core::fmt::Display for Revert {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ServiceManager(error) => inner(f, format!("{error:?}")),
            Self::Registry(error) => inner(f, format!("{error:?}")),
            Self::Retriever(error) => inner(f, format!("{error:?}")),
            Self::ServiceManagers(error) => inner(f, format!("{error:?}")),
            Self::Bls12381Verifier(error) => inner(f, format!("{error:?}")),
            Self::Pausers(error) => inner(f, format!("{error:?}")),
            Self::EigenLayer(error) => inner(f, format!("{error:?}")),
            Self::Message(message) => f.write_str(message),
            Self::Panic(code) => write!(f, "panic 0x{code:02x}"),
            Self::Unknown(data) if data.is_empty() => f.write_str("no reason given"),
            Self::Unknown(data) => write!(f, "unknown error {data}"),
        }
    }
}

/// `Variant(Error { fields })` without the variant, which repeats the error's name.
fn inner(f: &mut core::fmt::Formatter<'_>, debug: String) -> core::fmt::Result {
    let text = debug
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(&debug);
    f.write_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{aliases::U96, hex};
    use alloy_sol_types::SolError;

    #[test]
    fn reverts_are_told_in_words() {
        let threshold = IMachServiceManager::ThresholdNotMet {
            quorumNumber: 0,
            signedStake: U96::from(65),
            totalStake: U96::from(100),
            threshold: 66,
        };
        let cases = [
            (hex!("fc4a01bd").to_vec(), "InvalidConfirmer"),
            (
                threshold.abi_encode(),
                "ThresholdNotMet { quorumNumber: 0, signedStake: 65, totalStake: 100, threshold: 66 }",
            ),
            (
                Message::from("signature is invalid").abi_encode(),
                "signature is invalid",
            ),
            (Panic::from(0x32).abi_encode(), "panic 0x32"),
            (Vec::new(), "no reason given"),
            (vec![1, 2, 3], "unknown error 0x010203"),
        ];
        for (data, words) in cases {
            assert_eq!(Revert::decode(&data).to_string(), words);
        }
    }
}
