//! Deposits that users make on L1.

use alloy_consensus::ReceiptEnvelope;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, b256};
use op_alloy_consensus::{TxDeposit, UserDepositSource};

/// `TransactionDeposited(address indexed from, address indexed to, uint256 indexed version, bytes
/// opaqueData)`.
pub const DEPOSIT_EVENT: B256 =
    b256!("b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32");

/// Bytes of version 0 before the calldata: mint, value, gas, whether a contract is created.
const FIXED_LENGTH: usize = 32 + 32 + 8 + 1;

/// Why a log is not a deposit that is understood.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deposit in log {log}: {reason}")]
pub struct DepositError {
    /// Index of the log in its block.
    pub log: u64,
    /// What is not understood.
    pub reason: &'static str,
}

/// The deposits of users in an L1 block, in the order in which they stand in a rollup block.
///
/// `receipts` are all of the L1 block `hash`, `portal` is the `OptimismPortal`. Deposits of
/// transactions that failed do not count.
///
/// Source: <https://specs.optimism.io/protocol/deposits.html#user-deposited-transactions>
///
/// Errors: [`DepositError`] for a log of the portal that is no deposit of version 0. Deposits are
/// never skipped: nothing is known of a block then.
pub fn user_deposits(
    receipts: &[ReceiptEnvelope],
    hash: B256,
    portal: Address,
) -> Result<Vec<TxDeposit>, DepositError> {
    let mut deposits = Vec::new();
    for (index, log) in successful_logs(receipts) {
        if log.address == portal && log.topics().first() == Some(&DEPOSIT_EVENT) {
            let source = UserDepositSource::new(hash, index).source_hash();
            let deposit = decode(log, source);
            deposits.push(deposit.map_err(|reason| DepositError { log: index, reason })?);
        }
    }
    Ok(deposits)
}

/// Logs of transactions that succeeded, with their index in the block.
pub(super) fn successful_logs(receipts: &[ReceiptEnvelope]) -> impl Iterator<Item = (u64, &Log)> {
    (receipts.iter())
        .flat_map(|receipt| receipt.logs().iter().map(|log| (receipt.status(), log)))
        .zip(0u64..)
        .filter_map(|((success, log), index)| success.then_some((index, log)))
}

/// The bytes of the only argument of an event, in the one encoding that Solidity gives it.
pub(super) fn only_bytes(data: &[u8]) -> Option<&[u8]> {
    let (offset, rest) = data.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<32>()?;
    if U256::from_be_bytes(*offset) != U256::from(32) {
        return None;
    }
    let length: usize = U256::from_be_bytes(*length).try_into().ok()?;
    (length.checked_next_multiple_of(32)? == rest.len()).then(|| rest.get(..length))?
}

fn decode(log: &Log, source_hash: B256) -> Result<TxDeposit, &'static str> {
    let &[_, from, to, version] = log.topics() else {
        return Err("does not have four topics");
    };
    if !version.is_zero() {
        return Err("version is not known");
    }
    let address = |word: B256| {
        let address = Address::from_word(word);
        (address.into_word() == word)
            .then_some(address)
            .ok_or("topic is not an address")
    };
    let opaque = only_bytes(&log.data.data).ok_or("data is not one byte string")?;
    let (fixed, input) = (opaque.split_first_chunk::<FIXED_LENGTH>()).ok_or("data is too short")?;
    let mut rest = fixed.as_slice();
    let mut take = |length: usize| rest.split_off(..length).unwrap_or_default();
    let mint = U256::from_be_slice(take(32));
    let value = U256::from_be_slice(take(32));
    let gas_limit = take(8)
        .iter()
        .fold(0, |gas, byte| gas << 8 | u64::from(*byte));
    let is_creation = take(1) != [0];
    let to = address(to)?;
    Ok(TxDeposit {
        source_hash,
        from: address(from)?,
        to: if is_creation {
            TxKind::Create
        } else {
            TxKind::Call(to)
        },
        mint: mint.try_into().map_err(|_| "mints more than there is")?,
        value,
        gas_limit,
        is_system_transaction: false,
        input: Bytes::copy_from_slice(input),
    })
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Receipt;
    use alloy_primitives::{LogData, keccak256};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_event_is_that_of_the_portal() {
        let event = "TransactionDeposited(address,address,uint256,bytes)";
        assert_eq!(DEPOSIT_EVENT, keccak256(event));
    }

    proptest! {
        #[test]
        fn any_log_is_a_deposit_or_an_error(topics in 0usize..5, data: Vec<u8>, padded: bool) {
            let mut words = vec![B256::ZERO; topics];
            if let Some(first) = words.first_mut() {
                *first = DEPOSIT_EVENT;
            }
            let mut all = data;
            if padded {
                let mut head = U256::from(32).to_be_bytes::<32>().to_vec();
                head.extend(U256::from(all.len()).to_be_bytes::<32>());
                head.extend(all);
                head.resize(head.len().next_multiple_of(32), 0);
                all = head;
            }
            let log = Log {
                address: Address::ZERO,
                data: LogData::new_unchecked(words, all.into()),
            };
            let receipt = Receipt {
                status: true.into(),
                cumulative_gas_used: 0,
                logs: vec![log],
            };
            let receipts = [ReceiptEnvelope::Legacy(receipt.with_bloom())];
            let _ = user_deposits(&receipts, B256::ZERO, Address::ZERO);
        }
    }
}
