//! What stands in a service manager of any generation, at one block of L1.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, ChainId, TxHash, U256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::{SolCall, SolEvent};
use alloy_transport::{TransportError, TransportErrorKind};
use mach_core::{Alert, BlockRef};

use super::{
    legacy::IMachServiceManagerV1 as V1,
    probe::{Generation, Probe},
};
use crate::{
    CallError,
    abi::{self, IMachServiceManager as I},
    call::call_at,
};

/// What stands about one rollup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupStanding {
    /// The L1 block at which it stands.
    pub l1_block: BlockRef,
    /// Time of that block, in seconds since 1970.
    pub timestamp: u64,
    /// Alerts that are active.
    pub alerts: Vec<ActiveAlert>,
    /// The highest attested block; older generations have none.
    pub attested: Option<BlockRef>,
}

/// An alert that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveAlert {
    /// Digest of a V3 alert, message hash of an older one.
    pub message_hash: B256,
    /// What a V3 alert says; of the others the contract keeps the hash alone.
    pub alert: Option<Alert>,
    /// L1 block that a V3 alert was submitted in.
    pub submitted_at: Option<u64>,
}

impl Probe {
    /// At most `most` of the active alerts of a rollup, and its attested head, all at the head of L1.
    pub async fn standing(&self, rollup: ChainId, most: u64) -> Result<RollupStanding, CallError> {
        let latest = BlockNumberOrTag::Latest;
        let head = self.provider().get_block_by_number(latest).await?;
        let head = head.ok_or_else(|| TransportErrorKind::custom_str("L1 has no newest block"))?;
        let at = BlockId::number(head.header.number);
        let has_rollups = self.generation.has_rollups();
        let rollup_chain_id = U256::from(rollup);
        let total = if has_rollups {
            let request = I::totalAlertsCall {
                rollupChainId: rollup_chain_id,
            };
            self.at(at, &request).await?
        } else {
            self.at(at, &V1::totalAlertsCall {}).await?
        };
        // An empty range is refused.
        let size = total.min(U256::from(most));
        let hashes = if size.is_zero() {
            Vec::new()
        } else if has_rollups {
            let request = I::queryMessageHashesCall {
                rollupChainId: rollup_chain_id,
                start: U256::ZERO,
                querySize: size,
            };
            self.at(at, &request).await?
        } else {
            let request = V1::queryMessageHashesCall {
                start: U256::ZERO,
                querySize: size,
            };
            self.at(at, &request).await?
        };
        let mut alerts = Vec::with_capacity(hashes.len());
        for message_hash in hashes {
            alerts.push(self.active_alert(at, message_hash).await?);
        }
        Ok(RollupStanding {
            l1_block: BlockRef {
                number: head.header.number,
                hash: head.header.hash,
            },
            timestamp: head.header.timestamp,
            alerts,
            attested: self.attested_at(at, rollup_chain_id).await?,
        })
    }

    /// The transaction that a V3 alert was submitted in.
    pub async fn alert_transaction(
        &self,
        digest: B256,
        submitted_at: u64,
    ) -> Result<Option<TxHash>, TransportError> {
        let filter = Filter::new()
            .address(self.address)
            .event_signature(I::AlertSubmitted::SIGNATURE_HASH)
            .topic1(digest)
            .select(submitted_at..=submitted_at);
        let logs = self.provider().get_logs(&filter).await?;
        Ok(logs.first().and_then(|log| log.transaction_hash))
    }

    async fn active_alert(
        &self,
        at: BlockId,
        message_hash: B256,
    ) -> Result<ActiveAlert, CallError> {
        const ACTIVE: u8 = 1;
        let mut found = ActiveAlert {
            message_hash,
            alert: None,
            submitted_at: None,
        };
        if self.generation == Generation::V3 {
            let request = I::alertByDigestCall {
                digest: message_hash,
            };
            let record = self.at(at, &request).await?;
            // It may be one that came through the interface of V2.
            if record.status == ACTIVE {
                found.alert = record.alert.to_alert();
                found.submitted_at = Some(record.submittedAt);
            }
        }
        Ok(found)
    }

    async fn attested_at(
        &self,
        at: BlockId,
        rollup_chain_id: U256,
    ) -> Result<Option<BlockRef>, CallError> {
        if self.generation != Generation::V3 {
            return Ok(None);
        }
        let request = I::attestedHeadCall {
            rollupChainId: rollup_chain_id,
        };
        let head = self.at(at, &request).await?;
        Ok((!head.blockHash.is_zero()).then_some(BlockRef {
            number: head.blockNumber,
            hash: head.blockHash,
        }))
    }

    async fn at<C: SolCall>(&self, at: BlockId, request: &C) -> Result<C::Return, CallError> {
        call_at(self.provider(), at, self.address, request).await
    }
}

impl abi::Alert {
    /// The alert, if its kind is known here.
    pub fn to_alert(&self) -> Option<Alert> {
        use mach_core::AlertKind;
        Some(Alert {
            kind: match self.kind {
                1 => AlertKind::InvalidBlock,
                2 => AlertKind::InvalidOutputProposal,
                3 => AlertKind::WrongBlockHash,
                4 => AlertKind::NotDerivable,
                _ => return None,
            },
            rollup_chain_id: self.rollupChainId.try_into().ok()?,
            block: BlockRef {
                number: self.blockNumber,
                hash: self.blockHash,
            },
            rule: self.rule,
            claimed: self.claimed,
            computed: self.computed,
        })
    }
}
