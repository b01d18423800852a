//! Whether a proof is one, of that program and that journal.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mach_prove::Proof;
use openvm_circuit::arch::ContinuationVmProof;
use openvm_continuations::CommitBytes;
use openvm_sdk::{
    DefaultStarkEngine, F, SC, keygen::AppVerifyingKey,
    prover::verify_app_proof_with_expected_exe_commit,
};
use openvm_stark_backend::p3_field::PrimeCharacteristicRing;

/// The proofs of all segments, with the public values of the last.
pub type AppProof = ContinuationVmProof<SC>;

/// Why a proof does not count.
#[derive(Debug)]
pub enum VerifyError {
    /// With so many bytes or more it is too long to be read.
    TooLarge(usize),
    /// The bytes are no proof, or no other than the ones that encode it.
    Malformed,
    /// It reveals something else than the digest of the journal.
    OtherJournal,
    /// No 32 bytes that commit to a program.
    ProgramId,
    /// It is of another program, or it is wrong.
    Invalid(String),
}

impl std::error::Error for VerifyError {}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(size) => {
                let most = Proof::MAX_LENGTH;
                write!(f, "the proof has {size} bytes, at most {most} are read")
            }
            Self::Malformed => f.write_str("the bytes are not the encoding of a proof"),
            Self::OtherJournal => f.write_str("the proof is of another journal"),
            Self::ProgramId => f.write_str("the program id is none of OpenVM"),
            Self::Invalid(reason) => write!(f, "the proof does not verify: {reason}"),
        }
    }
}

/// The bytes of a proof.
pub fn encode(proof: &AppProof) -> eyre::Result<Vec<u8>> {
    Ok(bitcode::serialize(proof)?)
}

/// The bytes of a verifying key.
pub fn encode_key(key: &AppVerifyingKey) -> eyre::Result<Vec<u8>> {
    Ok(bitcode::serialize(key)?)
}

/// The inverse of [`encode_key`].
pub fn decode_key(bytes: &[u8]) -> eyre::Result<AppVerifyingKey> {
    Ok(bitcode::deserialize(bytes)?)
}

/// Whether a proof of so many bytes is read at all.
pub const fn check_size(bytes: usize) -> Result<(), VerifyError> {
    match bytes <= Proof::MAX_LENGTH {
        true => Ok(()),
        false => Err(VerifyError::TooLarge(bytes)),
    }
}

/// Checks that the program with `id` revealed `digest`.
pub fn verify(
    key: &AppVerifyingKey,
    id: [u8; 32],
    digest: [u8; 32],
    bytes: &[u8],
) -> Result<(), VerifyError> {
    check_size(bytes.len())?;
    // The library indexes by what the proof says: whatever makes it panic is no proof.
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let proof: AppProof = bitcode::deserialize(bytes).map_err(|_| VerifyError::Malformed)?;
        // One proof has one encoding: no bit is free.
        if encode(&proof).ok().as_deref() != Some(bytes) {
            return Err(VerifyError::Malformed);
        }
        let digest = digest.map(F::from_u8);
        if proof.user_public_values.public_values != digest {
            return Err(VerifyError::OtherJournal);
        }
        let id = CommitBytes::try_new(id).map_err(|_| VerifyError::ProgramId)?;
        verify_app_proof_with_expected_exe_commit::<DefaultStarkEngine>(
            key,
            &proof,
            Some(id.into()),
        )
        .map_err(|error| VerifyError::Invalid(format!("{error:#}")))
    }));
    checked.unwrap_or(Err(VerifyError::Malformed))
}
