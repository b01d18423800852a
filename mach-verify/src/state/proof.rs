use alloy_primitives::{Address, Bytes, U256};
use alloy_trie::TrieAccount;

/// Account and slots with the nodes that prove them, as `eth_getProof` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose account.
    pub address: Address,
    /// The account; `None` if the nodes prove that there is none.
    pub account: Option<TrieAccount>,
    /// Nodes of the account trie, from the root.
    pub nodes: Vec<Bytes>,
    /// One proof for each slot asked for, in the same order.
    pub storage: Vec<StorageProof>,
}

/// Value of a slot with the nodes of the storage trie that prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// Which slot.
    pub slot: U256,
    /// Its value; zero if it is not set.
    pub value: U256,
    /// Nodes of the storage trie, from the root; none if the storage is empty.
    pub nodes: Vec<Bytes>,
}
