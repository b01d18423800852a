use std::{io::Read, path::Path};

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::{BackendName, file::write_whole};
use crate::{Journal, Program};

/// Format that is written, and the only one that is read.
pub const PROOF_VERSION: u64 = 1;

/// Most bytes of a proof file that are read.
pub const MAX_PROOF_BYTES: u64 = 256 * 1024 * 1024;

/// A journal with the proof that a guest program made it.
///
/// In a file it is one JSON object: `version`, `backend`, `program`, `programId`, `journal` with its
/// fields by name, and `proof`, the bytes that the backend's verifier takes, in hex. What it says is
/// worth nothing before it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who made it.
    pub backend: BackendName,
    /// Which guest made the journal.
    pub program: Program,
    /// The code of that guest.
    pub program_id: B256,
    /// What is proved.
    pub journal: Journal,
    /// Bytes for the verifier; none from [`BackendName::Native`].
    pub proof: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    version: u64,
    backend: BackendName,
    program: Program,
    program_id: B256,
    journal: Journal,
    proof: Bytes,
}

/// Of a file of any version.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl Proof {
    /// Most bytes of [`Self::proof`]: two digits for each, and room for what stands beside them.
    pub const MAX_LENGTH: usize = (MAX_PROOF_BYTES as usize - 4096) / 2;

    /// Reads the JSON object. What it says is not verified here.
    ///
    /// Errors: [`ProofFileError`].
    pub fn parse(json: &[u8]) -> Result<Self, ProofFileError> {
        if json.len() as u64 > MAX_PROOF_BYTES {
            return Err(ProofFileError::TooLarge);
        }
        // First of all: of another format nothing else is known.
        let Versioned { version } = serde_json::from_slice(json).map_err(ProofFileError::Json)?;
        if version != PROOF_VERSION {
            return Err(ProofFileError::Version(version));
        }
        let wire: Wire = serde_json::from_slice(json).map_err(ProofFileError::Json)?;
        Ok(Self {
            backend: wire.backend,
            program: wire.program,
            program_id: wire.program_id,
            journal: wire.journal,
            proof: wire.proof,
        })
    }

    /// The JSON object. The same proof gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let wire = Wire {
            version: PROOF_VERSION,
            backend: self.backend,
            program: self.program,
            program_id: self.program_id,
            journal: self.journal,
            proof: self.proof.clone(),
        };
        // Names, numbers and hex: nothing that JSON cannot say.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads a file of at most [`MAX_PROOF_BYTES`].
    ///
    /// Errors: [`ProofFileError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ProofFileError> {
        let file = std::fs::File::open(path).map_err(ProofFileError::Io)?;
        let mut json = Vec::new();
        let mut limited = file.take(MAX_PROOF_BYTES + 1);
        limited.read_to_end(&mut json).map_err(ProofFileError::Io)?;
        Self::parse(&json)
    }

    /// Writes a file that [`Self::read`] reads. It appears whole or not at all.
    ///
    /// Errors: [`ProofFileError::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ProofFileError> {
        write_whole(path, &self.to_json()).map_err(ProofFileError::Io)
    }
}

/// Why a file holds no proof.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// The file cannot be read or written.
    #[error("the proof file cannot be read or written")]
    Io(#[source] std::io::Error),
    /// More bytes than [`MAX_PROOF_BYTES`].
    #[error("the proof file is larger than {MAX_PROOF_BYTES} bytes")]
    TooLarge,
    /// Another version than [`PROOF_VERSION`].
    #[error("version {0} of proof files is not known")]
    Version(u64),
    /// It is not such a JSON object.
    #[error("the proof file is malformed")]
    Json(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256, bytes};
    use serde_json::{Value, json};

    use super::*;

    fn proof() -> Proof {
        let journal = Journal {
            l1_chain_id: U256::from(1),
            service_manager: Address::repeat_byte(1),
            prover: Address::repeat_byte(2),
            rollup_chain_id: U256::MAX,
            config_hash: B256::repeat_byte(3),
            parent_hash: B256::repeat_byte(4),
            block_hash: B256::repeat_byte(5),
            block_number: u64::MAX,
            fault: 4,
            claimed: B256::repeat_byte(6),
            computed: B256::repeat_byte(7),
            output_root: B256::ZERO,
        };
        Proof {
            backend: BackendName::OpenVm,
            program: Program::Block,
            program_id: B256::repeat_byte(8),
            journal,
            proof: bytes!("0102"),
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof.json");
        proof().write(&path).unwrap();
        assert_eq!(Proof::read(&path).unwrap(), proof());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_longest_proof_fits_into_a_file() {
        let mut proof = proof();
        proof.journal.l1_chain_id = U256::MAX;
        proof.proof = Bytes::new();
        let digits = 2 * Proof::MAX_LENGTH;
        assert!((proof.to_json().len() + digits) as u64 <= MAX_PROOF_BYTES);
    }

    #[test]
    fn what_is_no_proof_file_is_named() {
        let good: Value = serde_json::from_slice(&proof().to_json()).unwrap();
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 6] = [
            (
                |it| it["version"] = json!(2),
                "version 2 of proof files is not known",
            ),
            (
                |it| it["backend"] = json!("sp2"),
                "the proof file is malformed",
            ),
            (
                |it| it["program"] = json!("blocks"),
                "the proof file is malformed",
            ),
            (|it| it["more"] = json!(1), "the proof file is malformed"),
            (
                |it| it["journal"]["more"] = json!(1),
                "the proof file is malformed",
            ),
            (
                |it| it["journal"]["fault"] = json!(65_536),
                "the proof file is malformed",
            ),
        ];
        for (change, message) in changes {
            let mut json = good.clone();
            change(&mut json);
            let error = Proof::parse(json.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(matches!(Proof::parse(b"[]"), Err(ProofFileError::Json(_))));
        assert!(matches!(Proof::read("/absent"), Err(ProofFileError::Io(_))));
    }
}
