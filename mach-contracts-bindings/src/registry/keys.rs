//! Keys of operators, read from the events of their registration.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, BlockNumber, ChainId};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{BlockNumberOrTag, Filter, Log};
use alloy_sol_types::SolEvent;
use alloy_transport::TransportError;
use mach_core::{G1Bytes, G2Bytes, OperatorId};
use tracing::{debug, info};

use super::{
    cache::{KeyCache, Registered},
    logs::LogReader,
};
use crate::abi::IBLSApkRegistry::NewPubkeyRegistration;

/// Blocks that are read again, since a reorganisation may have changed them.
pub(super) const REORG_DEPTH: u64 = 64;

/// What is known of a registry's keys.
#[derive(Debug)]
pub(super) struct Keys {
    apk_registry: Address,
    first_block: BlockNumber,
    known: BTreeMap<OperatorId, Registered>,
    /// Up to here nothing is read again for as long as the block is still the same.
    checkpoint: Option<Checkpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Checkpoint {
    number: BlockNumber,
    hash: B256,
}

impl Keys {
    pub(super) const fn new(apk_registry: Address, first_block: BlockNumber) -> Self {
        Self {
            apk_registry,
            first_block,
            known: BTreeMap::new(),
            checkpoint: None,
        }
    }

    pub(super) fn get(&self, id: &OperatorId) -> Option<(G1Bytes, G2Bytes)> {
        let key = self.known.get(id)?;
        Some((key.key_g1, key.key_g2))
    }

    /// Takes over what another process has read.
    pub(super) fn restore(&mut self, cache: KeyCache) {
        // Keys that were registered before the first block of the other are not in it.
        if cache.first_block > self.first_block {
            return;
        }
        self.checkpoint = Some(Checkpoint {
            number: cache.height,
            hash: cache.block_hash,
        });
        let height = cache.height;
        let settled = cache.keys.into_iter().filter(|key| key.block <= height);
        self.known = settled
            .map(|key| (OperatorId::from_key(&key.key_g1), key))
            .collect();
    }

    /// What another process may go on from.
    pub(super) fn snapshot(&self, l1_chain_id: ChainId) -> Option<KeyCache> {
        let checkpoint = self.checkpoint?;
        let settled = self.known.values();
        Some(KeyCache {
            l1_chain_id,
            apk_registry: self.apk_registry,
            first_block: self.first_block,
            height: checkpoint.number,
            block_hash: checkpoint.hash,
            keys: settled
                .filter(|key| key.block <= checkpoint.number)
                .copied()
                .collect(),
        })
    }

    /// Reads on up to `head`, from the last block that is settled.
    pub(super) async fn read_on(
        &mut self,
        provider: &DynProvider,
        head: BlockNumber,
    ) -> Result<(), KeysError> {
        let from = match self.checkpoint {
            None => self.first_block,
            Some(checkpoint) => {
                let hash = block_hash(provider, checkpoint.number).await?;
                match hash {
                    Some(hash) if hash == checkpoint.hash => {
                        // What came after may be gone.
                        self.known.retain(|_, key| key.block <= checkpoint.number);
                        checkpoint.number.saturating_add(1)
                    }
                    Some(_) => {
                        info!(
                            block = checkpoint.number,
                            "L1 has another block, reading keys anew"
                        );
                        self.known.clear();
                        self.checkpoint = None;
                        self.first_block
                    }
                    None => {
                        return Err(KeysError::Behind {
                            head,
                            block: checkpoint.number,
                        });
                    }
                }
            }
        };
        self.read(provider, from, head).await
    }

    /// Whether there are blocks before those that [`Self::read_on`] reads.
    pub(super) fn has_skipped(&self) -> bool {
        self.checkpoint
            .is_some_and(|checkpoint| checkpoint.number >= self.first_block)
    }

    /// Reads everything once more, for events that the node left out.
    pub(super) async fn read_again(
        &mut self,
        provider: &DynProvider,
        head: BlockNumber,
    ) -> Result<(), KeysError> {
        self.read(provider, self.first_block, head).await
    }

    async fn read(
        &mut self,
        provider: &DynProvider,
        from: BlockNumber,
        head: BlockNumber,
    ) -> Result<(), KeysError> {
        let filter = Filter::new()
            .address(self.apk_registry)
            .event_signature(NewPubkeyRegistration::SIGNATURE_HASH);
        let mut reader = LogReader::new(provider, filter, from, head);
        let mut read_to = None;
        let outcome = loop {
            match reader.next().await {
                Ok(Some((logs, last))) => {
                    for log in &logs {
                        self.take(log, last);
                    }
                    read_to = Some(last);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        // Also after a failure: what was read need not be read again.
        let settled = read_to
            .unwrap_or_default()
            .min(head.saturating_sub(REORG_DEPTH));
        let known = self
            .checkpoint
            .map_or(self.first_block, |it| it.number.saturating_add(1));
        if settled >= known
            && let Some(hash) = block_hash(provider, settled).await?
        {
            self.checkpoint = Some(Checkpoint {
                number: settled,
                hash,
            });
        }
        outcome
    }

    fn take(&mut self, log: &Log, last: BlockNumber) {
        if log.address() != self.apk_registry || log.removed {
            return;
        }
        let Ok(event) = NewPubkeyRegistration::decode_log(&log.inner) else {
            debug!(transaction = ?log.transaction_hash, "not a key registration");
            return;
        };
        let key = Registered {
            // Never beyond what was asked for, so that it is not kept for too long.
            block: log.block_number.unwrap_or(last).min(last),
            key_g1: event.data.pubkeyG1.into(),
            key_g2: event.data.pubkeyG2.into(),
        };
        self.known.insert(OperatorId::from_key(&key.key_g1), key);
    }
}

/// Hash of the block at a height; `None` if the node has none.
pub(super) async fn block_hash(
    provider: &DynProvider,
    number: BlockNumber,
) -> Result<Option<B256>, TransportError> {
    let tag = BlockNumberOrTag::Number(number);
    let block = provider.get_block_by_number(tag).await?;
    Ok(block.map(|block| block.header.hash))
}

/// Why keys are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    #[error(
        "the node is at L1 block {head} and does not have block {block}, which was read before"
    )]
    Behind { head: u64, block: u64 },
    #[error("L1 request failed")]
    Transport(#[from] TransportError),
}
