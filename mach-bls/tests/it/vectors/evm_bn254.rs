//! EIP-196 and EIP-197: what the precompiles answer, by our decoders, sums and multiplication.

use alloy_primitives::U256;
use ark_bn254::{Bn254, Fq, Fq2, G1Affine, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ff::{PrimeField, Zero};
use mach_bls::bn254::{KeyError, MessagePoint, PointError, PublicKey, SecretKey, Signature};
use mach_core::{G1Bytes, G2Bytes};
use serde::Deserialize;

use super::{File, bytes};
use crate::fixture::R;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vector {
    name: String,
    input: String,
    expected: String,
}

impl Vector {
    /// The precompiles read zeros after the end, and nothing beyond what they need.
    fn input<const N: usize>(&self) -> [u8; N] {
        let mut input = bytes(&self.input);
        input.resize(N, 0);
        input.try_into().unwrap()
    }

    fn expected(&self) -> G1Bytes {
        G1Bytes(bytes(&self.expected).as_slice().try_into().unwrap())
    }
}

const IDENTITY: G1Bytes = G1Bytes(alloy_primitives::FixedBytes::ZERO);

fn g1(bytes: &[u8]) -> G1Bytes {
    G1Bytes(bytes.try_into().unwrap())
}

pub(super) fn additions(file: &File) {
    for vector in file.json::<Vec<Vector>>() {
        let input = vector.input::<128>();
        let mut points = Vec::new();
        for half in [&input[..64], &input[64..]] {
            match Signature::from_bytes(&g1(half)) {
                Ok(point) => points.push(point),
                // It adds nothing, and a signature it is not.
                Err(error) => assert_eq!(error, PointError::Identity, "{}", vector.name),
            }
        }
        let sum = Signature::sum(points).map_or_else(
            |error| {
                assert_eq!(error, PointError::Identity);
                IDENTITY
            },
            |sum| sum.to_bytes(),
        );
        assert_eq!(sum, vector.expected(), "{}", vector.name);
    }
}

/// By the constant-time multiplication that signs.
pub(super) fn multiplications(file: &File) {
    for vector in file.json::<Vec<Vector>>() {
        let input = vector.input::<96>();
        // The precompile takes any number; a key is below the order.
        let scalar = U256::from_be_slice(&input[64..]) % R;
        let product = match (
            MessagePoint::from_bytes(&g1(&input[..64])),
            SecretKey::from_bytes(&scalar.to_be_bytes()),
        ) {
            (Ok(point), Ok(key)) => key.prove_possession(&point).signature,
            (Err(PointError::Identity), _) => IDENTITY,
            (Ok(_), Err(_)) => {
                assert_eq!(scalar, U256::ZERO, "{}", vector.name);
                IDENTITY
            }
            (Err(error), _) => panic!("{}: {error}", vector.name),
        };
        assert_eq!(product, vector.expected(), "{}", vector.name);
    }
}

/// Our decoders take every point, and the product is that of the points that they read.
pub(super) fn pairings(file: &File) {
    for vector in file.json::<Vec<Vector>>() {
        let input = bytes(&vector.input);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for pair in input.chunks(192) {
            let decoded = Signature::from_bytes(&g1(&pair[..64]));
            assert!(
                matches!(decoded, Ok(_) | Err(PointError::Identity)),
                "{}: {decoded:?}",
                vector.name
            );
            // EIP-197 has the imaginary part first.
            let [x1, x0, y1, y0] = [64, 96, 128, 160].map(|at| &pair[at..at + 32]);
            let point = [x0, x1, y0, y1].concat();
            let generator = crate::fixture::g1("1", "2");
            let key =
                PublicKey::from_bytes(&generator, &G2Bytes(point.as_slice().try_into().unwrap()));
            let readable = match key {
                Ok(_) | Err(KeyError::Unlinked) => true,
                Err(KeyError::Point { source, .. }) => source == PointError::Identity,
                Err(_) => false,
            };
            assert!(readable, "{}: {key:?}", vector.name);

            let [x, y] = [0, 32].map(|at| element(&pair[at..at + 32]));
            left.push(if x.is_zero() && y.is_zero() {
                G1Affine::identity()
            } else {
                G1Affine::new(x, y)
            });
            let [x0, x1, y0, y1] = [x0, x1, y0, y1].map(element);
            let (x, y) = (Fq2::new(x0, x1), Fq2::new(y0, y1));
            right.push(if x.is_zero() && y.is_zero() {
                G2Affine::identity()
            } else {
                G2Affine::new(x, y)
            });
        }
        let is_one = Bn254::multi_pairing(left, right).is_zero();
        assert_eq!(
            U256::from(is_one),
            U256::from_be_slice(&bytes(&vector.expected)),
            "{}",
            vector.name
        );
    }
}

fn element(bytes: &[u8]) -> Fq {
    Fq::from_be_bytes_mod_order(bytes)
}
