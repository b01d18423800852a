//! What is done with closed rounds, by the height of L1: their confirmations are looked at again, and
//! what is kept of them grows old.

use std::{cmp::Reverse, collections::BTreeSet};

use alloy_primitives::B256;

use super::{
    Ledger, PAGE, Recorded, StoredRound, StoredRow, put, remove,
    watched::{Look, is_in},
};
use crate::store::{Change, Expected, StoreError, Table, domain_key};

/// L1 blocks in which the newest closed rounds are looked for, and how many times more each time there are not
/// enough.
const FIRST_WINDOW: u64 = 8;

/// What a height of L1 is kept for. The number stands in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aggregator) enum Kept {
    /// A closed round with its certificate, which go together: who is late finds what there is, and
    /// begins nothing anew.
    Round = 0,
    /// The certificate of a round that was forgotten. Releases before this one left such.
    Certificate = 1,
    /// A confirmation that a reorganisation of L1 may take back.
    Confirmation = 2,
}

/// A confirmation that is to be looked at again.
#[derive(Clone, Debug)]
pub(in crate::aggregator) struct Due {
    pub(in crate::aggregator) digest: B256,
    key: Vec<u8>,
}

impl Ledger {
    /// Removes what has aged since `before` or longer, so many statements at most. Gives which.
    pub(in crate::aggregator) async fn prune(
        &self,
        kept: Kept,
        before: u64,
    ) -> Result<Vec<B256>, StoreError> {
        let rows = self.heights(kept, before).await?;
        let mut removed = Vec::with_capacity(rows.len());
        let mut changes = Vec::new();
        for Due { digest, key } in rows {
            // A certificate whose statement has another round by now goes with that one.
            if kept == Kept::Round || self.row(&digest).await?.is_none() {
                changes.extend([
                    remove(Table::Rounds, digest.to_vec()),
                    remove(Table::Certificates, digest.to_vec()),
                    remove(Table::Untold, self.digest_key(&digest)),
                ]);
                let prefix = digest.as_slice();
                match self.remove_signatures(prefix, &BTreeSet::new()).await? {
                    Recorded::Durable => {}
                    // Who leads prunes.
                    _ => return Ok(Vec::new()),
                }
            }
            changes.push(remove(Table::Aging, key));
            removed.push(digest);
        }
        if changes.is_empty() {
            return Ok(removed);
        }
        match self.write(changes).await? {
            Recorded::Durable => Ok(removed),
            _ => Ok(Vec::new()),
        }
    }

    /// Confirmations that are to be looked at again when L1 is at `head`, the first of them.
    pub(in crate::aggregator) async fn due(&self, head: u64) -> Result<Vec<Due>, StoreError> {
        (self.heights(Kept::Confirmation, head.saturating_add(1))).await
    }

    /// Whether L1 is looked at again for what it has of this statement.
    pub(in crate::aggregator) async fn is_watched(
        &self,
        digest: &B256,
    ) -> Result<bool, StoreError> {
        let changes = match self.watched.contains(digest) {
            Ok(is_watched) => return Ok(is_watched),
            Err(changes) => changes,
        };
        let prefix = self.heights_prefix(Kept::Confirmation);
        let (mut looks, mut after) = (BTreeSet::new(), None::<Vec<u8>>);
        loop {
            let page = (self.store).scan(Table::Aging, &prefix, after.as_deref(), PAGE);
            let page = page.await?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after = Some(last.clone());
            looks.extend(page.iter().filter_map(|(key, _)| self.look(key)));
        }
        let is_watched = is_in(&looks, digest);
        self.watched.learn(changes, looks);
        Ok(is_watched)
    }

    /// The look that a row of [`Table::Aging`] is for, if it is for one.
    pub(super) fn look(&self, key: &[u8]) -> Option<Look> {
        let rest = key.strip_prefix(self.heights_prefix(Kept::Confirmation).as_slice())?;
        let (height, digest) = rest.split_first_chunk::<8>()?;
        Some((B256::try_from(digest).ok()?, u64::from_be_bytes(*height)))
    }

    /// Closed rounds, those that L1 had last first, at most `most`; of alerts those whose confirmations are
    /// still looked at.
    pub(in crate::aggregator) async fn newest_closed(
        &self,
        head: u64,
        most: usize,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let mut blocks = FIRST_WINDOW;
        let mut found = loop {
            let from = head.saturating_sub(blocks);
            let found = self.digests(Kept::Round, from, usize::MAX).await?;
            if found.len() >= most || from == 0 {
                break found;
            }
            blocks = blocks.saturating_mul(FIRST_WINDOW);
        };
        found.drain(..found.len().saturating_sub(most));
        found.extend(self.digests(Kept::Confirmation, 0, PAGE).await?);
        found.sort_unstable();
        found.dedup();
        let mut closed = Vec::with_capacity(found.len());
        for digest in found {
            let row = self.row(&digest).await?;
            closed.extend(row.filter(|row| row.round.closed().is_some()));
        }
        let since = |row: &StoredRow| {
            let reference_block = row.round.terms.reference_block().into();
            let since = row.round.on_l1_since().unwrap_or(reference_block);
            (since, row.round.statement.block().number)
        };
        closed.sort_by_key(|row| Reverse(since(row)));
        closed.truncate(most);
        Ok(closed)
    }

    /// What is kept for heights of `from` or more, in their order, at most `most`.
    async fn digests(&self, kept: Kept, from: u64, most: usize) -> Result<Vec<B256>, StoreError> {
        let prefix = self.heights_prefix(kept);
        let mut after = [prefix.as_slice(), &from.to_be_bytes()].concat();
        let mut digests = Vec::new();
        while digests.len() < most {
            let page = self.store.scan(Table::Aging, &prefix, Some(&after), PAGE);
            let page = page.await?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after = last.clone();
            digests
                .extend((page.iter()).filter_map(|(key, _)| Some(B256::from(key.last_chunk()?))));
        }
        Ok(digests)
    }

    /// Takes that a confirmation was looked at, and when it is looked at next.
    pub(in crate::aggregator) async fn looked(
        &self,
        due: &Due,
        next: Option<u64>,
    ) -> Result<Recorded, StoreError> {
        let mut changes = vec![remove(Table::Aging, due.key.clone())];
        changes.extend(next.map(|height| self.height(Kept::Confirmation, height, &due.digest)));
        self.write(changes).await
    }

    /// Takes a closed round for what it was before: its statement does not stand on L1 any more. That is to be
    /// told to whoever knows of its confirmation.
    pub(in crate::aggregator) async fn reopen(
        &self,
        due: &Due,
        row: &StoredRow,
    ) -> Result<Recorded, StoreError> {
        let digest = &due.digest;
        let open = StoredRound {
            confirmation: None,
            certified: None,
            withdrawn: None,
            is_lost: true,
            ..row.round.clone()
        };
        let mut changes = vec![
            Change {
                expected: Expected::Value(row.bytes.clone()),
                ..put(Table::Rounds, digest.to_vec(), open.encode()?)
            },
            put(Table::Unconfirmed, self.digest_key(digest), Vec::new()),
            self.news(digest),
            remove(Table::Aging, due.key.clone()),
        ];
        changes.extend(
            (self.aging(Kept::Round, digest, &row.round))
                .map(|aging| remove(Table::Aging, aging.key)),
        );
        self.write(changes).await
    }

    /// The row that says since when something of a round is growing old.
    pub(super) fn aging(&self, kept: Kept, digest: &B256, round: &StoredRound) -> Option<Change> {
        Some(self.height(kept, round.aged_from()?, digest))
    }

    pub(super) fn height(&self, kept: Kept, height: u64, digest: &B256) -> Change {
        let prefix = self.heights_prefix(kept);
        let key = [prefix.as_slice(), &height.to_be_bytes(), digest.as_slice()].concat();
        put(Table::Aging, key, Vec::new())
    }

    /// What has a height below `before`, in the order of heights.
    async fn heights(&self, kept: Kept, before: u64) -> Result<Vec<Due>, StoreError> {
        let prefix = self.heights_prefix(kept);
        let rows = self.store.scan(Table::Aging, &prefix, None, PAGE).await?;
        let mut found = Vec::new();
        for (key, _) in rows {
            let damaged = || StoreError::damaged(Table::Aging, &key);
            let rest = key.get(prefix.len()..).ok_or_else(damaged)?;
            let (height, digest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
            let digest = B256::try_from(digest).map_err(|_| damaged())?;
            if u64::from_be_bytes(*height) >= before {
                break;
            }
            found.push(Due { digest, key });
        }
        Ok(found)
    }

    fn heights_prefix(&self, kept: Kept) -> Vec<u8> {
        [domain_key(&self.domain).as_slice(), &[kept as u8]].concat()
    }
}
