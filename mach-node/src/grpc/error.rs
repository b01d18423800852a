//! Errors of an aggregator as statuses.

use alloy_primitives::B256;
use mach_core::{
    OperatorId,
    ports::{AggregateError, RegistryError},
};
use prost::Message;
use tonic::{Code, Status};

use super::{
    convert::{Malformed, fixed},
    proto::{self, AggregatorError, aggregator_error::Kind},
};

/// Name of the detail, as `google.protobuf.Any` has it.
const TYPE_URL: &str = "type.googleapis.com/mach.v1.AggregatorError";

/// `google.rpc.Status`, which `grpc-status-details-bin` holds by convention.
///
/// Source: <https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto>
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl From<Malformed> for Status {
    fn from(error: Malformed) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// Causes stay in the aggregator's log.
pub(super) fn to_status(error: &AggregateError) -> Status {
    let empty = proto::Empty {};
    let (code, kind) = match error {
        AggregateError::UnknownOperator(operator) => (
            Code::PermissionDenied,
            Kind::UnknownOperator(operator.0.to_vec()),
        ),
        AggregateError::UnknownRound(digest) => {
            (Code::NotFound, Kind::UnknownRound(digest.to_vec()))
        }
        AggregateError::WrongDomain => (Code::InvalidArgument, Kind::WrongDomain(empty)),
        AggregateError::BadSignature(operator) => (
            Code::PermissionDenied,
            Kind::BadSignature(operator.0.to_vec()),
        ),
        AggregateError::UnknownRollup(chain) => {
            (Code::InvalidArgument, Kind::UnknownRollup(*chain))
        }
        AggregateError::Expired(digest) => {
            (Code::FailedPrecondition, Kind::Expired(digest.to_vec()))
        }
        AggregateError::TooLate(digest) => (Code::OutOfRange, Kind::TooLate(digest.to_vec())),
        AggregateError::Full(limit) => (Code::ResourceExhausted, Kind::Full(*limit as u64)),
        AggregateError::Busy => (Code::ResourceExhausted, Kind::Busy(empty)),
        AggregateError::Standby => (Code::Unavailable, Kind::Standby(empty)),
        AggregateError::Registry(RegistryError::UnknownQuorum {
            quorum,
            reference_block,
        }) => (
            Code::FailedPrecondition,
            Kind::UnknownQuorum(proto::UnknownQuorum {
                quorum: (*quorum).into(),
                reference_block: *reference_block,
            }),
        ),
        AggregateError::Registry(RegistryError::Malformed(_)) => {
            (Code::Unavailable, Kind::MalformedRegistry(empty))
        }
        _ => (Code::Unavailable, Kind::Unavailable(empty)),
    };
    let message = error.to_string();
    let details = RpcStatus {
        code: code.into(),
        message: message.clone(),
        details: vec![Any {
            type_url: TYPE_URL.to_owned(),
            value: AggregatorError { kind: Some(kind) }.encode_to_vec(),
        }],
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// The error that the server had, or that the request did not get through.
pub(super) fn from_status(status: Status) -> AggregateError {
    named(&status).unwrap_or_else(|| AggregateError::Backend(Box::new(status)))
}

fn named(status: &Status) -> Option<AggregateError> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let detail = details.into_iter().find(|any| any.type_url == TYPE_URL)?;
    let word = |bytes: Vec<u8>| -> Option<B256> { fixed(&bytes, "id").ok() };
    Some(match AggregatorError::decode(&*detail.value).ok()?.kind? {
        Kind::UnknownOperator(id) => AggregateError::UnknownOperator(OperatorId(word(id)?)),
        Kind::UnknownRound(digest) => AggregateError::UnknownRound(word(digest)?),
        Kind::WrongDomain(_) => AggregateError::WrongDomain,
        Kind::BadSignature(id) => AggregateError::BadSignature(OperatorId(word(id)?)),
        Kind::UnknownRollup(chain) => AggregateError::UnknownRollup(chain),
        Kind::Expired(digest) => AggregateError::Expired(word(digest)?),
        Kind::TooLate(digest) => AggregateError::TooLate(word(digest)?),
        Kind::Full(limit) => AggregateError::Full(limit.try_into().ok()?),
        Kind::Busy(_) => AggregateError::Busy,
        Kind::Standby(_) => AggregateError::Standby,
        Kind::UnknownQuorum(unknown) => AggregateError::Registry(RegistryError::UnknownQuorum {
            quorum: unknown.quorum.try_into().ok()?,
            reference_block: unknown.reference_block,
        }),
        Kind::MalformedRegistry(_) => {
            AggregateError::Registry(RegistryError::Malformed(status.message().into()))
        }
        Kind::Unavailable(_) => AggregateError::Backend(status.message().into()),
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
            AggregateError::Backend("secret detail".into()),
        ];
        for error in errors {
            let status = to_status(&error);
            let retries = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
            let is_passing = matches!(error, AggregateError::Registry(RegistryError::Malformed(_)));
            assert_eq!(retries, error.is_transient() || is_passing, "{error:?}");
            assert!(!format!("{status:?}").contains("secret detail"));
            let received = from_status(status);
            assert_eq!(received.to_string(), error.to_string());
            assert_eq!(received.is_transient(), error.is_transient());
        }
        // Whose backend it is stays with the aggregator.
        let registry = AggregateError::Registry(RegistryError::Backend("secret detail".into()));
        let status = to_status(&registry);
        assert!(!format!("{status:?}").contains("secret detail"));
        assert!(from_status(status).is_transient());
        // What says nothing that is understood is no refusal.
        for details in [&b""[..], b"\xff\xff", b"\x1a\x00"] {
            let status = Status::with_details(Code::NotFound, "gone", details.to_vec().into());
            let error = from_status(status);
            assert!(matches!(error, AggregateError::Backend(_)), "{error:?}");
        }
    }
}
