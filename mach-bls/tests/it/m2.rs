//! Keys, proofs and aggregates that EigenLayer's genuine M2 contracts accepted.
//!
//! The vectors are not in the repository; `MACH_DATA` says where they are.

use alloy_primitives::{B256, U256};
use mach_bls::{
    OperatorKeys,
    bn254::{MessagePoint, PossessionProof, Signature, ValidKey, hash_to_g1},
};
use mach_core::{Bn254, Certificate, G1Bytes, G2Bytes, OperatorId, legacy::digest_v2};
use serde_json::Value;

use crate::fixture::{self, id, keys, secret, signed, sum, tally};

fn vectors() -> Option<Value> {
    let Ok(folder) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(format!("{folder}/eigenlayer/vectors.m2.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn g1(value: &Value) -> G1Bytes {
    fixture::g1(text(&value["X"]), text(&value["Y"]))
}

/// The ABI has the imaginary part first.
fn g2(value: &Value) -> G2Bytes {
    let (x, y) = (&value["X"], &value["Y"]);
    fixture::g2([text(&x[1]), text(&x[0]), text(&y[1]), text(&y[0])])
}

/// Secret key and stake of each operator.
fn members(vectors: &Value) -> Vec<(U256, u128)> {
    let operators = vectors["operators"].as_array().unwrap();
    operators
        .iter()
        .map(|operator| {
            let key = text(&operator["blsKey"]).parse().unwrap();
            (key, text(&operator["stake"]).parse().unwrap())
        })
        .collect()
}

#[test]
fn every_key_has_the_points_and_the_id_of_the_contracts() {
    let Some(vectors) = vectors() else { return };
    for operator in vectors["operators"].as_array().unwrap() {
        let key = secret::<Bn254>(text(&operator["blsKey"]).parse().unwrap());
        let (expected_g1, expected_g2) = (g1(&operator["pubkeyG1"]), g2(&operator["pubkeyG2"]));
        assert_eq!(key.public_key().g1_bytes(), expected_g1);
        assert_eq!(key.public_key().g2_bytes(), expected_g2);
        let key = ValidKey::from_registry(&expected_g1, &expected_g2).unwrap();
        for name in ["operatorId", "onchainOperatorId"] {
            let id: B256 = text(&operator[name]).parse().unwrap();
            assert_eq!(key.operator_id(), OperatorId(id), "{name}");
        }
    }
}

#[test]
fn every_proof_of_possession_is_the_one_that_was_accepted() {
    let Some(vectors) = vectors() else { return };
    for operator in vectors["operators"].as_array().unwrap() {
        let message = MessagePoint::from_bytes(&g1(&operator["registrationMessageHash"])).unwrap();
        let accepted = PossessionProof {
            key_g1: g1(&operator["pubkeyG1"]),
            key_g2: g2(&operator["pubkeyG2"]),
            signature: g1(&operator["pubkeyRegistrationSignature"]),
        };
        let key = secret::<Bn254>(text(&operator["blsKey"]).parse().unwrap());
        assert_eq!(key.prove_possession(&message), accepted);
        assert_eq!(accepted.verify(&message).as_ref(), Ok(key.public_key()));
    }
}

#[test]
fn every_alert_hashes_to_its_point_and_has_its_aggregate() {
    let Some(vectors) = vectors() else { return };
    let all: Vec<U256> = members(&vectors).into_iter().map(|(key, _)| key).collect();
    // Of the first alert, the first operator is absent.
    for (name, signers) in [("alert1", &all[1..]), ("alert2", &all[..])] {
        let (alert, header) = (&vectors[name], &vectors[name]["hdr"]);
        let digest: B256 = text(&alert["hh"]).parse().unwrap();
        let computed = digest_v2(
            text(&header["messageHash"]).parse().unwrap(),
            header["referenceBlockNumber"].as_u64().unwrap() as u32,
            text(&header["rollupChainID"]).parse().unwrap(),
        );
        assert_eq!(computed, digest, "{name}");
        assert_eq!(hash_to_g1(digest).to_bytes(), g1(&alert["H"]), "{name}");

        let total = secret::<Bn254>(sum::<Bn254>(signers.iter().copied()));
        let sigma = Signature::from_bytes(&g1(&alert["nss"]["sigma"])).unwrap();
        assert_eq!(total.sign(digest), sigma, "{name}");
        total.public_key().verify(digest, &sigma).unwrap();
    }
}

#[test]
fn a_tally_of_the_same_signers_has_the_sums_that_were_accepted() {
    let Some(vectors) = vectors() else { return };
    let members = members(&vectors);
    let keys = keys::<Bn254>(&[&members]);
    for (name, signers) in [("alert1", &members[1..]), ("alert2", &members[..])] {
        let mut tally = tally(&keys, 66);
        for (key, _) in signers {
            tally.add(&signed::<Bn254>(*key)).unwrap();
        }
        let certificate: Certificate = tally.certificate().certificate.unwrap();
        let accepted = &vectors[name]["nss"];
        assert_eq!(certificate.apk_g2, g2(&accepted["apkG2"]), "{name}");
        assert_eq!(certificate.quorums[0].apk, g1(&accepted["quorumApks"][0]));
        assert_eq!(certificate.quorums[0].apk, g1(&vectors["apk"]));
        let absent: Vec<G1Bytes> = certificate.non_signers.iter().map(|it| it.key_g1).collect();
        let expected = accepted["nonSignerPubkeys"].as_array().unwrap();
        assert_eq!(
            absent,
            expected.iter().map(g1).collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn the_operator_set_on_the_chain_is_accepted() {
    let Some(vectors) = vectors() else { return };
    let members = members(&vectors);
    let keys: &OperatorKeys = &keys::<Bn254>(&[&members]);
    for (operator, (key, stake)) in vectors["operatorState"][0]
        .as_array()
        .unwrap()
        .iter()
        .zip(members)
    {
        let on_chain = OperatorId(text(&operator["operatorId"]).parse().unwrap());
        assert_eq!(on_chain, id::<Bn254>(key));
        assert_eq!(text(&operator["stake"]), stake.to_string());
        assert_eq!(keys.key(&on_chain), Some(secret::<Bn254>(key).public_key()));
    }
}
