//! The signer of a message, by the machine's arithmetic modulo the two primes of secp256k1.
//!
//! Source: SEC 1, section 4.1.6, with the recovery id of Ethereum's yellow paper, appendix E.

use std::ops::Neg;

use alloy_primitives::{hex, keccak256, Address};
use openvm_algebra_guest::{moduli_macros::*, DivUnsafe, IntMod, Sqrt};
use openvm_ecc_guest::{
    sw_macros::*,
    weierstrass::{CachedMulTable, IntrinsicCurve, WeierstrassPoint},
    Group,
};

use crate::signatures::plus_order;

moduli_declare! {
    Coordinate { modulus = "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F" },
    Scalar { modulus = "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141" },
}

// The machine's configuration has the moduli and the curve in this order.
moduli_init! {
    "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F",
    "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141"
}

const SEVEN: Coordinate = Coordinate::from_const_u8(7);

sw_declare! {
    Secp256k1Point { mod_type = Coordinate, b = SEVEN },
}

sw_init! {
    "Secp256k1Point",
}

const GENERATOR_X: [u8; 32] =
    hex!("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
const GENERATOR_Y: [u8; 32] =
    hex!("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");

/// Bits of a scalar that are multiplied at once.
const WINDOW: usize = 4;

struct Curve;

impl IntrinsicCurve for Curve {
    type Scalar = Scalar;
    type Point = Secp256k1Point;

    fn msm(scalars: &[Scalar], points: &[Secp256k1Point]) -> Secp256k1Point {
        CachedMulTable::<Self>::new_with_prime_order(points, WINDOW).windowed_mul(scalars)
    }
}

/// Address of the key that signed, or `None` if none did.
///
/// The machine's numbers may stand for a residue by more than one string of bytes, and which one is
/// the prover's choice. So every number whose bytes are looked at is asserted to be the reduced one.
pub fn recover(signature: &[u8; 64], recovery: u8, message: &[u8; 32]) -> Option<Address> {
    if recovery > 3 {
        return None;
    }
    let (r_bytes, s_bytes) = signature.split_at(32);
    let r = Scalar::from_be_bytes(r_bytes)?;
    let s = Scalar::from_be_bytes(s_bytes)?;
    // From bytes below the modulus: zero is the only string of zero.
    if r_bytes == [0; 32] || s_bytes == [0; 32] {
        return None;
    }
    let x = match recovery & 2 {
        0 => Coordinate::from_be_bytes(r_bytes)?,
        _ => Coordinate::from_be_bytes(&plus_order(r_bytes)?)?,
    };
    let mut y = (&x * &x * &x + SEVEN).sqrt()?;
    y.assert_reduced();
    // No point of the curve has y = 0, so the other root has the other parity.
    if y.as_le_bytes()[0] & 1 != recovery & 1 {
        y = -y;
    }
    // SAFETY: `y` is a root of the curve's equation, and the group has prime order.
    let point = unsafe { Secp256k1Point::from_xy_unchecked(x, y) };
    let z = Scalar::from_be_bytes_unchecked(message);
    let key = Curve::msm(
        &[-z.div_unsafe(&r), s.div_unsafe(&r)],
        &[generator(), point],
    );
    if key.is_identity() {
        return None;
    }
    let (x, y) = key.into_coords();
    x.assert_reduced();
    y.assert_reduced();
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(x.to_be_bytes().as_ref());
    bytes[32..].copy_from_slice(y.to_be_bytes().as_ref());
    Some(Address::from_word(keccak256(bytes)))
}

fn generator() -> Secp256k1Point {
    let x = Coordinate::from_be_bytes_unchecked(&GENERATOR_X);
    let y = Coordinate::from_be_bytes_unchecked(&GENERATOR_Y);
    // SAFETY: the generator is on the curve.
    unsafe { Secp256k1Point::from_xy_unchecked(x, y) }
}
