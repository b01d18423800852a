//! How far `follow` is, in a file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, BlockNumber, ChainId};
use eyre::WrapErr;
use mach_core::{
    BlockRef,
    ports::{L2Head, L2Source, SourceError},
};
use serde_json::{Value, json};

use super::FollowArgs;
use crate::nodes::Nodes;

/// Blocks between two looks at what is final.
const FINALITY_EVERY: u64 = 64;

/// The height to start at. If what was remembered is no longer there, it is the first that was not
/// final at that time: nothing below can have changed.
pub(super) async fn start(args: &FollowArgs, nodes: &Nodes) -> eyre::Result<BlockNumber> {
    if let Some(from) = args.from {
        return Ok(from);
    }
    let remembered = match &args.progress {
        Some(path) => Progress::read(path)?,
        None => None,
    };
    let Some(Progress {
        chain_id,
        block,
        finalized,
    }) = remembered
    else {
        return Ok(nodes.source.head(args.head.into()).await?.number);
    };
    eyre::ensure!(
        chain_id == nodes.chain_id(),
        "the progress is that of chain {chain_id}, the node is on chain {}",
        nodes.chain_id()
    );
    match nodes.source.block(block.number).await {
        Ok(current) if current.hash() == block.hash => Ok(block.number.saturating_add(1)),
        Ok(_) | Err(SourceError::NotYet(_)) => {
            let Some(finalized) = finalized else {
                eyre::bail!(
                    "block {block} of the progress is no longer on the chain, and what was final \
                     then is not known: say with --from where to begin"
                );
            };
            Ok(finalized.min(block.number).saturating_add(1))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a progress file holds: each block up to `block` has a verdict.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    chain_id: ChainId,
    block: BlockRef,
    /// A height that was final then.
    finalized: Option<BlockNumber>,
}

impl Progress {
    /// `None` if there is no file.
    fn read(path: &Path) -> eyre::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).wrap_err_with(|| path.display().to_string()),
        };
        let read = || {
            let value: Value = serde_json::from_str(&text).ok()?;
            let hash: B256 = value.get("hash")?.as_str()?.parse().ok()?;
            Some(Self {
                chain_id: value.get("chainId")?.as_u64()?,
                block: BlockRef {
                    number: value.get("number")?.as_u64()?,
                    hash,
                },
                finalized: value.get("finalized").and_then(Value::as_u64),
            })
        };
        match read() {
            Some(progress) => Ok(Some(progress)),
            None => eyre::bail!("{} holds no progress", path.display()),
        }
    }

    /// Replaces the file at once, so that it is whole whenever the process ends.
    fn write(&self, path: &Path) -> eyre::Result<()> {
        let text = json!({
            "chainId": self.chain_id,
            "number": self.block.number,
            "hash": self.block.hash,
            "finalized": self.finalized,
        });
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, text.to_string())
            .and_then(|()| fs::rename(&new, path))
            .wrap_err_with(|| path.display().to_string())
    }
}

/// Writes the progress, and never past a height without a verdict.
pub(super) struct Keeper<S> {
    path: PathBuf,
    source: S,
    /// The lowest height that has no verdict, or follows nothing.
    hole: Option<BlockNumber>,
    finalized: Option<BlockNumber>,
    /// Height at which to look next for what is final.
    look: BlockNumber,
}

impl<S: L2Source> Keeper<S> {
    pub(super) fn new(path: &Path, source: S) -> Self {
        Self {
            path: path.to_owned(),
            source,
            hole: None,
            finalized: None,
            look: 0,
        }
    }

    /// Blocks above `fork` are looked at again; without one, what is below is not known.
    pub(super) fn went_back(&mut self, fork: Option<BlockNumber>) {
        if let Some(fork) = fork {
            self.hole = self.hole.filter(|hole| *hole <= fork);
        }
    }

    /// Remembers a height that is behind, `decided` if the block there has a verdict and follows the
    /// one before.
    pub(super) async fn reached(
        &mut self,
        number: BlockNumber,
        decided: Option<BlockRef>,
    ) -> eyre::Result<()> {
        let Some(block) = decided else {
            self.hole.get_or_insert(number);
            return Ok(());
        };
        if self.hole.is_some() {
            return Ok(());
        }
        if self.look <= number {
            self.look = number.saturating_add(FINALITY_EVERY);
            if let Ok(head) = self.source.head(L2Head::Finalized).await {
                self.finalized = Some(head.number);
            }
        }
        let progress = Progress {
            chain_id: self.source.chain_id(),
            block,
            finalized: self.finalized,
        };
        progress.write(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("op.progress");
        assert_eq!(Progress::read(&path).unwrap(), None);
        for (number, finalized) in [(7, None), (8, Some(3))] {
            let progress = Progress {
                chain_id: 10,
                block: BlockRef {
                    number,
                    hash: B256::repeat_byte(3),
                },
                finalized,
            };
            progress.write(&path).unwrap();
            assert_eq!(Progress::read(&path).unwrap(), Some(progress));
        }
        fs::write(&path, "{\"chainId\": 10}").unwrap();
        let error = Progress::read(&path).unwrap_err();
        assert!(error.to_string().ends_with("op.progress holds no progress"));
    }

    /// What is not verified is not called so, however much follows it.
    #[tokio::test]
    async fn progress_stays_below_a_height_without_a_verdict() {
        let devnet = mach_devnet::Devnet::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l2.progress");
        let mut keeper = Keeper::new(&path, devnet.l2().clone());
        let block = |number| BlockRef {
            number,
            hash: B256::with_last_byte(number as u8),
        };
        let held = || Progress::read(&path).unwrap().map(|it| it.block.number);
        keeper.reached(4, Some(block(4))).await.unwrap();
        keeper.reached(5, None).await.unwrap();
        keeper.reached(6, Some(block(6))).await.unwrap();
        assert_eq!(held(), Some(4));
        // A branch that shares the hole, or of which nobody knows what it shares.
        for fork in [Some(5), None] {
            keeper.went_back(fork);
            keeper.reached(6, Some(block(6))).await.unwrap();
            assert_eq!(held(), Some(4), "{fork:?}");
        }
        // Below the hole all is verified again.
        keeper.went_back(Some(4));
        keeper.reached(5, Some(block(5))).await.unwrap();
        assert_eq!(held(), Some(5));
        let finalized = L2Source::head(devnet.l2(), L2Head::Finalized)
            .await
            .unwrap();
        let progress = Progress::read(&path).unwrap().unwrap();
        assert_eq!(progress.finalized, Some(finalized.number));
        assert_eq!(progress.chain_id, devnet.l2().chain_id());
    }
}
