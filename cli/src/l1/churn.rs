//! Approvals to take the place of other operators in quorums that are full.

use std::path::Path;

use alloy_primitives::{Address, B256, Bytes};
use eyre::{WrapErr, bail};
use mach_contracts_bindings::Churn;
use mach_core::QuorumNumbers;
use serde_json::{Map, Value};

use super::connect::read;

const KEYS: [&str; 4] = ["signature", "salt", "expiry", "operatorsToKick"];

/// Reads an approval for operators who join `quorums`.
///
/// Errors: what is wrong in the file.
pub(crate) fn read_churn(path: &Path, quorums: &QuorumNumbers) -> eyre::Result<Churn> {
    read(path)
        .and_then(|json| parse(&json, quorums))
        .wrap_err_with(|| format!("--churn-approval {}", path.display()))
}

fn parse(json: &[u8], quorums: &QuorumNumbers) -> eyre::Result<Churn> {
    let fields: Map<String, Value> = serde_json::from_slice(json)
        .wrap_err("not a JSON object with signature, salt, expiry and operatorsToKick")?;
    if let Some(unknown) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        bail!(
            "the key `{unknown}` is not known: there are {}",
            KEYS.join(", ")
        );
    }
    let Some(expiry) = fields.get("expiry").and_then(Value::as_u64) else {
        bail!("`expiry` has to be a number of seconds since 1970");
    };
    let Some(named) = fields.get("operatorsToKick").and_then(Value::as_object) else {
        bail!(r#"`operatorsToKick` has to name an operator for each quorum: {{"0": "0x..."}}"#);
    };
    let mut kicks = Vec::new();
    // In the order of the quorums, which is the one that the coordinator asks for.
    for quorum in quorums.iter() {
        let Some(operator) = named.get(&quorum.to_string()) else {
            bail!("`operatorsToKick` names nobody for quorum {quorum}, which is joined");
        };
        let operator: Option<Address> = operator.as_str().and_then(|text| text.parse().ok());
        let Some(operator) = operator else {
            bail!("`operatorsToKick` has to name an address for quorum {quorum}");
        };
        kicks.push((quorum, operator));
    }
    if named.len() != kicks.len() {
        bail!(
            "`operatorsToKick` names quorums that are not joined: the approval is for other --quorums"
        );
    }
    let signature = match fields.get("signature") {
        None | Some(Value::Null) => None,
        Some(_) => Some(hex::<Bytes>(
            &fields,
            "signature",
            "the approver's signature in hex",
        )?),
    };
    Ok(Churn {
        kicks,
        salt: hex::<B256>(&fields, "salt", "32 bytes in hex")?,
        expiry,
        signature,
    })
}

fn hex<T: core::str::FromStr>(
    fields: &Map<String, Value>,
    key: &str,
    expected: &str,
) -> eyre::Result<T> {
    let value = fields.get(key).and_then(Value::as_str);
    match value.and_then(|text| text.parse().ok()) {
        Some(value) => Ok(value),
        None => bail!("`{key}` has to be {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_approval_is_read_for_the_quorums_that_are_joined() {
        let both = QuorumNumbers::new([0, 1]).unwrap();
        let [first, second] = [1, 2].map(Address::with_last_byte);
        let good = json!({
            "signature": "0x0102", "salt": B256::with_last_byte(3), "expiry": 1_790_000_000,
            "operatorsToKick": { "1": second, "0": first },
        });
        let read = |json: &Value, quorums| parse(json.to_string().as_bytes(), quorums);
        let expected = Churn {
            kicks: vec![(0, first), (1, second)],
            salt: B256::with_last_byte(3),
            expiry: 1_790_000_000,
            signature: Some(Bytes::from(vec![1, 2])),
        };
        assert_eq!(read(&good, &both).unwrap(), expected);
        let mut unsigned = good.clone();
        unsigned["signature"] = Value::Null;
        assert_eq!(read(&unsigned, &both).unwrap().signature, None);

        let cases = [
            ("signature", json!("0x0"), "`signature` has to be"),
            ("salt", json!("0x12"), "`salt` has to be 32 bytes"),
            ("expiry", json!("tomorrow"), "`expiry` has to be a number"),
            ("operatorsToKick", json!([]), "has to name an operator"),
            (
                "operatorsToKick",
                json!({ "0": first }),
                "nobody for quorum 1",
            ),
            (
                "operatorsToKick",
                json!({ "0": 1, "1": second }),
                "an address for quorum 0",
            ),
            ("operators", json!([]), "the key `operators` is not known"),
        ];
        for (key, value, told) in cases {
            let mut bad = good.clone();
            bad[key] = value;
            let error = read(&bad, &both).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
        let one = QuorumNumbers::new([0]).unwrap();
        let error = read(&good, &one).unwrap_err().to_string();
        assert!(error.contains("not joined"), "{error}");
        assert!(parse(b"[", &one).is_err());
    }
}
