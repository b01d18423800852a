//! The sum of a quorum's keys, against the one that the registry keeps.

use alloy_primitives::{FixedBytes, U256, keccak256};
use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInt, PrimeField, Zero};
use mach_core::G1Bytes;

/// What a registry keeps of the sum of a quorum's keys: the first 24 bytes of its hash.
pub(super) type ApkHash = FixedBytes<24>;

/// The hash of the sum of `keys`; `None` if one of them is not a point of the curve.
///
/// Source: `BLSApkRegistry._processQuorumApkUpdate`.
pub(super) fn apk_hash<'a>(keys: impl IntoIterator<Item = &'a G1Bytes>) -> Option<ApkHash> {
    let mut sum = G1Projective::zero();
    for key in keys {
        sum += point(key)?;
    }
    let sum = sum.into_affine();
    let word = |coordinate: Fq| U256::from_limbs(coordinate.into_bigint().0).to_be_bytes::<32>();
    // The identity is (0, 0), to the contracts as to `xy`.
    let (x, y) = sum.xy().unwrap_or_default();
    let hash = keccak256([word(x), word(y)].concat());
    hash.get(..24).map(ApkHash::from_slice)
}

fn point(key: &G1Bytes) -> Option<G1Affine> {
    let (words, _) = key.0.as_chunks::<32>();
    let [x, y] = words else { return None };
    let field = |word: &[u8; 32]| {
        let limbs = U256::from_be_bytes(*word).into_limbs();
        Fq::from_bigint(BigInt::new(limbs))
    };
    let point = G1Affine::new_unchecked(field(x)?, field(y)?);
    // The group of G1 is the whole curve.
    point.is_on_curve().then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    /// The public test keys of the MACH AVS add up to the key in its own log.
    #[test]
    fn the_sum_of_keys_has_the_hash_that_contracts_keep() {
        let decimal = |text: &str| text.parse::<U256>().unwrap().to_be_bytes::<32>();
        let apk = [
            decimal("9245057968145484860804280814781348845784489795866678144111989947626410422422"),
            decimal("4206160717496399935935556607824205312866665547119048439416182281445762835632"),
        ]
        .concat();
        let key = G1Bytes(FixedBytes::from_slice(&apk));
        let expected = ApkHash::from_slice(&keccak256(&apk)[..24]);
        assert_eq!(apk_hash([&key]), Some(expected));

        // 1 and its double, of EIP-196: 2·(1, 2), and the sum of a point and its negative.
        let one = hex!(
            "0000000000000000000000000000000000000000000000000000000000000001"
            "0000000000000000000000000000000000000000000000000000000000000002"
        );
        let two = hex!(
            "030644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd3"
            "15ed738c0e0a7c92e7845f96b2ae9c0a68a6a449e3538fc7ff3ebf7a5a18a2c4"
        );
        let minus_one = hex!(
            "0000000000000000000000000000000000000000000000000000000000000001"
            "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd45"
        );
        let key = |bytes: [u8; 64]| G1Bytes(bytes.into());
        let hash = |bytes: [u8; 64]| Some(ApkHash::from_slice(&keccak256(bytes)[..24]));
        assert_eq!(apk_hash([&key(one), &key(one)]), hash(two));
        assert_eq!(apk_hash([&key(one), &key(minus_one)]), hash([0; 64]));
        assert_eq!(apk_hash([]), hash([0; 64]));
        let mut off = one;
        off[63] = 3;
        assert_eq!(apk_hash([&key(off)]), None);
        assert_eq!(apk_hash([&key([0xff; 64])]), None);
    }
}
