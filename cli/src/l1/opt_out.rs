//! `mach-cli opt-out`: an operator leaves quorums.

use clap::Args;
use mach_contracts_bindings::doctor::{Candidate, Intent, Severity, examine};
use mach_core::QuorumNumbers;

use super::{
    args::{EcdsaArgs, L1Args, SendArgs, read_quorums},
    connect::connect,
    doctor::now,
    key,
    opt_in::registration,
    render::{blocked, refused},
    send::Batch,
};
use crate::outcome::Outcome;

/// Leave quorums
///
/// Examples:
///   mach-cli opt-out --deployment altlayer --l1-rpc $RPC \
///     --ecdsa-key op.ecdsa.json                                         shows what would be sent
///   mach-cli opt-out ... --yes                                          leaves every quorum
///   mach-cli opt-out ... --quorums 1 --yes                              leaves quorum 1 only
///   mach-cli opt-out ... --operator 0x7099...79C8 --print-only          prints the calldata
///
/// Exit codes: 0 done (or shown), 1 something is in the way and nothing was sent, 2 failure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct OptOutArgs {
    #[command(flatten)]
    l1: L1Args,

    /// Account of the operator [default: the account of --ecdsa-key]
    #[arg(long, env = "MACH_OPERATOR", value_name = "ADDRESS")]
    operator: Option<alloy_primitives::Address>,

    #[command(flatten)]
    ecdsa: EcdsaArgs,

    /// Quorums, such as 0 or 0,1 [default: all that the operator is in]
    #[arg(long, value_name = "NUMBERS", value_parser = read_quorums)]
    quorums: Option<QuorumNumbers>,

    #[command(flatten)]
    send: SendArgs,
}

pub(crate) async fn run(args: &OptOutArgs) -> eyre::Result<Outcome> {
    let (l1, _) = connect(&args.l1).await?;
    let operator = key::operator(args.operator, &args.ecdsa)?;
    let deployment = l1.deployment(&args.l1.deployment).await?;
    let quorums = match &args.quorums {
        Some(quorums) => quorums.clone(),
        None => {
            let any = QuorumNumbers::new([0])?;
            let registration = registration(&l1, &deployment, &any).await?;
            let status = registration
                .status(operator)
                .await
                .map_err(|error| l1.told(&error))?;
            let members = status.quorums.iter().filter(|quorum| quorum.member);
            let all: Vec<_> = members.map(|quorum| quorum.quorum).collect();
            let Ok(all) = QuorumNumbers::new(all) else {
                let reason = NotRegistered(operator);
                let fix = "there is nothing to leave; check --operator and --deployment";
                return Ok(refused(&reason, Some(fix), args.l1.json));
            };
            all
        }
    };
    let candidate = Candidate {
        operator,
        key: None,
        quorums,
        // What is sent elsewhere may be paid by another: a contract's owner, or a relay.
        payer: (!args.send.print_only).then_some(operator),
        intent: Intent::Leave,
        consent: None,
    };
    let file = l1.deployment_file(&args.l1.deployment)?;
    let examination = examine(l1.provider.clone(), &file, Some(&candidate), now()).await;
    if examination.severity() == Severity::Blocker {
        return Ok(blocked(&examination, args.l1.json));
    }
    let registration = registration(&l1, &deployment, &candidate.quorums).await?;
    let plan = registration
        .deregister(operator, &candidate.quorums)
        .await
        .map_err(|error| l1.told(&error))?;
    Batch::from(plan)
        .carry_out(&l1, &args.send, args.l1.json, || key::wallet(&args.ecdsa))
        .await
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is in no quorum")]
struct NotRegistered(alloy_primitives::Address);
