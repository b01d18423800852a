//! Between mach-core's types and the structs of the verifier.

use alloy_primitives::{Bytes, FixedBytes, U256};
use mach_core::{Bls12381, Certificate, G1Bytes, G2Bytes};

use crate::abi::bls12381 as abi;

impl From<&Certificate<Bls12381>> for abi::Certificate {
    fn from(certificate: &Certificate<Bls12381>) -> Self {
        let round = &certificate.round;
        let thresholds: Vec<u8> = round.terms().map(|(_, percent)| percent.value()).collect();
        Self {
            digest: certificate.digest(),
            referenceBlockNumber: round.reference_block(),
            quorumNumbers: Bytes::copy_from_slice(round.quorums().as_bytes()),
            thresholds: thresholds.into(),
            quorumApks: certificate
                .quorums
                .iter()
                .map(|tally| tally.apk.into())
                .collect(),
            nonSigners: certificate
                .non_signers
                .iter()
                .map(|operator| operator.key_g1.into())
                .collect(),
            apkG2: certificate.apk_g2.into(),
            sigma: certificate.sigma.into(),
        }
    }
}

// Both sides have the order of EIP-2537: nothing is swapped.
impl From<G1Bytes<Bls12381>> for abi::G1Point {
    fn from(point: G1Bytes<Bls12381>) -> Self {
        let [x, y] = elements(&point.0.0);
        Self { X: x, Y: y }
    }
}

impl From<G2Bytes<Bls12381>> for abi::G2Point {
    fn from(point: G2Bytes<Bls12381>) -> Self {
        let [x0, x1, y0, y1] = elements(&point.0.0);
        Self {
            X: abi::Fp2 { c0: x0, c1: x1 },
            Y: abi::Fp2 { c0: y0, c1: y1 },
        }
    }
}

impl From<abi::G1Point> for G1Bytes<Bls12381> {
    fn from(point: abi::G1Point) -> Self {
        Self(join([point.X, point.Y]))
    }
}

impl From<abi::G2Point> for G2Bytes<Bls12381> {
    fn from(point: abi::G2Point) -> Self {
        let (x, y) = (point.X, point.Y);
        Self(join([x.c0, x.c1, y.c0, y.c1]))
    }
}

fn elements<const N: usize, const BYTES: usize>(bytes: &[u8; BYTES]) -> [abi::Fp; N] {
    const { assert!(BYTES == 64 * N) };
    let mut elements = [abi::Fp::default(); N];
    let (words, _) = bytes.as_chunks::<32>();
    let (pairs, _) = words.as_chunks::<2>();
    for (element, [high, low]) in elements.iter_mut().zip(pairs) {
        *element = abi::Fp {
            high: U256::from_be_bytes(*high),
            low: U256::from_be_bytes(*low),
        };
    }
    elements
}

fn join<const N: usize, const BYTES: usize>(elements: [abi::Fp; N]) -> FixedBytes<BYTES> {
    const { assert!(BYTES == 64 * N) };
    let mut bytes = FixedBytes::ZERO;
    let (words, _) = bytes.0.as_chunks_mut::<32>();
    let (pairs, _) = words.as_chunks_mut::<2>();
    for ([high, low], element) in pairs.iter_mut().zip(elements) {
        (*high, *low) = (element.high.to_be_bytes(), element.low.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::SolValue;

    /// EIP-2537: what the contract hashes and hands to precompiles is the wire form.
    #[test]
    fn the_abi_form_of_a_point_is_its_wire_form() {
        let bytes: Vec<u8> = (0..=255).collect();
        let g1 = G1Bytes::<Bls12381>(bytes.as_slice()[..128].try_into().unwrap());
        let g2 = G2Bytes::<Bls12381>(bytes.as_slice().try_into().unwrap());
        assert_eq!(abi::G1Point::from(g1).abi_encode(), bytes[..128]);
        assert_eq!(abi::G2Point::from(g2).abi_encode(), bytes);
        assert_eq!(G1Bytes::from(abi::G1Point::from(g1)), g1);
        assert_eq!(G2Bytes::from(abi::G2Point::from(g2)), g2);
    }
}
