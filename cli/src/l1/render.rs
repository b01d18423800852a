//! What commands on L1 show: tables for people, one JSON object for scripts.

use comfy_table::{Cell, Color, Table, presets::UTF8_FULL_CONDENSED};
use mach_contracts_bindings::{
    Deployment,
    doctor::{Examination, Finding, Severity},
};
use serde_json::{Value, json};

use crate::outcome::Outcome;

#[expect(clippy::print_stdout, reason = "the result of the command")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The only line of a command with `--json`.
pub(crate) fn say_json(value: &Value) {
    say(&value.to_string());
}

/// Findings as a table, worst last so that it is what is read.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.severity);
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_header(["", "checked", "found", "what to do"]);
    for finding in sorted {
        let color = match finding.severity {
            Severity::Passed => Color::Green,
            Severity::Note => Color::Blue,
            Severity::Warning => Color::Yellow,
            Severity::Blocker => Color::Red,
        };
        table.add_row([
            Cell::new(finding.severity).fg(color),
            Cell::new(finding.subject),
            Cell::new(&finding.problem),
            Cell::new(finding.fix.as_deref().unwrap_or_default()),
        ]);
    }
    table.to_string()
}

/// The stable form of a deployment.
pub(crate) fn deployment_json(deployment: &Deployment) -> Value {
    json!({
        "l1ChainId": deployment.l1_chain_id,
        "machServiceManager": deployment.service_manager,
        "registryCoordinator": deployment.registry_coordinator,
        "operatorStateRetriever": deployment.operator_state_retriever,
    })
}

/// Says why nothing is sent, and what to do about it if the error does not.
#[expect(clippy::print_stderr, reason = "why nothing was sent")]
pub(crate) fn refused(error: &dyn std::error::Error, advice: Option<&str>, json: bool) -> Outcome {
    if json {
        say_json(&json!({
            "sent": false, "refused": { "reason": error.to_string(), "fix": advice },
        }));
    } else {
        let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
        eprintln!("mach-cli: {error}{advice}; nothing was sent");
    }
    Outcome::Invalid
}

/// Says what is in the way.
#[expect(clippy::print_stderr, reason = "why nothing was sent")]
pub(crate) fn blocked(examination: &Examination, json: bool) -> Outcome {
    if json {
        let blockers: Vec<_> = examination.blockers().collect();
        say_json(&json!({ "sent": false, "findings": blockers }));
    } else {
        for blocker in examination.blockers() {
            eprintln!("mach-cli: {blocker}");
        }
        eprintln!("nothing was sent");
    }
    Outcome::Invalid
}
