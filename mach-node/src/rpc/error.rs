//! Errors of an aggregator on the wire.

use alloy_primitives::B256;
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use mach_core::{
    OperatorId,
    ports::{AggregateError, RegistryError},
};
use serde::{Deserialize, Serialize};

/// Codes outside the range that JSON-RPC reserves: it will not be taken, it may be taken later, it is not
/// needed any more.
const REFUSED: i32 = 1;
const UNAVAILABLE: i32 = 2;
const TOO_LATE: i32 = 3;

/// An [`AggregateError`] without its causes, which stay in the aggregator's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Wire {
    UnknownOperator { operator: OperatorId },
    UnknownRound { digest: B256 },
    WrongDomain,
    BadSignature { operator: OperatorId },
    UnknownRollup { chain_id: u64 },
    Expired { digest: B256 },
    TooLate { digest: B256 },
    Full { limit: usize },
    Busy,
    Standby,
    UnknownQuorum { quorum: u8, reference_block: u32 },
    MalformedRegistry,
    Unavailable,
}

pub(super) fn to_wire(error: &AggregateError) -> ErrorObjectOwned {
    let wire = match error {
        AggregateError::UnknownOperator(operator) => Wire::UnknownOperator {
            operator: *operator,
        },
        AggregateError::UnknownRound(digest) => Wire::UnknownRound { digest: *digest },
        AggregateError::WrongDomain => Wire::WrongDomain,
        AggregateError::BadSignature(operator) => Wire::BadSignature {
            operator: *operator,
        },
        AggregateError::UnknownRollup(chain_id) => Wire::UnknownRollup {
            chain_id: *chain_id,
        },
        AggregateError::Expired(digest) => Wire::Expired { digest: *digest },
        AggregateError::TooLate(digest) => Wire::TooLate { digest: *digest },
        AggregateError::Full(limit) => Wire::Full { limit: *limit },
        AggregateError::Busy => Wire::Busy,
        AggregateError::Standby => Wire::Standby,
        AggregateError::Registry(RegistryError::UnknownQuorum {
            quorum,
            reference_block,
        }) => Wire::UnknownQuorum {
            quorum: *quorum,
            reference_block: *reference_block,
        },
        AggregateError::Registry(RegistryError::Malformed(_)) => Wire::MalformedRegistry,
        _ => Wire::Unavailable,
    };
    let code = match error {
        AggregateError::TooLate(_) => TOO_LATE,
        AggregateError::Registry(RegistryError::Malformed(_)) => UNAVAILABLE,
        error if error.is_transient() => UNAVAILABLE,
        _ => REFUSED,
    };
    ErrorObject::owned(code, error.to_string(), Some(wire))
}

/// The error that the server had, if it was one of an aggregator.
pub(super) fn from_wire(error: &ErrorObjectOwned) -> Option<AggregateError> {
    let wire: Wire = serde_json::from_str(error.data()?.get()).ok()?;
    Some(match wire {
        Wire::UnknownOperator { operator } => AggregateError::UnknownOperator(operator),
        Wire::UnknownRound { digest } => AggregateError::UnknownRound(digest),
        Wire::WrongDomain => AggregateError::WrongDomain,
        Wire::BadSignature { operator } => AggregateError::BadSignature(operator),
        Wire::UnknownRollup { chain_id } => AggregateError::UnknownRollup(chain_id),
        Wire::Expired { digest } => AggregateError::Expired(digest),
        Wire::TooLate { digest } => AggregateError::TooLate(digest),
        Wire::Full { limit } => AggregateError::Full(limit),
        Wire::Busy => AggregateError::Busy,
        Wire::Standby => AggregateError::Standby,
        Wire::UnknownQuorum {
            quorum,
            reference_block,
        } => AggregateError::Registry(RegistryError::UnknownQuorum {
            quorum,
            reference_block,
        }),
        Wire::MalformedRegistry => {
            AggregateError::Registry(RegistryError::Malformed(error.message().into()))
        }
        Wire::Unavailable => AggregateError::Backend(error.message().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_means_the_same_on_both_sides() {
        let errors = [
            AggregateError::UnknownOperator(OperatorId(B256::repeat_byte(1))),
            AggregateError::UnknownRound(B256::repeat_byte(2)),
            AggregateError::WrongDomain,
            AggregateError::BadSignature(OperatorId(B256::repeat_byte(3))),
            AggregateError::UnknownRollup(7),
            AggregateError::Expired(B256::repeat_byte(4)),
            AggregateError::TooLate(B256::repeat_byte(5)),
            AggregateError::Full(9),
            AggregateError::Busy,
            AggregateError::Standby,
            AggregateError::Registry(RegistryError::UnknownQuorum {
                quorum: 1,
                reference_block: 2,
            }),
            AggregateError::Registry(RegistryError::Malformed("secret detail".into())),
        ];
        for error in errors {
            let received = from_wire(&to_wire(&error)).unwrap();
            assert_eq!(received.to_string(), error.to_string());
            assert_eq!(received.is_transient(), error.is_transient());
        }
        let malformed = RegistryError::Malformed("secret detail".into());
        let wire = to_wire(&AggregateError::Registry(malformed));
        assert_eq!(wire.code(), UNAVAILABLE);
    }

    #[test]
    fn causes_stay_with_the_aggregator() {
        let detail = || "secret detail".into();
        for error in [
            AggregateError::Backend(detail()),
            AggregateError::Registry(RegistryError::Backend(detail())),
        ] {
            let wire = to_wire(&error);
            let text = serde_json::to_string(&wire).unwrap();
            assert!(!text.contains("secret detail"), "{text}");
            assert!(from_wire(&wire).unwrap().is_transient());
        }
    }
}
