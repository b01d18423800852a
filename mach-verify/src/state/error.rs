use alloy_primitives::{Address, B256, BlockNumber, U256};

use crate::trie::TrieError;

/// Why the state could not answer or change. None of these says what a value is.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The path to an account or slot, or a node beside it that a removal needs, is not known.
    #[error("trie node {hash} of {} is missing", Place(*address, *slot))]
    MissingNode {
        /// Account that was read or written.
        address: Address,
        /// Its slot; `None` if the node is of the account trie.
        slot: Option<U256>,
        /// Keccak-256 of the node.
        hash: B256,
    },
    /// A node on the way to an account or slot breaks the rules of a trie.
    #[error("trie of {}", Place(*address, *slot))]
    MalformedNode {
        /// Account that was read or written.
        address: Address,
        /// Its slot; `None` if the node is of the account trie.
        slot: Option<U256>,
        /// Which node, and which rule.
        source: Box<TrieError>,
    },
    /// A leaf does not hold an account or a slot's value.
    #[error("value of {} is malformed", Place(*address, *slot))]
    MalformedValue {
        /// Account that was read.
        address: Address,
        /// Its slot; `None` if the account itself is malformed.
        slot: Option<U256>,
    },
    /// Code that an account names is not known.
    #[error("code {hash} is missing")]
    MissingCode {
        /// Keccak-256 of the code.
        hash: B256,
    },
    /// The hash of an ancestor is not known.
    #[error("hash of block {number} is missing")]
    MissingBlockHash {
        /// Height of the ancestor.
        number: BlockNumber,
    },
}

impl StateError {
    /// Whether a store that holds more could answer.
    pub const fn is_missing(&self) -> bool {
        match self {
            Self::MissingNode { .. } | Self::MissingCode { .. } | Self::MissingBlockHash { .. } => {
                true
            }
            Self::MalformedNode { .. } | Self::MalformedValue { .. } => false,
        }
    }

    /// What a failed visit to `address`, or to its `slot`, means.
    pub(super) fn at(address: Address, slot: Option<U256>, error: TrieError) -> Self {
        match error {
            TrieError::MissingNode { hash, .. } => Self::MissingNode {
                address,
                slot,
                hash,
            },
            other => Self::MalformedNode {
                address,
                slot,
                source: Box::new(other),
            },
        }
    }
}

struct Place(Address, Option<U256>);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(address, None) => write!(f, "account {address}"),
            Self(address, Some(slot)) => write!(f, "slot {slot:#x} of account {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_account_and_the_slot() {
        let address = Address::repeat_byte(0x42);
        let missing = StateError::MissingNode {
            address,
            slot: Some(U256::from(10)),
            hash: B256::repeat_byte(0x11),
        };
        assert_eq!(
            missing.to_string(),
            format!(
                "trie node 0x{} of slot 0xa of account 0x{} is missing",
                "11".repeat(32),
                "42".repeat(20)
            )
        );
        assert!(missing.is_missing());
        let malformed = StateError::MalformedValue {
            address,
            slot: None,
        };
        assert_eq!(
            malformed.to_string(),
            format!("value of account 0x{} is malformed", "42".repeat(20))
        );
        assert!(!malformed.is_missing());
    }
}
