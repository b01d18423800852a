//! The published vectors of EIP-196, EIP-197 and EIP-2537, answered by L1.
//!
//! The vectors are not in the repository; `MACH_DATA` says where they are.

use std::fs;

use alloy_network::TransactionBuilder;
use alloy_primitives::{Address, Bytes};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_types_eth::TransactionRequest;
use mach_devnet::{DevnetConfig, EthereumFork};
use serde::Deserialize;

/// Start of a file's name, or what follows `fail-` in it, and the precompile that the file is about.
const PRECOMPILES: [(&str, u8); 13] = [
    ("bn256Add", 0x06),
    ("bn256ScalarMul", 0x07),
    ("bn256Pairing", 0x08),
    ("add_G1", 0x0b),
    ("mul_G1", 0x0c),
    ("msm_G1", 0x0c),
    ("multiexp_G1", 0x0c),
    ("add_G2", 0x0d),
    ("mul_G2", 0x0e),
    ("msm_G2", 0x0e),
    ("multiexp_G2", 0x0e),
    ("pairing_check", 0x0f),
    ("map_fp", 0x10),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Vector {
    input: String,
    name: String,
    expected: Option<String>,
    #[serde(rename = "ExpectedError")]
    _expected_error: Option<String>,
    #[serde(rename = "Gas")]
    _gas: Option<u64>,
    #[serde(rename = "NoBenchmark")]
    _no_benchmark: Option<bool>,
}

#[tokio::test]
async fn the_precompiles_of_both_curves_answer_as_published() {
    let Ok(folder) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return;
    };
    let providers = [EthereumFork::Prague, EthereumFork::Osaka].map(|fork| {
        let config = DevnetConfig {
            l1_fork: fork,
            ..Default::default()
        };
        config.l1().unwrap().provider()
    });
    for set in ["eip-196-197", "eip-2537"] {
        for entry in fs::read_dir(format!("{folder}/bls/{set}")).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            let precompile = precompile(file);
            let vectors: Vec<Vector> =
                serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert!(!vectors.is_empty(), "{file}");
            for vector in vectors {
                for provider in &providers {
                    let answer = call(provider, precompile, &vector.input).await;
                    assert_eq!(answer, vector.expected, "{file}: {}", vector.name);
                }
            }
        }
    }
}

fn precompile(file: &str) -> Address {
    let subject = file.strip_prefix("fail-").unwrap_or(file);
    if subject.starts_with("map_fp2") {
        return Address::with_last_byte(0x11);
    }
    let (_, address) = PRECOMPILES
        .iter()
        .find(|(start, _)| subject.starts_with(start))
        .unwrap_or_else(|| panic!("{file} is about no precompile that is known"));
    Address::with_last_byte(*address)
}

/// The answer in hexadecimal digits; `None` if the precompile refuses.
async fn call(provider: &RootProvider, precompile: Address, input: &str) -> Option<String> {
    let input: Bytes = input.parse().unwrap();
    let request = TransactionRequest::default()
        .with_to(precompile)
        .with_input(input)
        .with_gas_limit(16_000_000);
    let answer = provider.call(request).await;
    answer
        .ok()
        .map(|bytes| format!("{bytes:x}")[2..].to_owned())
}
