//! `mach-cli doctor`: what is in the way.

use std::time::{SystemTime, UNIX_EPOCH};

use mach_contracts_bindings::doctor::{Candidate, Examination, Intent, Severity, examine};
use serde_json::json;

use super::{
    args::DoctorArgs,
    connect::connect,
    key::Keys,
    render::{deployment_json, findings, say, say_json},
};
use crate::outcome::Outcome;

pub(crate) async fn run(args: &DoctorArgs) -> eyre::Result<Outcome> {
    let (l1, file) = connect(&args.l1).await?;
    let keys = Keys::open(&args.who)?;
    let candidate = keys.operator.map(|operator| Candidate {
        operator,
        key: keys.bls_key(),
        quorums: args.quorums.quorums.clone(),
        payer: Some(operator),
        intent: if args.leaving {
            Intent::Leave
        } else {
            Intent::Join
        },
        consent: None,
    });
    let examination = examine(l1.provider.clone(), &file, candidate.as_ref(), now()).await;
    let blocked = examination.severity() == Severity::Blocker;
    if args.l1.json {
        say_json(&json!({
            "ready": !blocked,
            "deployment": examination.deployment.as_ref().map(deployment_json),
            "operator": keys.operator,
            "findings": examination.findings,
        }));
    } else {
        show(&examination);
    }
    Ok(if blocked {
        Outcome::Invalid
    } else {
        Outcome::Valid
    })
}

fn show(examination: &Examination) {
    say(&findings(&examination.findings));
    match examination.blockers().count() {
        0 => say("nothing is in the way"),
        1 => say("one thing is in the way"),
        many => say(&format!("{many} things are in the way")),
    }
}

/// The machine's clock, in seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
