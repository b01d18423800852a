//! Sums of many points, each times a random weight.
//!
//! A weight is 16 random bytes, read as the digits of two numbers `a` and `b` to the base 256, each
//! from -128 to 127, and stands for `a + b λ` modulo r. The 2^128 weights are all different: the
//! shortest pair with `a + b λ = 0` has more than 126 bits. A product costs as much as one by 64 bits
//! of twice the points, and no weight has to be cut in digits.

use super::affine::{Affine, Batch, add_each, sum_groups};
use super::complete::Point;
use super::field::Coordinate;
use super::parallel::map_pieces;

/// Digits of `a` and of `b`, least significant first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight([[i8; 8]; 2]);

impl From<[u8; 16]> for Weight {
    fn from(bytes: [u8; 16]) -> Self {
        let mut digits = bytes.map(u8::cast_signed).into_iter();
        Self([(); 2].map(|()| [(); 8].map(|()| digits.next().unwrap_or_default())))
    }
}

/// Points of a part that is summed by itself, so that a wrong one is looked for there only.
pub(crate) const PART: usize = 512;

/// The weighted sum of each [`PART`] points.
pub(crate) fn sums<F: Coordinate>(points: &[Affine<F>], weights: &[Weight]) -> Vec<Point<F>> {
    debug_assert_eq!(points.len(), weights.len());
    let parts = points.chunks(PART).zip(weights.chunks(PART));
    let parts: Vec<_> = parts.collect();
    map_pieces(&parts, 1, sums_of).concat()
}

type Part<'a, F> = (&'a [Affine<F>], &'a [Weight]);

fn sums_of<F: Coordinate>(parts: &[Part<'_, F>]) -> Vec<Point<F>> {
    // Small windows have few buckets, large ones few additions.
    let largest = parts.iter().map(|(points, _)| points.len()).max();
    if largest < Some(400) {
        windowed::<F, 4>(parts)
    } else {
        windowed::<F, 8>(parts)
    }
}

/// Pippenger's buckets, in windows of `BITS` bits, which are 4 or 8.
fn windowed<F: Coordinate, const BITS: usize>(parts: &[Part<'_, F>]) -> Vec<Point<F>> {
    let (windows, buckets) = (64 / BITS, 1 << (BITS - 1));
    let mut batch = Batch::new();
    let mut filled = Vec::with_capacity(parts.len() * windows * buckets);
    for (points, weights) in parts {
        let (sorted, lengths) = sort_into_buckets::<F, BITS>(points, weights);
        filled.extend(sum_groups(sorted, lengths, &mut batch));
    }

    // Each window of each part is a lane: all buckets from the last on, and the sum of these sums, so
    // that the bucket of digit d counts d times.
    let lanes = parts.len() * windows;
    let mut running = vec![Affine::IDENTITY; lanes];
    let mut totals = running.clone();
    for digit in (0..buckets).rev() {
        let bucket = filled.iter().skip(digit).step_by(buckets);
        add_each(&mut running, bucket, &mut batch);
        add_each(&mut totals, running.iter(), &mut batch);
    }

    let sums = totals.chunks(windows).map(|windows| {
        windows
            .iter()
            .rev()
            .fold(Point::IDENTITY, |mut sum, window| {
                for _ in 0..BITS {
                    sum = sum.double();
                }
                sum.add(window.to_point())
            })
    });
    sums.collect()
}

/// For each window and each digit in it the points that have it, and how many they are.
#[expect(
    clippy::indexing_slicing,
    reason = "a digit has its bucket, counted before"
)]
fn sort_into_buckets<F: Coordinate, const BITS: usize>(
    points: &[Affine<F>],
    weights: &[Weight],
) -> (Vec<Affine<F>>, Vec<usize>) {
    let (windows, buckets) = (64 / BITS, 1 << (BITS - 1));
    let bucket_of =
        |window: usize, digit: i8| window * buckets + usize::from(digit.unsigned_abs()) - 1;
    let mut lengths = vec![0; windows * buckets];
    for Weight(halves) in weights {
        for half in halves {
            for (window, digit) in digits::<BITS>(half) {
                if digit != 0 {
                    lengths[bucket_of(window, digit)] += 1;
                }
            }
        }
    }
    let mut next = Vec::with_capacity(lengths.len());
    let mut total = 0;
    for length in &lengths {
        next.push(total);
        total += length;
    }
    let mut sorted = vec![Affine::IDENTITY; total];
    for (point, Weight(halves)) in points.iter().zip(weights) {
        for (point, half) in [*point, point.endomorphism()].iter().zip(halves) {
            for (window, digit) in digits::<BITS>(half) {
                if digit != 0 {
                    let place = &mut next[bucket_of(window, digit)];
                    sorted[*place] = if digit < 0 { point.neg() } else { *point };
                    *place += 1;
                }
            }
        }
    }
    (sorted, lengths)
}

/// The digits of half a weight to the base 2^BITS with their places.
fn digits<const BITS: usize>(half: &[i8; 8]) -> impl Iterator<Item = (usize, i8)> {
    half.iter().enumerate().flat_map(|(place, digit)| {
        // 16 high + low, with low from -8 to 7.
        let low = (digit.wrapping_add(8) & 15) - 8;
        let high = ((i16::from(*digit) - i16::from(low)) >> 4) as i8;
        let split = [(2 * place, low), (2 * place + 1, high)];
        let whole = [(place, *digit), (place, 0)];
        if BITS == 4 { split } else { whole }
    })
}

#[cfg(test)]
mod tests {
    use super::super::complete::tests::{g1, g2};
    use super::super::extension::Fe2;
    use super::super::field::Fe;
    use super::*;
    use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
    use ark_ec::scalar_mul::glv::GLVConfig;
    use ark_ec::{AffineRepr, CurveGroup};

    /// The number that a weight stands for.
    fn number(Weight(halves): &Weight) -> Fr {
        let [a, b] = halves.map(|half| {
            half.iter().rev().fold(Fr::from(0), |number, digit| {
                number * Fr::from(256) + Fr::from(*digit)
            })
        });
        a + b * <ark_bn254::g2::Config as GLVConfig>::LAMBDA
    }

    fn sum<F: Coordinate>(points: &[Affine<F>], weights: &[Weight]) -> Point<F> {
        sums(points, weights)
            .into_iter()
            .fold(Point::IDENTITY, Point::add)
    }

    fn weights(count: usize) -> Vec<Weight> {
        let mut weights: Vec<_> = (0..count)
            .map(|_| Weight::from(rand::random::<[u8; 16]>()))
            .collect();
        let edges = [-128, -127, -120, -9, -8, -1, 0, 1, 7, 8, 119, 120, 127];
        for (weight, digit) in weights.iter_mut().skip(1).step_by(3).zip(edges) {
            *weight = Weight([[digit; 8]; 2]);
        }
        weights
    }

    #[test]
    fn the_digits_of_four_bits_are_those_of_eight() {
        for byte in i8::MIN..=i8::MAX {
            let mut sum = 0;
            for (place, digit) in digits::<4>(&[byte; 8]) {
                assert!((-8..=8).contains(&digit));
                sum += i128::from(digit) << (4 * place);
            }
            let expected = (0..8).map(|place| i128::from(byte) << (8 * place)).sum();
            assert_eq!(sum, expected, "{byte}");
        }
    }

    /// Against ark-ec, for windows of both sizes and parts of all kinds.
    #[test]
    fn weighted_sums_are_those_of_ark() {
        for count in [0, 1, 2, 50, 399, 400, PART, PART + 1, 2 * PART + 77] {
            let weights = weights(count);
            let numbers: Vec<_> = weights.iter().map(number).collect();
            // Some points twice, some identities.
            let seeds: Vec<_> = (0..count as u64).map(|seed| seed % 300).collect();
            let points: Vec<G1Affine> = seeds
                .iter()
                .map(|seed| G1Affine::generator().mul_bigint([*seed]).into_affine())
                .collect();
            let ours: Vec<_> = points
                .iter()
                .map(|point| Affine::<Fe>::from(*point))
                .collect();
            let expected: Vec<_> = points
                .chunks(PART)
                .zip(numbers.chunks(PART))
                .map(|(points, numbers)| {
                    let products = points.iter().zip(numbers).map(|(point, by)| *point * by);
                    products.sum::<G1Projective>().into_affine()
                })
                .collect();
            let parts = sums(&ours, &weights);
            assert_eq!(parts.into_iter().map(g1).collect::<Vec<_>>(), expected);
            let total: G1Projective = expected.iter().sum();
            assert_eq!(g1(sum(&ours, &weights)), total.into_affine(), "{count}");

            let points: Vec<G2Affine> = seeds
                .iter()
                .map(|seed| G2Affine::generator().mul_bigint([*seed]).into_affine())
                .collect();
            let ours: Vec<_> = points
                .iter()
                .map(|point| Affine::<Fe2>::from(*point))
                .collect();
            let products = points.iter().zip(&numbers).map(|(point, by)| *point * by);
            let total = products.sum::<G2Projective>().into_affine();
            assert_eq!(g2(sum(&ours, &weights)), total, "{count}");
        }
    }
}
