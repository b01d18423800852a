//! `mach-cli admin`: what owner, whitelister and pausers tell a service manager.

use alloy_primitives::{Address, B256, ChainId};
use clap::{Args, Subcommand};
use eyre::{WrapErr, bail};
use mach_contracts_bindings::{Admin, AdminCommand, AdminError};
use mach_core::{QuorumNumbers, Threshold};

use super::{
    args::{EcdsaArgs, L1Args, SendArgs, read_ordered_quorums},
    connect::L1,
    key,
    send::Batch,
    step::Step,
};
use crate::outcome::Outcome;

/// Change a service manager: allowlist, confirmer, rollups, threshold, alerts, pause
///
/// Examples:
///   mach-cli admin allowlist add 0x7099...79C8 --deployment d.json --l1-rpc $RPC --from 0xf39F...2266
///   mach-cli admin allowlist add 0x7099...79C8 --deployment d.json --l1-rpc $RPC \
///     --ecdsa-key owner.json --yes
///   mach-cli admin threshold 67 --deployment d.json --l1-rpc $RPC --from 0xf39F...2266 --print-only
///
/// Roles, calls and effects are checked on the chain before anything is sent. Without --yes the
/// command shows what it would send.
///
/// Exit codes: 0 done (or shown), 1 the service manager would refuse, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    change: Change,
}

/// What every change needs beside its own arguments.
#[derive(Debug, Args)]
struct CommonArgs {
    #[command(flatten)]
    l1: L1Args,

    #[command(flatten)]
    ecdsa: EcdsaArgs,

    /// Account that sends [default: the account of --ecdsa-key]
    #[arg(long, env = "MACH_FROM", value_name = "ADDRESS")]
    from: Option<Address>,

    #[command(flatten)]
    send: SendArgs,
}

/// A change with its own arguments and the common ones.
#[derive(Debug, Args)]
struct With<T: Args> {
    #[command(flatten)]
    own: T,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Say which operators may join
    #[command(subcommand)]
    Allowlist(Allowlist),
    /// Name who may send V1 and V2 alerts (owner)
    Confirmer(With<AccountArgs>),
    /// Name who keeps the allowlist (owner)
    Whitelister(With<AccountArgs>),
    /// Say which rollups statements may be about (owner)
    #[command(subcommand)]
    Rollup(Rollup),
    /// Set the share of stake that has to sign an alert (owner)
    Threshold(With<ThresholdArgs>),
    /// Set which quorums have to sign a V3 statement, and with what share (owner)
    StatementQuorums(With<StatementQuorumsArgs>),
    /// Remove an alert (owner)
    RemoveAlert(With<AlertArgs>),
    /// Let a removed alert be raised again (owner, V3)
    ReopenAlert(With<AlertArgs>),
    /// Stop registrations and confirmations (pauser)
    Pause(CommonArgs),
    /// End the pause (unpauser)
    Unpause(CommonArgs),
}

#[derive(Debug, Subcommand)]
enum Allowlist {
    /// Let operators join (whitelister)
    Add(With<OperatorsArgs>),
    /// Keep operators from joining; those that are registered stay (whitelister)
    Remove(With<OperatorsArgs>),
    /// Let only operators on the list join (owner)
    Enable(CommonArgs),
    /// Let every operator join (owner)
    Disable(CommonArgs),
}

#[derive(Debug, Subcommand)]
enum Rollup {
    /// Take statements about a rollup
    Add(With<RollupArgs>),
    /// Take no more statements about a rollup
    Remove(With<RollupArgs>),
}

#[derive(Debug, Args)]
struct AccountArgs {
    /// The account
    account: Address,
}

#[derive(Debug, Args)]
struct OperatorsArgs {
    /// Accounts of the operators
    #[arg(required = true)]
    operators: Vec<Address>,
}

#[derive(Debug, Args)]
struct RollupArgs {
    /// EIP-155 id of the rollup
    rollup: ChainId,
}

#[derive(Debug, Args)]
struct ThresholdArgs {
    /// Percent, from 1 to 100
    #[arg(value_parser = threshold)]
    percent: Threshold,
}

#[derive(Debug, Args)]
struct StatementQuorumsArgs {
    /// Quorums in ascending order, such as 0 or 0,1
    #[arg(value_parser = read_ordered_quorums)]
    statement_quorums: QuorumNumbers,

    /// Percent of each quorum, in the same order, such as 67 or 67,50
    #[arg(required = true, value_delimiter = ',', value_parser = threshold)]
    percent: Vec<Threshold>,
}

#[derive(Debug, Args)]
struct AlertArgs {
    /// EIP-155 id of the rollup
    rollup: ChainId,

    /// Message hash of the alert, for a V3 alert its digest
    message_hash: B256,
}

pub(crate) async fn run(args: &AdminArgs) -> eyre::Result<Outcome> {
    let (command, args) = args.change.read();
    let l1 = L1::connect(&args.l1.l1_rpc).await?;
    let deployment = l1.deployment(&args.l1.deployment).await?;
    let account = key::account(&args.ecdsa)?;
    let Some(sender) = args.from.or(account) else {
        bail!("who sends? give --from, or an --ecdsa-key whose file names its account");
    };
    let admin = Admin::connect(l1.provider.clone(), deployment.service_manager)
        .await
        .wrap_err("name the --deployment of a MACH service manager")?;
    let actions = match admin.prepare(&command, sender).await {
        Ok(actions) => actions,
        Err(AdminError::Call(error)) => return Err(l1.told(&error)),
        Err(error) => {
            return Ok(super::render::refused(
                &error,
                Some(advice(&error)),
                args.l1.json,
            ));
        }
    };
    let batch = Batch {
        sender,
        steps: actions.into_iter().map(Step::from).collect(),
    };
    batch
        .carry_out(&l1, &args.send, args.l1.json, || key::wallet(&args.ecdsa))
        .await
}

const fn advice(error: &AdminError) -> &'static str {
    match error {
        AdminError::NotAuthorized { .. } => "send it from that account: --ecdsa-key or --from",
        AdminError::Unsupported { .. } => "its contract has no such function",
        _ => "look at the state with mach-cli status and mach-cli doctor",
    }
}

impl Change {
    /// The command, and what it needs beside.
    fn read(&self) -> (AdminCommand, &CommonArgs) {
        let allow =
            |with: &With<OperatorsArgs>| AdminCommand::AllowOperators(with.own.operators.clone());
        let disallow = |with: &With<OperatorsArgs>| {
            AdminCommand::DisallowOperators(with.own.operators.clone())
        };
        let rollup = |with: &With<RollupArgs>, enabled| AdminCommand::SetRollup {
            rollup: with.own.rollup,
            enabled,
        };
        match self {
            Self::Allowlist(Allowlist::Add(with)) => (allow(with), &with.common),
            Self::Allowlist(Allowlist::Remove(with)) => (disallow(with), &with.common),
            Self::Allowlist(Allowlist::Enable(common)) => (AdminCommand::EnableAllowlist, common),
            Self::Allowlist(Allowlist::Disable(common)) => (AdminCommand::DisableAllowlist, common),
            Self::Confirmer(with) => (AdminCommand::SetConfirmer(with.own.account), &with.common),
            Self::Whitelister(with) => {
                (AdminCommand::SetWhitelister(with.own.account), &with.common)
            }
            Self::Rollup(Rollup::Add(with)) => (rollup(with, true), &with.common),
            Self::Rollup(Rollup::Remove(with)) => (rollup(with, false), &with.common),
            Self::Threshold(with) => (AdminCommand::SetThreshold(with.own.percent), &with.common),
            Self::StatementQuorums(with) => (
                AdminCommand::SetStatementQuorums {
                    quorums: with.own.statement_quorums.clone(),
                    thresholds: with.own.percent.clone(),
                },
                &with.common,
            ),
            Self::RemoveAlert(with) => (
                AdminCommand::RemoveAlert {
                    rollup: with.own.rollup,
                    message_hash: with.own.message_hash,
                },
                &with.common,
            ),
            Self::ReopenAlert(with) => (
                AdminCommand::ReopenAlert {
                    rollup: with.own.rollup,
                    message_hash: with.own.message_hash,
                },
                &with.common,
            ),
            Self::Pause(common) => (AdminCommand::Pause, common),
            Self::Unpause(common) => (AdminCommand::Unpause, common),
        }
    }
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let percent: u8 = text
        .parse()
        .map_err(|_| format!("`{text}` is no percentage"))?;
    Threshold::percent(percent).map_err(|error| error.to_string())
}
