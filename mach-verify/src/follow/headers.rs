//! Headers of the blocks that were seen last, whatever branch they are on.

use std::collections::VecDeque;

use alloy_consensus::Header;
use alloy_primitives::{
    B256, BlockNumber, Bytes, Sealed,
    map::{B256Map, B256Set},
};

/// What a header takes with all that finds it, in bytes, if its `extraData` is no longer than
/// [`EXTRA_BYTES`]. Source: the test below, which measures it.
pub(super) const HEADER_BYTES: usize = 1152;

/// Longest `extraData` of Ethereum's rules. A rollup or a liar may have more, which counts.
const EXTRA_BYTES: usize = 32;

/// Headers by hash. The oldest arrivals go when there are too many.
#[derive(Debug)]
pub(super) struct Headers {
    // In boxes, since a hash table has up to 9/7 times as many free places as full ones.
    headers: B256Map<Box<Header>>,
    arrivals: VecDeque<B256>,
    bytes: usize,
    limit: usize,
}

fn size(header: &Header) -> usize {
    HEADER_BYTES + header.extra_data.len().saturating_sub(EXTRA_BYTES)
}

impl Headers {
    /// For `limit` headers of usual size.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            headers: B256Map::default(),
            arrivals: VecDeque::new(),
            bytes: 0,
            limit: limit.saturating_mul(HEADER_BYTES),
        }
    }

    pub(super) fn insert(&mut self, header: &Sealed<Header>) {
        let hash = header.seal();
        if self.headers.contains_key(&hash) {
            return;
        }
        let mut header = Box::new(header.inner().clone());
        // A copy, since it may be a slice of all that came with it.
        header.extra_data = Bytes::copy_from_slice(&header.extra_data);
        self.bytes += size(&header);
        self.headers.insert(hash, header);
        self.arrivals.push_back(hash);
        while self.bytes > self.limit
            && let Some(oldest) = self.arrivals.pop_front()
        {
            self.bytes -= self.headers.remove(&oldest).map_or(0, |it| size(&it));
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<Sealed<Header>> {
        let header = self.headers.get(hash)?;
        Some(Sealed::new_unchecked(Header::clone(header), *hash))
    }

    pub(super) fn parent_of(&self, hash: &B256) -> Option<B256> {
        self.headers.get(hash).map(|header| header.parent_hash)
    }

    /// Forgets the branches that `hash` being final rules out: what is not above it and not among
    /// its ancestors. Returns how many headers went.
    pub(super) fn finalize(&mut self, hash: B256) -> usize {
        let Some(number) = self.headers.get(&hash).map(|header| header.number) else {
            return 0;
        };
        let mut canonical = B256Set::default();
        let mut at = hash;
        while let Some(parent) = self.parent_of(&at) {
            canonical.insert(at);
            at = parent;
        }
        let mut doomed: B256Set = (self.headers.iter())
            .filter(|(hash, header)| header.number <= number && !canonical.contains(*hash))
            .map(|(hash, _)| *hash)
            .collect();
        // In the order of heights a parent is judged before its children.
        let mut above: Vec<(BlockNumber, B256, B256)> = (self.headers.iter())
            .filter(|(_, header)| header.number > number)
            .map(|(hash, header)| (header.number, *hash, header.parent_hash))
            .collect();
        above.sort_unstable();
        for (_, hash, parent) in above {
            if doomed.contains(&parent) {
                doomed.insert(hash);
            }
        }
        self.headers.retain(|hash, _| !doomed.contains(hash));
        self.bytes = self.headers.values().map(|it| size(it)).sum();
        self.arrivals.retain(|hash| !doomed.contains(hash));
        doomed.len()
    }

    pub(super) fn len(&self) -> usize {
        self.headers.len()
    }

    /// Bytes of all headers, as they are counted.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use crate::follow::measure;

    /// `length` headers on top of `parent`, told apart from others by `salt`.
    fn branch(parent: &Header, length: u64, salt: u64) -> Vec<Sealed<Header>> {
        let mut headers: Vec<Sealed<Header>> = Vec::new();
        for _ in 0..length {
            let parent = headers.last().map_or(parent, |last| last.inner());
            headers.push(Sealed::new(Header {
                number: parent.number + 1,
                parent_hash: parent.hash_slow(),
                timestamp: salt,
                ..Default::default()
            }));
        }
        headers
    }

    #[test]
    fn what_is_final_prunes_the_branches_that_it_rules_out() {
        let mut headers = Headers::new(100);
        let main = branch(&Header::default(), 10, 0);
        // Both leave at block 3; one of them is overtaken by finality, the other at block 7 is not.
        let low = branch(&main[2], 6, 1);
        let high = branch(&main[6], 2, 2);
        for header in main.iter().chain(&low).chain(&high) {
            headers.insert(header);
        }
        assert_eq!(headers.finalize(B256::ZERO), 0);
        assert_eq!(headers.finalize(main[4].seal()), 6);
        assert_eq!(headers.len(), 12);
        assert!(
            main.iter()
                .chain(&high)
                .all(|it| headers.get(&it.seal()).is_some())
        );
        // A second time there is nothing to do.
        assert_eq!(headers.finalize(main[4].seal()), 0);
    }

    #[test]
    fn long_extra_data_counts() {
        let with_extra = |number, length| {
            Sealed::new(Header {
                number,
                extra_data: vec![7; length].into(),
                ..Default::default()
            })
        };
        let mut headers = Headers::new(8);
        let all: Vec<_> = (0..8).map(|number| with_extra(number, 32)).collect();
        for header in &all {
            headers.insert(header);
        }
        assert_eq!((headers.len(), headers.bytes()), (8, 8 * HEADER_BYTES));
        // Room for itself and three others.
        headers.insert(&with_extra(8, 32 + 4 * HEADER_BYTES));
        assert_eq!((headers.len(), headers.bytes()), (4, 8 * HEADER_BYTES));
        assert_eq!(headers.get(&all[4].seal()), None);
        assert!(headers.get(&all[5].seal()).is_some());
        // What is larger than all the room is not kept.
        headers.insert(&with_extra(9, 1 << 20));
        assert_eq!((headers.len(), headers.bytes()), (0, 0));
        assert!(headers.arrivals.is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_counted_covers_what_is_held() {
        const COUNT: usize = (1 << 15) / 8 * 7 + 1;
        measure(
            "follow::headers::tests::what_is_counted_covers_what_is_held",
            |resident| {
                let mut headers = Headers::new(usize::MAX);
                let before = resident();
                for number in 0..COUNT {
                    headers.insert(&Sealed::new(Header {
                        number: number as u64,
                        extra_data: vec![7; [9, 17, 32, 3000][number % 4]].into(),
                        ..Default::default()
                    }));
                }
                (headers.bytes(), resident().saturating_sub(before))
            },
        );
    }

    #[test]
    fn the_oldest_arrivals_go() {
        let mut headers = Headers::new(4);
        let main = branch(&Header::default(), 6, 0);
        for header in main.iter().chain(&main[4..]) {
            headers.insert(header);
        }
        assert_eq!(headers.len(), 4);
        assert_eq!(headers.get(&main[1].seal()), None);
        assert_eq!(headers.get(&main[2].seal()).as_ref(), Some(&main[2]));
        assert_eq!(headers.parent_of(&main[3].seal()), Some(main[2].seal()));
    }
}
