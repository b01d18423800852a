//! What of the rounds outlives the process.

mod old;
mod stored;
mod told;
mod watched;

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::B256;
use mach_core::{Certificate, Curve, Domain, G1Bytes, OperatorId};

use super::compared::{Compared, compare};
use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};

pub(super) use old::{Due, Kept};
pub(super) use stored::{StoredRound, StoredRow};
pub(crate) use told::Untold;
use watched::Watched;

/// Rows that are read, or removed, at a time.
const PAGE: usize = 1024;
/// Bytes of a digest and of an operator's id.
const WORD: usize = 32;

/// Rounds and their signatures in a [`Store`].
///
/// A round is stored with its first signature: opening rounds costs a stranger nothing, so what
/// nobody signed is not kept. A signature is a key, so that none takes the place of another and
/// writing it twice changes nothing: digest, time at which its round was opened (big-endian),
/// operator, point. The time keeps apart the rounds that a statement has one after the other.
///
/// Every change of a round expects the row that it knows, and so does every signature: what comes
/// while a round ends is refused, and tried again with what there is then.
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    domain: Domain,
    /// What every write of an instance that is not the only one expects.
    fence: Option<Change>,
    watched: Watched,
}

/// What becomes durable together.
#[derive(Debug)]
pub(super) struct Batch<'a, C: Curve> {
    /// The row of the round, if the store has it.
    pub(super) row: Option<&'a [u8]>,
    pub(super) signatures: &'a [(OperatorId, G1Bytes<C>)],
    pub(super) certificate: Option<&'a Certificate<C>>,
}

/// What becomes of a round when it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// Whether its signatures go that the certificate has, which is kept.
    pub(super) is_covered: bool,
    /// Height of L1 at which its confirmation is looked at again.
    pub(super) look_again: Option<u64>,
}

/// What became of a write.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is durable.
    Durable,
    /// It is durable but for the certificate: that of another round, which covers as much stake, stays.
    Beside,
    /// Nothing was written: the store has another round or another certificate of the statement.
    Elsewise,
    /// Nothing was written: another instance leads.
    NotLeading,
}

/// What a new certificate is beside the stored one.
enum Beside {
    /// It takes its place.
    Better(Change),
    /// The stored one has its signatures.
    NoBetter,
    /// The stored one is of another round, and covers as much stake.
    Lesser,
    /// The stored one has signatures that it lacks.
    Apart,
}

impl Ledger {
    pub(super) fn new(store: Arc<dyn Store>, domain: Domain, fence: Option<Change>) -> Self {
        Self {
            store,
            domain,
            fence,
            watched: Watched::default(),
        }
    }

    /// Takes that another instance may have written.
    pub(super) fn forget_watched(&self) {
        self.watched.forget();
    }

    pub(super) async fn row(&self, digest: &B256) -> Result<Option<StoredRow>, StoreError> {
        let Some(bytes) = self.store.get(Table::Rounds, digest.as_slice()).await? else {
            return Ok(None);
        };
        let round = serde_json::from_slice(&bytes)
            .map_err(|_| StoreError::damaged(Table::Rounds, digest.as_slice()))?;
        Ok(Some(StoredRow { round, bytes }))
    }

    /// The signatures of a round, in no order that means anything.
    pub(super) async fn signatures<C: Curve>(
        &self,
        digest: &B256,
        round: &StoredRound,
    ) -> Result<Vec<(OperatorId, G1Bytes<C>)>, StoreError> {
        let mut signatures = Vec::new();
        let prefix = round.signatures(digest);
        let mut after = None;
        loop {
            let (page, last) = self.page(&prefix, after.as_deref()).await?;
            for key in &page {
                let read = || {
                    let (operator, point) = key.get(prefix.len()..)?.split_first_chunk::<WORD>()?;
                    let point = C::G1::try_from(point).ok()?;
                    Some((OperatorId(operator.into()), G1Bytes(point)))
                };
                let damaged = || StoreError::damaged(Table::Signatures, key);
                signatures.push(read().ok_or_else(damaged)?);
            }
            after = match last {
                Some(last) => Some(last),
                None => return Ok(signatures),
            };
        }
    }

    /// Digests of rounds that are not confirmed, after `after`, in ascending order.
    pub(super) async fn unconfirmed(&self, after: Option<B256>) -> Result<Vec<B256>, StoreError> {
        let prefix = domain_key(&self.domain);
        let after = after.map(|digest| self.digest_key(&digest));
        let rows = self
            .store
            .scan(Table::Unconfirmed, &prefix, after.as_deref(), PAGE)
            .await?;
        rows.iter()
            .map(|(key, _)| {
                let digest = key.get(prefix.len()..).map(B256::try_from);
                (digest.and_then(Result::ok))
                    .ok_or_else(|| StoreError::damaged(Table::Unconfirmed, key))
            })
            .collect()
    }

    /// Makes all of a batch durable, or nothing.
    pub(super) async fn record<C: Curve>(
        &self,
        digest: &B256,
        round: &StoredRound,
        batch: &Batch<'_, C>,
    ) -> Result<Recorded, StoreError> {
        let mut changes = Vec::with_capacity(batch.signatures.len() + 5);
        changes.extend(batch.signatures.iter().map(|(operator, signature)| {
            let key = round.signature(digest, *operator, signature);
            put(Table::Signatures, key, Vec::new())
        }));
        let mut is_beside = false;
        if let Some(certificate) = batch.certificate {
            match self.beside(digest, certificate).await? {
                Beside::Better(change) => changes.extend([change, self.news(digest)]),
                Beside::NoBetter => {}
                Beside::Lesser => is_beside = true,
                Beside::Apart => return Ok(Recorded::Elsewise),
            }
        }
        match batch.row {
            None => {
                changes.push(Change {
                    expected: Expected::Absent,
                    ..put(Table::Rounds, digest.to_vec(), round.encode()?)
                });
                changes.push(put(Table::Unconfirmed, self.digest_key(digest), Vec::new()));
            }
            // What was recorded before is there as long as the round is.
            Some(row) if changes.is_empty() => return self.current(digest, row).await,
            Some(row) => changes.push(Change {
                expected: Expected::Value(row.to_vec()),
                ..put(Table::Rounds, digest.to_vec(), row.to_vec())
            }),
        }
        Ok(match self.write(changes).await? {
            Recorded::Durable if is_beside => Recorded::Beside,
            recorded => recorded,
        })
    }

    /// Whether the store has the round as this row, and this instance may write.
    async fn current(&self, digest: &B256, row: &[u8]) -> Result<Recorded, StoreError> {
        if let Some(fence) = &self.fence
            && self.store.get(fence.table, &fence.key).await? != fence.value
        {
            return Ok(Recorded::NotLeading);
        }
        let stored = self.store.get(Table::Rounds, digest.as_slice()).await?;
        Ok(match stored.is_some_and(|it| it == row) {
            true => Recorded::Durable,
            false => Recorded::Elsewise,
        })
    }

    pub(super) async fn certificate<C: Curve>(
        &self,
        digest: &B256,
    ) -> Result<Option<Certificate<C>>, StoreError> {
        let value = self.store.get(Table::Certificates, digest.as_slice());
        let damaged = |_| StoreError::damaged(Table::Certificates, digest.as_slice());
        (value.await?)
            .map(|value| serde_json::from_slice(&value).map_err(damaged))
            .transpose()
    }

    /// What a certificate is beside the one that is stored. Only one that covers more takes its place,
    /// and only if it is still there then.
    async fn beside<C: Curve>(
        &self,
        digest: &B256,
        certificate: &Certificate<C>,
    ) -> Result<Beside, StoreError> {
        let table = Table::Certificates;
        let expected = match self.store.get(table, digest.as_slice()).await? {
            None => Expected::Absent,
            Some(value) => {
                let stored = serde_json::from_slice(&value)
                    .map_err(|_| StoreError::damaged(table, digest.as_slice()))?;
                match compare(certificate, &stored) {
                    Compared::CoversMore => Expected::Value(value),
                    Compared::CoversNoMore => return Ok(Beside::NoBetter),
                    Compared::Lesser => return Ok(Beside::Lesser),
                    Compared::Apart => return Ok(Beside::Apart),
                }
            }
        };
        let value = serde_json::to_vec(certificate).map_err(StoreError::backend)?;
        Ok(Beside::Better(Change {
            expected,
            ..put(table, digest.to_vec(), value)
        }))
    }

    /// Keeps a round as closed. Its signatures have done what they were for, if the certificate has
    /// them.
    pub(super) async fn close<C: Curve>(
        &self,
        digest: &B256,
        row: &[u8],
        round: &StoredRound,
        closing: Closing,
    ) -> Result<Recorded, StoreError> {
        let mut changes = vec![
            Change {
                expected: Expected::Value(row.to_vec()),
                ..put(Table::Rounds, digest.to_vec(), round.encode()?)
            },
            remove(Table::Unconfirmed, self.digest_key(digest)),
            self.news(digest),
        ];
        changes.extend(self.aging(Kept::Round, digest, round));
        changes.extend(
            (closing.look_again).map(|height| self.height(Kept::Confirmation, height, digest)),
        );
        match self.write(changes).await? {
            Recorded::Durable if closing.is_covered => self.settle::<C>(digest, round).await,
            recorded => Ok(recorded),
        }
    }

    /// Makes a closed round of a certificate that has none.
    pub(super) async fn adopt(
        &self,
        digest: &B256,
        round: &StoredRound,
    ) -> Result<Recorded, StoreError> {
        let mut changes = vec![Change {
            expected: Expected::Absent,
            ..put(Table::Rounds, digest.to_vec(), round.encode()?)
        }];
        changes.extend(self.aging(Kept::Round, digest, round));
        self.write(changes).await
    }

    /// Has an open round go on as it is in `to`, with all its signatures.
    pub(super) async fn replace(
        &self,
        digest: &B256,
        row: &[u8],
        to: &StoredRow,
    ) -> Result<Recorded, StoreError> {
        let change = Change {
            expected: Expected::Value(row.to_vec()),
            ..put(Table::Rounds, digest.to_vec(), to.bytes.clone())
        };
        self.write(vec![change]).await
    }

    /// Removes a round that is leaving, with its signatures. What a crash leaves of it is found again: the
    /// row itself goes last.
    pub(super) async fn forget(
        &self,
        digest: &B256,
        leaving: &StoredRow,
    ) -> Result<Recorded, StoreError> {
        let prefix = leaving.round.signatures(digest);
        match self.remove_signatures(&prefix, &BTreeSet::new()).await? {
            Recorded::Durable => {}
            other => return Ok(other),
        }
        let gone = Change {
            expected: Expected::Value(leaving.bytes.clone()),
            ..remove(Table::Rounds, digest.to_vec())
        };
        let unconfirmed = remove(Table::Unconfirmed, self.digest_key(digest));
        self.write(vec![gone, unconfirmed]).await
    }

    /// Removes what is left of the signatures of a closed round, but for those that its certificate lacks: a
    /// late one is acknowledged before it is in a certificate.
    pub(super) async fn settle<C: Curve>(
        &self,
        digest: &B256,
        round: &StoredRound,
    ) -> Result<Recorded, StoreError> {
        let certificate = self.certificate::<C>(digest).await?;
        let absent = certificate.map_or_else(Vec::new, |it| it.non_signers);
        let absent = absent.into_iter().map(|it| it.id).collect();
        let prefix = round.signatures(digest);
        self.remove_signatures(&prefix, &absent).await
    }

    /// Removes signatures whose keys begin with `prefix`; those of `kept` stay, if it ends before the operator.
    async fn remove_signatures(
        &self,
        prefix: &[u8],
        kept: &BTreeSet<OperatorId>,
    ) -> Result<Recorded, StoreError> {
        let is_kept = |key: &Vec<u8>| {
            let operator = key.get(prefix.len()..).and_then(<[u8]>::first_chunk);
            operator.is_some_and(|it: &[u8; WORD]| kept.contains(&OperatorId(it.into())))
        };
        let mut after = None;
        loop {
            let (mut page, last) = self.page(prefix, after.as_deref()).await?;
            let Some(last) = last else {
                return Ok(Recorded::Durable);
            };
            after = Some(last);
            page.retain(|key| !is_kept(key));
            if page.is_empty() {
                continue;
            }
            let signatures = page.into_iter().map(|key| remove(Table::Signatures, key));
            match self.write(signatures.collect()).await? {
                Recorded::Durable => {}
                other => return Ok(other),
            }
        }
    }

    /// Keys of signatures, and the last of them.
    async fn page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> Result<(Vec<Vec<u8>>, Option<Vec<u8>>), StoreError> {
        let rows = self
            .store
            .scan(Table::Signatures, prefix, after, PAGE)
            .await?;
        let keys: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
        let last = keys.last().cloned();
        Ok((keys, last))
    }

    /// Makes the changes if this instance leads.
    async fn write(&self, mut changes: Vec<Change>) -> Result<Recorded, StoreError> {
        let looks = changes.iter().filter_map(|change| {
            let look = (change.table == Table::Aging).then(|| self.look(&change.key));
            Some((look.flatten()?, change.value.is_some()))
        });
        let noting = self.watched.noting(looks.collect());
        let fence = changes.len();
        changes.extend(self.fence.clone());
        let written = self.store.write(changes).await?;
        noting.written(written == Written::Applied);
        match written {
            Written::Applied => Ok(Recorded::Durable),
            Written::Conflict { change } if change == fence => Ok(Recorded::NotLeading),
            Written::Conflict { .. } => Ok(Recorded::Elsewise),
        }
    }

    fn digest_key(&self, digest: &B256) -> Vec<u8> {
        [domain_key(&self.domain).as_slice(), digest.as_slice()].concat()
    }
}

const fn put(table: Table, key: Vec<u8>, value: Vec<u8>) -> Change {
    Change {
        table,
        key,
        expected: Expected::Anything,
        value: Some(value),
    }
}

fn remove(table: Table, key: Vec<u8>) -> Change {
    Change {
        value: None,
        ..put(table, key, Vec::new())
    }
}

/// What a row of the aggregator's tables is about.
pub(crate) fn record(table: Table, key: &[u8]) -> Option<String> {
    let digest = match table {
        Table::Leader => return Some("which instance leads".to_owned()),
        Table::Unconfirmed | Table::Aging | Table::Untold => key.last_chunk::<WORD>()?,
        _ => key.first_chunk::<WORD>()?,
    };
    let digest = B256::from(digest);
    match table {
        Table::Signatures => {
            let operator = key.get(WORD + 8..)?.first_chunk::<WORD>()?;
            Some(format!(
                "the signature of statement {digest} by operator {}",
                B256::from(operator)
            ))
        }
        Table::Certificates => Some(format!("the certificate of statement {digest}")),
        _ => Some(format!("the round of statement {digest}")),
    }
}
