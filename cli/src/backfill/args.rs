//! Flags of `mach-cli backfill`.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use clap::{Args, builder::NonEmptyStringValueParser};
use url::Url;

use crate::{
    against_l1::AgainstL1Args,
    args::{BlockRange, ChainArgs},
    evidence::EvidenceArgs,
    nodes::RpcArgs,
};

/// Verify a long range of blocks on all cores, or on many machines
///
/// What is done is kept in a checkpoint. The same command, run again after Ctrl-C, a crash or a power
/// cut, goes on where it was, and verifies no block again that has its verdict.
///
/// Examples:
///   mach-cli backfill --rpc http://localhost:8545 --blocks 1000000..=1999999
///   mach-cli backfill --rpc http://a:8545 --rpc http://b:8545 --blocks 1000000..=1999999 --jobs 16
///   mach-cli backfill --rpc http://localhost:9545 --l1 http://localhost:8545 \
///       --rollup-config rollup.json --blocks 1..=9999   (deposits, L1 attributes and the like, too)
///   mach-cli backfill --archive blocks.mach --report report.json
///   mach-cli backfill blocks/ --json
///
/// Many machines share a range through a queue on a NATS server with JetStream. One plans the range,
/// works on it and reports; the others only need the name of the queue, and may come and go:
///   mach-cli backfill --queue nats://nats:4222/january --rpc $RPC --blocks 1000000..=1999999
///   mach-cli backfill --queue nats://nats:4222/january --rpc $RPC --worker
/// Or nobody but workers works:
///   mach-cli backfill --queue nats://nats:4222/january --blocks 1000000..=1999999 \
///       --chain-id 10 --coordinate
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("rpc", |arg| arg.help(
    "JSON-RPC endpoint; of several, more than half have to agree on every block, and each gives a share \
     of the witnesses"
)))]
pub(crate) struct BackfillArgs {
    /// Folder of recorded blocks (.json, .json.gz) of one chain
    #[arg(
        required_unless_present_any = ["rpc", "archive", "coordinate"],
        conflicts_with_all = ["rpc", "l1", "l1_depth", "l1_genesis"],
        env = "MACH_PATH"
    )]
    pub(super) path: Option<PathBuf>,

    #[command(flatten)]
    pub(super) nodes: RpcArgs,

    #[command(flatten)]
    pub(super) l1: AgainstL1Args,

    /// Archive of blocks that `mach-cli record --archive` made
    #[arg(
        long,
        env = "MACH_ARCHIVE",
        value_name = "FILE",
        conflicts_with_all = ["path", "rpc", "l1", "l1_depth", "l1_genesis"]
    )]
    pub(super) archive: Option<PathBuf>,

    /// Blocks to verify: `N`, `A..B` (without B), `A..=B` [default: all of the folder or archive]
    #[arg(long, env = "MACH_BLOCKS")]
    pub(super) blocks: Option<BlockRange>,

    #[command(flatten)]
    pub(super) chain: ChainArgs,

    /// Blocks executed at a time [default: number of cores]
    #[arg(long, env = "MACH_JOBS", value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,

    /// Blocks fetched beside those that are executed. All of them are in memory with their witnesses
    /// [default: twice the jobs and two]
    #[arg(long, env = "MACH_FETCHES", value_name = "N")]
    pub(super) fetches: Option<NonZeroUsize>,

    /// Blocks that are taken and handed in together, at most 256
    #[arg(long, env = "MACH_UNIT", value_name = "BLOCKS", default_value = "16")]
    pub(super) unit: NonZeroU32,

    /// How often a unit is tried whose workers die, before its blocks are reported as undecided
    #[arg(long, env = "MACH_ATTEMPTS", value_name = "N", default_value = "10")]
    pub(super) attempts: NonZeroU32,

    /// Seconds after which a unit goes to another worker if the one that has it is not heard of
    #[arg(long, env = "MACH_LEASE", value_name = "SECONDS", default_value = "60")]
    pub(super) lease: NonZeroU64,

    /// File that keeps what is done [default: mach/backfill/CHAIN-FIRST-LAST-RULES.redb in $XDG_STATE_HOME
    /// or ~/.local/state]
    #[arg(long, env = "MACH_CHECKPOINT", value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,

    /// Verify the blocks again that an earlier run left undecided
    #[arg(long, env = "MACH_RETRY_UNDECIDED", conflicts_with = "worker")]
    pub(super) retry_undecided: bool,

    /// Queue that many machines share, instead of a checkpoint:
    /// `nats://[USER:PASSWORD@]HOST[:PORT]/NAME`, or `tls://…`
    #[arg(
        long,
        env = "MACH_QUEUE",
        value_name = "URL",
        hide_env_values = true,
        conflicts_with = "checkpoint"
    )]
    pub(super) queue: Option<Url>,

    /// Work on what is in the queue, whatever it is, and do not report
    #[arg(
        long,
        env = "MACH_WORKER",
        requires = "queue",
        conflicts_with_all = ["coordinate", "blocks", "report"]
    )]
    pub(super) worker: bool,

    /// Put the blocks into the queue, wait for workers and report; verify nothing. What the verdicts
    /// go by (--genesis, --rollup-config, --l1, --l1-depth, --l1-genesis) has to be said here as to the
    /// workers
    #[arg(long, env = "MACH_COORDINATE", requires_all = ["queue", "blocks"])]
    pub(super) coordinate: bool,

    /// Chain of the blocks, where --coordinate has no source to ask
    #[arg(
        long,
        env = "MACH_CHAIN_ID",
        value_name = "ID",
        requires = "coordinate"
    )]
    pub(super) chain_id: Option<u64>,

    /// Name of this worker in the report [default: HOST:PID, or `local` with a checkpoint]
    #[arg(
        long,
        env = "MACH_WORKER_NAME",
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(super) name: Option<String>,

    /// File for the report: every block with its verdict, and the totals, as JSON
    #[arg(long, env = "MACH_REPORT", value_name = "FILE")]
    pub(super) report: Option<PathBuf>,

    #[command(flatten)]
    pub(super) evidence: EvidenceArgs,

    /// At the end one JSON object a block on standard output, in order, and a last one with the totals
    #[arg(long, env = "MACH_JSON")]
    pub(super) json: bool,
}
