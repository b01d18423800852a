//! The base field, without a branch.
//!
//! ark-ff compares and branches where it reduces: in every addition, subtraction and product. That
//! tells whoever can measure it about a secret, and it costs: the branches are not predictable. Here
//! the same instructions run for all values, unless a function says that it takes variable time.

use ark_bn254::Fq;
use ark_ff::{BigInt, MontFp};
use zeroize::Zeroize;

/// The modulus p, limbs least significant first. Source: EIP-196.
const P: [u64; 4] = [
    0x3c20_8c16_d87c_fd47,
    0x9781_6a91_6871_ca8d,
    0xb850_45b6_8181_585d,
    0x3064_4e72_e131_a029,
];

const P2: [u64; 4] = [
    0x7841_182d_b0f9_fa8e,
    0x2f02_d522_d0e3_951a,
    0x70a0_8b6d_0302_b0bb,
    0x60c8_9ce5_c263_4053,
];

/// -1/p modulo 2^64.
const INVERSE: u64 = 0x87d2_0782_e486_6389;

/// 2^256 modulo p: one, in Montgomery's form.
const R: [u64; 4] = [
    0xd35d_438d_c58f_0d9d,
    0x0a78_eb28_f5c7_0b3d,
    0x666e_a36f_7879_462c,
    0x0e0a_77c1_9a07_df2f,
];

/// What the formulas of the curve ask of the field of their coordinates.
pub(crate) trait Coordinate:
    Copy + Zeroize + Send + Sync + core::fmt::Debug + 'static
{
    const ZERO: Self;
    const ONE: Self;
    /// What multiplying x by multiplies points of order r by λ, a cube root of one modulo r:
    /// 4407920970296243842393367215006156084916469457145843978461, for both groups.
    const ENDOMORPHISM: Self;

    /// Additions of points that cost more in Jacobian coordinates than in affine ones and an
    /// inversion, which is some 300 products of the base field.
    const WORTH_AN_INVERSION: usize;

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn square(self) -> Self;
    /// Three times the constant of the curve's equation, times `self`.
    fn mul_b3(self) -> Self;
    fn times_8(self) -> Self;
    /// The inverse of `self`, and zero for zero.
    fn invert(self) -> Self;
    /// A number of the base field that is zero only if `self` is.
    fn norm(self) -> Fe;
    /// The inverse of `self`, from that of its norm.
    fn inverse_by_norm(self, inverse: Fe) -> Self;
    /// Replaces `self` if `mask` is all ones, leaves it if `mask` is zero.
    fn assign_if(&mut self, mask: u64, other: Self);
    /// Whether this is zero; the caller may branch on it only if it is public.
    fn is_zero(&self) -> bool;

    fn double(self) -> Self {
        self.add(self)
    }

    fn neg(self) -> Self {
        Self::ZERO.sub(self)
    }
}

/// A number modulo p in Montgomery's form, limbs least significant first, below 2p.
///
/// 4p < 2^256, so that a product of two of them is below 2p again without a last subtraction.
#[derive(Clone, Copy, Debug, Zeroize)]
pub(crate) struct Fe([u64; 4]);

impl Fe {
    #[inline(always)]
    pub(super) const fn from_ark(element: Fq) -> Self {
        Self(element.0.0)
    }

    /// Sums of two products, reduced once: `a b + c d`.
    pub(super) fn dot(a: Self, b: Self, c: Self, d: Self) -> Self {
        let (a, c) = (&a.0, &c.0);
        let [b0, b1, b2, b3] = b.0;
        let [d0, d1, d2, d3] = d.0;
        let t = row2([0; 4], a, b0, c, d0);
        let t = row2(t, a, b1, c, d1);
        let t = row2(t, a, b2, c, d2);
        let t = row2(t, a, b3, c, d3);
        // Each product is below 4p^2 and p < 0.19 R: t is below 8p^2 / R + p < 3p.
        Self(reduce(t, &P2))
    }

    #[inline(always)]
    pub(super) fn times_9(self) -> Self {
        self.times::<9>()
    }

    /// `N` times `self`, for N up to 9: one reduction instead of four.
    #[inline(always)]
    fn times<const N: u64>(self) -> Self {
        const { assert!(N <= 9) };
        let a = &self.0;
        let (t0, c) = mac(0, a[0], N, 0);
        let (t1, c) = mac(0, a[1], N, c);
        let (t2, c) = mac(0, a[2], N, c);
        let (t3, t4) = mac(0, a[3], N, c);
        // p is 3.0236 2^252. From the top bits the quotient is at most one too small: 64 / 21 is
        // 3.0476, and the difference on up to 18p is below 0.15.
        let quotient = (((t4 << 4) | (t3 >> 60)) * 21) >> 6;
        let (q0, c) = mac(0, P[0], quotient, 0);
        let (q1, c) = mac(0, P[1], quotient, c);
        let (q2, c) = mac(0, P[2], quotient, c);
        let (q3, _) = mac(0, P[3], quotient, c);
        let (s0, c) = sbb(t0, q0, false);
        let (s1, c) = sbb(t1, q1, c);
        let (s2, c) = sbb(t2, q2, c);
        let (s3, _) = sbb(t3, q3, c);
        Self([s0, s1, s2, s3])
    }

    /// The one encoding below p.
    fn canonical(self) -> [u64; 4] {
        reduce(self.0, &P)
    }

    /// `self` to a public power, limbs least significant first. The same steps for all values.
    pub(in super::super) fn power(self, exponent: [u64; 4]) -> Self {
        // Four bits a step: a third of the products of one bit a step.
        let mut powers = [Self::ONE; 16];
        let mut power = Self::ONE;
        for entry in powers.iter_mut().skip(1) {
            power = power.mul(self);
            *entry = power;
        }
        let mut result = Self::ONE;
        for limb in exponent.into_iter().rev() {
            for step in (0..16).rev() {
                for _ in 0..4 {
                    result = result.square();
                }
                let digit = (limb >> (4 * step)) as usize & 15;
                if let (1.., Some(power)) = (digit, powers.get(digit)) {
                    result = result.mul(*power);
                }
            }
        }
        powers.zeroize();
        result
    }
}

impl Coordinate for Fe {
    const ZERO: Self = Self([0; 4]);
    const ONE: Self = Self(R);
    const WORTH_AN_INVERSION: usize = 80;
    const ENDOMORPHISM: Self = {
        const ROOT: Fq = MontFp!("2203960485148121921418603742825762020974279258880205651966");
        Self::from_ark(ROOT)
    };

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let (s0, c) = adc(a[0], b[0], false);
        let (s1, c) = adc(a[1], b[1], c);
        let (s2, c) = adc(a[2], b[2], c);
        let (s3, _) = adc(a[3], b[3], c);
        Self(reduce([s0, s1, s2, s3], &P2))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let (s0, c) = sbb(a[0], b[0], false);
        let (s1, c) = sbb(a[1], b[1], c);
        let (s2, c) = sbb(a[2], b[2], c);
        let (s3, c) = sbb(a[3], b[3], c);
        let mask = mask(c);
        let (s0, c) = adc(s0, P2[0] & mask, false);
        let (s1, c) = adc(s1, P2[1] & mask, c);
        let (s2, c) = adc(s2, P2[2] & mask, c);
        let (s3, _) = adc(s3, P2[3] & mask, c);
        Self([s0, s1, s2, s3])
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let a = &self.0;
        let [b0, b1, b2, b3] = other.0;
        let t = row([0; 4], a, b0);
        let t = row(t, a, b1);
        let t = row(t, a, b2);
        // Below 4p^2 / R + p < 2p.
        Self(row(t, a, b3))
    }

    #[inline(always)]
    fn square(self) -> Self {
        // A squaring of its own has six products of limbs less, and was not faster.
        self.mul(self)
    }

    /// b = 3.
    #[inline(always)]
    fn mul_b3(self) -> Self {
        self.times::<9>()
    }

    #[inline(always)]
    fn times_8(self) -> Self {
        self.times::<8>()
    }

    fn invert(self) -> Self {
        const P_MINUS_2: [u64; 4] = [P[0] - 2, P[1], P[2], P[3]];
        self.power(P_MINUS_2)
    }

    #[inline(always)]
    fn norm(self) -> Fe {
        self
    }

    #[inline(always)]
    fn inverse_by_norm(self, inverse: Fe) -> Self {
        inverse
    }

    #[inline(always)]
    fn assign_if(&mut self, mask: u64, other: Self) {
        for (limb, other) in self.0.iter_mut().zip(other.0) {
            *limb ^= mask & (*limb ^ other);
        }
    }

    #[inline(always)]
    fn is_zero(&self) -> bool {
        self.0 == [0; 4] || self.0 == P
    }
}

impl PartialEq for Fe {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Fe {}

impl From<Fq> for Fe {
    #[inline(always)]
    fn from(element: Fq) -> Self {
        Self::from_ark(element)
    }
}

impl From<Fe> for Fq {
    fn from(element: Fe) -> Self {
        Self::new_unchecked(BigInt(element.canonical()))
    }
}

/// `t - bound` if that is not negative, else `t`.
#[inline(always)]
fn reduce(t: [u64; 4], bound: &[u64; 4]) -> [u64; 4] {
    let (s0, c) = sbb(t[0], bound[0], false);
    let (s1, c) = sbb(t[1], bound[1], c);
    let (s2, c) = sbb(t[2], bound[2], c);
    let (s3, c) = sbb(t[3], bound[3], c);
    let mask = mask(c);
    [
        s0 ^ (mask & (s0 ^ t[0])),
        s1 ^ (mask & (s1 ^ t[1])),
        s2 ^ (mask & (s2 ^ t[2])),
        s3 ^ (mask & (s3 ^ t[3])),
    ]
}

/// One row of Montgomery's product: (t + a b + m p) / 2^64.
#[inline(always)]
const fn row(t: [u64; 4], a: &[u64; 4], b: u64) -> [u64; 4] {
    let (t0, ca) = mac(t[0], a[0], b, 0);
    let m = t0.wrapping_mul(INVERSE);
    let (_, cm) = mac(t0, m, P[0], 0);
    let (t1, ca) = mac(t[1], a[1], b, ca);
    let (r0, cm) = mac(t1, m, P[1], cm);
    let (t2, ca) = mac(t[2], a[2], b, ca);
    let (r1, cm) = mac(t2, m, P[2], cm);
    let (t3, ca) = mac(t[3], a[3], b, ca);
    let (r2, cm) = mac(t3, m, P[3], cm);
    // No carry: the result is below (t + 2p 2^64 + p 2^64) / 2^64 < 4p < 2^256.
    [r0, r1, r2, ca.wrapping_add(cm)]
}

/// One row of two products: (t + a b + c d + m p) / 2^64.
#[inline(always)]
const fn row2(t: [u64; 4], a: &[u64; 4], b: u64, c: &[u64; 4], d: u64) -> [u64; 4] {
    let (t0, ca) = mac(t[0], a[0], b, 0);
    let (t0, cc) = mac(t0, c[0], d, 0);
    let m = t0.wrapping_mul(INVERSE);
    let (_, cm) = mac(t0, m, P[0], 0);
    let (t1, ca) = mac(t[1], a[1], b, ca);
    let (t1, cc) = mac(t1, c[1], d, cc);
    let (r0, cm) = mac(t1, m, P[1], cm);
    let (t2, ca) = mac(t[2], a[2], b, ca);
    let (t2, cc) = mac(t2, c[2], d, cc);
    let (r1, cm) = mac(t2, m, P[2], cm);
    let (t3, ca) = mac(t[3], a[3], b, ca);
    let (t3, cc) = mac(t3, c[3], d, cc);
    let (r2, cm) = mac(t3, m, P[3], cm);
    // No carry: the result is below 5p + t / 2^64, and 5p < 0.945 2^256.
    [r0, r1, r2, ca.wrapping_add(cc).wrapping_add(cm)]
}

/// Low and high half of t + a b + carry.
#[inline(always)]
pub(super) const fn mac(t: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let wide = t as u128 + a as u128 * b as u128 + carry as u128;
    (wide as u64, (wide >> 64) as u64)
}

#[inline(always)]
fn adc(a: u64, b: u64, carry: bool) -> (u64, bool) {
    a.carrying_add(b, carry)
}

#[inline(always)]
fn sbb(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    a.borrowing_sub(b, borrow)
}

/// All ones for true.
#[inline(always)]
const fn mask(bit: bool) -> u64 {
    0u64.wrapping_sub(bit as u64)
}
