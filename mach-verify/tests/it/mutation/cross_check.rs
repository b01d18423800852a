//! Changes of what a block says of itself that need no execution to be found.

use alloy_consensus::Header;
use alloy_primitives::{Bytes, Sealed};
use alloy_trie::root::ordered_trie_root_with_encoder;
use mach_core::{Fault, L2Block};
use mach_verify::{ExecuteError, cross_check::check_consistency};

use super::{Fixture, flip, sample};

/// A block with what a cross-check looks at.
struct Case<'a> {
    it: &'a Fixture,
    parent: Sealed<Header>,
    receipts: &'a [Bytes],
}

/// How many changes were named, and how many damaged inputs accused nobody.
pub(super) fn check(it: &Fixture, receipts: &[Bytes]) -> (usize, usize) {
    let parent = it.parent();
    let case = Case {
        it,
        parent,
        receipts,
    };
    assert_eq!(case.judge(&it.block, receipts), Ok(None), "{}", it.name);
    (case.lies(), case.damage())
}

impl Case<'_> {
    /// The name of the fault, or of the part that does not belong to the block.
    fn judge(
        &self,
        block: &L2Block,
        receipts: &[Bytes],
    ) -> Result<Option<&'static str>, &'static str> {
        match check_consistency(block, &self.parent, receipts) {
            Ok(fault) => Ok(fault.map(|fault| Fault::name(&fault))),
            Err(ExecuteError::Body { field, .. }) => Err(field),
            Err(ExecuteError::MissingParent { .. }) => Err("parent"),
            Err(error) => panic!("{}: {error}", self.it.name),
        }
    }

    fn header(&self, change: impl FnOnce(&mut Header)) -> L2Block {
        let mut header = self.it.block.header.inner().clone();
        change(&mut header);
        L2Block {
            header: Sealed::new(header),
            ..self.it.block.clone()
        }
    }

    /// What the block's own hash binds, and contradicts its parent or its own receipts.
    fn lies(&self) -> usize {
        let header = self.it.block.header.inner();
        let before = self.parent.timestamp - 1;
        let mut lies = vec![
            ("number", self.header(|it| it.number += 1)),
            ("number", self.header(|it| it.number -= 1)),
            ("timestamp", self.header(|it| it.timestamp = before)),
            ("timestamp", self.header(|it| it.timestamp = 0)),
            ("gasUsed", self.header(|it| it.gas_used += 1)),
            ("gasUsed", self.header(|it| it.gas_used = 0)),
        ];
        if header.gas_used > 0 {
            lies.push(("gasUsed", self.header(|it| it.gas_used -= 1)));
        }
        for at in sample(256) {
            let bloom = self.header(|it| it.logs_bloom.0[at] ^= 1);
            lies.push(("logsBloom", bloom));
        }
        for (name, block) in &lies {
            assert_eq!(
                self.judge(block, self.receipts),
                Ok(Some(*name)),
                "{}",
                self.it.name
            );
        }
        lies.len()
    }

    /// What a source gives that the block does not commit to.
    fn damage(&self) -> usize {
        let mut count = 0;
        let mut refused = |block: &L2Block, receipts: &[Bytes], field| {
            let verdict = self.judge(block, receipts);
            assert_eq!(verdict, Err(field), "{}", self.it.name);
            count += 1;
        };
        let block = &self.it.block;
        let roots = self.header(|it| it.transactions_root = flip(it.transactions_root));
        refused(&roots, self.receipts, "transactions");
        let roots = self.header(|it| it.receipts_root = flip(it.receipts_root));
        refused(&roots, self.receipts, "receipts");
        let other = self.header(|it| it.parent_hash = flip(it.parent_hash));
        refused(&other, self.receipts, "parent");
        for at in sample(self.receipts.len()) {
            for byte in sample(self.receipts[at].len()) {
                let mut bent = self.receipts.to_vec();
                let mut bytes = bent[at].to_vec();
                bytes[byte] ^= 1;
                bent[at] = bytes.into();
                refused(block, &bent, "receipts");
                // Where the header commits to it, it is what the block says: its gas or its bloom
                // may contradict the header then, and nothing else is found.
                let root = ordered_trie_root_with_encoder(&bent, |item, out| {
                    out.extend_from_slice(item);
                });
                let bound = self.header(|it| it.receipts_root = root);
                let verdict = self.judge(&bound, &bent);
                assert!(
                    matches!(
                        verdict,
                        Ok(None | Some("gasUsed" | "logsBloom")) | Err("receipts")
                    ),
                    "{}: {verdict:?}",
                    self.it.name
                );
            }
            let mut fewer = self.receipts.to_vec();
            fewer.remove(at);
            refused(block, &fewer, "receipts");
            let mut more = self.receipts.to_vec();
            more.push(self.receipts[at].clone());
            refused(block, &more, "receipts");
        }
        for at in sample(block.transactions.len()) {
            let mut bent = block.clone();
            let mut bytes = bent.transactions[at].to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bent.transactions[at] = bytes.into();
            refused(&bent, self.receipts, "transactions");
            let mut fewer = block.clone();
            fewer.transactions.remove(at);
            refused(&fewer, self.receipts, "transactions");
        }
        count
    }
}
