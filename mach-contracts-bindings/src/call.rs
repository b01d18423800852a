//! One read of a contract.

use alloy_primitives::{Address, Bytes, TxKind};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{BlockId, TransactionInput, TransactionRequest};
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
    call_at(provider, BlockId::latest(), to, call).await
}

/// Calls `to` at the head of the chain; `None` if it has no such function, or no code at all.
pub(crate) async fn probe<C: SolCall>(
    provider: &DynProvider,
    to: Address,
    request: &C,
) -> Result<Option<C::Return>, CallError> {
    match call(provider, to, request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(CallError::Reverted { .. } | CallError::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `to` on the state after `block`.
pub(crate) async fn call_at<C: SolCall>(
    provider: &DynProvider,
    block: BlockId,
    to: Address,
    call: &C,
) -> Result<C::Return, CallError> {
    let answer = run(provider, block, Address::ZERO, to, call).await?;
    C::abi_decode_returns(&answer).map_err(|source| CallError::Malformed {
        call: C::SIGNATURE,
        to,
        length: answer.len(),
        source,
    })
}

/// What `to` answers, or `None` if it has no such function: it reverts, or returns something else.
///
/// Errors: the request did not get through; nothing follows from that.
pub(crate) async fn answer<C: SolCall>(
    provider: &DynProvider,
    to: Address,
    request: &C,
) -> Result<Option<C::Return>, TransportError> {
    match call(provider, to, request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(CallError::Transport(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether `to` has the function, whoever may call it: it succeeds or says why not, whereas a contract
/// without it reverts without a word.
///
/// Errors: the request did not get through; nothing follows from that.
pub(crate) async fn has_function<C: SolCall>(
    provider: &DynProvider,
    to: Address,
    request: &C,
) -> Result<bool, TransportError> {
    match simulate(provider, Address::ZERO, to, request).await {
        Ok(_) => Ok(true),
        Err(CallError::Transport(error)) => Err(error),
        Err(CallError::Reverted { data, .. }) => Ok(!data.is_empty()),
        Err(_) => Ok(false),
    }
}

/// Whether there is a contract at `address`.
pub(crate) async fn has_code(
    provider: &DynProvider,
    address: Address,
) -> Result<bool, TransportError> {
    Ok(!provider.get_code_at(address).await?.is_empty())
}

/// Runs `call` as a transaction of `from` would, and forgets its effects.
pub(crate) async fn simulate<C: SolCall>(
    provider: &DynProvider,
    from: Address,
    to: Address,
    call: &C,
) -> Result<Bytes, CallError> {
    run(provider, BlockId::latest(), from, to, call).await
}

async fn run<C: SolCall>(
    provider: &DynProvider,
    block: BlockId,
    from: Address,
    to: Address,
    call: &C,
) -> Result<Bytes, CallError> {
    run_bytes(
        provider,
        block,
        from,
        to,
        call.abi_encode().into(),
        C::SIGNATURE,
    )
    .await
}

/// Runs a transaction of `from` with this calldata, and forgets its effects; `call` is the signature
/// that errors name.
pub(crate) async fn simulate_bytes(
    provider: &DynProvider,
    from: Address,
    to: Address,
    calldata: Bytes,
    call: &'static str,
) -> Result<Bytes, CallError> {
    run_bytes(provider, BlockId::latest(), from, to, calldata, call).await
}

async fn run_bytes(
    provider: &DynProvider,
    block: BlockId,
    from: Address,
    to: Address,
    calldata: Bytes,
    call: &'static str,
) -> Result<Bytes, CallError> {
    let request = TransactionRequest {
        from: Some(from),
        to: Some(TxKind::Call(to)),
        input: TransactionInput::both(calldata),
        ..Default::default()
    };
    provider
        .call(request)
        .block(block)
        .await
        .map_err(|error| match revert_data(&error) {
            Some(data) => CallError::Reverted {
                call,
                to,
                revert: Revert::decode(&data),
                data,
            },
            None => error.into(),
        })
}

/// Revert data in a node's answer; `None` if the node failed and not the contract.
pub(crate) fn revert_data(error: &TransportError) -> Option<Bytes> {
    // Of the execution APIs: "execution reverted".
    const REVERTED: i64 = 3;
    let payload = error.as_error_resp()?;
    if let Some(data) = payload.as_revert_data() {
        return Some(data);
    }
    // Parity and its heirs: "VM execution error.", with "Reverted 0x..." as data.
    let text: Option<String> = payload
        .data
        .as_ref()
        .and_then(|data| serde_json::from_str(data.get()).ok());
    if let Some(hex) = text
        .as_deref()
        .and_then(|text| text.strip_prefix("Reverted "))
    {
        return Some(hex.trim().parse().unwrap_or_default());
    }
    // A revert without a reason comes without data.
    let told = payload.message.to_lowercase().contains("revert");
    (told || payload.code == REVERTED).then(Bytes::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn a_revert_is_told_from_a_failure_in_every_dialect() {
        let insufficient = hex!("e459c524").to_vec();
        // Geth, Reth and Nethermind of today; Parity and Nethermind of old; Anvil.
        let cases = [
            (
                r#"{"code":3,"message":"execution reverted","data":"0xe459c524"}"#,
                Some(insufficient.clone()),
            ),
            (
                r#"{"code":-32015,"message":"VM execution error.","data":"Reverted 0xe459c524"}"#,
                Some(insufficient.clone()),
            ),
            (
                r#"{"code":3,"message":"execution reverted: custom error 0xe459c524","data":"0xe459c524"}"#,
                Some(insufficient),
            ),
            (
                r#"{"code":-32015,"message":"VM execution error.","data":"Reverted 0x"}"#,
                Some(vec![]),
            ),
            (
                r#"{"code":-32000,"message":"execution reverted"}"#,
                Some(vec![]),
            ),
            (
                r#"{"code":-32000,"message":"Execution Reverted"}"#,
                Some(vec![]),
            ),
            (
                r#"{"code":-32000,"message":"out of gas","data":{"Reverted 0x":1}}"#,
                None,
            ),
            (r#"{"code":-32005,"message":"limit exceeded"}"#, None),
        ];
        for (answer, data) in cases {
            let error = TransportError::ErrorResp(serde_json::from_str(answer).unwrap());
            assert_eq!(revert_data(&error), data.map(Bytes::from), "{answer}");
        }
        let lost = alloy_transport::TransportErrorKind::custom_str("connection reverted");
        assert_eq!(revert_data(&lost), None);
    }
}
