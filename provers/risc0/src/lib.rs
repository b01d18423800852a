#![doc = include_str!("../README.md")]

mod guest;
#[cfg(feature = "local")]
mod local;
pub mod remote;
pub mod seal;
#[cfg(any(feature = "local", test))]
mod segments;

use std::env;

#[cfg(not(feature = "local"))]
use mach_prove::protocol::Failure;
use mach_prove::{
    BackendName, Program, Progress, Proof,
    protocol::{Commitment, Guest, Job, Prover, ProverError, Run},
};
use risc0_zkvm::Digest;

use guest::{binary, image_id};

/// RISC Zero: on this machine, or remote where the environment names a prover.
#[derive(Clone, Copy, Debug, Default)]
pub struct Risc0;

impl Prover for Risc0 {
    fn name(&self) -> BackendName {
        BackendName::Risc0
    }

    fn guest(&self, program: Program) -> Result<Guest, ProverError> {
        let (url, key, file) = (remote::URL, remote::KEY, remote::KEY_FILE);
        let absent = format!(
            "no contract takes what this machine proves: set {url}, and {key} or {file}, for a service"
        );
        Ok(guest::committed(program)?.with_service(service(), &absent))
    }

    fn executor(
        &self,
        guest: &Guest,
    ) -> Result<impl FnMut(&[u8]) -> Result<Run, ProverError>, ProverError> {
        let binary = binary(&guest.elf);
        Ok(move |input: &[u8]| execute(&binary, input))
    }

    fn prove(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>, ProverError> {
        let binary = binary(&job.guest.elf);
        let id = Digest::from(job.guest.info.id.0);
        if image_id(&binary)? != id {
            return Err(ProverError::other("the guest has another id here"));
        }
        if let Some(service) = service()? {
            // Nobody pays for what is refused: native code has given the journal already.
            let request = remote::Request {
                binary: &binary,
                id,
                input: &job.input,
                journal: &job.journal.encode(),
                work_dir: &job.work_dir,
            };
            return remote::prove(&service, request, progress);
        }
        prove_here(&binary, id, job, progress)
    }

    fn verify(&self, guest: &Guest, proof: &Proof) -> Result<(), ProverError> {
        let id = Digest::from(guest.info.id.0);
        seal::verify(id, &proof.journal.encode(), &proof.proof).map_err(ProverError::invalid)
    }

    fn commit(&self, _: Program, elf: &[u8]) -> Result<Commitment, ProverError> {
        let id = <[u8; 32]>::from(image_id(&binary(elf))?).into();
        Ok(Commitment { id, key: None })
    }
}

/// The service that the environment names.
fn service() -> Result<Option<remote::Service>, ProverError> {
    remote::Service::from_env(|name| env::var(name).ok())
}

#[cfg(feature = "local")]
use local::{execute, prove as prove_here};

#[cfg(not(feature = "local"))]
fn execute(_: &[u8], _: &[u8]) -> Result<Run, ProverError> {
    Err(not_built())
}

#[cfg(not(feature = "local"))]
fn prove_here(
    _: &[u8],
    _: Digest,
    _: &Job,
    _: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, ProverError> {
    Err(not_built())
}

#[cfg(not(feature = "local"))]
fn not_built() -> ProverError {
    let reason = "this prover was built without the feature `local`: set BONSAI_API_URL";
    ProverError::new(Failure::Unable, reason)
}
