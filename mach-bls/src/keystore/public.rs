//! The public part that a key file names, in the encodings that are in use.

use core::fmt;

use alloy_primitives::{Address, U256, hex, uint};
use ark_bn254::{Fq, G1Affine};
use ark_ff::{BigInt, PrimeField};
use blst::{min_pk, min_sig};
use mach_core::{G1Bytes, G2Bytes, OperatorId};

use super::{
    KeyKind, Secret,
    secret::{decimal, from_decimal},
};
use crate::{bls12_381, bn254::MessagePoint};

/// What a key file says whose key it holds. Nothing of it is secret, and nothing is proved before
/// the file is decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicPart {
    /// A point of BN254's G1.
    Bn254G1(G1Bytes),
    /// A point in another encoding: of BLS12-381, or of BN254's G2.
    Encoded(Vec<u8>),
    /// An account.
    Address(Address),
}

impl PublicPart {
    /// Id of the operator whose key this is, where the point in G1 is known.
    pub fn operator_id(&self) -> Option<OperatorId> {
        match self {
            Self::Bn254G1(point) => Some(OperatorId::from_key(point)),
            Self::Encoded(_) | Self::Address(_) => None,
        }
    }

    /// Whether `secret` has this public part, in any encoding that some tool writes.
    pub fn belongs_to(&self, secret: &Secret) -> bool {
        match (self, secret) {
            (Self::Bn254G1(point), Secret::Bn254(key)) => key.public_key().g1_bytes() == *point,
            (Self::Encoded(bytes), Secret::Bn254(key)) => {
                let key = key.public_key();
                let (g1, g2) = (key.g1_bytes(), key.g2_bytes());
                [
                    g1.0.to_vec(),
                    gnark_g2(&g2).to_vec(),
                    gnark_g2_compressed(&g2).to_vec(),
                    ark_g2(&g2).to_vec(),
                ]
                .contains(bytes)
            }
            (Self::Encoded(bytes), Secret::Bls12381(key)) => encodings(key).contains(bytes),
            (Self::Address(address), Secret::Ecdsa(key)) => key.address() == *address,
            _ => false,
        }
    }

    /// `E([X,Y])` with decimal coordinates, as gnark prints a point.
    pub(super) fn from_gnark_text(text: &str) -> Option<Self> {
        let inside = text.strip_prefix("E([")?.strip_suffix("])")?;
        let (x, y) = inside.split_once(',')?;
        let coordinate = |digits: &str| from_decimal(digits.as_bytes());
        checked_g1(*coordinate(x)?, *coordinate(y)?)
    }

    /// The inverse of [`Self::from_gnark_text`].
    pub(super) fn to_gnark_text(point: &G1Bytes) -> String {
        let (halves, _) = point.0.0.as_chunks();
        let mut numbers = halves
            .iter()
            .map(|half| String::from_utf8_lossy(&decimal(half)).into_owned());
        let (x, y) = (numbers.next(), numbers.next());
        format!("E([{},{}])", x.unwrap_or_default(), y.unwrap_or_default())
    }

    /// The `pubkey` of EIP-2335; `None` if it is no encoding of a key of this kind.
    pub(super) fn from_eip2335(kind: KeyKind, bytes: Vec<u8>) -> Option<Self> {
        match (kind, bytes.len()) {
            (KeyKind::Bn254, 32) => {
                let bytes: [u8; 32] = bytes.try_into().ok()?;
                decompress_g1(bytes)
            }
            (KeyKind::Bn254, 64 | 128) | (KeyKind::Bls12381, 48 | 96 | 192) => {
                Some(Self::Encoded(bytes))
            }
            _ => None,
        }
    }

    /// The `pubkey` of EIP-2335.
    ///
    /// BN254: X with gnark's two flag bits, as Cerberus writes it. BLS12-381: the standard's
    /// compressed point in G1.
    pub(super) fn to_eip2335(&self) -> Vec<u8> {
        match self {
            Self::Bn254G1(point) => compress_g1(point).to_vec(),
            Self::Encoded(bytes) => bytes.clone(),
            Self::Address(address) => address.to_vec(),
        }
    }
}

/// BN254: X and Y in hexadecimal; BLS12-381: the compressed point; ECDSA: the address.
impl fmt::Display for PublicPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bn254G1(point) => write!(f, "{}", point.0),
            Self::Encoded(bytes) => f.write_str(&hex::encode_prefixed(bytes)),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// The modulus of BN254's base field (EIP-196).
const P: U256 = uint!(0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47_U256);

/// gnark's flags in the two highest bits: a compressed point, the smaller or the larger of its two Y.
const SMALLER: u8 = 0b10 << 6;
const LARGER: u8 = 0b11 << 6;

/// Whether Y is the larger of the two that go with its X: a number, or the imaginary part unless
/// that is zero.
fn is_larger(y: &[u8; 32]) -> bool {
    U256::from_be_bytes(*y) > P / uint!(2_U256)
}

fn flag(bytes: &mut [u8], is_larger: bool) {
    if let [first, ..] = bytes {
        *first |= if is_larger { LARGER } else { SMALLER };
    }
}

fn compress_g1(point: &G1Bytes) -> [u8; 32] {
    let (halves, _) = point.0.0.as_chunks();
    let [x, y] = *halves else { return [0; 32] };
    let mut bytes = x;
    flag(&mut bytes, is_larger(&y));
    bytes
}

fn decompress_g1(mut bytes: [u8; 32]) -> Option<PublicPart> {
    let [first, ..] = &mut bytes;
    let greatest = match *first & LARGER {
        SMALLER => false,
        LARGER => true,
        _ => return None,
    };
    *first &= !LARGER;
    let limbs = U256::from_be_bytes(bytes).into_limbs();
    let x = Fq::from_bigint(BigInt(limbs))?;
    let point = G1Affine::get_point_from_x_unchecked(x, greatest)?;
    let y = U256::from_limbs(point.y.into_bigint().0);
    checked_g1(bytes, y.to_be_bytes())
}

fn checked_g1(x: [u8; 32], y: [u8; 32]) -> Option<PublicPart> {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(&x);
    second.copy_from_slice(&y);
    let point: G1Bytes = G1Bytes(bytes.into());
    MessagePoint::from_bytes(&point).ok()?;
    Some(PublicPart::Bn254G1(point))
}

/// The public key of a key on BLS12-381 in G1, compressed, as consensus clients have it.
pub fn compressed_g1(key: &bls12_381::SecretKey) -> [u8; 48] {
    in_g1(key).compress()
}

/// The public key of a key on BLS12-381 in G2, compressed.
pub fn compressed_g2(key: &bls12_381::SecretKey) -> [u8; 96] {
    in_g2(key).compress()
}

fn encodings(key: &bls12_381::SecretKey) -> [Vec<u8>; 4] {
    let (g1, g2) = (in_g1(key), in_g2(key));
    [
        g1.compress().to_vec(),
        g1.serialize().to_vec(),
        g2.compress().to_vec(),
        g2.serialize().to_vec(),
    ]
}

fn in_g1(key: &bls12_381::SecretKey) -> min_pk::PublicKey {
    min_pk::SecretKey::from_bytes(key.to_bytes().as_slice())
        .map(|key| key.sk_to_pk())
        .unwrap_or_default()
}

fn in_g2(key: &bls12_381::SecretKey) -> min_sig::PublicKey {
    min_sig::SecretKey::from_bytes(key.to_bytes().as_slice())
        .map(|key| key.sk_to_pk())
        .unwrap_or_default()
}

fn coordinates(point: &G2Bytes) -> [[u8; 32]; 4] {
    let (coordinates, _) = point.0.0.as_chunks();
    match *coordinates {
        [x0, x1, y0, y1] => [x0, x1, y0, y1],
        _ => Default::default(),
    }
}

/// X.c1, X.c0, Y.c1, Y.c0, as gnark's `RawBytes` has it and Layr-Labs/crypto-libs writes it.
fn gnark_g2(point: &G2Bytes) -> Vec<u8> {
    let [x0, x1, y0, y1] = coordinates(point);
    [x1, x0, y1, y0].concat()
}

/// X.c1 with the flags, X.c0, as gnark's `Bytes` has it and bn254-keystore-go writes it.
fn gnark_g2_compressed(point: &G2Bytes) -> Vec<u8> {
    let [x0, x1, ..] = coordinates(point);
    let mut bytes = [x1, x0].concat();
    flag(&mut bytes, g2_is_larger(point));
    bytes
}

/// The coordinates little-endian, real part first, and a flag in the last byte, as arkworks' has it
/// and rust-bls-bn254 (eigensdk-rs) writes it.
pub(super) fn ark_g2(point: &G2Bytes) -> Vec<u8> {
    let mut coordinates = coordinates(point);
    for coordinate in &mut coordinates {
        coordinate.reverse();
    }
    let mut bytes = coordinates.concat();
    if let (Some(last), true) = (bytes.last_mut(), g2_is_larger(point)) {
        *last |= 1 << 7;
    }
    bytes
}

fn g2_is_larger(point: &G2Bytes) -> bool {
    let [.., y0, y1] = coordinates(point);
    is_larger(if y1 == [0; 32] { &y0 } else { &y1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bn254::SecretKey;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_compressed_form_lead_back_to_the_point(number in 1u64..) {
            let key = SecretKey::from_bytes(&U256::from(number).to_be_bytes()).unwrap();
            let point = key.public_key().g1_bytes();
            let part = PublicPart::Bn254G1(point);
            prop_assert_eq!(
                PublicPart::from_gnark_text(&PublicPart::to_gnark_text(&point)),
                Some(part.clone())
            );
            prop_assert_eq!(
                PublicPart::from_eip2335(KeyKind::Bn254, part.to_eip2335()),
                Some(part)
            );
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for text in [
            "",
            "E([1,2]",
            "E([1,3])",
            "E([0,0])",
            "E([1,])",
            "E([,])",
            "E([1,2,3])",
            "E([-1,2])",
            "E([0x1,2])",
            "E([1,115792089237316195423570985008687907853269984665640564039457584007913129639935])",
            // 1 + p
            "E([21888242871839275222246405745257275088696311157297823662689037894645226208584,2])",
        ] {
            assert_eq!(PublicPart::from_gnark_text(text), None, "{text}");
        }
        // The generator, EIP-196.
        assert!(PublicPart::from_gnark_text("E([1,2])").is_some());
        for (length, first) in [(32, 0x00), (32, 0x40), (32, 0xff), (33, 0x80), (0, 0)] {
            let mut bytes = vec![0; length];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            assert_eq!(PublicPart::from_eip2335(KeyKind::Bn254, bytes), None);
        }
    }
}
