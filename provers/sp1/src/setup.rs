//! Verifying keys of guests, which SP1's circuits give.

use std::sync::Arc;

use alloy_primitives::U256;
use mach_prove::protocol::{Commitment, ProverError};
use sp1_core_executor::Program;
use sp1_core_machine::riscv::RiscvAir;
use sp1_hypercube::{
    HashableKey, SP1Pcs, ShardVerifier,
    prover::{AirProver, CpuShardProver, ProverSemaphore, SP1InnerPcsProver},
};
use sp1_primitives::{SP1Field, SP1GlobalContext, fri_params::core_fri_config};

/// Sizes of a proof's first layer (`sp1-prover` 6.10, `components.rs`), as powers of two.
const STACKING_HEIGHT: u32 = 21;
const MAX_ROWS: usize = 22;

/// The verifying key of a guest in bincode, and what it hashes to, its name to the contracts: some seconds,
/// and a gigabyte.
///
/// Errors: [`ProverError`], if it is no guest.
pub(crate) fn commitment(elf: &[u8]) -> Result<Commitment, ProverError> {
    let program = Program::from(elf).map_err(|error| ProverError::other(error.to_string()))?;
    let machine = RiscvAir::<SP1Field>::machine();
    let config = core_fri_config();
    let verifier =
        ShardVerifier::from_basefold_parameters(config, STACKING_HEIGHT, MAX_ROWS, machine);
    let prover = CpuShardProver::<
        SP1GlobalContext,
        SP1Pcs<SP1GlobalContext>,
        SP1InnerPcsProver,
        RiscvAir<SP1Field>,
    >::new(verifier);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (_, key) = runtime.block_on(prover.setup(Arc::new(program), ProverSemaphore::new(1)));
    // Eight words of 31 bits, the first of them the highest.
    let id = key
        .hash_u32()
        .into_iter()
        .fold(U256::ZERO, |sum, word| (sum << 31) | U256::from(word));
    Ok(Commitment {
        id: id.into(),
        key: Some(bincode::serialize(&key)?),
    })
}
