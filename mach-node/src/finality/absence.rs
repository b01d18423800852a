//! Why operators are absent from a round, as far as the other rounds show it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy_primitives::{BlockNumber, ChainId};
use mach_core::{OperatorId, Statement};
use serde::{Deserialize, Serialize};

use crate::RoundView;

/// A round, and why operators are absent from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundReport {
    /// The round.
    #[serde(flatten)]
    pub round: RoundView,
    /// Of each operator that is absent, in words, what the other rounds show of it.
    #[serde(default)]
    pub reasons: BTreeMap<OperatorId, String>,
}

/// What an operator has signed of one rollup.
#[derive(Default)]
struct Signed<'a> {
    /// Rounds by height.
    rounds: BTreeMap<BlockNumber, Vec<&'a RoundView>>,
}

impl RoundReport {
    /// Reports of all `rounds`, in their order.
    pub(super) fn of(rounds: Vec<RoundView>) -> Vec<Self> {
        // Only of those who are absent somewhere it has to be known.
        let absent: BTreeSet<_> = rounds.iter().flat_map(|it| it.absent.iter()).collect();
        let mut signed: HashMap<(ChainId, OperatorId), Signed<'_>> = HashMap::new();
        for round in &rounds {
            let (rollup, height) = place(round);
            for operator in round.signers.iter().filter(|it| absent.contains(it)) {
                let known = signed.entry((rollup, *operator)).or_default();
                known.rounds.entry(height).or_default().push(round);
            }
        }
        let reasons: Vec<BTreeMap<_, _>> = rounds
            .iter()
            .map(|round| {
                let rollup = place(round).0;
                let reason = |operator: &OperatorId| {
                    let reason = reason(signed.get(&(rollup, *operator)), round);
                    (*operator, reason)
                };
                round.absent.iter().map(reason).collect()
            })
            .collect();
        let reports = rounds.into_iter().zip(reasons);
        reports
            .map(|(round, reasons)| Self { round, reasons })
            .collect()
    }
}

const fn place(round: &RoundView) -> (ChainId, BlockNumber) {
    let statement = &round.statement;
    (statement.rollup_chain_id(), statement.block().number)
}

fn reason(signed: Option<&Signed<'_>>, round: &RoundView) -> String {
    let Some(signed) = signed else {
        return "signed nothing in the rounds that are open: away, or not following this rollup"
            .to_owned();
    };
    let height = place(round).1;
    let contrary = signed.rounds.get(&height).and_then(|it| it.first());
    if let Some(contrary) = contrary {
        let what = match contrary.statement {
            Statement::Alert(_) => "an alert against",
            Statement::Attestation(_) => "an attestation of",
        };
        let hash = contrary.statement.block().hash.to_string();
        let hash: String = hash.chars().take(10).collect();
        return format!("signed {what} block {height} ({hash}\u{2026}) instead");
    }
    match signed.rounds.keys().next_back() {
        Some(newest) if *newest > height => {
            format!("signed later blocks, up to {newest}: skipped or refused this one")
        }
        Some(newest) => format!("signed up to block {newest}: is behind"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RoundState;
    use alloy_primitives::B256;
    use mach_core::{Alert, AlertKind, Attestation, BlockRef};

    const OPERATORS: u8 = 5;

    fn round(digest: u8, statement: Statement, signers: &[u8]) -> RoundView {
        let id = |operator: &u8| OperatorId(B256::repeat_byte(*operator));
        let absent = (1..=OPERATORS).filter(|it| !signers.contains(it));
        RoundView {
            digest: B256::repeat_byte(digest),
            statement,
            reference_block: 1,
            quorums: Vec::new(),
            signers: signers.iter().map(id).collect(),
            absent: absent.map(|it| id(&it)).collect(),
            state: RoundState::Collecting,
        }
    }

    fn attestation(rollup: ChainId, number: u64, hash: u8) -> Statement {
        Statement::from(Attestation {
            rollup_chain_id: rollup,
            block: BlockRef {
                number,
                hash: B256::repeat_byte(hash),
            },
            state_root: B256::ZERO,
            output_root: B256::ZERO,
        })
    }

    fn alert(number: u64, hash: u8) -> Statement {
        Statement::from(Alert {
            kind: AlertKind::InvalidBlock,
            rollup_chain_id: 10,
            block: BlockRef {
                number,
                hash: B256::repeat_byte(hash),
            },
            rule: 1,
            claimed: B256::ZERO,
            computed: B256::ZERO,
        })
    }

    #[test]
    fn the_other_rounds_say_why_an_operator_is_absent() {
        let rounds = vec![
            round(1, attestation(10, 120, 0xaa), &[1]),
            round(2, alert(120, 0xaa), &[2]),
            round(3, attestation(10, 121, 0xab), &[3]),
            round(4, attestation(10, 119, 0xa9), &[4]),
            // Of another rollup, which says nothing of this one.
            round(5, attestation(11, 120, 0xbb), &[5]),
        ];
        let reports = RoundReport::of(rounds.clone());
        assert_eq!(
            reports.iter().map(|it| &it.round).collect::<Vec<_>>(),
            rounds.iter().collect::<Vec<_>>()
        );
        let reasons: Vec<_> = reports[0].reasons.values().map(String::as_str).collect();
        assert_eq!(
            reasons,
            [
                "signed an alert against block 120 (0xaaaaaaaa\u{2026}) instead",
                "signed later blocks, up to 121: skipped or refused this one",
                "signed up to block 119: is behind",
                "signed nothing in the rounds that are open: away, or not following this rollup",
            ]
        );
        let of_alert = reports[1].reasons.values().next().unwrap();
        assert_eq!(
            of_alert,
            "signed an attestation of block 120 (0xaaaaaaaa\u{2026}) instead"
        );
        let json = serde_json::to_value(&reports[0]).unwrap();
        assert_eq!(
            serde_json::from_value::<RoundReport>(json).unwrap(),
            reports[0]
        );
    }
}
