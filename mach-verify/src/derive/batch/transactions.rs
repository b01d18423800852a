//! Transactions of a span batch: stored field by field, put together again here.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Bytes, U256};
use alloy_rlp::{BufMut, Decodable, Encodable, Header};

use super::BatchError;
use crate::derive::reader::Reader;

/// What stands here for the type of a transaction without a type byte.
const LEGACY: u8 = 0;
/// Bytes of one transaction that op-node reads at most.
///
/// Source: `ReadTxData` in ethereum-optimism/optimism, `op-node/rollup/derive/span_batch_tx.go`
const MAX_PAYLOAD_BYTES: usize = 10_000_000;
/// Bytes of a signature: `r` and `s`.
const SIGNATURE: usize = 64;

/// The EIP-2718 encodings of `count` transactions of the chain `chain_id`.
///
/// Source: <https://specs.optimism.io/protocol/delta/span-batches.html#span-batch-format>,
/// <https://specs.optimism.io/protocol/isthmus/derivation.html#span-batch-updates>
pub(super) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    chain_id: u64,
) -> Result<Vec<Bytes>, BatchError> {
    let creates = reader.bits(count)?;
    let parities = reader.bits(count)?;
    let mut signatures = reader.take(count * SIGNATURE)?.chunks_exact(SIGNATURE);
    let calls = count
        .checked_sub(creates.count())
        .ok_or(BatchError::Bitlist)?;
    let mut targets = reader.take(calls * 20)?.chunks_exact(20);
    let payloads = (0..count)
        .map(|index| payload(reader, index))
        .collect::<Result<Vec<_>, _>>()?;
    let nonces = numbers(reader, count)?;
    let gas_limits = numbers(reader, count)?;
    let is_legacy = |kind: Option<u8>| kind.unwrap_or(LEGACY) == LEGACY;
    let legacy = payloads.iter().filter(|(kind, _)| is_legacy(*kind)).count();
    let protected = reader.bits(legacy)?;

    let mut legacy = 0;
    let mut transactions = Vec::with_capacity(count);
    for (index, ((kind, payload), (nonce, gas_limit))) in payloads
        .into_iter()
        .zip(nonces.into_iter().zip(gas_limits))
        .enumerate()
    {
        let to = if creates.get(index) {
            None
        } else {
            targets.next()
        };
        let parity = parities.get(index);
        let v = if is_legacy(kind) {
            let is_protected = protected.get(legacy);
            legacy += 1;
            let base = if is_protected {
                2 * u128::from(chain_id) + 35
            } else {
                27
            };
            base + u128::from(parity)
        } else {
            u128::from(parity)
        };
        let parts = Parts {
            chain_id,
            nonce,
            gas_limit,
            to: to.unwrap_or_default(),
            v,
            signature: signatures.next().unwrap_or_default(),
        };
        // Only now, when all that the span holds was read.
        let kind = match kind {
            None => LEGACY,
            Some(kind @ (1 | 2 | 4)) => kind,
            Some(kind) => return Err(BatchError::TransactionType(kind)),
        };
        let bytes = parts
            .assemble(kind, payload)
            .ok_or(BatchError::Transaction(index))?;
        transactions.push(bytes);
    }
    Ok(transactions)
}

/// Type byte, if there is one, and list of the fields whose length varies.
fn payload<'a>(
    reader: &mut Reader<'a>,
    index: usize,
) -> Result<(Option<u8>, &'a [u8]), BatchError> {
    let kind = match reader.rest().first() {
        None => return Err(BatchError::Truncated),
        Some(kind @ 0..=0x7f) => {
            reader.take(1)?;
            Some(*kind)
        }
        // A list: a legacy transaction has no type byte.
        Some(_) => None,
    };
    let mut rest = reader.rest();
    let list = Header::decode_bytes(&mut rest, true)?;
    let length = reader.len() - rest.len();
    reader.take(length)?;
    if length > MAX_PAYLOAD_BYTES {
        return Err(BatchError::TransactionTooLong(index));
    }
    Ok((kind, list))
}

fn numbers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, BatchError> {
    (0..count).map(|_| reader.varint()).collect()
}

/// Fields of a transaction that are stored apart from its list.
struct Parts<'a> {
    chain_id: u64,
    nonce: u64,
    gas_limit: u64,
    /// 20 bytes, or none for a contract creation.
    to: &'a [u8],
    v: u128,
    /// `r` and `s`, 32 bytes each, big-endian.
    signature: &'a [u8],
}

impl Parts<'_> {
    /// The signed transaction; `None` if `list` has not the fields of the type.
    fn assemble(&self, kind: u8, mut list: &[u8]) -> Option<Bytes> {
        let list = &mut list;
        let value = integer(list)?;
        // One price (legacy, 1), or a tip and a cap (2, 4).
        let price = integer(list)?;
        let cap = if kind < 2 { &[] } else { integer(list)? };
        let data = item(list, |item| !item.list)?;
        let access_list = if kind == 0 {
            &[]
        } else {
            typed::<AccessList>(list)?
        };
        let authorizations = if kind == 4 {
            typed::<Vec<SignedAuthorization>>(list)?
        } else {
            &[]
        };
        // A transaction of type 4 creates no contract (EIP-7702).
        if !list.is_empty() || (kind == 4 && self.to.is_empty()) {
            return None;
        }

        let mut fields = Vec::new();
        if kind != 0 {
            self.chain_id.encode(&mut fields);
        }
        self.nonce.encode(&mut fields);
        fields.put_slice(price);
        fields.put_slice(cap);
        self.gas_limit.encode(&mut fields);
        self.to.encode(&mut fields);
        for field in [value, data, access_list, authorizations] {
            fields.put_slice(field);
        }
        self.v.encode(&mut fields);
        for half in self.signature.chunks_exact(32) {
            U256::from_be_slice(half).encode(&mut fields);
        }

        let mut bytes = Vec::with_capacity(fields.len() + 6);
        if kind != 0 {
            bytes.put_u8(kind);
        }
        Header {
            list: true,
            payload_length: fields.len(),
        }
        .encode(&mut bytes);
        bytes.put_slice(&fields);
        Some(bytes.into())
    }
}

/// Removes the first item of a list and gives its encoding.
fn item<'a>(list: &mut &'a [u8], accept: impl Fn(&Header) -> bool) -> Option<&'a [u8]> {
    let whole = *list;
    let header = Header::decode(list).ok().filter(accept)?;
    list.split_off(..header.payload_length)?;
    whole.get(..whole.len() - list.len())
}

/// An unsigned number of any size, without leading zeros.
fn integer<'a>(list: &mut &'a [u8]) -> Option<&'a [u8]> {
    let encoding = item(list, |item| !item.list)?;
    let is_canonical = match encoding {
        [0] => false,
        [0x81..=0xb7, first, ..] => *first != 0,
        // No number of more than 55 bytes is ever meant.
        [0xb8..=0xbf, ..] => false,
        _ => true,
    };
    is_canonical.then_some(encoding)
}

/// A field that decodes as `T`, and is what `T` encodes to.
fn typed<'a, T: Decodable>(list: &mut &'a [u8]) -> Option<&'a [u8]> {
    let encoding = item(list, |item| item.list)?;
    let mut rest = encoding;
    T::decode(&mut rest).ok()?;
    rest.is_empty().then_some(encoding)
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{
        SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy,
    };
    use alloy_eips::{eip2718::Encodable2718, eip2930::AccessListItem, eip7702::Authorization};
    use alloy_primitives::{Address, B256, Signature, TxKind};

    use super::*;

    /// EIP-2718: a transaction without a type is a list and nothing else.
    #[test]
    fn no_type_byte_stands_for_a_transaction_without_one() {
        let list = [0xc3, 0x05, 0x80, 0x80];
        // Two bitlists of a bit, a signature, a target, the payload, nonce, gas, a bitlist.
        let of = |payload: &[u8]| {
            let (before, after) = ([&[0; 66][..], &[0x11; 20]].concat(), [1, 1, 0]);
            let bytes = [&before[..], payload, &after].concat();
            decode(&mut Reader::new(&bytes), 1, 10)
        };
        for kind in 0..=0x7f_u8 {
            let expected = match kind {
                // The list lacks fields.
                1 | 2 | 4 => BatchError::Transaction(0),
                _ => BatchError::TransactionType(kind),
            };
            assert_eq!(of(&[&[kind][..], &list].concat()), Err(expected));
            assert!(matches!(of(&[kind, 0x05]), Err(BatchError::Rlp(_))));
        }
        assert_eq!(of(&list).unwrap().len(), 1);
    }

    #[test]
    fn a_transaction_that_op_node_does_not_read_is_disputed() {
        let list = |length: usize| {
            let mut bytes = Vec::new();
            let header = Header {
                list: true,
                payload_length: length,
            };
            header.encode(&mut bytes);
            bytes.resize(bytes.len() + length, 0);
            bytes
        };
        // A list of so many bytes has a header of four.
        let (most, more) = (list(MAX_PAYLOAD_BYTES - 4), list(MAX_PAYLOAD_BYTES - 3));
        assert!(payload(&mut Reader::new(&most), 7).is_ok());
        let error = payload(&mut Reader::new(&more), 7).unwrap_err();
        assert_eq!(error, BatchError::TransactionTooLong(7));
        assert!(error.is_disputed());
    }

    /// What alloy encodes for the four types must come out of the fields that a span batch holds.
    #[test]
    fn every_type_is_put_together_as_alloy_encodes_it() {
        let chain_id = 10;
        let to = TxKind::Call(Address::repeat_byte(0x11));
        let value = U256::from(5);
        let input = Bytes::from(vec![7; 60]);
        let access_list = AccessList(vec![AccessListItem {
            address: Address::repeat_byte(0x22),
            storage_keys: vec![B256::repeat_byte(3)],
        }]);
        let authorization_list = vec![
            Authorization {
                chain_id: U256::from(chain_id),
                address: Address::repeat_byte(0x33),
                nonce: 9,
            }
            .into_signed(signature(true)),
        ];
        let list = |fields: &[&dyn Encodable]| {
            let mut payload = Vec::new();
            for field in fields {
                field.encode(&mut payload);
            }
            payload
        };
        let (price, tip) = (300_u128, 2_u128);
        let cases: Vec<(u8, TxEnvelope, Vec<u8>)> = vec![
            (
                0,
                TxLegacy {
                    chain_id: Some(chain_id),
                    nonce: 1,
                    gas_price: price,
                    gas_limit: 21_000,
                    to,
                    value,
                    input: input.clone(),
                }
                .into_signed(signature(true))
                .into(),
                list(&[&value, &price, &input]),
            ),
            (
                1,
                TxEip2930 {
                    chain_id,
                    nonce: 0,
                    gas_price: price,
                    gas_limit: 21_000,
                    to: TxKind::Create,
                    value,
                    access_list: access_list.clone(),
                    input: input.clone(),
                }
                .into_signed(signature(false))
                .into(),
                list(&[&value, &price, &input, &access_list]),
            ),
            (
                2,
                TxEip1559 {
                    chain_id,
                    nonce: 1,
                    gas_limit: 21_000,
                    max_fee_per_gas: price,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list: access_list.clone(),
                    input: input.clone(),
                }
                .into_signed(signature(true))
                .into(),
                list(&[&value, &tip, &price, &input, &access_list]),
            ),
            (
                4,
                TxEip7702 {
                    chain_id,
                    nonce: 1,
                    gas_limit: 21_000,
                    max_fee_per_gas: price,
                    max_priority_fee_per_gas: tip,
                    to: Address::repeat_byte(0x11),
                    value,
                    access_list: access_list.clone(),
                    authorization_list: authorization_list.clone(),
                    input: input.clone(),
                }
                .into_signed(signature(false))
                .into(),
                list(&[
                    &value,
                    &tip,
                    &price,
                    &input,
                    &access_list,
                    &authorization_list,
                ]),
            ),
        ];
        for (kind, transaction, list) in cases {
            let signature = *transaction.signature();
            let is_creation = matches!(kind, 1);
            let parts = Parts {
                chain_id,
                nonce: u64::from(!is_creation),
                gas_limit: 21_000,
                to: if is_creation { &[] } else { &[0x11; 20] },
                v: u128::from(signature.v()) + if kind == 0 { 2 * 10 + 35 } else { 0 },
                signature: &signature.as_bytes()[..64],
            };
            assert_eq!(
                parts.assemble(kind, &list).unwrap(),
                transaction.encoded_2718(),
                "type {kind}"
            );
            // A field too few, a field too many, a number with a leading zero.
            assert_eq!(parts.assemble(kind, &list[..list.len() - 1]), None);
            assert_eq!(parts.assemble(kind, &[&list[..], &[0x80]].concat()), None);
            assert_eq!(parts.assemble(kind, &[&[0], &list[1..]].concat()), None);
        }
    }

    fn signature(parity: bool) -> Signature {
        Signature::new(U256::from(0x1234_5678), U256::MAX >> 9, parity)
    }
}
