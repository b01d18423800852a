use alloy_primitives::{B256, Bytes, keccak256};
use mach_keccak::keccak256_batch;
use nybbles::Nibbles;

/// Index of a slot in the trie's arena.
pub(super) type NodeId = u32;

/// Nibbles of a key, which is also the greatest depth of a node.
pub(super) const KEY_NIBBLES: usize = 64;

/// A node as it stands in the arena.
///
/// `raw` is the encoding that the node was decoded from; links that nobody followed yet point into
/// it, so that a branch with 16 children costs one slot until a key leads further.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Ends a key: `path` holds what is left of it.
    Leaf { path: Nibbles, value: Bytes },
    /// Shared part of several keys, at least one nibble, always above a branch.
    Extension {
        path: Nibbles,
        child: Link,
        raw: Bytes,
    },
    /// At least two children.
    Branch { children: [Link; 16], raw: Bytes },
}

/// Where a child is: nowhere, in the arena, or still encoded in the parent's `raw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(u32);

/// A [`Link`] taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Empty,
    Node(NodeId),
    /// Offset of the child's RLP item in the parent's `raw`.
    Raw(usize),
}

impl Link {
    pub(super) const EMPTY: Self = Self(u32::MAX);
    const RAW: u32 = 1 << 31;

    /// `id` is below 2^31: the arena would have to hold 2^31 slots of over 100 bytes.
    pub(super) const fn node(id: NodeId) -> Self {
        Self(id)
    }

    /// `offset` is at most the size of a branch node, 564 bytes.
    pub(super) const fn raw(offset: usize) -> Self {
        Self(Self::RAW | offset as u32)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == Self::EMPTY.0
    }

    pub(super) const fn target(self) -> Target {
        if self.is_empty() {
            Target::Empty
        } else if self.0 & Self::RAW != 0 {
            Target::Raw((self.0 & !Self::RAW) as usize)
        } else {
            Target::Node(self.0)
        }
    }
}

/// How a parent names a node: by hash, or by the whole encoding if that is under 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// 32: `bytes` is a hash. 1 to 31: the encoding itself. 0: not computed since the last change.
    len: u8,
    bytes: [u8; 32],
}

impl Reference {
    pub(super) const STALE: Self = Self {
        len: 0,
        bytes: [0; 32],
    };

    pub(super) const fn hash(hash: B256) -> Self {
        Self {
            len: 32,
            bytes: hash.0,
        }
    }

    /// Reference to the node that is encoded as `encoding`.
    pub(super) fn to(encoding: &[u8]) -> Self {
        if encoding.len() >= 32 {
            return Self::hash(keccak256(encoding));
        }
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(encoding) {
            *to = *from;
        }
        Self {
            len: encoding.len() as u8,
            bytes,
        }
    }

    /// Reference to each of the nodes that are encoded so, hashed together.
    pub(super) fn to_all(encodings: &[&[u8]]) -> Vec<Self> {
        let long: Vec<_> = (encodings.iter()).filter(|it| it.len() >= 32).collect();
        let mut hashes = keccak256_batch(&long).into_iter();
        let reference = |encoding: &&[u8]| match encoding.len() {
            32.. => hashes.next().map_or(Self::STALE, Self::hash),
            _ => Self::to(encoding),
        };
        encodings.iter().map(reference).collect()
    }

    pub(super) const fn is_stale(&self) -> bool {
        self.len == 0
    }

    pub(super) fn as_hash(&self) -> Option<B256> {
        (self.len == 32).then_some(B256::new(self.bytes))
    }

    /// Hash of the node even if its parent would embed it: what a root is known by.
    pub(super) fn to_root(self) -> B256 {
        self.as_hash().unwrap_or_else(|| keccak256(self.as_slice()))
    }

    /// Appends the item that stands for the node in its parent's list.
    pub(super) fn write_item(&self, out: &mut Vec<u8>) {
        if self.len == 32 {
            out.push(alloy_rlp::EMPTY_STRING_CODE + 32);
        }
        out.extend_from_slice(self.as_slice());
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes
            .split_at_checked(usize::from(self.len))
            .map_or(&[], |(head, _)| head)
    }
}

/// A node and what is known about its encoding.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) node: Node,
    pub(super) reference: Reference,
    /// The encoding came from the store, or was handed out to be kept.
    pub(super) kept: bool,
}

impl Slot {
    pub(super) const fn new(node: Node) -> Self {
        Self {
            node,
            reference: Reference::STALE,
            kept: false,
        }
    }
}
