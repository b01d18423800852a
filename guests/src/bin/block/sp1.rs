//! The signer of a message, by the machine's multiplication of 256-bit numbers and its points of the
//! curve.
//!
//! Source: SEC 1, section 4.1.6, with the recovery id of Ethereum's yellow paper, appendix E.

use alloy_primitives::{keccak256, Address};
use sp1_zkvm::syscalls::{syscall_secp256k1_add, syscall_secp256k1_double, syscall_uint256_mulmod};

use crate::signatures::{plus_order, ORDER};

/// A number, little-endian.
type Words = [u64; 4];
/// X and Y of a point, which is not the one at infinity.
type Point = [u64; 8];

const ZERO: Words = [0; 4];
const ONE: Words = [1, 0, 0, 0];
/// The prime of the coordinates.
const PRIME: Words = [0xffff_fffe_ffff_fc2f, !0, !0, !0];
/// A square to this power is one of its roots, since the prime leaves 3 modulo 4: (p + 1) / 4.
const ROOT: Words = [0xffff_ffff_bfff_ff0c, !0, !0, !0 >> 2];
const GENERATOR: Point = [
    0x59f2_815b_16f8_1798,
    0x029b_fcdb_2dce_28d9,
    0x55a0_6295_ce87_0b07,
    0x79be_667e_f9dc_bbac,
    0x9c47_d08f_fb10_d4b8,
    0xfd17_b448_a685_5419,
    0x5da4_fbfc_0e11_08a8,
    0x483a_da77_26a3_c465,
];

/// Address of the key that signed, or `None` if none did.
///
/// The machine proves of every result that is used here that it is reduced, so each residue has one
/// string of words.
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
    let mut square = mul(&mul(&x, &x, &PRIME), &x, &PRIME);
    // Without a carry that leaves 256 bits: the prime is further from there.
    plus_small(&mut square, 7);
    let square = mul(&square, &ONE, &PRIME);
    let mut y = power(&square, &ROOT, &PRIME);
    if mul(&y, &y, &PRIME) != square {
        return None;
    }
    // No point of the curve has y = 0, so the other root has the other parity.
    if y[0] as u8 & 1 != recovery & 1 {
        y = minus(&PRIME, &y);
    }
    let mut point = [0; 8];
    point[..4].copy_from_slice(&x);
    point[4..].copy_from_slice(&y);
    // By Fermat: the order is a prime.
    let inverse = power(&r, &minus(&order, &[2, 0, 0, 0]), &order);
    // The message may exceed the order.
    let minus_z = minus(&order, &mul(&words(message), &ONE, &order));
    let key = sum(
        &mul(&minus_z, &inverse, &order),
        &GENERATOR,
        &mul(&s, &inverse, &order),
        &point,
    )?;
    let mut bytes = [0; 64];
    for (to, coordinate) in bytes.chunks_exact_mut(32).zip(key.chunks_exact(4)) {
        for (to, word) in to.rchunks_exact_mut(8).zip(coordinate) {
            to.copy_from_slice(&word.to_be_bytes());
        }
    }
    Some(Address::from_word(keccak256(bytes)))
}

/// `a` times `g` and `b` times `p`, together, from the highest bit; `None` at infinity.
fn sum(a: &Words, g: &Point, b: &Words, p: &Point) -> Option<Point> {
    let both = plus(Some(*g), Some(*p));
    let mut sum = None;
    for bit in (0..256).rev() {
        let twice = sum.map(double);
        sum = match (is_set(a, bit), is_set(b, bit)) {
            (false, false) => twice,
            (true, false) => plus(twice, Some(*g)),
            (false, true) => plus(twice, Some(*p)),
            (true, true) => plus(twice, both),
        };
    }
    sum
}

/// The sum of points that may be equal or opposite, of which the machine says nothing that is true.
fn plus(a: Option<Point>, b: Option<Point>) -> Option<Point> {
    let (Some(mut a), Some(mut b)) = (a, b) else {
        return a.or(b);
    };
    if a[..4] == b[..4] {
        return (a == b).then(|| double(a));
    }
    syscall_secp256k1_add(&mut a, &mut b);
    Some(a)
}

/// No point has order two.
fn double(mut point: Point) -> Point {
    syscall_secp256k1_double(&mut point);
    point
}

/// Four bits of the exponent at once, from the highest.
fn power(base: &Words, exponent: &Words, modulus: &Words) -> Words {
    let mut powers = [ONE; 16];
    for index in 1..16 {
        powers[index] = mul(&powers[index - 1], base, modulus);
    }
    let mut power = ONE;
    for digit in (0..64).rev() {
        for _ in 0..4 {
            power = mul(&power, &power, modulus);
        }
        let digit = exponent[digit / 16] >> (digit % 16 * 4) & 15;
        if digit != 0 {
            power = mul(&power, &powers[digit as usize], modulus);
        }
    }
    power
}

/// Reduced, of factors that need not be.
fn mul(a: &Words, b: &Words, modulus: &Words) -> Words {
    let mut product = *a;
    // The machine reads the modulus behind the factor.
    let mut factor = [0; 8];
    factor[..4].copy_from_slice(b);
    factor[4..].copy_from_slice(modulus);
    syscall_uint256_mulmod(&mut product, (&raw const factor).cast());
    product
}

/// Of a number that is not greater.
fn minus(from: &Words, number: &Words) -> Words {
    let mut difference = ZERO;
    let mut borrow = false;
    for ((to, a), b) in difference.iter_mut().zip(from).zip(number) {
        let (digit, first) = a.overflowing_sub(*b);
        let (digit, second) = digit.overflowing_sub(borrow.into());
        *to = digit;
        borrow = first | second;
    }
    difference
}

fn plus_small(number: &mut Words, small: u64) {
    let mut carry = small;
    for word in number {
        let (digit, overflows) = word.overflowing_add(carry);
        *word = digit;
        carry = overflows.into();
    }
}

fn is_less(a: &Words, b: &Words) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn is_set(number: &Words, bit: usize) -> bool {
    number[bit / 64] >> (bit % 64) & 1 == 1
}

/// Of 32 bytes, big-endian.
fn words(bytes: &[u8]) -> Words {
    let mut words = ZERO;
    for (word, bytes) in words.iter_mut().zip(bytes.rchunks_exact(8)) {
        *word = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    }
    words
}
