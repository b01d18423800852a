//! Operators, their keys and their stakes at one L1 block.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::{Bn254, Curve, G1Bytes, G2Bytes, QuorumNumbers, Stake};

/// Identity of an operator's BLS key: keccak-256 of the bytes of its G1 key.
///
/// Source: `BLSApkRegistry.registerBLSPublicKey`, `BN254.hashG1Point`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(pub B256);

impl OperatorId {
    /// The id of a G1 key.
    pub fn from_key<C: Curve>(key: &G1Bytes<C>) -> Self {
        Self(keccak256(key.0))
    }
}

impl core::fmt::Display for OperatorId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// An operator's registered keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct Operator<C: Curve = Bn254> {
    /// Ethereum account of the operator.
    pub address: Address,
    /// Public key in G1; the operator id is its hash.
    pub key_g1: G1Bytes<C>,
    /// Public key in G2.
    pub key_g2: G2Bytes<C>,
}

impl<C: Curve> Operator<C> {
    /// The operator's id.
    pub fn id(&self) -> OperatorId {
        OperatorId::from_key(&self.key_g1)
    }
}

/// Operators and their stakes in some quorums at one L1 block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSet<C: Curve = Bn254> {
    reference_block: u32,
    quorums: QuorumNumbers,
    operators: BTreeMap<OperatorId, Operator<C>>,
    stakes: BTreeMap<u8, BTreeMap<OperatorId, Stake>>,
}

impl<C: Curve> OperatorSet<C> {
    /// An empty set for `quorums` at `reference_block`.
    pub fn new(quorums: QuorumNumbers, reference_block: u32) -> Self {
        let stakes = quorums
            .iter()
            .map(|quorum| (quorum, BTreeMap::new()))
            .collect();
        Self {
            reference_block,
            quorums,
            operators: BTreeMap::new(),
            stakes,
        }
    }

    /// Puts an operator into one quorum. A quorum that the set was not made for is ignored.
    pub fn insert(&mut self, quorum: u8, operator: Operator<C>, stake: Stake) {
        if let Some(stakes) = self.stakes.get_mut(&quorum) {
            let id = operator.id();
            self.operators.insert(id, operator);
            stakes.insert(id, stake);
        }
    }

    /// L1 block that keys and stakes are read at.
    pub const fn reference_block(&self) -> u32 {
        self.reference_block
    }

    /// The quorums of the set.
    pub const fn quorums(&self) -> &QuorumNumbers {
        &self.quorums
    }

    /// The operator with this id, if it is in any of the quorums.
    pub fn operator(&self, id: &OperatorId) -> Option<&Operator<C>> {
        self.operators.get(id)
    }

    /// All operators, ascending by id.
    pub fn operators(&self) -> impl Iterator<Item = (&OperatorId, &Operator<C>)> {
        self.operators.iter()
    }

    /// Members of one quorum with their stakes, ascending by id.
    pub fn members(&self, quorum: u8) -> impl Iterator<Item = (&OperatorId, Stake)> {
        self.stakes
            .get(&quorum)
            .into_iter()
            .flatten()
            .map(|(id, stake)| (id, *stake))
    }

    /// Stake of an operator in a quorum; `None` if it is not a member.
    pub fn stake(&self, quorum: u8, id: &OperatorId) -> Option<Stake> {
        self.stakes.get(&quorum)?.get(id).copied()
    }

    /// Stake of all members of a quorum.
    pub fn total_stake(&self, quorum: u8) -> Stake {
        self.members(quorum)
            .fold(Stake::ZERO, |sum, (_, stake)| sum.saturating_add(stake))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, b256};

    #[test]
    fn an_operator_id_is_the_hash_of_its_key() {
        let mut key = [0u8; 64];
        key[..32].copy_from_slice(&U256::from(1).to_be_bytes::<32>());
        key[32..].copy_from_slice(&U256::from(2).to_be_bytes::<32>());
        // keccak256(1 ‖ 2), the generator of G1: a constant of every EigenLayer test suite.
        assert_eq!(
            OperatorId::from_key(&G1Bytes::<Bn254>(key.into())).0,
            b256!("e90b7bceb6e7df5418fb78d8ee546e97c83a08bbccc01a0644d599ccd2a7c2e0")
        );
    }

    #[test]
    fn an_operator_of_two_quorums_has_two_stakes_and_one_key() {
        let quorums = QuorumNumbers::new([0, 2]).unwrap();
        let mut set = OperatorSet::<Bn254>::new(quorums, 7);
        let operator = Operator {
            address: Address::ZERO,
            key_g1: G1Bytes([1; 64].into()),
            key_g2: G2Bytes([2; 128].into()),
        };
        set.insert(0, operator, Stake::new(5).unwrap());
        set.insert(2, operator, Stake::new(7).unwrap());
        set.insert(1, operator, Stake::new(9).unwrap());
        assert_eq!(set.operators().count(), 1);
        assert_eq!(set.total_stake(0).weight(), 5);
        assert_eq!(set.stake(2, &operator.id()).unwrap().weight(), 7);
        assert_eq!(set.stake(1, &operator.id()), None);
    }
}
