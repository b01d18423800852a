use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// What is accused on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Target {
    /// The block, by its hash: nothing on L1 leads to it, as far as is known.
    Block {
        /// Its hash.
        hash: B256,
        /// Its height.
        number: u64,
        /// Its right output root, zero if that is not known.
        expected: B256,
    },
    /// An output root that the rollup's proposer put on L1, and that leads to the block.
    Published(Proposal),
}

impl Target {
    /// Whether a conviction of it is one of the rollup.
    pub const fn is_published(&self) -> bool {
        matches!(self, Self::Published(_))
    }
}

/// An output root on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Where it stands.
    pub source: Source,
    /// Index of the output in the oracle, or of the game in the factory.
    pub index: u64,
    /// When the oracle got the output, in seconds since 1970: what is posted again is another. 0 for a game.
    #[serde(default)]
    pub posted_at: u64,
    /// The root.
    pub root: B256,
    /// Height that it is said to be of.
    pub number: u64,
    /// The right root, zero if that is not known.
    pub expected: B256,
}

/// Where output roots are proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", content = "address", rename_all = "camelCase")]
pub enum Source {
    /// The rollup's `L2OutputOracle`.
    Oracle(Address),
    /// This dispute game.
    Game(Address),
}

/// How an output root leads to the block that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descent {
    /// State root that the output root is the hash of.
    pub state_root: B256,
    /// Storage root of the message passer that it is the hash of.
    pub message_passer: B256,
    /// Block hash that it is the hash of.
    pub block_hash: B256,
    /// RLP of the header with this hash, of its parent, and so on down to the child of the wrong block;
    /// none if it is the wrong block itself.
    pub headers: Vec<Bytes>,
    /// Before Isthmus, of an output root that contradicts the header that it names: proof of the message
    /// passer's account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub account_proof: Vec<Bytes>,
}

/// Alerts have numbers on L1.
pub(super) const fn number(id: B256) -> U256 {
    U256::from_be_bytes(id.0)
}
