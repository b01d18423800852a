//! Between mach-core's types and messages.

use alloy_primitives::{B256, FixedBytes};
use mach_core::{
    Alert, AlertKind, Attestation, BlockRef, Confirmation, Domain, G1Bytes, OperatorId,
    QuorumNumbers, Round, SignedStatement, Statement, Threshold, ports::Progress,
};

use super::proto;
use crate::{RoundState, RoundView};

/// A field of a message is missing, too long, too short or out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is malformed")]
pub struct Malformed(pub(super) &'static str);

/// Bytes of a length that is known.
pub(super) fn fixed<const N: usize>(
    bytes: &[u8],
    field: &'static str,
) -> Result<FixedBytes<N>, Malformed> {
    FixedBytes::try_from(bytes).map_err(|_| Malformed(field))
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, Malformed> {
    value.ok_or(Malformed(field))
}

impl From<Statement> for proto::Statement {
    fn from(statement: Statement) -> Self {
        use proto::statement::Kind;
        let kind = match statement {
            Statement::Alert(alert) => Kind::Alert(proto::Alert {
                kind: i32::from(alert.kind as u8),
                rollup_chain_id: alert.rollup_chain_id,
                block: Some(alert.block.into()),
                rule: alert.rule.into(),
                claimed: alert.claimed.to_vec(),
                computed: alert.computed.to_vec(),
            }),
            Statement::Attestation(attestation) => Kind::Attestation(proto::Attestation {
                rollup_chain_id: attestation.rollup_chain_id,
                block: Some(attestation.block.into()),
                state_root: attestation.state_root.to_vec(),
                output_root: attestation.output_root.to_vec(),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<proto::Statement> for Statement {
    type Error = Malformed;

    fn try_from(statement: proto::Statement) -> Result<Self, Malformed> {
        use proto::statement::Kind;
        match required(statement.kind, "statement")? {
            Kind::Alert(alert) => Ok(Self::Alert(Alert {
                kind: kind(alert.kind())?,
                rollup_chain_id: alert.rollup_chain_id,
                block: required(alert.block, "block")?.try_into()?,
                rule: alert.rule.try_into().map_err(|_| Malformed("rule"))?,
                claimed: fixed(&alert.claimed, "claimed")?,
                computed: fixed(&alert.computed, "computed")?,
            })),
            Kind::Attestation(attestation) => Ok(Self::Attestation(Attestation {
                rollup_chain_id: attestation.rollup_chain_id,
                block: required(attestation.block, "block")?.try_into()?,
                state_root: fixed(&attestation.state_root, "stateRoot")?,
                output_root: fixed(&attestation.output_root, "outputRoot")?,
            })),
        }
    }
}

const fn kind(kind: proto::AlertKind) -> Result<AlertKind, Malformed> {
    match kind {
        proto::AlertKind::Unspecified => Err(Malformed("kind")),
        proto::AlertKind::InvalidBlock => Ok(AlertKind::InvalidBlock),
        proto::AlertKind::InvalidOutputProposal => Ok(AlertKind::InvalidOutputProposal),
        proto::AlertKind::WrongBlockHash => Ok(AlertKind::WrongBlockHash),
        proto::AlertKind::NotDerivable => Ok(AlertKind::NotDerivable),
    }
}

impl From<BlockRef> for proto::BlockRef {
    fn from(block: BlockRef) -> Self {
        Self {
            number: block.number,
            hash: block.hash.to_vec(),
        }
    }
}

impl TryFrom<proto::BlockRef> for BlockRef {
    type Error = Malformed;

    fn try_from(block: proto::BlockRef) -> Result<Self, Malformed> {
        Ok(Self {
            number: block.number,
            hash: fixed(&block.hash, "hash")?,
        })
    }
}

impl From<Round> for proto::Round {
    fn from(round: Round) -> Self {
        Self {
            reference_block: round.reference_block(),
            quorums: round.quorums().as_bytes().to_vec(),
            thresholds: round
                .terms()
                .map(|(_, threshold)| threshold.value())
                .collect(),
        }
    }
}

impl TryFrom<proto::Round> for Round {
    type Error = Malformed;

    fn try_from(round: proto::Round) -> Result<Self, Malformed> {
        let quorums = QuorumNumbers::new(round.quorums).map_err(|_| Malformed("quorums"))?;
        let thresholds = round.thresholds.into_iter().map(Threshold::percent);
        let thresholds = thresholds.collect::<Result<_, _>>();
        thresholds
            .and_then(|thresholds| Self::new(quorums, thresholds, round.reference_block))
            .map_err(|_| Malformed("thresholds"))
    }
}

impl From<SignedStatement> for proto::SignedStatement {
    fn from(signed: SignedStatement) -> Self {
        Self {
            statement: Some(signed.statement.into()),
            domain: Some(proto::Domain {
                l1_chain_id: signed.domain.l1_chain_id,
                service_manager: signed.domain.service_manager.to_vec(),
            }),
            operator: signed.operator.0.to_vec(),
            signature: signed.signature.0.to_vec(),
        }
    }
}

impl TryFrom<proto::SignedStatement> for SignedStatement {
    type Error = Malformed;

    fn try_from(signed: proto::SignedStatement) -> Result<Self, Malformed> {
        let domain = required(signed.domain, "domain")?;
        Ok(Self {
            statement: required(signed.statement, "statement")?.try_into()?,
            domain: Domain {
                l1_chain_id: domain.l1_chain_id,
                service_manager: fixed(&domain.service_manager, "serviceManager")?.into(),
            },
            operator: OperatorId(fixed(&signed.operator, "operator")?),
            signature: G1Bytes(fixed(&signed.signature, "signature")?),
        })
    }
}

impl From<Progress> for proto::Progress {
    fn from(progress: Progress) -> Self {
        use proto::progress::State;
        Self {
            state: Some(match progress {
                Progress::Collecting { signers } => State::Collecting(proto::Signers { signers }),
                Progress::Reached { signers } => State::Reached(proto::Signers { signers }),
                Progress::Confirmed(confirmation) => State::Confirmed(confirmation.into()),
                Progress::Withdrawn => State::Withdrawn(proto::Empty {}),
            }),
        }
    }
}

impl TryFrom<proto::Progress> for Progress {
    type Error = Malformed;

    fn try_from(progress: proto::Progress) -> Result<Self, Malformed> {
        use proto::progress::State;
        Ok(match required(progress.state, "state")? {
            State::Collecting(proto::Signers { signers }) => Self::Collecting { signers },
            State::Reached(proto::Signers { signers }) => Self::Reached { signers },
            State::Confirmed(confirmation) => Self::Confirmed(confirmation.try_into()?),
            State::Withdrawn(_) => Self::Withdrawn,
        })
    }
}

impl From<Confirmation> for proto::Confirmation {
    fn from(confirmation: Confirmation) -> Self {
        Self {
            digest: confirmation.digest.to_vec(),
            transaction: confirmation.transaction.map(|hash| hash.to_vec()),
            l1_block: confirmation.l1_block,
            gas_used: confirmation.gas_used,
        }
    }
}

impl TryFrom<proto::Confirmation> for Confirmation {
    type Error = Malformed;

    fn try_from(confirmation: proto::Confirmation) -> Result<Self, Malformed> {
        let transaction = |hash: Vec<u8>| -> Result<B256, _> { fixed(&hash, "transaction") };
        Ok(Self {
            digest: fixed(&confirmation.digest, "digest")?,
            transaction: confirmation.transaction.map(transaction).transpose()?,
            l1_block: confirmation.l1_block,
            gas_used: confirmation.gas_used,
        })
    }
}

impl From<RoundView> for proto::RoundView {
    fn from(view: RoundView) -> Self {
        use proto::round_view::State;
        let ids = |ids: Vec<OperatorId>| ids.into_iter().map(|id| id.0.to_vec()).collect();
        let quorums = view.quorums.into_iter().map(|quorum| proto::QuorumView {
            quorum: quorum.quorum.into(),
            signed: quorum.signed.weight().to_string(),
            total: quorum.total.weight().to_string(),
            threshold: quorum.threshold.value().into(),
        });
        Self {
            digest: view.digest.to_vec(),
            statement: Some(view.statement.into()),
            reference_block: view.reference_block,
            quorums: quorums.collect(),
            signers: ids(view.signers),
            absent: ids(view.absent),
            state: Some(match view.state {
                RoundState::Collecting => State::Collecting(proto::Empty {}),
                RoundState::Certified => State::Certified(proto::Empty {}),
                RoundState::Confirmed(confirmation) => State::Confirmed(confirmation.into()),
                RoundState::Withdrawn => State::Withdrawn(proto::Empty {}),
            }),
        }
    }
}
