//! The guests that are committed beside this prover.

use std::{fs, path::Path};

use eyre::{Context, Result, ensure, eyre};
use openvm_sdk::keygen::AppVerifyingKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use mach_prover_openvm::{machine, prove::Machine, verify};

use crate::protocol::{Bytes32, Committed, Program};

/// What is known of the guests of every prover.
const PROGRAMS: &str = include_str!("../../../mach-prove/programs.json");

/// A guest, ready to be proved or verified.
pub struct Guest {
    /// What runs.
    pub elf: &'static [u8],
    /// Its name, id and hash.
    pub committed: Committed,
    key: &'static [u8],
}

impl Guest {
    /// The committed guest of `program`.
    pub fn new(program: Program) -> Result<Self> {
        let (elf, key): (&[u8], &[u8]) = match program {
            Program::Block => (
                include_bytes!("../../../guests/openvm/block.elf"),
                include_bytes!("../../../guests/openvm/block.key"),
            ),
            Program::Output => (
                include_bytes!("../../../guests/openvm/output.elf"),
                include_bytes!("../../../guests/openvm/output.key"),
            ),
        };
        let programs: Vec<Value> = serde_json::from_str(PROGRAMS).wrap_err("programs.json")?;
        let file = file(program);
        let entry = programs.into_iter().find(|it| it["file"] == file.as_str());
        let mut entry = entry.ok_or_else(|| eyre!("programs.json does not know the guest"))?;
        let committed = Committed {
            program,
            id: serde_json::from_value(entry["ids"]["openvm"].take())?,
            sha256: serde_json::from_value(entry["sha256"].take())?,
            file,
        };
        ensure!(
            sha256(elf) == committed.sha256,
            "the guest is not the committed one"
        );
        Ok(Self {
            elf,
            committed,
            key,
        })
    }

    /// Key for verifying. It follows from the machine alone: to make it takes seconds, to read it
    /// none.
    pub fn key(&self) -> Result<AppVerifyingKey> {
        verify::decode_key(self.key).wrap_err("the key cannot be read")
    }
}

/// Makes the keys of the guests in `folder` and writes them there. Answers what
/// `mach-prove/programs.json` says of the guests.
pub fn write_keys(folder: &Path, recipe: &str) -> Result<Value> {
    let entries = Program::ALL.into_iter().map(|program| {
        let elf = fs::read(folder.join(format!("{}.elf", program.name())))
            .wrap_err_with(|| format!("there is no guest {}", program.name()))?;
        let machine = Machine::new(program.kind(), &elf, machine::DEFAULT_SEGMENT_MEMORY)?;
        let key = verify::encode_key(machine.key())?;
        fs::write(folder.join(format!("{}.key", program.name())), key)?;
        Ok(json!({
            "program": program,
            "file": file(program),
            "sha256": sha256(&elf),
            "ids": { "openvm": Bytes32(machine.id()) },
            "recipe": recipe,
        }))
    });
    entries.collect()
}

fn file(program: Program) -> String {
    format!("guests/openvm/{}.elf", program.name())
}

fn sha256(bytes: &[u8]) -> Bytes32 {
    Bytes32(Sha256::digest(bytes).into())
}
