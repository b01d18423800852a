//! The trie over nodes that strangers sent.

use alloy_primitives::{B256, Bytes, keccak256};
use mach_verify::trie::{SparseTrie, WitnessNodes};

/// Stands in a node for the hash of an earlier one: this, then the index of that node.
const PLACEHOLDER: [u8; 31] = [0xfe; 31];

/// Nodes, each after its length in two bytes, children before their parents; the last is the root.
///
/// No fuzzer guesses a Keccak hash, so a node names its children by [`PLACEHOLDER`]. The 32 bytes
/// after an empty node, or what there is of them, are one of the keys.
pub fn trie(data: &[u8]) {
    let (nodes, rest) = nodes(data);
    let Some(root) = nodes.last().map(keccak256) else {
        return;
    };
    let store = WitnessNodes::new(nodes);
    let mut key = B256::ZERO;
    let length = rest.len().min(32);
    key[..length].copy_from_slice(&rest[..length]);

    for key in [key, B256::ZERO, B256::repeat_byte(0xff)] {
        let mut trie = SparseTrie::new(root);
        let Ok(found) = trie.get(&store, key).map(|it| it.map(<[u8]>::to_vec)) else {
            continue;
        };
        // Looking changes nothing.
        assert_eq!(trie.root(), root);
        let mut proof = trie.clone();
        let _ = proof.prove(&store, key);
        // An answer follows from the nodes alone, so asking again gives it again.
        assert_eq!(trie.get(&store, key), Ok(found.as_deref()));

        let mut removed = trie.clone();
        if removed.remove(&store, key).is_ok() {
            assert_eq!(removed.get(&store, key), Ok(None));
            let _ = removed.commit(|_, _| {});
        }
        if trie
            .insert(&store, key, Bytes::from_static(b"value"))
            .is_ok()
        {
            assert_eq!(trie.get(&store, key), Ok(Some(&b"value"[..])));
            let hash = trie.root();
            assert_eq!(trie.commit(|_, _| {}), hash);
        }
    }
}

fn nodes(mut data: &[u8]) -> (Vec<Bytes>, &[u8]) {
    let mut nodes: Vec<Bytes> = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((node, rest)) = rest.split_at_checked(length) else {
            break;
        };
        data = rest;
        if node.is_empty() {
            break;
        }
        nodes.push(with_hashes(node, &nodes));
    }
    (nodes, data)
}

fn with_hashes(node: &[u8], earlier: &[Bytes]) -> Bytes {
    let mut node = node.to_vec();
    let mut at = 0;
    while let Some(window) = node.get_mut(at..at + 32) {
        match window.split_last() {
            Some((index, hash)) if hash == PLACEHOLDER => {
                if let Some(child) = earlier.get(usize::from(*index)) {
                    window.copy_from_slice(keccak256(child).as_slice());
                }
                at += 32;
            }
            _ => at += 1,
        }
    }
    node.into()
}
