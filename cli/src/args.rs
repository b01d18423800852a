//! Flags. Each has an environment twin; a flag beats the environment.

use std::{num::NonZeroUsize, path::PathBuf};

use alloy_primitives::{Address, BlockNumber};
use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use mach_devnet::Lie;
use url::Url;

use crate::{against_l1::AgainstL1Args, evidence::EvidenceArgs, l1::L1Command, nodes::RpcArgs};

pub(crate) use crate::block_range::BlockRange;

/// Checks what a rollup says, and says in public what came of it
///
/// To begin with: `mach-cli devnet` runs all of it on this machine, and prints what to try.
/// `mach-cli verify` verifies blocks of a node, without key, contract or server. `mach-cli init`
/// writes the one configuration file that `operator run`, `aggregator run`, `verifier run`,
/// `breaker`, `top` and `certificate verify` take as --config.
///
/// Each command's --help has examples, and the environment twins of its flags; a flag beats the
/// environment. Of most commands, exit code 0 says that all is well, 1 that something is invalid or
/// refused, 2 that there is no verdict, or a failure.
#[derive(Debug, Parser)]
#[command(name = "mach-cli", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum Command {
    Verify(VerifyArgs),
    Follow(crate::follow::FollowArgs),
    Record(RecordArgs),
    Backfill(crate::backfill::BackfillArgs),
    Proposals(ProposalsArgs),
    Derive(DeriveArgs),
    Devnet(DevnetArgs),
    Keys(crate::keys::KeysArgs),
    Guard(crate::guard::GuardArgs),
    Breaker(crate::breaker::BreakerArgs),
    Top(crate::top::TopArgs),
    Init(crate::init::InitArgs),
    Config(crate::config_cmd::ConfigCommandArgs),
    Operator(crate::services::OperatorArgs),
    Aggregator(crate::services::AggregatorArgs),
    Verifier(crate::services::VerifierArgs),
    Certificate(crate::certificate::CertificateArgs),
    Prove(crate::prove::ProveArgs),
    VerifyProof(crate::prove::VerifyProofArgs),
    Guest(crate::prove::GuestArgs),
    #[command(flatten)]
    L1(L1Command),
}

impl Command {
    /// Whether it stays up, and logs as its configuration says.
    pub(crate) const fn is_service(&self) -> bool {
        matches!(
            self,
            Self::Operator(_) | Self::Aggregator(_) | Self::Verifier(_)
        )
    }
}

/// Re-execute blocks and compare every header field that follows from execution
///
/// Examples:
///   mach-cli verify block.json.gz
///   mach-cli verify blocks/ --json
///   mach-cli verify chain/                      (chain.rlp with genesis.json)
///   mach-cli verify --rpc http://localhost:8545 --blocks 120..=180
///   mach-cli verify --rpc https://a.example,https://b.example,https://c.example --blocks 120..=180
///   mach-cli verify --rpc http://localhost:9545 --l1 http://localhost:8545 \
///       --rollup-config rollup.json --blocks 120..=180    (deposits, L1 attributes and the like, too)
///   mach-cli verify --archive blocks.mach --blocks 120..=180
///   mach-cli verify evidence/10-125-a1b2c3d4-stateRoot-5e6f7a8b.json.gz
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("nodes").args(["rpc"]).requires("blocks"))]
pub(crate) struct VerifyArgs {
    /// Recorded blocks or evidence (.json, .json.gz), folders of them, or folders with chain.rlp
    /// and genesis.json
    #[arg(
        required_unless_present_any = ["rpc", "archive"],
        conflicts_with_all = ["rpc", "l1", "l1_depth", "l1_genesis"],
        env = "MACH_PATHS",
        value_delimiter = ','
    )]
    pub(crate) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    #[command(flatten)]
    pub(crate) nodes: RpcArgs,

    #[command(flatten)]
    pub(crate) l1: AgainstL1Args,

    /// Archive of blocks that `mach-cli record --archive` made
    #[arg(
        long,
        env = "MACH_ARCHIVE",
        value_name = "FILE",
        conflicts_with_all = ["paths", "rpc", "l1", "l1_depth", "l1_genesis"]
    )]
    pub(crate) archive: Option<PathBuf>,

    /// Blocks to verify over RPC or, by default all, of an archive: `N`, `A..B` (without B), `A..=B`
    #[arg(long, env = "MACH_BLOCKS", conflicts_with = "paths")]
    pub(crate) blocks: Option<BlockRange>,

    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,

    /// Blocks verified at a time [default: number of cores]
    #[arg(long, env = "MACH_JOBS", value_name = "COUNT")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// One JSON object a block on standard output, and a last one with the totals
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,
}

/// Derive blocks from what the batcher posted on L1, and compare the published ones
///
/// Blocks, batches, receipts and blobs prove themselves. What is trusted is the block before the
/// first one, and that the L1 endpoints know which blocks are L1's. A block that follows from L1 is
/// executed as well. The run ends at the first block that is wrong, or that is not posted yet.
///
/// Nothing is said against a block before the L1 block that decides it is final. The first blocks
/// take longest: the channels of a time-out's length are read again (50 L1 blocks from Granite on).
///
/// OP Mainnet and OP Sepolia are built in; for others --rollup-config is the rollup.json of op-node.
/// A wrong block leaves a bundle, which `mach-cli verify BUNDLE` replays without any endpoint.
///
/// Exit code: 0 every block follows from L1 and is valid, 1 a block is not, 2 it is not known.
///
/// Examples:
///   mach-cli derive --l1 http://localhost:8545 --l2 http://localhost:9545 \
///       --beacon http://localhost:5052 --blocks 140000120..=140000180
///   mach-cli derive --l1 $L1 --l2 $L2 --beacon $BEACON --rollup-config rollup.json \
///       --checkpoint derived.json      (run it again, and it goes on where it stopped)
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("nodes").args(["rpc"]).required(true))]
#[command(mut_arg("rpc", |rpc| rpc.visible_alias("l2")))]
pub(crate) struct DeriveArgs {
    /// JSON-RPC endpoint of L1; of several, more than half have to agree
    #[arg(
        long,
        env = "MACH_L1_RPC",
        value_name = "URL",
        value_delimiter = ',',
        required = true,
        hide_env_values = true
    )]
    pub(crate) l1: Vec<Url>,

    /// Beacon API of an L1 node, for blobs
    #[arg(long, env = "MACH_BEACON", value_name = "URL", hide_env_values = true)]
    pub(crate) beacon: Option<Url>,

    /// Folder with blobs in files, each named by its versioned hash: `0x01….blob`
    #[arg(
        long,
        env = "MACH_BLOBS",
        value_name = "FOLDER",
        conflicts_with = "beacon"
    )]
    pub(crate) blobs: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    /// Genesis file of an L1 that is not built in
    #[arg(long, env = "MACH_L1_GENESIS", value_name = "FILE")]
    pub(crate) l1_genesis: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) nodes: RpcArgs,

    /// Blocks to derive: `N`, `A..B` (without B), `A..=B` [default: all that are posted]
    #[arg(long, env = "MACH_BLOCKS")]
    pub(crate) blocks: Option<BlockRange>,

    /// File that keeps the last valid block: a later run goes on behind it
    #[arg(long, env = "MACH_DERIVE_CHECKPOINT", value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// How settled the L1 blocks have to be that are read; nearer to the head, L1 may be reorganised
    #[arg(long, env = "MACH_L1_HEAD", value_enum, default_value = "finalized")]
    pub(crate) l1_head: L1HeadArg,

    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,

    /// One JSON object a block on standard output, and a last one with the totals
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,
}

/// How settled an L1 block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum L1HeadArg {
    /// Any
    Latest,
    /// Justified
    Safe,
    /// Final
    Finalized,
}

/// A head of the rollup that follows from L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SettledHead {
    /// From any block of L1
    Safe,
    /// From final blocks of L1
    Finalized,
}

/// The rules of the chain.
#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// Genesis file (geth or op-geth) of a chain that is not built in
    #[arg(long, env = "MACH_GENESIS", value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,

    /// Configuration of a rollup that is not built in (op-node's rollup.json)
    #[arg(long, env = "MACH_ROLLUP_CONFIG", value_name = "FILE")]
    pub(crate) rollup_config: Option<PathBuf>,
}

/// Save blocks with their execution witnesses, to verify them offline later
///
/// An interrupted run goes on where it stopped.
///
/// Examples:
///   mach-cli record --rpc http://localhost:8545 --blocks 120..=122 --out blocks/
///   mach-cli record --rpc http://localhost:8545 --blocks 120..=9119 --archive blocks.mach
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("nodes").args(["rpc"]).required(true))]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    pub(crate) nodes: RpcArgs,

    /// Blocks to record: `N`, `A..B` (without B), `A..=B`
    #[arg(long, env = "MACH_BLOCKS")]
    pub(crate) blocks: BlockRange,

    /// Folder that the files go to; blocks that are there already are kept
    #[arg(long, env = "MACH_OUT", value_name = "FOLDER", default_value = ".")]
    pub(crate) out: PathBuf,

    /// One file for all blocks, instead of a folder; blocks are added to what is in it
    #[arg(
        long,
        env = "MACH_ARCHIVE",
        value_name = "FILE",
        conflicts_with = "out"
    )]
    pub(crate) archive: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,
}

/// Compare the output roots that are proposed on L1 with the blocks that they are about
///
/// Exit codes are about proposals: 0 all that stand are right, 1 one is wrong, 2 one is undecided.
///
/// Examples:
///   mach-cli proposals --rpc http://localhost:9545 --l1 http://localhost:8545 \
///     --games 0xe5965Ab5962eDc7477C8520243A95517CD252fA9 --from 21000000
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("nodes").args(["rpc"]).required(true))]
#[command(group = clap::ArgGroup::new("contract").required(true).multiple(true).args(["oracle", "games"]))]
pub(crate) struct ProposalsArgs {
    #[command(flatten)]
    pub(crate) nodes: RpcArgs,

    /// JSON-RPC endpoint of L1
    #[arg(long, env = "MACH_L1_RPC", value_name = "URL", hide_env_values = true)]
    pub(crate) l1: Url,

    /// Address of the L2OutputOracle on L1
    #[arg(
        long,
        env = "MACH_OUTPUT_ORACLE",
        value_name = "ADDRESS",
        conflicts_with = "games"
    )]
    pub(crate) oracle: Option<Address>,

    /// Address of the DisputeGameFactory on L1
    #[arg(long, env = "MACH_DISPUTE_GAMES", value_name = "ADDRESS")]
    pub(crate) games: Option<Address>,

    /// Types of games whose root claim is an output root [default: 0,1,2,3,8]
    #[arg(
        long,
        env = "MACH_GAME_TYPES",
        value_delimiter = ',',
        requires = "games"
    )]
    pub(crate) game_types: Vec<u32>,

    /// First L1 block that is looked at
    #[arg(long, env = "MACH_L1_FROM", value_name = "L1 BLOCK")]
    pub(crate) from: BlockNumber,

    /// L1 blocks on top that make one settled [default: until L1 calls it final]
    #[arg(long, env = "MACH_L1_CONFIRMATIONS", value_name = "BLOCKS")]
    pub(crate) confirmations: Option<u64>,

    /// Which blocks of the rollup proposals are compared with; safe ones can still be replaced
    #[arg(
        long,
        env = "MACH_PROPOSALS_HEAD",
        value_enum,
        default_value = "finalized"
    )]
    pub(crate) head: SettledHead,

    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    /// One JSON object a proposal on standard output, and a last one with the totals
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,
}

/// Run a whole mach on this machine: L1, a rollup, operators, aggregator, verifier, breaker
///
/// Examples:
///   mach-cli devnet                                 each service in a process of its own
///   mach-cli devnet --in-process                    everything in this process
///   mach-cli devnet --lie state-root                the sequencer lies once
///   mach-cli devnet --l1-rpc http://localhost:8545  contracts on anvil
///
/// The services are started from configuration files, as a person would start them. Any of them may
/// be killed, with -9 too: started again with the command that is printed, it goes on where it was.
///
/// Writes a folder with the deployment and the keys of one more operator, and prints what to paste to
/// look at it with `doctor` and `status`, and to let it join and leave with `opt-in` and `opt-out`.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DevnetArgs {
    /// Number of operators that run; one more may join
    #[arg(long, env = "MACH_OPERATORS", value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=6))]
    pub(crate) operators: u8,

    /// Let the sequencer lie once, in this way
    #[arg(long, env = "MACH_LIE", value_parser = lie())]
    pub(crate) lie: Option<Lie>,

    /// RPC of an L1 with anvil's development accounts, to use instead of the built-in one
    #[arg(
        long,
        env = "MACH_DEVNET_L1_RPC",
        value_name = "URL",
        hide_env_values = true,
        conflicts_with = "l1_port"
    )]
    pub(crate) l1_rpc: Option<Url>,

    /// Folder for the deployment file and the keys of an operator that may join [default: a new one
    /// among the system's temporary folders, gone at the end]
    #[arg(long, env = "MACH_FOLDER", value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,

    /// Port of the L1's RPC; 0 chooses a free one
    #[arg(
        long,
        env = "MACH_L1_PORT",
        value_name = "PORT",
        default_value_t = 8545
    )]
    pub(crate) l1_port: u16,

    /// Port of the L2's RPC; 0 chooses a free one
    #[arg(
        long,
        env = "MACH_L2_PORT",
        value_name = "PORT",
        default_value_t = 9545
    )]
    pub(crate) l2_port: u16,

    /// Port of the aggregator; 0 chooses a free one
    #[arg(
        long,
        env = "MACH_AGGREGATOR_PORT",
        value_name = "PORT",
        default_value_t = 8290
    )]
    pub(crate) aggregator_port: u16,

    /// Port of the finality API; 0 chooses a free one
    #[arg(
        long,
        env = "MACH_API_PORT",
        value_name = "PORT",
        default_value_t = 8080
    )]
    pub(crate) api_port: u16,

    /// Port of the circuit breaker; 0 chooses a free one
    #[arg(
        long,
        env = "MACH_BREAKER_PORT",
        value_name = "PORT",
        default_value_t = 8645
    )]
    pub(crate) breaker_port: u16,

    /// Run the services in this process, instead of each in one of its own
    #[arg(long, env = "MACH_IN_PROCESS")]
    pub(crate) in_process: bool,

    /// Milliseconds between L2 blocks
    #[arg(long, env = "MACH_BLOCK_TIME", value_name = "MILLISECONDS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) block_time: u64,
}

/// Reads a lie, of which `--help` has the names.
fn lie() -> impl TypedValueParser<Value = Lie> {
    PossibleValuesParser::new(Lie::ALL.map(|lie| lie.name())).try_map(|name| name.parse::<Lie>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// `--help` of a command begins with what it is for, and shows how it is called.
    #[test]
    fn help_shows_examples() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let name = command.get_name();
            let about = command.get_about().unwrap().to_string();
            let help = command.clone().render_long_help().to_string();
            assert!(help.starts_with(&about), "{name}: {help}");
            assert!(help.contains("Examples:"), "{name}: {help}");
            assert!(help.contains(&format!("\n  mach-cli {name} ")), "{name}");
        }
    }

    /// Every command and subcommand.
    fn for_each(command: &clap::Command, path: &str, look: &mut impl FnMut(&str, &clap::Command)) {
        look(path, command);
        for command in command.get_subcommands() {
            for_each(command, &format!("{path} {}", command.get_name()), look);
        }
    }

    #[test]
    fn help_says_something_of_every_argument() {
        for_each(&Cli::command(), "", &mut |path, command| {
            assert!(command.get_about().is_some(), "{path}");
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{path} {}", arg.get_id());
            }
        });
    }

    /// Lines that stand as they are written are not broken by the terminal's width.
    #[test]
    fn help_with_examples_fits_the_terminal() {
        let mut seen = 0;
        for_each(&Cli::command(), "", &mut |path, command| {
            let text = command.get_long_about().map(ToString::to_string);
            let text = text.filter(|text| text.contains("Examples:"));
            for line in text.iter().flat_map(|text| text.lines()) {
                assert!(line.chars().count() <= 100, "{path}: {line}");
                seen += 1;
            }
        });
        assert!(seen >= 100, "{seen}");
    }

    /// Addresses of nodes hold API keys, which `--help` is not to print.
    #[test]
    fn help_shows_no_address_that_is_in_the_environment() {
        fn check(command: &clap::Command, seen: &mut usize) {
            for arg in command.get_arguments() {
                let Some(env) = arg.get_env().and_then(std::ffi::OsStr::to_str) else {
                    continue;
                };
                let is_url = arg.get_value_parser().type_id() == std::any::TypeId::of::<Url>();
                let is_named_so =
                    (["RPC", "BEACON", "URL", "NATS"].iter()).any(|word| env.ends_with(word));
                if is_url || is_named_so {
                    let of = command.get_name();
                    assert!(arg.is_hide_env_values_set(), "{of}: {env}");
                    *seen += 1;
                }
            }
            for command in command.get_subcommands() {
                check(command, seen);
            }
        }
        let mut seen = 0;
        check(&Cli::command(), &mut seen);
        assert!(seen >= 10, "{seen}");
    }

    /// In an environment that all commands share, a name has one meaning.
    #[test]
    fn one_variable_holds_one_kind_of_value() {
        type Kinds = std::collections::BTreeMap<String, (clap::builder::ValueParser, String)>;
        fn check(command: &clap::Command, path: &str, kinds: &mut Kinds) {
            for arg in command.get_arguments() {
                let Some(env) = arg.get_env().and_then(std::ffi::OsStr::to_str) else {
                    continue;
                };
                let here = format!("{path} {}", arg.get_id());
                let parser = arg.get_value_parser();
                let (known, there) =
                    (kinds.entry(env.to_owned())).or_insert_with(|| (parser.clone(), here.clone()));
                let is_same = known.type_id() == parser.type_id();
                assert!(is_same, "{env} is read by{there} and by{here}");
            }
            for command in command.get_subcommands() {
                check(command, &format!("{path} {}", command.get_name()), kinds);
            }
        }
        let mut kinds = Kinds::new();
        check(&Cli::command(), "", &mut kinds);
        assert!(kinds.len() >= 40, "{}", kinds.len());
    }
}
