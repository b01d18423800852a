//! What verifiers send.

use alloy_primitives::B256;
use mach_core::{BlockRef, legacy::LegacyAlert};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use super::answer::Failure;
use crate::legacy::wire::{HexBytes, height, root};

/// One JSON-RPC call. There are no batches.
#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) id: Value,
    #[serde(default)]
    pub(super) method: String,
    #[serde(default)]
    params: Option<Box<RawValue>>,
}

/// An alert, and the AVS that it names.
pub(super) struct NamedAlert {
    pub(super) avs: Option<String>,
    pub(super) alert: LegacyAlert,
}

impl Call {
    pub(super) fn read(body: &[u8]) -> Result<Self, Failure> {
        // An array of fields would do for serde; here it is a batch.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(Failure::unreadable(&"one call at a time"));
        }
        serde_json::from_slice(body).map_err(|error| Failure::unreadable(&error))
    }

    /// Reads the alert of an `alert_` method; `None` for another method.
    pub(super) fn alert(&self) -> Option<Result<NamedAlert, Failure>> {
        Some(match self.method.as_str() {
            "alert_blockMismatch" => self.object::<BlockMismatch>().map(Into::into),
            "alert_blockOutputOracleMismatch" => self.object::<OracleMismatch>().map(Into::into),
            "alert_blockHash" => self.object::<BlockHash>().map(Into::into),
            _ => return None,
        })
    }

    /// The block of `health_check`.
    pub(super) fn health(&self) -> Result<BlockRef, Failure> {
        let health = self.object::<Health>()?;
        let hash = B256::try_from(&*health.block_hash.0);
        let hash = hash.map_err(|_| Failure::undecodable(&"block_hash is not of 32 bytes"))?;
        Ok(BlockRef {
            number: health.block_number,
            hash,
        })
    }

    /// The only string of a list.
    pub(super) fn name(&self) -> Result<String, Failure> {
        self.object()
    }

    /// The parameter: by itself as until v0.2.1, or the only one of a list.
    fn object<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let params = self.params.as_deref().map_or("null", RawValue::get);
        if params == "null" {
            return Err(Failure::missing());
        }
        if params.starts_with('[') {
            let list = serde_json::from_str::<[T; 1]>(params);
            return list
                .map(|[object]| object)
                .map_err(|error| Failure::undecodable(&error));
        }
        serde_json::from_str(params).map_err(|error| Failure::undecodable(&error))
    }
}

#[derive(Deserialize)]
struct BlockMismatch {
    avs_name: Option<String>,
    #[serde(deserialize_with = "root")]
    invalid_output_root: B256,
    #[serde(deserialize_with = "root")]
    expect_output_root: B256,
    l2_block_number: u64,
}

impl From<BlockMismatch> for NamedAlert {
    fn from(alert: BlockMismatch) -> Self {
        Self {
            avs: alert.avs_name,
            alert: LegacyAlert::BlockMismatch {
                invalid_output_root: alert.invalid_output_root,
                expect_output_root: alert.expect_output_root,
                l2_block_number: alert.l2_block_number,
            },
        }
    }
}

#[derive(Deserialize)]
struct OracleMismatch {
    avs_name: Option<String>,
    #[serde(deserialize_with = "root")]
    expect_output_root: B256,
    invalid_output_index: u64,
}

impl From<OracleMismatch> for NamedAlert {
    fn from(alert: OracleMismatch) -> Self {
        Self {
            avs: alert.avs_name,
            alert: LegacyAlert::BlockOutputOracleMismatch {
                expect_output_root: alert.expect_output_root,
                invalid_output_index: alert.invalid_output_index,
            },
        }
    }
}

#[derive(Deserialize)]
struct BlockHash {
    avs_name: Option<String>,
    #[serde(deserialize_with = "root")]
    hash: B256,
}

impl From<BlockHash> for NamedAlert {
    fn from(alert: BlockHash) -> Self {
        Self {
            avs: alert.avs_name,
            alert: LegacyAlert::BlockHashMismatch { hash: alert.hash },
        }
    }
}

#[derive(Deserialize)]
struct Health {
    block_hash: HexBytes,
    #[serde(deserialize_with = "height")]
    block_number: u64,
}
