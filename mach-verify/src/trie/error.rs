use std::fmt;

use alloy_primitives::B256;
use nybbles::Nibbles;

/// Why a trie could not answer or change. None of these says anything about a key's presence.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrieError {
    /// The path leads to a node that the store does not hold.
    #[error("trie node {hash} at path 0x{} is missing", Path(path))]
    MissingNode {
        /// Keccak-256 of the node's encoding.
        hash: B256,
        /// Nibbles from the root to the node.
        path: Nibbles,
    },
    /// The node's bytes have the right hash and are not a trie node at this depth.
    #[error("trie node at path 0x{} is malformed: {reason}", Path(path))]
    MalformedNode {
        /// Nibbles from the root to the node.
        path: Nibbles,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// An empty value was to be inserted; in a trie that is a removal, which has its own call.
    #[error("a trie holds no empty values")]
    EmptyValue,
}

struct Path<'a>(&'a Nibbles);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_path_and_the_hash() {
        let path = Nibbles::from_nibbles([0xa, 0x0, 0x3]);
        let missing = TrieError::MissingNode {
            hash: B256::repeat_byte(0x11),
            path,
        };
        assert_eq!(
            missing.to_string(),
            format!("trie node 0x{} at path 0xa03 is missing", "11".repeat(32)),
        );
        let malformed = TrieError::MalformedNode {
            path,
            reason: "not a list",
        };
        assert_eq!(
            malformed.to_string(),
            "trie node at path 0xa03 is malformed: not a list"
        );
    }
}
