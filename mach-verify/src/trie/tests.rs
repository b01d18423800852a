//! Against `alloy_trie`, another implementation, which builds whole tries from sorted leaves.

use std::{cell::RefCell, collections::BTreeMap};

use alloy_primitives::{
    B256, Bytes, hex, keccak256,
    map::{B256Map, B256Set},
};
use alloy_trie::{
    EMPTY_ROOT_HASH, HashBuilder,
    proof::{ProofRetainer, verify_proof},
};
use nybbles::Nibbles;
use proptest::{collection::vec, prelude::*};

use super::*;

type Model = BTreeMap<B256, Vec<u8>>;

/// Key of a small family, in which paths fork early, late and at the last nibble, so that all node
/// shapes and nodes short enough to embed occur.
fn family(selector: u16) -> B256 {
    let mut key = match selector >> 12 & 3 {
        0 => B256::ZERO,
        1 => B256::repeat_byte(0x11),
        2 => b256_with(0, 0x10),
        _ => keccak256([selector as u8 & 3]),
    };
    key[15] ^= (selector >> 8 & 3) as u8;
    key[30] ^= (selector >> 6 & 3) as u8;
    key[31] ^= (selector & 0x1f) as u8;
    key
}

fn b256_with(index: usize, byte: u8) -> B256 {
    let mut key = B256::ZERO;
    key[index] = byte;
    key
}

fn key() -> impl Strategy<Value = B256> {
    prop_oneof![4 => (0..0x4000u16).prop_map(family), 1 => any::<[u8; 32]>().prop_map(B256::new)]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => vec(any::<u8>(), 1..=2),
        2 => vec(any::<u8>(), 30..=34),
        1 => vec(any::<u8>(), 50..=120)
    ]
}

/// `None` removes.
fn updates(max: usize) -> impl Strategy<Value = Vec<(B256, Option<Vec<u8>>)>> {
    vec(
        (
            key(),
            prop_oneof![3 => value().prop_map(Some), 2 => Just(None)],
        ),
        0..max,
    )
}

fn model(max: usize) -> impl Strategy<Value = Model> {
    vec((key(), value()), 0..max).prop_map(|leaves| leaves.into_iter().collect())
}

fn reference_root(model: &Model) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// Nodes on the paths of `keys`, as `alloy_trie` gives them.
fn reference_proofs(model: &Model, keys: &[B256]) -> Vec<Bytes> {
    let targets = keys.iter().map(Nibbles::unpack).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets));
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root();
    builder
        .take_proof_nodes()
        .into_inner()
        .into_values()
        .collect()
}

fn build(model: &Model) -> SparseTrie {
    let mut trie = SparseTrie::default();
    for (key, value) in model {
        trie.insert(&WitnessNodes::default(), *key, value.clone().into())
            .unwrap();
    }
    trie
}

fn committed(model: &Model) -> (B256, WitnessNodes) {
    let mut nodes = WitnessNodes::default();
    let root = build(model).commit(|hash, node| {
        assert_eq!(hash, keccak256(&node));
        nodes.insert_hashed(hash, node);
    });
    (root, nodes)
}

fn update(
    trie: &mut SparseTrie,
    store: &impl NodeStore,
    key: B256,
    value: Option<&[u8]>,
) -> Result<(), TrieError> {
    match value {
        Some(value) => trie.insert(store, key, Bytes::copy_from_slice(value)),
        None => trie.remove(store, key).map(drop),
    }
}

fn update_model(model: &mut Model, key: B256, value: Option<Vec<u8>>) {
    match value {
        Some(value) => drop(model.insert(key, value)),
        None => drop(model.remove(&key)),
    }
}

/// Store that knows which nodes were asked for.
struct Asked<'a> {
    store: &'a WitnessNodes,
    asked: RefCell<B256Set>,
}

impl NodeStore for Asked<'_> {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        self.asked.borrow_mut().insert(*hash);
        self.store.node(hash)
    }
}

/// Inserts first, then removals: what the state layer does.
fn run(
    root: B256,
    store: &impl NodeStore,
    updates: &B256Map<Option<Vec<u8>>>,
) -> Result<B256, TrieError> {
    let mut trie = SparseTrie::new(root);
    for removal in [false, true] {
        for (key, value) in updates
            .iter()
            .filter(|(_, value)| value.is_none() == removal)
        {
            update(&mut trie, store, *key, value.as_deref())?;
        }
    }
    Ok(trie.root())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_sequence_of_updates_gives_the_root_of_its_outcome(
        updates in updates(80), every in 1usize..12,
    ) {
        let store = WitnessNodes::default();
        let (mut trie, mut model) = (SparseTrie::default(), Model::new());
        for (step, (key, value)) in updates.into_iter().enumerate() {
            update(&mut trie, &store, key, value.as_deref()).unwrap();
            update_model(&mut model, key, value);
            // Roots in between leave clean nodes behind that later updates must invalidate.
            if step % every == 0 {
                prop_assert_eq!(trie.root(), reference_root(&model));
            }
        }
        prop_assert_eq!(trie.root(), reference_root(&model));
        for (key, value) in &model {
            prop_assert_eq!(trie.get(&store, *key).unwrap(), Some(value.as_slice()));
        }
    }

    #[test]
    fn a_committed_trie_continues_from_its_root(
        first in model(60), absent in vec(key(), 0..10), updates in updates(60),
    ) {
        let (root, mut store) = committed(&first);
        prop_assert_eq!(root, reference_root(&first));
        let mut trie = SparseTrie::new(root);
        for key in first.keys().chain(&absent) {
            let expected = first.get(key).map(Vec::as_slice);
            prop_assert_eq!(trie.get(&store, *key).unwrap(), expected);
        }
        let mut second = first.clone();
        for (key, value) in updates {
            update(&mut trie, &store, key, value.as_deref()).unwrap();
            update_model(&mut second, key, value);
        }
        let mut added = Vec::new();
        let new_root = trie.commit(|hash, node| added.push((hash, node)));
        prop_assert_eq!(new_root, reference_root(&second));
        for (hash, node) in added {
            store.insert_hashed(hash, node);
        }
        trie.commit(|_, _| panic!("a node was handed out twice"));
        for (root, model) in [(root, &first), (new_root, &second)] {
            let mut trie = SparseTrie::new(root);
            for (key, value) in model {
                prop_assert_eq!(trie.get(&store, *key).unwrap(), Some(value.as_slice()));
            }
        }
    }

    /// Only the proofs of the updated keys are known, as `alloy_trie` makes them.
    #[test]
    fn a_partial_witness_gives_the_full_root_or_names_what_is_missing(
        mut model in model(60), picks in vec((any::<prop::sample::Index>(), value()), 1..12),
        others in updates(6),
    ) {
        let root = reference_root(&model);
        let mut updates: B256Map<_> = others.into_iter().collect();
        for (index, (pick, value)) in picks.iter().enumerate() {
            if !model.is_empty() {
                let key = *model.keys().nth(pick.index(model.len())).unwrap();
                updates.insert(key, (index % 2 == 0).then(|| value.clone()));
            }
        }
        let keys: Vec<_> = updates.keys().copied().collect();
        let store = WitnessNodes::new(reference_proofs(&model, &keys));
        let only_sets = updates.values().all(Option::is_some);
        let full = committed(&model).1;
        for (key, value) in &updates {
            update_model(&mut model, *key, value.clone());
        }
        match run(root, &store, &updates) {
            Ok(computed) => prop_assert_eq!(computed, reference_root(&model)),
            // The sibling of something that was removed, which the proofs need not hold.
            Err(TrieError::MissingNode { hash, .. }) => {
                prop_assert!(!only_sets && store.node(&hash).is_none());
                prop_assert!(full.node(&hash).is_some());
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// What `eth_getProof` gives before and after is enough, unless the sibling is a branch.
    #[test]
    fn shortened_nodes_of_later_proofs_supply_siblings(
        mut model in model(60), picks in vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let (root, full) = committed(&model);
        let updates: B256Map<Option<Vec<u8>>> = (picks.iter().filter(|_| !model.is_empty()))
            .map(|pick| (*model.keys().nth(pick.index(model.len())).unwrap(), None))
            .collect();
        let keys: Vec<_> = updates.keys().copied().collect();
        let mut store = WitnessNodes::new(reference_proofs(&model, &keys));
        for key in &keys {
            model.remove(key);
        }
        store.extend(reference_proofs(&model, &keys).iter().flat_map(shortened));
        match run(root, &store, &updates) {
            Ok(computed) => prop_assert_eq!(computed, reference_root(&model)),
            Err(TrieError::MissingNode { hash, .. }) => {
                let sibling = full.node(&hash).unwrap();
                let is_branch = matches!(decode::node(sibling, 0), Ok(node::Node::Branch { .. }));
                prop_assert!(is_branch);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// Recorded over the whole trie, a witness is complete, and each of its nodes is needed.
    #[test]
    fn what_was_asked_for_is_enough_and_all_of_it_is_needed(
        mut model in model(60), picks in vec((any::<prop::sample::Index>(), value()), 1..12),
    ) {
        let (root, full) = committed(&model);
        let mut updates: B256Map<_> = B256Map::default();
        for (index, (pick, value)) in picks.iter().enumerate() {
            if !model.is_empty() {
                let key = *model.keys().nth(pick.index(model.len())).unwrap();
                updates.insert(key, (index % 2 == 0).then(|| value.clone()));
            }
        }
        let recorder = Asked { store: &full, asked: RefCell::default() };
        let computed = run(root, &recorder, &updates).unwrap();
        for (key, value) in &updates {
            update_model(&mut model, *key, value.clone());
        }
        prop_assert_eq!(computed, reference_root(&model));
        let asked: Vec<_> = recorder.asked.into_inner().into_iter().collect();
        for left_out in 0..=asked.len() {
            let nodes = asked.iter().enumerate().filter(|(index, _)| *index != left_out);
            let part = WitnessNodes::new(nodes.filter_map(|(_, hash)| full.node(hash)));
            match run(root, &part, &updates) {
                Ok(root) => prop_assert!(left_out == asked.len() && root == computed),
                Err(TrieError::MissingNode { hash, .. }) => {
                    prop_assert_eq!(hash, asked[left_out]);
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn proofs_convince_another_implementation(
        model in model(60), absent in vec(key(), 0..10), changes in updates(10),
    ) {
        let (root, store) = committed(&model);
        let mut model = model;
        let mut trie = SparseTrie::new(root);
        for (key, value) in changes {
            update(&mut trie, &store, key, value.as_deref()).unwrap();
            update_model(&mut model, key, value);
        }
        for key in model.keys().chain(&absent) {
            let proof = trie.prove(&store, *key).unwrap();
            let expected = model.get(key).cloned();
            verify_proof(trie.root(), Nibbles::unpack(key), expected, &proof).unwrap();
        }
    }

    #[test]
    fn failed_updates_change_nothing(model in model(40), updates in updates(20)) {
        let (root, store) = committed(&model);
        let hidden: Vec<_> = store.iter().map(|(hash, _)| *hash).filter(|h| h[0] % 3 == 0).collect();
        let mut part = WitnessNodes::default();
        for (hash, node) in store.iter().filter(|(hash, _)| !hidden.contains(hash)) {
            part.insert_hashed(*hash, node.clone());
        }
        let mut expected = model;
        let mut trie = SparseTrie::new(root);
        for (key, value) in updates {
            if update(&mut trie, &part, key, value.as_deref()).is_ok() {
                update_model(&mut expected, key, value);
            }
        }
        prop_assert_eq!(trie.root(), reference_root(&expected));
    }

    #[test]
    fn decoding_never_panics_and_accepts_only_what_it_would_encode(
        model in model(30), pick in any::<prop::sample::Index>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in prop::option::of(any::<prop::sample::Index>()), depth in 0usize..=64,
    ) {
        let (_, store) = committed(&model);
        let nodes: Vec<_> = store.iter().map(|(_, node)| node.to_vec()).collect();
        let mut node = if nodes.is_empty() { vec![0xc0] } else { pick.get(&nodes).clone() };
        for (at, byte) in damage {
            let at = at.index(node.len());
            node[at] = byte;
        }
        if let Some(cut) = cut {
            node.truncate(cut.index(node.len()));
        }
        check_round_trip(node.into(), depth);
    }

    #[test]
    fn decoding_of_anything_never_panics(node in vec(any::<u8>(), 0..80), depth in 0usize..=64) {
        check_round_trip(node.into(), depth);
    }
}

fn check_round_trip(raw: Bytes, depth: usize) {
    if let Ok(node) = decode::node(raw.clone(), depth) {
        let mut out = Vec::new();
        let start = encode::node(&node, |_| unreachable!("nothing is resolved"), &mut out);
        assert_eq!(out[start..], raw[..]);
    }
}

#[test]
fn an_empty_trie_has_the_empty_root_and_an_empty_proof() {
    let store = WitnessNodes::default();
    let mut trie = SparseTrie::new(EMPTY_ROOT_HASH);
    assert_eq!(trie.get(&store, B256::ZERO), Ok(None));
    assert_eq!(trie.remove(&store, B256::ZERO), Ok(false));
    assert_eq!(trie.prove(&store, B256::ZERO), Ok(vec![]));
    trie.insert(&store, B256::ZERO, Bytes::from_static(&[1]))
        .unwrap();
    assert_eq!(trie.remove(&store, B256::ZERO), Ok(true));
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    let empty = trie.insert(&store, B256::ZERO, Bytes::new());
    assert_eq!(empty, Err(TrieError::EmptyValue));
}

#[test]
fn an_unknown_root_is_an_error_and_not_an_absent_key() {
    let hash = B256::repeat_byte(7);
    let mut trie = SparseTrie::new(hash);
    let missing = TrieError::MissingNode {
        hash,
        path: Nibbles::new(),
    };
    assert_eq!(trie.get(&WitnessNodes::default(), B256::ZERO), Err(missing));
    assert_eq!(trie.root(), hash);
}

/// Three keys below one branch: removing two of them needs the third, unless the branch is refilled
/// before.
#[test]
fn inserting_before_removing_needs_no_sibling() {
    let [first, second, third, fourth] = [0x10, 0x20, 0x30, 0x40].map(|byte| b256_with(0, byte));
    let long = |byte| vec![byte; 40];
    let model = Model::from([(first, long(1)), (second, long(2)), (third, long(3))]);
    let root = reference_root(&model);
    let proofs = reference_proofs(&model, &[first, second, fourth]);
    let store = WitnessNodes::new(proofs);

    let mut trie = SparseTrie::new(root);
    trie.remove(&store, first).unwrap();
    let missing = trie.remove(&store, second).unwrap_err();
    let TrieError::MissingNode { path, .. } = missing else {
        panic!("{missing}")
    };
    assert_eq!(path, Nibbles::from_nibbles([3]));
    // The failed removal can be made up for.
    trie.insert(&store, fourth, long(4).into()).unwrap();
    trie.remove(&store, second).unwrap();
    let left = Model::from([(third, long(3)), (fourth, long(4))]);
    assert_eq!(trie.root(), reference_root(&left));
}

/// Each line breaks one rule; the nodes around it are right.
#[test]
fn malformed_nodes_are_refused() {
    let hash = "a0".to_owned() + &"11".repeat(32);
    let embedded = |item: &str| format!("{item}{}", "80".repeat(14));
    let list = |payload: &str| {
        let mut out = Vec::new();
        let payload = hex::decode(payload).unwrap();
        alloy_rlp::Header {
            list: true,
            payload_length: payload.len(),
        }
        .encode(&mut out);
        [out, payload].concat()
    };
    let leaf_path = |flag: &str| format!("a1{flag}{}", "00".repeat(32));
    let cases: &[(&str, Vec<u8>)] = &[
        ("not an RLP item", vec![]),
        ("not an RLP item", vec![0xf8, 0x01, 0x80]),
        ("not a list", vec![0x81, 0x80]),
        ("trailing bytes", vec![0xc0, 0x00]),
        ("neither 2 nor 17 items", vec![0xc0]),
        ("neither 2 nor 17 items", list(&"80".repeat(16))),
        ("more than 17 items", list(&"80".repeat(18))),
        ("item is not RLP", list("b9")),
        ("item is not RLP", list(&format!("8101{hash}"))),
        (
            "branch with fewer than two children",
            list(&"80".repeat(17)),
        ),
        (
            "branch with fewer than two children",
            list(&(hash.clone() + &"80".repeat(16))),
        ),
        (
            "branch with a value",
            list(&(hash.repeat(2) + &"80".repeat(14) + "01")),
        ),
        (
            "child is neither a hash nor a short node",
            list(&(embedded("01") + &hash + "80")),
        ),
        (
            "child is neither a hash nor a short node",
            list(&(embedded(&format!("9f{}", "11".repeat(31))) + &hash + "80")),
        ),
        (
            "child is neither a hash nor a short node",
            list(&(embedded(&format!("df{}", "01".repeat(31))) + &hash + "80")),
        ),
        ("path without a prefix", list("8001")),
        ("path with an unknown prefix", list("4001")),
        ("path with an unknown prefix", list("2101")),
        (
            "path longer than the key",
            list(&format!("{}01", leaf_path("31"))),
        ),
        (
            "path longer than the key",
            list(&format!("a220{}01", "00".repeat(33))),
        ),
        ("leaf does not end the key", list("2001")),
        (
            "leaf without a value",
            list(&format!("{}80", leaf_path("20"))),
        ),
        (
            "item is not a string",
            list(&format!("{}c0", leaf_path("20"))),
        ),
        ("item is not a string", list("c001")),
        ("extension without a path", list(&format!("00{hash}"))),
        (
            "extension to the end of the key",
            list(&format!("{}{hash}", leaf_path("00"))),
        ),
        ("child is neither a hash nor a short node", list("1180")),
    ];
    for (reason, raw) in cases {
        let raw = Bytes::copy_from_slice(raw);
        let refused = decode::node(raw.clone(), 0).map(drop);
        assert_eq!(refused, Err(*reason), "{raw}");
        // The same through a trie, by the node's hash.
        let mut trie = SparseTrie::new(keccak256(&raw));
        let malformed = TrieError::MalformedNode {
            path: Nibbles::new(),
            reason,
        };
        assert_eq!(
            trie.get(&WitnessNodes::new([raw]), B256::ZERO),
            Err(malformed)
        );
    }
    let branch = Bytes::from(list(&(hash.repeat(2) + &"80".repeat(15))));
    assert!(decode::node(branch.clone(), 63).is_ok());
    let deep = decode::node(branch, 64).map(drop);
    assert_eq!(deep, Err("branch below the end of the key"));
}

#[test]
fn what_hangs_below_an_extension_is_a_branch() {
    let leaf = {
        let path = format!("20{}", "00".repeat(31));
        let payload = hex::decode(format!("a0{path}a0{}", "ab".repeat(32))).unwrap();
        let mut node = Vec::new();
        alloy_rlp::Header {
            list: true,
            payload_length: payload.len(),
        }
        .encode(&mut node);
        Bytes::from([node, payload].concat())
    };
    let extension = [&hex!("e4820000a0")[..], keccak256(&leaf).as_slice()].concat();
    let store = WitnessNodes::new([leaf, extension.clone().into()]);
    let error = SparseTrie::new(keccak256(&extension))
        .get(&store, B256::ZERO)
        .unwrap_err();
    let path = Nibbles::from_nibbles([0, 0]);
    let reason = "extension that does not lead to a branch";
    assert_eq!(error, TrieError::MalformedNode { path, reason });
}
