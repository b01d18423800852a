//! The guests that are committed beside this prover.

use eyre::{Context, Result};
use mach_prove::{
    BackendName, Program,
    protocol::{Guest, ProverError},
};
use mach_prover_openvm::{machine::Kind, verify};
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
