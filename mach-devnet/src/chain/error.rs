//! What can go wrong inside the chain.

use alloy_primitives::{Address, B256};

use super::PoolError;

/// Why the chain could not do what it was asked.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The transaction is not taken.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The state could not be read or written.
    #[error("state {root} could not be used")]
    State {
        /// Root of the state.
        root: B256,
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The protocol's own part of a block failed.
    #[error("execution of a block failed")]
    Execution(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A block that must exist is not there.
    #[error("block {0} is not in the chain")]
    UnknownBlock(B256),
    /// An account of the protocol is missing.
    #[error("account {0} is missing")]
    UnknownAccount(Address),
}

impl ChainError {
    pub(crate) fn state<E>(root: B256) -> impl Fn(E) -> Self + Copy
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::State {
            root,
            source: source.into(),
        }
    }

    pub(crate) fn execution(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Execution(source.into())
    }
}
