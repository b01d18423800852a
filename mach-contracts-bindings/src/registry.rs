//! The operator set, read from the registry contracts.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{BlockId, Filter};
use alloy_sol_types::SolEvent;
use async_trait::async_trait;
use mach_core::{
    G1Bytes, G2Bytes, Operator, OperatorId, OperatorSet, QuorumNumbers,
    ports::{OperatorRegistry, RegistryError},
};
use tokio::sync::Mutex;
use tracing::debug;

use crate::{
    CallError,
    abi::{IBLSApkRegistry, IOperatorStateRetriever, IRegistryCoordinator, OperatorState},
    call::{call, call_at},
    convert::stake_from_u96,
};

/// Most blocks whose events are asked for at once; halved for as long as the node refuses.
const MAX_BLOCK_RANGE: u64 = 10_000;
/// Blocks that are read again, since a reorganisation may have changed them.
const REORG_DEPTH: u64 = 64;

/// Reads operators, keys and stakes from any registry with EigenLayer's M2 interface.
///
/// Keys never change once they are registered and their events are read once.
#[derive(Debug)]
pub struct ContractRegistry {
    provider: DynProvider,
    coordinator: Address,
    retriever: Address,
    apk_registry: Address,
    keys: Mutex<Keys>,
}

#[derive(Debug)]
struct Keys {
    known: BTreeMap<OperatorId, (G1Bytes, G2Bytes)>,
    first_block: u64,
    next_block: u64,
}

impl ContractRegistry {
    /// The registry of `coordinator`, whose contracts are not older than `first_block`.
    pub async fn connect(
        provider: impl Provider + 'static,
        coordinator: Address,
        retriever: Address,
        first_block: u64,
    ) -> Result<Self, CallError> {
        let provider = provider.erased();
        let request = IRegistryCoordinator::blsApkRegistryCall {};
        Ok(Self {
            apk_registry: call(&provider, coordinator, &request).await?,
            provider,
            coordinator,
            retriever,
            keys: Mutex::new(Keys {
                known: BTreeMap::new(),
                first_block,
                next_block: first_block,
            }),
        })
    }

    async fn state(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<Vec<Vec<OperatorState>>, RegistryError> {
        let request = IOperatorStateRetriever::getOperatorStateCall {
            registryCoordinator: self.coordinator,
            quorumNumbers: Bytes::copy_from_slice(quorums.as_bytes()),
            blockNumber: reference_block,
        };
        let head = self.head().await.map_err(unanswered)?;
        if head < u64::from(reference_block) {
            return Err(RegistryError::Backend(Box::new(StateError::Behind {
                head,
                reference_block,
            })));
        }
        // The histories answer for a block that is not there yet as if it were like the newest. So the
        // answer must not come from another node, behind the same address, that lags.
        let head = BlockId::number(head);
        match call_at(&self.provider, head, self.retriever, &request).await {
            Ok(state) if state.len() == quorums.len() => Ok(state),
            Ok(state) => Err(malformed(StateError::QuorumCount {
                asked: quorums.len(),
                answered: state.len(),
            })),
            // The one thing that makes this read revert is a quorum younger than the block.
            Err(CallError::Reverted { .. }) => {
                Err(self.missing_quorum(quorums, reference_block).await?)
            }
            Err(error) => Err(unanswered(error)),
        }
    }

    async fn missing_quorum(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<RegistryError, RegistryError> {
        let count = IRegistryCoordinator::quorumCountCall {};
        let count = call(&self.provider, self.coordinator, &count)
            .await
            .map_err(unanswered)?;
        let quorum = quorums.iter().find(|quorum| *quorum >= count);
        Ok(RegistryError::UnknownQuorum {
            // Quorums are made in order, so that the last is the youngest.
            quorum: quorum.or_else(|| quorums.iter().last()).unwrap_or_default(),
            reference_block,
        })
    }

    async fn head(&self) -> Result<u64, CallError> {
        Ok(self.provider.get_block_number().await?)
    }

    async fn operator(
        &self,
        keys: &mut Keys,
        state: &OperatorState,
        reference_block: u32,
    ) -> Result<Operator, RegistryError> {
        let id = OperatorId(state.operatorId);
        let last = u64::from(reference_block);
        if !keys.known.contains_key(&id) {
            let resumes = keys.next_block > keys.first_block;
            self.read_keys(keys, last).await.map_err(unanswered)?;
            if resumes && !keys.known.contains_key(&id) {
                // The node left the event out before, such as one whose index of events lags.
                keys.next_block = keys.first_block;
                self.read_keys(keys, last).await.map_err(unanswered)?;
            }
        }
        let (key_g1, key_g2) = keys
            .known
            .get(&id)
            .copied()
            .ok_or_else(|| malformed(StateError::NoKey(id)))?;
        Ok(Operator {
            address: state.operator,
            key_g1,
            key_g2,
        })
    }

    /// Reads the key registrations since the last time, up to the block `last`.
    async fn read_keys(&self, keys: &mut Keys, last: u64) -> Result<(), CallError> {
        let mut from = keys
            .next_block
            .saturating_sub(REORG_DEPTH)
            .max(keys.first_block);
        let mut range = MAX_BLOCK_RANGE;
        while from <= last {
            let to = last.min(from.saturating_add(range - 1));
            let filter = Filter::new()
                .address(self.apk_registry)
                .event_signature(IBLSApkRegistry::NewPubkeyRegistration::SIGNATURE_HASH)
                .from_block(from)
                .to_block(to);
            let logs = match self.provider.get_logs(&filter).await {
                Ok(logs) => logs,
                Err(error) if error.is_error_resp() && range > 1 => {
                    range /= 2;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for log in &logs {
                if log.address() != self.apk_registry || log.removed {
                    continue;
                }
                let Ok(event) = IBLSApkRegistry::NewPubkeyRegistration::decode_log(&log.inner)
                else {
                    debug!(transaction = ?log.transaction_hash, "not a key registration");
                    continue;
                };
                let key_g1 = G1Bytes::from(event.data.pubkeyG1);
                let key_g2 = G2Bytes::from(event.data.pubkeyG2);
                keys.known
                    .insert(OperatorId::from_key(&key_g1), (key_g1, key_g2));
            }
            keys.next_block = to + 1;
            from = to + 1;
        }
        Ok(())
    }
}

#[async_trait]
impl OperatorRegistry for ContractRegistry {
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet, RegistryError> {
        let state = self.state(quorums, reference_block).await?;
        let mut set = OperatorSet::new(quorums.clone(), reference_block);
        let mut keys = self.keys.lock().await;
        for (quorum, members) in quorums.iter().zip(&state) {
            for member in members {
                let operator = self.operator(&mut keys, member, reference_block).await?;
                set.insert(quorum, operator, stake_from_u96(member.stake));
            }
        }
        Ok(set)
    }
}

#[derive(Debug, thiserror::Error)]
enum StateError {
    #[error("asked for {asked} quorums, got {answered}")]
    QuorumCount { asked: usize, answered: usize },
    #[error("the node is at L1 block {head}, before {reference_block}")]
    Behind { head: u64, reference_block: u32 },
    #[error("operator {0} never registered a key")]
    NoKey(OperatorId),
}

fn malformed(error: StateError) -> RegistryError {
    RegistryError::Malformed(Box::new(error))
}

fn unanswered(error: CallError) -> RegistryError {
    if error.is_transient() {
        RegistryError::Backend(Box::new(error))
    } else {
        RegistryError::Malformed(Box::new(error))
    }
}
