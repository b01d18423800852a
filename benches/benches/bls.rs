//! Signatures of an operator set: the figures that need no peers.
//!
//! `cargo bench -p mach-benches --no-default-features --bench bls`
//!
//! Writes what a certificate costs for 10 to 100,000 operators to `benches/results/bls.csv`, from
//! which `benches/plot.py` draws. Ratios to other implementations: `just bench-peers`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use ark_bn254::{Fq, Fq2, G2Affine};
use ark_ff::PrimeField;
use blst::BLST_ERROR;
use blst::min_sig::{PublicKey as BlstKey, Signature as BlstSignature};
use criterion::Criterion;
use mach_benches::{Bar, Clock, Pair, Rounds, head, median, row};
use mach_bls::bls12_381::DEFAULT_DST;
use mach_bls::bn254::internals;
use mach_bls::{MessagePoint, Scheme, SecretKey, Signature, ValidKey, invalid_shares};
use mach_core::{Bls12381, Bn254};
use rayon::{ThreadPool, ThreadPoolBuilder};

const OPERATORS: usize = 10_000;

type Share<S> = (ValidKey<S>, Signature<S>);

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let digest = keccak256("a statement");
    let largest = 100_000;
    let bn254 = shares::<Bn254>(largest, digest);
    let bls12_381 = shares::<Bls12381>(largest, digest);
    let one_thread = pool(1);

    head("first", "second");
    one_thread.install(|| {
        bad_shares(&bn254[..OPERATORS], digest);
        absent(&bn254[..OPERATORS]);
        single(digest);
    });
    threads(&bn254[..OPERATORS], digest);

    let mut csv = String::from("curve,mode,operators,microseconds\n");
    one_thread.install(|| {
        cost(&mut csv, &bn254, digest);
        cost(&mut csv, &bls12_381, digest);
    });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/results");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(format!("{folder}/bls.csv"), csv).unwrap();

    on_curve::<Bn254>(&mut criterion, digest);
    on_curve::<Bls12381>(&mut criterion, digest);
    criterion.final_summary();
}

fn on_curve<S: Scheme>(criterion: &mut Criterion, digest: B256) {
    let key = secret::<S>(0);
    let signature = key.sign(digest);
    let (g1, g2) = (key.public_key().g1_bytes(), key.public_key().g2_bytes());
    let mut group = criterion.benchmark_group(S::NAME);
    group.bench_function("sign", |bench| bench.iter(|| key.sign(black_box(digest))));
    group.bench_function("verify", |bench| {
        bench.iter(|| key.public_key().verify(black_box(digest), &signature));
    });
    group.bench_function("key-from-registry", |bench| {
        bench.iter(|| ValidKey::<S>::from_registry(black_box(&g1), &g2));
    });
    group.finish();
}

fn bad_shares(shares: &[Share<Bn254>], digest: B256) {
    let message = MessagePoint::of(digest);
    let mut spoiled = shares.to_vec();
    // Not next to each other and not in a pattern.
    let mut bad: Vec<usize> = (1..=10).map(|it| it * it * 7_919 % OPERATORS).collect();
    bad.sort_unstable();
    for index in &bad {
        spoiled[*index].1 = shares[*index + 1].1;
    }
    assert_eq!(invalid_shares(&message, &spoiled), bad);
    assert!(invalid_shares(&message, shares).is_empty());
    let pair = Pair::measure(
        Clock::Thread,
        Rounds { turns: 7, runs: 1 },
        || invalid_shares(&message, &spoiled),
        || invalid_shares(&message, shares),
    );
    row("10 bad of 10,000 named / all good", pair, Bar::AtMost(3.0));
}

fn absent(shares: &[Share<Bn254>]) {
    let keys: Vec<_> = shares.iter().map(|(key, _)| point(key)).collect();
    let total = internals::sum_g2(&keys);
    let absent: Vec<_> = keys.iter().step_by(100).copied().collect();
    let present: Vec<_> = (0..OPERATORS)
        .filter(|index| index % 100 != 0)
        .map(|index| keys[index])
        .collect();
    let subtract = || Bn254::subtract_g2(&total, &internals::sum_g2(&absent));
    assert_eq!(subtract(), internals::sum_g2(&present));
    let pair = Pair::measure(
        Clock::Thread,
        Rounds { turns: 21, runs: 4 },
        subtract,
        || internals::sum_g2(&present),
    );
    row(
        "key with 1 % absent, from the total / summed again",
        pair,
        Bar::AtMost(0.02),
    );
}

fn single(digest: B256) {
    let key = secret::<Bls12381>(0);
    let signature = key.sign(digest);
    let direct_key = BlstKey::from(Bls12381::decode_g2(&key.public_key().g2_bytes()).unwrap());
    let direct = BlstSignature::from(Bls12381::decode_g1(&signature.to_bytes()).unwrap());
    let pair = Pair::measure(
        Clock::Thread,
        Rounds { turns: 41, runs: 4 },
        || key.public_key().verify(digest, &signature).unwrap(),
        || {
            let answer = direct.verify(
                false,
                digest.as_slice(),
                DEFAULT_DST,
                &[],
                &direct_key,
                false,
            );
            assert_eq!(answer, BLST_ERROR::BLST_SUCCESS);
        },
    );
    row(
        "BLS12-381, one verification / blst called directly",
        pair,
        Bar::AtMost(1.02),
    );
}

fn threads(shares: &[Share<Bn254>], digest: B256) {
    let message = MessagePoint::of(digest);
    let (one, two) = (pool(1), pool(2));
    let pair = Pair::measure(
        Clock::Wall,
        Rounds { turns: 21, runs: 1 },
        || one.install(|| certify(shares, digest)),
        || two.install(|| certify(shares, digest)),
    );
    row(
        "10,000, certificate proved: 1 / 2 threads",
        pair,
        Bar::AtLeast(1.7),
    );
    let pair = Pair::measure(
        Clock::Wall,
        Rounds { turns: 11, runs: 1 },
        || one.install(|| invalid_shares(&message, shares)),
        || two.install(|| invalid_shares(&message, shares)),
    );
    row(
        "10,000, each proved: 1 / 2 threads",
        pair,
        Bar::AtLeast(1.7),
    );
}

fn cost<S: Scheme>(csv: &mut String, shares: &[Share<S>], digest: B256) {
    let message = MessagePoint::of(digest);
    let mut write = |mode: &str, operators: usize, time: Duration| {
        let time = time.as_secs_f64() * 1e6;
        writeln!(csv, "{},{mode},{operators},{time:.1}", S::NAME).unwrap();
    };
    for operators in [10, 32, 100, 316, 1_000, 3_162, 10_000, 31_623, 100_000] {
        let shares = &shares[..operators];
        let turns = (100_000 / operators).clamp(3, 15);
        let times = (0..turns).map(|_| Clock::Thread.time(1, || certify(shares, digest)));
        write("certificate proved", operators, median(times.collect()));
        let times = (0..turns).map(|_| Clock::Thread.time(1, || invalid_shares(&message, shares)));
        write("each share proved", operators, median(times.collect()));
    }
}

/// From decoded points to a proved certificate.
fn certify<S: Scheme>(shares: &[Share<S>], digest: B256) -> Signature<S> {
    let signature = Signature::sum(shares.iter().map(|(_, signature)| *signature)).unwrap();
    let key = ValidKey::sum(shares.iter().map(|(key, _)| key)).unwrap();
    key.verify(digest, &signature).unwrap();
    signature
}

/// Different keys and their signatures, each the sum of one of two small sets: far less work than
/// as many multiplications.
fn shares<S: Scheme>(count: usize, digest: B256) -> Vec<Share<S>> {
    const SIDE: usize = 317;
    let side = |offset: usize| -> Vec<Share<S>> {
        let keys = (offset..offset + SIDE).map(secret::<S>);
        keys.map(|key| (key.public_key().clone(), key.sign(digest)))
            .collect()
    };
    let (left, right) = (side(0), side(SIDE));
    let share = |number: usize| {
        let (a, b) = (&left[number % SIDE], &right[number / SIDE]);
        let key = ValidKey::sum([&a.0, &b.0]).unwrap();
        (key, Signature::sum([a.1, b.1]).unwrap())
    };
    (0..count).map(share).collect()
}

fn secret<S: Scheme>(number: usize) -> SecretKey<S> {
    let mut bytes = keccak256(number.to_be_bytes()).0;
    bytes[0] &= 0x1f;
    SecretKey::from_bytes(&bytes).unwrap()
}

fn point(key: &ValidKey) -> G2Affine {
    let bytes = key.g2_bytes().0;
    let element = |index: usize| Fq::from_be_bytes_mod_order(&bytes[32 * index..32 * (index + 1)]);
    G2Affine::new(
        Fq2::new(element(0), element(1)),
        Fq2::new(element(2), element(3)),
    )
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}
