//! Blocks made by hand, before Isthmus: what a witness leaves out.

use alloy_consensus::{
    EMPTY_ROOT_HASH, Header, SignableTransaction, TxEip1559, TxEnvelope,
    proofs::ordered_trie_root_encoded,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, bytes, keccak256};
use alloy_signer::SignerSync;
use mach_core::{Fault, L2Block, Verdict};
use mach_devnet::DEV_ACCOUNTS;
use mach_prove::{
    BlockInput, Task,
    guest::{Refusal, run_block},
};
use mach_verify::{
    ChainSpec, ExecuteError, Witness,
    state::{Account, AccountUpdate, MemoryStore, TrieState},
    verify_block,
};
use op_alloy_consensus::TxDeposit;

use crate::fixture::CONTEXT;

const VAULT: Address = address!("0x420000000000000000000000000000000000001B");
const SENDER: Address = Address::repeat_byte(1);
const READER: Address = Address::repeat_byte(2);
/// Stores the balance of the vault in slot 0.
const READS_VAULT: Bytes = bytes!("73420000000000000000000000000000000000001b3160005500");

/// Stores the hash of block 0 in slot 0.
const READS_HASH: Bytes = bytes!("60004060005500");

fn spec() -> ChainSpec {
    ChainSpec::optimism(901).with_op_forks_from_genesis(OpHardfork::Canyon)
}

fn account(address: Address, nonce: u64, balance: u64, code_hash: Option<B256>) -> AccountUpdate {
    let account = Account {
        nonce,
        balance: U256::from(balance),
        ..Default::default()
    };
    AccountUpdate {
        address,
        account: Some(Account {
            code_hash: code_hash.unwrap_or(account.code_hash),
            ..account
        }),
        wipe_storage: false,
        storage: vec![],
    }
}

/// A state with a reader that has `code`, and the vault with a balance if it is there at all.
fn state(code: &Bytes, vault: Option<u64>) -> TrieState<MemoryStore> {
    let mut state = TrieState::new(MemoryStore::new(), EMPTY_ROOT_HASH);
    let others = (0x10..0x40).map(|byte| account(Address::repeat_byte(byte), 1, 7, None));
    let payer = account(DEV_ACCOUNTS[0].address, 0, u64::MAX, None);
    let reader = account(READER, 1, 0, Some(keccak256(code)));
    let vault = vault.map(|balance| account(VAULT, 0, balance, None));
    state
        .apply(others.chain([reader, payer]).chain(vault))
        .unwrap();
    state
}

/// Block 3 with one deposit that calls the reader, on the state, and what is needed to execute it.
/// Its header has the values that `header` sets.
fn block(
    state: &mut TrieState<MemoryStore>,
    header: impl FnOnce(&mut Header),
) -> (L2Block, Witness) {
    block_of(vec![deposit(SENDER, READER)], state, header)
}

fn deposit(from: Address, to: Address) -> Bytes {
    let deposit = TxDeposit {
        from,
        to: TxKind::Call(to),
        gas_limit: 1_000_000,
        ..Default::default()
    };
    deposit.encoded_2718().into()
}

/// A transaction that pays, which a deposit does not: every vault is credited.
fn paid(nonce: u64, to: Address) -> Bytes {
    let transaction = TxEip1559 {
        chain_id: 901,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        ..Default::default()
    };
    let signer = DEV_ACCOUNTS[0].signer();
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let signed = TxEnvelope::from(transaction.into_signed(signature));
    signed.encoded_2718().into()
}

/// [`block`] with other transactions.
fn block_of(
    transactions: Vec<Bytes>,
    state: &mut TrieState<MemoryStore>,
    header: impl FnOnce(&mut Header),
) -> (L2Block, Witness) {
    let updates = state.commit().unwrap();
    let first = Header {
        parent_hash: B256::repeat_byte(9),
        number: 1,
        ..Default::default()
    };
    let parent = Header {
        parent_hash: first.hash_slow(),
        number: 2,
        timestamp: 2,
        state_root: updates.root,
        gas_limit: 30_000_000,
        gas_used: 5_000_000,
        base_fee_per_gas: Some(1_000_000_000),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        ..Default::default()
    };
    let mut child = Header {
        parent_hash: parent.hash_slow(),
        transactions_root: ordered_trie_root_encoded(&transactions),
        number: 3,
        timestamp: 4,
        ..parent.clone()
    };
    header(&mut child);
    let witness = Witness {
        state: updates.nodes.into_iter().map(|(_, node)| node).collect(),
        codes: [READS_VAULT, READS_HASH]
            .into_iter()
            .chain(names_vault())
            .collect(),
        headers: vec![
            alloy_rlp::encode(&parent).into(),
            alloy_rlp::encode(&first).into(),
        ],
        ..Default::default()
    };
    (L2Block::new(901, child, transactions), witness)
}

/// The header with what execution gives in it.
fn settled(mut state: TrieState<MemoryStore>) -> Header {
    let (mut block, witness) = block(&mut state, |_| {});
    for _ in 0..8 {
        let verdict = verify_block(&spec(), &block, &witness).unwrap();
        let mut header = block.header.inner().clone();
        match verdict {
            Verdict::Valid(_) => return header,
            Verdict::Invalid(Fault::StateRoot(it)) => header.state_root = it.computed,
            Verdict::Invalid(Fault::ReceiptsRoot(it)) => header.receipts_root = it.computed,
            Verdict::Invalid(Fault::LogsBloom(it)) => header.logs_bloom = it.computed,
            Verdict::Invalid(Fault::GasUsed(it)) => header.gas_used = it.computed,
            other => panic!("{other:?}"),
        }
        block = L2Block::new(901, header, block.transactions);
    }
    panic!("the header does not settle");
}

fn run(task: Task, block: &L2Block, witness: &Witness) -> Result<mach_prove::Journal, Refusal> {
    let input = BlockInput {
        context: CONTEXT,
        task,
        spec: spec(),
        block: block.clone(),
        witness: witness.clone(),
    };
    run_block(&input.encode().unwrap())
}

/// Nodes of the state without those on the way to the vault that belong to it alone.
fn without_vault(state: &mut TrieState<MemoryStore>, witness: &Witness) -> Witness {
    let leaf = state.prove(VAULT, &[]).unwrap().nodes.pop().unwrap();
    let mut less = witness.clone();
    less.state.retain(|node| *node != leaf);
    assert_eq!(less.state.len() + 1, witness.state.len());
    less
}

#[test]
fn before_isthmus_whoever_reads_the_vault_has_to_prove_it() {
    // The vault has 5 wei, and the truth is that slot 0 holds them afterwards.
    let truth = settled(state(&READS_VAULT, Some(5)));
    let (right, witness) = block(&mut state(&READS_VAULT, Some(5)), |it| *it = truth.clone());
    assert_eq!(run(Task::Affirm, &right, &witness).unwrap().fault, 0);

    // The lie: as if the vault were not there. Gas and receipts are those of such a state, and the
    // state root that of the true one with the sender's nonce raised.
    let other = settled(state(&READS_VAULT, None));
    let mut after = state(&READS_VAULT, Some(5));
    after.apply([account(SENDER, 1, 0, None)]).unwrap();
    let (lie, witness) = block(&mut state(&READS_VAULT, Some(5)), |it| {
        it.state_root = after.root().unwrap();
        it.gas_used = other.gas_used;
        it.receipts_root = other.receipts_root;
        it.logs_bloom = other.logs_bloom;
    });
    let accused = run(Task::Accuse, &lie, &witness).unwrap();
    assert_eq!(accused.fault, 4);
    assert_eq!(accused.computed, truth.state_root);
    let affirmed = run(Task::Affirm, &lie, &witness);
    assert!(matches!(
        affirmed,
        Err(Refusal::WrongBlock(Fault::StateRoot(_)))
    ));

    // Who leaves the vault out of the witness would make a machine that takes it for absent believe
    // the lie.
    let less = without_vault(&mut state(&READS_VAULT, Some(5)), &witness);
    let affirmed = run(Task::Affirm, &lie, &less);
    assert!(
        matches!(
            affirmed,
            Err(Refusal::Undecided(ExecuteError::MissingNode { .. }))
        ),
        "{affirmed:?}"
    );
    // And nobody is accused on a guess.
    let accused = run(Task::Accuse, &right, &less);
    assert!(
        matches!(
            accused,
            Err(Refusal::Undecided(ExecuteError::MissingNode { .. }))
        ),
        "{accused:?}"
    );
}

/// Codes that name the vault by each instruction that names an account, and do nothing with it.
fn names_vault() -> Vec<Bytes> {
    let push = [&[0x73][..], VAULT.as_slice()].concat();
    let (call, delegate) = ([0x5f; 5], [0x5f; 4]);
    let codes: [(&[u8], &[u8]); 9] = [
        (&[], &[0x31, 0x50]),
        (&[], &[0x3b, 0x50]),
        (&[0x5f; 3], &[0x3c]),
        (&[], &[0x3f, 0x50]),
        (&[], &[0xff]),
        (&call, &[0x5a, 0xf1, 0x50]),
        (&call, &[0x5a, 0xf2, 0x50]),
        (&delegate, &[0x5a, 0xf4, 0x50]),
        (&delegate, &[0x5a, 0xfa, 0x50]),
    ];
    let code = |(before, after): (&[u8], &[u8])| [before, &push, after, &[0x00]].concat().into();
    codes.into_iter().map(code).collect()
}

#[test]
fn whatever_names_the_vault_before_isthmus_reads_it() {
    let check = |transactions, state: &dyn Fn() -> TrieState<MemoryStore>, what: &str| {
        let (block, witness) = block_of(transactions, &mut state(), |_| {});
        assert!(run(Task::Accuse, &block, &witness).is_ok(), "{what}");
        let less = without_vault(&mut state(), &witness);
        let accused = run(Task::Accuse, &block, &less);
        assert!(
            matches!(
                accused,
                Err(Refusal::Undecided(ExecuteError::MissingNode { .. }))
            ),
            "{what}: {accused:?}"
        );
    };
    for code in names_vault() {
        let what = code.to_string();
        let state = || state(&code, Some(5));
        check(vec![deposit(SENDER, READER)], &state, &what);
        // When it has counted as absent already.
        check(vec![paid(0, SENDER), paid(1, READER)], &state, &what);
    }
    let some = || state(&READS_HASH, Some(5));
    for (transaction, what) in [
        (deposit(SENDER, VAULT), "a deposit to it"),
        (deposit(VAULT, SENDER), "a deposit from it"),
        (paid(0, VAULT), "a transaction to it"),
    ] {
        check(vec![transaction], &some, what);
    }

    // What only credits it with zero does not read it.
    let (block, witness) = block_of(vec![paid(0, SENDER)], &mut some(), |_| {});
    let less = without_vault(&mut some(), &witness);
    assert_eq!(
        run(Task::Accuse, &block, &less).unwrap(),
        run(Task::Accuse, &block, &witness).unwrap()
    );
}

#[test]
fn hashes_of_ancestors_are_proved_or_missing() {
    let header = settled(state(&READS_HASH, None));
    let (right, whole) = block(&mut state(&READS_HASH, None), |it| *it = header.clone());
    assert_eq!(run(Task::Affirm, &right, &whole).unwrap().fault, 0);
    let mut lie = right.clone();
    lie = L2Block::new(
        901,
        Header {
            gas_used: 1,
            ..lie.header.inner().clone()
        },
        lie.transactions,
    );
    assert_eq!(run(Task::Accuse, &lie, &whole).unwrap().fault, 11);

    // The header that names block 0 is missing, or another stands in its place, or there is a claim,
    // which is not carried into the guest.
    let (mut missing, mut other, mut claimed) = (whole.clone(), whole.clone(), whole);
    missing.headers.pop();
    let first = Header {
        parent_hash: B256::repeat_byte(8),
        number: 1,
        ..Default::default()
    };
    other.headers[1] = alloy_rlp::encode(first).into();
    claimed.headers.pop();
    claimed.block_hashes.insert(0, B256::repeat_byte(9));
    for witness in [missing, other, claimed] {
        for (task, block) in [(Task::Affirm, &right), (Task::Accuse, &lie)] {
            let refused = run(task, block, &witness);
            assert!(
                matches!(
                    refused,
                    Err(Refusal::Undecided(ExecuteError::MissingBlockHash {
                        ancestor: 0,
                        ..
                    }))
                ),
                "{refused:?}"
            );
        }
    }
}

/// What is above a bound, or has fields of another fork, accuses nobody, whatever else is wrong with it.
#[test]
fn what_is_not_decided_is_neither_accused_nor_affirmed() {
    let state = || state(&READS_HASH, None);
    let refused = |block: &L2Block, witness: &Witness, why: &str| {
        for task in [Task::Accuse, Task::Affirm] {
            let Err(Refusal::Undecided(error)) = run(task, block, witness) else {
                panic!("{why}");
            };
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(why), "{cause}");
        }
    };
    // In front of the fields that no known fork has stand all that some fork has.
    let later = |header: &mut Header| {
        header.blob_gas_used = Some(0);
        header.excess_blob_gas = Some(0);
        header.parent_beacon_block_root = Some(B256::ZERO);
        header.requests_hash = Some(B256::ZERO);
        header.block_access_list_hash = Some(B256::ZERO);
    };
    let (lie, witness) = block(&mut state(), later);
    refused(&lie, &witness, "blockAccessListHash");
    let (lie, witness) = block(&mut state(), |header| {
        later(header);
        header.slot_number = Some(3);
    });
    refused(&lie, &witness, "blockAccessListHash");

    // A deposit with twice the gas that is executed, in a block that permits it.
    let deposit = TxDeposit {
        from: SENDER,
        to: TxKind::Call(READER),
        gas_limit: 1 << 35,
        ..Default::default()
    };
    let transactions = vec![deposit.encoded_2718().into()];
    let (lie, witness) = block_of(transactions, &mut state(), |header| {
        header.gas_limit = 1 << 40;
    });
    refused(&lie, &witness, "more gas than is executed");
}

#[test]
fn a_time_not_after_the_parents_is_wrong_whatever_the_state() {
    // As late as its parent, and before a parent that lies behind the horizon, which is 5.
    for (parents, time) in [(4, 4), (9, 4)] {
        let parent = Header {
            timestamp: parents,
            ..Default::default()
        };
        let child = Header {
            parent_hash: parent.hash_slow(),
            number: 1,
            timestamp: time,
            ..Default::default()
        };
        let witness = Witness {
            headers: vec![alloy_rlp::encode(&parent).into()],
            ..Default::default()
        };
        let block = L2Block::new(901, child, vec![]);
        let input = |task| BlockInput {
            context: CONTEXT,
            task,
            spec: spec().with_horizon(5),
            block: block.clone(),
            witness: witness.clone(),
        };
        let accused = run_block(&input(Task::Accuse).encode().unwrap()).unwrap();
        let word = |number: u64| B256::from(U256::from(number));
        assert_eq!(
            (accused.fault, accused.claimed, accused.computed),
            (12, word(time), word(parents + 1))
        );
        let affirmed = run_block(&input(Task::Affirm).encode().unwrap());
        assert!(
            matches!(affirmed, Err(Refusal::WrongBlock(Fault::Timestamp(_)))),
            "{affirmed:?}"
        );
    }
}
