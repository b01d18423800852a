//! `mach-cli follow`: a chain as it grows, one line a block.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::{B256, BlockNumber, ChainId};
use clap::{Args, ValueEnum};
use eyre::WrapErr;
use mach_core::{
    BlockRef, Verdict,
    ports::{L2Head, L2Source, SourceError},
};
use mach_verify::{
    ChainSpec,
    follow::{FollowConfig, FollowLimits, Followed, Follower, Following},
    source::{RecordedBlock, RpcSource},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::{
    args::ChainArgs,
    evidence::Bundles,
    outcome::Outcome,
    remote::{runtime, shown},
    report::{Row, mgas, print},
    spec::Specs,
};

/// Verify a chain as it grows, through reorgs, with what blocks have in common done once
///
/// Ends at Ctrl-C. With `--progress` the next run goes on where this one stopped.
///
/// Examples:
///   mach-cli follow --rpc http://localhost:8545
///   mach-cli follow --rpc http://localhost:8545 --head safe --from 120 --json
///   mach-cli follow --rpc http://localhost:8545 --progress op.progress
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct FollowArgs {
    /// JSON-RPC endpoint with `debug_executionWitness`
    #[arg(long, env = "MACH_RPC", value_name = "URL", hide_env_values = true)]
    rpc: Url,

    /// Which head is followed
    #[arg(long, env = "MACH_HEAD", value_enum, default_value_t = Head::Unsafe)]
    head: Head,

    /// First block [default: what --progress says, or else the head]
    #[arg(long, env = "MACH_FROM")]
    from: Option<BlockNumber>,

    /// Last block [default: none]
    #[arg(long, env = "MACH_TO")]
    to: Option<BlockNumber>,

    /// File that remembers the last block with a verdict
    #[arg(long, env = "MACH_PROGRESS", value_name = "FILE")]
    progress: Option<PathBuf>,

    /// Milliseconds between two looks at the head
    #[arg(long, env = "MACH_POLL_INTERVAL", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    poll_interval: u64,

    /// MiB of memory for what blocks have in common
    #[arg(long, env = "MACH_MEMORY", default_value_t = 384, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    memory: u64,

    /// Folder for evidence: of every invalid block a bundle that `verify` replays offline
    #[arg(
        long,
        env = "MACH_EVIDENCE",
        value_name = "FOLDER",
        default_value = "evidence"
    )]
    evidence: PathBuf,

    #[command(flatten)]
    chain: ChainArgs,

    /// One JSON object a block or reorg on standard output, and a last one with the totals
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Head {
    /// What the sequencer published
    Unsafe,
    /// What follows from L1
    Safe,
    /// What follows from final blocks of L1
    Finalized,
}

impl From<Head> for L2Head {
    fn from(head: Head) -> Self {
        match head {
            Head::Unsafe => Self::Unsafe,
            Head::Safe => Self::Safe,
            Head::Finalized => Self::Finalized,
        }
    }
}

pub(crate) fn run(args: &FollowArgs) -> eyre::Result<Outcome> {
    let specs = Specs::load(&args.chain)?;
    runtime()?.block_on(follow(args, &specs))
}

async fn follow(args: &FollowArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let source = RpcSource::connect(args.rpc.clone()).await?;
    let spec = specs.of(source.chain_id())?.clone();
    let start = start(args, &source).await?;
    let follower = Follower::new(spec.clone(), limits(args.memory));
    let config = FollowConfig {
        head: args.head.into(),
        poll_interval: Duration::from_millis(args.poll_interval),
        ..FollowConfig::new(start)
    };
    let mut following = Following::start(source, follower, config);
    let mut run = Run {
        name: shown(&args.rpc),
        spec,
        bundles: Bundles::new(&args.evidence),
        json: args.json,
        totals: Totals::default(),
        started: Instant::now(),
    };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let event = tokio::select! {
            _ = &mut interrupted => break,
            event = following.next() => event,
        };
        let Some(event) = event else { break };
        let Some(reached) = run.tell(event) else {
            continue;
        };
        if let (Some(path), Some(block)) = (&args.progress, reached.block) {
            let progress = Progress {
                chain_id: run.spec.chain_id(),
                block,
            };
            progress.write(path)?;
        }
        if args.to.is_some_and(|last| last <= reached.number) {
            break;
        }
    }
    Ok(run.finish())
}

/// Three quarters of the memory are for nodes, the rest for codes and the decoded state.
const fn limits(mebibytes: u64) -> FollowLimits {
    let bytes = (mebibytes as usize) << 20;
    FollowLimits {
        node_bytes: bytes / 4 * 2,
        code_bytes: bytes / 4,
        state_bytes: bytes / 4,
        headers: 4096,
    }
}

/// The height to start at. What was remembered and is no longer there is verified again from the
/// first block that is not final.
async fn start(args: &FollowArgs, source: &RpcSource) -> eyre::Result<BlockNumber> {
    if let Some(from) = args.from {
        return Ok(from);
    }
    let remembered = match &args.progress {
        Some(path) => Progress::read(path)?,
        None => None,
    };
    let Some(Progress { chain_id, block }) = remembered else {
        return Ok(source.head(args.head.into()).await?.number);
    };
    eyre::ensure!(
        chain_id == source.chain_id(),
        "the progress is that of chain {chain_id}, the node is on chain {}",
        source.chain_id()
    );
    match source.block(block.number).await {
        Ok(current) if current.hash() == block.hash => Ok(block.number.saturating_add(1)),
        Ok(_) | Err(SourceError::NotYet(_)) => {
            let last = source.head(L2Head::Finalized).await?.number;
            Ok(last.min(block.number).saturating_add(1))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a progress file holds.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    chain_id: ChainId,
    block: BlockRef,
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
        });
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, text.to_string())
            .and_then(|()| fs::rename(&new, path))
            .wrap_err_with(|| path.display().to_string())
    }
}

#[derive(Debug, Default)]
struct Totals {
    valid: u64,
    invalid: u64,
    undecided: u64,
    reorgs: u64,
    gas: u64,
}

/// A height that is behind, with the block if it has a verdict.
struct Reached {
    number: BlockNumber,
    block: Option<BlockRef>,
}

struct Run {
    name: String,
    spec: ChainSpec,
    bundles: Bundles,
    json: bool,
    totals: Totals,
    started: Instant,
}

impl Run {
    /// Shows what happened. Returns the height that it was about.
    fn tell(&mut self, event: Followed) -> Option<Reached> {
        let mut row = Row::unknown(self.name.clone());
        row.chain_id = Some(self.spec.chain_id());
        match event {
            Followed::Judged {
                block,
                result,
                witness,
                elapsed,
            } => {
                row.set_block(&block);
                row.elapsed = elapsed;
                if let Ok(Verdict::Invalid(fault)) = &result {
                    let recorded = RecordedBlock {
                        block: *block,
                        witness: *witness,
                        source: None,
                    };
                    self.bundles.keep(&self.spec, recorded, fault, &mut row);
                }
                row.result = result.map_err(Into::into);
            }
            Followed::Missing { number, error } => {
                row.number = Some(number);
                row.result = Err(error.into());
            }
            Followed::Reorg { left, fork } => {
                self.totals.reorgs += 1;
                self.show_reorg(left, fork);
                return None;
            }
            _ => return None,
        }
        match &row.result {
            Ok(Verdict::Valid(_)) => self.totals.valid += 1,
            Ok(Verdict::Invalid(_)) => self.totals.invalid += 1,
            Err(_) => self.totals.undecided += 1,
        }
        self.totals.gas += row.gas;
        if self.json {
            print(&row.to_json());
        } else {
            print(&row.to_line());
        }
        let block = row.block.filter(|_| row.result.is_ok());
        row.number.map(|number| Reached { number, block })
    }

    fn show_reorg(&self, left: BlockRef, fork: Option<BlockNumber>) {
        if self.json {
            print(&json!({ "reorg": { "left": left, "fork": fork } }));
        } else {
            match fork {
                Some(fork) => print(&format!(
                    "REORG  {} blocks, from {left} back to block {fork}",
                    left.number.saturating_sub(fork)
                )),
                None => print(&format!(
                    "REORG  from {left} to a branch without a known fork"
                )),
            }
        }
    }

    fn finish(self) -> Outcome {
        let Totals {
            valid,
            invalid,
            undecided,
            reorgs,
            gas,
        } = self.totals;
        let blocks = valid + invalid + undecided;
        let elapsed = self.started.elapsed();
        if self.json {
            print(&json!({
                "blocks": blocks,
                "valid": valid,
                "invalid": invalid,
                "undecided": undecided,
                "reorgs": reorgs,
                "gas": gas,
                "seconds": elapsed.as_secs_f64(),
                "mgasPerSecond": mgas(gas, elapsed),
            }));
        } else {
            print(&format!(
                "{blocks} blocks followed: {valid} valid, {invalid} invalid, {undecided} without \
                 verdict, {reorgs} reorgs"
            ));
        }
        match (invalid, undecided) {
            (0, 0) => Outcome::Valid,
            (0, _) => Outcome::NoVerdict,
            _ => Outcome::Invalid,
        }
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
        for number in [7, 8] {
            let progress = Progress {
                chain_id: 10,
                block: BlockRef {
                    number,
                    hash: B256::repeat_byte(3),
                },
            };
            progress.write(&path).unwrap();
            assert_eq!(Progress::read(&path).unwrap(), Some(progress));
        }
        fs::write(&path, "{\"chainId\": 10}").unwrap();
        let error = Progress::read(&path).unwrap_err();
        assert!(error.to_string().ends_with("op.progress holds no progress"));
    }
}
