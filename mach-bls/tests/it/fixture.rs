//! Operators whose secret keys are small numbers, so that sums of keys and signatures can be
//! computed with integers: the sum of two keys' signatures is the signature of the keys' sum.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, uint};
use mach_bls::{
    OperatorKeys, Tally,
    bn254::{PublicKey, SecretKey},
};
use mach_core::{
    Attestation, BlockRef, Domain, G1Bytes, G2Bytes, Operator, OperatorId, OperatorSet,
    QuorumNumbers, Round, SignedStatement, Stake, Statement, Threshold,
};

pub(crate) const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::ZERO,
};

pub(crate) const REFERENCE_BLOCK: u32 = 100;

/// EIP-197: the group order.
pub(crate) const R: U256 =
    uint!(21888242871839275222246405745257275088548364400416034343698204186575808495617_U256);

/// The secret key with this number modulo the group order.
pub(crate) fn secret(number: U256) -> SecretKey {
    SecretKey::from_bytes(&(number % R).to_be_bytes()).unwrap()
}

pub(crate) fn sum(numbers: impl IntoIterator<Item = U256>) -> U256 {
    numbers
        .into_iter()
        .fold(U256::ZERO, |sum, number| sum.add_mod(number, R))
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

pub(crate) fn operator(key: &PublicKey) -> Operator {
    Operator {
        address: Address::ZERO,
        key_g1: key.g1_bytes(),
        key_g2: key.g2_bytes(),
    }
}

/// Quorums 0, 1, … with members (secret key, stake).
pub(crate) fn operator_set(quorums: &[&[(U256, u128)]]) -> OperatorSet {
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

pub(crate) fn keys(quorums: &[&[(U256, u128)]]) -> Arc<OperatorKeys> {
    Arc::new(OperatorKeys::new(&operator_set(quorums)).unwrap())
}

pub(crate) fn tally(keys: &Arc<OperatorKeys>, percent: u8) -> Tally {
    let quorums = keys.quorums().clone();
    let thresholds = vec![Threshold::percent(percent).unwrap(); quorums.len()];
    let round = Round::new(quorums, thresholds, keys.reference_block()).unwrap();
    Tally::new(statement(7), DOMAIN, round, Arc::clone(keys)).unwrap()
}

pub(crate) fn id(key: U256) -> OperatorId {
    secret(key).public_key().operator_id()
}

/// The signature that the operator with this key should send.
pub(crate) fn signed(key: U256) -> SignedStatement {
    signed_with(key, key)
}

/// What arrives in the name of one operator, signed with some other key.
pub(crate) fn signed_with(operator: U256, key: U256) -> SignedStatement {
    let statement = statement(7);
    SignedStatement {
        signature: secret(key).sign(statement.digest(&DOMAIN)).to_bytes(),
        statement,
        domain: DOMAIN,
        operator: id(operator),
    }
}

pub(crate) fn number(value: u64) -> U256 {
    U256::from(value)
}
