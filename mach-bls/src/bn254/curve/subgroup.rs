//! Whether a point of the twist is in the group of order r.

use ark_bn254::{Fq2, G2Affine};
use ark_ff::MontFp;

use super::affine::Affine;
use super::complete::Point;
use super::extension::Fe2;
use super::field::Coordinate;
use super::jacobian::Jacobian;

/// The number that the curve is made from, in signed bits, least significant first:
/// 4965661367192848881.
pub(super) const X: [i8; 64] = signed_bits(0x44e9_92b4_4a69_09f1);

/// Whether `point`, which is on the twist, is in the group of order r.
///
/// Tests that `[x + 1] P + ψ([x] P) + ψ²([x] P) = ψ³([2x] P)`, where ψ is the Frobenius map, carried
/// over to the twist: one multiplication by 63 bits in the place of one by 254.
///
/// Source: Dai, Lin, Zhao and Zhou, "Fast subgroup membership testings for G1, G2 and GT on
/// pairing-friendly curves", eprint 2022/348, sections 3 and 5.
pub(crate) fn is_in_subgroup(point: &G2Affine) -> bool {
    let affine = Affine::<Fe2>::from(*point);
    let multiple = times_x(&affine);
    let first = frobenius(&multiple);
    let second = frobenius(&first);
    let third = frobenius(&second).double();
    let sum = multiple.add(affine.to_point()).add(first).add(second);
    // Equal in homogeneous coordinates.
    let is_equal = |a: Fe2, b: Fe2| a.mul(third.z).sub(b.mul(sum.z)).is_zero();
    is_equal(sum.x, third.x) && is_equal(sum.y, third.y) && sum.z.is_zero() == third.z.is_zero()
}

/// ψ: to the power p, and back onto the twist.
pub(super) fn frobenius(point: &Point<Fe2>) -> Point<Fe2> {
    /// (9 + u)^((p - 1) / 3) and (9 + u)^((p - 1) / 2).
    const FACTORS: [Fq2; 2] = [
        Fq2::new(
            MontFp!(
                "21575463638280843010398324269430826099269044274347216827212613867836435027261"
            ),
            MontFp!(
                "10307601595873709700152284273816112264069230130616436755625194854815875713954"
            ),
        ),
        Fq2::new(
            MontFp!("2821565182194536844548159561693502659359617185244120367078079554186484126554"),
            MontFp!("3505843767911556378687030309984248845540243509899259641013678093033130930403"),
        ),
    ];
    let [x, y] = FACTORS.map(Fe2::from);
    Point {
        x: point.x.conjugate().mul(x),
        y: point.y.conjugate().mul(y),
        z: point.z.conjugate(),
    }
}

fn times_x(point: &Affine<Fe2>) -> Point<Fe2> {
    let negative = point.neg();
    let mut multiple = Jacobian::<Fe2>::IDENTITY;
    for digit in X.iter().rev() {
        multiple = multiple.double();
        match digit {
            1 => multiple = multiple.add(point),
            -1 => multiple = multiple.add(&negative),
            _ => {}
        }
    }
    multiple.to_homogeneous()
}

/// Signed bits of which no two next to each other are set.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, for a number of 63 bits"
)]
const fn signed_bits(mut number: u64) -> [i8; 64] {
    let mut bits = [0; 64];
    let mut place = 0;
    while number > 0 {
        if number & 1 == 1 {
            let digit = 2 - (number & 3) as i8;
            bits[place] = digit;
            number = if digit < 0 { number + 1 } else { number - 1 };
        }
        number >>= 1;
        place += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use ark_bn254::{Fq, Fr, g2};
    use ark_ec::{AffineRepr, CurveConfig, CurveGroup};
    use ark_ff::{PrimeField, Zero};
    use proptest::prelude::*;

    /// The prime factors of the order of the twist beside r. Their product is checked.
    const COFACTORS: [&str; 4] = [
        "10069",
        "5864401",
        "1875725156269",
        "197620364512881247228717050342013327560683201906968909",
    ];

    fn limbs(number: U256) -> [u64; 4] {
        number.into_limbs()
    }

    fn twist_point(x: Fq2) -> Option<G2Affine> {
        G2Affine::get_point_from_x_unchecked(x, false)
    }

    fn by_order(point: &G2Affine) -> bool {
        point.mul_bigint(Fr::MODULUS).is_zero()
    }

    /// The test asks whether a homomorphism maps the point to the identity. What it takes is a
    /// subgroup: if no point of another prime order is taken, it is the one of order r.
    #[test]
    fn no_point_of_another_prime_order_is_taken() {
        let factors = COFACTORS.map(|factor| factor.parse::<U256>().unwrap());
        let product = factors.iter().fold(U256::from(1), |a, b| a * b);
        assert_eq!(limbs(product), *<g2::Config as CurveConfig>::COFACTOR);
        for factor in factors {
            let others = limbs(product / factor);
            let point = (1u64..)
                .filter_map(|x| twist_point(Fq2::new(x.into(), 1.into())))
                .map(|point| point.mul_bigint(others).into_affine())
                .map(|point| point.mul_bigint(Fr::MODULUS).into_affine())
                .find(|point| !point.is_zero())
                .unwrap();
            assert!(point.is_on_curve());
            assert!(point.mul_bigint(limbs(factor)).is_zero());
            assert!(!is_in_subgroup(&point), "order {factor}");
            // Nor with a part that is in the subgroup, nor the opposite.
            let sum = (point + G2Affine::generator()).into_affine();
            assert!(!is_in_subgroup(&sum) && !is_in_subgroup(&-point));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against multiplication by the order.
        #[test]
        fn the_answer_is_that_of_the_slow_test(a: [u8; 32], b: [u8; 32], scalar: u64) {
            let x = Fq2::new(Fq::from_be_bytes_mod_order(&a), Fq::from_be_bytes_mod_order(&b));
            if let Some(point) = twist_point(x) {
                prop_assert_eq!(is_in_subgroup(&point), by_order(&point));
                let cleared = point.clear_cofactor();
                prop_assert!(is_in_subgroup(&cleared) && by_order(&cleared));
            }
            let multiple = G2Affine::generator().mul_bigint([scalar]).into_affine();
            prop_assert!(is_in_subgroup(&multiple));
        }
    }

    #[test]
    fn multiplication_by_x_is_that_of_ark() {
        let point = G2Affine::generator();
        let (x, y) = times_x(&point.into()).to_affine();
        let expected = point.mul_bigint([0x44e9_92b4_4a69_09f1u64]).into_affine();
        assert_eq!((Fq2::from(x), Fq2::from(y)), (expected.x, expected.y));
    }
}
