//! From an input to a proof of one segment after another.

use std::sync::Arc;

use eyre::{Context, Result, eyre};
use openvm_circuit::{
    arch::{VmInstance, instructions::exe::VmExe},
    system::{
        memory::merkle::public_values::extract_public_values,
        program::trace::compute_exe_commit_from_mem_config,
    },
};
use openvm_continuations::CommitBytes;
use openvm_sdk::{
    DefaultStarkEngine, F, StdIn, keygen::AppVerifyingKey, prover::vm::new_local_prover,
};
use openvm_sdk_config::SdkVmCpuBuilder;

use crate::{
    machine::{self, Kind},
    verify::{AppProof, encode},
};

type Instance = VmInstance<DefaultStarkEngine, SdkVmCpuBuilder>;

/// A virtual machine with a guest in it.
pub struct Machine {
    instance: Instance,
    exe: Arc<VmExe<F>>,
    key: AppVerifyingKey,
}

/// What a run gave, without a proof.
pub struct Run {
    /// Instructions of each segment.
    pub segments: Vec<u64>,
    /// What the guest revealed: the digest of its journal.
    pub revealed: Vec<u8>,
}

impl Machine {
    /// Makes the keys and loads the guest.
    pub fn new(kind: Kind, elf: &[u8], segment_memory: usize) -> Result<Self> {
        let config = machine::config(kind, segment_memory);
        let exe = machine::executable(elf, &config.app_vm_config)?;
        let (proving, key) = machine::keys(config)?;
        let builder = SdkVmCpuBuilder::default();
        let instance = new_local_prover(builder, &proving.app_vm_pk, exe.clone())
            .wrap_err("the guest cannot be loaded")?;
        Ok(Self { instance, exe, key })
    }

    /// OpenVM's commitment to the code, the initial memory and the entry point.
    pub fn id(&self) -> [u8; 32] {
        let memory = &self.instance.vm.config().as_ref().memory_config;
        let commitment = self.instance.program_commitment();
        let digest = compute_exe_commit_from_mem_config(commitment, &self.exe, memory);
        *CommitBytes::from(digest).as_slice()
    }

    /// Key of the machine, for verifying.
    pub const fn key(&self) -> &AppVerifyingKey {
        &self.key
    }

    /// Runs the guest without proving. A guest that refuses fails here.
    pub fn execute(&self, input: &[u8]) -> Result<Run> {
        let vm = &self.instance.vm;
        let interpreter = vm.metered_interpreter(&self.exe)?;
        let meter = vm.build_metered_ctx(&self.exe);
        let (segments, end) = interpreter
            .execute_metered(StdIn::from_bytes(input), meter)
            .wrap_err("the guest stopped without a journal")?;
        let count = vm.config().as_ref().num_public_values;
        Ok(Run {
            segments: segments.iter().map(|segment| segment.num_insns).collect(),
            revealed: extract_public_values(count, &end.memory.memory),
        })
    }

    /// Proves a run of `segments` segments. The proof is not yet verified.
    pub fn prove(
        &mut self,
        input: &[u8],
        segments: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<u8>> {
        let total = segments as u64;
        progress(0, total);
        let proof: AppProof = self
            .instance
            .prove_continuations(StdIn::from_bytes(input), |index, _| {
                if index > 0 {
                    progress(index as u64, total);
                }
            })
            .map_err(|error| eyre!(error))
            .wrap_err("the run cannot be proved")?;
        progress(total, total);
        encode(&proof)
    }
}
