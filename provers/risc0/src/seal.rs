//! The bytes of a proof, and whether they prove that a program said something.
//!
//! A Groth16 receipt is what the contracts take: four bytes that select the verifier, which are the
//! first of the digest of its parameters, then the seal of 256 bytes. A composite receipt, which this
//! machine can make, is `comp` and the receipt in bincode; no contract takes it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bincode::Options;
use mach_prove::Proof;
use risc0_zkvm::{
    CompositeReceipt, Digest, Groth16Receipt, Groth16ReceiptVerifierParameters, InnerReceipt,
    MaybePruned, Receipt, ReceiptClaim, SegmentReceiptVerifierParameters, VerifierContext,
    sha::Digestible,
};

const COMPOSITE: &[u8; 4] = b"comp";
/// Three points of the curve: eight numbers of 32 bytes, big-endian.
const GROTH16_SEAL: usize = 256;
/// Prime of the coordinates of BN254 (EIP-197).
const PRIME: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d,
    0x97, 0x81, 0x6a, 0x91, 0x68, 0x71, 0xca, 0x8d, 0x3c, 0x20, 0x8c, 0x16, 0xd8, 0x7c, 0xfd, 0x47,
];

/// Why bytes prove nothing.
#[derive(Debug)]
pub enum SealError {
    /// They are no seal that is known, or none that this version of RISC Zero's verifier takes.
    Malformed,
    /// They prove something else, or nothing.
    Invalid(String),
    /// Longer than what is read of a proof.
    TooLarge,
    /// Only receipts that are proofs have bytes, and there is no other than these two.
    Kind,
}

impl std::error::Error for SealError {}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not the encoding of a proof"),
            Self::Invalid(reason) => write!(f, "the proof does not verify: {reason}"),
            Self::TooLarge => {
                let most = Proof::MAX_LENGTH;
                write!(f, "the proof has more than the {most} bytes that are read")
            }
            Self::Kind => f.write_str("the receipt is neither a Groth16 nor a composite one"),
        }
    }
}

/// The bytes of a proof.
///
/// Errors: [`SealError::Kind`], also of the receipts of RISC Zero's development mode; [`SealError::TooLarge`].
pub fn encode(receipt: &InnerReceipt) -> Result<Vec<u8>, SealError> {
    match receipt {
        InnerReceipt::Groth16(receipt) => {
            let selector = &receipt.verifier_parameters.as_bytes()[..4];
            Ok([selector, &receipt.seal].concat())
        }
        InnerReceipt::Composite(receipt) => encode_composite(receipt),
        _ => Err(SealError::Kind),
    }
}

fn encode_composite(receipt: &CompositeReceipt) -> Result<Vec<u8>, SealError> {
    // The limit is all that it can fail for.
    let receipt = codec().serialize(receipt);
    Ok([COMPOSITE, &receipt.map_err(|_| SealError::TooLarge)?[..]].concat())
}

/// Checks that the program with `image_id` ended well and committed to `journal`.
///
/// Errors: [`SealError`].
pub fn verify(image_id: Digest, journal: &[u8], bytes: &[u8]) -> Result<(), SealError> {
    // Whatever makes the library panic is no proof.
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let receipt = decode(image_id, journal, bytes)?;
        let receipt = Receipt::new(receipt, journal.to_vec());
        (receipt.verify(image_id)).map_err(|error| SealError::Invalid(error.to_string()))
    }));
    verified.unwrap_or(Err(SealError::Malformed))
}

fn decode(image_id: Digest, journal: &[u8], bytes: &[u8]) -> Result<InnerReceipt, SealError> {
    let parameters = Groth16ReceiptVerifierParameters::default().digest();
    let (head, rest) = bytes.split_at_checked(4).ok_or(SealError::Malformed)?;
    if head == COMPOSITE {
        return decode_composite(rest).map(InnerReceipt::Composite);
    }
    // RISC Zero's library takes the highest bits of a number for flags and looks at none of them; the
    // EVM takes no number above the prime.
    let are_reduced = rest.chunks(32).all(|number| *number < PRIME[..]);
    if head != &parameters.as_bytes()[..4] || rest.len() != GROTH16_SEAL || !are_reduced {
        return Err(SealError::Malformed);
    }
    let claim = ReceiptClaim::ok(image_id, journal.to_vec());
    let receipt = Groth16Receipt::new(rest.to_vec(), MaybePruned::Value(claim), parameters);
    Ok(InnerReceipt::Groth16(receipt))
}

fn decode_composite(bytes: &[u8]) -> Result<CompositeReceipt, SealError> {
    let receipt: CompositeReceipt =
        (codec().deserialize(bytes)).map_err(|_| SealError::Malformed)?;
    // One proof has one encoding, and what the verifier does not look at is what the prover writes:
    // no bit is free.
    let is_canonical = codec().serialize(&receipt).is_ok_and(|it| it == bytes);
    let parameters = VerifierContext::default().segment_verifier_parameters;
    let parameters = parameters
        .as_ref()
        .map(SegmentReceiptVerifierParameters::digest);
    let mut segments = receipt.segments.iter().zip(0..);
    let are_segments = segments.all(|(segment, index)| {
        segment.index == index && Some(segment.verifier_parameters) == parameters
    });
    if is_canonical && are_segments {
        Ok(receipt)
    } else {
        Err(SealError::Malformed)
    }
}

/// As the library's own `bincode::serialize`, with a limit.
pub(crate) fn codec() -> impl Options {
    bincode::options()
        .with_fixint_encoding()
        .with_limit(Proof::MAX_LENGTH as u64)
}
