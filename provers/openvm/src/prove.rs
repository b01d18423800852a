//! From an input to a proof, one segment after another.

use std::sync::Arc;

use eyre::{Context, Result, eyre};
use openvm_circuit::{
    arch::{
        VmInstance, execution_mode::metered::segment_ctx::Segment,
        hasher::poseidon2::vm_poseidon2_hasher, instructions::exe::VmExe,
    },
    system::{
        memory::merkle::public_values::{UserPublicValuesProof, extract_public_values},
        program::trace::compute_exe_commit_from_mem_config,
    },
};
use openvm_continuations::CommitBytes;
use openvm_sdk::{
    DefaultStarkEngine, F, SC, StdIn, keygen::AppVerifyingKey, prover::vm::new_local_prover,
};
use openvm_sdk_config::SdkVmCpuBuilder;
use openvm_stark_backend::{StarkEngine, proof::Proof};

use crate::{
    machine::{self, Kind},
    verify::{AppProof, check_size, encode},
    work::Work,
};

/// Most times that a guest may ask for the time.
const MAX_QUESTIONS: usize = 100_000;
/// Instructions after which it is looked whether it has.
const STEP: u64 = 10;

type Instance = VmInstance<DefaultStarkEngine, SdkVmCpuBuilder>;

/// A virtual machine with a guest in it.
pub struct Machine {
    instance: Instance,
    exe: Arc<VmExe<F>>,
    key: AppVerifyingKey,
}

/// What a run gave, without a proof.
pub struct Run {
    /// Segments that are proved one by one.
    pub segments: Vec<Segment>,
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

    /// Runs the guest without proving. A guest that refuses fails here; one that asks for the time is told
    /// `times`, one after the other.
    pub fn execute(&self, input: &[u8], times: &[u64]) -> Result<Run> {
        let vm = &self.instance.vm;
        let interpreter = vm.metered_interpreter(&self.exe)?;
        let meter = vm.build_metered_ctx(&self.exe);
        let (segments, end) = interpreter
            .execute_metered(told(input, times), meter)
            .wrap_err("the guest stopped without a journal")?;
        let count = vm.config().as_ref().num_public_values;
        Ok(Run {
            segments,
            revealed: extract_public_values(count, &end.memory.memory),
        })
    }

    /// How many instructions have run each time that a guest asks for the time. A question takes an input:
    /// what is left of them is looked at every few instructions.
    pub fn times(&self, input: &[u8]) -> Result<Vec<u64>> {
        let times = vec![0; MAX_QUESTIONS];
        let run = self.execute(input, &times)?;
        let total: u64 = run.segments.iter().map(|it| it.num_insns).sum();
        let vm = &self.instance.vm;
        let interpreter = vm.interpreter(&self.exe)?;
        let mut state = vm.create_initial_state(&self.exe, told(input, &times));
        let mut asked = Vec::new();
        for instructions in (STEP..=total).step_by(STEP as usize) {
            state = interpreter.execute_from_state(state, Some(STEP))?;
            while state.streams.input_stream.len() + asked.len() < MAX_QUESTIONS {
                asked.push(instructions);
            }
        }
        Ok(asked)
    }

    /// Proves a run in the segments that [`Self::execute`] has found. What `work` has of them is not proved
    /// again, and what is proved is kept there. The proof is not yet verified.
    ///
    /// Errors: [`crate::verify::VerifyError::TooLarge`] among others, as soon as so many segments are seen to make a proof that
    /// nobody reads.
    pub fn prove(
        &mut self,
        input: &[u8],
        run: &Run,
        work: &Work,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<u8>> {
        let total = run.segments.len();
        let mut proofs: Vec<_> = (0..total).map(|it| work.proof(it, &self.key)).collect();
        let mut done = proofs.iter().flatten().count();
        let mut shortest = usize::MAX;
        let mut check = |proof: &Proof<SC>| -> Result<()> {
            shortest = shortest.min(bitcode::serialize(proof)?.len());
            let size = check_size(shortest.saturating_mul(total));
            size.wrap_err_with(|| format!("{total} segments of {shortest} bytes or more each"))
        };
        proofs.iter().flatten().try_for_each(&mut check)?;
        progress(done as u64, total as u64);
        let VmInstance {
            vm, interpreter, ..
        } = &mut self.instance;
        let mut state = vm.create_initial_state(&self.exe, StdIn::from_bytes(input));
        for (index, (segment, proof)) in run.segments.iter().zip(&mut proofs).enumerate() {
            // The last one's table of the memory has what opens the public values.
            let is_needed = proof.is_none() || index + 1 == total;
            if is_needed {
                vm.transport_init_memory_to_device(&state.memory);
            }
            let length = Some(segment.num_insns);
            let ran = vm.execute_preflight(interpreter, state, length, &segment.trace_heights)?;
            state = ran.to_state;
            if !is_needed {
                continue;
            }
            let context = vm.generate_proving_ctx(ran.system_records, ran.record_arenas)?;
            if proof.is_none() {
                let made = vm.engine.prove(vm.pk(), context);
                let made = made.map_err(|error| eyre!("segment {index}: {error:?}"))?;
                work.keep(index, &made)?;
                check(&made)?;
                *proof = Some(made);
                done += 1;
                progress(done as u64, total as u64);
            }
        }
        let config = vm.config().as_ref();
        let tree = vm.memory_top_tree();
        let tree = tree.ok_or_else(|| eyre!("the run has no segment"))?;
        let user_public_values = UserPublicValuesProof::compute(
            config.memory_config.memory_dimensions(),
            config.num_public_values,
            &vm_poseidon2_hasher(),
            &state.memory.memory,
            tree,
        );
        encode(&AppProof {
            per_segment: proofs.into_iter().flatten().collect(),
            user_public_values,
        })
    }
}

/// What the guest is given: its input, and what it is told when it asks for the time.
fn told(input: &[u8], times: &[u64]) -> StdIn {
    let mut inputs = StdIn::from_bytes(input);
    for time in times {
        inputs.write_bytes(&time.to_le_bytes());
    }
    inputs
}
