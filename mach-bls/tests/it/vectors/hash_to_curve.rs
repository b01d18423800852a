//! RFC 9380, appendices J.9 and J.10.

use mach_bls::bls12_381::{hash_to_g1, min_pk::hash_to_g2};
use serde::Deserialize;

use super::{File, bytes, consensus::imaginary_first};

#[derive(Deserialize)]
struct Suite {
    ciphersuite: String,
    dst: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    msg: String,
    #[serde(rename = "P")]
    point: Coordinates,
}

#[derive(Deserialize)]
struct Coordinates {
    x: String,
    y: String,
}

pub(super) fn to_g1(file: &File) {
    let suite: Suite = file.json();
    assert_eq!(suite.ciphersuite, "BLS12381G1_XMD:SHA-256_SSWU_RO_");
    assert!(!suite.vectors.is_empty());
    for Vector { msg, point } in suite.vectors {
        let padding = vec![0; 16];
        let expected = [&padding, &bytes(&point.x), &padding, &bytes(&point.y)];
        let hashed = hash_to_g1(msg.as_bytes(), suite.dst.as_bytes());
        assert_eq!(
            hashed.to_bytes().0.as_slice(),
            expected.map(Vec::as_slice).concat(),
            "{msg}"
        );
    }
}

pub(super) fn to_g2(file: &File) {
    let suite: Suite = file.json();
    assert_eq!(suite.ciphersuite, "BLS12381G2_XMD:SHA-256_SSWU_RO_");
    assert!(!suite.vectors.is_empty());
    for Vector { msg, point } in suite.vectors {
        let expected = [imaginary_first(&point.x), imaginary_first(&point.y)].concat();
        let hashed = hash_to_g2(msg.as_bytes(), suite.dst.as_bytes());
        assert_eq!(hashed.to_uncompressed_bytes().as_slice(), expected, "{msg}");
    }
}
