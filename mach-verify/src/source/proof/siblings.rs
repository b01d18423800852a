//! Nodes beside the paths of removed keys.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, nodes::TrieNode};
use nybbles::Nibbles;

use super::Keys;
use crate::{
    state::{MemoryStore, StateError},
    trie::NodeStore,
};

/// How long a key below a node is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Milliseconds.
    Low,
    /// Seconds.
    High,
}

impl Effort {
    /// Longest path, in nibbles and at most 6: a key is found in about 16 to this power of tries.
    const fn nibbles(self) -> usize {
        match self {
            Self::Low => 4,
            Self::High => 6,
        }
    }

    /// With this many tries nearly every path is found.
    const fn tries(self) -> u64 {
        8 << (4 * self.nibbles())
    }
}

/// Keys whose proofs at the parent hold the siblings that removals need and `store` does not have:
/// of each branch that is left with one child, and of the node that an error names.
///
/// Nobody has to know these keys: proofs of their absence do. A sibling that is a leaf or an
/// extension comes in with the proofs after the block as well; one that is a branch only so.
pub(super) fn keys(
    store: &MemoryStore,
    root: B256,
    removed: &Keys,
    error: Option<&StateError>,
    effort: Effort,
) -> Keys {
    let mut accounts = Vec::new();
    let mut slots: BTreeMap<Address, Vec<Nibbles>> = BTreeMap::new();
    for (address, keys) in removed {
        let walk = Walk::to(store, root, keccak256(address));
        accounts.extend(walk.missing_sibling(store));
        let Some(storage_root) = walk.account().map(|account| account.storage_root) else {
            continue;
        };
        let mut walks: Vec<_> = (keys.iter())
            .map(|slot| Walk::to(store, storage_root, keccak256(slot.to_be_bytes::<32>())))
            .collect();
        // A branch may lose several children at once.
        let leaves: Vec<_> = walks.iter().filter_map(|walk| walk.leaf).collect();
        for walk in &mut walks {
            walk.removed = leaves.clone();
        }
        let missing = walks.iter().filter_map(|walk| walk.missing_sibling(store));
        slots.entry(*address).or_default().extend(missing);
    }
    if let Some(StateError::MissingNode {
        address,
        slot,
        hash,
    }) = error
    {
        let walk = Walk::to(store, root, keccak256(address));
        match slot {
            None => accounts.extend(walk.path_of(*hash)),
            Some(slot) => {
                let storage_root = walk.account().map(|account| account.storage_root);
                let walk = Walk::to(
                    store,
                    storage_root.unwrap_or(EMPTY_ROOT_HASH),
                    keccak256(slot.to_be_bytes::<32>()),
                );
                slots
                    .entry(*address)
                    .or_default()
                    .extend(walk.path_of(*hash));
            }
        }
    }
    let mut found = Keys::new();
    for (_, number) in search(
        accounts.into_iter().map(|path| ((), path)),
        effort,
        address_key,
    ) {
        found.entry(address_of(number)).or_default();
    }
    let slots = (slots.into_iter())
        .flat_map(|(address, paths)| paths.into_iter().map(move |path| (address, path)));
    for (address, number) in search(slots, effort, slot_key) {
        found.entry(address).or_default().insert(U256::from(number));
    }
    found
}

fn address_of(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn address_key(number: u64) -> B256 {
    keccak256(address_of(number))
}

fn slot_key(number: u64) -> B256 {
    keccak256(U256::from(number).to_be_bytes::<32>())
}

/// For each path a number whose key begins with it, if it is not too long. However many paths there
/// are, every number is tried once.
fn search<T>(
    paths: impl IntoIterator<Item = (T, Nibbles)>,
    effort: Effort,
    key: impl Fn(u64) -> B256,
) -> Vec<(T, u64)> {
    let mut open: BTreeMap<Nibbles, Vec<T>> = BTreeMap::new();
    for (of, path) in paths {
        if path.len() <= effort.nibbles() {
            open.entry(path).or_default().push(of);
        }
    }
    let lengths: BTreeSet<_> = open.keys().map(Nibbles::len).collect();
    let mut found = Vec::new();
    for number in 0..effort.tries() {
        if open.is_empty() {
            break;
        }
        let [first, second, third, ..] = key(number).0;
        let start = Nibbles::unpack([first, second, third]);
        for length in &lengths {
            let of = open.remove(&start.slice(..*length)).unwrap_or_default();
            found.extend(of.into_iter().map(|of| (of, number)));
        }
    }
    found
}

/// Children of a branch by their nibbles, with hashes if they are not embedded.
type Children = Vec<(u8, Option<B256>)>;

/// The known nodes on the way to a key.
struct Walk {
    /// Branches with the path that leads to each.
    branches: Vec<(Nibbles, Children)>,
    key: Nibbles,
    /// Path of the node that the key's leaf hangs on, with the nibble that leads to the leaf.
    leaf: Option<Nibbles>,
    value: Option<Vec<u8>>,
    /// Leaves that go away in the same trie.
    removed: Vec<Nibbles>,
}

impl Walk {
    fn to(store: &MemoryStore, root: B256, key: B256) -> Self {
        let mut walk = Self {
            branches: Vec::new(),
            key: Nibbles::unpack(key),
            leaf: None,
            value: None,
            removed: Vec::new(),
        };
        let mut next = store.node(&root);
        let mut depth = 0;
        while let Some(node) = next.take().and_then(|raw| decode(&raw)) {
            match node {
                TrieNode::Branch(branch) => {
                    let children: Vec<_> = (branch.as_ref().children())
                        .filter_map(|(nibble, child)| {
                            child.map(|child| (nibble, child.as_hash(), child.to_vec()))
                        })
                        .collect();
                    let Some(nibble) = walk.key.get(depth) else {
                        break;
                    };
                    let path = walk.key.slice(..depth);
                    let ahead = children.iter().find(|(it, ..)| *it == nibble);
                    next = ahead.and_then(|(_, hash, raw)| match hash {
                        Some(hash) => store.node(hash),
                        None => Some(raw.clone().into()),
                    });
                    let children = children.iter().map(|(nibble, hash, _)| (*nibble, *hash));
                    walk.branches.push((path, children.collect()));
                    depth += 1;
                }
                TrieNode::Extension(extension) => {
                    let rest = walk.key.slice(depth..);
                    if !rest.starts_with(&extension.key) {
                        break;
                    }
                    depth += extension.key.len();
                    next = match extension.child.as_hash() {
                        Some(hash) => store.node(&hash),
                        None => Some(Bytes::copy_from_slice(&extension.child)),
                    };
                }
                TrieNode::Leaf(leaf) => {
                    if walk.key.slice(depth..) == leaf.key {
                        walk.leaf = Some(walk.key.slice(..depth));
                        walk.value = Some(leaf.value);
                    }
                    break;
                }
                TrieNode::EmptyRoot => break,
            }
        }
        walk
    }

    fn account(&self) -> Option<TrieAccount> {
        TrieAccount::decode(&mut self.value.as_deref()?).ok()
    }

    /// Path of the only child that the branch above the leaf is left with, if that is not known.
    fn missing_sibling(&self, store: &MemoryStore) -> Option<Nibbles> {
        let leaf = self.leaf?;
        let (path, children) = self.branches.last()?;
        if path.len() + 1 != leaf.len() {
            return None;
        }
        let mut left = children.iter().filter_map(|(nibble, hash)| {
            let mut child = *path;
            child.push(*nibble);
            let is_removed = child == leaf || self.removed.contains(&child);
            (!is_removed).then_some((child, *hash))
        });
        let (child, hash) = left.next()?;
        if left.next().is_some() {
            return None;
        }
        store.node(&hash?).is_none().then_some(child)
    }

    /// Path of the node with this hash beside the way.
    fn path_of(&self, wanted: B256) -> Option<Nibbles> {
        self.branches.iter().find_map(|(path, children)| {
            let (nibble, _) = children.iter().find(|(_, hash)| *hash == Some(wanted))?;
            let mut child = *path;
            child.push(*nibble);
            Some(child)
        })
    }
}

fn decode(raw: &Bytes) -> Option<TrieNode> {
    TrieNode::decode(&mut raw.as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_path_is_found_in_one_search() {
        let paths = (0..0x1000u16).map(|path| {
            let [high, low] = path.to_be_bytes();
            // All of three nibbles, each for an owner of its own, and of two for another.
            let nibbles = [high, low >> 4, low & 0xf];
            (path, Nibbles::from_nibbles(nibbles))
        });
        let short = (0..0x100u16).map(|path| {
            let [_, low] = path.to_be_bytes();
            (0x1000 + path, Nibbles::from_nibbles([low >> 4, low & 0xf]))
        });
        let long = [(0x2000, Nibbles::from_nibbles([1, 2, 3, 4, 5]))];
        let wanted: Vec<_> = paths.chain(short).chain(long).collect();
        let count = std::cell::Cell::new(0u64);
        let key = |number| {
            count.set(count.get() + 1);
            slot_key(number)
        };
        let found = search(wanted.clone(), Effort::Low, key);
        // But for the one that is too long.
        assert_eq!(found.len(), wanted.len() - 1);
        for (owner, number) in found {
            let (_, path) = wanted.iter().find(|(it, _)| *it == owner).unwrap();
            assert!(Nibbles::unpack(slot_key(number)).starts_with(path));
        }
        assert!(count.get() <= Effort::Low.tries());
        // Nothing is tried for what is not looked for.
        let none = [((), Nibbles::from_nibbles([0; 7]))];
        assert!(search(none, Effort::High, |_| unreachable!()).is_empty());
    }
}
