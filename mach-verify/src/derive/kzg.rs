//! Whether a blob is the one that L1 commits to.

use alloy_eips::eip4844::Blob;
use alloy_primitives::B256;
use sha2::{Digest, Sha256};

/// First byte of a versioned hash of a KZG commitment.
const VERSION: u8 = 1;

/// Versioned hash of a blob: what its transaction commits to.
///
/// `None` if the bytes are no blob: a field element is not below the modulus of BLS12-381. Without
/// the feature `native` there is no KZG and it is always `None`: no blob is taken for the one meant.
///
/// Source: <https://eips.ethereum.org/EIPS/eip-4844#helpers>
pub fn versioned_hash(blob: &Blob) -> Option<B256> {
    let mut hash: [u8; 32] = Sha256::digest(commitment(blob)?).into();
    let [version, ..] = &mut hash;
    *version = VERSION;
    Some(B256::new(hash))
}

#[cfg(feature = "native")]
fn commitment(blob: &Blob) -> Option<[u8; 48]> {
    let blob = c_kzg::Blob::from_bytes(blob.as_slice()).ok()?;
    let commitment = c_kzg::ethereum_kzg_settings(0).blob_to_kzg_commitment(&blob);
    Some(*commitment.ok()?.to_bytes().as_ref())
}

#[cfg(not(feature = "native"))]
const fn commitment(_: &Blob) -> Option<[u8; 48]> {
    None
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    #[test]
    fn the_hash_of_an_empty_blob_is_that_of_the_point_at_infinity() {
        // A commitment to zero is the point at infinity, 0xc0 and 47 zeros (EIP-4844); the hash
        // is that of its SHA-256, which go-ethereum's `emptyBlobVHash` holds.
        assert_eq!(
            versioned_hash(&Blob::ZERO),
            Some(b256!(
                "010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014"
            ))
        );
    }

    #[test]
    fn a_field_element_is_below_the_modulus() {
        let mut blob = Box::<Blob>::default();
        blob[..32].fill(0xff);
        assert_eq!(versioned_hash(&blob), None);
    }
}
