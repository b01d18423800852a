use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use nybbles::Nibbles;

use super::{
    NodeStore, TrieError,
    decode::{self, Child},
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
    pub(super) root: Root,
    pub(super) slots: Vec<Slot>,
    /// Slots that no node uses any more.
    pub(super) free: Vec<NodeId>,
    /// Nodes from the root to where the last walk ended, each with its depth in nibbles.
    pub(super) path: Vec<(NodeId, usize)>,
}

/// Most bytes of an encoded node that the arena holds on to, with its allocation: a branch of 16
/// hashes, or a leaf with an account.
const MAX_RAW: usize = 640;

#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
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

    /// Follows `key` as far as nodes lead and leaves the way in `self.path`.
    pub(super) fn walk(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        key: &Nibbles,
    ) -> Result<(), TrieError> {
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
            match self.child(store, id, index, key, depth)? {
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
                let reference = if raw.len() < 32 {
                    Reference::to(&raw)
                } else {
                    Reference::hash(hash)
                };
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
    /// was not yet. The first `depth` nibbles of `key` lead to the child.
    pub(super) fn child(
        &mut self,
        store: &(impl NodeStore + ?Sized),
        parent: NodeId,
        index: usize,
        key: &Nibbles,
        depth: usize,
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
        let path = || key.slice(..depth);
        let malformed = |reason| TrieError::MalformedNode {
            path: path(),
            reason,
        };
        let (raw, reference) = match decode::child(raw, at).map_err(malformed)? {
            Child::Embedded(raw) => {
                let reference = Reference::to(&raw);
                (raw, reference)
            }
            Child::Hash(hash) => {
                let missing = || TrieError::MissingNode { hash, path: path() };
                let raw = store.node(&hash).ok_or_else(missing)?;
                if raw.len() < 32 {
                    return Err(malformed("short node that its parent does not embed"));
                }
                (raw, Reference::hash(hash))
            }
        };
        let node = decode::node(raw, depth).map_err(malformed)?;
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

    /// Most bytes in memory, with those of nodes that are kept as they came.
    pub(crate) const fn footprint(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.slots.len() * MAX_RAW
    }

    pub(super) fn set_child(&mut self, parent: NodeId, index: usize, link: Link) {
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

    pub(super) fn add(&mut self, node: Node) -> NodeId {
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
    pub(super) fn slot(&self, id: NodeId) -> &Slot {
        &self.slots[id as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "ids come from `add`, and slots are never dropped"
    )]
    pub(super) fn slot_mut(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[id as usize]
    }
}

/// Nibble `at` of a path that is longer than `at`.
pub(super) fn nibble(path: &Nibbles, at: usize) -> usize {
    debug_assert!(at < path.len() && path.len() <= KEY_NIBBLES);
    usize::from(path.get(at).unwrap_or_default())
}
