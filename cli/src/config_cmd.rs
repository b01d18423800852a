//! `mach-cli config`: the configuration file, checked, shown, and made of the original's.

use std::{num::NonZeroUsize, path::PathBuf};

use alloy_primitives::ChainId;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    breaker::method_rule,
    config::{self, Config, ConfigArgs},
    outcome::{Outcome, print_json_error, told_as_json},
    spec::Specs,
};

/// Check and show the configuration file of the services, or make one of the original's files
///
/// Examples:
///   mach-cli config check --config operator.toml
///   mach-cli config show --origin                  every value, and where it was set
///   mach-cli config import operator.yaml .env mach-config.toml --chain-id 10 > mach.toml
///
/// Exit codes: 0 done, 1 something is wrong with the configuration, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ConfigCommandArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Check(CheckArgs),
    Show(ShowArgs),
    Import(ImportArgs),
}

/// Check a configuration file, and the values that the environment lays over it
///
/// Every key has to be known and every value one of its kind, and what is named has to be there, such
/// as a key file; else it is told which service does not start without it. No node is asked.
///
/// Exit codes: 0 valid, 1 something is wrong or missing, 2 the file is not there.
///
/// Examples:
///   mach-cli config check
///   mach-cli config check --config operator.toml --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

/// Show the configuration that is in force, without what URLs hide
///
/// Examples:
///   mach-cli config show
///   mach-cli config show --origin --set log.level=debug
///   mach-cli config show --json | jq '.values[] | select(.origin != "default")'
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct ShowArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Say of every value where it was set
    #[arg(long)]
    origin: bool,

    /// One JSON object on standard output, always with origins
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

/// Make a configuration file of those of the original MACH AVS
///
/// Takes its operator and aggregator YAML, `mach-config.toml`, `avs_configs.json`,
/// `operator_proxy.yaml` and `.env` files, several at once. Prints our TOML, and on standard error
/// what has no counterpart. Passwords are never taken over.
///
/// Examples:
///   mach-cli config import operator.yaml > mach.toml
///   mach-cli config import avs_configs.json operator_proxy.yaml .env > mach.toml
///   mach-cli config import avs_configs.json operator_proxy.yaml configs/chain/*/mach-config.toml
///   mach-cli config import mach-config.toml --chain-id 10
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
struct ImportArgs {
    /// The original's files
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Rollup that a mach-config.toml is about, which it does not say [default: the one whose name in
    /// operator_proxy.yaml its folder has, or the only one]
    #[arg(long, env = "MACH_CHAIN_ID", value_name = "ID")]
    chain_id: Option<ChainId>,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

pub(crate) fn run(args: &ConfigCommandArgs) -> eyre::Result<Outcome> {
    match &args.command {
        ConfigCommand::Check(args) => told_as_json(check(args), args.json),
        ConfigCommand::Show(args) => told_as_json(show(args), args.json),
        ConfigCommand::Import(args) => told_as_json(import(args), args.json),
    }
}

fn check(args: &CheckArgs) -> eyre::Result<Outcome> {
    let loaded = match args.config.load() {
        Ok(loaded) => loaded,
        // A file that is not there is another matter than one that is wrong.
        Err(error) if !args.config.config.is_file() => return Err(error),
        Err(error) => {
            if args.json {
                print_json_error(&error);
            } else {
                Outcome::from_error(error);
            }
            return Ok(Outcome::Invalid);
        }
    };
    let wrong = contradictions(&loaded.config);
    let mut missing = unset(&loaded.config);
    let mut config = loaded.config;
    config.for_each_named_file(|key, path| {
        if !path.exists() {
            let path = path.display();
            let (then, how) = (consequence(key), remedy(key));
            missing.push(format!("{key}: there is no {path}{then}{how}"));
        }
    });
    let is_valid = wrong.is_empty() && missing.is_empty();
    if args.json {
        say(&json!({ "valid": is_valid, "wrong": wrong, "missing": missing }).to_string());
    } else {
        for line in wrong.iter().chain(&missing) {
            say(line);
        }
        let file = args.config.config.display();
        say(&if is_valid {
            format!("{file} is valid")
        } else if wrong.is_empty() {
            format!("{file} is well formed, but not all that it takes is there")
        } else {
            format!("{file} is not valid")
        });
    }
    Ok(if is_valid {
        Outcome::Valid
    } else {
        Outcome::Invalid
    })
}

/// What does not start without a file that this key names.
fn consequence(key: &str) -> &'static str {
    match key.split('.').next() {
        Some("operator") => ", so that operator run does not start",
        Some("aggregator") => ", so that aggregator run does not start",
        Some("zk") => ", so that verifier run does not start",
        Some("l1") => ", so that operator run and aggregator run do not start",
        Some("certificate") => ", so that certificate verify knows no operators",
        _ => ", so that operator run and verifier run do not start",
    }
}

/// How a key file is made.
fn remedy(key: &str) -> &'static str {
    if key.ends_with(".bls_key") {
        "; mach-cli keys new makes one"
    } else if key.ends_with("ecdsa_key") {
        "; mach-cli keys new --kind ecdsa makes one"
    } else {
        ""
    }
}

/// What the services whose file it is do not start without.
fn unset(config: &Config) -> Vec<String> {
    let (operator, aggregator) = (&config.operator, &config.aggregator);
    let signs = operator.bls_key.is_some() || operator.cerberus.is_some();
    let pays = aggregator.ecdsa_key.is_some() || aggregator.web3signer.is_some();
    let verifies = config.verifier.node_api.is_some() || config.verifier.name.is_some();
    let services = [
        (signs, "operator run"),
        (pays || aggregator.dry_run, "aggregator run"),
        (verifies, "verifier run"),
    ];
    let l1 = &config.l1;
    let has_contracts = l1.deployment.is_some() || l1.registry_coordinator.is_some();
    // A verifier knows no contracts.
    let needed = [
        (
            !operator.aggregators.is_empty(),
            "operator.aggregators is not set",
            1,
        ),
        (l1.rpc.is_some(), "l1.rpc is not set", 2),
        (
            has_contracts,
            "neither l1.deployment nor l1.registry_coordinator is set",
            2,
        ),
        (!config.rollups.is_empty(), "there is no [[rollup]]", 3),
    ];
    let mut unset = Vec::new();
    for (is_there, what, count) in needed {
        let whose = services.iter().take(count).filter(|(is_its, _)| *is_its);
        let whose: Vec<_> = whose.map(|(_, service)| *service).collect();
        if !is_there && !whose.is_empty() {
            let verb = if whose.len() == 1 { "does" } else { "do" };
            let whose = whose.join(" and ");
            unset.push(format!("{what}, so that {whose} {verb} not start"));
        }
    }
    let breaker = &config.breaker;
    let (events, on_l1) = (breaker.events.is_some(), breaker.service_manager.is_some());
    // Without any of them, it is started with flags, and the file says the rest.
    if breaker.upstream.is_none() && breaker.rollup.is_none() && !events && !on_l1 {
        return unset;
    }
    for (is_there, what) in [
        (breaker.upstream.is_some(), "breaker.upstream is not set"),
        (breaker.rollup.is_some(), "breaker.rollup is not set"),
        (
            events || on_l1,
            "neither breaker.events nor breaker.service_manager is set",
        ),
        (
            events || !on_l1 || l1.rpc.is_some(),
            "breaker.service_manager is there and l1.rpc is not set",
        ),
    ] {
        if !is_there {
            unset.push(format!("{what}, so that breaker does not start"));
        }
    }
    unset
}

/// What no service would begin with.
fn contradictions(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    for rollup in &config.rollups {
        let named = [&rollup.genesis, &rollup.rollup_config];
        if named.into_iter().flatten().any(|path| !path.exists()) {
            continue;
        }
        if let Err(error) = Specs::of_rollup(rollup) {
            wrong.push(format!("rollup {}: {error:#}", rollup.chain_id));
        }
        let (agree, rpc) = (rollup.agree.map_or(0, NonZeroUsize::get), rollup.rpc.len());
        if rpc > 0 && agree > rpc {
            let id = rollup.chain_id;
            wrong.push(format!(
                "rollup {id}: {agree} have to agree, and rpc has {rpc}"
            ));
        }
        if let Some(why) = rollup.cannot_derive() {
            wrong.push(format!("rollup {}: {why}", rollup.chain_id));
        }
        if rollup.rpc.is_empty() {
            wrong.push(format!("rollup {}: rpc is not set", rollup.chain_id));
        }
    }
    if config.l1.deployment.is_some() && config.l1.registry_coordinator.is_some() {
        wrong.push("l1.deployment and l1.registry_coordinator exclude each other".to_owned());
    }
    if config.l1.registry_coordinator.is_some() && config.l1.operator_state_retriever.is_none() {
        wrong.push("l1.registry_coordinator needs l1.operator_state_retriever".to_owned());
    }
    let least = config.operator.least_threshold;
    if least.is_some_and(|percent| percent > 100) {
        wrong.push("operator.least_threshold is a share in percent".to_owned());
    }
    if config.operator.cerberus.is_some() && config.operator.address.is_none() {
        let why = "operator.cerberus needs operator.address, the account whose key it has";
        wrong.push(why.to_owned());
    }
    let aggregator = &config.aggregator;
    if aggregator.web3signer.is_some() && aggregator.address.is_none() {
        wrong.push("aggregator.web3signer needs aggregator.address, its account".to_owned());
    }
    let has_two = aggregator.web3signer.is_some() && aggregator.ecdsa_key.is_some();
    if has_two && !aggregator.dry_run {
        let why = "aggregator.ecdsa_key and aggregator.web3signer exclude each other";
        wrong.push(why.to_owned());
    }
    let postgres = aggregator.postgres.as_ref();
    if postgres.is_some_and(|url| url.0.password().is_some()) {
        let why = "aggregator.postgres: its password comes from PGPASSWORD or ~/.pgpass";
        wrong.push(why.to_owned());
    }
    if aggregator.legacy_listen.is_some() || aggregator.legacy_grpc_listen.is_some() {
        if config.rollups.len() != 1 {
            wrong.push("aggregator.legacy_listen is about one rollup: one [[rollup]]".to_owned());
        }
        if aggregator.legacy_ecdsa_key.is_none() {
            wrong.push("aggregator.legacy_listen needs aggregator.legacy_ecdsa_key".to_owned());
        }
    }
    if config.aggregator.tls_certificate.is_some() != config.aggregator.tls_key.is_some() {
        wrong.push("aggregator.tls_certificate and tls_key need each other".to_owned());
    }
    for method in &config.breaker.methods {
        if let Err(why) = method_rule(method) {
            wrong.push(format!("breaker.methods: {method}: {why}"));
        }
    }
    wrong.extend(config.zk.wrong().map(str::to_owned));
    if !config.zk.service_manager.is_empty() && config.l1.rpc.is_none() {
        wrong.push("zk.service_manager needs l1.rpc, the chain that it is on".to_owned());
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.level) {
        wrong.push(format!("log.level: {error}"));
    }
    wrong
}

fn show(args: &ShowArgs) -> eyre::Result<Outcome> {
    let loaded = args.config.load()?;
    if args.json {
        say(&config::to_json(&loaded)?.to_string());
    } else {
        say(config::to_toml(&loaded, args.origin)?.trim_end());
    }
    Ok(Outcome::Valid)
}

#[expect(clippy::print_stderr, reason = "standard output is the file")]
fn import(args: &ImportArgs) -> eyre::Result<Outcome> {
    let imported = config::import(&args.files, args.chain_id)?;
    let text = crate::init::document(&imported.config, imported.role);
    if args.json {
        say(&json!({ "config": text, "notes": imported.notes }).to_string());
        return Ok(Outcome::Valid);
    }
    say(text.trim_end());
    for note in &imported.notes {
        eprintln!("mach-cli: {note}");
    }
    Ok(Outcome::Valid)
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn say(text: &str) {
    println!("{text}");
}
