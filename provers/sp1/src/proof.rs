//! The bytes of a proof, and whether they prove that a program said something.
//!
//! They are what SP1's contract for Groth16 takes: four bytes that select the verifier, which are the
//! first of the digest of its key, the exit code, the root of the keys of SP1's own programs and a
//! number that the prover chose, 32 bytes each, then three points of the curve.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use alloy_primitives::{B256, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sp1_verifier::{GROTH16_VK_BYTES, Groth16Verifier};

/// Bytes of a proof.
pub const PROOF_BYTES: usize = HEAD + POINTS;
const SELECTOR: usize = 4;
const HEAD: usize = SELECTOR + 3 * 32;
/// Eight coordinates of 32 bytes, big-endian.
const POINTS: usize = 256;
/// Prime of the coordinates of BN254 (EIP-197).
const PRIME: [u8; 32] = hex!("30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47");
/// Order of the group, of which public inputs are residues.
const ORDER: [u8; 32] = hex!("30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001");

/// Why bytes prove nothing.
#[derive(Debug)]
pub enum ProofError {
    /// They are no proof that the contract of this release of SP1 takes.
    Malformed,
    /// They prove something else, or nothing.
    Invalid(String),
    /// SP1's mock prover gives such: nothing was proved.
    Mock,
}

impl std::error::Error for ProofError {}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not a proof of this release of SP1"),
            Self::Invalid(reason) => write!(f, "the proof does not verify: {reason}"),
            Self::Mock => f.write_str("nothing was proved: this is what a mock prover gives"),
        }
    }
}

/// First four bytes of the proofs that this release verifies: what the adapter of the contracts is
/// deployed with.
pub fn selector() -> [u8; 4] {
    let digest = Sha256::digest(*GROTH16_VK_BYTES);
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Checks that the program whose verifying key hashes to `program` ended well and committed to
/// `public_values`.
///
/// Errors: [`ProofError`].
pub fn verify(program: B256, public_values: &[u8], bytes: &[u8]) -> Result<(), ProofError> {
    if bytes.is_empty() {
        return Err(ProofError::Mock);
    }
    // SP1's library reduces what the EVM refuses: one proof has one encoding here.
    let is_proof = bytes.len() == PROOF_BYTES
        && bytes[..SELECTOR] == selector()
        && bytes[HEAD - 32..HEAD] < ORDER[..]
        && bytes[HEAD..].chunks(32).all(|number| *number < PRIME[..]);
    if !is_proof || program.0 >= ORDER {
        return Err(ProofError::Malformed);
    }
    // Whatever makes the library panic is no proof.
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let program = hex::encode_prefixed(program);
        Groth16Verifier::verify(bytes, public_values, &program, *GROTH16_VK_BYTES)
    }));
    match verified {
        Ok(result) => result.map_err(|error| ProofError::Invalid(error.to_string())),
        Err(_) => Err(ProofError::Malformed),
    }
}

/// What the network gives, in the encoding of bincode: a proof of one of SP1's four kinds, of which
/// the first two are for no contract.
#[derive(Serialize, Deserialize)]
pub struct FromNetwork {
    proof: Kind,
    /// What the guest committed to.
    pub public_values: Vec<u8>,
    /// Release that made it.
    pub version: String,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Core(Never),
    Compressed(Never),
    Plonk(Wrapped),
    Groth16(Wrapped),
}

/// What is not read.
#[derive(Serialize, Deserialize)]
enum Never {}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    public_inputs: [String; 5],
    /// Head without selector, and points, in hex.
    encoded: String,
    raw: String,
    key_digest: [u8; 32],
}

impl FromNetwork {
    /// The bytes that the contract takes. They are not verified here.
    ///
    /// Errors: [`ProofError`].
    pub fn bytes(&self) -> Result<Vec<u8>, ProofError> {
        let Kind::Groth16(proof) = &self.proof else {
            return Err(ProofError::Malformed);
        };
        if proof.encoded.is_empty() {
            return Err(ProofError::Mock);
        }
        let encoded = hex::decode(&proof.encoded).map_err(|_| ProofError::Malformed)?;
        Ok([&proof.key_digest[..SELECTOR], &encoded].concat())
    }
}

/// A genuine proof, that a light client of Polkadot's ran on what validators signed about block 30,701,354
/// (ISMP's `beefy-consensus-proofs`; its public values put together as its verifier does).
#[cfg(test)]
pub(crate) mod vector {
    use alloy_primitives::{B256, b256, hex};

    pub(crate) const PROGRAM: B256 =
        b256!("0059fd0bff44da77999bb7974cbcf2ac7dc89e5869352f20a2f3cd46c9f53d5c");
    pub(crate) const PUBLIC_VALUES: [u8; 256] = hex!(
        "0000000000000000000000000000000000000000000000000000000000000020"
        "a7161e52f2f4249039441385a41c6c8e36207a9b6a65d9bfae4272156ec31f49"
        "0000000000000000000000000000000000000000000000000000000000000257"
        "f2f576274aa5fb6ceecbd8c2f22d2ce73eff093f7c607fc88036ab38a4ed1340"
        "0000000000000000000000000000000000000000000000000000000000000080"
        "0000000000000000000000000000000000000000000000000000000000000001"
        "0000000000000000000000000000000000000000000000000000000000000d27"
        "6b449d7a53dccf15df70b68534cbc0e22e355dcac352d793816a1fb08e9cc73e"
    );
    pub(crate) const PROOF: [u8; super::PROOF_BYTES] = hex!(
        "4388a21c"
        "0000000000000000000000000000000000000000000000000000000000000000"
        "002f850ee998974d6cc00e50cd0814b098c05bfade466d28573240d057f25352"
        "0000000000000000000000000000000000000000000000000000000000000000"
        "2ac5e596c552ee76353c176f0870e47a0aa765ceafc4c65b03dbf434e27fa906"
        "2f185bdc40f7aae982c1c8c6b766dd491a1e1cd60128efbc58da965e5be96320"
        "287f4ce1b04538f0c8287c8eff096c36df67dc17970032546c9b3d4dd5510c5c"
        "25e880e13469e1e1aca1b41c367f2ecf04da65f7602fb53ec212b03d0148157b"
        "2cd9a79a9779f350d240e6d4c980848302fca8c7447c5fa7ac8d3c6eefcd0c64"
        "0acff8b27ea316db978652553e3d054765094cf0dab6085a616489cdb973c42b"
        "258e22f346ac3ceb3e2e6750c37dad1f98f6ca15d1f70659343caa52dbbcad15"
        "0b75dd2dcf0ba0a664ea4605b291df54ab1aa5b4c55034b9425ba29cc87eca7b"
    );
}

#[cfg(test)]
mod tests {
    use super::{
        vector::{PROGRAM, PROOF, PUBLIC_VALUES},
        *,
    };

    #[test]
    fn a_genuine_proof_is_taken_in_the_bytes_that_the_contract_takes() {
        verify(PROGRAM, &PUBLIC_VALUES, &PROOF).unwrap();
        // Source: SP1's gateway on Ethereum has the verifier of 6.1.0 under it.
        assert_eq!(selector(), hex!("4388a21c"));
    }

    #[test]
    fn whatever_is_altered_is_refused() {
        let refused = |program: B256, public_values: &[u8], bytes: &[u8]| {
            let error = verify(program, public_values, bytes).unwrap_err();
            error.to_string()
        };
        let invalid = "the proof does not verify: Proof verification failed";
        let malformed = "the bytes are not a proof of this release of SP1";
        let other = B256::with_last_byte(1);
        assert_eq!(refused(other, &PUBLIC_VALUES, &PROOF), invalid);
        assert_eq!(refused(PROGRAM, &PUBLIC_VALUES[1..], &PROOF), invalid);
        assert_eq!(
            refused(B256::repeat_byte(0xff), &PUBLIC_VALUES, &PROOF),
            malformed
        );
        let longer = [&PROOF[..], &[0]].concat();
        for bad in [&PROOF[..4], &PROOF[..PROOF_BYTES - 1], &longer] {
            assert_eq!(refused(PROGRAM, &PUBLIC_VALUES, bad), malformed);
        }
        let mock = "nothing was proved: this is what a mock prover gives";
        assert_eq!(refused(PROGRAM, &PUBLIC_VALUES, &[]), mock);
        // A bit of every byte; few of those that only the equation at the end finds, which takes its time.
        let number = HEAD - 32..HEAD;
        for byte in (0..PROOF_BYTES).filter(|it| !number.contains(it) || it % 8 == 0) {
            let bit = byte * 8 + byte % 8;
            let mut bad = PROOF;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(PROGRAM, &PUBLIC_VALUES, &bad).is_err(), "bit {bit}");
        }
        for byte in (0..PUBLIC_VALUES.len()).step_by(32) {
            let mut bad = PUBLIC_VALUES;
            bad[byte] ^= 1;
            assert!(verify(PROGRAM, &bad, &PROOF).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn a_number_has_one_encoding() {
        // The same points, with coordinates that the EVM does not take.
        for index in 0..8 {
            let mut bad = PROOF;
            let number = &mut bad[HEAD + index * 32..][..32];
            let sum = alloy_primitives::U256::from_be_slice(number)
                + alloy_primitives::U256::from_be_bytes(PRIME);
            number.copy_from_slice(&sum.to_be_bytes::<32>());
            let error = verify(PROGRAM, &PUBLIC_VALUES, &bad).unwrap_err();
            assert!(matches!(error, ProofError::Malformed));
        }
    }
}
