//! Every transaction.

use mach_core::{Fault, Verdict};
use mach_verify::verify_block;

use super::{Fixture, names, sample};

/// A body that does not fit its header. Gives how many changes there were.
fn check_bound(it: &Fixture) -> usize {
    let mut changes = 0;
    for index in sample(it.block.transactions.len()) {
        let mut block = it.block.clone();
        block.transactions.remove(index);
        let verdict = verify_block(&it.spec, &block, &it.witness);
        names(it, verdict, "transactionsRoot");

        let mut block = it.block.clone();
        let mut bytes = block.transactions[index].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        block.transactions[index] = bytes.into();
        let verdict = verify_block(&it.spec, &block, &it.witness);
        names(it, verdict, "transactionsRoot");
        changes += 2;
    }
    changes
}

/// The sequencer can make the transactions root fit. Then execution tells. Gives how many changes
/// there were.
fn check_executed(it: &Fixture) -> usize {
    let name = &it.name;
    let mut changes = 0;
    for index in sample(it.block.transactions.len()) {
        let dropped = it.with_transactions(|list| drop(list.remove(index)));
        assert!(
            !matches!(dropped, Ok(Verdict::Valid(_))),
            "{name} {index}: {dropped:?}"
        );

        let cut = it.with_transactions(|list| {
            let length = list[index].len() - 1;
            list[index] = list[index].slice(..length);
        });
        match cut {
            Ok(Verdict::Invalid(Fault::Transaction { index: at, .. })) => {
                assert_eq!(at, index as u64, "{name}");
            }
            other => panic!("{name} {index}: {other:?}"),
        }

        // One bit of the signature: another sender, or none.
        let forged = it.with_transactions(|list| {
            let mut bytes = list[index].to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            list[index] = bytes.into();
        });
        match forged {
            // A deposit is not signed, and what nobody reads of it only L1 knows: `op`.
            Ok(Verdict::Valid(_)) if index > 0 && is_deposit(it, index) => {}
            Ok(Verdict::Valid(summary)) => panic!("{name} {index}: {summary:?}"),
            Ok(Verdict::Invalid(Fault::Transaction { index: at, .. })) => {
                assert!(at >= index as u64, "{name} {index}: {at}");
            }
            Ok(Verdict::Invalid(_)) | Err(_) => {}
        }
        changes += 3;
    }
    // Deposits have no nonce that would forbid a second time.
    let length = it.block.transactions.len();
    if !is_deposit(it, length - 1) {
        let twice = it.with_transactions(|list| list.push(list[list.len() - 1].clone()));
        match twice {
            Ok(Verdict::Invalid(Fault::Transaction { index, .. })) => {
                assert_eq!(index, length as u64, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        changes += 1;
    }
    changes
}

/// Whether a transaction is one of the OP Stack's deposits, which have type 0x7e.
fn is_deposit(it: &Fixture, index: usize) -> bool {
    it.block.transactions[index].first() == Some(&0x7e)
}

/// Both. Gives how many changes there were.
pub(super) fn check(it: &Fixture) -> usize {
    check_bound(it) + check_executed(it)
}

#[test]
fn every_transaction_is_bound_by_the_header_and_by_execution() {
    for it in Fixture::all() {
        assert!(check(&it) >= 5, "{}", it.name);
    }
}
