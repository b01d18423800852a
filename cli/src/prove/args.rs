use std::path::PathBuf;

use alloy_primitives::{Address, B256, ChainId, U256};
use clap::{Args, Subcommand};
use mach_prove::{BackendName, Context};
use url::Url;

use crate::args::ChainArgs;

/// Prove what a bundle of evidence says, for a contract that believes proofs
///
/// The guest program runs in this process first: what it refuses is not proved. Then the prover, a
/// program of its own, makes the proof and verifies it. A proof that is there already, from a command
/// that was stopped after it was made, is verified and not made again. One that is half made goes on
/// with the segment, or the order, that it was at.
///
/// A proof counts for one contract on one L1 chain, and for one account that hands it in; without
/// them it counts for nobody, and shows what it shows.
///
/// The prover of risc0 proves here, for whoever verifies it with that prover, or has a service that
/// speaks Bonsai's API make a proof that contracts take: BONSAI_API_URL and BONSAI_API_KEY, or the key
/// in the file BONSAI_API_KEY_FILE. What the service has is not ordered a second time, but an order
/// whose answer was lost is placed again; after BONSAI_MAX_ORDERS orders (3) a person is asked, and
/// after BONSAI_DEADLINE seconds (86400) one is stopped.
/// The prover of sp1 has SP1's network make such a proof: NETWORK_PRIVATE_KEY, or the key in the file
/// NETWORK_PRIVATE_KEY_FILE, pays for it, at most NETWORK_MAX_COST for an order where provers bid, and
/// NETWORK_MAX_ORDERS of them (3).
///
/// The backend `native` runs the guest program without proving anything: for development.
///
/// Examples:
///   mach-cli prove --bundle evidence/901-8-1f2e3d4c-stateRoot-5b6a7988.json.gz --backend openvm
///   mach-cli prove --bundle output-root.json.gz --backend openvm --rpc http://localhost:9545
///   BONSAI_API_URL=https://... BONSAI_API_KEY_FILE=key mach-cli prove --bundle $BUNDLE --backend risc0
///   mach-cli prove --bundle $BUNDLE --backend openvm --l1-chain 1 --service-manager 0x... \
///       --account 0x...
///
/// Exit codes: 0 proved, or run by `native`, which says NOT A PROOF; 2 not proved.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ProveArgs {
    /// Evidence, as `mach-cli verify` leaves it
    #[arg(long, env = "MACH_BUNDLE", value_name = "FILE")]
    pub(super) bundle: PathBuf,

    /// Who proves: openvm, risc0, sp1, or native, which proves nothing
    #[arg(long, env = "MACH_PROOF_BACKEND", value_name = "NAME")]
    pub(super) backend: BackendName,

    #[command(flatten)]
    pub(super) prover: ProverArgs,

    /// JSON-RPC endpoint of the rollup, for an output root before Isthmus: its proof needs the message
    /// passer's account, which no bundle has; of several, the next is asked where one has no answer
    #[arg(
        long,
        env = "MACH_RPC",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(super) rpc: Vec<Url>,

    /// Memory that the prover may take, in bytes or as in 5GiB; it cuts the work into segments by it, and on Linux
    /// one that takes more is ended [default: what it likes]
    #[arg(long, env = "MACH_PROVER_MEMORY", value_name = "BYTES", value_parser = bytes)]
    pub(super) memory_limit: Option<u64>,

    /// Folder where proofs are made, and where one that is made already is found
    #[arg(
        long,
        env = "MACH_PROOF_WORK",
        value_name = "FOLDER",
        default_value = "proofs"
    )]
    pub(super) work_dir: PathBuf,

    /// Proof file to write [default: BUNDLE.BACKEND.proof.json in this folder]
    #[arg(long, env = "MACH_PROOF_OUT", value_name = "FILE")]
    pub(super) out: Option<PathBuf>,

    /// L1 chain of the contract that is to take the proof
    #[arg(
        long,
        env = "MACH_PROOF_L1_CHAIN",
        value_name = "ID",
        default_value_t = 0
    )]
    pub(super) l1_chain: ChainId,

    /// Contract that is to take the proof
    #[arg(long, env = "MACH_PROOF_SERVICE_MANAGER", value_name = "ADDRESS", default_value_t = Address::ZERO)]
    pub(super) service_manager: Address,

    /// Account that is to hand it in
    #[arg(long, env = "MACH_PROOF_ACCOUNT", value_name = "ADDRESS", default_value_t = Address::ZERO)]
    pub(super) account: Address,

    #[command(flatten)]
    pub(super) chain: ChainArgs,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(super) json: bool,
}

impl ProveArgs {
    pub(super) fn context(&self) -> Context {
        Context {
            l1_chain_id: U256::from(self.l1_chain),
            service_manager: self.service_manager,
            prover: self.account,
        }
    }
}

/// The prover's program.
#[derive(Debug, Args)]
pub(crate) struct ProverArgs {
    /// The prover's program [default: mach-prover-BACKEND on the PATH]
    #[arg(long, env = "MACH_PROVER", value_name = "PATH")]
    pub(super) prover: Option<PathBuf>,
}

/// Verify a proof file, and say what is proved and under which configuration
///
/// The prover's program verifies it; nothing of the file is believed. What it proves is said in words,
/// with the rules that it was proved under: those of a built-in chain are recognised, and those of
/// --genesis or --rollup-config.
///
/// Exit codes: 0 it is proved, 1 it is not: the proof does not verify, or it is none, as those of
/// `native`; 2 not known, or failure.
///
/// Examples:
///   mach-cli verify-proof bundle.openvm.proof.json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct VerifyProofArgs {
    /// Proof, as `mach-cli prove` writes it
    pub(super) file: PathBuf,

    /// The only program whose proof counts, as 32 bytes [default: those of the prover]
    #[arg(long, env = "MACH_PROOF_PROGRAM", value_name = "ID")]
    pub(super) program: Option<B256>,

    #[command(flatten)]
    pub(super) prover: ProverArgs,

    #[command(flatten)]
    pub(super) chain: ChainArgs,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(super) json: bool,
}

/// The guest programs that proofs are made of
///
/// Examples:
///   mach-cli guest info
///   mach-cli guest info --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct GuestArgs {
    #[command(subcommand)]
    pub(super) command: GuestCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum GuestCommand {
    Info(InfoArgs),
}

/// Show the committed guest programs: name, SHA-256, what each prover calls it, and how it is made
///
/// With --prover, that prover is asked for its programs too.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct InfoArgs {
    /// The only backend whose programs are shown
    #[arg(long, env = "MACH_PROOF_BACKEND", value_name = "NAME")]
    pub(super) backend: Option<BackendName>,

    #[command(flatten)]
    pub(super) prover: ProverArgs,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    pub(super) json: bool,
}

/// Bytes, with a unit of 1024 or 1000 behind them or none.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let wrong = || "a number of bytes, or one with a unit, such as 5GiB".to_owned();
    let unit = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit));
    let (unit, scale) = unit.unwrap_or(("", 1));
    let number: u64 =
        (text.strip_suffix(unit).unwrap_or(text).trim().parse()).map_err(|_| wrong())?;
    number
        .checked_mul(scale)
        .filter(|it| *it > 0)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit_or_none() {
        assert_eq!(bytes("5GiB"), Ok(5 << 30));
        assert_eq!(bytes("5 GB"), Ok(5_000_000_000));
        assert_eq!(bytes("1048576"), Ok(1 << 20));
        for wrong in ["", "0", "GiB", "-1", "1.5GiB", "20000000TiB", "5G"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
