//! The guests that are committed beside this prover.

use std::{fs, path::Path};

use eyre::{Context, Result};
use mach_prove::{
    BackendName, CommittedProgram, Program,
    protocol::{Guest, ProverError},
};
use mach_prover_openvm::{
    machine::{self, Kind},
    prove::Machine,
    verify,
};
use openvm_sdk::keygen::AppVerifyingKey;

/// The committed guest of `program`.
pub fn committed(program: Program) -> Result<Guest, ProverError> {
    let elf: &[u8] = match program {
        Program::Block => include_bytes!("../../../guests/openvm/block.elf"),
        Program::Output => include_bytes!("../../../guests/openvm/output.elf"),
    };
    Guest::committed(BackendName::OpenVm, program, elf)
}

/// Key for verifying. It follows from the machine alone: to make it takes seconds, to read it none.
pub fn key(program: Program) -> Result<AppVerifyingKey> {
    let key: &[u8] = match program {
        Program::Block => include_bytes!("../../../guests/openvm/block.key"),
        Program::Output => include_bytes!("../../../guests/openvm/output.key"),
    };
    verify::decode_key(key).wrap_err("the key cannot be read")
}

/// What the machine of a guest has to have.
pub const fn kind(program: Program) -> Kind {
    match program {
        Program::Block => Kind::Signatures,
        Program::Output => Kind::Hashing,
    }
}

/// Makes the keys of the guests in `folder` and writes them there. Answers what
/// `mach-prove/programs.json` says of the guests.
pub fn commit(folder: &Path, recipe: &str) -> Result<Vec<CommittedProgram>> {
    let entries = Program::ALL.into_iter().map(|program| {
        let elf = fs::read(folder.join(format!("{program}.elf")))
            .wrap_err_with(|| format!("there is no guest {program}"))?;
        let machine = Machine::new(kind(program), &elf, machine::DEFAULT_SEGMENT_MEMORY)?;
        let key = verify::encode_key(machine.key())?;
        fs::write(folder.join(format!("{program}.key")), key)?;
        let id = machine.id().into();
        Ok(CommittedProgram::new(
            program,
            BackendName::OpenVm,
            id,
            &elf,
            recipe,
        ))
    });
    entries.collect()
}
