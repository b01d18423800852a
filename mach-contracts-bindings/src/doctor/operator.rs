//! The operator, its key and its consent.

use alloy_primitives::Address;
use alloy_provider::DynProvider;
use mach_core::OperatorId;

use super::{Candidate, Doctor, Finding, Intent, Subject, text};
use crate::{
    Avs, CallError, Consent, OperatorStatus, Standing,
    abi::{IAVSDirectory, IBLSApkRegistry, IMachServiceManager as I},
    call::{call, probe},
};

/// Seconds that a consent should at least have left: the transaction may wait for a while.
const CONSENT_RESERVE: u64 = 300;

impl Doctor {
    /// Everything about the operator but its quorums. `time` is that of the newest block.
    pub(super) async fn operator(
        &mut self,
        avs: &Avs,
        candidate: &Candidate,
        status: &OperatorStatus,
        time: Option<u64>,
    ) {
        self.found(registration(status, candidate.intent));
        if candidate.intent == Intent::Join {
            self.found(eigenlayer(status));
            let (manager, operator) = (avs.service_manager(), candidate.operator);
            let listed = allowlisted(&self.provider, manager, operator).await;
            if let Some(listed) = self.heard(Subject::Allowlist, listed) {
                self.found(allowlist(operator, listed));
            }
        }
        self.key(avs, candidate, status).await;
        // Who is in a quorum already has consented, and operator sets ask for none.
        if let (Some(consent), Some(directory)) = (candidate.consent, avs.avs_directory())
            && status.standing != Standing::Registered
        {
            self.consent(directory, candidate, consent, time).await;
        }
    }

    async fn key(&mut self, avs: &Avs, candidate: &Candidate, status: &OperatorStatus) {
        let Some(key) = &candidate.key else {
            return;
        };
        let id = OperatorId::from_key(key);
        let request = IBLSApkRegistry::pubkeyHashToOperatorCall { pubkeyHash: id.0 };
        let holder = self.ask(avs.apk_registry(), request).await;
        let Some(holder) = self.heard(Subject::Key, holder) else {
            return;
        };
        let operator = candidate.operator;
        let finding = match status.operator_id {
            _ if !holder.is_zero() && holder != operator => Finding::blocker(
                Subject::Key,
                format!("the key {id} is registered by {holder}, not by {operator}"),
                "use the key file of this operator: each operator has a key of its own",
            ),
            Some(registered) if registered != id => Finding::blocker(
                Subject::Key,
                format!("the operator registered the key {registered}, the key file holds {id}"),
                "use the key file with that id: a registered key cannot be replaced",
            ),
            Some(_) => Finding::passed(Subject::Key, format!("{id} is the operator's key")),
            None => Finding::passed(Subject::Key, format!("{id} is not registered by anybody")),
        };
        self.found(finding);
    }

    async fn consent(
        &mut self,
        directory: Address,
        candidate: &Candidate,
        consent: Consent,
        time: Option<u64>,
    ) {
        if let Some(time) = time {
            self.found(expiry(consent.expiry, time));
        }
        let request = IAVSDirectory::operatorSaltIsSpentCall {
            operator: candidate.operator,
            salt: consent.salt,
        };
        let spent = self.ask(directory, request).await;
        if let Some(spent) = self.heard(Subject::Consent, spent) {
            self.found(if spent {
                Finding::blocker(
                    Subject::Consent,
                    format!("the salt {} is spent", consent.salt),
                    "sign a new consent: leave --salt out, and a fresh one is chosen",
                )
            } else {
                Finding::passed(Subject::Consent, "the salt is fresh")
            });
        }
    }
}

fn expiry(expiry: u64, time: u64) -> Finding {
    let left = expiry.saturating_sub(time);
    if expiry < time {
        Finding::blocker(
            Subject::Consent,
            format!(
                "the signature expired {} before the newest L1 block",
                text::span(time - expiry)
            ),
            "sign a new consent with a later --expiry",
        )
    } else if left < CONSENT_RESERVE {
        Finding::warning(
            Subject::Consent,
            format!("the signature expires in {}", text::span(left)),
            "sign with a later --expiry: the transaction may wait for some blocks",
        )
    } else {
        Finding::passed(
            Subject::Consent,
            format!("the signature holds for {}", text::span(left)),
        )
    }
}

fn registration(status: &OperatorStatus, intent: Intent) -> Finding {
    let subject = Subject::Registration;
    match (status.standing, intent) {
        (Standing::Registered, _) => {
            let members = status.quorums.iter().filter(|quorum| quorum.member);
            let quorums: Vec<_> = members.map(|one| one.quorum.to_string()).collect();
            let quorums = quorums.join(",");
            Finding::passed(subject, format!("registered, in quorums {quorums}"))
        }
        (Standing::NeverRegistered, Intent::Join) => Finding::passed(subject, "not registered yet"),
        (Standing::Deregistered, Intent::Join) => {
            Finding::passed(subject, "was registered and left; may join again")
        }
        (_, Intent::Leave) => Finding::blocker(
            subject,
            format!("{} is not registered", status.operator),
            "there is nothing to leave; check --operator and --deployment",
        ),
    }
}

fn eigenlayer(status: &OperatorStatus) -> Finding {
    let subject = Subject::EigenLayer;
    match status.eigenlayer_operator {
        None => Finding::passed(subject, "not needed: the registry is stand-alone"),
        Some(true) => Finding::passed(subject, "registered as an operator"),
        Some(false) => Finding::blocker(
            subject,
            format!("{} is not an EigenLayer operator", status.operator),
            "register it first: mach-cli eigenlayer register",
        ),
    }
}

fn allowlist(operator: Address, listed: Option<bool>) -> Finding {
    let subject = Subject::Allowlist;
    match listed {
        None => Finding::passed(subject, "open: every operator may join"),
        Some(true) => Finding::passed(subject, "the operator is on the list"),
        Some(false) => Finding::blocker(
            subject,
            format!("{operator} is not on the allowlist"),
            "ask the AVS to add it; its whitelister does with mach-cli admin allowlist add",
        ),
    }
}

/// Whether `operator` is on the service manager's allowlist; `None` if there is no list or it is switched
/// off.
pub async fn allowlisted(
    provider: &DynProvider,
    service_manager: Address,
    operator: Address,
) -> Result<Option<bool>, CallError> {
    let enabled = probe(provider, service_manager, &I::allowlistEnabledCall {}).await?;
    if enabled != Some(true) {
        return Ok(None);
    }
    let request = I::allowlistCall { operator };
    Ok(Some(call(provider, service_manager, &request).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn a_consent_holds_until_its_last_second() {
        let now = 1_700_000_000;
        let cases = [
            (now - 1, Severity::Blocker),
            // The AVSDirectory takes it in this second.
            (now, Severity::Warning),
            (now + CONSENT_RESERVE - 1, Severity::Warning),
            (now + CONSENT_RESERVE, Severity::Passed),
            (u64::MAX, Severity::Passed),
        ];
        for (until, severity) in cases {
            assert_eq!(expiry(until, now).severity, severity, "{until}");
        }
    }
}
