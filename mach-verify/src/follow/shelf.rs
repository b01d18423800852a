//! Values by the hash of their content, found by the content too, within a limit of memory.

use core::{
    fmt,
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
};
use std::collections::BTreeMap;

use alloy_primitives::{
    B256, Bytes,
    map::{B256Map, DefaultHashBuilder, HashMap},
};

use crate::state::AnalysedCode;

/// What a value takes beside its content, in bytes: its places in two hash tables that are at least
/// 7/16 full, and what the allocator adds. Source, of all such numbers: the tests below measure.
pub(super) const ITEM_BYTES: usize = 384;

/// What a code takes beside itself and [`ITEM_BYTES`]: padding, and what shares it between threads.
const CODE_BYTES: usize = 256;

/// What is kept: bytes that have a Keccak-256.
pub(super) trait Kept: Clone {
    fn content(&self) -> &[u8];

    /// Bytes in memory, without [`ITEM_BYTES`].
    fn size(&self) -> usize;
}

impl Kept for Bytes {
    fn content(&self) -> &[u8] {
        self
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl Kept for AnalysedCode {
    fn content(&self) -> &[u8] {
        self.as_slice()
    }

    /// One bit a byte says where jumps may go, and a push at the end is padded.
    fn size(&self) -> usize {
        let length = self.as_slice().len();
        length + length / 8 + CODE_BYTES
    }
}

/// Values by their hash, which whoever inserts has computed.
///
/// Each remembers the round in which it was used last. When the limit is crossed, those that were
/// not used for the longest time go, until an eighth of the room is free.
pub(super) struct Shelf<V> {
    items: B256Map<Item<V>>,
    /// Hash of the value with this fingerprint. Of two with the same, the first.
    names: HashMap<u64, B256>,
    /// Keys the fingerprints, so that nobody can choose contents with equal ones.
    key: DefaultHashBuilder,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Item<V> {
    value: V,
    used: AtomicU64,
}

impl<V> fmt::Debug for Shelf<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("items", &self.items.len())
            .field("bytes", &self.bytes)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<V: Kept> Shelf<V> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            items: B256Map::default(),
            names: HashMap::default(),
            key: DefaultHashBuilder::default(),
            bytes: 0,
            limit,
        }
    }

    pub(super) fn get(&self, hash: &B256, round: u64) -> Option<V> {
        let item = self.items.get(hash)?;
        item.used.store(round, Ordering::Relaxed);
        Some(item.value.clone())
    }

    /// Whether a value has exactly this content. A fingerprint finds it, and comparing every byte
    /// decides: content that is only alike is not known.
    pub(super) fn knows(&self, content: &[u8], round: u64) -> bool {
        let named = self.names.get(&self.key.hash_one(content));
        let Some(item) = named.and_then(|hash| self.items.get(hash)) else {
            return false;
        };
        let is_same = item.value.content() == content;
        if is_same {
            item.used.store(round, Ordering::Relaxed);
        }
        is_same
    }

    /// Keeps a value whose content has this hash.
    pub(super) fn insert(&mut self, hash: B256, value: V, round: u64) {
        let name = self.key.hash_one(value.content());
        let size = value.size() + ITEM_BYTES;
        let item = Item {
            value,
            used: AtomicU64::new(round),
        };
        if self.items.insert(hash, item).is_none() {
            self.bytes += size;
            self.names.entry(name).or_insert(hash);
        }
    }

    /// Makes room if there is too little.
    pub(super) fn tidy(&mut self) {
        if self.bytes <= self.limit {
            return;
        }
        let mut sizes = BTreeMap::<u64, usize>::new();
        for item in self.items.values() {
            *sizes.entry(item.used.load(Ordering::Relaxed)).or_default() +=
                item.value.size() + ITEM_BYTES;
        }
        let target = self.limit - self.limit / 8;
        let mut bytes = self.bytes;
        let mut last = 0;
        for (round, size) in sizes {
            if bytes <= target {
                break;
            }
            bytes -= size;
            last = round;
        }
        self.items
            .retain(|_, item| item.used.load(Ordering::Relaxed) > last);
        self.names.retain(|_, hash| self.items.contains_key(hash));
        self.items.shrink_to_fit();
        self.names.shrink_to_fit();
        self.bytes = bytes;
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of all values, [`ITEM_BYTES`] for each included.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;
    #[cfg(target_os = "linux")]
    use crate::follow::measure;

    fn content(number: u64) -> Bytes {
        number.to_be_bytes().repeat(4).into()
    }

    fn put(shelf: &mut Shelf<Bytes>, number: u64, round: u64) -> B256 {
        let content = content(number);
        let hash = keccak256(&content);
        shelf.insert(hash, content, round);
        hash
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        const SIZE: usize = 32 + ITEM_BYTES;
        let mut shelf = Shelf::new(8 * SIZE);
        let hashes: Vec<_> = (1..=8).map(|n| put(&mut shelf, n, n)).collect();
        shelf.tidy();
        assert_eq!((shelf.len(), shelf.bytes()), (8, 8 * SIZE));

        // The first is used again, by its hash; the second by its content.
        assert_eq!(shelf.get(&hashes[0], 9), Some(content(1)));
        assert!(shelf.knows(&content(2), 9));
        put(&mut shelf, 9, 9);
        shelf.tidy();
        assert_eq!((shelf.len(), shelf.bytes()), (7, 7 * SIZE));
        for (hash, stays) in hashes.iter().zip([true, true, false, false, true]) {
            assert_eq!(shelf.get(hash, 9).is_some(), stays);
        }
        assert!(!shelf.knows(&content(3), 9));
    }

    #[test]
    fn a_round_that_is_larger_than_the_limit_leaves_nothing() {
        let mut shelf = Shelf::new(1000);
        for number in 0..100 {
            put(&mut shelf, number, 1);
        }
        shelf.tidy();
        assert_eq!((shelf.len(), shelf.bytes()), (0, 0));
        assert!(shelf.names.is_empty());
    }

    /// Even if two contents had one fingerprint.
    #[test]
    fn only_equal_bytes_are_known() {
        let mut shelf = Shelf::new(1 << 20);
        let hash = put(&mut shelf, 1, 1);
        let other = content(2);
        shelf.names.insert(shelf.key.hash_one(&*other), hash);
        assert!(!shelf.knows(&other, 1));
        assert!(shelf.knows(&content(1), 1));
        // Twice the same costs once.
        let bytes = shelf.bytes();
        put(&mut shelf, 1, 2);
        assert_eq!((shelf.len(), shelf.bytes()), (1, bytes));
    }

    /// One more than fits into tables of 2^17.
    #[cfg(target_os = "linux")]
    const COUNT: usize = (1 << 17) / 8 * 7 + 1;

    /// Tables that have just grown are the worst case.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_counted_for_nodes_covers_what_is_held() {
        measure(
            "follow::shelf::tests::what_is_counted_for_nodes_covers_what_is_held",
            |resident| {
                let mut shelf = Shelf::new(usize::MAX);
                let before = resident();
                for number in 0..COUNT {
                    // As long as nodes are: leaves, and branches with 2 to 16 children.
                    let mut node = vec![7; 36 + number % 16 * 32];
                    node[..8].copy_from_slice(&number.to_be_bytes());
                    let node = Bytes::copy_from_slice(&node);
                    // Someone else holds it too, as the decoded state does.
                    drop(node.clone());
                    shelf.insert(keccak256(&node), node, 1);
                }
                (shelf.bytes(), resident().saturating_sub(before))
            },
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_counted_for_codes_covers_what_is_held() {
        measure(
            "follow::shelf::tests::what_is_counted_for_codes_covers_what_is_held",
            |resident| {
                let mut shelf = Shelf::new(usize::MAX);
                let before = resident();
                for number in 0..COUNT / 32 {
                    // From a proxy to the largest that there may be, and mostly small.
                    let mut code = vec![0x5b; [45, 171, 1000, 24_576][number % 4]];
                    code[..8].copy_from_slice(&number.to_be_bytes());
                    let code = AnalysedCode::detached(&code.into());
                    shelf.insert(keccak256(code.as_slice()), code, 1);
                }
                (shelf.bytes(), resident().saturating_sub(before))
            },
        );
    }
}
