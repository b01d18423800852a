//! What nodes mean when they do not take a transaction.

use alloy_transport::TransportError;

/// How a transaction was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The node has the transaction.
    Known,
    /// A transaction with its nonce is in a block: this one, an earlier attempt, or a stranger.
    Spent,
    /// It pays too little: for the pool, or to replace the one with its nonce that waits there.
    Underpriced,
    /// The node will not have it.
    Refused,
    /// Nobody knows whether it got through.
    Unheard,
}

/// Nodes tell these apart by text only.
pub(super) fn answer(error: &TransportError) -> Answer {
    let Some(payload) = error.as_error_resp() else {
        return Answer::Unheard;
    };
    let message = payload.message.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    // Geth, Reth, Anvil; then Besu, Erigon, Nethermind.
    if says(&[
        "already known",
        "already imported",
        "known transaction",
        "existing tx with same hash",
        "alreadyknown",
    ]) {
        Answer::Known
    } else if says(&["nonce too low", "oldnonce", "nonce is too low"]) {
        Answer::Spent
    } else if says(&[
        "underpriced",
        "max fee per gas less than block base fee",
        "could not replace existing tx",
        "replaced by transaction with higher tip",
        "fee too low",
        "gas price below",
        "replacementnotallowed",
        "ownnoncealreadyused",
        "feetoolow",
    ]) {
        Answer::Underpriced
    } else if is_busy(payload.code, &message) {
        Answer::Unheard
    } else {
        Answer::Refused
    }
}

/// The node, or what stands in front of it, failed; nothing is said about the transaction.
fn is_busy(code: i64, message: &str) -> bool {
    const INTERNAL: i64 = -32603;
    const LIMIT: i64 = -32005;
    const TOO_MANY_REQUESTS: i64 = 429;
    matches!(code, INTERNAL | LIMIT | TOO_MANY_REQUESTS)
        && !["insufficient", "intrinsic gas", "exceeds", "invalid"]
            .iter()
            .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_understood() {
        // As the nodes' sources have them.
        let cases = [
            // geth, reth
            ("already known", Answer::Known),
            ("nonce too low: next nonce 5, tx nonce 4", Answer::Spent),
            ("replacement transaction underpriced", Answer::Underpriced),
            (
                "transaction underpriced: gas tip cap 1, minimum needed 100",
                Answer::Underpriced,
            ),
            (
                "max fee per gas less than block base fee: address 0x00, maxFeePerGas: 1, baseFee: 7",
                Answer::Underpriced,
            ),
            (
                "insufficient funds for gas * price + value",
                Answer::Refused,
            ),
            ("exceeds block gas limit", Answer::Refused),
            // anvil
            ("transaction already imported", Answer::Known),
            ("nonce too low", Answer::Spent),
            // besu
            ("Known transaction", Answer::Known),
            ("Nonce too low", Answer::Spent),
            ("Replacement transaction underpriced", Answer::Underpriced),
            (
                "Gas price below configured minimum gas price",
                Answer::Underpriced,
            ),
            ("Upfront cost exceeds account balance", Answer::Refused),
            // erigon
            ("INTERNAL_ERROR: existing tx with same hash", Answer::Known),
            ("INTERNAL_ERROR: nonce too low", Answer::Spent),
            (
                "INTERNAL_ERROR: could not replace existing tx",
                Answer::Underpriced,
            ),
            ("INTERNAL_ERROR: fee too low", Answer::Underpriced),
            ("INTERNAL_ERROR: insufficient funds", Answer::Refused),
            // nethermind
            ("AlreadyKnown", Answer::Known),
            (
                "OldNonce, Current nonce: 5, nonce of rejected tx: 3",
                Answer::Spent,
            ),
            ("ReplacementNotAllowed", Answer::Underpriced),
            ("OwnNonceAlreadyUsed", Answer::Underpriced),
            ("FeeTooLowToCompete", Answer::Underpriced),
            (
                "InsufficientFunds, Account balance: 0, cumulative cost: 1",
                Answer::Refused,
            ),
        ];
        for (message, meaning) in cases {
            let payload = serde_json::json!({"code": -32000, "message": message});
            let error = TransportError::ErrorResp(serde_json::from_value(payload).unwrap());
            assert_eq!(answer(&error), meaning, "{message}");
        }
    }

    #[test]
    fn a_node_that_fails_says_nothing_about_the_transaction() {
        let cases = [
            (-32603, "Internal error", Answer::Unheard),
            (-32005, "limit exceeded", Answer::Unheard),
            (429, "Too Many Requests", Answer::Unheard),
            // Hardhat and some proxies use the code for everything.
            (-32603, "nonce too low", Answer::Spent),
            (-32603, "insufficient funds", Answer::Refused),
        ];
        for (code, message, meaning) in cases {
            let payload = serde_json::json!({"code": code, "message": message});
            let error = TransportError::ErrorResp(serde_json::from_value(payload).unwrap());
            assert_eq!(answer(&error), meaning, "{message}");
        }
        let lost = alloy_transport::TransportErrorKind::http_error(503, "nonce too low".into());
        assert_eq!(answer(&lost), Answer::Unheard);
    }
}
