//! Points as bytes and back, every rule checked on the way in.

use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField};
use mach_core::{G1Bytes, G2Bytes};

use super::curve::is_in_subgroup;
use crate::PointError;

/// Any point of G1 but the identity. The cofactor of G1 is one.
pub(crate) fn decode_g1(bytes: &G1Bytes) -> Result<G1Affine, PointError> {
    let [x, y] = coordinates(&bytes.0.0)?;
    let point = G1Affine::new_unchecked(x, y);
    if point.is_zero() {
        return Err(PointError::Identity);
    }
    if !point.is_on_curve() {
        return Err(PointError::NotOnCurve);
    }
    Ok(point)
}

/// Any point of the prime-order subgroup of G2 but the identity.
pub(crate) fn decode_g2(bytes: &G2Bytes) -> Result<G2Affine, PointError> {
    let [x0, x1, y0, y1] = coordinates(&bytes.0.0)?;
    let point = G2Affine::new_unchecked(Fq2::new(x0, x1), Fq2::new(y0, y1));
    if point.is_zero() {
        return Err(PointError::Identity);
    }
    if !point.is_on_curve() {
        return Err(PointError::NotOnCurve);
    }
    if !is_in_subgroup(&point) {
        return Err(PointError::NotInSubgroup);
    }
    Ok(point)
}

/// The identity becomes zeros, as the precompiles have it (EIP-196).
pub(crate) fn encode_g1(point: &G1Affine) -> G1Bytes {
    let mut bytes = [0; 64];
    write_coordinates(&mut bytes, [point.x, point.y]);
    G1Bytes(bytes.into())
}

/// The identity becomes zeros, as the precompiles have it (EIP-197).
pub(crate) fn encode_g2(point: &G2Affine) -> G2Bytes {
    let mut bytes = [0; 128];
    write_coordinates(&mut bytes, [point.x.c0, point.x.c1, point.y.c0, point.y.c1]);
    G2Bytes(bytes.into())
}

/// The element with this big-endian encoding; `None` if it is not below the modulus.
pub(crate) fn element<F: PrimeField<BigInt = BigInt<4>>>(bytes: &[u8; 32]) -> Option<F> {
    F::from_bigint(integer(bytes))
}

/// The inverse of [`element`].
pub(crate) fn element_bytes<F: PrimeField<BigInt = BigInt<4>>>(element: F) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, limb) in chunks.iter_mut().rev().zip(element.into_bigint().0) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}

/// A big-endian number as limbs, least significant first.
pub(crate) fn integer(bytes: &[u8; 32]) -> BigInt<4> {
    let mut limbs = [0; 4];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (limb, chunk) in limbs.iter_mut().rev().zip(chunks) {
        *limb = u64::from_be_bytes(*chunk);
    }
    BigInt(limbs)
}

fn coordinates<const N: usize, const BYTES: usize>(
    bytes: &[u8; BYTES],
) -> Result<[Fq; N], PointError> {
    const { assert!(BYTES == 32 * N) };
    let mut coordinates = [Fq::from(0u64); N];
    let (chunks, _) = bytes.as_chunks::<32>();
    for (coordinate, chunk) in coordinates.iter_mut().zip(chunks) {
        *coordinate = element(chunk).ok_or(PointError::Coordinate)?;
    }
    Ok(coordinates)
}

fn write_coordinates<const N: usize>(bytes: &mut [u8], coordinates: [Fq; N]) {
    let (chunks, _) = bytes.as_chunks_mut::<32>();
    for (chunk, coordinate) in chunks.iter_mut().zip(coordinates) {
        *chunk = element_bytes(coordinate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, hex};
    use ark_bn254::Fr;
    use proptest::prelude::*;

    /// EIP-196: the modulus of the base field.
    const P: [u8; 32] = hex!("30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47");

    fn g1(x: U256, y: U256) -> G1Bytes {
        G1Bytes(
            [x.to_be_bytes::<32>(), y.to_be_bytes()]
                .concat()
                .as_slice()
                .try_into()
                .unwrap(),
        )
    }

    #[test]
    fn what_is_not_a_point_of_g1_is_refused() {
        let p = U256::from_be_bytes(P);
        let (one, two) = (U256::from(1), U256::from(2));
        let cases = [
            (g1(one, two), None),
            (g1(U256::ZERO, U256::ZERO), Some(PointError::Identity)),
            (g1(one, U256::from(3)), Some(PointError::NotOnCurve)),
            (g1(p + one, two), Some(PointError::Coordinate)),
            (g1(one, p), Some(PointError::Coordinate)),
            (g1(U256::MAX, U256::MAX), Some(PointError::Coordinate)),
        ];
        for (bytes, error) in cases {
            assert_eq!(decode_g1(&bytes).err(), error, "{bytes:?}");
        }
    }

    #[test]
    fn a_point_of_the_twist_outside_the_subgroup_is_refused() {
        // Most points of the twist are outside: the cofactor has 254 bits.
        let outside = (0..)
            .filter_map(|x| {
                G2Affine::get_point_from_x_unchecked(Fq2::new(x.into(), 1u64.into()), false)
            })
            .next()
            .unwrap();
        assert!(outside.is_on_curve());
        assert_eq!(
            decode_g2(&encode_g2(&outside)),
            Err(PointError::NotInSubgroup)
        );
        let mut bytes = encode_g2(&G2Affine::generator());
        bytes.0[127] ^= 1;
        assert_eq!(decode_g2(&bytes), Err(PointError::NotOnCurve));
        bytes.0[..32].copy_from_slice(&P);
        assert_eq!(decode_g2(&bytes), Err(PointError::Coordinate));
        assert_eq!(
            decode_g2(&G2Bytes([0; 128].into())),
            Err(PointError::Identity)
        );
    }

    proptest! {
        #[test]
        fn decoding_is_the_inverse_of_encoding(scalar in 1u64..) {
            let scalar = Fr::from(scalar);
            let (g1, g2) = (G1Affine::generator() * scalar, G2Affine::generator() * scalar);
            let (g1, g2) = (G1Affine::from(g1), G2Affine::from(g2));
            prop_assert_eq!(decode_g1(&encode_g1(&g1)), Ok(g1));
            prop_assert_eq!(decode_g2(&encode_g2(&g2)), Ok(g2));
        }

        #[test]
        fn any_bytes_are_a_point_or_an_error(
            a in any::<[u8; 32]>(), b in any::<[u8; 32]>(),
            c in any::<[u8; 32]>(), d in any::<[u8; 32]>(),
        ) {
            let bytes = [a, b, c, d].concat();
            let g1 = G1Bytes(bytes[..64].try_into().unwrap());
            let g2 = G2Bytes(bytes.as_slice().try_into().unwrap());
            prop_assert!(decode_g1(&g1).is_ok_and(|point| encode_g1(&point) == g1) || decode_g1(&g1).is_err());
            prop_assert!(decode_g2(&g2).is_ok_and(|point| encode_g2(&point) == g2) || decode_g2(&g2).is_err());
        }
    }
}
