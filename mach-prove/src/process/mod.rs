//! Provers that are programs of their own, so that nothing else pays for what they depend on.

mod child;

use std::{
    ffi::OsStr,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use async_trait::async_trait;
use tracing::{debug, warn};

use crate::{
    BackendName, Program, Progress, Proof, ProofBackend, ProofRequest, ProveError, Worth,
    protocol::{Message, ProgramInfo},
};
use child::Child;

/// A prover in a process of its own, started for each proof.
///
/// Dropping the future of [`ProofBackend::prove`] kills it, and it ends by itself when this process is
/// killed. One process at a time proves a request in a folder. What it keeps in the folder of the
/// request lets it go on the next time; a proof that it had finished is found again, and verified.
#[derive(Clone, Debug)]
pub struct ProcessBackend {
    backend: BackendName,
    prover: PathBuf,
    work_dir: PathBuf,
    memory_limit: Option<u64>,
}

impl ProcessBackend {
    /// The prover `mach-prover-<backend>` on the PATH, which works in `work_dir`: a folder of its own
    /// for each request.
    pub fn new(backend: BackendName, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            backend,
            prover: format!("mach-prover-{backend}").into(),
            work_dir: work_dir.into(),
            memory_limit: None,
        }
    }

    /// The same with another program as prover.
    #[must_use]
    pub fn with_prover(mut self, prover: impl Into<PathBuf>) -> Self {
        self.prover = prover.into();
        self
    }

    /// The same with a limit for the prover's memory, in bytes.
    #[must_use]
    pub const fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// The programs that the prover has.
    ///
    /// Errors: [`ProveError`].
    pub async fn programs(&self) -> Result<Vec<ProgramInfo>, ProveError> {
        let mut child = self.start(&[OsStr::new("info")])?;
        let mut programs = Vec::new();
        child
            .finish(|message| {
                if let Message::Program(info) = message
                    && programs.len() < Program::ALL.len()
                {
                    programs.push(info);
                }
            })
            .await?;
        Ok(programs)
    }

    /// Folder of a request.
    fn folder(&self, request: &ProofRequest) -> PathBuf {
        self.work_dir.join(format!("{:x}", request.digest()))
    }

    /// The proof that an earlier run has finished, if it is one.
    async fn finished(&self, request: &ProofRequest, file: &Path) -> Option<Proof> {
        let proof = read(file).await.ok()?;
        let verified = match self.check(request, &proof).await {
            Ok(()) => self.verify(&proof).await,
            Err(error) => Err(error),
        };
        if let Err(error) = verified {
            debug!(
                error = &error as &dyn std::error::Error,
                "the proof that was found is made again"
            );
            return None;
        }
        Some(proof)
    }

    /// Whether `proof` is the one that was asked for, as far as that is seen without verifying it.
    async fn check(&self, request: &ProofRequest, proof: &Proof) -> Result<(), ProveError> {
        self.check_backend(proof)?;
        if proof.program != request.program() || proof.journal != *request.journal() {
            let given = proof.journal.digest();
            return Err(ProveError::other_journal(request.journal(), given));
        }
        self.check_program(proof).await
    }

    fn check_backend(&self, proof: &Proof) -> Result<(), ProveError> {
        if proof.backend != self.backend {
            return Err(ProveError::OtherBackend {
                expected: self.backend,
                given: proof.backend,
            });
        }
        Ok(())
    }

    async fn check_program(&self, proof: &Proof) -> Result<(), ProveError> {
        let expected = self.program_id(proof.program).await?;
        if proof.program_id != expected {
            return Err(ProveError::OtherProgram {
                program: proof.program,
                expected,
                given: proof.program_id,
            });
        }
        Ok(())
    }

    fn start(&self, arguments: &[&OsStr]) -> Result<Child, ProveError> {
        Child::start(&self.prover, arguments, self.backend, self.memory_limit)
    }
}

#[async_trait]
impl ProofBackend for ProcessBackend {
    fn name(&self) -> BackendName {
        self.backend
    }

    /// What the prover says of the least of its programs.
    async fn worth(&self) -> Result<Worth, ProveError> {
        let least = self.backend.worth();
        if least == Worth::NotAProof {
            return Ok(least);
        }
        let programs = self.programs().await?;
        if let Some(missing) = programs.iter().find_map(|it| it.missing.as_ref()) {
            warn!(
                backend = %self.backend,
                missing,
                "no contract takes the proofs of this prover as it is set up"
            );
        }
        Ok(programs.iter().map(|it| it.worth).min().unwrap_or(least))
    }

    async fn program_id(&self, program: Program) -> Result<B256, ProveError> {
        let programs = self.programs().await?;
        let found = programs.into_iter().find(|it| it.program == program);
        found.map(|it| it.id).ok_or_else(|| ProveError::Unable {
            backend: self.backend,
            reason: format!("it has no program {program}"),
        })
    }

    async fn prove(
        &self,
        request: &ProofRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Proof, ProveError> {
        let folder = self.folder(request);
        let (input, out) = (folder.join("input"), folder.join("proof.json"));
        let _lock = lock(&folder).await?;
        if let Some(proof) = self.finished(request, &out).await {
            return Ok(proof);
        }
        let write = async {
            let journal = serde_json::to_vec(request.journal())?;
            tokio::fs::write(folder.join("journal.json"), journal).await?;
            tokio::fs::write(&input, request.input()).await
        };
        write.await.map_err(backend)?;
        let limit = self.memory_limit.map(|bytes| bytes.to_string());
        let mut arguments: Vec<&OsStr> = vec![
            "prove".as_ref(),
            "--program".as_ref(),
            request.program().name().as_ref(),
            "--input".as_ref(),
            input.as_ref(),
            "--out".as_ref(),
            out.as_ref(),
            "--work-dir".as_ref(),
            folder.as_ref(),
        ];
        if let Some(limit) = &limit {
            arguments.extend([OsStr::new("--memory-limit"), limit.as_ref()]);
        }
        // Last: the others come in pairs.
        arguments.push("--watch-stdin".as_ref());
        let mut child = self.start(&arguments)?;
        let told = child.finish(|message| match message {
            Message::Executed { instructions } => progress(Progress::Executed { instructions }),
            Message::Segment { done, total } => progress(Progress::Segment { done, total }),
            Message::Step { name } => progress(Progress::Step { name }),
            _ => {}
        });
        told.await?;
        let proof = read(&out).await?;
        self.check(request, &proof).await?;
        Ok(proof)
    }

    async fn verify(&self, proof: &Proof) -> Result<(), ProveError> {
        if self.backend.worth() == Worth::NotAProof {
            return Err(ProveError::NotAProof(self.backend));
        }
        self.check_backend(proof)?;
        self.check_program(proof).await?;
        let folder = tempfile::tempdir().map_err(backend)?;
        let file = folder.path().join("proof.json");
        tokio::fs::write(&file, proof.to_json())
            .await
            .map_err(backend)?;
        let arguments = ["verify".as_ref(), "--proof".as_ref(), file.as_os_str()];
        self.start(&arguments)?.finish(|_| {}).await
    }
}

/// A lock on a file, until it is dropped. Closing the file would not do: a child that another thread has
/// just forked holds a copy of it until it becomes another program.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the folder of a request, which another process may have; it is free again when the result is
/// dropped, or when this process ends.
async fn lock(folder: &Path) -> Result<Held, ProveError> {
    let folder = folder.to_owned();
    let take = move || {
        std::fs::create_dir_all(&folder).map_err(backend)?;
        let file = File::create(folder.join("lock")).map_err(backend)?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => Err(ProveError::InUse(folder.display().to_string())),
            Err(TryLockError::Error(error)) => Err(backend(error)),
        }
    };
    tokio::task::spawn_blocking(take).await.map_err(backend)?
}

async fn read(file: &Path) -> Result<Proof, ProveError> {
    let file = file.to_owned();
    let read = tokio::task::spawn_blocking(move || Proof::read(file));
    read.await.map_err(backend)?.map_err(backend)
}

fn backend(error: impl Into<mach_core::ports::BoxError>) -> ProveError {
    ProveError::Backend(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a child has one between its fork and its exec.
    #[tokio::test]
    async fn a_copy_of_the_lock_that_is_still_open_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).await.unwrap();
        let _copy = held.0.try_clone().unwrap();
        let refused = lock(folder.path()).await;
        assert!(matches!(refused, Err(ProveError::InUse(_))));
        drop(held);
        assert!(lock(folder.path()).await.is_ok());
    }
}
