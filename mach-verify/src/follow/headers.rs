//! Headers of the blocks that were seen last, whatever branch they are on.

use std::collections::VecDeque;

use alloy_consensus::Header;
use alloy_primitives::{
    B256, BlockNumber, Sealed,
    map::{B256Map, B256Set},
};

/// Headers by hash. The oldest arrivals go when there are too many.
#[derive(Debug)]
pub(super) struct Headers {
    headers: B256Map<Header>,
    arrivals: VecDeque<B256>,
    limit: usize,
}

impl Headers {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            headers: B256Map::default(),
            arrivals: VecDeque::new(),
            limit,
        }
    }

    pub(super) fn insert(&mut self, header: &Sealed<Header>) {
        let hash = header.seal();
        if self.headers.insert(hash, header.inner().clone()).is_some() {
            return;
        }
        self.arrivals.push_back(hash);
        while self.arrivals.len() > self.limit {
            if let Some(oldest) = self.arrivals.pop_front() {
                self.headers.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<Sealed<Header>> {
        let header = self.headers.get(hash)?;
        Some(Sealed::new_unchecked(header.clone(), *hash))
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
        self.arrivals.retain(|hash| !doomed.contains(hash));
        doomed.len()
    }

    pub(super) fn len(&self) -> usize {
        self.headers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
