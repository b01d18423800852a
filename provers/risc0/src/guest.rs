//! The guests that are committed beside this prover.

use mach_prove::{
    BackendName, Program,
    protocol::{Guest, ProverError},
};
use risc0_binfmt::ProgramBinary;
use risc0_zkos_v1compat::V1COMPAT_ELF;
use risc0_zkvm::{Digest, compute_image_id};

/// The committed guest of `program`.
pub(crate) fn committed(program: Program) -> Result<Guest, ProverError> {
    let elf: &[u8] = match program {
        Program::Block => include_bytes!("../../../guests/risc0/block.elf"),
        Program::Output => include_bytes!("../../../guests/risc0/output.elf"),
    };
    Guest::committed(BackendName::Risc0, program, elf)
}

/// What the machine runs: a guest above RISC Zero's kernel, which comes with a crate of theirs.
pub(crate) fn binary(elf: &[u8]) -> Vec<u8> {
    ProgramBinary::new(elf, V1COMPAT_ELF).encode()
}

/// RISC Zero's name for a binary: the root of the memory that it begins with.
///
/// Errors: [`ProverError`], if it is no binary.
pub(crate) fn image_id(binary: &[u8]) -> Result<Digest, ProverError> {
    compute_image_id(binary).map_err(ProverError::other)
}

/// What the guest reads: the length of the input as four bytes, little-endian, and the input.
pub(crate) fn framed(input: &[u8]) -> Result<Vec<u8>, ProverError> {
    let length = u32::try_from(input.len())?.to_le_bytes();
    Ok([&length[..], input].concat())
}
