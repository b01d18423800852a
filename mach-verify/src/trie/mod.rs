//! Sparse Merkle-Patricia trie over 32-byte keys.
//!
//! A [`SparseTrie`] starts from a root hash and decodes nodes from a [`NodeStore`] when a key first
//! leads to them. What the store does not hold is [`TrieError::MissingNode`], never an absent key:
//! only a complete path that diverges proves absence.
//!
//! Source: Ethereum Yellow Paper, appendix D.

mod decode;
mod encode;
mod error;
mod node;
mod sparse;
mod store;

pub use error::TrieError;
pub use sparse::SparseTrie;
pub use store::{NodeStore, WitnessNodes};
