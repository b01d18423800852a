//! Golden vectors of the original MACH AVS: its own log, its test keys, its documentation.

use alloy_primitives::{B256, U256, b256, hex, uint};
use mach_bls::{
    KeyError,
    bn254::{Signature, ValidKey, hash_to_g1},
};
use mach_core::{
    Bn254, G1Bytes, G2Bytes, OperatorId,
    legacy::{LegacyAlert, digest_v1},
};

use crate::fixture::{g1, g2, id, keys, secret, signed, sum, tally};

/// Test keys of the original, whose files open with the empty password.
const TEST_KEYS: [U256; 3] = [
    uint!(0x2f0d7f086678cd870c5b76b3c2229bdb65ed723814a68435e0fd91cb0eaf212f_U256),
    uint!(0x125669d21740c984396255be438933bdbf28b7999a92b1e0c20ba299a095ff8d_U256),
    uint!(0x0e02cb32a554a16343176c7578943819b490ebcb31a8e20e5bde7f042c3776dc_U256),
];

/// What the original's aggregator logged when the three test operators had signed: `QuorumApksG1`.
fn logged_apk_g1() -> G1Bytes {
    g1(
        "9245057968145484860804280814781348845784489795866678144111989947626410422422",
        "4206160717496399935935556607824205312866665547119048439416182281445762835632",
    )
}

/// `SignersApkG2`: A0 of X, A1 of X, A0 of Y, A1 of Y.
fn logged_apk_g2() -> G2Bytes {
    g2([
        "5319687821092315421704966764687566991558776008265084532749523747246034678820",
        "11223072676248240401971043350937406910510747595318510439500982143518357330882",
        "4763582069887216360727645755241906558814452159592383203334545463609598755585",
        "21350356272487941664524832102750065802080684976181056332566094158938378720768",
    ])
}

/// `SignersAggSigG1`.
fn logged_sigma() -> G1Bytes {
    g1(
        "16428293862790245810342020027165842618240383426525781313336816979755469179242",
        "11576373886324819258408043941549120009185745867634683580045521586375033792509",
    )
}

/// `TaskResponseDigest`, from the alert in the call and the reference block.
fn logged_digest() -> B256 {
    let root = b256!("5fc8d32690cc91d4c39d9d3abcbd16989f875700000000000000000000000000");
    let alert = LegacyAlert::BlockMismatch {
        invalid_output_root: root,
        expect_output_root: root,
        l2_block_number: 2000,
    };
    digest_v1(alert.message_hash(), 34)
}

#[test]
fn the_aggregate_signature_in_the_originals_log_is_valid() {
    let digest = logged_digest();
    assert_eq!(
        digest,
        b256!("70096c3577ea889b4ccf2863346e2b171a6f545fae91c87660e62676a7c57dbd")
    );
    let apk = ValidKey::from_registry(&logged_apk_g1(), &logged_apk_g2()).unwrap();
    let sigma = Signature::from_bytes(&logged_sigma()).unwrap();
    apk.verify(digest, &sigma).unwrap();
    apk.verify_point(&hash_to_g1(digest), &sigma).unwrap();
    assert!(apk.verify(B256::ZERO, &sigma).is_err());
    assert_eq!(apk.g1_bytes(), logged_apk_g1());
    assert_eq!(apk.g2_bytes(), logged_apk_g2());
}

/// Contracts take the imaginary part first; our wire, like the original's, has it second.
#[test]
fn a_key_in_the_order_of_the_contracts_is_refused() {
    let ours = logged_apk_g2().0;
    let theirs = [&ours[32..64], &ours[..32], &ours[96..], &ours[64..96]].concat();
    let theirs = G2Bytes(theirs.as_slice().try_into().unwrap());
    assert!(matches!(
        ValidKey::from_registry(&logged_apk_g1(), &theirs),
        Err(KeyError::Point { group: "G2", .. })
    ));
}

#[test]
fn the_test_operators_have_the_ids_of_the_original() {
    let prefixes = [hex!("c7b8364c"), hex!("1c622bc0"), hex!("c1d5a4eb")];
    let suffixes = [hex!("c40a"), hex!("681b"), hex!("c7bb")];
    for ((key, prefix), suffix) in TEST_KEYS.into_iter().zip(prefixes).zip(suffixes) {
        let OperatorId(id) = id::<Bn254>(key);
        assert_eq!((&id[..4], &id[30..]), (&prefix[..], &suffix[..]));
    }
}

#[test]
fn the_test_operators_sum_up_to_what_the_original_logged() {
    let members = TEST_KEYS.map(|key| (key, 1));
    let keys = keys::<Bn254>(&[&members]);
    let mut tally = tally(&keys, 100);
    for key in TEST_KEYS {
        tally.add(&signed::<Bn254>(key)).unwrap();
    }
    let certificate = tally.certificate().certificate.unwrap();
    assert_eq!(certificate.quorums[0].apk, logged_apk_g1());
    assert_eq!(certificate.apk_g2, logged_apk_g2());
    assert!(certificate.non_signers.is_empty());
    // The original's digest, signed by the sum of the keys.
    let sigma = secret::<Bn254>(sum::<Bn254>(TEST_KEYS)).sign(logged_digest());
    assert_eq!(sigma.to_bytes(), logged_sigma());
}

/// `print-operator-status` in the original's `docs/RunOperator.md`.
#[test]
fn a_documented_operator_has_its_id() {
    let g1 = g1(
        "498211989701534593628498974128726712526336918939770789545660245177948853517",
        "19434346619705907282579203143605058653932187676054178921788041096426532277474",
    );
    let g2 = g2([
        "18245660679142793594022062571710409567727998469085890965936881880506455511441",
        "15102214288340415892913544550311375043597835055349681074674493756729384353913",
        "20786923013429232749470594329455309882713682216761797910592284729738312371850",
        "2073225601630511023793984244584721446296103509299903599739377312253320009110",
    ]);
    let key = ValidKey::from_registry(&g1, &g2).unwrap();
    assert_eq!(
        key.operator_id().0,
        b256!("5a76fe9014f9cd296a69ac589c2bbd2c6a354c5e4c0c79ee35c5b8202b8523a2")
    );
}

#[test]
fn key_12345_signs_as_another_implementation_does() {
    let key = secret::<Bn254>(U256::from(12345));
    assert_eq!(
        key.public_key().operator_id().0,
        b256!("26e12805541af2be0505cba0230e232b7c6648371f78b16d2f8301a24bf590b7")
    );
    let g1 = key.public_key().g1_bytes().0;
    assert_eq!(g1[..4], hex!("1936f7b0"));
    assert_eq!(g1[62..], hex!("921a"));
    // V2, chain 10.
    let digest = b256!("6faaac024b3e0787185d316c6d59ac0f1dafde01ea0183457055165fb6e2b403");
    assert_eq!(
        key.sign(digest).to_bytes().0,
        hex!(
            "20f609548b9d336473d42f66d546cd7d70d419466cc69530db42e679aa0e93ec"
            "195cdb2dcef01e9048ebd1158db6c0f0942c105cdfa78974860b2807f22ff9e8"
        )
    );
}
