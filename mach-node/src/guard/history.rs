//! The rules of not contradicting oneself.

use mach_core::{Alert, AlertKind, Attestation, Domain, Statement, ports::GuardError};
use serde::{Deserialize, Serialize};

/// What was said about one height of one rollup.
///
/// - For one height one block is attested, with one outcome.
/// - A block that was attested is not alerted, and the other way round. A wrong output *proposal*
///   for a block that was attested is no contradiction, if the alert computes the attested root.
/// - A block is alerted once for each [`AlertKind`], with one outcome.
/// - An attestation that the operator took back no longer stands in the way of an alert, and is not
///   made again. No other block takes its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Height {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attestation: Option<Attestation>,
    /// Whether the operator said that the attestation was wrong.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) is_retracted: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) alerts: Vec<Alert>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Height {
    /// Adds `statement`. Answers whether it is new.
    ///
    /// Errors: [`GuardError::Contradiction`].
    pub(super) fn permit(
        &mut self,
        statement: &Statement,
        domain: &Domain,
    ) -> Result<bool, GuardError> {
        if let Some(earlier) = self.contradiction(statement) {
            return Err(contradiction(statement, &earlier, domain));
        }
        Ok(self.record(statement))
    }

    /// Adds what another record says of the same height. Answers how many statements are new.
    ///
    /// Errors: [`GuardError::Contradiction`]; nothing is added then.
    pub(super) fn merge(&mut self, other: &Self, domain: &Domain) -> Result<u64, GuardError> {
        let mut merged = self.clone();
        merged.is_retracted |= other.is_retracted;
        let mut added = 0;
        if let Some(new) = &other.attestation
            && merged.attestation.as_ref() != Some(new)
        {
            let earlier = (merged.attestation.clone().map(Statement::from)).or_else(|| {
                let alert = (merged.alerts.iter())
                    .find(|alert| !merged.is_retracted && !agree(alert, new))?;
                Some(alert.clone().into())
            });
            if let Some(earlier) = earlier {
                let statement = Statement::from(new.clone());
                return Err(contradiction(&statement, &earlier, domain));
            }
            merged.attestation = Some(new.clone());
            added += 1;
        }
        for alert in &other.alerts {
            added += u64::from(merged.permit(&alert.clone().into(), domain)?);
        }
        *self = merged;
        Ok(added)
    }

    /// Number of statements.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.attestation.is_some()) + self.alerts.len() as u64
    }

    /// The earlier statement that `statement` contradicts.
    fn contradiction(&self, statement: &Statement) -> Option<Statement> {
        match statement {
            Statement::Attestation(new) => (self.attestation.as_ref())
                .filter(|earlier| *earlier != new || self.is_retracted)
                .cloned()
                .map(Statement::from)
                .or_else(|| {
                    let earlier = self.alerts.iter().find(|alert| !agree(alert, new))?;
                    Some(earlier.clone().into())
                }),
            Statement::Alert(new) => (self.attestation.as_ref())
                .filter(|earlier| !self.is_retracted && !agree(new, earlier))
                .cloned()
                .map(Statement::from)
                .or_else(|| {
                    let is_other = |alert: &&Alert| {
                        alert.block == new.block && alert.kind == new.kind && *alert != new
                    };
                    Some(self.alerts.iter().find(is_other)?.clone().into())
                }),
        }
    }

    fn record(&mut self, statement: &Statement) -> bool {
        match statement {
            Statement::Attestation(new) if self.attestation.as_ref() != Some(new) => {
                self.attestation = Some(new.clone());
                true
            }
            Statement::Alert(new) if !self.alerts.contains(new) => {
                self.alerts.push(new.clone());
                true
            }
            Statement::Attestation(_) | Statement::Alert(_) => false,
        }
    }
}

fn contradiction(statement: &Statement, earlier: &Statement, domain: &Domain) -> GuardError {
    GuardError::Contradiction {
        rollup_chain_id: statement.rollup_chain_id(),
        number: statement.block().number,
        earlier: earlier.digest(domain),
    }
}

/// Whether both can be true.
fn agree(alert: &Alert, attestation: &Attestation) -> bool {
    alert.block != attestation.block
        || (alert.kind == AlertKind::InvalidOutputProposal
            && alert.computed == attestation.output_root)
}
