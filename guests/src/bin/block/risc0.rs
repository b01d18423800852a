//! The signer of a message, by the machine's arithmetic of 256-bit numbers.
//!
//! Source: SEC 1, section 4.1.6, with the recovery id of Ethereum's yellow paper, appendix E.

use alloy_primitives::{keccak256, Address};
use risc0_bigint2::{
    ec::{AffinePoint, Secp256k1Curve},
    field::{modadd_256, modinv_256, modmul_256, modsub_256},
};

use crate::signatures::{plus_order, ORDER};

/// A number, little-endian.
type Words = [u32; 8];
type Point = AffinePoint<8, Secp256k1Curve>;

const ZERO: Words = [0; 8];
const SEVEN: Words = [7, 0, 0, 0, 0, 0, 0, 0];
/// The prime of the coordinates.
const PRIME: Words = [0xffff_fc2f, 0xffff_fffe, !0, !0, !0, !0, !0, !0];
const GENERATOR_X: Words = [
    0x16f8_1798,
    0x59f2_815b,
    0x2dce_28d9,
    0x029b_fcdb,
    0xce87_0b07,
    0x55a0_6295,
    0xf9dc_bbac,
    0x79be_667e,
];
const GENERATOR_Y: Words = [
    0xfb10_d4b8,
    0x9c47_d08f,
    0xa685_5419,
    0xfd17_b448,
    0x0e11_08a8,
    0x5da4_fbfc,
    0x26a3_c465,
    0x483a_da77,
];

/// Address of the key that signed, or `None` if none did.
///
/// The machine's operations that are used here assert that what the prover gives is reduced, so each
/// residue has one string of words.
pub fn recover(signature: &[u8; 64], recovery: u8, message: &[u8; 32]) -> Option<Address> {
    if recovery > 3 {
        return None;
    }
    let order = words(&ORDER);
    let (r_bytes, s_bytes) = signature.split_at(32);
    let (r, s) = (words(r_bytes), words(s_bytes));
    if r == ZERO || s == ZERO || !is_less(&r, &order) || !is_less(&s, &order) {
        return None;
    }
    let x = match recovery & 2 {
        0 => r,
        _ => words(&plus_order(r_bytes)?),
    };
    if !is_less(&x, &PRIME) {
        return None;
    }
    let square = add(&mul(&mul(&x, &x, &PRIME), &x, &PRIME), &SEVEN, &PRIME);
    let mut y = root(&square)?;
    // No point of the curve has y = 0, so the other root has the other parity.
    if y[0] as u8 & 1 != recovery & 1 {
        y = subtract(&PRIME, &y);
    }
    let point = Point::new_unchecked(x, y);
    let mut inverse = ZERO;
    modinv_256(&r, &order, &mut inverse);
    // The message may exceed the order: the sum with zero reduces it.
    let z = add(&words(message), &ZERO, &order);
    let minus_z = match z {
        ZERO => ZERO,
        _ => subtract(&order, &z),
    };
    let key = sum(
        &mul(&minus_z, &inverse, &order),
        &Point::new_unchecked(GENERATOR_X, GENERATOR_Y),
        &mul(&s, &inverse, &order),
        &point,
    );
    let [x, y] = key.as_u32s()?;
    let mut bytes = [0; 64];
    let digits = y.iter().chain(x).flat_map(|word| word.to_le_bytes());
    for (to, from) in bytes.iter_mut().rev().zip(digits) {
        *to = from;
    }
    Some(Address::from_word(keccak256(bytes)))
}

/// `a` times `g` and `b` times `p`, together, from the highest bit.
fn sum(a: &Words, g: &Point, b: &Words, p: &Point) -> Point {
    let both = plus(g, p);
    let mut sum = Point::IDENTITY;
    for bit in (0..256).rev() {
        let mut twice = Point::IDENTITY;
        sum.double(&mut twice);
        sum = match (is_set(a, bit), is_set(b, bit)) {
            (false, false) => twice,
            (true, false) => plus(&twice, g),
            (false, true) => plus(&twice, p),
            (true, true) => plus(&twice, &both),
        };
    }
    sum
}

/// Complete: of equal and of opposite points too, since all coordinates are reduced.
fn plus(a: &Point, b: &Point) -> Point {
    let mut sum = Point::IDENTITY;
    a.add(b, &mut sum);
    sum
}

/// A square root modulo the prime, which leaves 3 modulo 4: the power (p + 1) / 4, whose bits are
/// 223 ones, a zero, 22 ones and 00001100.
fn root(square: &Words) -> Option<Words> {
    let squared =
        |number: &Words, times: usize| (0..times).fold(*number, |it, _| mul(&it, &it, &PRIME));
    let times = |a: &Words, b: &Words| mul(a, b, &PRIME);
    // `ones_n` is the power of n ones.
    let ones_2 = times(&squared(square, 1), square);
    let ones_3 = times(&squared(&ones_2, 1), square);
    let ones_6 = times(&squared(&ones_3, 3), &ones_3);
    let ones_9 = times(&squared(&ones_6, 3), &ones_3);
    let ones_11 = times(&squared(&ones_9, 2), &ones_2);
    let ones_22 = times(&squared(&ones_11, 11), &ones_11);
    let ones_44 = times(&squared(&ones_22, 22), &ones_22);
    let ones_88 = times(&squared(&ones_44, 44), &ones_44);
    let ones_176 = times(&squared(&ones_88, 88), &ones_88);
    let ones_220 = times(&squared(&ones_176, 44), &ones_44);
    let ones_223 = times(&squared(&ones_220, 3), &ones_3);
    let power = times(&squared(&ones_223, 23), &ones_22);
    let power = times(&squared(&power, 6), &ones_2);
    let root = squared(&power, 2);
    (squared(&root, 1) == *square).then_some(root)
}

fn add(a: &Words, b: &Words, modulus: &Words) -> Words {
    let mut result = ZERO;
    modadd_256(a, b, modulus, &mut result);
    result
}

fn mul(a: &Words, b: &Words, modulus: &Words) -> Words {
    let mut result = ZERO;
    modmul_256(a, b, modulus, &mut result);
    result
}

/// Of a smaller number, which is not zero.
fn subtract(from: &Words, number: &Words) -> Words {
    let mut result = ZERO;
    modsub_256(&ZERO, number, from, &mut result);
    result
}

fn is_less(a: &Words, b: &Words) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn is_set(number: &Words, bit: usize) -> bool {
    number[bit / 32] >> (bit % 32) & 1 == 1
}

/// Of 32 bytes, big-endian.
fn words(bytes: &[u8]) -> Words {
    let mut words = ZERO;
    for (word, bytes) in words.iter_mut().zip(bytes.rchunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}
