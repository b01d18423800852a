//! How mach talks to a prover, and the proof file: `mach_prove::protocol` describes both.
//!
//! Written down again here, in the few lines that this side needs: with mach-prove came an EVM, and the
//! prover takes long enough to build.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use eyre::{Context, Result, bail, ensure, eyre};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use mach_prover_openvm::machine::Kind;

/// Most bytes of an input or a proof file that are read.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// A line on standard output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Message {
    Executed { instructions: u64 },
    Segment { done: u64, total: u64 },
    Step { name: &'static str },
    Program(Committed),
    Failed { failure: Failure, message: String },
    Done,
}

impl Message {
    pub fn say(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            println!("{line}");
        }
    }
}

/// Why nothing was proved or verified.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    Refused,
    Invalid,
    Unable,
    Other,
}

/// The guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Program {
    Block,
    Output,
}

impl Program {
    pub const ALL: [Self; 2] = [Self::Block, Self::Output];

    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| eyre!("there is no program {name}"))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Output => "output",
        }
    }

    pub const fn kind(self) -> Kind {
        match self {
            Self::Block => Kind::Signatures,
            Self::Output => Kind::Hashing,
        }
    }
}

/// A guest as this prover knows it.
#[derive(Debug, Serialize)]
pub struct Committed {
    pub program: Program,
    pub id: Bytes32,
    pub file: String,
    pub sha256: Bytes32,
}

/// 32 bytes, in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes32(pub [u8; 32]);

impl Serialize for Bytes32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text).and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("not 32 bytes in hex"))?;
        Ok(Self(bytes))
    }
}

/// What is proved, as JSON with its fields by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Journal(Value);

/// Fields of a journal after its version, in the order of its encoding, with the bytes that each may
/// have.
const FIELDS: [(&str, usize); 12] = [
    ("l1ChainId", 32),
    ("serviceManager", 20),
    ("prover", 20),
    ("rollupChainId", 32),
    ("configHash", 32),
    ("parentHash", 32),
    ("blockHash", 32),
    ("blockNumber", 8),
    ("fault", 2),
    ("claimed", 32),
    ("computed", 32),
    ("outputRoot", 32),
];

impl Journal {
    /// SHA-256 of Solidity's `abi.encode`, which starts with version 1.
    pub fn digest(&self) -> Result<[u8; 32]> {
        let fields = self
            .0
            .as_object()
            .ok_or_else(|| eyre!("the journal is no object"))?;
        ensure!(fields.len() == FIELDS.len(), "the journal has other fields");
        let mut encoded = vec![0; 32];
        encoded[31] = 1;
        for (name, size) in FIELDS {
            let value = fields
                .get(name)
                .ok_or_else(|| eyre!("the journal lacks {name}"))?;
            let bytes =
                word(value).filter(|bytes| bytes.iter().rev().skip(size).all(|it| *it == 0));
            encoded.extend(bytes.ok_or_else(|| eyre!("the journal's {name} is malformed"))?);
        }
        Ok(Sha256::digest(encoded).into())
    }
}

/// A number, or hex, at the end of 32 bytes.
fn word(value: &Value) -> Option<[u8; 32]> {
    let bytes = match value {
        Value::Number(number) => number.as_u64()?.to_be_bytes().to_vec(),
        Value::String(text) => from_hex(text)?,
        _ => return None,
    };
    let mut word = [0; 32];
    let start = word.len().checked_sub(bytes.len())?;
    word[start..].copy_from_slice(&bytes);
    Some(word)
}

/// A proof file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    pub version: u64,
    pub backend: String,
    pub program: Program,
    pub program_id: Bytes32,
    pub journal: Journal,
    pub proof: Hex,
}

impl Proof {
    /// A proof of this prover.
    pub fn new(program: Program, program_id: Bytes32, journal: Journal, proof: Vec<u8>) -> Self {
        Self {
            version: 1,
            backend: "openvm".to_owned(),
            program,
            program_id,
            journal,
            proof: Hex(proof),
        }
    }

    pub fn read(path: &Path) -> Result<Self> {
        let proof: Self =
            serde_json::from_slice(&read(path)?).wrap_err("the proof file is malformed")?;
        ensure!(
            proof.version == 1,
            "version {} of proof files is not known",
            proof.version
        );
        ensure!(proof.backend == "openvm", "the proof is of another backend");
        Ok(proof)
    }

    /// It appears whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let partial = PathBuf::from(format!("{}.partial", path.display()));
        fs::write(&partial, serde_json::to_vec(self)?)?;
        Ok(fs::rename(partial, path)?)
    }
}

/// Bytes in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text).ok_or_else(|| serde::de::Error::custom("not hex"))?;
        Ok(Self(bytes))
    }
}

/// The journal that native code gave for the request, in the folder that belongs to it.
pub fn read_journal(work_dir: &Path) -> Result<Journal> {
    let json = read(&work_dir.join("journal.json"))?;
    serde_json::from_slice(&json).wrap_err("journal.json is malformed")
}

/// A file, if it is not too large.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let open = || format!("{} cannot be read", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).wrap_err_with(open)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .wrap_err_with(open)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        bail!("{} is larger than {MAX_FILE_BYTES} bytes", path.display());
    }
    Ok(bytes)
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    text.extend(digits.map(|digit| DIGITS[usize::from(digit)]));
    text
}

/// Of an odd number of digits too, as numbers have them.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let value = |digit: &u8| char::from(*digit).to_digit(16).map(|it| it as u8);
    let (first, rest) = digits.split_at(digits.len() % 2);
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
    if let [digit] = first {
        bytes.push(value(digit)?);
    }
    for pair in rest.chunks_exact(2) {
        bytes.push(value(&pair[0])? << 4 | value(&pair[1])?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example() -> Value {
        let word = |digits: &str| format!("0x{}", digits.repeat(32));
        json!({
            "l1ChainId": "0x384", "rollupChainId": "0x385",
            "serviceManager": "0x00000000000000000000000000000000000000aa",
            "prover": "0x00000000000000000000000000000000000000bb",
            "configHash": word("01"), "parentHash": word("02"), "blockHash": word("03"),
            "blockNumber": 8, "fault": 4,
            "claimed": word("04"), "computed": word("05"), "outputRoot": word("00"),
        })
    }

    /// The digest that a test of mach-prove takes from Python's hashlib.
    #[test]
    fn the_digest_is_that_of_another_implementation() {
        let digest = Journal(example()).digest().unwrap();
        let expected = "0xf6753840f34c76258636cd3e7994a398e2d3f99dc8b1570ec2b723d85b667bd2";
        assert_eq!(to_hex(&digest), expected);
    }

    #[test]
    fn what_is_no_journal_has_no_digest() {
        let changes: [fn(&mut Value); 6] = [
            |it| it["fault"] = json!(65_536),
            |it| it["prover"] = json!("0x0100000000000000000000000000000000000000bb"),
            |it| it["claimed"] = json!("0x0g"),
            |it| it["more"] = json!(1),
            |it| it["blockNumber"] = json!(-1),
            |it| *it = json!([]),
        ];
        for change in changes {
            let mut journal = example();
            change(&mut journal);
            assert!(Journal(journal.clone()).digest().is_err(), "{journal}");
        }
    }
}
