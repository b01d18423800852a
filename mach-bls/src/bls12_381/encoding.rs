//! Points in the form of EIP-2537 and back, every rule checked on the way in.
//!
//! blst reads and writes the form of the consensus layer: 48 bytes for each number, imaginary part
//! first, flags in the top bits, which are zero in what is built here.

use blst::min_pk::PublicKey as BlstG1;
use blst::min_sig::PublicKey as BlstG2;
use blst::{BLST_ERROR, blst_p1_affine, blst_p2_affine};
use mach_core::{Bls12381, G1Bytes, G2Bytes};

use super::P;
use crate::PointError;

/// Any point of the prime-order subgroup of G1 but the identity.
pub(super) fn decode_g1(bytes: &G1Bytes<Bls12381>) -> Result<blst_p1_affine, PointError> {
    let [x, y] = numbers(&bytes.0.0)?;
    let point = BlstG1::deserialize([x, y].as_flattened()).map_err(point_error)?;
    point.validate().map_err(point_error)?;
    Ok(point.into())
}

/// Any point of the prime-order subgroup of G2 but the identity.
pub(super) fn decode_g2(bytes: &G2Bytes<Bls12381>) -> Result<blst_p2_affine, PointError> {
    let [x0, x1, y0, y1] = numbers(&bytes.0.0)?;
    let point = BlstG2::deserialize([x1, x0, y1, y0].as_flattened()).map_err(point_error)?;
    point.validate().map_err(point_error)?;
    Ok(point.into())
}

pub(super) fn encode_g1(point: &blst_p1_affine) -> G1Bytes<Bls12381> {
    let mut bytes = [0; 128];
    if *point != blst_p1_affine::default() {
        let numbers = BlstG1::from(*point).serialize();
        if let ([x, y], _) = numbers.as_chunks::<48>() {
            write(&mut bytes, [x, y]);
        }
    }
    G1Bytes(bytes.into())
}

pub(super) fn encode_g2(point: &blst_p2_affine) -> G2Bytes<Bls12381> {
    let mut bytes = [0; 256];
    if *point != blst_p2_affine::default() {
        let numbers = BlstG2::from(*point).serialize();
        if let ([x1, x0, y1, y0], _) = numbers.as_chunks::<48>() {
            write(&mut bytes, [x0, x1, y0, y1]);
        }
    }
    G2Bytes(bytes.into())
}

/// Numbers below the modulus, not all zero.
fn numbers<const N: usize, const BYTES: usize>(
    bytes: &[u8; BYTES],
) -> Result<[[u8; 48]; N], PointError> {
    const { assert!(BYTES == 64 * N) };
    let mut numbers = [[0; 48]; N];
    let (chunks, _) = bytes.as_chunks::<64>();
    for (number, chunk) in numbers.iter_mut().zip(chunks) {
        let (zeros, rest) = chunk.split_at(16);
        if zeros.iter().any(|byte| *byte != 0) || *rest >= P[..] {
            return Err(PointError::Coordinate);
        }
        number.copy_from_slice(rest);
    }
    if numbers.as_flattened().iter().all(|byte| *byte == 0) {
        return Err(PointError::Identity);
    }
    Ok(numbers)
}

fn write<const N: usize>(bytes: &mut [u8], numbers: [&[u8; 48]; N]) {
    let (chunks, _) = bytes.as_chunks_mut::<64>();
    for (chunk, number) in chunks.iter_mut().zip(numbers) {
        let (_, rest) = chunk.split_at_mut(16);
        rest.copy_from_slice(number);
    }
}

pub(super) const fn point_error(error: BLST_ERROR) -> PointError {
    match error {
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => PointError::NotOnCurve,
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => PointError::NotInSubgroup,
        BLST_ERROR::BLST_PK_IS_INFINITY => PointError::Identity,
        // What blst calls a bad encoding: what is left is a number that is too large.
        _ => PointError::Coordinate,
    }
}
