//! Digests of the statements that are signed at this time.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use alloy_primitives::B256;
use mach_core::{Domain, Statement};

/// Most statements of which the digest is remembered.
const MAX_REMEMBERED: usize = 1024;

/// Thousands of operators sign one statement: its digest, ten permutations of Keccak, is made once.
#[derive(Debug)]
pub(super) struct Digests {
    domain: Domain,
    known: RwLock<HashMap<Statement, B256>>,
}

impl Digests {
    pub(super) fn new(domain: Domain) -> Self {
        Self {
            domain,
            known: RwLock::default(),
        }
    }

    pub(super) fn of(&self, statement: &Statement) -> B256 {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known.get(statement) {
            return *digest;
        }
        drop(known);
        let digest = statement.digest(&self.domain);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Those that are signed come again.
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(statement.clone(), digest);
        digest
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;
    use mach_core::{Attestation, BlockRef};

    use super::*;

    #[test]
    fn what_is_remembered_is_what_the_statement_says_and_bounded() {
        let domain = Domain {
            l1_chain_id: 1,
            service_manager: Address::repeat_byte(1),
        };
        let digests = Digests::new(domain);
        let statement = |number: u64| {
            Statement::from(Attestation {
                rollup_chain_id: 10,
                block: BlockRef {
                    number,
                    hash: B256::ZERO,
                },
                state_root: B256::ZERO,
                output_root: B256::ZERO,
            })
        };
        for number in (0..2 * MAX_REMEMBERED as u64).chain(0..3) {
            let statement = statement(number);
            for _ in 0..2 {
                assert_eq!(digests.of(&statement), statement.digest(&domain));
            }
        }
        assert!(digests.known.read().unwrap().len() <= MAX_REMEMBERED);
    }
}
