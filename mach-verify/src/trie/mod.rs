//! Sparse Merkle-Patricia trie over 32-byte keys.
//!
//! A [`SparseTrie`] starts from a root hash and decodes nodes from a [`NodeStore`] when a key first
//! leads to them. What the store does not hold is [`TrieError::MissingNode`], never an absent key:
//! only a complete path that diverges proves absence.
//!
//! Source: Ethereum Yellow Paper, appendix D.

mod decode;
mod edit;
mod encode;
mod error;
mod hash;
mod node;
mod shortened;
mod sparse;
mod store;
#[cfg(test)]
mod tests;

pub use error::TrieError;
pub use shortened::shortened;
pub use sparse::SparseTrie;
pub use store::{NodeStore, WitnessNodes};
