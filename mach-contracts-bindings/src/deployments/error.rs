use alloy_primitives::{Address, ChainId};
use alloy_transport::TransportError;

use crate::CallError;

/// Why a deployment cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The file is larger than any deployment file is.
    #[error("the deployment file has {length} bytes, more than {limit}")]
    TooLong {
        /// Length in bytes.
        length: usize,
        /// Greatest length that is read.
        limit: usize,
    },
    /// The file is not a JSON object.
    #[error("the deployment file is not a JSON object")]
    Json(#[source] serde_json::Error),
    /// A key without which nothing can be found is absent.
    #[error("the deployment file lacks the key `{0}`")]
    MissingKey(&'static str),
    /// A key is there twice.
    #[error("the deployment file has the key `{0}` twice")]
    DuplicateKey(String),
    /// A key's value is not what belongs there.
    #[error("the deployment file's `{key}` is {found}, not {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// No built-in deployment has this name.
    #[error("there is no deployment `{name}`; there are {known}")]
    UnknownName {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The built-in deployment is on other chains.
    #[error("the deployment `{name}` is not on chain {chain_id}; it is on {known}")]
    NotOnChain {
        /// The name.
        name: String,
        /// Chain that was asked for.
        chain_id: ChainId,
        /// Chains that it is on.
        known: String,
    },
    /// The built-in deployment is on several chains and none was asked for.
    #[error("the deployment `{name}` is on several chains: say which of {known}")]
    Ambiguous {
        /// The name.
        name: String,
        /// Chains that it is on.
        known: String,
    },
    /// The node serves another chain than the deployment is on.
    #[error("the deployment is on chain {expected}, the node is on chain {actual}")]
    WrongChain {
        /// Chain of the deployment.
        expected: ChainId,
        /// Chain of the node.
        actual: ChainId,
    },
    /// Nothing is deployed at an address.
    #[error(
        "there is no contract at {address} (`{key}`) on chain {chain_id}: is it the right chain?"
    )]
    NoCode {
        /// Key of the deployment file.
        key: &'static str,
        /// The address.
        address: Address,
        /// Chain of the node.
        chain_id: ChainId,
    },
    /// The contract has not the functions of a coordinator.
    #[error("{address} (`registryCoordinator`) is not a registry coordinator")]
    NotACoordinator {
        /// The address.
        address: Address,
        /// Function that it does not answer.
        #[source]
        source: Box<CallError>,
    },
    /// The chain disagrees with the deployment file.
    #[error("the deployment says that `{key}` is {claimed}, the coordinator says {actual}")]
    Mismatch {
        /// Key of the deployment file.
        key: &'static str,
        /// Address in the file.
        claimed: Address,
        /// Address on the chain.
        actual: Address,
    },
    /// The chain was not heard.
    #[error("L1 request failed")]
    Transport(#[from] TransportError),
}

impl DeploymentError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transport(_))
    }
}
