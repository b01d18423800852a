//! Orders of an account are numbered one after another, and so they are sent.

use std::{
    env,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy_primitives::hex;
use mach_prove::protocol::ProverError;
use sha2::{Digest, Sha256};

use super::Service;

/// Longest wait for others: an order is a few calls and two uploads, each with an end of its own.
const LONGEST: Duration = Duration::from_secs(1800);

/// While it lives, no other process of this machine orders with the account. The system lets go of it
/// when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct AccountLock {
    _file: File,
}

impl AccountLock {
    /// Waits until nobody else orders; `waiting` is called once if somebody does.
    ///
    /// Errors: [`ProverError`], with the file that is locked.
    pub(super) async fn take(
        service: &Service,
        waiting: impl FnOnce(),
    ) -> Result<Self, ProverError> {
        let path = path(service);
        let at = |error: io::Error| ProverError::other(format!("{}: {error}", path.display()));
        let file = open(&path).map_err(at)?;
        let (started, mut waiting) = (Instant::now(), Some(waiting));
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => return Err(at(error)),
                Err(TryLockError::WouldBlock) if started.elapsed() > LONGEST => {
                    let reason = format!(
                        "another process has ordered with this account for half an hour: it holds {}",
                        path.display()
                    );
                    return Err(ProverError::other(reason));
                }
                Err(TryLockError::WouldBlock) => {
                    if let Some(waiting) = waiting.take() {
                        waiting();
                    }
                    tokio::time::sleep(service.poll).await;
                }
            }
        }
    }
}

/// One for each account at each network, for all processes of this machine.
pub(super) fn path(service: &Service) -> PathBuf {
    let hash = Sha256::new_with_prefix(service.address())
        .chain_update(&service.url)
        .finalize();
    let name = hex::encode(hash.get(..8).unwrap_or_default());
    env::temp_dir().join(format!("mach-sp1-{name}.lock"))
}

/// Whoever came first may be another user, whose file is only read.
fn open(path: &Path) -> io::Result<File> {
    File::open(path).or_else(|_| File::create(path))
}
