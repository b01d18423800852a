//! Alerts in force, in a file, for the next process.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, BlockNumber, ChainId};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::error;

use super::StandingAlert;

const VERSION: u32 = 1;
/// Longest file, in bytes: about ten times what it takes for all alerts.
const MAX_BYTES: u64 = 16 << 20;

/// Where a feed keeps the alerts that are in force.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    rollup: ChainId,
    service_manager: Option<Address>,
    /// What the file has.
    kept: Vec<Remembered>,
}

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
    /// None of those that an aggregator tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service_manager: Option<Address>,
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
    #[error("{path} is about rollup {rollup}{}", of(*service_manager))]
    Other {
        /// The file.
        path: PathBuf,
        /// Its rollup.
        rollup: ChainId,
        /// Its contract, if an L1 was read.
        service_manager: Option<Address>,
    },
}

fn of(service_manager: Option<Address>) -> String {
    service_manager.map_or_else(String::new, |it| format!(" and the service manager {it}"))
}

impl Memory {
    /// The file, with what is in it; nothing if it is not there. What an aggregator told and what a service
    /// manager has are about the same alerts.
    pub(super) fn open(
        path: PathBuf,
        rollup: ChainId,
        service_manager: Option<Address>,
    ) -> Result<Self, MemoryError> {
        let mut this = Self {
            path,
            rollup,
            service_manager,
            kept: Vec::new(),
        };
        let mut text = Vec::new();
        let read =
            File::open(&this.path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(this),
            Err(error) => return Err(MemoryError::Io(this.path, error)),
        }
        let content: Content = match serde_json::from_slice(&text) {
            Ok(content) => content,
            Err(error) => return Err(MemoryError::Damaged(this.path, error)),
        };
        if content.version != VERSION {
            return Err(MemoryError::Version(this.path, content.version));
        }
        let is_other = (content.service_manager.zip(service_manager)).is_some_and(|(a, b)| a != b);
        if content.rollup != rollup || is_other {
            return Err(MemoryError::Other {
                path: this.path,
                rollup: content.rollup,
                service_manager: content.service_manager,
            });
        }
        this.kept = content.alerts;
        Ok(this)
    }

    /// What the file has.
    pub(super) fn kept(&self) -> &[Remembered] {
        &self.kept
    }

    /// Puts `alerts` in the place of what was there, if they are others. A disk takes its time.
    pub(super) async fn keep(&mut self, alerts: Vec<Remembered>) {
        if alerts == self.kept {
            return;
        }
        let path = self.path.clone();
        let content = Content {
            version: VERSION,
            rollup: self.rollup,
            service_manager: self.service_manager,
            alerts,
        };
        let written = spawn_blocking(move || write(&path, &content).map(|()| content.alerts)).await;
        match written.map_err(io::Error::other).flatten() {
            Ok(alerts) => self.kept = alerts,
            // They are in force all the same, and the next time it is tried again.
            Err(error) => error!(%error, "alerts in force are not kept for the next process"),
        }
    }
}

/// Whole or not at all.
fn write(path: &Path, content: &Content) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // Behind the whole name: files of other breakers may differ in their extensions alone.
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let mut file = File::create(&next)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[tokio::test]
    async fn what_is_kept_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/breaker.json");
        let open = |rollup, manager| Memory::open(path.clone(), rollup, manager);
        let zero = Some(Address::ZERO);
        let mut memory = open(901, zero).unwrap();
        assert_eq!(memory.kept(), []);
        let alert = Remembered {
            alert: StandingAlert {
                digest: B256::repeat_byte(1),
                statement: None,
                confirmation: None,
            },
            gone_since: Some(7),
        };
        for kept in [vec![alert.clone(), alert.clone()], vec![alert]] {
            memory.keep(kept.clone()).await;
            assert_eq!(memory.kept(), kept);
            assert_eq!(open(901, zero).unwrap().kept(), kept);
        }
        let text = fs::read(&path).unwrap();
        let told = open(10, zero).unwrap_err().to_string();
        assert!(told.contains("is about rollup 901"), "{told}");
        open(901, Some(Address::repeat_byte(1))).unwrap_err();
        // Whoever has heard of them from an aggregator and reads L1 now, or the other way round.
        let mut heard = open(901, None).unwrap();
        assert_eq!(heard.kept(), memory.kept());
        heard.keep(vec![]).await;
        assert_eq!(open(901, zero).unwrap().kept(), []);
        // Half of it is no clean chain.
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(matches!(open(901, zero), Err(MemoryError::Damaged(..))));
        let newer = String::from_utf8(text).unwrap();
        fs::write(&path, newer.replace("\"version\":1", "\"version\":2")).unwrap();
        assert!(matches!(open(901, zero), Err(MemoryError::Version(_, 2))));
    }
}
