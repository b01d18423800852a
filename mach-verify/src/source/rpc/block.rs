//! A block from the answer of `eth_getBlockByNumber` with full transactions.

use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawals};
use alloy_primitives::{B256, BlockNumber, Bytes, ChainId};
use mach_core::{L2Block, ports::SourceError};
use op_alloy_consensus::OpTxEnvelope;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    body::check_transactions,
    source::bounded::{AtMost, MAX_TRANSACTIONS},
};

/// Longest transaction that is read, in bytes of its JSON: its data costs more gas than a block has.
/// Trying one shape after another may hold it in memory in pieces, each many times as large.
const MAX_TRANSACTION_BYTES: usize = 32 * 1024 * 1024;

/// What stands beside the header's fields.
#[derive(Deserialize)]
struct Body<'a> {
    hash: B256,
    #[serde(borrow)]
    transactions: AtMost<&'a RawValue, MAX_TRANSACTIONS>,
    #[serde(default)]
    uncles: Vec<B256>,
    #[serde(default)]
    withdrawals: Option<Withdrawals>,
}

/// Encodes the block as it travels between nodes. What the encoding of a transaction comes to is
/// checked against the header, since JSON does not say it: an answer that does not fit is
/// malformed, and nothing is known about the block.
///
/// Errors: [`SourceError::HashMismatch`], [`SourceError::Malformed`].
pub(super) fn from_json(
    chain_id: ChainId,
    number: BlockNumber,
    json: &RawValue,
) -> Result<L2Block, SourceError> {
    let header: Header = parse(number, "header", json)?;
    let body: Body<'_> = parse(number, "transactions", json)?;
    if header.number != number {
        return Err(malformed(
            number,
            "number",
            format!("the node sent block {}", header.number),
        ));
    }
    let transactions = body
        .transactions
        .0
        .iter()
        .map(|json| transaction(number, json))
        .collect::<Result<Vec<_>, _>>()?;
    // Some nodes leave out a list that has nothing in it, and the encoding of a block does not.
    let none = header.withdrawals_root.map(|_| Withdrawals::default());
    let withdrawals = body.withdrawals.or(none);
    let block = L2Block::new(chain_id, header, transactions).with_withdrawals(withdrawals);
    if block.hash() != body.hash {
        return Err(SourceError::HashMismatch {
            number,
            computed: block.hash(),
            claimed: body.hash,
        });
    }
    check_transactions(&block)?;
    if !body.uncles.is_empty() {
        let what = "JSON gives only their hashes";
        return Err(malformed(number, "uncles", what.to_owned()));
    }
    Ok(block)
}

/// EIP-2718 bytes. The OP Stack's types contain Ethereum's, but for blobs.
fn transaction(number: BlockNumber, json: &RawValue) -> Result<Bytes, SourceError> {
    if json.get().len() > MAX_TRANSACTION_BYTES {
        let what = format!("one of more than {MAX_TRANSACTION_BYTES} bytes");
        return Err(malformed(number, "transactions", what));
    }
    let of_rollup: Result<OpTxEnvelope, _> = serde_json::from_str(json.get());
    if let Ok(transaction) = of_rollup {
        return Ok(transaction.encoded_2718().into());
    }
    let transaction: EthereumTxEnvelope<TxEip4844> = parse(number, "transactions", json)?;
    Ok(transaction.encoded_2718().into())
}

fn parse<'a, T: Deserialize<'a>>(
    number: BlockNumber,
    field: &'static str,
    json: &'a RawValue,
) -> Result<T, SourceError> {
    serde_json::from_str(json.get()).map_err(|source| SourceError::Malformed {
        number,
        field,
        source: Box::new(source),
    })
}

fn malformed(number: BlockNumber, field: &'static str, what: String) -> SourceError {
    SourceError::Malformed {
        number,
        field,
        source: what.into(),
    }
}
