//! Which input is in which lane.

use std::array;

use alloy_primitives::B256;

/// Bytes that a permutation absorbs: 1600 bits less twice the 256 of the digest.
const RATE: usize = 136;

/// What a lane absorbs at once.
pub(super) type Block = [u64; RATE / 8];

/// What is left of an input, and where its hash goes.
struct Lane<'a> {
    rest: &'a [u8],
    hash: &'a mut B256,
}

/// Writes the hash of each input, `N` at a time; a lane that is done takes the next input.
///
/// `absorb` clears each lane whose word of the mask is zero (the others are all ones), absorbs one
/// block in each lane, permutes, and gives the first four words of the states, word by word.
pub(super) fn run<const N: usize, T: AsRef<[u8]>>(
    inputs: &[T],
    hashes: &mut [B256],
    mut absorb: impl FnMut(&[u64; N], &[Block; N]) -> [[u64; N]; 4],
) {
    let mut queue = (inputs.iter().zip(hashes)).map(|(input, hash)| Lane {
        rest: input.as_ref(),
        hash,
    });
    let mut lanes: [Option<Lane<'_>>; N] = array::from_fn(|_| queue.next());
    let mut mask = [0; N];
    let mut blocks = [[0; RATE / 8]; N];
    while lanes.iter().any(Option::is_some) {
        let mut is_last = [false; N];
        for ((lane, block), is_last) in lanes.iter_mut().zip(&mut blocks).zip(&mut is_last) {
            if let Some(lane) = lane {
                *is_last = lane.next_block(block);
            }
        }
        let [a, b, c, d] = absorb(&mask, &blocks);
        let words = a.into_iter().zip(b).zip(c).zip(d);
        for (((lane, mask), is_last), (((a, b), c), d)) in
            (lanes.iter_mut().zip(&mut mask).zip(is_last)).zip(words)
        {
            *mask = u64::MAX;
            if is_last {
                if let Some(done) = lane.take() {
                    let words = [a, b, c, d].map(u64::to_le_bytes);
                    done.hash.copy_from_slice(words.as_flattened());
                }
                *lane = queue.next();
                *mask = 0;
            }
        }
    }
}

impl Lane<'_> {
    /// Fills `block` and says whether it was the last.
    fn next_block(&mut self, block: &mut Block) -> bool {
        if let Some((head, rest)) = self.rest.split_first_chunk::<RATE>() {
            self.rest = rest;
            read(head, block);
            return false;
        }
        let mut padded = [0; RATE];
        for (to, from) in padded.iter_mut().zip(self.rest.iter().chain(&[0x01])) {
            *to = *from;
        }
        padded[RATE - 1] |= 0x80;
        read(&padded, block);
        true
    }
}

fn read(bytes: &[u8; RATE], block: &mut Block) {
    let (words, _) = bytes.as_chunks();
    for (to, from) in block.iter_mut().zip(words) {
        *to = u64::from_le_bytes(*from);
    }
}
