//! Accounts, storage and code on top of tries that are only partly known.
//!
//! [`TrieState`] answers from a [`StateStore`], takes the changes of executed transactions, and
//! gives the root afterwards. It serves stateless verification (over the nodes of a witness), block
//! production (over all nodes), proofs and the recording of witnesses.

mod account;
mod block_hashes;
mod code;
mod database;
mod error;
mod proof;
mod recorder;
mod store;
#[cfg(test)]
mod tests;
mod trie_state;

pub use account::{Account, AccountUpdate};
pub use block_hashes::BlockHashes;
pub use error::StateError;
pub use proof::{AccountProof, StorageProof};
pub use recorder::{Recorded, Recorder};
pub(crate) use store::HashedWitness;
pub use store::{AnalysedCode, MemoryStore, StateStore, StateUpdates};
pub use trie_state::{TrieState, WitnessState};
