//! Which bytes of a contract's code may be jumped to.

use core::array;

use revm::bytecode::{Bytecode, JumpTable};

const JUMPDEST: u8 = 0x5b;
const PUSH1: u8 = 0x60;

/// Bytes that are looked at together, one bit each.
const CHUNK: usize = 64;
type Chunk = [u8; CHUNK];

/// Zeros after the code, so that the machine meets a `STOP` behind the last instruction: the data
/// of a `PUSH32` may be missing as a whole.
const PADDING: usize = 33;

/// Parts of the code that are looked at in turns.
const PARTS: usize = 4;

/// Ordinary code, ready for the machine: what `Bytecode::new_legacy` gives, in half of the time.
///
/// That looks at one instruction after the other, and each has to wait for the one before. This
/// finds the candidates of 64 bytes at once, visits only instructions that push, and does so in four
/// places of the code at once.
pub(super) fn analysed(code: &[u8]) -> Bytecode {
    if code.is_empty() {
        return Bytecode::new();
    }
    let padded_len = (code.len() + PADDING).next_multiple_of(CHUNK);
    let mut padded = Vec::with_capacity(padded_len);
    padded.extend_from_slice(code);
    padded.resize(padded_len, 0);
    let (chunks, _) = padded.as_chunks();
    let table = jump_destinations(chunks);
    let table = JumpTable::from_slice(table.as_flattened(), code.len());
    Bytecode::new_analyzed(padded.into(), code.len(), table)
}

/// One bit for each byte of the code, the lowest first: whether it is a `JUMPDEST` and not the data
/// of a push.
fn jump_destinations(chunks: &[Chunk]) -> Vec<[u8; CHUNK / 8]> {
    let mut table = vec![[0; CHUNK / 8]; chunks.len()];
    let length = chunks.len().div_ceil(PARTS);
    let mut parts: Vec<_> = chunks
        .chunks(length)
        .zip(table.chunks_mut(length))
        .collect();

    // As if each part began with an instruction.
    let mut overhangs = [0; PARTS];
    for at in 0..length {
        let here = array::from_fn(|part| {
            (parts.get(part).and_then(|(chunks, _)| chunks.get(at))).unwrap_or(&[0; CHUNK])
        });
        let found = visit(here, &mut overhangs);
        for ((_, table), found) in parts.iter_mut().zip(found) {
            if let Some(entry) = table.get_mut(at) {
                *entry = found.to_le_bytes();
            }
        }
    }

    // Where that was wrong, once more, until it makes no difference: two readings of code agree
    // soon, and for ever from then on.
    let mut before = 0;
    for ((chunks, table), overhang) in parts.into_iter().zip(overhangs) {
        let (mut guess, mut truth) = ([0], [before]);
        before = overhang;
        for (chunk, entry) in chunks.iter().zip(table) {
            if guess == truth {
                break;
            }
            visit([chunk], &mut guess);
            let [found] = visit([chunk], &mut truth);
            *entry = found.to_le_bytes();
        }
        if guess != truth {
            [before] = truth;
        }
    }
    table
}

/// The destinations in some chunks. `overhangs` are the bytes at the start of each that are data of
/// a push before it, and then those at the start of the chunk behind it.
#[expect(
    clippy::indexing_slicing,
    reason = "all lengths are N, and a bit is below 64"
)]
fn visit<const N: usize>(chunks: [&Chunk; N], overhangs: &mut [u32; N]) -> [u64; N] {
    let found = chunks.map(candidates);
    // At most 32 bytes, of 64.
    let mut data = overhangs.map(|overhang| (1_u64 << overhang) - 1);
    let mut left: [u64; N] = array::from_fn(|part| found[part].pushes & !data[part]);
    *overhangs = [0; N];
    while left.iter().fold(0, |all, left| all | left) != 0 {
        for part in 0..N {
            // 64 if nothing is left: what follows then changes nothing.
            let at = left[part].trailing_zeros();
            let opcode = chunks[part][at as usize % CHUNK];
            let length = u32::from(opcode.wrapping_sub(PUSH1) % 32) + 1;
            let behind = u64::MAX.unbounded_shl(at) << 1;
            let after = behind.unbounded_shl(length);
            data[part] |= behind & !after;
            left[part] &= after;
            let overhang = (at + length).saturating_sub(CHUNK as u32 - 1);
            overhangs[part] = if at < 64 { overhang } else { overhangs[part] };
        }
    }
    array::from_fn(|part| found[part].destinations & !data[part])
}

/// Bytes that push or may be jumped to, if they are no data.
struct Candidates {
    pushes: u64,
    destinations: u64,
}

fn candidates(chunk: &Chunk) -> Candidates {
    Candidates {
        // The 32 instructions that push have the same upper three bits.
        pushes: gather(chunk, |byte| byte & 0xe0 == PUSH1),
        destinations: gather(chunk, |byte| byte == JUMPDEST),
    }
}

/// One bit for each byte, the lowest first: whether it is what is looked for.
fn gather(chunk: &Chunk, is_wanted: impl Fn(u8) -> bool) -> u64 {
    const PLACES: u64 = u64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);
    // This the compiler does with vectors.
    let found = chunk.map(|byte| if is_wanted(byte) { 0xff } else { 0 });
    let (words, _) = found.as_chunks::<8>();
    (words.iter().rev()).fold(0, |bits, word| {
        let places = u64::from_le_bytes(*word) & PLACES;
        // The sum of the eight bytes comes to stand in the highest.
        bits << 8 | places.wrapping_mul(u64::from_le_bytes([1; 8])) >> 56
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use proptest::prelude::*;

    use super::*;

    /// The peer is revm's own analysis.
    fn check(code: Vec<u8>) {
        let code = Bytes::from(code);
        let (ours, peer) = (analysed(&code), Bytecode::new_legacy(code.clone()));
        assert_eq!(ours.original_bytes(), code);
        assert_eq!(ours.hash_slow(), peer.hash_slow());
        let (ours, peer) = (ours.bytes(), peer.bytes());
        assert!(ours.len() >= peer.len(), "{code}");
        let tables = [analysed(&code), Bytecode::new_legacy(code.clone())];
        let [ours, peer] = tables.map(|it| it.legacy_jump_table().cloned().unwrap());
        for at in 0..code.len() + 70 {
            assert_eq!(ours.is_valid(at), peer.is_valid(at), "byte {at} of {code}");
        }
    }

    #[test]
    fn pushes_of_every_length_at_every_place_hide_destinations() {
        check(vec![]);
        for opcode in PUSH1 - 1..=PUSH1 + 32 {
            for at in 0..260 {
                let mut code = vec![JUMPDEST; 300];
                code[at] = opcode;
                check(code.clone());
                // The data is missing.
                code.truncate(at + 1);
                check(code);
            }
        }
    }

    proptest! {
        #[test]
        fn any_code_is_analysed_as_revm_does(
            code in prop::collection::vec(
                prop_oneof![
                    any::<u8>(),
                    Just(JUMPDEST),
                    PUSH1..PUSH1 + 32,
                    Just(0),
                ],
                0..2000,
            )
        ) {
            check(code);
        }
    }
}
