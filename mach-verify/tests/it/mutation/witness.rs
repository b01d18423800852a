//! Every part of the witness.

use alloy_primitives::Bytes;
use mach_core::{Assurance, Verdict};
use mach_verify::{ExecuteError, verify_block};

use super::{CELO, Fixture, sample};

/// Without a part, with a damaged one: an error, or the same verdict if nothing needed it. Gives
/// how many changes there were, and how many were errors.
pub(super) fn check(it: &Fixture) -> (usize, usize) {
    let honest = verify_block(&it.spec, &it.block, &it.witness).unwrap();
    let name = &it.name;
    let (mut changes, mut errors) = (0, 0);
    let mut judge = |what: &str, index: usize, verdict: Result<Verdict, ExecuteError>| {
        changes += 1;
        match verdict {
            Ok(Verdict::Valid(mut summary)) => {
                // Without headers the file's own claim takes the parent's place.
                if what == "without header" && it.witness.headers.len() == 1 {
                    assert_eq!(summary.assurance, Assurance::ExecutedOnClaim);
                    summary.assurance = Assurance::Executed;
                }
                assert_eq!(Verdict::Valid(summary), honest, "{name} {what} {index}");
            }
            Ok(verdict) => panic!("{name} {what} {index}: {verdict:?}"),
            Err(error) => {
                assert_eq!(error.block(), it.block.number());
                assert!(error.is_transient(), "{name} {what} {index}: {error}");
                errors += 1;
            }
        }
    };
    for index in sample(it.witness.state.len()) {
        let without = it.with_witness(|w| drop(w.state.remove(index)));
        judge("without node", index, without);
        let damaged = it.with_witness(|w| damage(&mut w.state[index], index));
        judge("damaged node", index, damaged);
    }
    for index in sample(it.witness.codes.len()) {
        let without = it.with_witness(|w| drop(w.codes.remove(index)));
        judge("without code", index, without);
        let damaged = it.with_witness(|w| damage(&mut w.codes[index], index));
        judge("damaged code", index, damaged);
    }
    for index in sample(it.witness.headers.len()) {
        let without = it.with_witness(|w| drop(w.headers.remove(index)));
        judge("without header", index, without);
        for byte in [0, 5, 40, 90, 300, 500] {
            let damaged = it.with_witness(|w| damage(&mut w.headers[index], byte));
            judge("damaged header", index, damaged);
        }
    }
    (changes, errors)
}

fn damage(bytes: &mut Bytes, seed: usize) {
    let mut copy = bytes.to_vec();
    if copy.is_empty() {
        copy.push(0);
    } else {
        let at = seed.wrapping_mul(31) % copy.len();
        copy[at] ^= 1 << (seed % 8);
    }
    *bytes = copy.into();
}

#[test]
fn no_damage_to_a_witness_accuses() {
    for it in Fixture::all().chain(Fixture::load(CELO)) {
        let (changes, errors) = check(&it);
        // Witnesses hold little that is not needed.
        assert!(2 * errors > changes, "{}: {errors} of {changes}", it.name);
    }
}
