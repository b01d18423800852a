//! RISC Zero's own contracts and a genuine receipt, read from the crates that carry them.
//!
//! The contracts are under the GPL, so neither they nor what is compiled of them is in this repository, and
//! nothing depends on the crates: `cargo info` fetches one crate without its dependencies, and checks it.

use std::{
    env,
    io::{Error, Result},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use alloy_primitives::{B256, Bytes, b256, hex, keccak256};

/// Apache-2.0; has the creation code of RISC Zero's contracts.
const CODE: (&str, &str) = ("boundless-market", "2.0.1");
/// Apache-2.0; has the parameters of the verifier and a receipt that it takes.
const RECEIPT: (&str, &str) = ("risc0-ethereum-contracts", "3.0.1");

/// What the genuine verifier is deployed with and given.
pub(crate) struct RiscZero {
    /// Creation code of `RiscZeroGroth16Verifier`, with its arguments.
    pub(crate) verifier: Bytes,
    /// Creation code of `RiscZeroVerifierRouter`, without its argument.
    pub(crate) router: Bytes,
    /// Creation code of `RiscZeroMockVerifier`, without its argument.
    pub(crate) mock: Bytes,
    /// A Groth16 receipt's proof: the selector, then three points.
    pub(crate) seal: Bytes,
    /// The program that was proved.
    pub(crate) image_id: B256,
    /// What it said.
    pub(crate) journal: Bytes,
}

impl RiscZero {
    /// Reads both crates, and fetches them first if they are not there.
    pub(crate) fn load() -> Result<Self> {
        let code = std::fs::read_to_string(package(CODE)?.join("src/contracts/bytecode.rs"))?;
        let package = package(RECEIPT)?;
        let parameters = std::fs::read_to_string(package.join("src/groth16/ControlID.sol"))?;
        let receipt = std::fs::read_to_string(package.join("test/TestReceiptV3_0.sol"))?;
        let creation = creation_code(&code, "RiscZeroGroth16Verifier")?;
        // Whatever cargo fetched, this is what was looked at.
        if keccak256(&creation) != VERIFIER {
            return Err(Error::other("the verifier is another one than expected"));
        }
        let verifier = [
            creation,
            literal(&parameters, "CONTROL_ROOT")?,
            literal(&parameters, "BN254_CONTROL_ID")?,
        ];
        let image_id = literal(&receipt, "IMAGE_ID")?;
        Ok(Self {
            verifier: verifier.concat().into(),
            router: creation_code(&code, "RiscZeroVerifierRouter")?.into(),
            mock: creation_code(&code, "RiscZeroMockVerifier")?.into(),
            seal: literal(&receipt, "SEAL")?.into(),
            image_id: B256::try_from(image_id.as_slice()).map_err(Error::other)?,
            journal: literal(&receipt, "JOURNAL")?.into(),
        })
    }
}

/// Hash of the creation code of `RiscZeroGroth16Verifier`.
const VERIFIER: B256 = b256!("a5d60a58cefae4d19f8ce2942acbce0bf9332237f71b835765c8e255bb70287e");

/// Where cargo has the sources of a crate.
pub(super) fn package((name, version): (&str, &str)) -> Result<PathBuf> {
    if let Some(found) = find(name, version) {
        return Ok(found);
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Outside of any workspace, whose dependencies it would look at.
    let status = Command::new(cargo)
        .args(["info", "--quiet", &format!("{name}@{version}")])
        .current_dir(env::temp_dir())
        .stdout(Stdio::null())
        .status()?;
    let fetched = status.success().then(|| find(name, version)).flatten();
    fetched.ok_or_else(|| Error::other(format!("cargo does not find {name} {version}")))
}

fn find(name: &str, version: &str) -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")))?;
    let registries = std::fs::read_dir(home.join("registry/src")).ok()?;
    registries
        .filter_map(|registry| Some(registry.ok()?.path().join(format!("{name}-{version}"))))
        .find(|path| path.join(".cargo-ok").exists())
}

/// The last `bytecode = "..."` before `contract NAME`.
fn creation_code(source: &str, contract: &str) -> Result<Vec<u8>> {
    let missing = || Error::other(format!("no creation code of {contract}"));
    let (before, _) = source
        .split_once(&format!("contract {contract} "))
        .ok_or_else(missing)?;
    let (_, code) = before.rsplit_once("bytecode = \"").ok_or_else(missing)?;
    let (code, _) = code.split_once('"').ok_or_else(missing)?;
    hex::decode(code).map_err(Error::other)
}

/// `NAME = hex"..."` of Solidity.
fn literal(source: &str, name: &str) -> Result<Vec<u8>> {
    let missing = || Error::other(format!("no {name}"));
    let (_, rest) = source
        .split_once(&format!(" {name} ="))
        .ok_or_else(missing)?;
    let (_, rest) = rest.split_once("hex\"").ok_or_else(missing)?;
    let (digits, _) = rest.split_once('"').ok_or_else(missing)?;
    hex::decode(digits).map_err(Error::other)
}
