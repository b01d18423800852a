use std::mem;

use alloy_primitives::{B256, Bytes};
use nybbles::Nibbles;

use super::{
    NodeStore, SparseTrie, TrieError,
    node::{Link, Node, NodeId, Reference, Slot},
    sparse::{Root, nibble},
};

impl SparseTrie {
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
                if let Some(sibling) = self.child(store, parent, last, &path, path.len())? {
                    self.collapse(parent, last as u8, sibling);
                }
            }
        }
        self.free.push(leaf);
        self.mark_stale();
        Ok(true)
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
}
