//! The operator, its key and its consent.

use mach_core::OperatorId;

use super::{Candidate, Doctor, Finding, Intent, Standing, Subject, text};
use crate::{
    Consent, Deployment, Standing as OperatorStatus,
    abi::{IAVSDirectory, IBLSApkRegistry, IMachServiceManager as I},
};

/// Seconds that a consent should at least have left: the transaction may wait for a while.
const CONSENT_RESERVE: u64 = 300;

impl Doctor {
    /// Everything about the operator but its quorums. `time` is that of the newest block.
    pub(super) async fn operator(
        &mut self,
        deployment: &Deployment,
        candidate: &Candidate,
        standing: &Standing,
        time: Option<u64>,
    ) {
        self.found(registration(standing, candidate.intent));
        if candidate.intent == Intent::Join {
            self.found(eigenlayer(standing));
            self.found(allowlist(standing));
        }
        self.key(deployment, candidate, standing).await;
        if let Some(consent) = candidate.consent {
            self.consent(deployment, candidate, consent, time).await;
        }
    }

    async fn key(&mut self, deployment: &Deployment, candidate: &Candidate, standing: &Standing) {
        let Some(key) = &candidate.key else {
            return;
        };
        let id = OperatorId::from_key(key);
        let request = IBLSApkRegistry::pubkeyHashToOperatorCall { pubkeyHash: id.0 };
        let holder = self.ask(deployment.apk_registry, request).await;
        let Some(holder) = self.heard(Subject::Key, holder) else {
            return;
        };
        let operator = candidate.operator;
        let finding = match standing.operator_id {
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
        deployment: &Deployment,
        candidate: &Candidate,
        consent: Consent,
        time: Option<u64>,
    ) {
        if let Some(time) = time {
            self.found(expiry(consent.expiry, time));
        }
        let directory = self
            .ask(deployment.service_manager, I::avsDirectoryCall {})
            .await;
        let Some(directory) = self.heard(Subject::Consent, directory) else {
            return;
        };
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

fn registration(standing: &Standing, intent: Intent) -> Finding {
    let subject = Subject::Registration;
    match (standing.status, intent) {
        (OperatorStatus::Registered, _) => {
            let quorums: Vec<_> = standing.memberships().map(|one| one.to_string()).collect();
            let quorums = quorums.join(",");
            Finding::passed(subject, format!("registered, in quorums {quorums}"))
        }
        (OperatorStatus::NeverRegistered, Intent::Join) => {
            Finding::passed(subject, "not registered yet")
        }
        (OperatorStatus::Deregistered, Intent::Join) => {
            Finding::passed(subject, "was registered and left; may join again")
        }
        (_, Intent::Leave) => Finding::blocker(
            subject,
            format!("{} is not registered", standing.operator),
            "there is nothing to leave; check --operator and --deployment",
        ),
    }
}

fn eigenlayer(standing: &Standing) -> Finding {
    let subject = Subject::EigenLayer;
    match standing.eigenlayer {
        None => Finding::passed(subject, "not needed: the registry is stand-alone"),
        Some(true) => Finding::passed(subject, "registered as an operator"),
        Some(false) => Finding::blocker(
            subject,
            format!("{} is not an EigenLayer operator", standing.operator),
            "register it first: mach-cli eigenlayer register",
        ),
    }
}

fn allowlist(standing: &Standing) -> Finding {
    let subject = Subject::Allowlist;
    match standing.allowlisted {
        None => Finding::passed(subject, "open: every operator may join"),
        Some(true) => Finding::passed(subject, "the operator is on the list"),
        Some(false) => Finding::blocker(
            subject,
            format!("{} is not on the allowlist", standing.operator),
            "ask the AVS to add it; its whitelister does with mach-cli admin allowlist add",
        ),
    }
}
