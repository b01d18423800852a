//! The record of a guard as a file, to be kept or taken to another machine.
//!
//! The idea is that of EIP-3076, the interchange format of validators.

use std::collections::BTreeMap;

use alloy_primitives::{Address, BlockNumber, ChainId};
use mach_core::{Alert, Attestation, BlockRef, Domain, ports::GuardError};
use serde::{Deserialize, Serialize};

use super::history::Height;

/// Version of the format that this release reads and writes.
pub const INTERCHANGE_VERSION: u32 = 1;

/// Everything that was signed at one service manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardFile {
    /// What the file is about.
    pub metadata: GuardFileMetadata,
    /// What was signed, rollup by rollup.
    pub data: Vec<RollupHistory>,
}

/// What a [`GuardFile`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardFileMetadata {
    /// [`INTERCHANGE_VERSION`].
    pub interchange_format_version: u32,
    /// EIP-155 id of L1.
    pub l1_chain_id: ChainId,
    /// Address of the service manager.
    pub service_manager: Address,
}

/// What was signed about one rollup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollupHistory {
    /// EIP-155 id of the rollup.
    pub rollup_chain_id: ChainId,
    /// Blocks that were found valid.
    pub attestations: Vec<Attestation>,
    /// Blocks and proposals that were found wrong.
    pub alerts: Vec<Alert>,
    /// Those of the attested blocks whose attestation was taken back.
    #[serde(default)]
    pub retracted: Vec<BlockRef>,
}

/// Why a file is not imported.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GuardFileError {
    /// The format is of another version.
    #[error("the file has version {0}, this release reads {INTERCHANGE_VERSION}")]
    Version(u32),
    /// The file belongs to another service manager.
    #[error("the file is of service manager {service_manager} on chain {l1_chain_id}")]
    Domain {
        /// Chain of the file.
        l1_chain_id: ChainId,
        /// Service manager of the file.
        service_manager: Address,
    },
    /// A statement stands among those of another rollup.
    #[error("the history of rollup {0} holds a statement about another")]
    Rollup(ChainId),
    /// A block is named as taken back that was not attested.
    #[error("block {0} is taken back and was not attested")]
    Retracted(BlockRef),
    /// A statement contradicts another of the file, or one that is known; or the record is not
    /// available.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl RollupHistory {
    pub(super) fn new(rollup_chain_id: ChainId) -> Self {
        Self {
            rollup_chain_id,
            ..Self::default()
        }
    }
}

impl GuardFile {
    pub(super) const fn new(domain: &Domain, data: Vec<RollupHistory>) -> Self {
        Self {
            metadata: GuardFileMetadata {
                interchange_format_version: INTERCHANGE_VERSION,
                l1_chain_id: domain.l1_chain_id,
                service_manager: domain.service_manager,
            },
            data,
        }
    }

    /// What the file says of each height, if it is about `domain` and does not contradict itself.
    pub(super) fn heights(
        &self,
        domain: &Domain,
    ) -> Result<BTreeMap<(ChainId, BlockNumber), Height>, GuardFileError> {
        let metadata = &self.metadata;
        if metadata.interchange_format_version != INTERCHANGE_VERSION {
            return Err(GuardFileError::Version(metadata.interchange_format_version));
        }
        if (metadata.l1_chain_id, metadata.service_manager)
            != (domain.l1_chain_id, domain.service_manager)
        {
            return Err(GuardFileError::Domain {
                l1_chain_id: metadata.l1_chain_id,
                service_manager: metadata.service_manager,
            });
        }
        let mut heights: BTreeMap<_, Height> = BTreeMap::new();
        for history in &self.data {
            let rollup = history.rollup_chain_id;
            let mut add = |stated: ChainId, number, height: Height| {
                if stated != rollup {
                    return Err(GuardFileError::Rollup(rollup));
                }
                let known = heights.entry((rollup, number)).or_default();
                known.merge(&height, domain)?;
                Ok(())
            };
            for attestation in &history.attestations {
                let block = attestation.block;
                let height = Height {
                    attestation: Some(attestation.clone()),
                    is_retracted: history.retracted.contains(&block),
                    alerts: Vec::new(),
                };
                add(attestation.rollup_chain_id, block.number, height)?;
            }
            for alert in &history.alerts {
                let height = Height {
                    alerts: vec![alert.clone()],
                    ..Height::default()
                };
                add(alert.rollup_chain_id, alert.block.number, height)?;
            }
            for block in &history.retracted {
                let is_attested = (heights.get(&(rollup, block.number)))
                    .and_then(|height| height.attestation.as_ref())
                    .is_some_and(|attestation| attestation.block == *block);
                if !is_attested {
                    return Err(GuardFileError::Retracted(*block));
                }
            }
        }
        Ok(heights)
    }
}
