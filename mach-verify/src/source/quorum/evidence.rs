use alloy_primitives::{B256, BlockNumber};
use mach_core::ports::SourceError;
use serde::{Deserialize, Serialize};

/// An endpoint said something else than the quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disagreement {
    /// Label of the endpoint.
    pub endpoint: String,
    /// What it was asked for.
    pub matter: Matter,
    /// At which height.
    pub number: BlockNumber,
    /// Hash that it said.
    pub said: B256,
    /// Hash that the quorum said; `None` if there was no quorum.
    pub agreed: Option<B256>,
}

/// What endpoints disagree about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matter {
    /// The block at a height.
    Block,
    /// The header at a height.
    Header,
}

/// Why endpoints give no common answer.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// More endpoints have to agree than there are.
    #[error("{needed} endpoints have to agree, and there are {endpoints}")]
    Impossible {
        /// Number of endpoints.
        endpoints: usize,
        /// Number that has to agree.
        needed: usize,
    },
    /// Endpoints contradict each other.
    #[error("endpoints contradict each other about block {number}, {needed} have to agree")]
    Split {
        /// The height.
        number: BlockNumber,
        /// Number that has to agree.
        needed: usize,
    },
    /// Too few endpoints answer.
    #[error("{said} endpoints answer, {needed} have to agree")]
    TooFew {
        /// Number that answered.
        said: usize,
        /// Number that has to agree.
        needed: usize,
        /// Why one of them did not.
        #[source]
        source: Option<Box<SourceError>>,
    },
}
