//! The virtual machine of each program: its extensions, its keys, its executable.

use std::sync::Arc;

use eyre::{Context, Result};
use openvm_algebra_circuit::ModularExtension;
use openvm_circuit::arch::{SystemConfig, instructions::exe::VmExe};
use openvm_ecc_circuit::{SECP256K1_CONFIG, WeierstrassExtension};
use openvm_sdk::{
    F,
    config::AppConfig,
    keygen::{AppProvingKey, AppVerifyingKey},
};
use openvm_sdk_config::{SdkVmConfig, TranspilerConfig};
use openvm_stark_sdk::config::app_params_with_100_bits_security;
use openvm_transpiler::{FromElf, elf::Elf, openvm_platform::memory::MEM_SIZE};

/// Bytes that one segment may take if nothing else is said.
pub const DEFAULT_SEGMENT_MEMORY: usize = 2 << 30;

/// What a guest needs beside the integers of RISC-V.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keccak.
    Hashing,
    /// Keccak and secp256k1.
    Signatures,
}

/// Rows of the longest table, and of the matrix that all tables of a segment are stacked in, as a
/// power of two. The lookup tables have 2^19; the matrix is hashed whole, so more costs time.
const LOG_HEIGHT: usize = 20;

/// The extensions of the machine that runs a guest, and no more than it uses: each has a price in
/// every segment. `segment_memory` is what the prover may take for one segment, in bytes; the keys
/// do not depend on it.
///
/// The order of moduli and curves is that of `moduli_init!` and `sw_init!` in the guest.
pub fn config(kind: Kind, segment_memory: usize) -> AppConfig<SdkVmConfig> {
    let mut system = SystemConfig::default();
    system.set_segmentation_max_memory(segment_memory);
    let common = SdkVmConfig::builder()
        .system(system.into())
        .rv32i(Default::default())
        .rv32m(Default::default())
        .io(Default::default())
        .keccak(Default::default());
    let machine = match kind {
        Kind::Hashing => common.build(),
        Kind::Signatures => {
            let curve = SECP256K1_CONFIG.clone();
            let moduli = vec![curve.modulus.clone(), curve.scalar.clone()];
            common
                .modular(ModularExtension::new(moduli))
                .ecc(WeierstrassExtension::new(vec![curve]))
                .build()
        }
    };
    let parameters = app_params_with_100_bits_security(LOG_HEIGHT);
    AppConfig::new(machine.optimize(), parameters)
}

/// Both keys. They follow from the configuration alone: nothing is secret, nothing is set up.
pub fn keys(
    config: AppConfig<SdkVmConfig>,
) -> Result<(AppProvingKey<SdkVmConfig>, AppVerifyingKey)> {
    let proving = AppProvingKey::keygen(config).wrap_err("the machine's keys cannot be made")?;
    let verifying = proving.get_app_vk();
    Ok((proving, verifying))
}

/// The executable of a guest.
pub fn executable(elf: &[u8], config: &SdkVmConfig) -> Result<Arc<VmExe<F>>> {
    let elf = Elf::decode(elf, MEM_SIZE as u32).wrap_err("the guest is not an ELF file")?;
    let exe = VmExe::from_elf(elf, config.transpiler());
    Ok(Arc::new(exe.wrap_err(
        "the guest has an instruction that the machine lacks",
    )?))
}
