//! Operators whose secret keys are small numbers, so that sums of keys and signatures can be
//! computed with integers: the sum of two keys' signatures is the signature of the keys' sum.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, uint};
use mach_bls::{OperatorKeys, Scheme, SecretKey, Tally, ValidKey};
use mach_core::{
    Attestation, BlockRef, Bls12381, Bn254, Domain, G1Bytes, G2Bytes, Operator, OperatorId,
    OperatorSet, QuorumNumbers, Round, SignedStatement, Stake, Statement, Threshold,
};

pub(crate) const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::ZERO,
};

pub(crate) const REFERENCE_BLOCK: u32 = 100;

/// A curve with its group order, so that keys can be computed with.
pub(crate) trait TestCurve: Scheme {
    const ORDER: U256;
}

impl TestCurve for Bn254 {
    /// EIP-197.
    const ORDER: U256 =
        uint!(0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001_U256);
}

impl TestCurve for Bls12381 {
    /// EIP-2537.
    const ORDER: U256 =
        uint!(0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001_U256);
}

/// Makes a test for each curve of functions that take one.
macro_rules! on_both_curves {
    ($($test:ident)*) => {
        mod bn254 {
            $(#[test] fn $test() { super::$test::<mach_core::Bn254>(); })*
        }
        mod bls12_381 {
            $(#[test] fn $test() { super::$test::<mach_core::Bls12381>(); })*
        }
    };
}
pub(crate) use on_both_curves;

/// The secret key with this number modulo the group order.
pub(crate) fn secret<S: TestCurve>(number: U256) -> SecretKey<S> {
    SecretKey::from_bytes(&(number % S::ORDER).to_be_bytes()).unwrap()
}

pub(crate) fn sum<S: TestCurve>(numbers: impl IntoIterator<Item = U256>) -> U256 {
    numbers
        .into_iter()
        .fold(U256::ZERO, |sum, number| sum.add_mod(number, S::ORDER))
}

/// Decimal coordinates as a point: X, Y.
pub(crate) fn g1(x: &str, y: &str) -> G1Bytes {
    G1Bytes(words([x, y]).as_slice().try_into().unwrap())
}

/// Decimal coordinates as a point: X.c0, X.c1, Y.c0, Y.c1.
pub(crate) fn g2(coordinates: [&str; 4]) -> G2Bytes {
    G2Bytes(words(coordinates).as_slice().try_into().unwrap())
}

fn words<const N: usize>(decimals: [&str; N]) -> Vec<u8> {
    decimals
        .map(|decimal| decimal.parse::<U256>().unwrap().to_be_bytes::<32>())
        .concat()
}

pub(crate) fn statement(number: u64) -> Statement {
    Statement::from(Attestation {
        rollup_chain_id: 10,
        block: BlockRef {
            number,
            hash: B256::repeat_byte(1),
        },
        state_root: B256::repeat_byte(2),
        output_root: B256::repeat_byte(3),
    })
}

pub(crate) fn operator<S: Scheme>(key: &ValidKey<S>) -> Operator<S> {
    Operator {
        address: Address::ZERO,
        key_g1: key.g1_bytes(),
        key_g2: key.g2_bytes(),
    }
}

/// Quorums 0, 1, … with members (secret key, stake).
pub(crate) fn operator_set<S: TestCurve>(quorums: &[&[(U256, u128)]]) -> OperatorSet<S> {
    let numbers: Vec<u8> = (0..quorums.len() as u8).collect();
    let mut set = OperatorSet::new(QuorumNumbers::new(numbers).unwrap(), REFERENCE_BLOCK);
    for (number, members) in quorums.iter().enumerate() {
        for (key, stake) in *members {
            let operator = operator(secret(*key).public_key());
            set.insert(number as u8, operator, Stake::new(*stake).unwrap());
        }
    }
    set
}

pub(crate) fn keys<S: TestCurve>(quorums: &[&[(U256, u128)]]) -> Arc<OperatorKeys<S>> {
    Arc::new(OperatorKeys::new(&operator_set(quorums)).unwrap())
}

pub(crate) fn tally<S: Scheme>(keys: &Arc<OperatorKeys<S>>, percent: u8) -> Tally<S> {
    let quorums = keys.quorums().clone();
    let thresholds = vec![Threshold::percent(percent).unwrap(); quorums.len()];
    let round = Round::new(quorums, thresholds, keys.reference_block()).unwrap();
    Tally::new(statement(7), DOMAIN, round, Arc::clone(keys)).unwrap()
}

pub(crate) fn id<S: TestCurve>(key: U256) -> OperatorId {
    secret::<S>(key).public_key().operator_id()
}

/// The signature that the operator with this key should send.
pub(crate) fn signed<S: TestCurve>(key: U256) -> SignedStatement<S> {
    signed_with(key, key)
}

/// What arrives in the name of one operator, signed with some other key.
pub(crate) fn signed_with<S: TestCurve>(operator: U256, key: U256) -> SignedStatement<S> {
    let statement = statement(7);
    SignedStatement {
        signature: secret::<S>(key).sign(statement.digest(&DOMAIN)).to_bytes(),
        statement,
        domain: DOMAIN,
        operator: id::<S>(operator),
    }
}

pub(crate) fn number(value: u64) -> U256 {
    U256::from(value)
}
