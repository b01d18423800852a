//! `mach-cli eigenlayer`: what an operator does before it joins an AVS.

use alloy_primitives::{Address, U256, utils::parse_units};
use alloy_provider::Provider;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_sol_types::SolCall;
use clap::{Args, Subcommand};
use eyre::{WrapErr, bail};
use mach_contracts_bindings::{
    Avs, EigenLayer, EigenLayerCore, EigenLayerError, OperatorProfile, Plan, Target,
    abi::{IERC20, IStrategy},
};
use serde_json::json;
use url::Url;

use super::{
    args::{EcdsaArgs, SendArgs},
    connect::L1,
    key,
    render::{refused, say, say_json},
    send::Batch,
};
use crate::outcome::Outcome;

/// Register with EigenLayer and deposit, before joining
///
/// Examples:
///   mach-cli eigenlayer status --l1-rpc $RPC --operator 0x7099...79C8 --strategies 0x93c4...EE70
///   mach-cli eigenlayer register --l1-rpc $RPC --ecdsa-key op.ecdsa.json --metadata-uri $METADATA_URL
///   mach-cli eigenlayer deposit --l1-rpc $RPC --ecdsa-key op.ecdsa.json --amount 32 \
///     --strategy 0x93c4...EE70 --yes
///
/// Works with EigenLayer before and since slashing; which one it is follows from the chain. Without
/// --yes the commands show what they would send.
///
/// Exit codes: 0 done (or shown), 1 EigenLayer would refuse, or (status) the account is no operator, 2
/// failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EigenLayerArgs {
    #[command(subcommand)]
    command: EigenLayerCommand,
}

#[derive(Debug, Subcommand)]
enum EigenLayerCommand {
    /// Become an operator of EigenLayer
    Register(RegisterArgs),
    /// Deposit a token into a strategy, for stake
    Deposit(DepositArgs),
    /// Show where an account stands; needs no key
    Status(StatusArgs),
}

/// The chain, EigenLayer on it, and who is meant.
#[derive(Debug, Args)]
struct CoreArgs {
    /// JSON-RPC endpoint of the L1
    #[arg(long, env = "MACH_L1_RPC", value_name = "URL", hide_env_values = true)]
    l1_rpc: Url,

    /// EigenLayer's DelegationManager [default: the one of --deployment, else the known one of the chain]
    #[arg(long, env = "MACH_DELEGATION_MANAGER", value_name = "ADDRESS")]
    delegation_manager: Option<Address>,

    /// A deployment whose EigenLayer is meant, by name or file
    #[arg(long, env = "MACH_DEPLOYMENT", value_name = "NAME|FILE")]
    deployment: Option<String>,

    /// The account [default: that of --ecdsa-key]
    #[arg(long, env = "MACH_OPERATOR", value_name = "ADDRESS")]
    operator: Option<Address>,

    #[command(flatten)]
    ecdsa: EcdsaArgs,

    /// One JSON object on standard output
    #[arg(long, env = "MACH_JSON")]
    json: bool,
}

#[derive(Debug, Args)]
struct RegisterArgs {
    #[command(flatten)]
    core: CoreArgs,

    /// Where a JSON file describes the operator: name, website, description, logo, twitter
    #[arg(
        long,
        env = "MACH_METADATA_URI",
        value_name = "URL",
        hide_env_values = true
    )]
    metadata_uri: Url,

    /// Who has to agree when somebody delegates to the operator [default: nobody]
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
    delegation_approver: Address,

    /// L1 blocks until stake that the operator allocates counts; of no use before slashing
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    allocation_delay: u32,

    #[command(flatten)]
    send: SendArgs,
}

#[derive(Debug, Args)]
struct DepositArgs {
    #[command(flatten)]
    core: CoreArgs,

    /// The strategy
    #[arg(long, env = "MACH_STRATEGY", value_name = "ADDRESS")]
    strategy: Address,

    /// How much of the strategy's token, such as 32 or 0.5
    #[arg(long, value_name = "TOKENS")]
    amount: String,

    #[command(flatten)]
    send: SendArgs,
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    core: CoreArgs,

    /// Strategies whose shares are shown
    #[arg(
        long,
        env = "MACH_STRATEGIES",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    strategies: Vec<Address>,
}

pub(crate) async fn run(args: &EigenLayerArgs) -> eyre::Result<Outcome> {
    match &args.command {
        EigenLayerCommand::Register(args) => register(args).await,
        EigenLayerCommand::Deposit(args) => deposit(args).await,
        EigenLayerCommand::Status(args) => status(args).await,
    }
}

async fn register(args: &RegisterArgs) -> eyre::Result<Outcome> {
    let (l1, core, operator) = connect(&args.core).await?;
    let profile = OperatorProfile {
        delegation_approver: args.delegation_approver,
        allocation_delay: args.allocation_delay,
        metadata_uri: args.metadata_uri.to_string(),
    };
    let plan = core.register(operator, &profile).await;
    carry_out(&l1, plan, &args.core, &args.send).await
}

async fn deposit(args: &DepositArgs) -> eyre::Result<Outcome> {
    let (l1, core, staker) = connect(&args.core).await?;
    let strategy = IStrategy::underlyingTokenCall {};
    let token = ask(&l1, args.strategy, &strategy)
        .await
        .wrap_err_with(|| format!("{} is no strategy: check --strategy", args.strategy))?;
    let decimals = ask(&l1, token, &IERC20::decimalsCall {})
        .await
        .wrap_err_with(|| format!("the strategy's token {token} does not say its decimals"))?;
    let amount = parse_amount(&args.amount, decimals)?;
    let plan = core.deposit(staker, args.strategy, amount).await;
    carry_out(&l1, plan, &args.core, &args.send).await
}

async fn status(args: &StatusArgs) -> eyre::Result<Outcome> {
    let (l1, core, operator) = connect(&args.core).await?;
    let status = core
        .status(operator, &args.strategies)
        .await
        .map_err(|error| l1.told(&error))?;
    if args.core.json {
        say_json(&json!(status));
    } else {
        let is_operator = if status.is_operator { "yes" } else { "no" };
        say(&format!("account           {operator}"));
        say(&format!("operator          {is_operator}"));
        match status.delegated_to {
            Some(to) => say(&format!("delegates to      {to}")),
            None => say("delegates to      nobody"),
        }
        if let Some(delay) = status.allocation_delay {
            say(&format!("allocation delay  {delay} blocks"));
        }
        for (strategy, shares) in &status.shares {
            say(&format!(
                "shares            {shares} of strategy {strategy}"
            ));
        }
    }
    Ok(if status.is_operator {
        Outcome::Valid
    } else {
        Outcome::Invalid
    })
}

async fn connect(args: &CoreArgs) -> eyre::Result<(L1, EigenLayerCore, Address)> {
    let operator = key::operator(args.operator, &args.ecdsa)?;
    let l1 = L1::connect(&args.l1_rpc).await?;
    let manager = match (args.delegation_manager, &args.deployment) {
        (Some(manager), _) => manager,
        (None, Some(name)) => {
            let deployment = l1.deployment(name).await?;
            let target = Target::new(deployment.registry_coordinator);
            let avs = Avs::connect(l1.provider.clone(), &target)
                .await
                .map_err(|error| l1.told(&error))?;
            match avs.delegation_manager() {
                Some(manager) => manager,
                None => bail!("the deployment has a registry of its own and needs no EigenLayer"),
            }
        }
        (None, None) => match EigenLayer::on(l1.chain_id) {
            Some(known) => known.delegation_manager,
            None => bail!(
                "EigenLayer on chain {} is not known here: give --delegation-manager or --deployment",
                l1.chain_id
            ),
        },
    };
    let core = EigenLayerCore::connect(l1.provider.clone(), manager)
        .await
        .map_err(|error| l1.told(&error))?;
    Ok((l1, core, operator))
}

async fn carry_out(
    l1: &L1,
    plan: Result<Plan, EigenLayerError>,
    args: &CoreArgs,
    send: &SendArgs,
) -> eyre::Result<Outcome> {
    match plan {
        Ok(plan) => {
            Batch::from(plan)
                .carry_out(l1, send, args.json, || key::wallet(&args.ecdsa))
                .await
        }
        Err(EigenLayerError::Call(error)) => Err(l1.told(&error)),
        Err(error) => Ok(refused(&error, None, args.json)),
    }
}

/// One read of a contract.
async fn ask<C: SolCall>(l1: &L1, to: Address, call: &C) -> eyre::Result<C::Return> {
    let request = TransactionRequest::default()
        .to(to)
        .input(call.abi_encode().into());
    let answer = l1.provider.call(request).await;
    let answer = answer.map_err(|error| l1.told(&error))?;
    Ok(C::abi_decode_returns(&answer)?)
}

/// Whole tokens and their fraction; what a token cannot hold is an error, never rounded.
fn parse_amount(text: &str, decimals: u8) -> eyre::Result<U256> {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.starts_with(|first: char| first.is_ascii_digit());
    if !digits || !number || fraction.len() > usize::from(decimals) {
        bail!("`{text}` is no amount of a token with {decimals} decimals, such as 32 or 0.5");
    }
    let parsed = parse_units(text, decimals)
        .wrap_err_with(|| format!("`{text}` is no amount of a token with {decimals} decimals"))?;
    Ok(parsed.get_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_or_an_error() {
        let ether = U256::from(10).pow(U256::from(18));
        assert_eq!(parse_amount("32", 18).unwrap(), ether * U256::from(32));
        assert_eq!(parse_amount("0.5", 18).unwrap(), ether / U256::from(2));
        assert_eq!(parse_amount("0.000001", 6).unwrap(), U256::ONE);
        for wrong in [
            "",
            "-1",
            "1e3",
            "0.0000001",
            "all",
            "1.2.3",
            "0x10",
            "1,5",
            ".",
        ] {
            assert!(parse_amount(wrong, 6).is_err(), "{wrong}");
        }
    }
}
