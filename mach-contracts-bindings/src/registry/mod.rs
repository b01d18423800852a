//! The operator set, read from the registry contracts.

mod apk;
mod cache;
mod keys;
mod logs;

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use alloy_primitives::{Address, B256, Bytes, ChainId};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::BlockId;
use async_trait::async_trait;
use mach_core::{
    Operator, OperatorId, OperatorSet, QuorumNumbers,
    ports::{OperatorRegistry, RegistryError},
};
use tokio::sync::Mutex;
use tracing::warn;

use self::{
    apk::{ApkHash, apk_hash},
    keys::{Keys, REORG_DEPTH, block_hash},
};
use crate::{
    CallError,
    abi::{IBLSApkRegistry, IOperatorStateRetriever, IRegistryCoordinator, OperatorState},
    call::{call, call_at},
    convert::stake_from_u96,
};

pub use cache::{KeyCache, KeyCacheError, Registered};
pub(crate) use logs::LogReader;

/// Operator sets that are remembered.
const MAX_SETS: usize = 32;

/// Reads operators, keys and stakes from any registry with EigenLayer's M2 interface, which the
/// registries of operator sets have as well.
///
/// Keys never change once they are registered: their events are read once, and the last blocks again
/// for as long as a reorganisation may change them. A set that was read is remembered and answered
/// without a request once its block is settled. A set with one or two quorums costs 8 to 12 requests,
/// however many operators there are.
#[derive(Debug)]
pub struct ContractRegistry {
    provider: DynProvider,
    l1_chain_id: ChainId,
    coordinator: Address,
    retriever: Address,
    apk_registry: Address,
    keys: Mutex<Keys>,
    key_file: Option<PathBuf>,
    sets: Mutex<VecDeque<ReadSet>>,
    /// Highest block that the node had.
    head: AtomicU64,
}

#[derive(Debug)]
struct ReadSet {
    set: OperatorSet,
    block_hash: B256,
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
        let apk_registry = call(&provider, coordinator, &request).await?;
        Ok(Self {
            l1_chain_id: provider.get_chain_id().await?,
            provider,
            coordinator,
            retriever,
            apk_registry,
            keys: Mutex::new(Keys::new(apk_registry, first_block)),
            key_file: None,
            sets: Mutex::new(VecDeque::new()),
            head: AtomicU64::new(0),
        })
    }

    /// Goes on from what another process has read.
    ///
    /// Errors: [`KeyCacheError::OtherRegistry`].
    pub fn with_key_cache(mut self, cache: KeyCache) -> Result<Self, KeyCacheError> {
        if (cache.l1_chain_id, cache.apk_registry) != (self.l1_chain_id, self.apk_registry) {
            return Err(KeyCacheError::OtherRegistry {
                apk_registry: cache.apk_registry,
                l1_chain_id: cache.l1_chain_id,
                expected: self.apk_registry,
            });
        }
        self.keys.get_mut().restore(cache);
        Ok(self)
    }

    /// Keeps keys in a file from one start to the next, so that a start does not read the events of
    /// years. The file need not exist.
    ///
    /// Errors: [`KeyCacheError`].
    pub fn with_key_file(self, path: impl AsRef<Path>) -> Result<Self, KeyCacheError> {
        let path = path.as_ref();
        let mut this = match KeyCache::load(path)? {
            Some(cache) => self.with_key_cache(cache)?,
            None => self,
        };
        this.key_file = Some(path.to_owned());
        Ok(this)
    }

    /// What another process may go on from; `None` before anything is settled.
    pub async fn key_cache(&self) -> Option<KeyCache> {
        self.keys.lock().await.snapshot(self.l1_chain_id)
    }

    /// The set as it was read, if its block cannot have changed since.
    async fn remembered(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
        block_hash: Option<B256>,
    ) -> Option<OperatorSet> {
        let head = self.head.load(Ordering::Relaxed);
        let settled = head.saturating_sub(REORG_DEPTH) >= u64::from(reference_block);
        let sets = self.sets.lock().await;
        let read = sets.iter().find(|read| {
            read.set.reference_block() == reference_block && read.set.quorums() == quorums
        })?;
        (settled || block_hash == Some(read.block_hash)).then(|| read.set.clone())
    }

    async fn remember(&self, set: &OperatorSet, block_hash: B256) {
        let mut sets = self.sets.lock().await;
        sets.retain(|read| {
            read.set.reference_block() != set.reference_block()
                || read.set.quorums() != set.quorums()
        });
        if sets.len() >= MAX_SETS {
            sets.pop_front();
        }
        sets.push_back(ReadSet {
            set: set.clone(),
            block_hash,
        });
    }

    async fn reference_hash(&self, reference_block: u32) -> Result<Option<B256>, RegistryError> {
        block_hash(&self.provider, u64::from(reference_block))
            .await
            .map_err(|error| unanswered(error.into()))
    }

    async fn head(&self) -> Result<u64, RegistryError> {
        let head = self.provider.get_block_number().await;
        let head = head.map_err(|error| unanswered(error.into()))?;
        self.head.fetch_max(head, Ordering::Relaxed);
        Ok(head)
    }

    /// Members of each quorum at the reference block, as the histories have them on the state of `head`.
    async fn state(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
        head: u64,
    ) -> Result<Vec<Vec<OperatorState>>, RegistryError> {
        let request = IOperatorStateRetriever::getOperatorStateCall {
            registryCoordinator: self.coordinator,
            quorumNumbers: Bytes::copy_from_slice(quorums.as_bytes()),
            blockNumber: reference_block,
        };
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

    /// The operators of `state` with their keys, each of which fits its operator's id.
    async fn operators(
        &self,
        state: &[Vec<OperatorState>],
        head: u64,
    ) -> Result<BTreeMap<OperatorId, Operator>, RegistryError> {
        let members = || state.iter().flatten();
        let mut keys = self.keys.lock().await;
        let missing = |keys: &Keys| {
            members().find_map(|member| {
                let id = OperatorId(member.operatorId);
                keys.get(&id).is_none().then_some(id)
            })
        };
        if missing(&keys).is_some() {
            let skipped = keys.has_skipped();
            let mut read = keys.read_on(&self.provider, head).await;
            if read.is_ok() && skipped && missing(&keys).is_some() {
                // The node left the event out before, such as one whose index of events lags.
                read = keys.read_again(&self.provider, head).await;
            }
            self.keep(&keys).await;
            read.map_err(|error| RegistryError::Backend(Box::new(error)))?;
        }
        members()
            .map(|member| {
                let id = OperatorId(member.operatorId);
                let (key_g1, key_g2) = keys
                    .get(&id)
                    .ok_or_else(|| malformed(StateError::NoKey(id)))?;
                let address = member.operator;
                Ok((
                    id,
                    Operator {
                        address,
                        key_g1,
                        key_g2,
                    },
                ))
            })
            .collect()
    }

    /// Writes the key file. Without it the next start takes longer, which is no reason to stop.
    async fn keep(&self, keys: &Keys) {
        let (Some(path), Some(cache)) = (self.key_file.clone(), keys.snapshot(self.l1_chain_id))
        else {
            return;
        };
        let saved = tokio::task::spawn_blocking(move || cache.save(&path)).await;
        if let Ok(Err(error)) = saved {
            warn!(%error, "keys are read again at the next start");
        }
    }

    /// Compares the sum of each quorum's keys with the one that the registry keeps. Members that were left
    /// out, put in or exchanged show.
    async fn check_sums(
        &self,
        set: &OperatorSet,
        state: &[Vec<OperatorState>],
        head: u64,
    ) -> Result<(), RegistryError> {
        let reference_block = set.reference_block();
        let head = BlockId::number(head);
        let indices = IBLSApkRegistry::getApkIndicesAtBlockNumberCall {
            quorumNumbers: Bytes::copy_from_slice(set.quorums().as_bytes()),
            blockNumber: alloy_primitives::U256::from(reference_block),
        };
        let indices = call_at(&self.provider, head, self.apk_registry, &indices)
            .await
            .map_err(unanswered)?;
        for ((quorum, members), index) in set.quorums().iter().zip(state).zip(indices) {
            let request = IBLSApkRegistry::getApkHashAtBlockNumberAndIndexCall {
                quorumNumber: quorum,
                blockNumber: reference_block,
                index: alloy_primitives::U256::from(index),
            };
            let kept: ApkHash = call_at(&self.provider, head, self.apk_registry, &request)
                .await
                .map_err(unanswered)?;
            let keys = members.iter().filter_map(|member| {
                let operator = set.operator(&OperatorId(member.operatorId))?;
                Some(&operator.key_g1)
            });
            // A quorum that never had a member has no hash yet.
            let never = members.is_empty() && kept.is_zero();
            if !never && apk_hash(keys) != Some(kept) {
                return Err(malformed(StateError::Sum {
                    quorum,
                    members: members.len(),
                    reference_block,
                }));
            }
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
        if let Some(set) = self.remembered(quorums, reference_block, None).await {
            return Ok(set);
        }
        let Some(block_hash) = self.reference_hash(reference_block).await? else {
            let head = self.head().await?;
            return Err(behind(head, reference_block));
        };
        let remembered = self.remembered(quorums, reference_block, Some(block_hash));
        if let Some(set) = remembered.await {
            return Ok(set);
        }
        let head = self.head().await?;
        if head < u64::from(reference_block) {
            return Err(behind(head, reference_block));
        }
        let state = self.state(quorums, reference_block, head).await?;
        let operators = self.operators(&state, head).await?;
        let mut set = OperatorSet::new(quorums.clone(), reference_block);
        for (quorum, members) in quorums.iter().zip(&state) {
            for member in members {
                if let Some(operator) = operators.get(&OperatorId(member.operatorId)) {
                    set.insert(quorum, *operator, stake_from_u96(member.stake));
                }
            }
        }
        self.check_sums(&set, &state, head).await?;
        if self.reference_hash(reference_block).await? != Some(block_hash) {
            let error = StateError::Reorganised(reference_block);
            return Err(RegistryError::Backend(Box::new(error)));
        }
        self.remember(&set, block_hash).await;
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
    #[error(
        "the keys of the {members} operators of quorum {quorum} do not add up to its aggregate key at \
         L1 block {reference_block}"
    )]
    Sum {
        quorum: u8,
        members: usize,
        reference_block: u32,
    },
    #[error("L1 block {0} was replaced while it was read")]
    Reorganised(u32),
}

fn behind(head: u64, reference_block: u32) -> RegistryError {
    RegistryError::Backend(Box::new(StateError::Behind {
        head,
        reference_block,
    }))
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
