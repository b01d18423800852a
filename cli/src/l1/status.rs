//! `mach-cli status`: where an operator stands.

use alloy_primitives::U256;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mach_contracts_bindings::{
    OperatorStatus, QuorumStatus, Standing,
    doctor::{allowlisted, amount},
};
use mach_core::{QuorumNumbers, Stake};
use serde_json::json;

use super::{
    args::StatusArgs,
    connect::L1,
    key,
    opt_in::registration,
    render::{deployment_json, say, say_json},
};
use crate::outcome::Outcome;

pub(crate) async fn run(args: &StatusArgs) -> eyre::Result<Outcome> {
    let operator = key::operator(args.operator, &args.ecdsa)?;
    let l1 = L1::connect(&args.l1.l1_rpc).await?;
    let deployment = l1.deployment(&args.l1.deployment).await?;
    // Every deployment has this one, and the answer is about all of them.
    let any = QuorumNumbers::new([0])?;
    let registration = registration(&l1, &deployment, &any).await?;
    let status = registration
        .status(operator)
        .await
        .map_err(|error| l1.told(&error))?;
    let listed = allowlisted(&l1.provider, registration.avs().service_manager(), operator)
        .await
        .map_err(|error| l1.told(&error))?;
    if args.l1.json {
        let mut value = json!(status);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("allowlisted".to_owned(), json!(listed));
            fields.insert("deployment".to_owned(), deployment_json(&deployment));
        }
        say_json(&value);
    } else {
        show(&status, listed);
    }
    Ok(match status.standing {
        Standing::Registered => Outcome::Valid,
        _ => Outcome::Invalid,
    })
}

fn show(status: &OperatorStatus, listed: Option<bool>) {
    let known = |known: Option<bool>, none: &str| match known {
        None => none.to_owned(),
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
    };
    say(&format!("operator      {}", status.operator));
    let standing = match status.standing {
        Standing::Registered => "registered",
        Standing::Deregistered => "was registered and left",
        _ => "never registered",
    };
    say(&format!("standing      {standing}"));
    match status.operator_id {
        Some(id) => say(&format!("operator id   {id}")),
        None => say("operator id   none: no BLS key was ever registered"),
    }
    let none = "not needed, the registry is stand-alone";
    let eigenlayer = known(status.eigenlayer_operator, none);
    say(&format!("EigenLayer    {eigenlayer}"));
    let none = "none, every operator may join";
    say(&format!("allowlisted   {}", known(listed, none)));
    if let Some(delay) = status.allocation_delay {
        match delay.allocation {
            Some(blocks) => say(&format!("allocation    counts after {blocks} blocks")),
            None => say("allocation    impossible until an allocation delay is set"),
        }
        say(&format!(
            "deallocation  slashable for {} blocks more",
            delay.deallocation
        ));
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "quorum",
        "member",
        "slashable",
        "stake",
        "stake now",
        "minimum",
        "operators",
    ]);
    for quorum in &status.quorums {
        table.add_row(cells(quorum));
    }
    say(&table.to_string());
}

fn cells(quorum: &QuorumStatus) -> [String; 7] {
    let scale = quorum.stake.max(quorum.weight).max(quorum.minimum_stake);
    let scale = U256::from(scale.weight());
    let stake = |stake: Stake| amount(U256::from(stake.weight()), scale);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    [
        quorum.quorum.to_string(),
        yes(quorum.member),
        yes(quorum.slashable),
        stake(quorum.stake),
        stake(quorum.weight),
        stake(quorum.minimum_stake),
        match quorum.max_operators {
            Some(most) => format!("{} of {most}", quorum.operators),
            None => quorum.operators.to_string(),
        },
    ]
}
