use std::cmp::Reverse;

use alloy_primitives::{B256, Bytes, map::B256Map};
use auto_impl::auto_impl;
use mach_keccak::keccak256_batch;
use revm::bytecode::Bytecode;

use super::code::analysed;
use crate::trie::{NodeStore, WitnessNodes};

/// Where a state finds trie nodes and code.
#[auto_impl(&, Box, Arc)]
pub trait StateStore: NodeStore {
    /// Code whose Keccak-256 is `hash`, or `None` if the store does not hold it. Never asked for
    /// the hash of empty code.
    fn code(&self, hash: &B256) -> Option<Bytes>;

    /// The same, ready to be executed. A store that outlives a block can keep it so.
    fn analysed_code(&self, hash: &B256) -> Option<AnalysedCode> {
        self.code(hash).map(AnalysedCode::new)
    }
}

/// Code of a contract with its jump destinations. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysedCode(pub(super) Bytecode);

impl AnalysedCode {
    /// Finds the jump destinations of `code`.
    pub fn new(code: Bytes) -> Self {
        // What starts like a delegation (EIP-7702) and is none is ordinary code, from before London.
        let delegation = Bytecode::new_eip7702_raw(code.clone());
        Self(delegation.unwrap_or_else(|_| analysed(&code)))
    }

    /// The same, in memory of its own: `code` may be a slice of something larger.
    pub(crate) fn detached(code: &Bytes) -> Self {
        let analysed = Self::new(code.clone());
        // Analysis copies what it has to pad, and that is most code.
        if analysed.as_slice().as_ptr() == code.as_ptr() && !code.is_empty() {
            return Self::new(Bytes::copy_from_slice(code));
        }
        analysed
    }

    /// The code.
    pub fn as_slice(&self) -> &[u8] {
        self.0.original_byte_slice()
    }

    /// The code, sharing memory with this.
    pub fn to_bytes(&self) -> Bytes {
        self.0.original_bytes()
    }
}

/// Nodes and codes in memory: a witness, or every state of a chain that lives in this process.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    nodes: WitnessNodes,
    codes: B256Map<Bytes>,
}

impl MemoryStore {
    /// Store without any state but the empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Store with the nodes and codes of a witness, all hashed here: what is damaged is missing.
    pub fn from_witness(
        nodes: impl IntoIterator<Item = Bytes>,
        codes: impl IntoIterator<Item = Bytes>,
    ) -> Self {
        let mut codes: Vec<_> = codes.into_iter().collect();
        // Codes of equal length keep the lanes of the hash busy to the end.
        codes.sort_unstable_by_key(|code| Reverse(code.len()));
        Self {
            nodes: WitnessNodes::new(nodes),
            codes: keccak256_batch(&codes).into_iter().zip(codes).collect(),
        }
    }

    /// Adds what a state has handed out. Older states stay.
    pub fn insert(&mut self, updates: StateUpdates) {
        for (hash, node) in updates.nodes {
            self.nodes.insert_hashed(hash, node);
        }
        self.codes.extend(updates.codes);
    }

    /// The trie nodes.
    pub const fn nodes(&self) -> &WitnessNodes {
        &self.nodes
    }
}

impl NodeStore for MemoryStore {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        self.nodes.node(hash)
    }
}

impl StateStore for MemoryStore {
    fn code(&self, hash: &B256) -> Option<Bytes> {
        self.codes.get(hash).cloned()
    }
}

/// The nodes and codes of one witness, found by their hash.
#[derive(Debug)]
pub(crate) struct HashedWitness<'a>(B256Map<&'a Bytes>);

impl<'a> HashedWitness<'a> {
    /// Hashes everything: what is damaged is missing.
    pub(crate) fn new(nodes: &'a [Bytes], codes: &'a [Bytes]) -> Self {
        let mut items: Vec<_> = codes.iter().collect();
        // The longest first, since the lanes of the hash run empty at the end.
        items.sort_unstable_by_key(|code| Reverse(code.len()));
        items.extend(nodes);
        let hashes = keccak256_batch(&items).into_iter();
        Self(hashes.zip(items).collect())
    }
}

impl NodeStore for HashedWitness<'_> {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        self.0.get(hash).copied().cloned()
    }
}

impl StateStore for HashedWitness<'_> {
    fn code(&self, hash: &B256) -> Option<Bytes> {
        self.node(hash)
    }
}

/// What a store has to keep so that it serves the state with root [`Self::root`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateUpdates {
    /// Root of the account trie.
    pub root: B256,
    /// New nodes of all tries, by hash.
    pub nodes: Vec<(B256, Bytes)>,
    /// New codes, by hash.
    pub codes: Vec<(B256, Bytes)>,
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    struct _DynCompatible(Box<dyn StateStore>);

    #[test]
    fn damaged_code_is_not_found() {
        let code = Bytes::from_static(&[0x60, 0x00]);
        let hash = keccak256(&code);
        let store = MemoryStore::from_witness([], [code.clone()]);
        assert_eq!(store.code(&hash), Some(code));
        let store = MemoryStore::from_witness([], [Bytes::from_static(&[0x60, 0x01])]);
        assert_eq!(store.code(&hash), None);
    }
}
