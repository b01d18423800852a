//! What is proved of a run, kept so that a run that was stopped goes on.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use eyre::{Context, Result};
use mach_prove::protocol::write_whole;
use openvm_sdk::{DefaultStarkEngine, SC, keygen::AppVerifyingKey};
use openvm_stark_backend::{StarkEngine, proof::Proof};
use sha2::{Digest, Sha256};

use crate::prove::Run;

/// Proofs of segments, in a folder of its own for each program, input and way to cut the run.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    /// Hash of program, input and cuts.
    run: [u8; 32],
}

impl Work {
    /// What is kept in `folder` of a run of the program with `id` on `input`.
    pub fn new(folder: &Path, id: [u8; 32], input: &[u8], run: &Run) -> Result<Self> {
        let mut hash = Sha256::new_with_prefix(id);
        hash.update(Sha256::digest(input));
        for segment in &run.segments {
            hash.update(segment.num_insns.to_le_bytes());
        }
        let run: [u8; 32] = hash.finalize().into();
        let name: String = run.iter().take(8).map(|it| format!("{it:02x}")).collect();
        let folder = folder.join(format!("openvm-{name}"));
        fs::create_dir_all(&folder).wrap_err_with(|| folder.display().to_string())?;
        Ok(Self { folder, run })
    }

    /// Keeps the proof of a segment.
    pub fn keep(&self, segment: usize, proof: &Proof<SC>) -> Result<()> {
        let path = self.path(segment);
        let proof = bitcode::serialize(proof)?;
        let bytes = [&self.seal(segment, &proof)[..], &proof].concat();
        write_whole(&path, &bytes).wrap_err_with(|| path.display().to_string())
    }

    /// The proof of a segment, if it is kept, is the one that was, and verifies by itself. Whether all of
    /// them belong together is seen when they are verified as one.
    pub fn proof(&self, segment: usize, key: &AppVerifyingKey) -> Option<Proof<SC>> {
        let bytes = fs::read(self.path(segment)).ok()?;
        let (seal, bytes) = bytes.split_at_checked(32)?;
        if seal != self.seal(segment, bytes) {
            return None;
        }
        // The library indexes by what a proof says: whatever makes it panic is no proof.
        let verified = catch_unwind(AssertUnwindSafe(|| {
            let proof: Proof<SC> = bitcode::deserialize(bytes).ok()?;
            let engine = DefaultStarkEngine::new(key.vk.inner.params.clone());
            engine.verify(&key.vk, &proof).ok()?;
            Some(proof)
        }));
        verified.ok().flatten()
    }

    /// Forgets all of it: the next run begins anew.
    pub fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// What a file begins with: a hash of the run, of the segment's place in it and of its proof.
    fn seal(&self, segment: usize, proof: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.run);
        hash.update((segment as u64).to_le_bytes());
        hash.update(proof);
        hash.finalize().into()
    }

    fn path(&self, segment: usize) -> PathBuf {
        self.folder.join(format!("{segment}.proof"))
    }
}
