//! Creation code of EigenLayer's contracts, and batches of op-node, read from the sources of the crates that
//! carry them.
//!
//! They are never built: with their alloy 1.x that would take longer than everything here together. The
//! lock file pins them and cargo checks what it fetches.

use std::{path::PathBuf, process::Command, sync::LazyLock};

use alloy_primitives::{Address, Bytes, hex};
use serde_json::Value;

/// Of EigenLayer's M2 release; `file` without ending, such as `core/strategy_manager`.
pub(crate) fn m2(file: &str) -> Bytes {
    binding(&EIGEN_UTILS.join("src/rewardsv2"), file)
}

/// Of the slashing release.
pub(crate) fn slashing(file: &str) -> Bytes {
    binding(&DEPLOYER.join("src/bindings/core"), file)
}

/// The coordinator of the slashing release, with its two libraries.
pub(crate) fn slashing_coordinator(bitmaps: Address, signatures: Address) -> Bytes {
    let path = "src/artifacts/eigenlayer-middleware-1.3.1/SlashingRegistryCoordinator.json";
    let artifact = std::fs::read_to_string(DEPLOYER.join(path)).unwrap();
    let artifact: Value = serde_json::from_str(&artifact).unwrap();
    let code = &artifact["bytecode"];
    let mut text = code["object"].as_str().unwrap().to_owned();
    for (file, libraries) in code["linkReferences"].as_object().unwrap() {
        let library = match file.as_str() {
            "src/libraries/QuorumBitmapHistoryLib.sol" => bitmaps,
            "src/libraries/SignatureCheckerLib.sol" => signatures,
            other => panic!("no address for {other}"),
        };
        for place in libraries
            .as_object()
            .unwrap()
            .values()
            .flat_map(|places| places.as_array().unwrap())
        {
            // In bytes, after "0x".
            let start = 2 + 2 * place["start"].as_u64().unwrap() as usize;
            text.replace_range(start..start + 40, &hex::encode(library));
        }
    }
    hex::decode(text).unwrap().into()
}

/// A file that kona is tested with.
pub(crate) fn kona(file: &str) -> Vec<u8> {
    std::fs::read(package("kona-protocol").join(file)).unwrap()
}

/// The creation code stands in the documentation of its constant.
fn binding(folder: &std::path::Path, file: &str) -> Bytes {
    let path = folder.join(file).with_extension("rs");
    let source = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = source
        .split_once("The creation / init bytecode of the contract.")
        .unwrap_or_else(|| panic!("{} has no creation code", path.display()));
    let line = rest
        .lines()
        .find_map(|line| line.trim().strip_prefix("///0x"))
        .unwrap();
    hex::decode(line).unwrap().into()
}

static EIGEN_UTILS: LazyLock<PathBuf> = LazyLock::new(|| package("eigen-utils"));
static DEPLOYER: LazyLock<PathBuf> = LazyLock::new(|| package("eigenlayer-contract-deployer"));
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    // Fetches what is not there yet.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
});

/// Where cargo keeps the sources of a package.
fn package(name: &str) -> PathBuf {
    let packages = METADATA["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == name);
    let manifest = package.unwrap()["manifest_path"].as_str().unwrap();
    PathBuf::from(manifest).parent().unwrap().to_owned()
}
