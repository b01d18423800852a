//! Values from the tests and constants of eigenlayer-middleware.

use alloy_primitives::{B256, FixedBytes, U256, keccak256};
use mach_core::{Bn254, G1Bytes, OperatorId};
use serde::Deserialize;

use super::File;
use crate::fixture::{g2, secret};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Middleware {
    #[serde(rename = "_origin")]
    _origin: String,
    g2_mul: Vec<Multiple>,
    zero_pk_hash: B256,
    pubkey_registration_type: String,
    pubkey_registration_typehash: B256,
    eip712_domain: Domain,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE", deny_unknown_fields)]
struct Multiple {
    #[serde(rename = "k")]
    scalar: U256,
    x: [String; 2],
    y: [String; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Domain {
    name: String,
    version: String,
}

pub(super) fn middleware(file: &File) {
    let vectors: Middleware = file.json();
    assert!(!vectors.g2_mul.is_empty());
    for Multiple { scalar, x, y } in &vectors.g2_mul {
        // The imaginary part is first there and second here.
        let expected = g2([&x[1], &x[0], &y[1], &y[0]].map(String::as_str));
        assert_eq!(secret::<Bn254>(*scalar).public_key().g2_bytes(), expected);
    }
    let zero: G1Bytes = G1Bytes(FixedBytes::ZERO);
    assert_eq!(OperatorId::from_key(&zero).0, vectors.zero_pk_hash);
    assert_eq!(
        keccak256(&vectors.pubkey_registration_type),
        vectors.pubkey_registration_typehash
    );
    let Domain { name, version } = vectors.eip712_domain;
    assert_eq!((&*name, &*version), ("AVSRegistryCoordinator", "v0.0.1"));
}
