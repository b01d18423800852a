//! mach-bls beside eigensdk's cryptography, ark and blst: ratios, with the bar beside each.
//!
//! `just bench-peers`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use alloy_primitives::{B256, keccak256};
use ark_ec_05::{AffineRepr as _, CurveGroup as _};
use ark_ff_05::PrimeField as _;
use blst::{
    blst_p1, blst_p1_affine, blst_p1_generator, blst_p1_mult, blst_p1_to_affine, blst_p1s_add,
};
use eigen_crypto_bn254::utils::{map_to_curve, verify_message};
use mach_bls::bn254::{MessagePoint, SecretKey, Signature, ValidKey, internals};
use mach_bls::invalid_shares;

#[allow(dead_code, reason = "what only the other bench measures with")]
#[path = "../../measure.rs"]
mod measure;

use measure::{Bar, Clock, Pair, Rounds, head, row};

/// Operators of the large figures.
const OPERATORS: usize = 10_000;

/// Signatures that eigensdk's way is run for; the time of [`OPERATORS`] is scaled from it.
const SAMPLE: usize = 1_000;

fn main() {
    let digest = keccak256("peers");
    let operators = Operators::new(digest);
    head("first", "second");
    single(&operators, digest);
    sums(&operators);
    aggregation(&operators, digest);
}

/// The same keys and signatures for all sides.
struct Operators {
    shares: Vec<(ValidKey, Signature)>,
    peer_keys: Vec<ark_bn254_05::G2Affine>,
    peer_signatures: Vec<ark_bn254_05::G1Affine>,
}

impl Operators {
    fn new(digest: B256) -> Self {
        let (mut shares, mut peer_keys, mut peer_signatures) = (vec![], vec![], vec![]);
        for number in 0..OPERATORS {
            let key = secret(number);
            let signature = key.sign(digest);
            peer_signatures.push(peer_g1(&signature.to_bytes().0.0));
            peer_keys.push(peer_g2(&key.public_key().g2_bytes().0.0));
            shares.push((key.public_key().clone(), signature));
        }
        Self {
            shares,
            peer_keys,
            peer_signatures,
        }
    }
}

fn single(operators: &Operators, digest: B256) {
    let rounds = Rounds {
        turns: 41,
        runs: 20,
    };
    let (key, signature) = &operators.shares[0];
    let (peer_key, peer_signature) = (operators.peer_keys[0], operators.peer_signatures[0]);
    let message = MessagePoint::of(digest);
    assert!(key.verify_point(&message, signature).is_ok());
    assert!(verify_message(peer_key, &digest.0, peer_signature));
    let pair = Pair::measure(
        Clock::Thread,
        rounds,
        || key.verify_point(&message, signature),
        || verify_message(peer_key, &digest.0, peer_signature),
    );
    row(
        "check, hash cached, lines prepared / verify_message",
        pair,
        Bar::AtMost(0.50),
    );

    let ours = secret(0);
    let scalar = ark_bn254_05::Fr::from_be_bytes_mod_order(&*ours.to_bytes()).into_bigint();
    let sign = || map_to_curve(&digest.0).mul_bigint(scalar).into_affine();
    assert_eq!(peer_g1(&ours.sign(digest).to_bytes().0.0), sign());
    // Another digest each time: how long hashing takes depends on it.
    let (mut ours_next, mut peer_next) = (digest, digest);
    let pair = Pair::measure(
        Clock::Thread,
        Rounds {
            runs: 100,
            ..rounds
        },
        || {
            ours_next = keccak256(ours_next);
            ours.sign(ours_next)
        },
        || {
            peer_next = keccak256(peer_next);
            map_to_curve(&peer_next.0).mul_bigint(scalar).into_affine()
        },
    );
    row(
        "constant-time sign / eigensdk's variable-time sign",
        pair,
        Bar::AtMost(1.0),
    );

    let point = ark_g2(key);
    let pair = Pair::measure(
        Clock::Thread,
        Rounds {
            runs: 200,
            ..rounds
        },
        || internals::is_in_subgroup(&point),
        || point.is_in_correct_subgroup_assuming_on_curve(),
    );
    row("subgroup check / ark's", pair, Bar::AtMost(0.50));
}

fn sums(operators: &Operators) {
    let rounds = Rounds { turns: 9, runs: 1 };
    let ours: Vec<_> = operators.shares.iter().map(|(_, it)| ark_g1(it)).collect();
    let pair = Pair::measure(
        Clock::Thread,
        rounds,
        || eigensdk_sum(&operators.peer_signatures),
        || internals::sum_g1(&ours),
    );
    row(
        "sum of 10,000 G1: eigensdk / ours",
        pair,
        Bar::AtLeast(25.0),
    );

    let keys: Vec<_> = operators
        .shares
        .iter()
        .map(|(key, _)| ark_g2(key))
        .collect();
    let pair = Pair::measure(
        Clock::Thread,
        rounds,
        || eigensdk_sum(&operators.peer_keys),
        || internals::sum_g2(&keys),
    );
    row(
        "sum of 10,000 G2: eigensdk / ours",
        pair,
        Bar::AtLeast(10.0),
    );

    let peers = blst_points();
    let pointers: Vec<*const blst_p1_affine> = peers.iter().map(std::ptr::from_ref).collect();
    let pair = Pair::measure(
        Clock::Thread,
        Rounds { turns: 41, runs: 2 },
        || internals::sum_g1(&ours),
        || {
            let mut sum = blst_p1::default();
            // SAFETY: the pointers are to as many points, which live until the end of this function.
            unsafe { blst_p1s_add(&mut sum, pointers.as_ptr(), pointers.len()) };
            sum
        },
    );
    row(
        "sum of 10,000 G1: ours / blst on BLS12-381",
        pair,
        Bar::AtMost(0.75),
    );
}

fn aggregation(operators: &Operators, digest: B256) {
    let message = MessagePoint::of(digest);
    let certify = || {
        let signature = Signature::sum(operators.shares.iter().map(|(_, it)| *it)).unwrap();
        let key = ValidKey::sum(operators.shares.iter().map(|(it, _)| it)).unwrap();
        key.verify(digest, &signature).unwrap();
    };
    // What eigensdk's aggregation service does for each signature that arrives: it verifies it by
    // itself and adds key and signature to sums in affine coordinates.
    let eigensdk = || {
        let mut key = ark_bn254_05::G2Affine::identity();
        let mut signature = ark_bn254_05::G1Affine::identity();
        let peers = operators.peer_keys.iter().zip(&operators.peer_signatures);
        for (one, share) in peers.take(SAMPLE) {
            assert!(verify_message(*one, &digest.0, *share));
            key = (key + one).into_affine();
            signature = (signature + share).into_affine();
        }
        (key, signature)
    };
    let scaled = Clock::Thread.time(1, eigensdk) * u32::try_from(OPERATORS / SAMPLE).unwrap();
    let time = |runs, work: &mut dyn FnMut()| {
        let times = (0..runs).map(|_| Clock::Thread.time(1, &mut *work));
        measure::median(times.collect())
    };
    let optimistic = Pair {
        first: scaled,
        second: time(15, &mut { certify }),
    };
    row(
        "10,000 signatures, certificate proved: eigensdk / ours",
        optimistic,
        Bar::AtLeast(1_500.0),
    );
    let weighted = Pair {
        first: scaled,
        second: time(9, &mut || {
            assert!(invalid_shares(&message, &operators.shares).is_empty());
        }),
    };
    row(
        "10,000 signatures, each proved: eigensdk / ours",
        weighted,
        Bar::AtLeast(120.0),
    );
}

/// As eigensdk adds: back to affine coordinates after each point.
fn eigensdk_sum<P: ark_ec_05::AffineRepr>(points: &[P]) -> P {
    points
        .iter()
        .fold(P::zero(), |sum, point| (sum + point).into_affine())
}

fn secret(number: usize) -> SecretKey {
    let mut bytes = keccak256(number.to_be_bytes()).0;
    bytes[0] &= 0x1f;
    SecretKey::from_bytes(&bytes).unwrap()
}

fn peer_g1(bytes: &[u8; 64]) -> ark_bn254_05::G1Affine {
    let [x, y] = peer_coordinates(bytes);
    ark_bn254_05::G1Affine::new(x, y)
}

fn peer_g2(bytes: &[u8; 128]) -> ark_bn254_05::G2Affine {
    let [x0, x1, y0, y1] = peer_coordinates(bytes);
    ark_bn254_05::G2Affine::new(
        ark_bn254_05::Fq2::new(x0, x1),
        ark_bn254_05::Fq2::new(y0, y1),
    )
}

fn peer_coordinates<const N: usize>(bytes: &[u8]) -> [ark_bn254_05::Fq; N] {
    let mut chunks = bytes.chunks(32);
    std::array::from_fn(|_| ark_bn254_05::Fq::from_be_bytes_mod_order(chunks.next().unwrap()))
}

fn ark_g1(signature: &Signature) -> ark_bn254::G1Affine {
    let [x, y] = coordinates(&signature.to_bytes().0.0);
    ark_bn254::G1Affine::new(x, y)
}

fn ark_g2(key: &ValidKey) -> ark_bn254::G2Affine {
    let [x0, x1, y0, y1] = coordinates(&key.g2_bytes().0.0);
    ark_bn254::G2Affine::new(ark_bn254::Fq2::new(x0, x1), ark_bn254::Fq2::new(y0, y1))
}

fn coordinates<const N: usize>(bytes: &[u8]) -> [ark_bn254::Fq; N] {
    use ark_ff::PrimeField as _;

    let mut chunks = bytes.chunks(32);
    std::array::from_fn(|_| ark_bn254::Fq::from_be_bytes_mod_order(chunks.next().unwrap()))
}

fn blst_points() -> Vec<blst_p1_affine> {
    let points = (0..OPERATORS).map(|number| {
        let scalar = keccak256(number.to_be_bytes());
        let (mut point, mut affine) = (blst_p1::default(), blst_p1_affine::default());
        // SAFETY: a multiple of the generator by 255 bits, all in memory of this function.
        unsafe {
            blst_p1_mult(&mut point, blst_p1_generator(), scalar.as_ptr(), 255);
            blst_p1_to_affine(&mut affine, &point);
        }
        affine
    });
    points.collect()
}
