//! Right and wrong blocks.

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, U256, keccak256};
use mach_core::{Assurance, L2Block, Verdict};
use mach_devnet::Lie;
use mach_prove::{
    BlockInput, Journal, Task,
    guest::{Refusal, run_block},
};
use mach_verify::{
    ChainSpec, ExecuteError,
    source::{RecordedBlock, recorded_files},
    verify_block,
};

use crate::{
    fixture::{CONTEXT, HONEST, LIES, data, encoded, input, recorded},
    output,
};

/// The words that do not come from the verdict.
fn check_binding(journal: &Journal, input: &BlockInput) {
    let header = input.block.header.inner();
    assert_eq!(journal.context(), input.context);
    assert_eq!(journal.rollup_chain_id, U256::from(input.block.chain_id));
    assert_eq!(journal.config_hash, input.spec.hash());
    assert_eq!(journal.parent_hash, header.parent_hash);
    assert_eq!(journal.block_hash, header.hash_slow());
    assert_eq!(journal.block_number, header.number);
}

#[test]
fn each_lie_that_execution_finds_is_accused_with_its_fault() {
    // The block that the devnet made when it told the truth, at the same height.
    let (_, truth) = recorded("jovian");
    let right = truth.block.header.inner();
    let number = |gas: u64| B256::from(U256::from(gas));
    for lie in LIES {
        let input = input(&format!("lie-{lie}"), Task::Accuse);
        let journal = run_block(&input.encode().unwrap()).unwrap();
        check_binding(&journal, &input);
        let told = input.block.header.inner();
        assert_eq!(told.parent_hash, right.parent_hash, "{lie}");
        let (fault, claimed, computed) = match lie {
            Lie::StateRoot | Lie::MintedBalance => (4, told.state_root, right.state_root),
            // What the others alone give, no other block has.
            Lie::DroppedTransaction => (4, told.state_root, journal.computed),
            Lie::ReceiptsRoot => (6, told.receipts_root, right.receipts_root),
            Lie::GasUsed => (11, number(told.gas_used), number(right.gas_used)),
            Lie::AlteredTransaction => {
                let (told, right) = (&input.block.transactions, &truth.block.transactions);
                let index = told.iter().zip(right).position(|(it, other)| it != other);
                let index = index.unwrap();
                (64, keccak256(&told[index]), number(index as u64))
            }
            other => panic!("{other}"),
        };
        assert_eq!(
            (journal.fault, journal.claimed, journal.computed),
            (fault, claimed, computed),
            "{lie}"
        );
        assert_ne!(journal.claimed, journal.computed, "{lie}");
        assert_eq!(journal.output_root, B256::ZERO, "{lie}");
    }
}

#[test]
fn a_lie_is_not_affirmed() {
    for lie in LIES {
        let refused = run_block(&encoded(&format!("lie-{lie}"), Task::Affirm));
        let Err(Refusal::WrongBlock(fault)) = refused else {
            panic!("{lie}: {refused:?}");
        };
        assert_eq!(fault.name(), lie.fault());
    }
}

#[test]
fn a_truthful_block_is_not_accused() {
    for name in HONEST {
        let refused = run_block(&encoded(name, Task::Accuse));
        assert!(
            matches!(refused, Err(Refusal::RightBlock(_))),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn a_truthful_block_is_affirmed_with_its_output_root() {
    for name in HONEST {
        let input = input(name, Task::Affirm);
        let journal = run_block(&input.encode().unwrap()).unwrap();
        check_binding(&journal, &input);
        assert_eq!(journal.fault, 0);
        assert_eq!(
            (journal.claimed, journal.computed),
            (journal.block_hash, journal.block_hash)
        );
        let header = input.block.header.inner();
        let expected = match name {
            "osaka" => B256::ZERO,
            _ => output::expected(header, header.withdrawals_root.unwrap()),
        };
        assert_eq!(journal.output_root, expected, "{name}");
    }
}

#[test]
fn an_input_is_read_as_it_was_written() {
    for (name, task) in [("osaka", Task::Affirm), ("lie-state-root", Task::Accuse)] {
        let input = input(name, task);
        let bytes = input.encode().unwrap();
        let read = BlockInput::decode(bytes.clone()).unwrap();
        assert_eq!(read.encode().unwrap(), bytes);
        assert_eq!(
            (read.context, read.task, read.block),
            (CONTEXT, task, input.block)
        );
    }
}

/// The blocks of public chains: the guest says what `verify_block` says, and accuses none.
#[test]
fn recorded_blocks_give_what_verify_block_gives() {
    let Some(folder) = data("blocks") else { return };
    let mut affirmed = 0;
    for file in recorded_files(folder).unwrap() {
        let RecordedBlock { block, witness, .. } = RecordedBlock::read(&file).unwrap();
        let spec = ChainSpec::known(block.chain_id).unwrap();
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        let Verdict::Valid(summary) = verdict else {
            panic!("{}", file.display())
        };
        let input = |task| BlockInput {
            context: CONTEXT,
            task,
            spec: spec.clone(),
            block: block.clone(),
            witness: witness.clone(),
        };
        let affirm = input(Task::Affirm);
        match run_block(&affirm.encode().unwrap()) {
            Ok(journal) => {
                check_binding(&journal, &affirm);
                assert_eq!(journal.fault, 0);
                assert_eq!(journal.output_root, summary.output_root.unwrap_or_default());
                affirmed += 1;
            }
            // A state root that is only claimed is not even carried.
            Err(Refusal::Undecided(_)) => {
                assert_eq!(
                    summary.assurance,
                    Assurance::ExecutedOnClaim,
                    "{}",
                    file.display()
                );
            }
            Err(Refusal::Unsupported(_)) => assert!(spec.extensions().is_some()),
            Err(error) => panic!("{}: {error:?}", file.display()),
        }
        let accused = run_block(&input(Task::Accuse).encode().unwrap());
        assert!(
            matches!(
                accused,
                Err(Refusal::RightBlock(_) | Refusal::Undecided(_) | Refusal::Unsupported(_))
            ),
            "{}: {accused:?}",
            file.display()
        );
    }
    eprintln!("{affirmed} affirmed");
    assert!(affirmed > 0);
}

#[test]
fn a_body_that_the_header_does_not_commit_to_accuses_nobody() {
    for name in ["lie-state-root", "jovian"] {
        let mut input = input(name, Task::Accuse);
        input.block.transactions.pop();
        let refused = run_block(&input.encode().unwrap());
        assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    }
}

#[test]
fn without_the_parent_there_is_no_journal() {
    for task in [Task::Accuse, Task::Affirm] {
        let mut input = input("lie-state-root", task);
        input.witness.headers.clear();
        let (_, recorded) = recorded("lie-state-root");
        let parent = recorded
            .witness
            .header(recorded.block.header.parent_hash)
            .unwrap();
        // A claim is not carried into the guest.
        input.witness.parent_state_root = Some(parent.state_root);
        let refused = run_block(&input.encode().unwrap());
        assert!(matches!(refused, Err(Refusal::Undecided(_))), "{refused:?}");
    }
}

#[test]
fn withdrawals_that_nothing_commits_to_are_refused() {
    let withdrawal = Withdrawal {
        index: 0,
        validator_index: 1,
        address: alloy_primitives::Address::repeat_byte(3),
        amount: 1_000_000,
    };
    for task in [Task::Accuse, Task::Affirm] {
        // A rollup's root is that of a contract's storage, so it binds no list.
        let mut rollup = input("jovian", task);
        rollup.block.withdrawals = Some(vec![withdrawal].into());
        let refused = run_block(&rollup.encode().unwrap());
        assert!(
            matches!(refused, Err(Refusal::UnboundWithdrawals)),
            "{refused:?}"
        );
        // On Ethereum the header binds the list.
        let mut ethereum = input("osaka", task);
        ethereum.block.withdrawals = Some(vec![withdrawal].into());
        let refused = run_block(&ethereum.encode().unwrap());
        assert!(
            matches!(refused, Err(Refusal::Undecided(ExecuteError::Body { .. }))),
            "{refused:?}"
        );
        let mut header = ethereum.block.header.inner().clone();
        header.withdrawals_root = None;
        header.blob_gas_used = None;
        header.excess_blob_gas = None;
        header.parent_beacon_block_root = None;
        header.requests_hash = None;
        let block = L2Block::new(
            ethereum.spec.chain_id(),
            header,
            ethereum.block.transactions,
        );
        ethereum.block = block.with_withdrawals(Some(vec![withdrawal].into()));
        let refused = run_block(&ethereum.encode().unwrap());
        assert!(
            matches!(refused, Err(Refusal::UnboundWithdrawals)),
            "{refused:?}"
        );
    }
}
