//! One read of a contract.

use alloy_primitives::{Address, Bytes, TxKind};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};
use alloy_sol_types::SolCall;
use alloy_transport::TransportError;

use crate::Revert;

/// Why a call has no answer.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The contract refuses.
    #[error("{call} of {to} reverted: {revert}")]
    Reverted {
        /// Signature of the function.
        call: &'static str,
        /// The contract.
        to: Address,
        /// Why, decoded.
        revert: Revert,
        /// Revert data as it was returned.
        data: Bytes,
    },
    /// The answer is not what the function returns; nothing at all if there is no contract.
    #[error("{to} answers {call} with {length} bytes that are not its return type")]
    Malformed {
        /// Signature of the function.
        call: &'static str,
        /// The address.
        to: Address,
        /// Length of the answer in bytes.
        length: usize,
        /// Where decoding stopped.
        #[source]
        source: alloy_sol_types::Error,
    },
    /// The request did not get through.
    #[error("L1 request failed")]
    Transport(#[from] TransportError),
}

impl CallError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transport(_))
    }

    /// Why the contract refuses, if it does.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted { revert, .. } => Some(revert),
            _ => None,
        }
    }
}

/// Calls `to` at the head of the chain.
pub(crate) async fn call<C: SolCall>(
    provider: &DynProvider,
    to: Address,
    call: &C,
) -> Result<C::Return, CallError> {
    let answer = simulate(provider, Address::ZERO, to, call).await?;
    C::abi_decode_returns(&answer).map_err(|source| CallError::Malformed {
        call: C::SIGNATURE,
        to,
        length: answer.len(),
        source,
    })
}

/// Runs `call` as a transaction of `from` would, and forgets its effects.
pub(crate) async fn simulate<C: SolCall>(
    provider: &DynProvider,
    from: Address,
    to: Address,
    call: &C,
) -> Result<Bytes, CallError> {
    let request = TransactionRequest {
        from: Some(from),
        to: Some(TxKind::Call(to)),
        input: TransactionInput::both(call.abi_encode().into()),
        ..Default::default()
    };
    provider
        .call(request)
        .await
        .map_err(|error| match revert_data(&error) {
            Some(data) => CallError::Reverted {
                call: C::SIGNATURE,
                to,
                revert: Revert::decode(&data),
                data,
            },
            None => error.into(),
        })
}

/// Revert data in a node's answer; `None` if the node failed and not the contract.
pub(crate) fn revert_data(error: &TransportError) -> Option<Bytes> {
    let payload = error.as_error_resp()?;
    // A revert without a reason comes without data.
    payload
        .as_revert_data()
        .or_else(|| payload.message.contains("revert").then(Bytes::new))
}
