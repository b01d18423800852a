//! The operators of a verifier at a past block.

use std::collections::BTreeMap;

use alloy_rpc_types_eth::{Filter, Log};
use alloy_sol_types::SolEvent;
use async_trait::async_trait;
use mach_core::{
    Bls12381, Operator, OperatorId, OperatorSet, QuorumNumbers, Stake,
    ports::{OperatorRegistry, RegistryError},
};

use super::Bls12381Verifier;
use crate::{
    abi::bls12381::IMachBls12381Verifier::{KeyRegistered, StakeSet},
    convert::stake_from_u96,
    registry::LogReader,
};

/// Every call reads the events of the contract up to the reference block.
#[async_trait]
impl OperatorRegistry<Bls12381> for Bls12381Verifier {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet<Bls12381>, RegistryError> {
        let filter = Filter::new().address(self.address).event_signature(vec![
            KeyRegistered::SIGNATURE_HASH,
            StakeSet::SIGNATURE_HASH,
        ]);
        let last = u64::from(reference_block);
        let mut reader = LogReader::new(&self.provider, filter, self.first_block, last);
        let mut state = State::default();
        while let Some((logs, _)) = reader
            .next()
            .await
            .map_err(|error| RegistryError::Backend(error.into()))?
        {
            for log in &logs {
                state
                    .apply(log)
                    .map_err(|error| RegistryError::Malformed(error.into()))?;
            }
        }
        state.into_set(quorums, reference_block)
    }
}

#[derive(Default)]
struct State {
    operators: BTreeMap<OperatorId, Operator<Bls12381>>,
    stakes: BTreeMap<u8, BTreeMap<OperatorId, Stake>>,
}

impl State {
    /// The contract sets no stake of an operator whose key it does not have.
    fn apply(&mut self, log: &Log) -> Result<(), alloy_sol_types::Error> {
        if log.topic0() == Some(&KeyRegistered::SIGNATURE_HASH) {
            let event = KeyRegistered::decode_log(&log.inner)?.data;
            let operator = Operator {
                address: event.operator,
                key_g1: event.key.into(),
                key_g2: event.keyG2.into(),
            };
            self.operators.insert(operator.id(), operator);
        } else {
            let event = StakeSet::decode_log(&log.inner)?.data;
            let members = self.stakes.entry(event.quorumNumber).or_default();
            members.insert(OperatorId(event.operatorId), stake_from_u96(event.stake));
        }
        Ok(())
    }

    fn into_set(
        self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet<Bls12381>, RegistryError> {
        let mut set = OperatorSet::new(quorums.clone(), reference_block);
        for quorum in quorums.iter() {
            let members = self
                .stakes
                .get(&quorum)
                .ok_or(RegistryError::UnknownQuorum {
                    quorum,
                    reference_block,
                })?;
            for (id, stake) in members.iter().filter(|(_, stake)| **stake > Stake::ZERO) {
                let operator = self
                    .operators
                    .get(id)
                    .ok_or_else(|| RegistryError::Malformed(Unregistered(*id).into()))?;
                set.insert(quorum, *operator, *stake);
            }
        }
        Ok(set)
    }
}

/// A stake of an operator whose key was never registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operator {0} has a stake and no key")]
struct Unregistered(OperatorId);
