use std::{mem, slice};

use alloy_primitives::{B256, Bytes};
use alloy_trie::EMPTY_ROOT_HASH;
use nybbles::Nibbles;

use super::{
    NodeStore, SparseTrie, TrieError, encode,
    node::{Link, Node, NodeId, Reference, Target},
    sparse::Root,
};

impl SparseTrie {
    /// Root hash; encodes and hashes only what changed since the last call.
    pub fn root(&mut self) -> B256 {
        match self.root {
            Root::Empty => EMPTY_ROOT_HASH,
            Root::Hash(hash) => hash,
            Root::Node(id) => {
                Self::refresh(&mut [self]);
                self.slot(id).reference.to_root()
            }
        }
    }

    /// Hands out every node that the store does not hold yet and returns the root.
    ///
    /// Nodes arrive children first, each once over the life of the trie. With them added, the store
    /// serves this root; what it held before keeps serving earlier ones.
    pub fn commit(&mut self, mut sink: impl FnMut(B256, Bytes)) -> B256 {
        let root = self.root();
        if let Root::Node(id) = self.root {
            self.hand_out(id, Some(root), &mut sink);
        }
        root
    }

    /// Encoded nodes from the root to `key`, or to where its absence shows: what `eth_getProof`
    /// answers. Nodes that their parent embeds are not repeated; an empty trie has no nodes.
    ///
    /// Errors: as [`Self::get`].
    pub fn prove(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        key: B256,
    ) -> Result<Vec<Bytes>, TrieError> {
        self.root();
        self.walk(store, &Nibbles::unpack_array(&key))?;
        let proof = (self.path.iter())
            .filter(|(id, depth)| *depth == 0 || self.slot(*id).reference.as_hash().is_some())
            .map(|(id, _)| self.encoded(*id))
            .collect();
        Ok(proof)
    }

    /// Brings the references of all changed nodes of all tries up to date.
    ///
    /// A node is hashed after those below it. So all nodes that have the same number of changed
    /// levels below them are hashed together, whatever trie they are in.
    pub(crate) fn refresh(tries: &mut [&mut Self]) {
        let mut levels = Vec::new();
        for (at, trie) in tries.iter().enumerate() {
            if let Root::Node(id) = trie.root {
                trie.collect_stale(id, at, &mut levels);
            }
        }
        let mut buffer = Vec::new();
        let mut starts = Vec::new();
        for level in levels {
            buffer.clear();
            starts.clear();
            for &(at, id) in &level {
                if let Some(trie) = tries.get(at) {
                    let start = trie.encode(id, &mut buffer);
                    starts.push((start, buffer.len()));
                }
            }
            let encodings: Vec<_> = (starts.iter())
                .map(|&(start, end)| buffer.get(start..end).unwrap_or_default())
                .collect();
            for ((at, id), reference) in level.into_iter().zip(Reference::to_all(&encodings)) {
                if let Some(trie) = tries.get_mut(at) {
                    trie.slot_mut(id).reference = reference;
                }
            }
        }
    }

    /// Adds `id` and the changed nodes below it to `levels`, each to the one above those of its
    /// children, and gives the number of levels that it is above.
    ///
    /// Recursion ends with the key: at most 65 nodes lie above each other.
    fn collect_stale(
        &self,
        id: NodeId,
        trie: usize,
        levels: &mut Vec<Vec<(usize, NodeId)>>,
    ) -> usize {
        if !self.slot(id).reference.is_stale() {
            return 0;
        }
        let height = (self.children(id))
            .map(|child| self.collect_stale(child, trie, levels))
            .max()
            .unwrap_or(0);
        if levels.len() <= height {
            levels.resize_with(height + 1, Vec::new);
        }
        if let Some(level) = levels.get_mut(height) {
            level.push((trie, id));
        }
        height + 1
    }

    fn hand_out(&mut self, id: NodeId, root: Option<B256>, sink: &mut impl FnMut(B256, Bytes)) {
        if mem::replace(&mut self.slot_mut(id).kept, true) {
            return;
        }
        for child in self.children(id).collect::<Vec<_>>() {
            self.hand_out(child, None, sink);
        }
        if let Some(hash) = root.or_else(|| self.slot(id).reference.as_hash()) {
            sink(hash, self.encoded(id));
        }
    }

    /// The children of `id` that are in the arena.
    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let children: &[Link] = match &self.slot(id).node {
            Node::Leaf { .. } => &[],
            Node::Extension { child, .. } => slice::from_ref(child),
            Node::Branch { children, .. } => children,
        };
        (children.iter()).filter_map(|child| match child.target() {
            Target::Node(child) => Some(child),
            Target::Empty | Target::Raw(_) => None,
        })
    }

    /// Encoding of `id`, whose children have up-to-date references.
    fn encoded(&self, id: NodeId) -> Bytes {
        let mut buffer = Vec::new();
        let start = self.encode(id, &mut buffer);
        Bytes::copy_from_slice(buffer.get(start..).unwrap_or_default())
    }

    /// Appends that encoding and returns where it starts.
    fn encode(&self, id: NodeId, buffer: &mut Vec<u8>) -> usize {
        encode::node(&self.slot(id).node, |id| &self.slot(id).reference, buffer)
    }
}
