//! Alerts in force, in a file, for the next process.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, BlockNumber, ChainId};
use serde::{Deserialize, Serialize};

use super::StandingAlert;

const VERSION: u32 = 1;
/// Longest file, in bytes: about ten times what it takes for all alerts.
const MAX_BYTES: u64 = 16 << 20;

/// Where a feed keeps the alerts that are in force.
#[derive(Clone, Debug)]
pub(super) struct Memory(PathBuf);

/// An alert that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Remembered {
    pub(super) alert: StandingAlert,
    /// The L1 block from which on it was not there any more.
    pub(super) gone_since: Option<BlockNumber>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    version: u32,
    rollup: ChainId,
    service_manager: Address,
    alerts: Vec<Remembered>,
}

/// Why the alerts of an earlier process are not known.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file is not read.
    #[error("{0} cannot be read")]
    Io(PathBuf, #[source] io::Error),
    /// It is not what a breaker has written.
    #[error("{0} is damaged: alerts in it may stand")]
    Damaged(PathBuf, #[source] serde_json::Error),
    /// It is of another version.
    #[error("{0} has version {1}, which is not known here")]
    Version(PathBuf, u32),
    /// It is of another breaker.
    #[error("{path} is about rollup {rollup} and the service manager {service_manager}")]
    Other {
        /// The file.
        path: PathBuf,
        /// Its rollup.
        rollup: ChainId,
        /// Its contract.
        service_manager: Address,
    },
}

impl Memory {
    /// The file, and what is in it; nothing if it is not there.
    pub(super) fn open(
        path: PathBuf,
        rollup: ChainId,
        service_manager: Address,
    ) -> Result<(Self, Vec<Remembered>), MemoryError> {
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self(path), Vec::new()));
            }
            Err(error) => return Err(MemoryError::Io(path, error)),
        }
        let content: Content = match serde_json::from_slice(&text) {
            Ok(content) => content,
            Err(error) => return Err(MemoryError::Damaged(path, error)),
        };
        if content.version != VERSION {
            return Err(MemoryError::Version(path, content.version));
        }
        if (content.rollup, content.service_manager) != (rollup, service_manager) {
            return Err(MemoryError::Other {
                path,
                rollup: content.rollup,
                service_manager: content.service_manager,
            });
        }
        Ok((Self(path), content.alerts))
    }

    /// Puts `alerts` in the place of what was there, whole or not at all.
    pub(super) fn keep(
        &self,
        rollup: ChainId,
        service_manager: Address,
        alerts: Vec<Remembered>,
    ) -> io::Result<()> {
        let content = Content {
            version: VERSION,
            rollup,
            service_manager,
            alerts,
        };
        let folder = match self.0.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let next = self.0.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(&content)?)?;
        file.sync_all()?;
        fs::rename(next, &self.0)?;
        if cfg!(unix) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn what_is_kept_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/breaker.json");
        let open = |rollup| Memory::open(path.clone(), rollup, Address::ZERO);
        let (memory, alerts) = open(901).unwrap();
        assert_eq!(alerts, []);
        let alert = Remembered {
            alert: StandingAlert {
                digest: B256::repeat_byte(1),
                statement: None,
                confirmation: None,
            },
            gone_since: Some(7),
        };
        for kept in [vec![alert.clone(), alert.clone()], vec![alert]] {
            memory.keep(901, Address::ZERO, kept.clone()).unwrap();
            assert_eq!(open(901).unwrap().1, kept);
        }
        let told = open(10).unwrap_err().to_string();
        assert!(told.contains("is about rollup 901"), "{told}");
        // Half of it is no clean chain.
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(matches!(open(901), Err(MemoryError::Damaged(..))));
        let newer = String::from_utf8(text).unwrap();
        fs::write(&path, newer.replace("\"version\":1", "\"version\":2")).unwrap();
        assert!(matches!(open(901), Err(MemoryError::Version(_, 2))));
    }
}
