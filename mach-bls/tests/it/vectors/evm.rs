//! EIP-196, EIP-197 and EIP-2537: what the precompiles answer, by our decoders, sums, multiplication
//! and pairing.

use alloy_primitives::U256;
use mach_bls::PointError;
use mach_core::{Bls12381, Bn254, G1Bytes, G2Bytes};
use serde::Deserialize;

use super::{File, bytes};
use crate::fixture::TestCurve;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vector {
    name: String,
    input: String,
    expected: Option<String>,
}

impl Vector {
    fn input(&self) -> Vec<u8> {
        bytes(&self.input)
    }

    /// The precompiles of BN254 read zeros after the end, and nothing beyond what they need.
    fn padded(&self, length: usize) -> Vec<u8> {
        let mut input = self.input();
        input.resize(length, 0);
        input
    }
}

fn vectors(file: &File) -> Vec<Vector> {
    let vectors: Vec<Vector> = file.json();
    assert!(!vectors.is_empty(), "{}", file.name);
    vectors
}

/// A group of a curve, with the identity, which is no key and no signature.
trait Group {
    type Curve: TestCurve;
    type Point: Copy;
    const BYTES: usize;
    fn decode(bytes: &[u8]) -> Result<Self::Point, PointError>;
    fn encode(point: &Self::Point) -> Vec<u8>;
    fn sum(points: &[Self::Point]) -> Self::Point;
}

struct G1<C>(C);
struct G2<C>(C);

impl<C: TestCurve> Group for G1<C> {
    type Curve = C;
    type Point = C::G1Point;
    const BYTES: usize = size_of::<C::G1>();

    fn decode(bytes: &[u8]) -> Result<Self::Point, PointError> {
        match C::decode_g1(&G1Bytes(C::G1::try_from(bytes).unwrap())) {
            Err(PointError::Identity) => Ok(C::sum_g1(&[])),
            other => other,
        }
    }

    fn encode(point: &Self::Point) -> Vec<u8> {
        C::encode_g1(point).0.as_ref().to_vec()
    }

    fn sum(points: &[Self::Point]) -> Self::Point {
        C::sum_g1(points)
    }
}

impl<C: TestCurve> Group for G2<C> {
    type Curve = C;
    type Point = C::G2Point;
    const BYTES: usize = size_of::<C::G2>();

    fn decode(bytes: &[u8]) -> Result<Self::Point, PointError> {
        match C::decode_g2(&G2Bytes(C::G2::try_from(bytes).unwrap())) {
            Err(PointError::Identity) => Ok(C::sum_g2(&[])),
            other => other,
        }
    }

    fn encode(point: &Self::Point) -> Vec<u8> {
        C::encode_g2(point).0.as_ref().to_vec()
    }

    fn sum(points: &[Self::Point]) -> Self::Point {
        C::sum_g2(points)
    }
}

/// By doubling, which is a sum of a point with itself.
fn multiply<G: Group>(point: G::Point, scalar: U256) -> G::Point {
    let mut product = G::sum(&[]);
    for bit in (0..256).rev() {
        product = G::sum(&[product, product]);
        if scalar.bit(bit) {
            product = G::sum(&[product, point]);
        }
    }
    product
}

/// `None` for what the precompile refuses.
fn points<G: Group>(input: &[u8], stride: usize) -> Option<Vec<(G::Point, U256)>> {
    if input.is_empty() || !input.len().is_multiple_of(stride) {
        return None;
    }
    let chunk = |chunk: &[u8]| {
        let (point, scalar) = chunk.split_at(G::BYTES);
        Some((G::decode(point).ok()?, U256::from_be_slice(scalar)))
    };
    input.chunks(stride).map(chunk).collect()
}

fn weighted_sum<G: Group>(input: &[u8]) -> Option<Vec<u8>> {
    let terms = points::<G>(input, G::BYTES + 32)?;
    let terms: Vec<_> = terms
        .into_iter()
        .map(|(point, scalar)| multiply::<G>(point, scalar % G::Curve::ORDER))
        .collect();
    Some(G::encode(&G::sum(&terms)))
}

fn compare(vector: &Vector, answer: Option<Vec<u8>>) {
    let expected = vector.expected.as_deref().map(bytes);
    assert_eq!(answer, expected, "{}", vector.name);
}

pub(super) fn bn254_additions(file: &File) {
    for vector in vectors(file) {
        let points = points::<G1<Bn254>>(&vector.padded(128), 64).unwrap();
        let points: Vec<_> = points.into_iter().map(|(point, _)| point).collect();
        let sum = G1::<Bn254>::sum(&points);
        compare(&vector, Some(G1::<Bn254>::encode(&sum)));
    }
}

pub(super) fn bn254_multiplications(file: &File) {
    for vector in vectors(file) {
        compare(&vector, weighted_sum::<G1<Bn254>>(&vector.padded(96)));
    }
}

pub(super) fn bn254_pairings(file: &File) {
    for vector in vectors(file) {
        let mut input = vector.input();
        // EIP-197 has the imaginary part first.
        for pair in input.chunks_mut(192) {
            let (_, point) = pair.split_at_mut(64);
            for coordinate in point.chunks_mut(64) {
                coordinate.rotate_left(32);
            }
        }
        let answer = if input.is_empty() {
            Some(true)
        } else {
            pairing::<Bn254>(&input)
        };
        compare(&vector, answer.map(word));
    }
}

/// The precompile takes points outside the subgroup, which are neither keys nor signatures: these
/// are refused here.
pub(super) fn additions_in_g1(file: &File) {
    additions::<G1<Bls12381>>(file);
}

pub(super) fn additions_in_g2(file: &File) {
    additions::<G2<Bls12381>>(file);
}

fn additions<G: Group>(file: &File) {
    let mut count = 0;
    for vector in vectors(file) {
        let input = vector.input();
        if input.len() != 2 * G::BYTES {
            assert_eq!(vector.expected, None, "{}", vector.name);
            continue;
        }
        let halves = input.chunks(G::BYTES).map(G::decode);
        match halves.collect::<Result<Vec<_>, _>>() {
            Ok(points) => compare(&vector, Some(G::encode(&G::sum(&points)))),
            Err(PointError::NotInSubgroup) => continue,
            Err(_) => compare(&vector, None),
        }
        count += 1;
    }
    assert!(count > 0, "{}", file.name);
}

pub(super) fn weighted_sums_in_g1(file: &File) {
    for vector in vectors(file) {
        compare(&vector, weighted_sum::<G1<Bls12381>>(&vector.input()));
    }
}

pub(super) fn weighted_sums_in_g2(file: &File) {
    for vector in vectors(file) {
        compare(&vector, weighted_sum::<G2<Bls12381>>(&vector.input()));
    }
}

pub(super) fn pairings(file: &File) {
    for vector in vectors(file) {
        compare(&vector, pairing::<Bls12381>(&vector.input()).map(word));
    }
}

/// Whether the product of all pairings is one.
fn pairing<C: TestCurve>(input: &[u8]) -> Option<bool> {
    let stride = G1::<C>::BYTES + G2::<C>::BYTES;
    if input.is_empty() || !input.len().is_multiple_of(stride) {
        return None;
    }
    let mut pairs = Vec::new();
    for pair in input.chunks(stride) {
        let (left, right) = pair.split_at(G1::<C>::BYTES);
        let right = G2::<C>::decode(right).ok()?;
        pairs.push((G1::<C>::decode(left).ok()?, C::lines(&right)));
    }
    let pairs: Vec<_> = pairs.iter().map(|(left, right)| (*left, right)).collect();
    Some(C::pairing_product(&pairs) == C::one())
}

fn word(truth: bool) -> Vec<u8> {
    U256::from(truth).to_be_bytes_vec()
}
