use alloy_primitives::{B256, Bytes, map::B256Map};
use auto_impl::auto_impl;
use mach_keccak::keccak256_batch;

/// Where a trie finds the nodes that it has not decoded yet.
#[auto_impl(&, Box, Arc)]
pub trait NodeStore {
    /// Encoded node whose Keccak-256 is `hash`, or `None` if the store does not hold it.
    ///
    /// The trie relies on the hash: a store that takes nodes from strangers hashes them itself, as
    /// [`WitnessNodes`] does.
    fn node(&self, hash: &B256) -> Option<Bytes>;
}

/// Trie nodes of a witness, found by their hash.
///
/// Every node is hashed on the way in, so a damaged one is simply missing.
#[derive(Clone, Debug, Default)]
pub struct WitnessNodes(B256Map<Bytes>);

impl WitnessNodes {
    /// Indexes `nodes`; order and duplicates do not matter.
    pub fn new(nodes: impl IntoIterator<Item = Bytes>) -> Self {
        nodes.into_iter().collect()
    }

    /// Number of distinct nodes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no nodes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All nodes with their hashes, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&B256, &Bytes)> {
        self.0.iter()
    }

    /// Adds a node that is already known by its hash, such as one that a trie handed out.
    pub(crate) fn insert_hashed(&mut self, hash: B256, node: Bytes) {
        self.0.insert(hash, node);
    }
}

impl FromIterator<Bytes> for WitnessNodes {
    fn from_iter<I: IntoIterator<Item = Bytes>>(nodes: I) -> Self {
        let mut this = Self::default();
        this.extend(nodes);
        this
    }
}

impl Extend<Bytes> for WitnessNodes {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, nodes: I) {
        let nodes: Vec<_> = nodes.into_iter().collect();
        self.0
            .extend(keccak256_batch(&nodes).into_iter().zip(nodes));
    }
}

impl NodeStore for WitnessNodes {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        self.0.get(hash).cloned()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    struct _DynCompatible(Box<dyn NodeStore>);

    #[test]
    fn a_damaged_node_is_not_found() {
        let node = Bytes::from_static(b"node");
        let hash = keccak256(&node);
        let damaged = Bytes::from_static(b"mode");
        assert_eq!(WitnessNodes::new([node.clone()]).node(&hash), Some(node));
        assert_eq!(WitnessNodes::new([damaged]).node(&hash), None);
    }
}
