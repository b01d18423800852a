//! `mach-cli init`: a configuration file with a comment for every key.

mod document;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, ChainId};
use clap::{Args, ValueEnum};
use eyre::{WrapErr, bail};
use mach_contracts_bindings::KnownDeployment;
use mach_verify::ChainSpec;
use serde_json::json;
use url::Url;

use crate::{
    config::{Config, Endpoint, Rollup},
    l1::names_a_file,
    outcome::Outcome,
};

pub(crate) use document::document;

/// Write a configuration file for the services, with a comment for every key
///
/// A file that is there is not replaced. What is not given is left as an example to be filled in;
/// `mach-cli config check` says what is missing. `operator run`, `aggregator run`, `verifier run`,
/// `breaker`, `top` and `certificate verify` take it as --config.
///
/// Examples:
///   mach-cli init --deployment altlayer --l1-chain 1 --l1-rpc $L1 --rollup 10=$OP
///   mach-cli init --role operator --deployment deployment.json --aggregator $AGGREGATOR
///   mach-cli init --role aggregator --registry-coordinator 0x... --operator-state-retriever 0x...
///   mach-cli init --role verifier --rollup 10=$OP --out verifier.toml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct InitArgs {
    /// Whose file it is
    #[arg(long, env = "MACH_ROLE", value_enum, default_value = "all")]
    role: Role,

    /// Built-in deployment by name, or a deployment file
    #[arg(long, env = "MACH_DEPLOYMENT", value_name = "NAME|FILE")]
    deployment: Option<String>,

    /// Instead of a deployment: where operators register
    #[arg(
        long,
        env = "MACH_REGISTRY_COORDINATOR",
        value_name = "ADDRESS",
        conflicts_with = "deployment",
        requires = "operator_state_retriever"
    )]
    registry_coordinator: Option<Address>,

    /// Instead of a deployment: the reads that clients need
    #[arg(
        long,
        env = "MACH_OPERATOR_STATE_RETRIEVER",
        value_name = "ADDRESS",
        conflicts_with = "deployment"
    )]
    operator_state_retriever: Option<Address>,

    /// JSON-RPC endpoint of the L1 that the contracts are on
    #[arg(long, env = "MACH_L1_RPC", value_name = "URL", hide_env_values = true)]
    l1_rpc: Option<Url>,

    /// L1 chain of a built-in deployment that is on several
    #[arg(long, env = "MACH_L1_CHAIN", value_name = "ID")]
    l1_chain: Option<ChainId>,

    /// Rollup and its JSON-RPC endpoint; may be given several times
    #[arg(long, env = "MACH_INIT_ROLLUPS", value_name = "ID=URL", value_delimiter = ',', value_parser = read_rollup, hide_env_values = true)]
    rollup: Vec<(ChainId, Url)>,

    /// Aggregators that an operator sends to
    #[arg(
        long,
        env = "MACH_AGGREGATORS",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    aggregator: Vec<Url>,

    /// Every how many blocks an operator attests
    #[arg(long, env = "MACH_ATTEST_EVERY", value_name = "BLOCKS")]
    attest_every: Option<std::num::NonZeroU64>,

    /// File to write
    #[arg(
        long,
        env = "MACH_CONFIG",
        value_name = "FILE",
        default_value = "mach.toml"
    )]
    out: PathBuf,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// `operator run`
    Operator,
    /// `aggregator run`
    Aggregator,
    /// `verifier run`
    Verifier,
    /// `breaker`
    Breaker,
    /// Everything
    All,
}

fn read_rollup(text: &str) -> Result<(ChainId, Url), String> {
    let (id, url) = text.split_once('=').ok_or("it has to be ID=URL")?;
    let id = id.trim().parse().map_err(|_| "the chain id is no number")?;
    let url = Url::parse(url.trim()).map_err(|error| format!("no URL: {error}"))?;
    Ok((id, url))
}

pub(crate) fn run(args: &InitArgs) -> eyre::Result<Outcome> {
    let config = draft(args)?;
    write(&args.out, &document(&config, args.role))?;
    if args.json {
        say(&json!({ "file": args.out, "rollups": config.rollups.len() }).to_string());
    } else {
        say(&format!(
            "{} is written; look through it, then: mach-cli config check --config {}",
            args.out.display(),
            args.out.display()
        ));
    }
    Ok(Outcome::Valid)
}

fn draft(args: &InitArgs) -> eyre::Result<Config> {
    let mut config = Config::default();
    config.l1.rpc = Some(Endpoint(match &args.l1_rpc {
        Some(url) => url.clone(),
        None => Url::parse("http://localhost:8545")?,
    }));
    config.l1.registry_coordinator = args.registry_coordinator;
    config.l1.operator_state_retriever = args.operator_state_retriever;
    let mut chains: Vec<ChainId> = args.rollup.iter().map(|(id, _)| *id).collect();
    if let Some(name) = &args.deployment {
        config.l1.deployment = Some(if names_a_file(name) {
            // The file may go elsewhere than where we are.
            std::path::absolute(name)?.display().to_string()
        } else {
            let known = KnownDeployment::find(name, args.l1_chain)
                .wrap_err("--deployment; --l1-chain names the chain")?;
            chains.extend(known.rollup_chain_ids);
            name.clone()
        });
    }
    let known = |id: &ChainId| args.rollup.iter().any(|(given, _)| given == id);
    chains.retain(|id| known(id) || ChainSpec::known(*id).is_some());
    for (index, id) in chains.iter().enumerate() {
        if chains.iter().take(index).any(|earlier| earlier == id) {
            continue;
        }
        let given = args.rollup.iter().filter(|(given, _)| given == id);
        let mut rollup = Rollup::new(*id);
        rollup.rpc = given.map(|(_, url)| Endpoint(url.clone())).collect();
        if rollup.rpc.is_empty() {
            rollup
                .rpc
                .push(Endpoint(Url::parse("http://localhost:9545")?));
        }
        rollup.attest_every = args.attest_every;
        config.rollups.push(rollup);
    }
    config.operator.aggregators = args.aggregator.iter().cloned().map(Endpoint).collect();
    if config.operator.aggregators.is_empty() {
        let url = format!("http://{}", config.aggregator.listen);
        config
            .operator
            .aggregators
            .push(Endpoint(Url::parse(&url)?));
    }
    config.operator.bls_key = Some(PathBuf::from("operator.bls.json"));
    config.aggregator.ecdsa_key = Some(PathBuf::from("aggregator.ecdsa.json"));
    // The original's ports.
    config.operator.node_api = Some(([127, 0, 0, 1], 9091).into());
    config.verifier.node_api = Some(([127, 0, 0, 1], 9095).into());
    config.verifier.name = Some("verifier".to_owned());
    config.metrics.operator = Some(([127, 0, 0, 1], 9092).into());
    config.metrics.aggregator = Some(([127, 0, 0, 1], 9093).into());
    config.metrics.verifier = Some(([127, 0, 0, 1], 9094).into());
    config.api.listen = Some(([127, 0, 0, 1], 8080).into());
    if let Some(rollup) = config.rollups.first() {
        config.breaker.rollup = Some(rollup.chain_id);
        config.breaker.upstream = rollup.rpc.first().cloned();
    }
    config.breaker.listen = Some(([127, 0, 0, 1], 8645).into());
    config.breaker.events = Some(Endpoint(Url::parse("http://127.0.0.1:8080")?));
    Ok(config)
}

/// A new file, whole or not at all. Its URLs may hold keys: only its owner may read it.
pub(crate) fn write(path: &Path, text: &str) -> eyre::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file =
        tempfile::NamedTempFile::new_in(folder).wrap_err_with(|| folder.display().to_string())?;
    file.write_all(text.as_bytes())?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => bail!(
            "{} is there already and is not replaced: name another file with --out",
            path.display()
        ),
        Err(error) => Err(error.error).wrap_err_with(|| path.display().to_string()),
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(text: &str) {
    println!("{text}");
}
