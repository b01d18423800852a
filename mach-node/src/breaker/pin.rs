//! Parameters that name a block, moved to where the chain is said to end.

use alloy_primitives::BlockNumber;
use serde_json::{Map, Value};

use super::methods::Kind;

/// The heads of a chain that ends at `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    pub(super) latest: BlockNumber,
    /// Not above `latest`; `None` if the node names none.
    pub(super) safe: Option<BlockNumber>,
    /// As `safe`.
    pub(super) finalized: Option<BlockNumber>,
}

/// Why a parameter is not handed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PinError {
    /// The block lies behind the end.
    #[error("block {0} is not attested")]
    Above(BlockNumber),
    /// The node has no such head, and what is attested is not one.
    #[error("the node behind the breaker names no {0} block")]
    NoHead(&'static str),
    /// It is not known which block is meant.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Parameters of a method of this kind, in which no block is named that lies above `heads.latest`.
pub(super) fn pin(kind: Kind, params: Option<&str>, heads: &Heads) -> Result<Value, PinError> {
    let params = params.unwrap_or("[]");
    let params = serde_json::from_str(params)
        .map_err(|_| PinError::Malformed("the parameters cannot be read"))?;
    let mut params = match params {
        Value::Array(params) => params,
        Value::Null => Vec::new(),
        _ => return Err(PinError::Malformed("the parameters are not an array")),
    };
    match kind {
        // What is missing means the newest. With less than that the node complains.
        Kind::Block(position) if params.len() == position => params.push(quantity(heads.latest)),
        Kind::Block(position) => {
            if let Some(block) = params.get_mut(position) {
                pin_block(block, heads)?;
            }
        }
        Kind::Range => match params.first_mut() {
            Some(Value::Object(filter)) => pin_filter(filter, heads)?,
            _ => return Err(PinError::Malformed("the filter is not an object")),
        },
        _ => {}
    }
    Ok(Value::Array(params))
}

fn pin_block(block: &mut Value, heads: &Heads) -> Result<(), PinError> {
    match block {
        Value::Null => *block = quantity(heads.latest),
        Value::String(name) => match name.as_str() {
            "latest" | "pending" => *block = quantity(heads.latest),
            "safe" => *block = quantity(heads.safe.ok_or(PinError::NoHead("safe"))?),
            "finalized" => {
                let finalized = heads.finalized.ok_or(PinError::NoHead("finalized"))?;
                *block = quantity(finalized);
            }
            "earliest" => {}
            hash if hash.len() == 66 && hash.starts_with("0x") => {}
            number => at_most(parse(number)?, heads)?,
        },
        Value::Number(number) => {
            let number = number.as_u64();
            at_most(number.ok_or(PinError::Malformed("not a block"))?, heads)?;
        }
        // EIP-1898, and the object of `eth_callMany`.
        Value::Object(object) => {
            only(
                object,
                &[
                    "blockHash",
                    "blockNumber",
                    "requireCanonical",
                    "transactionIndex",
                ],
            )?;
            match (
                object.contains_key("blockHash"),
                object.get_mut("blockNumber"),
            ) {
                (true, None) => {}
                (false, Some(number)) => pin_block(number, heads)?,
                _ => return Err(PinError::Malformed("not one block")),
            }
        }
        _ => return Err(PinError::Malformed("not a block")),
    }
    Ok(())
}

fn pin_filter(filter: &mut Map<String, Value>, heads: &Heads) -> Result<(), PinError> {
    only(
        filter,
        &[
            "address",
            "after",
            "blockHash",
            "count",
            "fromAddress",
            "fromBlock",
            "mode",
            "toAddress",
            "toBlock",
            "topics",
        ],
    )?;
    if filter.get("blockHash").is_some_and(|hash| !hash.is_null()) {
        // Nodes refuse a range beside it.
        return Ok(());
    }
    let from = filter.entry("fromBlock").or_insert(Value::Null);
    pin_block(from, heads)?;
    let to = filter.entry("toBlock").or_insert(Value::Null);
    match pin_block(to, heads) {
        // The range ends where the chain does.
        Err(PinError::Above(_)) => *to = quantity(heads.latest),
        pinned => pinned?,
    }
    Ok(())
}

/// Nodes that read keys without regard to case would find a block under a key that is not looked at.
fn only(object: &Map<String, Value>, known: &[&str]) -> Result<(), PinError> {
    if object.keys().all(|key| known.contains(&key.as_str())) {
        Ok(())
    } else {
        Err(PinError::Malformed("a key is not known"))
    }
}

fn parse(number: &str) -> Result<BlockNumber, PinError> {
    let malformed = PinError::Malformed("not a block");
    let digits = number.strip_prefix("0x");
    let digits = digits.or_else(|| number.strip_prefix("0X"));
    match digits {
        // Not what `from_str_radix` takes besides: a sign.
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            let digits = digits.trim_start_matches('0');
            if digits.is_empty() && number.len() > 2 {
                return Ok(0);
            }
            u64::from_str_radix(digits, 16).map_err(|_| malformed)
        }
        // Some nodes take decimal ones.
        None if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => {
            number.parse().map_err(|_| malformed)
        }
        _ => Err(malformed),
    }
}

const fn at_most(number: BlockNumber, heads: &Heads) -> Result<(), PinError> {
    if number <= heads.latest {
        Ok(())
    } else {
        Err(PinError::Above(number))
    }
}

/// A number as the execution API writes it.
pub(super) fn quantity(number: BlockNumber) -> Value {
    Value::String(format!("{number:#x}"))
}

/// Whether `result`, a transaction, a receipt or a block, is of a block above `heads.latest`, or of
/// none yet.
pub(super) fn is_above(kind: Kind, result: &str, heads: &Heads) -> bool {
    let field = match kind {
        Kind::Inclusion => "blockNumber",
        Kind::BlockByHash => "number",
        _ => return false,
    };
    match serde_json::from_str(result) {
        Ok(Value::Object(object)) => match object.get(field) {
            Some(Value::String(number)) => {
                !parse(number).is_ok_and(|number| number <= heads.latest)
            }
            // Not in a block: it waits.
            None | Some(Value::Null) => kind == Kind::BlockByHash,
            Some(_) => true,
        },
        Ok(Value::Null) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HEADS: Heads = Heads {
        latest: 0x64,
        safe: Some(0x50),
        finalized: Some(0x40),
    };

    fn pinned(kind: Kind, params: Value) -> Result<Value, PinError> {
        pin(kind, Some(&params.to_string()), &HEADS)
    }

    #[test]
    fn tags_and_what_is_missing_mean_the_end_of_the_chain() {
        let hash = format!("0x{}", "ab".repeat(32));
        for (given, expected) in [
            (json!(["0xa", "latest"]), json!(["0xa", "0x64"])),
            (json!(["0xa", "pending"]), json!(["0xa", "0x64"])),
            (json!(["0xa", "safe"]), json!(["0xa", "0x50"])),
            (json!(["0xa", "finalized"]), json!(["0xa", "0x40"])),
            (json!(["0xa", "earliest"]), json!(["0xa", "earliest"])),
            (json!(["0xa", null]), json!(["0xa", "0x64"])),
            (json!(["0xa"]), json!(["0xa", "0x64"])),
            (json!(["0xa", "0x64"]), json!(["0xa", "0x64"])),
            (json!(["0xa", "0x0"]), json!(["0xa", "0x0"])),
            (json!(["0xa", 3]), json!(["0xa", 3])),
            (json!(["0xa", hash]), json!(["0xa", hash])),
            (
                json!(["0xa", { "blockHash": hash, "requireCanonical": true }]),
                json!(["0xa", { "blockHash": hash, "requireCanonical": true }]),
            ),
            (
                json!(["0xa", { "blockNumber": "latest" }, {}]),
                json!(["0xa", { "blockNumber": "0x64" }, {}]),
            ),
            // The node will say what is missing.
            (json!([]), json!([])),
        ] {
            assert_eq!(pinned(Kind::Block(1), given), Ok(expected));
        }
        assert_eq!(pin(Kind::Block(0), None, &HEADS), Ok(json!(["0x64"])));
        assert_eq!(
            pin(Kind::Block(0), Some("null"), &HEADS),
            Ok(json!(["0x64"]))
        );
    }

    #[test]
    fn later_blocks_and_what_may_be_one_are_refused() {
        for (given, above) in [
            (json!("0x65"), 0x65),
            (json!("0X065"), 0x65),
            (json!("101"), 101),
            (json!(101), 101),
            (json!({ "blockNumber": "0xffffffffffffffff" }), u64::MAX),
        ] {
            assert_eq!(
                pinned(Kind::Block(0), json!([given])),
                Err(PinError::Above(above))
            );
        }
        for given in [
            json!("Latest"),
            json!("latest "),
            json!("0x"),
            json!("0x+1"),
            json!("+1"),
            json!(""),
            json!("0x10000000000000000"),
            json!(-1),
            json!(1.5),
            json!(true),
            json!(["latest"]),
            json!({}),
            json!({ "blockHash": "0x", "blockNumber": "0x1" }),
            json!({ "BlockNumber": "0x65" }),
            json!({ "blockNumber": "0x1", "BLOCKNUMBER": "0x65" }),
        ] {
            let outcome = pinned(Kind::Block(0), json!([given]));
            assert!(
                matches!(outcome, Err(PinError::Malformed(_))),
                "{given}: {outcome:?}"
            );
        }
        let object = pin(Kind::Block(0), Some(r#"{"block":"latest"}"#), &HEADS);
        assert!(matches!(object, Err(PinError::Malformed(_))));
    }

    /// What is attested is neither derived from L1 nor final there by that.
    #[test]
    fn a_head_that_the_node_does_not_name_is_no_block() {
        let heads = Heads {
            safe: None,
            finalized: None,
            ..HEADS
        };
        for name in ["safe", "finalized"] {
            let block = pin(Kind::Block(0), Some(&json!([name]).to_string()), &heads);
            assert_eq!(block, Err(PinError::NoHead(name)));
            for filter in [json!([{ "fromBlock": name }]), json!([{ "toBlock": name }])] {
                let range = pin(Kind::Range, Some(&filter.to_string()), &heads);
                assert_eq!(range, Err(PinError::NoHead(name)));
            }
        }
    }

    #[test]
    fn ranges_end_with_the_chain() {
        for (given, expected) in [
            (json!({}), json!({ "fromBlock": "0x64", "toBlock": "0x64" })),
            (
                json!({ "fromBlock": "0x1", "toBlock": "latest", "topics": [] }),
                json!({ "fromBlock": "0x1", "toBlock": "0x64", "topics": [] }),
            ),
            (
                json!({ "fromBlock": "earliest", "toBlock": "0xffff" }),
                json!({ "fromBlock": "earliest", "toBlock": "0x64" }),
            ),
            (
                json!({ "blockHash": "0xab" }),
                json!({ "blockHash": "0xab" }),
            ),
        ] {
            assert_eq!(pinned(Kind::Range, json!([given])), Ok(json!([expected])));
        }
        let behind = pinned(Kind::Range, json!([{ "fromBlock": "0x65" }]));
        assert_eq!(behind, Err(PinError::Above(0x65)));
        for given in [json!([]), json!([7]), json!([{ "toblock": "0x65" }])] {
            assert!(matches!(
                pinned(Kind::Range, given),
                Err(PinError::Malformed(_))
            ));
        }
    }

    #[test]
    fn what_lies_behind_the_end_is_seen_in_answers() {
        let inclusion = |result: Value| is_above(Kind::Inclusion, &result.to_string(), &HEADS);
        assert!(!inclusion(json!({ "blockNumber": "0x64" })));
        assert!(inclusion(json!({ "blockNumber": "0x65" })));
        assert!(!inclusion(json!({ "blockNumber": null })));
        assert!(!inclusion(json!(null)));
        assert!(inclusion(json!("0x65")));
        assert!(inclusion(json!({ "blockNumber": [1] })));
        let block = |result: Value| is_above(Kind::BlockByHash, &result.to_string(), &HEADS);
        assert!(!block(json!({ "number": "0x1" })));
        assert!(block(json!({ "number": "0x65" })));
        assert!(block(json!({ "number": null })));
    }
}
