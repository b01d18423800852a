use std::mem;

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
                self.refresh(id);
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
        let mut buffer = mem::take(&mut self.buffer);
        let mut proof = Vec::with_capacity(self.path.len());
        for &(id, depth) in &self.path {
            if depth == 0 || self.slot(id).reference.as_hash().is_some() {
                proof.push(Bytes::copy_from_slice(self.encode(id, &mut buffer)));
            }
        }
        self.buffer = buffer;
        Ok(proof)
    }

    /// Brings the references of `id` and of the changed nodes below it up to date.
    ///
    /// Recursion ends with the key: at most 65 nodes lie above each other.
    fn refresh(&mut self, id: NodeId) {
        if !self.slot(id).reference.is_stale() {
            return;
        }
        self.for_each_child(id, Self::refresh);
        let mut buffer = mem::take(&mut self.buffer);
        self.slot_mut(id).reference = Reference::to(self.encode(id, &mut buffer));
        self.buffer = buffer;
    }

    fn hand_out(&mut self, id: NodeId, root: Option<B256>, sink: &mut impl FnMut(B256, Bytes)) {
        if mem::replace(&mut self.slot_mut(id).kept, true) {
            return;
        }
        self.for_each_child(id, |trie, child| trie.hand_out(child, None, sink));
        if let Some(hash) = root.or_else(|| self.slot(id).reference.as_hash()) {
            let mut buffer = mem::take(&mut self.buffer);
            sink(hash, Bytes::copy_from_slice(self.encode(id, &mut buffer)));
            self.buffer = buffer;
        }
    }

    /// Calls `visit` for each child of `id` that is in the arena.
    fn for_each_child(&mut self, id: NodeId, mut visit: impl FnMut(&mut Self, NodeId)) {
        let children = match &self.slot(id).node {
            Node::Leaf { .. } => return,
            Node::Extension { child, .. } => {
                let mut children = [Link::EMPTY; 16];
                children[0] = *child;
                children
            }
            Node::Branch { children, .. } => *children,
        };
        for child in children {
            if let Target::Node(child) = child.target() {
                visit(self, child);
            }
        }
    }

    /// Encoding of `id`, whose children have up-to-date references.
    fn encode<'a>(&self, id: NodeId, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let start = encode::node(&self.slot(id).node, |id| &self.slot(id).reference, buffer);
        buffer.get(start..).unwrap_or_default()
    }
}
