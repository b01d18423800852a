use alloy_primitives::U256;
use futures::executor::block_on;
use mach_bls::{
    Added, LocalSigner, OperatorKeys, OperatorKeysError, Tally, TallyError,
    bn254::{KeyError, PointError},
    verify_certificate,
};
use mach_core::{
    Domain, G1Bytes, G2Bytes, QuorumNumbers, Round, SignedStatement, Stake, Threshold,
    ports::StatementSigner,
};
use proptest::prelude::*;

use crate::fixture::{
    DOMAIN, R, REFERENCE_BLOCK, id, keys, number, operator_set, secret, signed, signed_with,
    statement, tally,
};

/// COMPAT 8.1, 3: the original counted one operator twice.
#[test]
fn a_duplicate_never_counts_twice() {
    let [a, b] = [1, 2].map(number);
    let mut tally = tally(&keys(&[&[(a, 50), (b, 50)]]), 66);
    assert_eq!(tally.add(&signed(a)), Ok(Added::New));
    assert_eq!(tally.add(&signed(a)), Ok(Added::Duplicate));
    tally.prove();
    assert_eq!(tally.add(&signed(a)), Ok(Added::Duplicate));
    assert_eq!(tally.signers(), 1);
    assert_eq!(tally.quorums()[0].signed.weight(), 50);
    assert!(!tally.is_met());
    assert_eq!(tally.certificate().certificate, None);
}

/// COMPAT 8.1, 12: the contract wants a signer once for every quorum that it is in.
#[test]
fn a_signer_of_k_quorums_is_summed_k_times() {
    let [a, b, c, d] = [3, 5, 7, 11].map(number);
    let keys = keys(&[
        &[(a, 10), (b, 10), (d, 1)],
        &[(a, 10), (c, 10)],
        &[(a, 10), (b, 10)],
    ]);
    let mut tally = tally(&keys, 66);
    for key in [a, b, c] {
        tally.add(&signed(key)).unwrap();
    }
    let certificate = tally.certificate().certificate.unwrap();
    // a is in three quorums, b in two, c in one.
    let expected = secret(number(3 * 3 + 2 * 5 + 7));
    let digest = statement(7).digest(&DOMAIN);
    assert_eq!(certificate.apk_g2, expected.public_key().g2_bytes());
    assert_eq!(certificate.sigma, expected.sign(digest).to_bytes());
    // The keys of a quorum are those of all its members, signers or not.
    for (tally, total) in certificate.quorums.iter().zip([3 + 5 + 11, 3 + 7, 3 + 5]) {
        let total = secret(number(total));
        assert_eq!(tally.apk, total.public_key().g1_bytes());
    }
    assert_eq!(certificate.non_signers.len(), 1);
    assert_eq!(certificate.non_signers[0].id, id(d));
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
}

#[test]
fn a_threshold_is_reached_at_exactly_its_share() {
    let [a, b, c] = [1, 2, 3].map(number);
    for (stake, reached) in [(65, false), (66, true)] {
        let keys = keys(&[&[(a, stake), (b, 99 - stake), (c, 1)]]);
        let mut tally = tally(&keys, 66);
        tally.add(&signed(a)).unwrap();
        let attempt = tally.certificate();
        assert_eq!(attempt.certificate.is_some(), reached, "{stake} of 100");
    }
}

#[test]
fn every_quorum_has_to_reach_its_threshold() {
    let [a, b] = [1, 2].map(number);
    let keys = keys(&[&[(a, 90), (b, 10)], &[(a, 10), (b, 90)]]);
    let mut tally = tally(&keys, 66);
    tally.add(&signed(a)).unwrap();
    assert_eq!(tally.certificate().certificate, None);
    tally.add(&signed(b)).unwrap();
    assert!(tally.certificate().certificate.is_some());
}

#[test]
fn a_quorum_without_stake_certifies_nothing() {
    let [a, b] = [1, 2].map(number);
    let cases: [&[&[(U256, u128)]]; 3] = [
        &[&[]],
        &[&[(a, 0), (b, 0)]],
        // One empty quorum beside one that signed.
        &[&[(a, 1), (b, 1)], &[]],
    ];
    for quorums in cases {
        let mut tally = tally(&keys(quorums), 1);
        for key in [a, b] {
            let known = quorums[0].iter().any(|(member, _)| *member == key);
            assert_eq!(tally.add(&signed(key)).is_ok(), known);
        }
        assert!(!tally.is_met());
        assert_eq!(tally.certificate().certificate, None);
    }
}

#[test]
fn who_is_in_no_quorum_does_not_count() {
    let mut tally = tally(&keys(&[&[(number(1), 1)]]), 1);
    let stranger = signed(number(2));
    assert_eq!(
        tally.add(&stranger),
        Err(TallyError::UnknownOperator(stranger.operator))
    );
    assert_eq!(tally.signers(), 0);
}

/// COMPAT 8.1, 6: what is counted is compared with what is collected.
#[test]
fn a_signature_of_another_statement_or_domain_does_not_count() {
    let mut tally = tally(&keys(&[&[(number(1), 1)]]), 1);
    let elsewhere = Domain {
        l1_chain_id: 5,
        ..DOMAIN
    };
    let others = [
        SignedStatement {
            statement: statement(8),
            ..signed(number(1))
        },
        SignedStatement {
            domain: elsewhere,
            ..signed(number(1))
        },
    ];
    for other in others {
        assert_eq!(tally.add(&other), Err(TallyError::OtherStatement));
    }
}

#[test]
fn a_tally_takes_only_the_keys_of_its_round() {
    let keys = keys(&[&[(number(1), 1)]]);
    let threshold = vec![Threshold::percent(66).unwrap()];
    for (quorum, block) in [(0, REFERENCE_BLOCK + 1), (1, REFERENCE_BLOCK)] {
        let quorums = QuorumNumbers::new([quorum]).unwrap();
        let round = Round::new(quorums, threshold.clone(), block).unwrap();
        let tally = Tally::new(statement(7), DOMAIN, round, keys.clone());
        assert_eq!(tally.err(), Some(TallyError::OtherSet));
    }
}

#[test]
fn a_wrong_share_is_found_and_no_other_dropped() {
    let all = [1, 2, 3, 4].map(number);
    let keys = keys(&[&all.map(|key| (key, 25))]);
    let mut tally = tally(&keys, 75);
    for key in all {
        let key_used = if key == all[2] { number(99) } else { key };
        tally.add(&signed_with(key, key_used)).unwrap();
    }
    let attempt = tally.certificate();
    assert_eq!(attempt.rejected, [id(all[2])]);
    let certificate = attempt.certificate.unwrap();
    assert_eq!(certificate.non_signers.len(), 1);
    assert_eq!(certificate.non_signers[0].id, id(all[2]));
    assert_eq!(certificate.quorums[0].signed.weight(), 75);
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    assert_eq!(tally.proved().len(), 3);
    // The right one still counts afterwards.
    assert_eq!(tally.add(&signed(all[2])), Ok(Added::New));
    assert_eq!(tally.quorums()[0].signed.weight(), 100);
}

#[test]
fn without_the_wrong_share_the_threshold_is_not_reached() {
    let [a, b] = [1, 2].map(number);
    let mut tally = tally(&keys(&[&[(a, 50), (b, 50)]]), 66);
    tally.add(&signed(a)).unwrap();
    tally.add(&signed_with(b, a)).unwrap();
    let attempt = tally.certificate();
    assert_eq!(attempt.certificate, None);
    assert_eq!(attempt.rejected, [id(b)]);
    assert_eq!(tally.quorums()[0].signed.weight(), 50);
}

/// What two shares that are wrong by `shift` and `-shift` prove: the certificate, not who signed.
#[test]
fn colluding_shares_that_cancel_out_are_found_by_a_proof() {
    let [a, b, c] = [1, 2, 3].map(number);
    let shift = number(1_000_003);
    let keys = keys(&[&[(a, 1), (b, 1), (c, 1)]]);
    let mut tally = tally(&keys, 100);
    tally.add(&signed(a)).unwrap();
    tally.add(&signed_with(b, b + shift)).unwrap();
    tally.add(&signed_with(c, R + c - shift)).unwrap();
    let certificate = tally.certificate().certificate.unwrap();
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    assert!(tally.proved().next().is_none());
    let mut colluding = [id(b), id(c)];
    colluding.sort();
    assert_eq!(tally.prove(), colluding);
    assert_eq!(tally.proved().collect::<Vec<_>>(), [&id(a)]);
    assert_eq!(tally.certificate().certificate, None);
}

/// With keys that sum up to zero, anybody could "sign" anything for both: with the identity.
#[test]
fn keys_that_cancel_out_certify_nothing() {
    let (a, b) = (number(5), R - number(5));
    let keys = keys(&[&[(a, 50), (b, 50)]]);
    let mut tally = tally(&keys, 100);
    tally.add(&signed(a)).unwrap();
    tally.add(&signed(b)).unwrap();
    assert!(tally.is_met());
    let attempt = tally.certificate();
    assert_eq!(attempt.certificate, None);
    assert!(attempt.rejected.is_empty());
}

#[test]
fn nobody_keeps_an_operator_out_with_a_wrong_share_in_its_name() {
    let [a, b] = [1, 2].map(number);
    let keys = keys(&[&[(a, 50), (b, 50)]]);
    let mut tally = tally(&keys, 100);
    // First comes the wrong one.
    assert_eq!(tally.add(&signed_with(a, b)), Ok(Added::New));
    assert_eq!(tally.add(&signed(a)), Ok(Added::New));
    assert_eq!(tally.quorums()[0].signed.weight(), 50);
    let wrong = Err(TallyError::BadSignature(id(a)));
    assert_eq!(tally.add(&signed_with(a, b)), wrong);
    // First comes the right one.
    assert_eq!(tally.add(&signed(b)), Ok(Added::New));
    let wrong = Err(TallyError::BadSignature(id(b)));
    assert_eq!(tally.add(&signed_with(b, a)), wrong);
    let attempt = tally.certificate();
    assert!(attempt.rejected.is_empty());
    assert_eq!(
        verify_certificate(&attempt.certificate.unwrap(), &keys),
        Ok(())
    );
}

#[test]
fn a_later_set_keeps_what_was_proved_and_proves_the_rest() {
    let [a, b, c] = [1, 2, 3].map(number);
    let first = keys(&[&[(a, 1), (b, 1)]]);
    let later = operator_set(&[&[(b, 5), (c, 5)]]);
    let next = first.next(&later).unwrap();
    let fresh = OperatorKeys::new(&later).unwrap();
    assert_eq!(next.len(), 2);
    for key in [a, b, c] {
        assert_eq!(next.key(&id(key)), fresh.key(&id(key)));
    }
    let mut tallies = [next, fresh].map(|keys| tally(&keys.into(), 100));
    let certificates = tallies.each_mut().map(|tally| {
        tally.add(&signed(b)).unwrap();
        tally.add(&signed(c)).unwrap();
        tally.certificate().certificate.unwrap()
    });
    assert_eq!(certificates[0], certificates[1]);
}

#[test]
fn an_operator_with_halves_of_two_keys_is_named() {
    let [a, b, c] = [1, 2, 3].map(number);
    let mut set = operator_set(&[&[(a, 1), (b, 1)]]);
    let mut operator = *set.operator(&id(b)).unwrap();
    operator.key_g2 = secret(c).public_key().g2_bytes();
    set.insert(0, operator, Stake::new(1).unwrap());
    let expected = OperatorKeysError {
        operator: id(b),
        source: KeyError::Unlinked,
    };
    assert_eq!(OperatorKeys::new(&set).err(), Some(expected));
    // What an earlier set proved about the operator's other key does not help.
    let earlier = keys(&[&[(a, 1), (b, 1)]]);
    assert_eq!(earlier.next(&set).err(), Some(expected));
}

#[test]
fn an_operator_whose_key_is_no_point_is_named() {
    let mut set = operator_set(&[&[(number(1), 1)]]);
    let mut operator = *set.operator(&id(number(1))).unwrap();
    operator.key_g2 = G2Bytes([0; 128].into());
    set.insert(0, operator, Stake::new(1).unwrap());
    assert_eq!(
        OperatorKeys::new(&set).err(),
        Some(OperatorKeysError {
            operator: operator.id(),
            source: KeyError::Point {
                group: "G2",
                source: PointError::Identity
            }
        })
    );
}

#[test]
fn a_local_signer_signs_the_statements_digest() {
    let signer = LocalSigner::new(secret(number(9)));
    assert_eq!(signer.operator(), id(number(9)));
    let signature = block_on(signer.sign(&statement(7), &DOMAIN)).unwrap();
    assert_eq!(signature, signed(number(9)));
    assert!(!format!("{signer:?}").contains("scalar"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Right and wrong shares, some twice, in any order: the same certificate.
    #[test]
    fn the_order_of_signatures_does_not_matter(
        order in Just((0..8u64).collect::<Vec<_>>()).prop_shuffle(),
        repeated in prop::collection::vec(0..8usize, 0..4),
    ) {
        let members: [_; 6] = std::array::from_fn(|index| (number(index as u64 + 1), 10));
        let keys = keys(&[&members, &members[..3]]);
        let mut tally = tally(&keys, 60);
        // 0 to 4 are right, 5 to 7 are wrong shares of operators 5, 0 and 1.
        let share = |index: u64| match index {
            0..=4 => signed(number(index + 1)),
            5 => signed_with(number(6), number(77)),
            _ => signed_with(number(index - 5), number(77)),
        };
        let again = repeated.iter().map(|position| order[*position]);
        for index in order.iter().copied().chain(again.collect::<Vec<_>>()) {
            let _ = tally.add(&share(index));
        }
        let attempt = tally.certificate();
        prop_assert_eq!(attempt.rejected, [id(number(6))]);
        let certificate = attempt.certificate.unwrap();
        prop_assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
        // Keys 1 to 5 in quorum 0, keys 1 to 3 in quorum 1.
        let expected = secret(number(15 + 6));
        prop_assert_eq!(certificate.apk_g2, expected.public_key().g2_bytes());
        let digest = statement(7).digest(&DOMAIN);
        prop_assert_eq!(certificate.sigma, expected.sign(digest).to_bytes());
    }

    #[test]
    fn any_bytes_in_an_operators_name_are_refused_or_dropped(
        bytes in prop::collection::vec(any::<u8>(), 64),
    ) {
        let [a, b] = [1, 2].map(number);
        let mut tally = tally(&keys(&[&[(a, 1), (b, 1)]]), 50);
        let signature = G1Bytes(bytes.as_slice().try_into().unwrap());
        match tally.add(&SignedStatement { signature, ..signed(a) }) {
            Ok(_) => prop_assert_eq!(tally.certificate().rejected, [id(a)]),
            Err(TallyError::Malformed { operator, .. }) => prop_assert_eq!(operator, id(a)),
            Err(other) => prop_assert!(false, "{}", other),
        }
        prop_assert_eq!(tally.signers(), 0);
    }
}
