//! Every published vector, each file read by a function that this module names.
//!
//! The vectors are not in the repository; `MACH_DATA` says where they are.

mod consensus;
mod eigenlayer;
mod evm;
mod hash_to_curve;
#[cfg(feature = "keystore")]
mod key_files;

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use serde::de::DeserializeOwned;

/// A vector file.
struct File {
    /// Below `data/bls`, with slashes.
    name: String,
    text: String,
}

impl File {
    fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// Files and the function that each of them goes through.
struct Reader {
    /// One `*` stands for any part of a name.
    pattern: &'static str,
    read: fn(&File),
}

/// Files that another test reads.
#[cfg_attr(
    not(feature = "keystore"),
    allow(dead_code, reason = "key files have no reader")
)]
struct Elsewhere {
    pattern: &'static str,
    /// The test's source, below the workspace.
    source: &'static str,
    /// How the source names the files.
    mention: &'static str,
}

/// Makes a test of each reader and the list of all readers.
macro_rules! readers {
    ($($(#[$attribute:meta])* $test:ident: $pattern:literal => $read:path;)*) => {
        #[cfg_attr(not(feature = "keystore"), allow(dead_code, reason = "key files have no reader"))]
        const READERS: &[Reader] = &[$(
            $(#[$attribute])*
            Reader { pattern: $pattern, read: $read },
        )*];

        $(
            $(#[$attribute])*
            #[test]
            fn $test() {
                run(&Reader { pattern: $pattern, read: $read });
            }
        )*
    };
}

readers! {
    bn254_additions: "eip-196-197/bn256Add.json" => evm::bn254_additions;
    bn254_multiplications: "eip-196-197/bn256ScalarMul.json" => evm::bn254_multiplications;
    bn254_pairings: "eip-196-197/bn256Pairing.json" => evm::bn254_pairings;
    additions_in_g1: "eip-2537/*add_G1_bls.json" => evm::additions_in_g1;
    additions_in_g2: "eip-2537/*add_G2_bls.json" => evm::additions_in_g2;
    multiplications_in_g1: "eip-2537/*mul_G1_bls.json" => evm::weighted_sums_in_g1;
    multiplications_in_g2: "eip-2537/*mul_G2_bls.json" => evm::weighted_sums_in_g2;
    refused_sums_in_g1: "eip-2537/*msm_G1_bls.json" => evm::weighted_sums_in_g1;
    refused_sums_in_g2: "eip-2537/*msm_G2_bls.json" => evm::weighted_sums_in_g2;
    weighted_sums_in_g1: "eip-2537/multiexp_G1_bls.json" => evm::weighted_sums_in_g1;
    weighted_sums_in_g2: "eip-2537/multiexp_G2_bls.json" => evm::weighted_sums_in_g2;
    pairings: "eip-2537/*pairing_check_bls.json" => evm::pairings;
    hash_to_g1: "hash-to-curve/*hash_to_G1_SHA256_SSWU_RO.json" => hash_to_curve::to_g1;
    hash_to_g2: "hash-to-curve/*hash_to_G2_SHA256_SSWU_RO.json" => hash_to_curve::to_g2;
    consensus_sign: "bls12-381-tests/sign/*.json" => consensus::sign;
    consensus_verify: "bls12-381-tests/verify/*.json" => consensus::verify;
    consensus_aggregate: "bls12-381-tests/aggregate/*.json" => consensus::aggregate;
    consensus_aggregate_verify: "bls12-381-tests/aggregate_verify/*.json" => consensus::aggregate_verify;
    consensus_fast_aggregate_verify: "bls12-381-tests/fast_aggregate_verify/*.json" => consensus::fast_aggregate_verify;
    consensus_batch_verify: "bls12-381-tests/batch_verify/*.json" => consensus::batch_verify;
    consensus_keys: "bls12-381-tests/deserialization_G1/*.json" => consensus::key_bytes;
    consensus_signatures: "bls12-381-tests/deserialization_G2/*.json" => consensus::signature_bytes;
    consensus_hash: "bls12-381-tests/hash_to_G2/*.json" => consensus::hash;
    eigenlayer_middleware: "eigenlayer-middleware/vectors.json" => eigenlayer::middleware;
    #[cfg(feature = "keystore")]
    key_files_of_mach: "mach-avs/*.key.json" => key_files::opens;
    #[cfg(feature = "keystore")]
    key_files_of_eigensdk: "eigensdk-go/*.key.json" => key_files::opens;
    #[cfg(feature = "keystore")]
    keys_of_eigensdk: "eigensdk-go/*/private_key_hex.txt" => key_files::belong_to_their_files;
    #[cfg(feature = "keystore")]
    key_files_of_eip_2335: "bn254-keystore-go/test*.json" => key_files::opens;
}

#[cfg_attr(
    not(feature = "keystore"),
    allow(dead_code, reason = "key files have no reader")
)]
const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        pattern: "eip-2537/*map_fp_to_G1_bls.json",
        source: "mach-devnet/tests/it/precompiles.rs",
        mention: "eip-2537",
    },
    Elsewhere {
        pattern: "eip-2537/*map_fp2_to_G2_bls.json",
        source: "mach-devnet/tests/it/precompiles.rs",
        mention: "eip-2537",
    },
    Elsewhere {
        pattern: "bn254-keystore-go/mnemonic.json",
        source: "mach-bls/tests/it/keystore.rs",
        mention: "bn254-keystore-go/mnemonic.json",
    },
    Elsewhere {
        pattern: "bn254-keystore-go/tree_kdf.json",
        source: "mach-bls/tests/it/keystore.rs",
        mention: "bn254-keystore-go/tree_kdf.json",
    },
    Elsewhere {
        pattern: "bn254-keystore-go/tree_kdf_intermediate.json",
        source: "mach-bls/tests/it/keystore.rs",
        mention: "bn254-keystore-go/tree_kdf_intermediate.json",
    },
    Elsewhere {
        pattern: "eigensdk-go/*/password.txt",
        source: "mach-bls/tests/it/keystore.rs",
        mention: "password.txt",
    },
];

/// `data/bls`, if there is one.
fn folder() -> Option<PathBuf> {
    let Ok(data) = std::env::var("MACH_DATA") else {
        println!("skipped: MACH_DATA is not set");
        return None;
    };
    Some(Path::new(&data).join("bls"))
}

/// All files below a folder, without those that only say what is there.
fn files(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = format!("{prefix}{name}");
            if path.is_dir() {
                walk(&path, &format!("{name}/"), names);
            } else if !name.ends_with(".md") {
                names.push(name);
            }
        }
    }
    let mut names = Vec::new();
    walk(folder, "", &mut names);
    names.sort();
    names
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

fn run(reader: &Reader) {
    let Some(folder) = folder() else { return };
    let names = files(&folder);
    let names = names.iter().filter(|name| matches(reader.pattern, name));
    let mut count = 0;
    for name in names {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        (reader.read)(&File {
            name: name.clone(),
            text,
        });
        count += 1;
    }
    assert!(count > 0, "nothing matches {}", reader.pattern);
}

#[cfg(feature = "keystore")]
#[test]
fn every_file_is_read_by_a_test() {
    let Some(folder) = folder() else { return };
    let names = files(&folder);
    let patterns = READERS.iter().map(|reader| reader.pattern);
    let patterns: Vec<_> = patterns
        .chain(ELSEWHERE.iter().map(|other| other.pattern))
        .collect();
    let unread: Vec<_> = names
        .iter()
        .filter(|name| !patterns.iter().any(|pattern| matches(pattern, name)))
        .collect();
    assert!(unread.is_empty(), "no test reads {unread:#?}");
    for pattern in patterns {
        assert!(names.iter().any(|name| matches(pattern, name)), "{pattern}");
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for Elsewhere {
        source, mention, ..
    } in ELSEWHERE
    {
        let text = fs::read_to_string(workspace.join(source)).unwrap();
        assert!(text.contains(mention), "{source} does not read {mention}");
    }
}

/// Hexadecimal digits, with or without 0x.
fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}
