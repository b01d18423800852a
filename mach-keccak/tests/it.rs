//! Every backend of this machine against alloy's Keccak-256 and published vectors.

use alloy_primitives::{B256, b256, hex, keccak256};
use mach_keccak::{Backend, keccak256_batch};
use proptest::prelude::*;

/// Those that this machine has; without vectors only the portable one is tested.
fn backends() -> Vec<Backend> {
    [Backend::Portable, Backend::Avx2, Backend::Avx512]
        .into_iter()
        .filter(|it| it.is_available())
        .collect()
}

/// Bytes that differ from input to input and from place to place.
fn bytes(seed: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (seed.wrapping_mul(0x9e37_79b9) ^ at.wrapping_mul(0x85eb_ca6b)).to_le_bytes()[2])
        .collect()
}

/// `KeccakKAT/ShortMsgKAT_256.txt` of the Keccak team's submission to the SHA-3 competition, round 3:
/// Len = 0, 8 and 16; the text of 43 bytes and its neighbour with a full stop are well known.
#[test]
fn known_answers() {
    let vectors: [(&[u8], B256); 5] = [
        (
            b"",
            b256!("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        ),
        (
            &hex!("cc"),
            b256!("0xeead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"),
        ),
        (
            &hex!("41fb"),
            b256!("0xa8eaceda4d47b3281a795ad9e1ea2122b407baf9aabcb9e18b5717b7873537d2"),
        ),
        (
            b"The quick brown fox jumps over the lazy dog",
            b256!("0x4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15"),
        ),
        (
            b"The quick brown fox jumps over the lazy dog.",
            b256!("0x578951e24efd62a3d63a86f7cd19aaa53c898fe287d2552133220370240b572d"),
        ),
    ];
    // Enough copies that every vector stands in every lane.
    let inputs: Vec<&[u8]> = (0..40).map(|at| vectors[at % 5].0).collect();
    let expected: Vec<B256> = (0..40).map(|at| vectors[at % 5].1).collect();
    for backend in backends() {
        assert_eq!(backend.hash(&inputs), expected, "{backend:?}");
    }
}

#[test]
fn every_length_up_to_eight_blocks_is_hashed_as_alloy_hashes_it() {
    let inputs: Vec<_> = (0..=1100).map(|len| bytes(len, len)).collect();
    let expected: Vec<_> = inputs.iter().map(keccak256).collect();
    for backend in backends() {
        assert_eq!(backend.hash(&inputs), expected, "{backend:?}");
        let reversed: Vec<_> = inputs.iter().rev().collect();
        let mut hashes = backend.hash(&reversed);
        hashes.reverse();
        assert_eq!(hashes, expected, "{backend:?}");
    }
}

#[test]
fn every_number_of_inputs_fills_or_leaves_lanes() {
    for backend in backends() {
        for count in 0..=40 {
            let inputs: Vec<_> = (0..count).map(|at| bytes(at, (at * 61) % 600)).collect();
            let expected: Vec<_> = inputs.iter().map(keccak256).collect();
            assert_eq!(backend.hash(&inputs), expected, "{backend:?} {count}");
        }
    }
}

#[test]
fn one_long_input_among_short_ones() {
    for at in [0, 3, 19] {
        let mut inputs: Vec<_> = (0..20).map(|seed| bytes(seed, 32)).collect();
        inputs[at] = bytes(at, 100_000);
        let expected: Vec<_> = inputs.iter().map(keccak256).collect();
        for backend in backends() {
            assert_eq!(backend.hash(&inputs), expected, "{backend:?}");
        }
    }
}

#[test]
fn without_inputs_there_are_no_hashes() {
    assert_eq!(keccak256_batch::<[u8; 32]>(&[]), Vec::<B256>::new());
}

proptest! {
    #[test]
    fn any_batch_is_hashed_as_alloy_hashes_it(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..800), 0..30)
    ) {
        let expected: Vec<_> = inputs.iter().map(keccak256).collect();
        prop_assert_eq!(&keccak256_batch(&inputs), &expected);
        for backend in backends() {
            prop_assert_eq!(&backend.hash(&inputs), &expected);
        }
    }
}
