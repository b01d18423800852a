//! `mach-cli follow`: a chain as it grows, one line a block.

mod progress;
mod run;

use std::{path::PathBuf, sync::Arc, time::Duration};

use alloy_primitives::BlockNumber;
use clap::{Args, ValueEnum};
use mach_core::ports::L2Head;
use mach_verify::follow::{FollowConfig, FollowLimits, Follower, Following};

use self::{progress::Keeper, run::Run};
use crate::{
    against_l1::{AgainstL1, AgainstL1Args},
    args::ChainArgs,
    evidence::{Bundles, EvidenceArgs},
    nodes::{Nodes, RpcArgs},
    outcome::{Outcome, print_json_error},
    remote::runtime,
    signals::Ended,
    spec::Specs,
};

/// Verify a chain as it grows, through reorgs, with what blocks have in common done once
///
/// Ends at Ctrl-C or SIGTERM. With `--progress` the next run goes on where this one stopped.
///
/// Exit codes: 0 all blocks are valid and follow one another, 1 a block is invalid, 2 a block has no
/// verdict or follows nothing that was verified, there was no block, or the command failed.
///
/// Examples:
///   mach-cli follow --rpc http://localhost:8545
///   mach-cli follow --rpc http://localhost:8545 --head safe --from 120 --json
///   mach-cli follow --rpc http://localhost:8545 --progress op.progress
///   mach-cli follow --rpc http://localhost:9545 --l1 http://localhost:8545 \
///       --rollup-config rollup.json    (deposits, L1 attributes and the like, too)
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("nodes").args(["rpc"]).required(true))]
pub(crate) struct FollowArgs {
    #[command(flatten)]
    nodes: RpcArgs,

    #[command(flatten)]
    l1: AgainstL1Args,

    /// Which head is followed
    #[arg(long, env = "MACH_HEAD", value_enum, default_value_t = Head::Unsafe)]
    head: Head,

    /// First block [default: what --progress says, or else the head]
    #[arg(long, env = "MACH_FROM_BLOCK", value_name = "BLOCK")]
    from: Option<BlockNumber>,

    /// Last block [default: none]
    #[arg(long, env = "MACH_TO_BLOCK", value_name = "BLOCK")]
    to: Option<BlockNumber>,

    /// File that remembers the last block up to which each has a verdict; one that has none is tried
    /// again by the next run
    #[arg(long, env = "MACH_PROGRESS", value_name = "FILE")]
    progress: Option<PathBuf>,

    /// Milliseconds between two looks at the head
    #[arg(long, env = "MACH_POLL_INTERVAL", value_name = "MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    poll_interval: u64,

    /// MiB of memory for what blocks have in common
    #[arg(long, env = "MACH_MEMORY", value_name = "MIB", default_value_t = 384, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    memory: u64,

    #[command(flatten)]
    evidence: EvidenceArgs,

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
    match runtime()?.block_on(follow(args, &specs)) {
        Err(error) if args.json => {
            print_json_error(&error);
            Ok(Outcome::NoVerdict)
        }
        outcome => outcome,
    }
}

async fn follow(args: &FollowArgs, specs: &Specs) -> eyre::Result<Outcome> {
    let nodes = Nodes::connect(&args.nodes, specs).await?;
    let l1 = AgainstL1::connect(&args.l1, &args.nodes, specs, &nodes).await?;
    let start = progress::start(args, &nodes).await?;
    if let Some(last) = args.to {
        eyre::ensure!(start <= last, "block {start} is next, and --to is {last}");
    }
    // Until here a signal ends the process as it does without it.
    let mut ended = Ended::new()?;
    let follower = Follower::new(nodes.spec.clone(), limits(args.memory));
    let poll_interval = Duration::from_millis(args.poll_interval);
    let config = FollowConfig {
        head: args.head.into(),
        poll_interval,
        ..FollowConfig::new(start)
    };
    let following = Following::start(Arc::clone(&nodes.source), follower, config);
    let keeper = |path| Keeper::new(path, Arc::clone(&nodes.source));
    let keeper = args.progress.as_deref().map(keeper);
    let mut run = Run::new(&nodes, Bundles::new(&args.evidence), args.json);
    run.l1 = l1;
    run.keeper = keeper;
    run.poll_interval = poll_interval;
    let end = tokio::select! {
        () = ended.wait() => Ok(()),
        end = run.follow(following, args.to) => end,
    };
    let outcome = run.finish();
    match end {
        Ok(()) => Ok(outcome),
        // What was found before it failed stays found.
        Err(error) if outcome == Outcome::Invalid => {
            if args.json {
                print_json_error(&error);
            } else {
                Outcome::from_error(error);
            }
            Ok(outcome)
        }
        Err(error) => Err(error),
    }
}

/// Half of the memory is for nodes, the rest for codes, the decoded state, and headers.
fn limits(mebibytes: u64) -> FollowLimits {
    let bytes = usize::try_from(mebibytes << 20).unwrap_or(usize::MAX);
    let headers = (bytes / 64 / 1152).clamp(256, 4096);
    let rest = bytes - headers * 1152;
    FollowLimits {
        node_bytes: rest / 2,
        code_bytes: rest / 4,
        state_bytes: rest / 4,
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_is_asked_for_is_not_exceeded() {
        for mebibytes in [1, 2, 16, 384, 1_048_576] {
            let limits = limits(mebibytes);
            let parts = [limits.node_bytes, limits.code_bytes, limits.state_bytes];
            let all = parts.iter().sum::<usize>() + limits.headers * 1152;
            let asked = usize::try_from(mebibytes << 20).unwrap();
            assert!(all <= asked && all + 4 >= asked, "{all} of {asked}");
        }
    }
}
