//! The configuration.

use alloy_hardforks::ForkCondition;
use alloy_op_hardforks::OpHardfork;
use alloy_primitives::keccak256;
use mach_prove::{
    InputError, Task,
    guest::{Refusal, run_block},
};
use mach_verify::{ChainSpec, ExecuteError};
use serde_json::{Value, json};

use crate::fixture::{encoded, input};

/// Every value that the rules are written as, by the way to it.
fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields
                .iter()
                .for_each(|(name, it)| leaves(it, &format!("{path}/{name}"), out));
        }
        Value::Array(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, it)| leaves(it, &format!("{path}/{at}"), out));
        }
        _ => out.push(path.to_owned()),
    }
}

/// What takes the place of a value.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) => vec![
            json!(number.as_u64().unwrap() ^ 1),
            json!(number.as_u64().unwrap() + 7),
        ],
        Value::String(text) if text == "ethereum" => vec![json!("optimism")],
        Value::String(text) if text == "optimism" => vec![json!("ethereum")],
        Value::String(text) if text.starts_with("0x") => {
            vec![
                json!(text.replace(|c: char| c == text.chars().last().unwrap(), "1")),
                Value::Null,
            ]
        }
        Value::String(text) => vec![json!(format!("{text}x")), json!("")],
        Value::Null => vec![
            json!(1),
            json!("x"),
            json!(format!("0x{}", "11".repeat(20))),
        ],
        Value::Array(_) => vec![json!([{ "name": "x", "at": { "time": 1 } }])],
        other => panic!("{other}"),
    }
}

/// What decides the result is written down: mach-verify names the fields one by one, so that the
/// compiler knows of one that is left out. Here each that is written changes the hash.
#[test]
fn each_field_of_the_rules_changes_their_hash() {
    let specs = [
        ChainSpec::mainnet(),
        ChainSpec::op_mainnet(),
        ChainSpec::base(),
        ChainSpec::optimism(901)
            .with_op_forks_from_genesis(OpHardfork::Jovian)
            .with_op_fork(OpHardfork::Karst, ForkCondition::Never)
            .with_base_fee_floor(3)
            .with_extensions("more")
            .with_horizon(99),
    ];
    let mut seen = 0;
    for spec in specs {
        let rules = serde_json::to_value(&spec).unwrap();
        let mut paths = Vec::new();
        leaves(&rules, "", &mut paths);
        assert!(paths.len() > 20);
        for path in paths {
            for other in others(rules.pointer(&path).unwrap()) {
                let mut changed = rules.clone();
                *changed.pointer_mut(&path).unwrap() = other.clone();
                if changed == rules {
                    continue;
                }
                // What no chain can be is refused, and has no hash at all.
                if let Ok(read) = serde_json::from_value::<ChainSpec>(changed) {
                    assert_ne!(read.hash(), spec.hash(), "{path} = {other}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// The input says which rules are meant, so no others get in by damage.
#[test]
fn other_rules_than_those_that_are_meant_are_refused() {
    let good = encoded("lie-state-root", Task::Accuse);
    let spec = input("lie-state-root", Task::Accuse).spec;
    let json = serde_json::to_vec(&spec).unwrap();
    let at = good.windows(json.len()).position(|it| it == json).unwrap();
    let chain = b"\"chainId\":";
    let digit = at + chain.len() + 1;
    let mut bad = good.to_vec();
    assert!(bad[digit].is_ascii_digit());
    bad[digit] = if bad[digit] == b'1' { b'2' } else { b'1' };
    let refused = run_block(&bad);
    assert!(
        matches!(refused, Err(Refusal::Input(InputError::OtherRules { .. }))),
        "{refused:?}"
    );
}

/// What is hashed is what is written, so the same rules in another writing are not those of the
/// contract.
#[test]
fn the_same_rules_in_another_writing_are_another_configuration() {
    let good = encoded("lie-state-root", Task::Accuse);
    let honest = run_block(&good).unwrap();
    let spec = input("lie-state-root", Task::Accuse).spec;
    let json = serde_json::to_vec(&spec).unwrap();
    let at = good.windows(json.len()).position(|it| it == json).unwrap();
    let other = [b" ", &json[..]].concat();
    let length = u32::try_from(other.len()).unwrap().to_le_bytes();
    let mut bad = [&good[..at - 4], &length, &other, &good[at + json.len()..]].concat();
    let refused = run_block(&bad);
    assert!(
        matches!(refused, Err(Refusal::Input(InputError::OtherRules { .. }))),
        "{refused:?}"
    );
    // Behind the magic and the context stands the hash that is meant.
    bad[78..110].copy_from_slice(&keccak256(&other)[..]);
    let journal = run_block(&bad).unwrap();
    assert_eq!(honest.config_hash, spec.hash());
    assert_ne!(journal.config_hash, spec.hash());
}

#[test]
fn other_rules_are_another_configuration_in_the_journal() {
    let honest = input("lie-gas-used", Task::Accuse);
    let mut later = honest.clone();
    later.spec = later.spec.with_base_fee_floor(1);
    let journals = [honest, later].map(|it| run_block(&it.encode().unwrap()).unwrap());
    assert_ne!(journals[0].config_hash, journals[1].config_hash);
    assert_ne!(journals[0].digest(), journals[1].digest());
}

#[test]
fn rules_that_are_in_doubt_accuse_nobody() {
    let inputs = [
        input("lie-gas-used", Task::Accuse),
        // What is affirmed has an output root, which may contradict one that was posted.
        input("isthmus", Task::Affirm),
    ];
    for honest in inputs {
        let time = honest.block.header.timestamp;
        for spec in [
            honest.spec.clone().with_horizon(time - 1),
            honest.spec.clone().with_extensions("another"),
            honest
                .spec
                .clone()
                .with_op_fork(OpHardfork::Interop, ForkCondition::Timestamp(time)),
        ] {
            let mut input = honest.clone();
            input.spec = spec;
            let refused = run_block(&input.encode().unwrap());
            assert!(
                matches!(
                    refused,
                    Err(Refusal::Unsupported(_)
                        | Refusal::Undecided(ExecuteError::Unsupported { .. }))
                ),
                "{refused:?}"
            );
        }
    }
}
