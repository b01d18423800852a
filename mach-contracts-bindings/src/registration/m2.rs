//! Registration with a coordinator of EigenLayer's M2 release, and with `MachRegistry`.

use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use mach_core::{OperatorId, QuorumNumbers};

use super::{
    Avs, Churn, Consent, OperatorStatus, OptIn, Registration, RegistrationError, Standing, World,
    checks::missing,
    digest::{churn_digest, churn_domain, consent_digest, directory_domains},
};
use crate::{
    CallError, Plan, Step, Unsigned,
    abi::{
        IAVSDirectory, IRegistryCoordinator, IRegistryCoordinatorChurn as IChurn,
        ISlashingRegistryCoordinator as ISlashing,
    },
    call::{call, probe},
};

/// Quorums of EigenLayer's M2 interface, `MachRegistry`'s included.
#[derive(Clone, Debug)]
pub struct M2Registration {
    avs: Avs,
    directory: Address,
}

const CONSENT: &str = "consent to the AVS";
const APPROVAL: &str = "churn approval";

impl M2Registration {
    pub(super) const fn new(avs: Avs, directory: Address) -> Self {
        Self { avs, directory }
    }

    /// The AVSDirectory's domain, if it is one that an AVSDirectory of this chain and address may have:
    /// whoever answers for it could else have something signed that counts elsewhere.
    async fn domain(&self) -> Result<B256, RegistrationError> {
        let (avs, directory) = (&self.avs, self.directory);
        let request = IAVSDirectory::domainSeparatorCall {};
        let domain = call(avs.provider(), directory, &request).await?;
        let version = probe(avs.provider(), directory, &ISlashing::versionCall {}).await?;
        directory_domains(directory, avs.l1_chain_id(), version.as_deref())
            .find(|known| *known == domain)
            .ok_or(RegistrationError::ForeignDomain {
                role: "AVSDirectory",
                address: directory,
            })
    }

    async fn standing(&self, operator: Address) -> Result<Standing, CallError> {
        let request = IRegistryCoordinator::getOperatorStatusCall { operator };
        Ok(self.avs.ask(&request).await?.into())
    }

    async fn check_consent(&self, opt_in: &OptIn) -> Result<Option<Unsigned>, RegistrationError> {
        let OptIn {
            operator, consent, ..
        } = opt_in;
        self.avs.check_expiry(CONSENT, consent.expiry).await?;
        let request = IAVSDirectory::operatorSaltIsSpentCall {
            operator: *operator,
            salt: consent.salt,
        };
        if call(self.avs.provider(), self.directory, &request).await? {
            let (what, salt) = (CONSENT, consent.salt);
            return Err(RegistrationError::SaltSpent { what, salt });
        }
        let digest = consent_digest(
            self.domain().await?,
            *operator,
            self.avs.service_manager(),
            *consent,
        );
        let signature = opt_in.signature.as_ref();
        self.avs
            .check_signature(CONSENT, *operator, digest, signature)
            .await
    }
}

impl Avs {
    /// What the AVS's churn approver still has to sign for `operator` with the key `id`.
    pub(super) async fn check_churn(
        &self,
        operator: Address,
        id: OperatorId,
        churn: &Churn,
    ) -> Result<Option<Unsigned>, RegistrationError> {
        let approver = self.probe(&IChurn::churnApproverCall {}).await?;
        let approver = approver.ok_or(RegistrationError::NoChurn(self.coordinator()))?;
        self.check_expiry(APPROVAL, churn.expiry).await?;
        let request = IChurn::isChurnApproverSaltUsedCall { salt: churn.salt };
        if self.ask(&request).await? {
            let (what, salt) = (APPROVAL, churn.salt);
            return Err(RegistrationError::SaltSpent { what, salt });
        }
        let domain = churn_domain(self.coordinator(), self.l1_chain_id());
        let digest = churn_digest(domain, operator, id, churn);
        let request = IChurn::calculateOperatorChurnApprovalDigestHashCall {
            registeringOperator: operator,
            registeringOperatorId: id.0,
            operatorKickParams: churn.kick_params(),
            salt: churn.salt,
            expiry: alloy_primitives::U256::from(churn.expiry),
        };
        if self.ask(&request).await? != digest {
            return Err(RegistrationError::ForeignDomain {
                role: "registry coordinator",
                address: self.coordinator(),
            });
        }
        self.check_signature(APPROVAL, approver, digest, churn.signature.as_ref())
            .await
    }
}

#[async_trait]
impl Registration for M2Registration {
    fn world(&self) -> World {
        World::M2
    }

    fn avs(&self) -> &Avs {
        &self.avs
    }

    async fn consent_digest(
        &self,
        operator: Address,
        consent: Consent,
    ) -> Result<Option<B256>, RegistrationError> {
        let (domain, avs) = (self.domain().await?, self.avs.service_manager());
        Ok(Some(consent_digest(domain, operator, avs, consent)))
    }

    async fn register(&self, opt_in: &OptIn) -> Result<Plan, RegistrationError> {
        if self.avs.m2_closed() {
            return Err(RegistrationError::M2Closed(self.avs.coordinator()));
        }
        let operator = opt_in.operator;
        let known = self.avs.known(operator).await?;
        let id = self.avs.check_opt_in(opt_in, &known).await?;
        let mut unsigned = Vec::new();
        // Who is in a quorum already has consented.
        if self.standing(operator).await? != Standing::Registered {
            unsigned.extend(self.check_consent(opt_in).await?);
        }
        let quorum_numbers = Bytes::copy_from_slice(opt_in.quorums.as_bytes());
        let (what, to) = (in_words("register", opt_in), self.avs.coordinator());
        let mut step = match &opt_in.churn {
            None => Step::new(
                what,
                to,
                &IRegistryCoordinator::registerOperatorCall {
                    quorumNumbers: quorum_numbers,
                    socket: opt_in.socket.clone(),
                    params: opt_in.key_params(),
                    operatorSignature: opt_in.consent_params(),
                },
            ),
            Some(churn) => {
                unsigned.extend(self.avs.check_churn(operator, id, churn).await?);
                Step::new(
                    what,
                    to,
                    &IChurn::registerOperatorWithChurnCall {
                        quorumNumbers: quorum_numbers,
                        socket: opt_in.socket.clone(),
                        params: opt_in.key_params(),
                        operatorKickParams: churn.kick_params(),
                        churnApproverSignature: churn.approval_params(),
                        operatorSignature: opt_in.consent_params(),
                    },
                )
            }
        };
        step.unsigned = unsigned;
        Ok(Plan {
            chain_id: self.avs.l1_chain_id(),
            sender: operator,
            steps: vec![step],
        })
    }

    async fn deregister(
        &self,
        operator: Address,
        quorums: &QuorumNumbers,
    ) -> Result<Plan, RegistrationError> {
        let known = self.avs.known(operator).await?;
        if let Some(quorum) = missing(quorums, known.quorums) {
            return Err(RegistrationError::NotRegistered(quorum));
        }
        let request = IRegistryCoordinator::deregisterOperatorCall {
            quorumNumbers: Bytes::copy_from_slice(quorums.as_bytes()),
        };
        let what = format!("deregister operator {operator} from {}", listed(quorums));
        Ok(Plan {
            chain_id: self.avs.l1_chain_id(),
            sender: operator,
            steps: vec![Step::new(what, self.avs.coordinator(), &request)],
        })
    }

    async fn status(&self, operator: Address) -> Result<OperatorStatus, CallError> {
        let standing = self.standing(operator).await?;
        self.avs.status(World::M2, operator, standing).await
    }
}

pub(super) fn in_words(verb: &str, opt_in: &OptIn) -> String {
    let (operator, quorums) = (opt_in.operator, listed(&opt_in.quorums));
    let mut text = format!("{verb} operator {operator} in {quorums}");
    for (quorum, kicked) in opt_in.churn.iter().flat_map(|churn| &churn.kicks) {
        text.push_str(&format!(
            ", in place of {kicked} if quorum {quorum} is full"
        ));
    }
    text
}

pub(super) fn listed(quorums: &QuorumNumbers) -> String {
    let numbers: Vec<_> = quorums.iter().map(|quorum| quorum.to_string()).collect();
    let noun = if numbers.len() == 1 {
        "quorum"
    } else {
        "quorums"
    };
    format!("{noun} {}", numbers.join(", "))
}
