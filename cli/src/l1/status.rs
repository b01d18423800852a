//! `mach-cli status`: where an operator stands.

use alloy_primitives::U256;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mach_contracts_bindings::{
    Deployment, Standing as OperatorStatus,
    doctor::{QuorumStanding, Standing, amount},
};
use serde_json::{Value, json};

use super::{
    args::StatusArgs,
    connect::L1,
    render::{deployment_json, say, say_json},
};
use crate::outcome::Outcome;

pub(crate) async fn run(args: &StatusArgs) -> eyre::Result<Outcome> {
    let l1 = L1::connect(&args.l1.l1_rpc).await?;
    let deployment = l1.deployment(&args.l1.deployment).await?;
    let standing = Standing::read(l1.provider.clone(), &deployment, args.operator, None)
        .await
        .map_err(|error| l1.told(&error))?;
    if args.l1.json {
        say_json(&standing_json(&deployment, &standing));
    } else {
        show(&standing);
    }
    Ok(match standing.status {
        OperatorStatus::Registered => Outcome::Valid,
        _ => Outcome::Invalid,
    })
}

/// The stable form of a standing.
fn standing_json(deployment: &Deployment, standing: &Standing) -> Value {
    json!({
        "deployment": deployment_json(deployment),
        "operator": standing.operator,
        "status": name(standing.status),
        "operatorId": standing.operator_id.map(|id| id.0),
        "eigenLayer": standing.eigenlayer,
        "allowlisted": standing.allowlisted,
        "quorums": standing.quorums,
    })
}

const fn name(status: OperatorStatus) -> &'static str {
    match status {
        OperatorStatus::Registered => "registered",
        OperatorStatus::Deregistered => "deregistered",
        _ => "never-registered",
    }
}

fn show(standing: &Standing) {
    let known = |known: Option<bool>, none: &str| match known {
        None => none.to_owned(),
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
    };
    say(&format!("operator      {}", standing.operator));
    say(&format!("status        {}", name(standing.status)));
    match standing.operator_id {
        Some(id) => say(&format!("operator id   {id}")),
        None => say("operator id   none: no BLS key was ever registered"),
    }
    let none = "not needed, the registry is stand-alone";
    say(&format!(
        "EigenLayer    {}",
        known(standing.eigenlayer, none)
    ));
    let none = "none, every operator may join";
    say(&format!(
        "allowlisted   {}",
        known(standing.allowlisted, none)
    ));
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "quorum",
        "member",
        "stake",
        "stake now",
        "minimum",
        "total",
        "operators",
    ]);
    for quorum in &standing.quorums {
        table.add_row(cells(quorum));
    }
    say(&table.to_string());
}

fn cells(quorum: &QuorumStanding) -> [String; 7] {
    let total = U256::from(quorum.total.weight());
    let scale = total.max(U256::from(quorum.minimum.weight()));
    let stake = |stake: mach_core::Stake| amount(U256::from(stake.weight()), scale);
    [
        quorum.quorum.to_string(),
        if quorum.member { "yes" } else { "no" }.to_owned(),
        stake(quorum.stake),
        stake(quorum.weight),
        stake(quorum.minimum),
        stake(quorum.total),
        match quorum.room {
            Some(room) => format!("{} of {room}", quorum.members),
            None => quorum.members.to_string(),
        },
    ]
}
