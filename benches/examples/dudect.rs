//! Whether the time of signing tells about the key: a statistical test, run by hand.
//!
//! `cargo run --release -p mach-benches --no-default-features --example dudect [samples]`
//!
//! Two classes of keys sign the same message in random order; Welch's t says whether the times have
//! the same mean. Slow samples, which interrupts and other programs make, are cropped at several
//! bounds, and the largest |t| counts. Above 4.5 the classes differ; above 10 there is no doubt. The
//! same test of ark's multiplication shows that it finds what is there.
//!
//! Source: Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?", eprint 2016/1123.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use std::hint::black_box;
use std::time::Instant;

use alloy_primitives::{B256, U256};
use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::PrimeField;
use mach_bls::bn254::SecretKey;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};

/// Keys of a class. Those of a class of one value are copies at different addresses, so that the
/// cache treats both classes alike.
const KEYS: usize = 512;

/// Makes a key of a class; the argument is the value of the class that has one value.
type Class = fn(U256) -> U256;

fn main() {
    let samples = std::env::args()
        .nth(1)
        .map_or(100_000, |it| it.parse().unwrap());
    println!("{:<44} {:>10} {:>9}  verdict", "", "samples", "max |t|");

    let fixed = random_scalar();
    let pairs: [(&str, [Class; 2]); 3] = [
        (
            "fixed and random keys",
            [|fixed| fixed, |_| random_scalar()],
        ),
        ("sparse and dense keys", [|_| sparse(), |_| dense()]),
        ("short and random keys", [|_| short(), |_| random_scalar()]),
    ];
    for (name, classes) in pairs {
        let scalars =
            classes.map(|class| -> Vec<U256> { (0..KEYS).map(|_| class(fixed)).collect() });

        let keys = scalars.clone().map(|class| -> Vec<SecretKey> {
            let key = |scalar: U256| SecretKey::from_bytes(&scalar.to_be_bytes()).unwrap();
            class.into_iter().map(key).collect()
        });
        let digest = B256::repeat_byte(7);
        test(&format!("sign: {name}"), samples, |class, index| {
            black_box(keys[class][index].sign(black_box(digest)));
        });

        let bytes = scalars.clone().map(|class| -> Vec<[u8; 32]> {
            class
                .into_iter()
                .map(|scalar| scalar.to_be_bytes())
                .collect()
        });
        test(
            &format!("public key: {name}"),
            samples / 4,
            |class, index| {
                black_box(SecretKey::from_bytes(black_box(&bytes[class][index])).unwrap());
            },
        );

        let numbers = scalars.map(|class| -> Vec<Fr> {
            let number = |scalar: U256| Fr::from_be_bytes_mod_order(&scalar.to_be_bytes::<32>());
            class.into_iter().map(number).collect()
        });
        let point = (G1Affine::generator() * Fr::from(7)).into_affine();
        test(
            &format!("ark, for comparison: {name}"),
            samples,
            |class, index| {
                let _ = black_box((black_box(point) * numbers[class][index]).into_affine());
            },
        );
    }
}

/// Runs `work` for keys of both classes in random order and prints what the times say.
fn test(name: &str, samples: usize, work: impl Fn(usize, usize)) {
    let mut rng = rand::rng();
    let mut order: Vec<usize> = (0..samples).map(|sample| sample % 2).collect();
    order.shuffle(&mut rng);
    for class in [0, 1] {
        (0..KEYS).for_each(|index| work(class, index));
    }
    let times: Vec<(usize, f64)> = order
        .into_iter()
        .map(|class| {
            let index = rng.random_range(0..KEYS);
            let start = Instant::now();
            work(class, index);
            (class, start.elapsed().as_secs_f64() * 1e9)
        })
        .collect();

    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let largest = [0.5, 0.7, 0.8, 0.9, 0.95, 0.99]
        .map(|part| sorted[(part * (samples - 1) as f64) as usize])
        .map(|bound| welch(times.iter().filter(|(_, time)| *time <= bound)).abs())
        .into_iter()
        .fold(0.0, f64::max);
    let verdict = match largest {
        ..4.5 => "no difference found",
        4.5..10.0 => "differ",
        _ => "differ without doubt",
    };
    println!("{name:<44} {samples:>10} {largest:>9.1}  {verdict}");
}

/// The difference of the means in units of its standard deviation.
fn welch<'a>(times: impl Iterator<Item = &'a (usize, f64)>) -> f64 {
    // Count, mean and sum of squared deviations of each class.
    let mut classes = [(0.0, 0.0, 0.0); 2];
    for (class, time) in times {
        let (count, mean, squares) = &mut classes[*class];
        *count += 1.0;
        let distance = time - *mean;
        *mean += distance / *count;
        *squares += distance * (time - *mean);
    }
    let [(n0, mean0, squares0), (n1, mean1, squares1)] = classes;
    let variance = squares0 / (n0 - 1.0) / n0 + squares1 / (n1 - 1.0) / n1;
    (mean0 - mean1) / variance.sqrt()
}

fn random_scalar() -> U256 {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    // Below 2^253, and so below the group order.
    U256::from_be_bytes(bytes) >> 3
}

/// One bit of 253.
fn sparse() -> U256 {
    U256::from(1) << rand::rng().random_range(0..253)
}

/// All bits of 253 but one.
fn dense() -> U256 {
    (U256::from(1) << 253) - U256::from(1) - sparse()
}

/// 16 bits.
fn short() -> U256 {
    U256::from(rand::rng().random_range(1..1u32 << 16))
}
