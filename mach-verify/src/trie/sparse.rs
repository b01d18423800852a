use std::mem;

use alloy_primitives::{B256, Bytes};
use alloy_trie::EMPTY_ROOT_HASH;
use nybbles::Nibbles;

use super::{
    NodeStore, TrieError,
    decode::{self, Child},
    encode,
    node::{KEY_NIBBLES, Link, Node, NodeId, Reference, Slot, Target},
};

/// Merkle-Patricia trie of which only the visited part is in memory.
///
/// Keys are 32 bytes, already hashed (the "secure" tries of Ethereum). Every call that may have to
/// decode a node takes the store, the same one each time; a call that fails changes nothing, so it
/// can be repeated once the store holds more.
///
/// Removing a key can leave a branch with one child, which then has to be known: it may be a node
/// that no key leads to. To need the fewest such nodes, insert first and remove last.
#[derive(Clone, Debug)]
pub struct SparseTrie {
    root: Root,
    slots: Vec<Slot>,
    /// Slots that no node uses any more.
    free: Vec<NodeId>,
    /// Nodes from the root to where the last walk ended, each with its depth in nibbles.
    path: Vec<(NodeId, usize)>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Root {
    Empty,
    Hash(B256),
    Node(NodeId),
}

impl Default for SparseTrie {
    fn default() -> Self {
        Self::new(EMPTY_ROOT_HASH)
    }
}

impl SparseTrie {
    /// Trie with the given root; decodes nothing yet.
    pub fn new(root: B256) -> Self {
        Self {
            root: if root == EMPTY_ROOT_HASH {
                Root::Empty
            } else {
                Root::Hash(root)
            },
            slots: Vec::new(),
            free: Vec::new(),
            path: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Value at `key`; `None` is proved by the nodes on its path.
    ///
    /// Errors: [`TrieError::MissingNode`], [`TrieError::MalformedNode`].
    pub fn get(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        key: B256,
    ) -> Result<Option<&[u8]>, TrieError> {
        let key = Nibbles::unpack_array(&key);
        self.walk(store, &key)?;
        let Some(&(id, depth)) = self.path.last() else {
            return Ok(None);
        };
        match &self.slot(id).node {
            Node::Leaf { path, value } if *path == key.slice(depth..) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// Sets the value at `key`; writing the value that is already there changes nothing.
    ///
    /// Errors: [`TrieError::EmptyValue`]; as [`Self::get`].
    pub fn insert(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        key: B256,
        value: Bytes,
    ) -> Result<(), TrieError> {
        if value.is_empty() {
            return Err(TrieError::EmptyValue);
        }
        let key = Nibbles::unpack_array(&key);
        self.walk(store, &key)?;
        let Some(&(id, depth)) = self.path.last() else {
            self.root = Root::Node(self.add(Node::Leaf { path: key, value }));
            return Ok(());
        };
        let rest = key.slice(depth..);
        match &mut self.slot_mut(id).node {
            Node::Leaf { path, value: old } if *path == rest => {
                if *old == value {
                    return Ok(());
                }
                *old = value;
            }
            Node::Leaf { .. } | Node::Extension { .. } => self.split(id, &rest, value),
            Node::Branch { .. } => {
                let leaf = self.add(Node::Leaf {
                    path: key.slice(depth + 1..),
                    value,
                });
                self.set_child(id, nibble(&key, depth), Link::node(leaf));
            }
        }
        self.mark_stale();
        Ok(())
    }

    /// Removes `key` and returns whether it was there.
    ///
    /// Errors: as [`Self::get`], also for the sibling that takes the place of a branch.
    pub fn remove(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        key: B256,
    ) -> Result<bool, TrieError> {
        let key = Nibbles::unpack_array(&key);
        self.walk(store, &key)?;
        let Some((leaf, depth)) = self.path.pop() else {
            return Ok(false);
        };
        match &self.slot(leaf).node {
            Node::Leaf { path, .. } if *path == key.slice(depth..) => {}
            _ => return Ok(false),
        }
        let Some(&(parent, depth)) = self.path.last() else {
            self.root = Root::Empty;
            self.free.push(leaf);
            return Ok(true);
        };
        let index = nibble(&key, depth);
        match self.only_other_child(parent, index) {
            None => self.set_child(parent, index, Link::EMPTY),
            Some(last) => {
                let path = key
                    .slice(..depth)
                    .join(&Nibbles::from_nibbles([last as u8]));
                if let Some(sibling) = self.child(store, parent, last, &path)? {
                    self.collapse(parent, last as u8, sibling);
                }
            }
        }
        self.free.push(leaf);
        self.mark_stale();
        Ok(true)
    }

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

    /// Follows `key` as far as nodes lead and leaves the way in `self.path`.
    fn walk(&mut self, store: &(impl NodeStore + ?Sized), key: &Nibbles) -> Result<(), TrieError> {
        self.path.clear();
        let Some(mut id) = self.resolve_root(store)? else {
            return Ok(());
        };
        let mut depth = 0;
        loop {
            self.path.push((id, depth));
            let index = match &self.slot(id).node {
                Node::Leaf { .. } => return Ok(()),
                Node::Extension { path, .. } => {
                    if key.slice(depth..).common_prefix_length(path) < path.len() {
                        return Ok(());
                    }
                    depth += path.len();
                    0
                }
                Node::Branch { .. } => {
                    depth += 1;
                    nibble(key, depth - 1)
                }
            };
            match self.child(store, id, index, &key.slice(..depth))? {
                Some(child) => id = child,
                None => return Ok(()),
            }
        }
    }

    fn resolve_root(
        &mut self,
        store: &(impl NodeStore + ?Sized),
    ) -> Result<Option<NodeId>, TrieError> {
        match self.root {
            Root::Empty => Ok(None),
            Root::Node(id) => Ok(Some(id)),
            Root::Hash(hash) => {
                let path = Nibbles::new();
                let raw = store
                    .node(&hash)
                    .ok_or(TrieError::MissingNode { hash, path })?;
                // The root is known by its hash even if it is shorter than one.
                let reference = Reference::to(&raw);
                let node = decode::node(raw, 0)
                    .map_err(|reason| TrieError::MalformedNode { path, reason })?;
                let id = self.add(node);
                let slot = self.slot_mut(id);
                slot.reference = reference;
                slot.kept = true;
                self.root = Root::Node(id);
                Ok(Some(id))
            }
        }
    }

    /// Child `index` of the branch `parent`, or the child of the extension `parent`, decoded if it
    /// was not yet. `path` leads to the child.
    fn child(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        parent: NodeId,
        index: usize,
        path: &Nibbles,
    ) -> Result<Option<NodeId>, TrieError> {
        let (link, raw) = match &self.slot(parent).node {
            Node::Leaf { .. } => return Ok(None),
            Node::Extension { child, raw, .. } => (*child, raw),
            Node::Branch { children, raw } => {
                (children.get(index).copied().unwrap_or(Link::EMPTY), raw)
            }
        };
        let at = match link.target() {
            Target::Empty => return Ok(None),
            Target::Node(id) => return Ok(Some(id)),
            Target::Raw(at) => at,
        };
        let malformed = |reason| TrieError::MalformedNode {
            path: *path,
            reason,
        };
        let (raw, reference) = match decode::child(raw, at).map_err(malformed)? {
            Child::Embedded(raw) => {
                let reference = Reference::to(&raw);
                (raw, reference)
            }
            Child::Hash(hash) => {
                let missing = TrieError::MissingNode { hash, path: *path };
                let raw = store.node(&hash).ok_or(missing)?;
                if raw.len() < 32 {
                    return Err(malformed("short node that its parent does not embed"));
                }
                (raw, Reference::hash(hash))
            }
        };
        let node = decode::node(raw, path.len()).map_err(malformed)?;
        let below_extension = matches!(self.slot(parent).node, Node::Extension { .. });
        if below_extension && !matches!(node, Node::Branch { .. }) {
            return Err(malformed("extension that does not lead to a branch"));
        }
        let id = self.add(node);
        let slot = self.slot_mut(id);
        slot.reference = reference;
        slot.kept = true;
        self.set_child(parent, index, Link::node(id));
        Ok(Some(id))
    }

    /// Replaces the leaf or extension `id`, whose path leaves `rest` within its length, by a branch
    /// over it and a new leaf, below an extension if they share nibbles.
    fn split(&mut self, id: NodeId, rest: &Nibbles, value: Bytes) {
        let placeholder = Node::Branch {
            children: [Link::EMPTY; 16],
            raw: Bytes::new(),
        };
        let old = mem::replace(&mut self.slot_mut(id).node, placeholder);
        let mut children = [Link::EMPTY; 16];
        let mut branch_raw = Bytes::new();
        let (shared, index, link) = match old {
            Node::Leaf { path, value } => {
                let shared = path.common_prefix_length(rest);
                let below = Node::Leaf {
                    path: path.slice(shared + 1..),
                    value,
                };
                (shared, nibble(&path, shared), Link::node(self.add(below)))
            }
            Node::Extension { path, child, raw } => {
                let shared = path.common_prefix_length(rest);
                let index = nibble(&path, shared);
                if shared + 1 == path.len() {
                    // The child moves up together with the bytes that it may still be encoded in.
                    branch_raw = raw;
                    (shared, index, child)
                } else {
                    let path = path.slice(shared + 1..);
                    (
                        shared,
                        index,
                        Link::node(self.add(Node::Extension { path, child, raw })),
                    )
                }
            }
            Node::Branch { .. } => return,
        };
        let leaf = self.add(Node::Leaf {
            path: rest.slice(shared + 1..),
            value,
        });
        for (index, link) in [(index, link), (nibble(rest, shared), Link::node(leaf))] {
            if let Some(child) = children.get_mut(index) {
                *child = link;
            }
        }
        let branch = Node::Branch {
            children,
            raw: branch_raw,
        };
        self.slot_mut(id).node = if shared == 0 {
            branch
        } else {
            let child = Link::node(self.add(branch));
            Node::Extension {
                path: rest.slice(..shared),
                child,
                raw: Bytes::new(),
            }
        };
    }

    /// Puts `sibling`, the only child that the branch at the end of `self.path` is left with, in its
    /// place, joined with an extension above.
    fn collapse(&mut self, branch: NodeId, index: u8, sibling: NodeId) {
        let mut prefix = Nibbles::from_nibbles([index]);
        let mut target = branch;
        if let [.., (above, _), _] = self.path[..]
            && let Node::Extension { path, .. } = &self.slot(above).node
        {
            prefix = path.join(&prefix);
            target = above;
            self.path.pop();
            self.free.push(branch);
        }
        let joined = match self.slot_mut(sibling) {
            Slot {
                node: Node::Branch { .. },
                ..
            } => Node::Extension {
                path: prefix,
                child: Link::node(sibling),
                raw: Bytes::new(),
            },
            Slot {
                node: Node::Extension { path, child, raw },
                ..
            } => Node::Extension {
                path: prefix.join(path),
                child: *child,
                raw: mem::take(raw),
            },
            Slot {
                node: Node::Leaf { path, value },
                ..
            } => Node::Leaf {
                path: prefix.join(path),
                value: mem::take(value),
            },
        };
        if !matches!(self.slot(sibling).node, Node::Branch { .. }) {
            self.free.push(sibling);
        }
        self.slot_mut(target).node = joined;
    }

    /// The one child that the branch has besides `index`, if it is one.
    fn only_other_child(&self, branch: NodeId, index: usize) -> Option<usize> {
        let Node::Branch { children, .. } = &self.slot(branch).node else {
            return None;
        };
        let mut others = (0..)
            .zip(children)
            .filter(|(i, child)| *i != index && !child.is_empty());
        let (other, _) = others.next()?;
        others.next().is_none().then_some(other)
    }

    fn set_child(&mut self, parent: NodeId, index: usize, link: Link) {
        match &mut self.slot_mut(parent).node {
            Node::Leaf { .. } => {}
            Node::Extension { child, .. } => *child = link,
            Node::Branch { children, .. } => {
                if let Some(child) = children.get_mut(index) {
                    *child = link;
                }
            }
        }
    }

    /// Forgets the references along `self.path`, after the change at its end.
    fn mark_stale(&mut self) {
        let path = mem::take(&mut self.path);
        for (id, _) in &path {
            let slot = self.slot_mut(*id);
            slot.reference = Reference::STALE;
            slot.kept = false;
        }
        self.path = path;
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

    fn add(&mut self, node: Node) -> NodeId {
        let slot = Slot::new(node);
        if let Some(id) = self.free.pop() {
            *self.slot_mut(id) = slot;
            return id;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as NodeId
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "ids come from `add`, and slots are never dropped"
    )]
    fn slot(&self, id: NodeId) -> &Slot {
        &self.slots[id as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "ids come from `add`, and slots are never dropped"
    )]
    fn slot_mut(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[id as usize]
    }
}

/// Nibble `at` of a path that is longer than `at`.
fn nibble(path: &Nibbles, at: usize) -> usize {
    debug_assert!(at < path.len() && path.len() <= KEY_NIBBLES);
    usize::from(path.get(at).unwrap_or_default())
}
