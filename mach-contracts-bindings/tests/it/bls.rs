//! BN254 signatures for tests, by arkworks.

use alloy_primitives::{B256, U256};
use ark_bn254::{Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField};
use mach_contracts_bindings::abi;

#[derive(Clone, Copy)]
pub(crate) struct Key(pub(crate) Fr);

impl Key {
    pub(crate) fn new(secret: u64) -> Self {
        Self(Fr::from(secret))
    }

    pub(crate) fn parse(decimal: &str) -> Self {
        let secret: U256 = decimal.parse().unwrap();
        Self(Fr::from_be_bytes_mod_order(&secret.to_be_bytes::<32>()))
    }

    pub(crate) fn g1(&self) -> G1Projective {
        G1Affine::generator() * self.0
    }

    pub(crate) fn g2(&self) -> G2Projective {
        G2Affine::generator() * self.0
    }

    pub(crate) fn sign(&self, digest: B256) -> G1Projective {
        hash_to_g1(digest) * self.0
    }
}

/// EigenLayer's rule: FACTS 3.1.
pub(crate) fn hash_to_g1(digest: B256) -> G1Affine {
    let mut x = Fq::from_be_bytes_mod_order(digest.as_slice());
    let mut exponent = Fq::MODULUS;
    exponent.add_with_carry(&1u64.into());
    exponent >>= 2;
    loop {
        let beta = x * x * x + Fq::from(3);
        let y = beta.pow(exponent);
        if y * y == beta {
            return G1Affine::new_unchecked(x, y);
        }
        x += Fq::ONE;
    }
}

pub(crate) fn sol_g1(point: impl Into<G1Projective>) -> abi::G1Point {
    let point = point.into().into_affine();
    abi::G1Point {
        X: point.x().map_or(U256::ZERO, word),
        Y: point.y().map_or(U256::ZERO, word),
    }
}

pub(crate) fn sol_g2(point: impl Into<G2Projective>) -> abi::G2Point {
    let point = point.into().into_affine();
    let (x, y) = point.xy().unwrap_or((Fq2::ZERO, Fq2::ZERO));
    abi::G2Point {
        X: [word(x.c1), word(x.c0)],
        Y: [word(y.c1), word(y.c0)],
    }
}

fn word(element: Fq) -> U256 {
    U256::from_be_slice(&element.into_bigint().to_bytes_be())
}
