//! Which statements L1 is looked at again for, in memory.

use std::{collections::BTreeSet, sync::Mutex};

use alloy_primitives::B256;

use super::super::rounds::lock;

/// A look that is to come: the statement, and the height of L1.
pub(super) type Look = (B256, u64);

/// The looks that the store has: thousands of rows, which are not read anew for each signature that comes late.
///
/// They are read once, and what this instance writes is noted, as long as it is the only one that writes.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    looks: Option<BTreeSet<Look>>,
    /// How often something has changed, known or not.
    changes: u64,
}

/// Changes of looks on their way to the store. If it is dropped, nobody knows what became of them.
#[derive(Debug)]
pub(super) struct Noting<'w> {
    watched: &'w Watched,
    /// Whether each is there afterwards.
    changes: Vec<(Look, bool)>,
}

impl Watched {
    /// Whether the statement is looked at again.
    ///
    /// Errors: that is not known. What is read from now on can be [learnt](Self::learn), with this number.
    pub(super) fn contains(&self, digest: &B256) -> Result<bool, u64> {
        let known = lock(&self.0);
        let looks = known.looks.as_ref().ok_or(known.changes)?;
        Ok(is_in(looks, digest))
    }

    /// Takes what was read, unless it has changed meanwhile.
    pub(super) fn learn(&self, changes: u64, looks: BTreeSet<Look>) {
        let mut known = lock(&self.0);
        if known.changes == changes {
            known.looks = Some(looks);
        }
    }

    /// Takes that others may have written.
    pub(super) fn forget(&self) {
        let mut known = lock(&self.0);
        known.looks = None;
        known.changes += 1;
    }

    pub(super) const fn noting(&self, changes: Vec<(Look, bool)>) -> Noting<'_> {
        Noting {
            watched: self,
            changes,
        }
    }
}

impl Noting<'_> {
    /// Takes that all of it is durable, or none.
    pub(super) fn written(mut self, is_durable: bool) {
        let changes = std::mem::take(&mut self.changes);
        if !is_durable || changes.is_empty() {
            return;
        }
        let mut known = lock(&self.watched.0);
        known.changes += 1;
        let Some(looks) = &mut known.looks else {
            return;
        };
        for (look, is_there) in changes {
            match is_there {
                true => looks.insert(look),
                false => looks.remove(&look),
            };
        }
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        if !self.changes.is_empty() {
            self.watched.forget();
        }
    }
}

/// Whether a statement is among these.
pub(super) fn is_in(looks: &BTreeSet<Look>, digest: &B256) -> bool {
    let mut of_it = looks.range((*digest, 0)..=(*digest, u64::MAX));
    of_it.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: B256 = B256::repeat_byte(1);
    const OTHER: B256 = B256::repeat_byte(2);

    fn known(looks: &[Look]) -> Watched {
        let watched = Watched::default();
        let changes = watched.contains(&ONE).unwrap_err();
        watched.learn(changes, looks.iter().copied().collect());
        watched
    }

    #[test]
    fn what_is_written_is_known() {
        let watched = known(&[(ONE, 7)]);
        assert_eq!(watched.contains(&ONE), Ok(true));
        assert_eq!(watched.contains(&OTHER), Ok(false));
        // Looked at now, and later once more.
        let next = vec![((ONE, 7), false), ((ONE, 9), true), ((OTHER, 9), true)];
        watched.noting(next).written(true);
        assert_eq!(watched.contains(&ONE), Ok(true));
        assert_eq!(watched.contains(&OTHER), Ok(true));
        watched.noting(vec![((ONE, 9), false)]).written(true);
        assert_eq!(watched.contains(&ONE), Ok(false));
        watched.noting(vec![((OTHER, 9), false)]).written(false);
        assert_eq!(watched.contains(&OTHER), Ok(true));
    }

    #[test]
    fn what_may_have_changed_is_read_again() {
        // While it is read, or by somebody else.
        let watched = Watched::default();
        let changes = watched.contains(&ONE).unwrap_err();
        watched.noting(vec![((ONE, 7), true)]).written(true);
        watched.learn(changes, BTreeSet::new());
        assert!(watched.contains(&ONE).is_err());

        let watched = known(&[]);
        watched.forget();
        assert!(watched.contains(&ONE).is_err());

        // By a write of which nobody heard the end.
        let watched = known(&[]);
        drop(watched.noting(vec![((ONE, 7), true)]));
        assert!(watched.contains(&ONE).is_err());
    }
}
