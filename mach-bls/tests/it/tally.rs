use alloy_primitives::U256;
use futures::executor::block_on;
use mach_bls::{
    Added, KeyError, LocalSigner, Mode, OperatorKeys, OperatorKeysError, PointError, Tally,
    TallyError, verify_certificate,
};
use mach_core::{
    Domain, G2Bytes, QuorumNumbers, Round, SignedStatement, Stake, Threshold,
    ports::StatementSigner,
};
use proptest::prelude::*;

use crate::fixture::{
    DOMAIN, REFERENCE_BLOCK, TestCurve, id, keys, number, on_both_curves, operator_set, secret,
    signed, signed_with, statement, tally,
};

/// COMPAT 8.1, 3: the original counted one operator twice.
fn a_duplicate_never_counts_twice<S: TestCurve>() {
    let [a, b] = [1, 2].map(number);
    let mut tally = tally(&keys::<S>(&[&[(a, 50), (b, 50)]]), 66);
    assert_eq!(tally.add(&signed::<S>(a)), Ok(Added::New));
    assert_eq!(tally.add(&signed::<S>(a)), Ok(Added::Duplicate));
    tally.prove();
    assert_eq!(tally.add(&signed::<S>(a)), Ok(Added::Duplicate));
    assert_eq!(tally.signers(), 1);
    assert_eq!(tally.quorums()[0].signed.weight(), 50);
    assert!(!tally.is_met());
    assert_eq!(tally.certificate().certificate, None);
}

/// COMPAT 8.1, 12: the contract wants a signer once for every quorum that it is in.
fn a_signer_of_k_quorums_is_summed_k_times<S: TestCurve>() {
    let [a, b, c, d] = [3, 5, 7, 11].map(number);
    let keys = keys::<S>(&[
        &[(a, 10), (b, 10), (d, 1)],
        &[(a, 10), (c, 10)],
        &[(a, 10), (b, 10)],
    ]);
    let mut tally = tally(&keys, 66);
    for key in [a, b, c] {
        tally.add(&signed::<S>(key)).unwrap();
    }
    let certificate = tally.certificate().certificate.unwrap();
    // a is in three quorums, b in two, c in one.
    let expected = secret::<S>(number(3 * 3 + 2 * 5 + 7));
    let digest = statement(7).digest(&DOMAIN);
    assert_eq!(certificate.apk_g2, expected.public_key().g2_bytes());
    assert_eq!(certificate.sigma, expected.sign(digest).to_bytes());
    // The keys of a quorum are those of all its members, signers or not.
    for (tally, total) in certificate.quorums.iter().zip([3 + 5 + 11, 3 + 7, 3 + 5]) {
        let total = secret::<S>(number(total));
        assert_eq!(tally.apk, total.public_key().g1_bytes());
    }
    assert_eq!(certificate.non_signers.len(), 1);
    assert_eq!(certificate.non_signers[0].id, id::<S>(d));
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
}

fn a_threshold_is_reached_at_exactly_its_share<S: TestCurve>() {
    let [a, b, c] = [1, 2, 3].map(number);
    for (stake, reached) in [(65, false), (66, true)] {
        let keys = keys::<S>(&[&[(a, stake), (b, 99 - stake), (c, 1)]]);
        let mut tally = tally(&keys, 66);
        tally.add(&signed::<S>(a)).unwrap();
        let attempt = tally.certificate();
        assert_eq!(attempt.certificate.is_some(), reached, "{stake} of 100");
    }
}

fn every_quorum_has_to_reach_its_threshold<S: TestCurve>() {
    let [a, b] = [1, 2].map(number);
    let keys = keys::<S>(&[&[(a, 90), (b, 10)], &[(a, 10), (b, 90)]]);
    let mut tally = tally(&keys, 66);
    tally.add(&signed::<S>(a)).unwrap();
    assert_eq!(tally.certificate().certificate, None);
    tally.add(&signed::<S>(b)).unwrap();
    assert!(tally.certificate().certificate.is_some());
}

fn a_quorum_without_stake_certifies_nothing<S: TestCurve>() {
    let [a, b] = [1, 2].map(number);
    let cases: [&[&[(U256, u128)]]; 3] = [
        &[&[]],
        &[&[(a, 0), (b, 0)]],
        // One empty quorum beside one that signed.
        &[&[(a, 1), (b, 1)], &[]],
    ];
    for quorums in cases {
        let mut tally = tally(&keys::<S>(quorums), 1);
        for key in [a, b] {
            let known = quorums[0].iter().any(|(member, _)| *member == key);
            assert_eq!(tally.add(&signed::<S>(key)).is_ok(), known);
        }
        assert!(!tally.is_met());
        assert_eq!(tally.certificate().certificate, None);
    }
}

fn who_is_in_no_quorum_does_not_count<S: TestCurve>() {
    let mut tally = tally(&keys::<S>(&[&[(number(1), 1)]]), 1);
    let stranger = signed::<S>(number(2));
    assert_eq!(
        tally.add(&stranger),
        Err(TallyError::UnknownOperator(stranger.operator))
    );
    assert_eq!(tally.signers(), 0);
}

/// COMPAT 8.1, 6: what is counted is compared with what is collected.
fn a_signature_of_another_statement_or_domain_does_not_count<S: TestCurve>() {
    let mut tally = tally(&keys::<S>(&[&[(number(1), 1)]]), 1);
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

fn a_tally_takes_only_the_keys_of_its_round<S: TestCurve>() {
    let keys = keys::<S>(&[&[(number(1), 1)]]);
    let threshold = vec![Threshold::percent(66).unwrap()];
    for (quorum, block) in [(0, REFERENCE_BLOCK + 1), (1, REFERENCE_BLOCK)] {
        let quorums = QuorumNumbers::new([quorum]).unwrap();
        let round = Round::new(quorums, threshold.clone(), block).unwrap();
        let tally = Tally::new(statement(7), DOMAIN, round, keys.clone());
        assert_eq!(tally.err(), Some(TallyError::OtherSet));
    }
}

fn a_wrong_share_is_found_and_no_other_dropped<S: TestCurve>() {
    let all = [1, 2, 3, 4].map(number);
    let keys = keys::<S>(&[&all.map(|key| (key, 25))]);
    let mut tally = tally(&keys, 75);
    for key in all {
        let key_used = if key == all[2] { number(99) } else { key };
        tally.add(&signed_with::<S>(key, key_used)).unwrap();
    }
    let attempt = tally.certificate();
    assert_eq!(attempt.rejected, [id::<S>(all[2])]);
    let certificate = attempt.certificate.unwrap();
    assert_eq!(certificate.non_signers.len(), 1);
    assert_eq!(certificate.non_signers[0].id, id::<S>(all[2]));
    assert_eq!(certificate.quorums[0].signed.weight(), 75);
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    assert_eq!(tally.proved_signers(), 3);
    // The right one still counts afterwards.
    assert_eq!(tally.add(&signed::<S>(all[2])), Ok(Added::New));
    assert_eq!(tally.quorums()[0].signed.weight(), 100);
}

fn without_the_wrong_share_the_threshold_is_not_reached<S: TestCurve>() {
    let [a, b] = [1, 2].map(number);
    let mut tally = tally(&keys::<S>(&[&[(a, 50), (b, 50)]]), 66);
    tally.add(&signed::<S>(a)).unwrap();
    tally.add(&signed_with::<S>(b, a)).unwrap();
    let attempt = tally.certificate();
    assert_eq!(attempt.certificate, None);
    assert_eq!(attempt.rejected, [id::<S>(b)]);
    assert_eq!(tally.quorums()[0].signed.weight(), 50);
}

/// What two shares that are wrong by `shift` and `-shift` prove: the certificate, not who signed.
fn colluding_shares_that_cancel_out_are_found_by_a_proof<S: TestCurve>() {
    let [a, b, c] = [1, 2, 3].map(number);
    let shift = number(1_000_003);
    let keys = keys::<S>(&[&[(a, 1), (b, 1), (c, 1)]]);
    let mut tally = tally(&keys, 100);
    tally.add(&signed::<S>(a)).unwrap();
    tally.add(&signed_with::<S>(b, b + shift)).unwrap();
    tally
        .add(&signed_with::<S>(c, S::ORDER + c - shift))
        .unwrap();
    let certificate = tally.certificate().certificate.unwrap();
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    assert!(tally.proved().next().is_none());
    let mut colluding = [id::<S>(b), id::<S>(c)];
    colluding.sort();
    assert_eq!(tally.prove(), colluding);
    assert_eq!(tally.proved().collect::<Vec<_>>(), [id::<S>(a)]);
    assert_eq!(tally.certificate().certificate, None);
}

/// With keys that sum up to zero, anybody could "sign" anything for both: with the identity.
fn keys_that_cancel_out_certify_nothing<S: TestCurve>() {
    let (a, b) = (number(5), S::ORDER - number(5));
    let keys = keys::<S>(&[&[(a, 50), (b, 50)]]);
    let mut tally = tally(&keys, 100);
    tally.add(&signed::<S>(a)).unwrap();
    tally.add(&signed::<S>(b)).unwrap();
    assert!(tally.is_met());
    let attempt = tally.certificate();
    assert_eq!(attempt.certificate, None);
    assert!(attempt.rejected.is_empty());
}

fn nobody_keeps_an_operator_out_with_a_wrong_share_in_its_name<S: TestCurve>() {
    let [a, b] = [1, 2].map(number);
    let keys = keys::<S>(&[&[(a, 50), (b, 50)]]);
    let mut tally = tally(&keys, 100);
    // First comes the wrong one.
    assert_eq!(tally.add(&signed_with::<S>(a, b)), Ok(Added::New));
    assert_eq!(tally.add(&signed::<S>(a)), Ok(Added::New));
    assert_eq!(tally.quorums()[0].signed.weight(), 50);
    let wrong = Err(TallyError::BadSignature(id::<S>(a)));
    assert_eq!(tally.add(&signed_with::<S>(a, b)), wrong);
    // First comes the right one.
    assert_eq!(tally.add(&signed::<S>(b)), Ok(Added::New));
    let wrong = Err(TallyError::BadSignature(id::<S>(b)));
    assert_eq!(tally.add(&signed_with::<S>(b, a)), wrong);
    let attempt = tally.certificate();
    assert!(attempt.rejected.is_empty());
    assert_eq!(
        verify_certificate(&attempt.certificate.unwrap(), &keys),
        Ok(())
    );
}

fn a_later_set_keeps_what_was_proved_and_proves_the_rest<S: TestCurve>() {
    let [a, b, c] = [1, 2, 3].map(number);
    let first = keys::<S>(&[&[(a, 1), (b, 1)]]);
    let later = operator_set::<S>(&[&[(b, 5), (c, 5)]]);
    let next = first.next(&later).unwrap();
    let fresh = OperatorKeys::new(&later).unwrap();
    assert_eq!(next.len(), 2);
    for key in [a, b, c] {
        assert_eq!(next.key(&id::<S>(key)), fresh.key(&id::<S>(key)));
    }
    let mut tallies = [next, fresh].map(|keys| tally(&keys.into(), 100));
    let certificates = tallies.each_mut().map(|tally| {
        tally.add(&signed::<S>(b)).unwrap();
        tally.add(&signed::<S>(c)).unwrap();
        tally.certificate().certificate.unwrap()
    });
    assert_eq!(certificates[0], certificates[1]);
}

fn an_operator_with_halves_of_two_keys_is_named<S: TestCurve>() {
    let [a, b, c] = [1, 2, 3].map(number);
    let mut set = operator_set::<S>(&[&[(a, 1), (b, 1)]]);
    let mut operator = *set.operator(&id::<S>(b)).unwrap();
    operator.key_g2 = secret::<S>(c).public_key().g2_bytes();
    set.insert(0, operator, Stake::new(1).unwrap());
    let expected = OperatorKeysError {
        operator: id::<S>(b),
        source: KeyError::Unlinked,
    };
    assert_eq!(OperatorKeys::new(&set).err(), Some(expected));
    // What an earlier set proved about the operator's other key does not help.
    let earlier = keys::<S>(&[&[(a, 1), (b, 1)]]);
    assert_eq!(earlier.next(&set).err(), Some(expected));
}

fn an_operator_whose_key_is_no_point_is_named<S: TestCurve>() {
    let mut set = operator_set::<S>(&[&[(number(1), 1)]]);
    let mut operator = *set.operator(&id::<S>(number(1))).unwrap();
    operator.key_g2 = G2Bytes(Default::default());
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

fn a_local_signer_signs_the_statements_digest<S: TestCurve>() {
    let signer = LocalSigner::new(secret::<S>(number(9)));
    assert_eq!(signer.operator(), id::<S>(number(9)));
    let signature = block_on(signer.sign(&statement(7), &DOMAIN)).unwrap();
    assert_eq!(signature, signed::<S>(number(9)));
    let key = secret::<S>(number(9));
    assert_eq!(
        format!("{signer:?}"),
        format!("LocalSigner {{ key: {key:?} }}")
    );
}

fn a_weighted_tally_certifies_what_is_proved<S: TestCurve>() {
    let all = [1, 2, 3, 4].map(number);
    let keys = keys::<S>(&[&all.map(|key| (key, 25))]);
    let mut weighted = tally(&keys, 75).with_mode(Mode::Weighted);
    let mut optimistic = tally(&keys, 75);
    for key in &all[..3] {
        weighted.add(&signed(*key)).unwrap();
        optimistic.add(&signed(*key)).unwrap();
    }
    assert_eq!(weighted.proved_signers(), 0);
    assert_eq!(weighted.certificate(), optimistic.certificate());
    assert_eq!(weighted.proved_signers(), 3);
    assert_eq!(optimistic.proved_signers(), 0);
    // One more, after the certificate.
    weighted.add(&signed(all[3])).unwrap();
    let certificate = weighted.certificate().certificate.unwrap();
    assert!(certificate.non_signers.is_empty());
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    let mut ids = all.map(id::<S>);
    ids.sort();
    assert!(weighted.proved().eq(ids));
}

/// The same shares that prove a certificate in the optimistic mode.
fn a_certificate_in_weighted_mode_leaves_out_colluding_shares<S: TestCurve>() {
    let [a, b, c] = [1, 2, 3].map(number);
    let shift = number(1_000_003);
    let keys = keys::<S>(&[&[(a, 8), (b, 1), (c, 1)]]);
    let mut tally = tally(&keys, 80).with_mode(Mode::Weighted);
    tally.add(&signed(a)).unwrap();
    tally.add(&signed_with(b, b + shift)).unwrap();
    tally.add(&signed_with(c, S::ORDER + c - shift)).unwrap();
    let attempt = tally.certificate();
    let mut colluding = [b, c].map(id::<S>);
    colluding.sort();
    assert_eq!(attempt.rejected, colluding);
    let certificate = attempt.certificate.unwrap();
    assert_eq!(certificate.sigma, signed::<S>(a).signature);
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
}

/// Right and wrong shares, some twice, in any order: the same certificate, in each mode.
fn the_order_of_signatures_does_not_matter<S: TestCurve>() {
    let order = Just((0..8u64).collect::<Vec<_>>()).prop_shuffle();
    let repeated = prop::collection::vec(0..8usize, 0..4);
    let mode = prop_oneof![Just(Mode::Optimistic), Just(Mode::Weighted)];
    let members: [_; 6] = std::array::from_fn(|index| (number(index as u64 + 1), 10));
    let keys = keys::<S>(&[&members, &members[..3]]);
    // 0 to 4 are right, 5 to 7 are wrong shares of operators 5, 0 and 1.
    let share = |index: u64| match index {
        0..=4 => signed::<S>(number(index + 1)),
        5 => signed_with::<S>(number(6), number(77)),
        _ => signed_with::<S>(number(index - 5), number(77)),
    };
    proptest!(ProptestConfig::with_cases(24), |(order in order, repeated in repeated, mode in mode)| {
        let mut tally = tally(&keys, 60).with_mode(mode);
        let again = repeated.iter().map(|position| order[*position]);
        for index in order.iter().copied().chain(again) {
            let _ = tally.add(&share(index));
        }
        let attempt = tally.certificate();
        prop_assert_eq!(attempt.rejected, [id::<S>(number(6))]);
        prop_assert_eq!(tally.proved_signers(), 5);
        let certificate = attempt.certificate.unwrap();
        prop_assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
        // Keys 1 to 5 in quorum 0, keys 1 to 3 in quorum 1.
        let expected = secret::<S>(number(15 + 6));
        prop_assert_eq!(certificate.apk_g2, expected.public_key().g2_bytes());
        let digest = statement(7).digest(&DOMAIN);
        prop_assert_eq!(certificate.sigma, expected.sign(digest).to_bytes());
    });
}

/// Any operators, each in any of four quorums, and any who sign: keys and signature are what
/// integers say, every quorum once.
fn any_subset_of_any_quorums_has_its_sums<S: TestCurve>() {
    let operators = prop::collection::vec((0..16u8, any::<bool>()), 1..10);
    proptest!(ProptestConfig::with_cases(24), |(operators in operators)| {
        let key = |index: usize| number(index as u64 * 1_000_003 + 7);
        let quorums: [Vec<_>; 4] = std::array::from_fn(|quorum| {
            let members = operators.iter().enumerate();
            members
                .filter(|(_, (quorums, _))| quorums & (1 << quorum) != 0)
                .map(|(index, _)| (key(index), 10))
                .collect()
        });
        let keys = keys::<S>(&[&quorums[0], &quorums[1], &quorums[2], &quorums[3]]);
        let mut tally = tally(&keys, 1);
        let mut expected = U256::ZERO;
        for (index, (quorums, signs)) in operators.iter().enumerate() {
            if *signs && *quorums != 0 {
                tally.add(&signed::<S>(key(index))).unwrap();
                expected += key(index) * number(quorums.count_ones().into());
            }
        }
        let is_met = quorums.iter().enumerate().all(|(quorum, _)| {
            operators.iter().any(|(quorums, signs)| *signs && quorums & (1 << quorum) != 0)
        });
        prop_assert_eq!(tally.is_met(), is_met);
        let certificate = tally.certificate().certificate;
        prop_assert_eq!(certificate.is_some(), is_met);
        if let Some(certificate) = certificate {
            let expected = secret::<S>(expected);
            prop_assert_eq!(certificate.apk_g2, expected.public_key().g2_bytes());
            prop_assert_eq!(certificate.sigma, expected.sign(certificate.digest()).to_bytes());
            prop_assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
        }
    });
}

fn any_bytes_in_an_operators_name_are_refused_or_dropped<S: TestCurve>() {
    let [a, b] = [1, 2].map(number);
    let keys = keys::<S>(&[&[(a, 1), (b, 1)]]);
    proptest!(|(bytes in prop::collection::vec(any::<u8>(), 128))| {
        let mut tally = tally(&keys, 50);
        let mut signature = signed::<S>(a).signature;
        let length = signature.0.as_ref().len();
        signature.0.as_mut().copy_from_slice(&bytes[..length]);
        match tally.add(&SignedStatement { signature, ..signed::<S>(a) }) {
            Ok(_) => prop_assert_eq!(tally.certificate().rejected, [id::<S>(a)]),
            Err(TallyError::Malformed { operator, .. }) => prop_assert_eq!(operator, id::<S>(a)),
            Err(other) => prop_assert!(false, "{}", other),
        }
        prop_assert_eq!(tally.signers(), 0);
    });
}

/// After a restart there is nothing but the certificate.
fn a_certificate_is_extended_by_who_comes_late<S: TestCurve>() {
    let [a, b, c, d] = [3, 5, 7, 11].map(number);
    let keys = keys::<S>(&[&[(a, 10), (b, 10), (c, 10), (d, 10)], &[(a, 10), (b, 5)]]);
    let mut first = tally(&keys, 60);
    for key in [a, b, c] {
        first.add(&signed::<S>(key)).unwrap();
    }
    let certificate = first.certificate().certificate.unwrap();
    let mut later = Tally::resume(&certificate, keys.clone()).unwrap();
    assert_eq!(later.signers(), 3);
    assert_eq!(later.quorums(), certificate.quorums);
    assert_eq!(later.certificate().certificate, Some(certificate.clone()));
    assert_eq!(later.signature(&id::<S>(a)), None);
    assert!(later.is_summed(&id::<S>(a)) && !later.is_summed(&id::<S>(d)));

    // Who is in it is in it once, and nobody is in it in another's name.
    assert_eq!(later.add(&signed::<S>(b)), Ok(Added::Duplicate));
    let forged = later.add(&signed_with::<S>(b, d));
    assert_eq!(forged, Err(TallyError::BadSignature(id::<S>(b))));
    later.add(&signed_with::<S>(d, a)).unwrap();
    assert_eq!(later.prove(), [id::<S>(d)]);
    assert_eq!(later.certificate().certificate, Some(certificate.clone()));
    assert_eq!(later.add(&signed::<S>(d)), Ok(Added::New));
    let better = later.certificate().certificate.unwrap();
    assert!(better.non_signers.is_empty());
    // a and b are in two quorums.
    let expected = secret::<S>(number(2 * 3 + 2 * 5 + 7 + 11));
    let digest = statement(7).digest(&DOMAIN);
    assert_eq!(better.sigma, expected.sign(digest).to_bytes());
    assert_eq!(verify_certificate(&better, &keys), Ok(()));

    // Nothing goes on behind what is no certificate of these operators.
    let mut wrong = certificate.clone();
    wrong.sigma = better.sigma;
    let resumed = Tally::resume(&wrong, keys.clone()).map(|_| ());
    assert_eq!(resumed, Err(TallyError::BadCertificate));
    let mut wrong = certificate;
    wrong.non_signers[0].id = id::<S>(number(13));
    let resumed = Tally::resume(&wrong, keys).map(|_| ());
    assert_eq!(resumed, Err(TallyError::BadCertificate));
}

fn a_condensed_tally_certifies_the_same<S: TestCurve>() {
    let [a, b, c, d] = [3, 5, 7, 11].map(number);
    let keys = keys::<S>(&[&[(a, 10), (b, 10), (c, 10), (d, 10)], &[(a, 10), (c, 5)]]);
    let [mut whole, mut condensed] = [tally(&keys, 40), tally(&keys, 40)];
    for key in [a, b, c, d] {
        for tally in [&mut whole, &mut condensed] {
            tally.add(&signed::<S>(key)).unwrap();
        }
        if key == b {
            condensed.prove();
        }
        // What is not proved is not summed up.
        condensed.condense();
        assert_eq!(condensed.is_summed(&id::<S>(key)), key == b);
    }
    assert_eq!(condensed.proved().count(), 2);
    assert_eq!(condensed.proved_signers(), 2);
    let certificate = whole.certificate().certificate;
    assert!(certificate.is_some());
    assert_eq!(condensed.certificate().certificate, certificate);
    condensed.prove();
    condensed.condense();
    assert_eq!(condensed.certificate().certificate, certificate);
    assert!(condensed.members().all(|(_, has_signed)| has_signed));
}

on_both_curves! {
    a_certificate_is_extended_by_who_comes_late
    a_condensed_tally_certifies_the_same
    the_order_of_signatures_does_not_matter
    any_subset_of_any_quorums_has_its_sums
    any_bytes_in_an_operators_name_are_refused_or_dropped
    a_weighted_tally_certifies_what_is_proved
    a_certificate_in_weighted_mode_leaves_out_colluding_shares
    a_duplicate_never_counts_twice
    a_signer_of_k_quorums_is_summed_k_times
    a_threshold_is_reached_at_exactly_its_share
    every_quorum_has_to_reach_its_threshold
    a_quorum_without_stake_certifies_nothing
    who_is_in_no_quorum_does_not_count
    a_signature_of_another_statement_or_domain_does_not_count
    a_tally_takes_only_the_keys_of_its_round
    a_wrong_share_is_found_and_no_other_dropped
    without_the_wrong_share_the_threshold_is_not_reached
    colluding_shares_that_cancel_out_are_found_by_a_proof
    keys_that_cancel_out_certify_nothing
    nobody_keeps_an_operator_out_with_a_wrong_share_in_its_name
    a_later_set_keeps_what_was_proved_and_proves_the_rest
    an_operator_with_halves_of_two_keys_is_named
    an_operator_whose_key_is_no_point_is_named
    a_local_signer_signs_the_statements_digest
}
