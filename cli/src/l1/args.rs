//! Flags of the commands on L1.

use std::path::PathBuf;

use alloy_primitives::Address;
use clap::{Args, Subcommand};
use mach_core::QuorumNumbers;
use url::Url;

use super::{
    admin::AdminArgs,
    deploy::DeployArgs,
    eigenlayer::EigenLayerArgs,
    journal::JournalArgs,
    key::{BlsPasswordArgs, EcdsaPasswordArgs},
    opt_in::OptInArgs,
    opt_out::OptOutArgs,
};

/// Commands on L1. All of them only show what they would do, unless they are told `--yes`.
#[derive(Debug, Subcommand)]
pub(crate) enum L1Command {
    OptIn(OptInArgs),
    OptOut(OptOutArgs),
    Status(StatusArgs),
    Doctor(DoctorArgs),
    #[command(name = "eigenlayer")]
    EigenLayer(EigenLayerArgs),
    Admin(AdminArgs),
    Deploy(DeployArgs),
}

/// The chain and the contracts.
#[derive(Debug, Args)]
pub(crate) struct L1Args {
    /// JSON-RPC endpoint of the L1 that the contracts are on
    #[arg(long, env = "MACH_L1_RPC", value_name = "URL", hide_env_values = true)]
    pub(crate) l1_rpc: Url,

    /// A built-in deployment by name, or a deployment file: JSON with the keys registryCoordinator
    /// and operatorStateRetriever at least, as the original tools write it
    #[arg(long, env = "MACH_DEPLOYMENT", value_name = "NAME|FILE")]
    pub(crate) deployment: String,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(crate) json: bool,
}

/// Show where an operator stands: registration, quorums, stakes; needs no key
///
/// Examples:
///   mach-cli status --deployment altlayer --l1-rpc $RPC --operator 0x7099...79C8
///   mach-cli status --deployment deploy.json --l1-rpc $RPC --operator 0x7099...79C8 --json
///
/// Exit codes: 0 the operator is registered, 1 it is not, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) l1: L1Args,

    /// Account of the operator [default: the account of --ecdsa-key]
    #[arg(long, env = "MACH_OPERATOR", value_name = "ADDRESS")]
    pub(crate) operator: Option<Address>,

    #[command(flatten)]
    pub(crate) ecdsa: EcdsaArgs,
}

/// Look for whatever stands between an operator and its registration, and say what to do
///
/// Examples:
///   mach-cli doctor --deployment altlayer --l1-rpc $RPC
///   mach-cli doctor --deployment altlayer --l1-rpc $RPC --operator 0x7099...79C8 --quorums 0,1
///   mach-cli doctor --deployment deploy.json --l1-rpc $RPC --ecdsa-key op.ecdsa.json \
///     --bls-key op.bls.json
///   mach-cli doctor --deployment deploy.json --l1-rpc $RPC --operator 0x7099...79C8 --leaving
///
/// Without --operator only the node and the contracts are looked at. Nothing is ever sent.
///
/// Exit codes: 0 nothing is in the way, 1 something is, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) l1: L1Args,

    #[command(flatten)]
    pub(crate) who: WhoArgs,

    #[command(flatten)]
    pub(crate) quorums: QuorumArgs,

    /// Look for what stands in the way of opt-out instead of opt-in
    #[arg(long)]
    pub(crate) leaving: bool,
}

/// The operator and the files of its keys.
#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// Account of the operator [default: the account of --ecdsa-key]
    #[arg(long, env = "MACH_OPERATOR", value_name = "ADDRESS")]
    pub(crate) operator: Option<Address>,

    #[command(flatten)]
    pub(crate) ecdsa: EcdsaArgs,

    /// Key file of the operator's BLS key
    #[arg(long, env = "MACH_BLS_KEY", value_name = "FILE")]
    pub(crate) bls_key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) bls_password: BlsPasswordArgs,
}

/// The account that signs transactions.
#[derive(Debug, Args)]
pub(crate) struct EcdsaArgs {
    /// Key file (geth V3) of the account that signs
    #[arg(long, env = "MACH_ECDSA_KEY", value_name = "FILE")]
    pub(crate) ecdsa_key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) password: EcdsaPasswordArgs,
}

#[derive(Debug, Args)]
pub(crate) struct QuorumArgs {
    /// Quorums, such as 0 or 0,1
    #[arg(long, env = "MACH_QUORUMS", value_name = "NUMBERS", default_value = "0", value_parser = read_quorums)]
    pub(crate) quorums: QuorumNumbers,
}

/// What becomes of the transactions.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendArgs {
    /// Send; without it the command shows what it would send, and ends
    #[arg(long)]
    pub(crate) yes: bool,

    /// Print what has to be signed and sent elsewhere
    #[arg(long, conflicts_with = "yes")]
    pub(crate) print_only: bool,

    #[command(flatten)]
    pub(crate) journal: JournalArgs,
}

/// Quorum numbers as they are written on the command line, in any order.
pub(crate) fn read_quorums(text: &str) -> Result<QuorumNumbers, String> {
    let mut numbers = numbers(text)?;
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("a quorum is named twice".to_owned());
    }
    QuorumNumbers::new(numbers).map_err(|error| error.to_string())
}

/// Quorum numbers in ascending order, for which other values stand in the same order.
pub(crate) fn read_ordered_quorums(text: &str) -> Result<QuorumNumbers, String> {
    QuorumNumbers::new(numbers(text)?).map_err(|error| error.to_string())
}

fn numbers(text: &str) -> Result<Vec<u8>, String> {
    text.split(',')
        .map(|number| {
            let number = number.trim();
            number
                .parse()
                .map_err(|_| format!("`{number}` is no quorum number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_read_in_any_order_and_once_each() {
        let read = |text: &str| read_quorums(text).map(|quorums| quorums.as_bytes().to_vec());
        assert_eq!(read("0"), Ok(vec![0]));
        assert_eq!(read("1, 0"), Ok(vec![0, 1]));
        for wrong in ["", "0,0", "a", "-1", "192", "256", "0,,1"] {
            assert!(read_quorums(wrong).is_err(), "{wrong}");
        }
    }
}
