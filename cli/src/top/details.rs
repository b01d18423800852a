//! A round or an alert, in all that is known of it.

use mach_node::finality::{AlertView, RoundReport};
use ratatui::{
    style::{Color, Style},
    text::{Line, Span},
};

use super::picture::Bundle;

const QUIET: Style = Style::new().fg(Color::DarkGray);

/// Who did not sign, and why, as far as the other rounds show it: at most `most` operators.
pub(super) fn round(report: &RoundReport, most: usize) -> Vec<Line<'static>> {
    let round = &report.round;
    let mut lines = vec![
        fact("digest", round.digest.to_string()),
        fact("reference", format!("L1 block {}", round.reference_block)),
    ];
    if round.absent.is_empty() {
        lines.push(fact("absent", "nobody".to_owned()));
    }
    for (index, operator) in round.absent.iter().take(most).enumerate() {
        let name = if index == 0 { "absent" } else { "" };
        let reason = report.reasons.get(operator).map_or("", String::as_str);
        let operator = short(&operator.to_string());
        lines.push(fact(name, format!("{operator}  {reason}")));
    }
    let rest = round.absent.len().saturating_sub(most);
    if rest > 0 {
        lines.push(fact("", format!("and {rest} more")));
    }
    lines
}

/// What is claimed, where it stands, and what proves it.
pub(super) fn alert(alert: &AlertView, evidence: &[Bundle], most: usize) -> Vec<Line<'static>> {
    let confirmation = alert.confirmation.map_or_else(
        || "not on L1".to_owned(),
        |it| match it.transaction {
            Some(transaction) => format!("L1 block {}, {transaction}", it.l1_block),
            None => format!("L1 block {}", it.l1_block),
        },
    );
    let mut lines = vec![
        fact("digest", alert.digest.to_string()),
        fact("block", alert.block.hash.to_string()),
        fact("claimed", alert.claimed.to_string()),
        fact("computed", alert.computed.to_string()),
        fact("confirmed", confirmation),
    ];
    if evidence.is_empty() {
        lines.push(fact("evidence", "none beside this server".to_owned()));
    }
    for (index, bundle) in evidence.iter().take(most).enumerate() {
        let name = if index == 0 { "evidence" } else { "" };
        lines.push(fact(name, bundle.path.clone()));
    }
    let rest = evidence.len().saturating_sub(most);
    if rest > 0 {
        lines.push(fact("", format!("and {rest} more")));
    }
    lines
}

fn fact(name: &'static str, value: String) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<11}"), QUIET),
        Span::raw(value),
    ])
}

pub(super) fn short(hash: &str) -> String {
    match (hash.get(..10), hash.get(hash.len().saturating_sub(6)..)) {
        (Some(start), Some(end)) if hash.len() > 20 => format!("{start}\u{2026}{end}"),
        _ => hash.to_owned(),
    }
}
