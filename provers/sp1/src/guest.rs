//! The guests that are committed beside this prover.

use mach_prove::{
    BackendName, Program,
    protocol::{Guest, ProverError},
};

/// The committed guest of `program`.
pub(crate) fn committed(program: Program) -> Result<Guest, ProverError> {
    let elf: &[u8] = match program {
        Program::Block => include_bytes!("../../../guests/sp1/block.elf"),
        Program::Output => include_bytes!("../../../guests/sp1/output.elf"),
    };
    Guest::committed(BackendName::Sp1, program, elf)
}

/// Its verifying key, which the network wants with a guest that it does not know.
pub(crate) const fn key(program: Program) -> &'static [u8] {
    match program {
        Program::Block => include_bytes!("../../../guests/sp1/block.key"),
        Program::Output => include_bytes!("../../../guests/sp1/output.key"),
    }
}
