//! The arithmetic of BN254 as a [`Scheme`].

use std::sync::LazyLock;

use alloy_primitives::B256;
use ark_bn254::{G1Affine, G2Affine};
use ark_ec::AffineRepr;
use mach_core::{Bn254, G1Bytes, G2Bytes};
use zeroize::Zeroizing;

use super::curve::{Lines, Product, weighted};
use super::encoding::{decode_g1, decode_g2, encode_g1, encode_g2};
use super::hash::hash_to_g1;
use super::secret::{self, SecretScalar, multiply_g1, multiply_g2};
use super::sum;
use crate::{PointError, Scheme};

impl Scheme for Bn254 {
    type Secret = SecretScalar;
    type G1Point = G1Affine;
    type G2Point = G2Affine;
    type Lines = Lines;
    type Target = Product;

    const PART: usize = weighted::PART;

    fn secret_from_bytes(bytes: &[u8; 32]) -> Option<SecretScalar> {
        secret::from_bytes(bytes)
    }

    fn secret_to_bytes(secret: &SecretScalar) -> Zeroizing<[u8; 32]> {
        secret::to_bytes(secret)
    }

    fn public_points(secret: &SecretScalar) -> (G1Affine, G2Affine) {
        (
            multiply_g1(G1Affine::generator(), secret),
            multiply_g2(G2Affine::generator(), secret),
        )
    }

    fn sign(secret: &SecretScalar, digest: B256) -> G1Affine {
        multiply_g1(Self::hash_to_g1(digest), secret)
    }

    fn hash_to_g1(digest: B256) -> G1Affine {
        hash_to_g1(digest).0
    }

    fn decode_g1(bytes: &G1Bytes) -> Result<G1Affine, PointError> {
        decode_g1(bytes)
    }

    fn decode_g2(bytes: &G2Bytes) -> Result<G2Affine, PointError> {
        decode_g2(bytes)
    }

    fn encode_g1(point: &G1Affine) -> G1Bytes {
        encode_g1(point)
    }

    fn encode_g2(point: &G2Affine) -> G2Bytes {
        encode_g2(point)
    }

    fn generator_g1() -> G1Affine {
        G1Affine::generator()
    }

    fn sum_g1(points: &[G1Affine]) -> G1Affine {
        sum::sum_g1(points)
    }

    fn sum_g2(points: &[G2Affine]) -> G2Affine {
        sum::sum_g2(points)
    }

    fn subtract_g1(from: &G1Affine, point: &G1Affine) -> G1Affine {
        sum::sum_g1(&[*from, -*point])
    }

    fn subtract_g2(from: &G2Affine, point: &G2Affine) -> G2Affine {
        sum::sum_g2(&[*from, -*point])
    }

    fn weighted_sums(
        g1: &[G1Affine],
        g2: &[G2Affine],
        weights: &[[u8; 16]],
    ) -> (Vec<G1Affine>, Vec<G2Affine>) {
        sum::weighted_sums(g1, g2, weights)
    }

    fn lines(point: &G2Affine) -> Lines {
        Lines::new(point)
    }

    fn negative_generator_lines() -> &'static Lines {
        static LINES: LazyLock<Lines> = LazyLock::new(|| Lines::new(&-G2Affine::generator()));
        &LINES
    }

    fn pairing_product(pairs: &[(G1Affine, &Lines)]) -> Product {
        Product::new(pairs)
    }

    fn one() -> Product {
        Product::ONE
    }
}
