//! What a node is asked for.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, BlockNumber, U256};

/// Slots by account; an account without slots is wanted itself.
pub(crate) type Keys = BTreeMap<Address, BTreeSet<U256>>;

/// What to ask a node for, at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// To be proven at the parent.
    pub(crate) proofs: Keys,
    /// Accounts whose code at the parent is needed.
    pub(crate) codes: BTreeSet<Address>,
    /// Ancestors whose headers are needed.
    pub(crate) headers: BTreeSet<BlockNumber>,
    /// To be proven after the block.
    pub(crate) later: Keys,
}

impl Wanted {
    pub(super) fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    pub(super) fn account(&mut self, address: Address) {
        self.proofs.entry(address).or_default();
    }

    pub(super) fn slot(&mut self, address: Address, slot: U256) {
        self.proofs.entry(address).or_default().insert(slot);
    }

    /// An account with its code, which may be empty.
    pub(super) fn contract(&mut self, address: Address) {
        self.account(address);
        self.codes.insert(address);
    }

    pub(super) fn has(&self, address: Address, slot: Option<U256>) -> bool {
        (self.proofs.get(&address))
            .is_some_and(|slots| slot.is_none_or(|slot| slots.contains(&slot)))
    }

    pub(super) fn count(&self) -> usize {
        self.proofs.len() + self.proofs.values().map(BTreeSet::len).sum::<usize>()
    }

    /// All keys, codes and headers.
    pub(super) fn total(&self) -> usize {
        let later: usize = self.later.values().map(BTreeSet::len).sum();
        self.count() + self.codes.len() + self.headers.len() + self.later.len() + later
    }

    pub(super) fn add(&mut self, other: Self) {
        for (to, from) in [
            (&mut self.proofs, other.proofs),
            (&mut self.later, other.later),
        ] {
            for (address, slots) in from {
                to.entry(address).or_default().extend(slots);
            }
        }
        self.codes.extend(other.codes);
        self.headers.extend(other.headers);
    }

    /// Whether all of these are wanted to be proven.
    pub(super) fn has_all(&self, keys: &Keys) -> bool {
        keys.iter().all(|(address, slots)| {
            (self.proofs.get(address)).is_some_and(|asked| slots.is_subset(asked))
        })
    }

    /// Leaves out what `other` has.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (from, asked) in [
            (&mut self.proofs, &other.proofs),
            (&mut self.later, &other.later),
        ] {
            from.retain(|address, slots| {
                let Some(asked) = asked.get(address) else {
                    return true;
                };
                slots.retain(|slot| !asked.contains(slot));
                !slots.is_empty()
            });
        }
        self.codes.retain(|address| !other.codes.contains(address));
        self.headers
            .retain(|number| !other.headers.contains(number));
    }
}
