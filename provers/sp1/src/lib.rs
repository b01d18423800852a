#![doc = include_str!("../README.md")]

mod guest;
#[cfg(feature = "local")]
mod local;
pub mod network;
pub mod proof;
#[cfg(feature = "setup")]
mod setup;

use std::env;

use mach_prove::{
    BackendName, Program, Progress, Proof,
    protocol::{Failure, Guest, Job, Prover, ProverError, Run},
};

/// SP1: its network proves, this machine runs guests and verifies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sp1;

impl Prover for Sp1 {
    fn name(&self) -> BackendName {
        BackendName::Sp1
    }

    /// Whatever the network proves is wrapped for the EVM.
    fn guest(&self, program: Program) -> Result<Guest, ProverError> {
        Ok(guest::committed(program)?.with_service(service(), &nobody_pays()))
    }

    fn executor(
        &self,
        guest: &Guest,
    ) -> Result<impl FnMut(&[u8]) -> Result<Run, ProverError>, ProverError> {
        executor(&guest.elf)
    }

    fn prove(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>, ProverError> {
        let service = service()?;
        let service = service.ok_or_else(|| ProverError::new(Failure::Unable, nobody_pays()))?;
        // Nobody pays for a run that ends otherwise.
        #[cfg(feature = "local")]
        {
            let run = executor(&job.guest.elf)?(&job.input)?;
            if run.digest != job.journal.digest() {
                return Err(ProverError::other(
                    "the guest gives another journal than native code",
                ));
            }
            progress(Progress::Executed {
                instructions: run.instructions,
            });
        }
        let digest = job.journal.digest();
        let order = network::Job {
            elf: &job.guest.elf,
            key: guest::key(job.guest.info.program),
            program: job.guest.info.id,
            input: &job.input,
            public_values: digest.as_slice(),
            work_dir: &job.work_dir,
        };
        network::prove(&service, order, progress)
    }

    fn verify(&self, guest: &Guest, proof: &Proof) -> Result<(), ProverError> {
        let digest = proof.journal.digest();
        proof::verify(guest.info.id, digest.as_slice(), &proof.proof).map_err(ProverError::invalid)
    }

    #[cfg(feature = "setup")]
    fn commit(
        &self,
        _: Program,
        elf: &[u8],
    ) -> Result<mach_prove::protocol::Commitment, ProverError> {
        setup::commitment(elf)
    }
}

/// The network, as the environment says.
fn service() -> Result<Option<network::Service>, ProverError> {
    network::Service::from_env(|name| env::var(name).ok())
}

fn nobody_pays() -> String {
    let (key, file) = (network::KEY, network::KEY_FILE);
    format!("SP1's network proves, and nothing here: set {key} or {file}")
}

#[cfg(feature = "local")]
use local::executor;

#[cfg(not(feature = "local"))]
type Executor = fn(&[u8]) -> Result<Run, ProverError>;

#[cfg(not(feature = "local"))]
fn executor(_: &[u8]) -> Result<Executor, ProverError> {
    let reason = "this prover was built without the feature `local`: it runs no guest";
    Err(ProverError::new(Failure::Unable, reason))
}
