use alloy_primitives::{
    B256, BlockNumber,
    map::{HashMap, hash_map::Entry},
};

/// Hashes of ancestors for `BLOCKHASH`, each proven or only claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockHashes(HashMap<BlockNumber, (B256, Provenance)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provenance {
    Proven,
    Claimed,
}

impl BlockHashes {
    /// No hashes at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a hash that follows from the block by hashing headers; it replaces a claim.
    pub fn prove(&mut self, number: BlockNumber, hash: B256) {
        self.0.insert(number, (hash, Provenance::Proven));
    }

    /// Adds a hash that somebody says; what is known already stays.
    pub fn claim(&mut self, number: BlockNumber, hash: B256) {
        if let Entry::Vacant(entry) = self.0.entry(number) {
            entry.insert((hash, Provenance::Claimed));
        }
    }

    /// Hash of the block at `number`, if it is known.
    pub fn get(&self, number: BlockNumber) -> Option<B256> {
        self.0.get(&number).map(|(hash, _)| *hash)
    }

    /// Whether the hash at `number` is known and only claimed.
    pub fn is_claimed(&self, number: BlockNumber) -> bool {
        matches!(self.0.get(&number), Some((_, Provenance::Claimed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_never_replaces_a_proof() {
        let (proven, claimed) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut hashes = BlockHashes::new();
        hashes.claim(7, claimed);
        assert!(hashes.is_claimed(7));
        hashes.prove(7, proven);
        hashes.claim(7, claimed);
        assert_eq!(hashes.get(7), Some(proven));
        assert!(!hashes.is_claimed(7));
        assert_eq!(hashes.get(8), None);
    }
}
