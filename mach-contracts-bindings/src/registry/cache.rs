//! Keys that are kept from one start to the next.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, BlockNumber, ChainId};
use mach_core::{G1Bytes, G2Bytes};
use serde::{Deserialize, Serialize};

/// Longest file that is read, in bytes: some hundred thousand keys.
const MAX_LENGTH: u64 = 64 * 1024 * 1024;

/// The keys that operators registered up to a block, to go on from.
///
/// Nothing in it is secret, and little is believed: keys fit the operator ids that the registry names, or
/// are not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyCache {
    /// EIP-155 id of the chain.
    pub l1_chain_id: ChainId,
    /// The contract whose events were read.
    pub apk_registry: Address,
    /// First block that was read.
    pub first_block: BlockNumber,
    /// Last block that was read and is settled.
    pub height: BlockNumber,
    /// Hash of that block; with another one there everything is read anew.
    pub block_hash: B256,
    /// The keys.
    pub keys: Vec<Registered>,
}

/// A key that an operator registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// Block of the registration.
    pub block: BlockNumber,
    /// Key in G1.
    pub key_g1: G1Bytes,
    /// Key in G2.
    pub key_g2: G2Bytes,
}

impl KeyCache {
    /// Reads a file that [`Self::save`] wrote; `None` if there is no file.
    ///
    /// Errors: [`KeyCacheError`].
    pub fn load(path: &Path) -> Result<Option<Self>, KeyCacheError> {
        let unreadable = |source| KeyCacheError::Read {
            path: path.to_owned(),
            source,
        };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut json = Vec::new();
        // One byte more than is read, so that a longer file shows.
        file.take(MAX_LENGTH + 1)
            .read_to_end(&mut json)
            .map_err(unreadable)?;
        if json.len() as u64 > MAX_LENGTH {
            return Err(KeyCacheError::TooLong(path.to_owned()));
        }
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|source| KeyCacheError::Malformed {
                path: path.to_owned(),
                source,
            })
    }

    /// Writes the file in the place of the one that was there, which is whole at every moment.
    ///
    /// Errors: [`KeyCacheError::Write`].
    pub fn save(&self, path: &Path) -> Result<(), KeyCacheError> {
        let write = || {
            let mut next = path.as_os_str().to_owned();
            next.push(".next");
            let next = PathBuf::from(next);
            let mut file = std::fs::File::create(&next)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&next, path)
        };
        write().map_err(|source| KeyCacheError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

/// Why keys are not kept from one start to the next.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum KeyCacheError {
    /// The file cannot be read.
    #[error("the key cache {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("the key cache {path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any key cache is.
    #[error("the key cache {0} has more than {MAX_LENGTH} bytes")]
    TooLong(PathBuf),
    /// The file is not a key cache.
    #[error("{path} is not a key cache; remove it to read the keys anew")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        #[source]
        source: serde_json::Error,
    },
    /// The file is of another registry.
    #[error(
        "the key cache is of registry {apk_registry} on chain {l1_chain_id}, not of {expected}: \
         give each registry a file of its own"
    )]
    OtherRegistry {
        /// Registry of the file.
        apk_registry: Address,
        /// Chain of the file.
        l1_chain_id: ChainId,
        /// Registry that is read.
        expected: Address,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_read_as_it_was_written() {
        let folder = std::env::temp_dir().join(format!("mach-key-cache-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("keys.json");
        assert_eq!(KeyCache::load(&path).unwrap(), None);
        let cache = KeyCache {
            l1_chain_id: 1,
            apk_registry: Address::repeat_byte(1),
            first_block: 5,
            height: 9,
            block_hash: B256::repeat_byte(2),
            keys: vec![Registered {
                block: 7,
                key_g1: G1Bytes([3; 64].into()),
                key_g2: G2Bytes([4; 128].into()),
            }],
        };
        cache.save(&path).unwrap();
        cache.save(&path).unwrap();
        assert_eq!(KeyCache::load(&path).unwrap(), Some(cache));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

        std::fs::write(&path, b"{}").unwrap();
        let error = KeyCache::load(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("is not a key cache; remove it to read the keys anew"),
            "{error}"
        );
        let error = KeyCache::load(&folder).unwrap_err();
        assert!(matches!(error, KeyCacheError::Read { .. }), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
