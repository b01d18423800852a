//! Runs guests on this machine, without proving.

use std::sync::Arc;

use alloy_primitives::B256;
use mach_prove::protocol::{Failure, ProverError, Run};
use sp1_core_executor::{
    MinimalExecutor, OutputConsumers, Program, SupervisorMode, with_output_consumers,
};
use tokio::sync::watch;

/// Loads a guest, to run it on one input after the other.
pub(crate) fn executor(
    elf: &[u8],
) -> Result<impl FnMut(&[u8]) -> Result<Run, ProverError> + use<>, ProverError> {
    let program = Program::from(elf).map_err(|error| ProverError::other(error.to_string()))?;
    let program = Arc::new(program);
    Ok(move |input: &[u8]| {
        let mut machine = MinimalExecutor::<SupervisorMode>::simple(program.clone());
        machine.with_input(input);
        // Its last words, which would stand between our own.
        let (words, heard) = watch::channel(String::new());
        let consumers = OutputConsumers {
            stdout: Some(words.clone()),
            stderr: Some(words),
        };
        with_output_consumers(&consumers, || {
            while !machine.is_done() {
                machine.execute_chunk();
            }
        });
        let refused = |reason: String| ProverError::new(Failure::Refused, reason);
        if machine.exit_code() != 0 {
            let words = heard.borrow().trim().to_owned();
            return Err(refused(format!(
                "the guest stopped without a journal: {words}"
            )));
        }
        let digest = B256::try_from(machine.public_values_stream().as_slice());
        Ok(Run {
            instructions: machine.global_clk(),
            // Whoever proves it cuts it up.
            segments: 0,
            digest: digest.map_err(|_| refused("the guest committed to no digest".to_owned()))?,
            phases: Vec::new(),
        })
    })
}
