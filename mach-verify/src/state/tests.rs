//! Against `alloy_trie`, another implementation, and against blocks of public chains.

use std::{collections::BTreeMap, fmt::Debug};

use alloy_consensus::{Header, Transaction, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address, hex, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, proof::verify_proof, root};
use mach_core::{L2Block, Verdict};
use nybbles::Nibbles;
use op_alloy_consensus::OpTxEnvelope;
use proptest::{collection::vec, prelude::*};
use revm::{
    Database, DatabaseCommit,
    database::{State, states::bundle_state::BundleRetention},
    state::{Account as EvmAccount, AccountInfo, AccountStatus, EvmStorageSlot},
};

use super::*;
use crate::{
    ChainSpec, ExecuteError,
    source::{RecordedBlock, recorded_files},
    verify,
};

type Model = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

fn apply_to(model: &mut Model, update: AccountUpdate) {
    let Some(account) = update.account else {
        model.remove(&update.address);
        return;
    };
    let (body, storage) = model.entry(update.address).or_default();
    *body = account;
    if update.wipe_storage {
        storage.clear();
    }
    for (slot, value) in update.storage {
        if value.is_zero() {
            storage.remove(&slot);
        } else {
            storage.insert(slot, value);
        }
    }
}

fn reference_account((account, storage): &(Account, BTreeMap<U256, U256>)) -> TrieAccount {
    let slots = storage
        .iter()
        .map(|(slot, value)| (B256::from(*slot), *value));
    TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root: root::storage_root_unhashed(slots),
        code_hash: account.code_hash,
    }
}

fn reference_root(model: &Model) -> B256 {
    root::state_root_unhashed(
        model
            .iter()
            .map(|(key, state)| (*key, reference_account(state))),
    )
}

fn address() -> impl Strategy<Value = Address> {
    (0..24u8).prop_map(Address::repeat_byte)
}

fn slot() -> impl Strategy<Value = U256> {
    (0..12u8).prop_map(U256::from)
}

fn update() -> impl Strategy<Value = AccountUpdate> {
    let account = (0..3u64, 0..3u8).prop_map(|(nonce, balance)| Account {
        nonce,
        balance: U256::from(balance),
        ..Default::default()
    });
    let storage = vec(
        (
            slot(),
            prop_oneof![Just(0u64), any::<u64>()].prop_map(U256::from),
        ),
        0..6,
    );
    (
        address(),
        prop::option::weighted(0.8, account),
        prop::bool::weighted(0.15),
        storage,
    )
        .prop_map(|(address, account, wipe_storage, storage)| AccountUpdate {
            address,
            account,
            wipe_storage,
            storage,
        })
}

fn updates() -> impl Strategy<Value = Vec<AccountUpdate>> {
    vec(update(), 0..40)
}

/// State over a store that holds the outcome of `updates`.
fn stored(updates: Vec<AccountUpdate>) -> (MemoryStore, B256, Model) {
    let mut model = Model::new();
    let mut state = WitnessState::new(MemoryStore::new(), EMPTY_ROOT_HASH);
    for update in updates {
        apply_to(&mut model, update.clone());
        state.apply([update]).unwrap();
    }
    let updates = state.commit().unwrap();
    let root = updates.root;
    let mut store = state.into_store();
    store.insert(updates);
    (store, root, model)
}

proptest! {
    #[test]
    fn any_updates_give_the_root_and_the_values_of_their_outcome(
        before in updates(), after in updates(), every in 1usize..8,
    ) {
        let (store, root, mut model) = stored(before);
        prop_assert_eq!(root, reference_root(&model));
        let mut state = TrieState::new(&store, root);
        for (step, update) in after.into_iter().enumerate() {
            apply_to(&mut model, update.clone());
            state.apply([update]).unwrap();
            // What was applied is read before and after it reaches the tries.
            for address in (0..24).map(Address::repeat_byte) {
                let known = model.get(&address);
                for slot in (0..12).map(U256::from) {
                    let value = known.and_then(|(_, storage)| storage.get(&slot));
                    let value = value.copied().unwrap_or_default();
                    prop_assert_eq!(state.storage(address, slot).unwrap(), value);
                }
            }
            if step % every == 0 {
                prop_assert_eq!(state.root().unwrap(), reference_root(&model));
            }
        }
        for address in (0..24).map(Address::repeat_byte) {
            let account = model.get(&address).map(reference_account);
            prop_assert_eq!(state.account(address).unwrap(), account);
        }
        prop_assert_eq!(state.root().unwrap(), reference_root(&model));
    }

    #[test]
    fn what_a_recorder_saw_is_a_complete_witness(before in updates(), after in updates()) {
        let (store, root, _) = stored(before);
        let recorder = Recorder::new(&store);
        let expected = run(&recorder, root, &after);
        let Recorded { nodes, .. } = recorder.take();
        prop_assert_eq!(run(&MemoryStore::from_witness(nodes.clone(), []), root, &after), expected);
        for left_out in 0..nodes.len() {
            let mut part = nodes.clone();
            let missing = keccak256(part.remove(left_out));
            match run(&MemoryStore::from_witness(part, []), root, &after) {
                Err(StateError::MissingNode { hash, .. }) => prop_assert_eq!(hash, missing),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(recorder.take(), Recorded::default());
    }

    #[test]
    fn proofs_convince_another_implementation(before in updates(), after in updates()) {
        let (store, root, mut model) = stored(before);
        let mut state = TrieState::new(&store, root);
        for update in after {
            apply_to(&mut model, update.clone());
            state.apply([update]).unwrap();
        }
        let slots: Vec<_> = (0..12).map(U256::from).collect();
        for address in (0..24).map(Address::repeat_byte) {
            let proof = state.prove(address, &slots).unwrap();
            let account = model.get(&address).map(reference_account);
            prop_assert_eq!(proof.account, account);
            let key = Nibbles::unpack(keccak256(address));
            let root = reference_root(&model);
            verify_proof(root, key, account.map(alloy_rlp::encode), &proof.nodes).unwrap();

            let storage_root = account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
            prop_assert_eq!(proof.storage.len(), slots.len());
            for (StorageProof { slot, value, nodes }, asked) in proof.storage.into_iter().zip(&slots) {
                prop_assert_eq!(slot, *asked);
                let key = Nibbles::unpack(keccak256(B256::from(slot)));
                let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
                verify_proof(storage_root, key, leaf, &nodes).unwrap();
            }
        }
    }
}

fn run(store: &impl StateStore, root: B256, updates: &[AccountUpdate]) -> Result<B256, StateError> {
    let mut state = TrieState::new(store, root);
    for update in updates {
        state.apply([update.clone()])?;
    }
    state.root()
}

/// `address` with one slot set, beside enough other accounts that its path is not the whole trie.
fn one_contract(address: Address) -> (MemoryStore, B256, Model) {
    let mut updates: Vec<_> = (0..40)
        .map(|byte| AccountUpdate {
            address: Address::repeat_byte(byte),
            account: Some(Account {
                nonce: 1,
                ..Default::default()
            }),
            ..Default::default()
        })
        .collect();
    updates.push(AccountUpdate {
        address,
        account: Some(Account {
            nonce: 1,
            balance: U256::from(5),
            ..Default::default()
        }),
        wipe_storage: false,
        storage: vec![
            (U256::from(1), U256::from(11)),
            (U256::from(2), U256::from(22)),
        ],
    });
    stored(updates)
}

const CONTRACT: Address = address!("00000000000000000000000000000000000c0de0");

#[test]
fn what_is_missing_is_named_with_its_account_and_slot() {
    let (store, root, model) = one_contract(CONTRACT);
    let storage_root = reference_account(&model[&CONTRACT]).storage_root;
    let all = || store.nodes().iter().map(|(_, node)| node.clone());
    let damaged = |hash: B256| {
        MemoryStore::from_witness(
            all().map(|node| {
                let mut bytes = node.to_vec();
                bytes[5] ^= u8::from(keccak256(&node) == hash);
                bytes.into()
            }),
            [],
        )
    };
    let mut state = TrieState::new(damaged(storage_root), root);
    let (address, slot) = (CONTRACT, Some(U256::from(1)));
    let missing = StateError::MissingNode {
        address,
        slot,
        hash: storage_root,
    };
    assert_eq!(state.storage(CONTRACT, U256::from(1)), Err(missing));
    assert_eq!(
        state.account(CONTRACT).unwrap().unwrap().storage_root,
        storage_root
    );

    let mut state = TrieState::new(damaged(root), root);
    let missing = StateError::MissingNode {
        address,
        slot: None,
        hash: root,
    };
    assert_eq!(state.account(CONTRACT), Err(missing));

    let hash = keccak256([1]);
    assert_eq!(state.code(hash), Err(StateError::MissingCode { hash }));
    assert_eq!(state.code(KECCAK256_EMPTY), Ok(Bytes::new()));
    assert_eq!(state.insert_code(Bytes::from_static(&[1])), hash);
    assert_eq!(state.code(hash), Ok(Bytes::from_static(&[1])));
    assert_eq!(
        state.commit().unwrap().codes,
        [(hash, Bytes::from_static(&[1]))]
    );
    assert_eq!(state.commit().unwrap().codes, []);
}

#[test]
fn a_failed_root_can_be_computed_once_the_node_is_there() {
    let (store, root, mut model) = one_contract(CONTRACT);
    let update = AccountUpdate {
        address: CONTRACT,
        account: Some(Account {
            nonce: 2,
            ..Default::default()
        }),
        wipe_storage: false,
        storage: vec![(U256::from(1), U256::ZERO)],
    };
    // Removing slot 1 of two leaves the leaf of slot 2, on whose path nothing else lies.
    let recorder = Recorder::new(&store);
    run(&recorder, root, std::slice::from_ref(&update)).unwrap();
    let mut nodes = recorder.take().nodes;
    let sibling = nodes.pop().unwrap();
    let known = MemoryStore::from_witness(nodes, []);

    let mut state = TrieState::new(known, root);
    state.apply([update.clone()]).unwrap();
    let missing = state.root().unwrap_err();
    assert!(matches!(
        missing,
        StateError::MissingNode { address: CONTRACT, slot: Some(slot), hash }
            if slot == U256::from(1) && hash == keccak256(&sibling)
    ));
    assert_eq!(state.root(), Err(missing));

    let found = StateUpdates {
        nodes: vec![(keccak256(&sibling), sibling)],
        ..Default::default()
    };
    state.store_mut().insert(found);
    apply_to(&mut model, update);
    assert_eq!(state.root().unwrap(), reference_root(&model));
}

#[test]
fn claimed_block_hashes_are_remembered_once_read() {
    let mut hashes = BlockHashes::new();
    hashes.prove(9, B256::repeat_byte(9));
    hashes.claim(8, B256::repeat_byte(8));
    let mut state =
        WitnessState::new(MemoryStore::new(), EMPTY_ROOT_HASH).with_block_hashes(hashes);
    assert_eq!(state.block_hash(9), Ok(B256::repeat_byte(9)));
    assert!(state.claimed_hashes_read().is_empty());
    assert_eq!(
        Database::block_hash(&mut state, 8),
        Ok(B256::repeat_byte(8))
    );
    assert_eq!(state.claimed_hashes_read(), [8]);
    assert_eq!(
        state.block_hash(7),
        Err(StateError::MissingBlockHash { number: 7 })
    );
}

#[test]
fn malformed_values_are_errors() {
    let key = keccak256(CONTRACT);
    let with_leaf = |value: &'static [u8]| {
        let mut trie = crate::trie::SparseTrie::default();
        let store = MemoryStore::new();
        trie.insert(&store, key, Bytes::from_static(value)).unwrap();
        let mut nodes = Vec::new();
        let root = trie.commit(|_, node| nodes.push(node));
        TrieState::new(MemoryStore::from_witness(nodes, []), root)
    };
    // No list, a list of one item, a list that is cut short.
    for value in [&[0x05][..], &[0xc1, 0x80], &[0xc2, 0x80]] {
        let malformed = StateError::MalformedValue {
            address: CONTRACT,
            slot: None,
        };
        assert_eq!(with_leaf(value).account(CONTRACT), Err(malformed));
    }
}

fn evm_account(nonce: u64, balance: u64, status: AccountStatus) -> EvmAccount {
    let info = AccountInfo {
        nonce,
        balance: U256::from(balance),
        ..Default::default()
    };
    EvmAccount {
        info,
        status: status | AccountStatus::Touched,
        ..Default::default()
    }
}

/// What a transaction wrote, in the machine's words.
fn evm_slots(account: EvmAccount, slots: &[(u64, u64, u64)]) -> EvmAccount {
    let storage = slots.iter().map(|&(slot, original, present)| {
        let value = EvmStorageSlot::new_changed(U256::from(original), U256::from(present), 0);
        (U256::from(slot), value)
    });
    EvmAccount {
        storage: storage.collect(),
        ..account
    }
}

/// Destroyed, created again with other slots, destroyed and created once more; touched empty
/// accounts; ordinary writes. The outcome is written out by hand.
#[test]
fn bundles_and_single_transactions_give_the_same_state() {
    let (created, ordinary) = (AccountStatus::Created, AccountStatus::empty());
    let destroyed = AccountStatus::SelfDestructed;
    let [new, empty, kept_empty] = [0xaa, 1, 0xee].map(Address::repeat_byte);
    let transactions: [Vec<(Address, EvmAccount)>; 4] = [
        vec![
            (
                CONTRACT,
                evm_slots(evm_account(1, 0, ordinary), &[(1, 11, 0), (3, 0, 33)]),
            ),
            (new, evm_slots(evm_account(1, 7, created), &[(1, 0, 1)])),
            (empty, evm_account(0, 0, ordinary)),
            // How the journal keeps an empty account before EIP-161.
            (kept_empty, evm_account(0, 0, created)),
        ],
        vec![(CONTRACT, evm_account(0, 0, destroyed))],
        vec![
            (
                CONTRACT,
                evm_slots(evm_account(1, 9, created), &[(2, 0, 5), (4, 0, 44)]),
            ),
            (new, evm_account(0, 0, destroyed)),
        ],
        vec![(
            CONTRACT,
            evm_slots(evm_account(2, 9, ordinary), &[(4, 44, 0), (5, 0, 55)]),
        )],
    ];

    let (store, root, mut model) = one_contract(CONTRACT);
    let storage = [(2, 5), (5, 55)].map(|(slot, value)| (U256::from(slot), U256::from(value)));
    let account = Account {
        nonce: 2,
        balance: U256::from(9),
        ..Default::default()
    };
    model.insert(CONTRACT, (account, BTreeMap::from(storage)));
    model.remove(&empty);
    model.insert(kept_empty, Default::default());

    let mut step_by_step = TrieState::new(&store, root);
    let mut by_roots = TrieState::new(&store, root);
    let mut bundled = State::builder()
        .with_database(TrieState::new(&store, root))
        .with_bundle_update()
        .build();
    for changes in transactions {
        let changes: revm::state::EvmState = changes.into_iter().collect();
        step_by_step.apply_evm_state(&changes).unwrap();
        by_roots.apply_evm_state(&changes).unwrap();
        by_roots.root().unwrap();
        for address in changes.keys() {
            bundled.basic(*address).unwrap();
        }
        bundled.commit(changes);
    }
    bundled.merge_transitions(BundleRetention::PlainState);
    let bundle = bundled.take_bundle();
    let mut of_bundle = TrieState::new(&store, root);
    of_bundle.apply_bundle(&bundle).unwrap();

    let expected = reference_root(&model);
    assert_eq!(step_by_step.root().unwrap(), expected);
    assert_eq!(by_roots.root().unwrap(), expected);
    assert_eq!(of_bundle.root().unwrap(), expected);
    // A bundle that grows over transactions is applied as a whole again.
    of_bundle.apply_bundle(&bundle).unwrap();
    assert_eq!(of_bundle.root().unwrap(), expected);
}

#[test]
fn code_that_only_looks_like_a_delegation_runs_as_code() {
    let code = Bytes::from_static(&hex!("ef01000102"));
    let store = MemoryStore::from_witness([], [code.clone()]);
    let mut state = WitnessState::new(store, EMPTY_ROOT_HASH);
    let bytecode = state.code_by_hash(keccak256(&code)).unwrap();
    assert!(bytecode.is_legacy());
    assert_eq!(bytecode.original_bytes(), code);
}

/// A block of `MACH_DATA`, as far as these tests need it.
struct Recording {
    name: String,
    root: B256,
    block: L2Block,
    nodes: Vec<Bytes>,
    codes: Vec<Bytes>,
    block_hashes: Vec<(u64, B256)>,
}

fn recordings() -> Vec<Recording> {
    let Some(data) = std::env::var_os("MACH_DATA") else {
        eprintln!("skipped: MACH_DATA is not set");
        return Vec::new();
    };
    let directory = std::path::Path::new(&data).join("blocks");
    let files = recorded_files(directory).unwrap();
    let recordings = files.into_iter().map(|path| {
        let RecordedBlock { block, witness, .. } = RecordedBlock::read(&path).unwrap();
        let header = |bytes: &Bytes| Header::decode(&mut bytes.as_ref()).unwrap().number;
        let hashes = witness
            .headers
            .iter()
            .map(|bytes| (header(bytes), keccak256(bytes)));
        Recording {
            name: path.display().to_string(),
            root: witness.parent_state_root.unwrap(),
            block,
            block_hashes: hashes.chain(witness.block_hashes).collect(),
            nodes: witness.state,
            codes: witness.codes,
        }
    });
    let recordings: Vec<_> = recordings.collect();
    assert!(!recordings.is_empty());
    recordings
}

/// Who sent each transaction, to whom, and with which nonce unless it is a deposit.
fn transactions(recording: &Recording) -> Vec<(Address, Option<Address>, Option<u64>)> {
    let mut list = Vec::new();
    for bytes in &recording.block.transactions {
        let is_rollup = !matches!(recording.block.chain_id, 1 | 17000);
        list.push(if is_rollup {
            // Celo has a type of its own.
            let Ok(transaction) = OpTxEnvelope::decode_2718_exact(bytes) else {
                continue;
            };
            let nonce = (!transaction.is_deposit()).then(|| transaction.nonce());
            (
                transaction.recover_signer_unchecked().unwrap(),
                transaction.to(),
                nonce,
            )
        } else {
            let transaction = TxEnvelope::decode_2718_exact(bytes).unwrap();
            let sender = transaction.recover_signer_unchecked().unwrap();
            (sender, transaction.to(), Some(transaction.nonce()))
        });
    }
    list
}

/// Everything that the block's transactions name, and who is paid for them.
fn visit(
    recording: &Recording,
    store: &impl StateStore,
) -> Result<Vec<Option<TrieAccount>>, StateError> {
    let mut state = TrieState::new(store, recording.root);
    let mut accounts = Vec::new();
    for (sender, recipient, nonce) in transactions(recording) {
        accounts.push(state.account(sender)?);
        if let Some(recipient) = recipient {
            let account = state.account(recipient)?;
            state.code(account.unwrap_or_default().code_hash)?;
            accounts.push(account);
        }
        // A deposit pays no fee.
        if nonce.is_some() {
            accounts.push(state.account(recording.block.header.beneficiary)?);
        }
    }
    Ok(accounts)
}

#[test]
fn senders_of_real_blocks_have_the_nonce_that_they_signed() {
    for recording in recordings() {
        let Recording { nodes, codes, .. } = &recording;
        let store = MemoryStore::from_witness(nodes.clone(), codes.clone());
        visit(&recording, &store).unwrap_or_else(|error| panic!("{}: {error}", recording.name));
        let mut state = TrieState::new(store, recording.root);
        let mut next = BTreeMap::new();
        for (sender, _, nonce) in transactions(&recording) {
            let account = state.account(sender).unwrap().unwrap_or_default();
            let Some(nonce) = nonce else { continue };
            let expected = next.entry(sender).or_insert(account.nonce);
            assert_eq!(*expected, nonce, "{} {sender}", recording.name);
            *expected += 1;
        }
        // Reading changes nothing.
        assert_eq!(state.root().unwrap(), recording.root);
    }
}

#[test]
fn damage_to_a_real_witness_is_missing_or_without_effect() {
    for recording in recordings() {
        let Recording { nodes, codes, .. } = &recording;
        let recorder = Recorder::new(MemoryStore::from_witness(nodes.clone(), codes.clone()));
        let honest = visit(&recording, &recorder).unwrap();
        let used = recorder.take().nodes;
        let step = nodes.len().div_ceil(16);
        for at in (0..nodes.len()).step_by(step).chain([0, nodes.len() - 1]) {
            let mut bytes = nodes[at].to_vec();
            let bit = at * 7 % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut damaged = nodes.clone();
            damaged[at] = bytes.into();
            let store = MemoryStore::from_witness(damaged, codes.clone());
            match visit(&recording, &store) {
                Err(StateError::MissingNode { hash, .. }) => {
                    assert!(used.contains(&nodes[at]) && hash == keccak256(&nodes[at]));
                }
                Ok(accounts) => assert!(!used.contains(&nodes[at]) && accounts == honest),
                Err(error) => panic!("{}: {error}", recording.name),
            }
        }
        // The first that is read is the root of the state.
        assert_eq!(keccak256(&used[0]), recording.root);
    }
}

/// Nodes that other clients encoded, at the depth that their path says.
#[test]
fn real_nodes_are_handed_out_byte_for_byte() {
    for recording in recordings() {
        let store = MemoryStore::from_witness(recording.nodes.clone(), []);
        let mut state = TrieState::new(&store, recording.root);
        for (sender, _, _) in transactions(&recording) {
            let proof = state.prove(sender, &[]).unwrap();
            assert!(
                proof
                    .nodes
                    .iter()
                    .all(|node| recording.nodes.contains(node))
            );
            let leaf = proof.account.map(alloy_rlp::encode);
            let key = Nibbles::unpack(keccak256(sender));
            verify_proof(recording.root, key, leaf, &proof.nodes).unwrap();
        }
    }
}

/// Whether the block is valid on what the store holds.
fn execute(recording: &Recording, store: impl StateStore + Debug) -> Result<bool, ExecuteError> {
    let mut hashes = BlockHashes::new();
    for (number, hash) in &recording.block_hashes {
        hashes.claim(*number, *hash);
    }
    let mut state = TrieState::new(store, recording.root).with_block_hashes(hashes);
    let spec = ChainSpec::known(recording.block.chain_id).unwrap();
    verify::run(&spec, &recording.block, &mut state)
        .map(|verdict| matches!(verdict, Verdict::Valid(_)))
}

/// Recorded while a real block is executed, a witness is complete, smaller, and without surplus.
#[test]
fn real_blocks_execute_on_what_a_recorder_saw_and_on_nothing_less() {
    for recording in recordings() {
        let Recording {
            name, nodes, codes, ..
        } = &recording;
        let recorder = Recorder::new(MemoryStore::from_witness(nodes.clone(), codes.clone()));
        assert!(execute(&recording, &recorder).unwrap(), "{name}");
        let recorded = recorder.take();
        assert!(recorded.nodes.len() <= nodes.len() && recorded.codes.len() <= codes.len());
        let store = MemoryStore::from_witness(recorded.nodes.clone(), recorded.codes.clone());
        assert!(execute(&recording, &store).unwrap(), "{name}");

        let step = recorded.nodes.len().div_ceil(6);
        for left_out in (0..recorded.nodes.len()).step_by(step) {
            let mut part = recorded.nodes.clone();
            let missing = keccak256(part.remove(left_out));
            let store = MemoryStore::from_witness(part, recorded.codes.clone());
            match execute(&recording, &store) {
                Err(ExecuteError::MissingNode {
                    source: StateError::MissingNode { hash, .. },
                    ..
                }) => assert_eq!(hash, missing, "{name}"),
                other => panic!("{name} without {missing}: {other:?}"),
            }
        }
    }
}
