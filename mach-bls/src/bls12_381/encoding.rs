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

#[cfg(test)]
mod tests {
    use super::super::scheme::tests::generators;
    use super::*;
    use alloy_primitives::hex;

    /// EIP-2537: the generators, each coordinate after 16 bytes of zeros.
    const G1: [&str; 2] = [
        "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
        "0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1",
    ];
    const G2: [&str; 4] = [
        "00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
        "0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e",
        "000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801",
        "000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be",
    ];

    fn g1() -> G1Bytes<Bls12381> {
        G1Bytes(
            hex::decode(G1.concat())
                .unwrap()
                .as_slice()
                .try_into()
                .unwrap(),
        )
    }

    fn g2() -> G2Bytes<Bls12381> {
        G2Bytes(
            hex::decode(G2.concat())
                .unwrap()
                .as_slice()
                .try_into()
                .unwrap(),
        )
    }

    #[test]
    fn the_generators_are_those_of_the_precompiles() {
        let (generator_g1, generator_g2) = generators();
        assert_eq!(decode_g1(&g1()), Ok(generator_g1));
        assert_eq!(decode_g2(&g2()), Ok(generator_g2));
        assert_eq!(encode_g1(&generator_g1), g1());
        assert_eq!(encode_g2(&generator_g2), g2());
    }

    #[test]
    fn each_broken_rule_has_its_error() {
        for index in [0, 15, 16, 64, 79, 80] {
            // Above the modulus, or in what has to be zeros.
            let (mut in_g1, mut in_g2) = (g1(), g2());
            in_g1.0[index] |= 0x80;
            in_g2.0[128 + index] |= 0x80;
            assert_eq!(decode_g1(&in_g1), Err(PointError::Coordinate), "{index}");
            assert_eq!(decode_g2(&in_g2), Err(PointError::Coordinate), "{index}");
        }
        for index in [63, 127] {
            let (mut in_g1, mut in_g2) = (g1(), g2());
            in_g1.0[index] ^= 1;
            in_g2.0[128 + index] ^= 1;
            assert_eq!(decode_g1(&in_g1), Err(PointError::NotOnCurve), "{index}");
            assert_eq!(decode_g2(&in_g2), Err(PointError::NotOnCurve), "{index}");
        }
        let (mut in_g1, mut in_g2) = (g1(), g2());
        in_g1.0[16..64].copy_from_slice(&P);
        in_g2.0[16..64].copy_from_slice(&P);
        assert_eq!(decode_g1(&in_g1), Err(PointError::Coordinate));
        assert_eq!(decode_g2(&in_g2), Err(PointError::Coordinate));
        let zeros = G1Bytes(Default::default());
        assert_eq!(decode_g1(&zeros), Err(PointError::Identity));
        let zeros = G2Bytes(Default::default());
        assert_eq!(decode_g2(&zeros), Err(PointError::Identity));
    }

    /// Both cofactors are large: the first points by X are outside.
    #[test]
    fn a_point_outside_the_subgroup_is_refused() {
        let outside = (1..=255).find_map(|x| {
            let mut bytes = [0; 48];
            (bytes[0], bytes[47]) = (0x80, x);
            BlstG1::uncompress(&bytes).ok()
        });
        let bytes = encode_g1(&outside.unwrap().into());
        assert_eq!(decode_g1(&bytes), Err(PointError::NotInSubgroup));
        let outside = (1..=255).find_map(|x| {
            let mut bytes = [0; 96];
            (bytes[0], bytes[95]) = (0x80, x);
            BlstG2::uncompress(&bytes).ok()
        });
        let bytes = encode_g2(&outside.unwrap().into());
        assert_eq!(decode_g2(&bytes), Err(PointError::NotInSubgroup));
    }
}
