//! SP1's and OpenVM's own verifier contracts around a stand-in for the last step, the pairings.
//!
//! The crates of both provers carry the source of the contract that people deploy, but for the part that is
//! made of the circuit's key: that is not to be had without making the key, nor is a proof of 32 bytes. So what is
//! tested is all that those contracts do with what the adapters give them: each stand-in takes what
//! the prover's documentation says the circuit is given, and nothing else. The sources are compiled here, by
//! the compiler that `npm ci` puts beside our contracts.

use std::{
    io::{Error, Result, Write},
    path::Path,
    process::{Command, Stdio},
};

use alloy_primitives::hex;
use mach_contracts_bindings::zk::{Verifier, deploy_verifier};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{adapters::Adapter, genuine::package, *};

/// MIT or Apache-2.0.
const SP1: (&str, &str) = ("sp1-prover", "6.10.0");
/// MIT or Apache-2.0.
const OPENVM: (&str, &str) = ("openvm-sdk", "2.0.2");

const PROGRAM: B256 = B256::repeat_byte(0x11);
const DIGEST: B256 = B256::repeat_byte(0xf2);

/// Creation code of a contract.
fn compile(sources: &[(&str, String)], file: &str, contract: &str) -> Result<Bytes> {
    let solc = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules/solc/solc.js");
    if !solc.exists() {
        return Err(Error::other("no compiler: `npm ci` in contracts"));
    }
    let sources: serde_json::Map<_, _> = sources
        .iter()
        .map(|(name, content)| ((*name).to_owned(), json!({ "content": content })))
        .collect();
    let input = json!({
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": "cancun",
            "outputSelection": { file: { contract: ["evm.bytecode.object"] } },
        },
    });
    let mut compiler = Command::new("node")
        .arg(solc)
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdin = compiler.stdin.take();
    stdin.unwrap().write_all(input.to_string().as_bytes())?;
    let output = String::from_utf8(compiler.wait_with_output()?.stdout).unwrap();
    let output: Value = serde_json::from_str(&output[output.find('{').unwrap()..])?;
    let code = &output["contracts"][file][contract]["evm"]["bytecode"]["object"];
    let code = code.as_str().unwrap_or_else(|| panic!("{output}"));
    Ok(hex::decode(code).unwrap().into())
}

/// The source, with what its release fills in.
fn source(crate_: (&str, &str), file: &str, filled: &[(&str, &str)]) -> Result<String> {
    let mut text = std::fs::read_to_string(package(crate_)?.join(file))?;
    for (from, to) in filled {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Ok(text)
}

fn sp1(expected: B256) -> Result<Bytes> {
    let filled = [
        ("{SP1_CIRCUIT_VERSION}", "v6.1.0"),
        ("{VERIFIER_HASH}", &format!("{VERIFIER_HASH}")),
        ("{VK_ROOT}", &format!("{VK_ROOT}")),
    ];
    let sources = [
        (
            "v6/SP1Verifier.sol",
            source(SP1, "assets/SP1VerifierGroth16.txt", &filled)?,
        ),
        // Source: sp1-contracts 6.
        (
            "ISP1Verifier.sol",
            "// SPDX-License-Identifier: MIT
            pragma solidity ^0.8.20;
            interface ISP1Verifier {
                function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external view;
            }
            interface ISP1VerifierWithHash is ISP1Verifier {
                function VERIFIER_HASH() external pure returns (bytes32);
            }"
            .to_owned(),
        ),
        // In place of the pairings. Gnark's contract reverts with this error too.
        (
            "v6/Groth16Verifier.sol",
            format!(
                "// SPDX-License-Identifier: MIT
                pragma solidity ^0.8.20;
                contract Groth16Verifier {{
                    error ProofInvalid();
                    function Verify(uint256[8] calldata proof, uint256[5] calldata input) public pure {{
                        if (keccak256(abi.encode(proof, input)) != {expected}) revert ProofInvalid();
                    }}
                }}"
            ),
        ),
    ];
    compile(&sources, "v6/SP1Verifier.sol", "SP1Verifier")
}

const VERIFIER_HASH: B256 = B256::repeat_byte(0xa4);
const VK_ROOT: B256 = B256::repeat_byte(0x10);

/// A proof's selector, its three public inputs, and the points.
fn sp1_proof(exit_code: u8, root: B256) -> (Vec<u8>, Vec<u8>) {
    let points: Vec<u8> = (0..=255).collect();
    let inputs = [
        B256::with_last_byte(exit_code),
        root,
        B256::with_last_byte(77),
    ]
    .concat();
    (
        [&VERIFIER_HASH[..4], &inputs, &points].concat(),
        [points, inputs].concat(),
    )
}

#[tokio::test]
async fn online_sp1s_own_contract_gets_what_the_circuit_is_given() {
    let (proof, parts) = sp1_proof(0, VK_ROOT);
    let (points, inputs) = parts.split_at(256);
    // As SP1 has it: a field element has no room for the highest three bits.
    let mut values = Sha256::digest(DIGEST);
    values[0] &= 0x1f;
    let circuit = [points, PROGRAM.as_slice(), &values, inputs].concat();
    let code = match sp1(keccak256(circuit)) {
        Ok(code) => code,
        Err(error) => return println!("skipped: {error}"),
    };
    let world = World::new().await;
    let (verifier, _) = world.owner.deploy(code).await.unwrap();
    let selector = alloy_primitives::FixedBytes::from_slice(&VERIFIER_HASH[..4]);
    let adapter = Verifier::Sp1(verifier, selector);
    let address = deploy_verifier(&world.owner, adapter).await.unwrap();
    let adapter = Adapter { world, address };
    adapter.verify_as(PROGRAM, DIGEST, &proof).await.unwrap();

    let mut other = proof.clone();
    *other.last_mut().unwrap() ^= 1;
    let (failed, _) = sp1_proof(1, VK_ROOT);
    let (foreign, _) = sp1_proof(0, DIGEST);
    let cases = [
        (DIGEST, DIGEST, &proof, "ProofInvalid"),
        (PROGRAM, PROGRAM, &proof, "ProofInvalid"),
        (PROGRAM, DIGEST, &other, "ProofInvalid"),
        // A program that panicked proves nothing.
        (PROGRAM, DIGEST, &failed, "InvalidExitCode"),
        (PROGRAM, DIGEST, &foreign, "InvalidVkRoot"),
    ];
    for (program, digest, proof, name) in cases {
        let told = adapter.verify_as(program, digest, proof).await.unwrap_err();
        assert!(told.starts_with(name), "{name}: {told}");
    }
    let cut = adapter.verify_as(PROGRAM, DIGEST, &proof[..100]).await;
    assert!(cut.unwrap_err().starts_with("ProofRejected"));
}

fn openvm(expected: B256) -> Result<Bytes> {
    // A newer compiler than theirs.
    let pragma = ("pragma solidity 0.8.19", "pragma solidity ^0.8.19");
    let filled = [
        pragma,
        ("{PUBLIC_VALUES_LENGTH}", "32"),
        ("{OPENVM_VERSION}", "2.0"),
    ];
    let interface = source(OPENVM, "contracts/src/IOpenVmHalo2Verifier.sol", &[])?;
    let sources = [
        (
            "v2/OpenVmHalo2Verifier.sol",
            source(
                OPENVM,
                "contracts/template/OpenVmHalo2Verifier.sol",
                &filled,
            )?,
        ),
        (
            "v2/interfaces/IOpenVmHalo2Verifier.sol",
            interface.replace(pragma.0, pragma.1),
        ),
        // In place of the pairings.
        (
            "v2/Halo2Verifier.sol",
            format!(
                "// SPDX-License-Identifier: MIT
                pragma solidity ^0.8.19;
                contract Halo2Verifier {{
                    fallback(bytes calldata input) external returns (bytes memory) {{
                        require(keccak256(input) == {expected});
                        return \"\";
                    }}
                }}"
            ),
        ),
    ];
    compile(
        &sources,
        "v2/OpenVmHalo2Verifier.sol",
        "OpenVmHalo2Verifier",
    )
}

#[tokio::test]
async fn online_openvms_own_contract_gets_what_the_circuit_is_given() {
    let vm = B256::repeat_byte(0x22);
    // Limbs of the accumulator have 88 bits.
    let proof: Vec<u8> = (0..55 * 32)
        .map(|at| if at % 32 < 21 { 0 } else { at as u8 })
        .collect();
    let (accumulator, rest) = proof.split_at(12 * 32);
    // As OpenVM has it: each revealed byte in a word of its own.
    let revealed = DIGEST.iter().map(|byte| B256::with_last_byte(*byte));
    let revealed = revealed.collect::<Vec<_>>().concat();
    let circuit = [
        accumulator,
        PROGRAM.as_slice(),
        vm.as_slice(),
        &revealed,
        rest,
    ]
    .concat();
    let code = match openvm(keccak256(circuit)) {
        Ok(code) => code,
        Err(error) => return println!("skipped: {error}"),
    };
    let world = World::new().await;
    let (verifier, _) = world.owner.deploy(code).await.unwrap();
    let address = deploy_verifier(&world.owner, Verifier::OpenVm(verifier, vm))
        .await
        .unwrap();
    let other = deploy_verifier(&world.owner, Verifier::OpenVm(verifier, PROGRAM)).await;
    let adapter = Adapter { world, address };
    adapter.verify_as(PROGRAM, DIGEST, &proof).await.unwrap();

    let mut altered = proof.clone();
    altered[99 * 16 + 31] ^= 1;
    let cases = [
        (vm, DIGEST, &proof, "ProofVerificationFailed"),
        (PROGRAM, PROGRAM, &proof, "ProofVerificationFailed"),
        (PROGRAM, DIGEST, &altered, "ProofVerificationFailed"),
        // No element of the field.
        (
            B256::repeat_byte(0x31),
            DIGEST,
            &proof,
            "InvalidAppExeCommit",
        ),
    ];
    for (program, digest, proof, name) in cases {
        let told = adapter.verify_as(program, digest, proof).await.unwrap_err();
        assert!(told.starts_with(name), "{name}: {told}");
    }
    // Behind an adapter of another machine the same proof is of that one.
    let adapter = Adapter {
        address: other.unwrap(),
        ..adapter
    };
    let told = adapter.verify_as(PROGRAM, DIGEST, &proof).await;
    assert!(told.unwrap_err().starts_with("ProofVerificationFailed"));
}
