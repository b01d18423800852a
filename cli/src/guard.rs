//! `mach-cli guard`: the record of what an operator signed, moved and corrected.

use std::{
    fmt::Display,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, BlockNumber, ChainId};
use clap::{Args, Subcommand};
use eyre::WrapErr;
use mach_core::{Domain, ports::GuardError};
use mach_node::{
    GuardFile, GuardFileError, StoredGuard,
    store::{RedbStore, StoreError},
};
use serde_json::{Value, json};

use crate::{outcome::Outcome, remote::runtime};

/// Longest record that is read, in bytes: some millions of statements.
const MAX_RECORD_BYTES: u64 = 1024 * 1024 * 1024;

/// Keep, move and correct the record of what an operator signed
///
/// For one height of a rollup an operator signs one block, for ever. What it signs is on record in
/// a store before the signature leaves the process. The operator has to be stopped for these
/// commands: a store is used by one process at a time.
///
/// To move an operator: stop it, export, import on the other machine, start it there, and never
/// start the old one again. Two machines with one key and two records can contradict each other,
/// which may be slashed.
///
/// Examples:
///   mach-cli guard export --store operator.redb record.json
///   mach-cli guard import --store operator.redb record.json
///   mach-cli guard retract --store operator.redb --rollup 10 --block 120         shows it
///   mach-cli guard retract --store operator.redb --rollup 10 --block 120 --yes
///
/// Exit codes: 0 done or shown, 1 refused because of what is on record, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct GuardArgs {
    #[command(subcommand)]
    command: GuardCommand,
}

#[derive(Debug, Subcommand)]
enum GuardCommand {
    Export(ExportArgs),
    Import(ImportArgs),
    Retract(RetractArgs),
}

/// The record, and which part of it.
#[derive(Debug, Args)]
struct RecordArgs {
    /// Store of the operator
    #[arg(long, env = "MACH_STORE", value_name = "FILE")]
    store: PathBuf,

    /// L1 chain of the service manager [default: the only one on record]
    #[arg(
        long,
        env = "MACH_L1_CHAIN",
        value_name = "ID",
        requires = "service_manager"
    )]
    l1_chain: Option<ChainId>,

    /// Service manager that the statements were signed for [default: the only one on record]
    #[arg(
        long,
        env = "MACH_SERVICE_MANAGER",
        value_name = "ADDRESS",
        requires = "l1_chain"
    )]
    service_manager: Option<Address>,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

/// Write what was signed for a service manager as JSON
///
/// The idea is that of EIP-3076, the interchange format of validators: a list of attestations and
/// one of alerts for each rollup. The store stays as it is.
///
/// Examples:
///   mach-cli guard export --store operator.redb record.json
///   mach-cli guard export --store operator.redb | jq '.data[].attestations | length'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct ExportArgs {
    #[command(flatten)]
    record: RecordArgs,

    /// File to write, for its owner only; one that is there is not replaced [default: standard output]
    file: Option<PathBuf>,
}

/// Add what another store exported
///
/// What is on record stays. Nothing is added from a file that contradicts it: then both were
/// signed, and which one counts is for people to find out. A store that is not there is made.
///
/// Examples:
///   mach-cli guard import --store operator.redb record.json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct ImportArgs {
    #[command(flatten)]
    record: RecordArgs,

    /// File that `mach-cli guard export` wrote
    file: PathBuf,
}

/// Take an attestation back that was wrong, so that the block may be alerted
///
/// It stays on record, and no other block is attested at its height. What was signed stays signed:
/// with the alert the operator contradicts itself, knowingly, and whoever slashes may say so.
///
/// Examples:
///   mach-cli guard retract --store operator.redb --rollup 10 --block 120         shows it
///   mach-cli guard retract --store operator.redb --rollup 10 --block 120 --yes
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct RetractArgs {
    #[command(flatten)]
    record: RecordArgs,

    /// Chain id of the rollup
    #[arg(long, env = "MACH_ROLLUP", value_name = "ID")]
    rollup: ChainId,

    /// Height of the block
    #[arg(long, env = "MACH_BLOCK", value_name = "N")]
    block: BlockNumber,

    /// Take it back; without it the command shows what is on record, and ends
    #[arg(long)]
    yes: bool,
}

type Guard = StoredGuard<RedbStore>;

pub(crate) fn run(args: &GuardArgs) -> eyre::Result<Outcome> {
    let runtime = runtime()?;
    match &args.command {
        GuardCommand::Export(args) => runtime.block_on(export(args)),
        GuardCommand::Import(args) => runtime.block_on(import(args)),
        GuardCommand::Retract(args) => runtime.block_on(retract(args)),
    }
}

async fn export(args: &ExportArgs) -> eyre::Result<Outcome> {
    let guard = guard(&args.record, RedbStore::open_existing(&args.record.store))?;
    let domain = args.record.domain(&guard).await?;
    let record = guard.export(&domain).await?;
    let Some(path) = &args.file else {
        say(&serde_json::to_string(&record)?);
        return Ok(Outcome::Valid);
    };
    write(path, &record).wrap_err_with(|| path.display().to_string())?;
    let count = |of: fn(&mach_node::RollupHistory) -> usize| record.data.iter().map(of).sum();
    let (attestations, alerts): (usize, usize) = (
        count(|it| it.attestations.len()),
        count(|it| it.alerts.len()),
    );
    if args.record.json {
        say(&of_domain(
            &domain,
            json!({
                "file": path,
                "rollups": record.data.len(),
                "attestations": attestations,
                "alerts": alerts,
            }),
        ));
    } else {
        say(&format!(
            "{}: {attestations} attestations and {alerts} alerts of {} rollups, for {}",
            path.display(),
            record.data.len(),
            told(&domain)
        ));
    }
    Ok(Outcome::Valid)
}

async fn import(args: &ImportArgs) -> eyre::Result<Outcome> {
    let file = read(&args.file).wrap_err_with(|| args.file.display().to_string())?;
    let of_file = Domain {
        l1_chain_id: file.metadata.l1_chain_id,
        service_manager: file.metadata.service_manager,
    };
    let guard = guard(&args.record, RedbStore::open(&args.record.store))?;
    let domain = args.record.given().unwrap_or(of_file);
    let summary = match guard.import(&domain, &file).await {
        Err(GuardFileError::Guard(error @ GuardError::Contradiction { .. })) => {
            return Ok(args
                .record
                .refused(&format!("nothing was imported: {error}")));
        }
        other => other.wrap_err_with(|| args.file.display().to_string())?,
    };
    if args.record.json {
        let value = json!({ "added": summary.added, "known": summary.known });
        say(&of_domain(&domain, value));
    } else {
        say(&format!(
            "{} statements added, {} were known, for {}",
            summary.added,
            summary.known,
            told(&domain)
        ));
    }
    Ok(Outcome::Valid)
}

async fn retract(args: &RetractArgs) -> eyre::Result<Outcome> {
    let guard = guard(&args.record, RedbStore::open_existing(&args.record.store))?;
    let domain = args.record.domain(&guard).await?;
    let (rollup, number) = (args.rollup, args.block);
    let attestation = guard.attestation(&domain, rollup, number).await?;
    let Some(attestation) = attestation else {
        return Ok(args.record.refused(&format!(
            "block {number} of rollup {rollup} is not attested for {}, or was taken back",
            told(&domain)
        )));
    };
    let block = attestation.block;
    let is_retracted = args.yes && guard.retract(&domain, rollup, block).await?;
    if args.record.json {
        let value = json!({ "attestation": attestation, "retracted": is_retracted });
        say(&of_domain(&domain, value));
    } else if is_retracted {
        say(&format!(
            "the attestation of block {block} of rollup {rollup} is taken back; it may be alerted now"
        ));
    } else {
        say(&format!(
            "block {block} of rollup {rollup} is attested for {}, with output root {}; \
             --yes takes it back, for ever",
            told(&domain),
            attestation.output_root
        ));
    }
    Ok(Outcome::Valid)
}

impl RecordArgs {
    fn given(&self) -> Option<Domain> {
        Some(Domain {
            l1_chain_id: self.l1_chain?,
            service_manager: self.service_manager?,
        })
    }

    /// The domain that the flags name, or the only one.
    async fn domain(&self, guard: &Guard) -> eyre::Result<Domain> {
        if let Some(domain) = self.given() {
            return Ok(domain);
        }
        let domains = guard.domains().await?;
        match domains.as_slice() {
            [domain] => Ok(*domain),
            [] => eyre::bail!("nothing was signed yet"),
            several => {
                let list: Vec<_> = several.iter().map(told).collect();
                eyre::bail!(
                    "which service manager? name one with --l1-chain and --service-manager: {}",
                    list.join(", ")
                )
            }
        }
    }

    fn refused(&self, reason: &str) -> Outcome {
        if self.json {
            say(&json!({ "error": reason }));
        } else {
            say(&reason);
        }
        Outcome::Invalid
    }
}

fn guard(args: &RecordArgs, opened: Result<RedbStore, StoreError>) -> eyre::Result<Guard> {
    let advice = |error: &StoreError| match error {
        StoreError::InUse(_) => "stop the operator first",
        StoreError::Damaged { .. } | StoreError::Unreadable(_) => {
            "nothing may be signed with this record: bring a copy of it back"
        }
        _ => "the record",
    };
    opened.map(StoredGuard::new).map_err(|error| {
        let advice = advice(&error);
        eyre::Report::new(error)
            .wrap_err(args.store.display().to_string())
            .wrap_err(advice)
    })
}

fn read(path: &Path) -> eyre::Result<GuardFile> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(MAX_RECORD_BYTES + 1);
    file.read_to_end(&mut bytes)?;
    eyre::ensure!(
        bytes.len() as u64 <= MAX_RECORD_BYTES,
        "the file is longer than {MAX_RECORD_BYTES} bytes"
    );
    Ok(serde_json::from_slice(&bytes)?)
}

/// Whole on the disk, under a name that was free, or not at all.
fn write(path: &Path, record: &GuardFile) -> eyre::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, record)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn told(domain: &Domain) -> String {
    format!(
        "service manager {} on chain {}",
        domain.service_manager, domain.l1_chain_id
    )
}

fn of_domain(domain: &Domain, mut value: Value) -> Value {
    if let Some(value) = value.as_object_mut() {
        value.insert("l1ChainId".to_owned(), domain.l1_chain_id.into());
        let service_manager = domain.service_manager.to_string();
        value.insert("serviceManager".to_owned(), service_manager.into());
    }
    value
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(text: &impl Display) {
    println!("{text}");
}
