//! `mach-cli deploy`: puts the contracts on a chain.

use std::path::PathBuf;

use alloy_network::{Ethereum, NetworkWallet};
use alloy_primitives::{Address, ChainId};
use alloy_provider::Provider;
use clap::Args;
use eyre::{WrapErr, bail};
use mach_contracts_bindings::{
    Artifact, DeployConfig, DeployError, DeploymentFile, Quorum, RegistryChoice, deploy,
    doctor::Finding, estimate_deployment,
};
use mach_core::Stake;
use serde_json::{Value, json};
use url::Url;

use super::{
    args::EcdsaArgs,
    connect::L1,
    journal::{Journal, JournalArgs},
    key,
    render::{say, say_json},
};
use crate::outcome::Outcome;

/// Put the contracts of a stand-alone deployment on a chain
///
/// Examples:
///   mach-cli deploy --l1-rpc $RPC --ecdsa-key owner.json --rollups 10,42161    shows what it would do
///   mach-cli deploy --l1-rpc $RPC --ecdsa-key owner.json --rollups 10,42161 --out deploy.json --yes
///   mach-cli deploy ... --minimum-stake 100,1 --max-operators 50,200           two quorums
///   mach-cli deploy ... --registry-coordinator 0x0BAA...B42B                   over EigenLayer's own
///
/// Deploys a stand-alone registry (MachRegistry, no EigenLayer needed), the service manager behind a
/// proxy, who may pause, and the reads that clients need. With --registry-coordinator there is no new
/// registry: the service manager counts the stake of that coordinator's operators, and the
/// coordinator's own service manager goes on deciding who may register. The deployment file has the
/// keys of the original's machavs_deploy_output.json, and every command here reads it.
///
/// Exit codes: 0 done (or shown), 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DeployArgs {
    /// JSON-RPC endpoint of the L1
    #[arg(long, env = "MACH_L1_RPC", value_name = "URL", hide_env_values = true)]
    l1_rpc: Url,

    #[command(flatten)]
    ecdsa: EcdsaArgs,

    /// Rollups that statements may be about, by EIP-155 id
    #[arg(
        long,
        env = "MACH_ROLLUPS",
        value_name = "IDS",
        value_delimiter = ',',
        required = true
    )]
    rollups: Vec<ChainId>,

    /// Owner of the contracts [default: the account that deploys]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,

    /// Who may upgrade the service manager [default: the owner]
    #[arg(long, value_name = "ADDRESS")]
    upgrader: Option<Address>,

    /// Who may send V1 and V2 alerts [default: the owner]
    #[arg(long, value_name = "ADDRESS")]
    confirmer: Option<Address>,

    /// Who says which operators may join [default: the owner]
    #[arg(long, value_name = "ADDRESS")]
    whitelister: Option<Address>,

    /// Who may pause [default: the owner]
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pausers: Vec<Address>,

    /// Who may end a pause [default: the owner]
    #[arg(long, value_name = "ADDRESS")]
    unpauser: Option<Address>,

    /// Registry coordinator whose operators sign, instead of a registry of its own
    #[arg(
        long,
        env = "MACH_REGISTRY_COORDINATOR",
        value_name = "ADDRESS",
        conflicts_with_all = ["minimum_stake", "max_operators"]
    )]
    registry_coordinator: Option<Address>,

    /// Least stake of a member, for each quorum
    #[arg(long, value_name = "STAKES", value_delimiter = ',', default_value = "1", value_parser = stake)]
    minimum_stake: Vec<Stake>,

    /// Most members: for each quorum, or once for all
    #[arg(
        long,
        value_name = "NUMBERS",
        value_delimiter = ',',
        default_value = "200"
    )]
    max_operators: Vec<u32>,

    /// Where the deployment file goes; a file that is there is left alone, and that is an error
    #[arg(
        long,
        env = "MACH_OUT",
        value_name = "FILE",
        default_value = "mach_deploy_output.json"
    )]
    out: PathBuf,

    /// Send; without it the command shows what it would deploy, and ends
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    journal: JournalArgs,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

pub(crate) async fn run(args: &DeployArgs) -> eyre::Result<Outcome> {
    let l1 = L1::connect(&args.l1_rpc).await?;
    if args.out.exists() {
        bail!(
            "{} is there already: choose another --out",
            args.out.display()
        );
    }
    let account = key::account(&args.ecdsa)?;
    let Some(owner) = args.owner.or(account) else {
        bail!(
            "who owns the contracts? give --owner, or an --ecdsa-key whose file names its account"
        );
    };
    let config = config(args, owner)?;
    if !args.yes {
        let deployer = account.unwrap_or(owner);
        let gas = estimate_deployment(&l1.provider, deployer, &config)
            .await
            .map_err(|error| told(&l1, &error))?;
        show(&l1, &config, &gas, args.json);
        return Ok(Outcome::Valid);
    }
    let Some(wallet) = key::wallet(&args.ecdsa)? else {
        bail!("deploying needs a key: give --ecdsa-key");
    };
    let deployer = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
    let balance = l1.provider.get_balance(deployer).await;
    if balance.map_err(|error| l1.told(&error))?.is_zero() {
        bail!(
            "{deployer} holds no ether on chain {}: send it some for gas",
            l1.chain_id
        );
    }
    let journal = Journal::open(&l1, wallet, &args.journal).await?;
    let deployment = deploy(&journal.submitter, &config)
        .await
        .map_err(|error| told(&l1, &error))?;
    let text = DeploymentFile::from(&deployment).to_json();
    // Deployed is deployed: if the file cannot be written, its content must not be lost.
    if let Err(error) = std::fs::write(&args.out, &text) {
        say(&text);
        return Err(error).wrap_err_with(|| format!("cannot write {}", args.out.display()));
    }
    if args.json {
        let file: Value = serde_json::from_str(&text)?;
        say_json(&json!({ "sent": true, "out": args.out, "deployment": file }));
    } else {
        say(&format!("service manager  {}", deployment.service_manager));
        say(&format!(
            "registry         {}",
            deployment.registry_coordinator
        ));
        say(&format!("written to       {}", args.out.display()));
        say(&format!(
            "next: mach-cli doctor --deployment {}",
            args.out.display()
        ));
    }
    Ok(Outcome::Valid)
}

fn config(args: &DeployArgs, owner: Address) -> eyre::Result<DeployConfig> {
    let mut config = DeployConfig::new(owner, args.rollups.clone());
    config.upgrader = args.upgrader.unwrap_or(owner);
    config.alert_confirmer = args.confirmer.unwrap_or(owner);
    config.whitelister = args.whitelister.unwrap_or(owner);
    config.unpauser = args.unpauser.unwrap_or(owner);
    if !args.pausers.is_empty() {
        config.pausers.clone_from(&args.pausers);
    }
    if let Some(coordinator) = args.registry_coordinator {
        config.registry = RegistryChoice::Existing(coordinator);
        config.quorums.clear();
        return Ok(config);
    }
    let (stakes, rooms) = (&args.minimum_stake, &args.max_operators);
    if rooms.len() != 1 && rooms.len() != stakes.len() {
        bail!(
            "--minimum-stake names {} quorums and --max-operators {}: give one number for each quorum",
            stakes.len(),
            rooms.len()
        );
    }
    config.quorums = stakes
        .iter()
        .zip(rooms.iter().cycle())
        .map(|(minimum_stake, max_operators)| Quorum {
            minimum_stake: *minimum_stake,
            max_operators: *max_operators,
        })
        .collect();
    Ok(config)
}

/// Why there is no deployment, and for a coordinator what to do about it.
fn told(l1: &L1, error: &DeployError) -> eyre::Report {
    match error {
        DeployError::Coordinator(error) => {
            let finding = Finding::from(error);
            let text = format!("{finding}; look at --registry-coordinator");
            eyre::eyre!(l1.clean(text))
        }
        error => l1.told(error),
    }
}

fn show(l1: &L1, config: &DeployConfig, gas: &[(Artifact, Option<u64>)], json: bool) {
    let coordinator = match config.registry {
        RegistryChoice::Existing(coordinator) => Some(coordinator),
        RegistryChoice::StandAlone => None,
    };
    if json {
        let quorums: Vec<_> = config.quorums.iter().map(quorum_json).collect();
        let contracts: Vec<_> = gas
            .iter()
            .map(|(contract, gas)| json!({ "contract": format!("{contract:?}"), "gas": gas }))
            .collect();
        say_json(&json!({
            "sent": false, "chainId": l1.chain_id, "owner": config.owner, "upgrader": config.upgrader,
            "confirmer": config.alert_confirmer, "whitelister": config.whitelister,
            "pausers": config.pausers, "unpauser": config.unpauser,
            "rollups": config.rollup_chain_ids, "registryCoordinator": coordinator,
            "quorums": quorums, "contracts": contracts,
        }));
        return;
    }
    say(&format!("would deploy on chain {}", l1.chain_id));
    for (contract, gas) in gas {
        let gas = gas.map_or_else(
            || "known once the contract before it is there".to_owned(),
            |gas| gas.to_string(),
        );
        let name = format!("{contract:?}");
        say(&format!("  {name:28} gas {gas}"));
    }
    if let Some(coordinator) = coordinator {
        say(&format!(
            "  {:12} {coordinator}, which is there",
            "coordinator"
        ));
    }
    for (role, account) in [
        ("owner", config.owner),
        ("upgrader", config.upgrader),
        ("confirmer", config.alert_confirmer),
        ("whitelister", config.whitelister),
        ("unpauser", config.unpauser),
    ] {
        say(&format!("  {role:12} {account}"));
    }
    for pauser in &config.pausers {
        say(&format!("  {:12} {pauser}", "pauser"));
    }
    say(&format!("  {:12} {:?}", "rollups", config.rollup_chain_ids));
    for (number, quorum) in config.quorums.iter().enumerate() {
        say(&format!(
            "  quorum {number}     minimum stake {}, at most {} operators",
            quorum.minimum_stake, quorum.max_operators
        ));
    }
    say("nothing was sent: add --yes to deploy");
}

fn quorum_json(quorum: &Quorum) -> Value {
    json!({ "minimumStake": quorum.minimum_stake, "maxOperators": quorum.max_operators })
}

fn stake(text: &str) -> Result<Stake, String> {
    let weight: u128 = text
        .parse()
        .map_err(|_| format!("`{text}` is no stake: a whole number is"))?;
    Stake::new(weight).map_err(|error| error.to_string())
}
