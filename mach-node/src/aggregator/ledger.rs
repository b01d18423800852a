//! What of the rounds outlives the process.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::B256;
use mach_core::{
    Certificate, Confirmation, Curve, Domain, G1Bytes, OperatorId, Round, Statement,
    ports::Progress,
};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::compared::{Compared, compare};
use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};

/// Rows that are read, or removed, at a time.
const PAGE: usize = 1024;
/// Certificates that are read at a time.
const UNTOLD_PAGE: usize = 64;
/// Bytes of a digest and of an operator's id.
const WORD: usize = 32;

/// Rounds and their signatures in a [`Store`].
///
/// A round is stored with its first signature: opening rounds costs a stranger nothing, so what
/// nobody signed is not kept. A signature is a key, so that none takes the place of another and
/// writing it twice changes nothing: digest, time at which its round was opened (big-endian),
/// operator, point. The time keeps apart the rounds that a statement has one after the other.
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    domain: Domain,
    /// What every write of an instance that is not the only one expects.
    fence: Option<Change>,
}

/// What becomes durable together.
#[derive(Debug)]
pub(super) struct Batch<'a, C: Curve> {
    /// Whether the store does not have the round yet.
    pub(super) is_first: bool,
    pub(super) signatures: &'a [(OperatorId, G1Bytes<C>)],
    pub(super) certificate: Option<&'a Certificate<C>>,
}

/// What grows old. The number stands in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// A closed round with its certificate, which go together: who is late finds what there is, and
    /// begins nothing anew.
    Round = 0,
    /// The certificate of a round that was forgotten.
    Certificate = 1,
}

/// What became of a write.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is durable.
    Durable,
    /// Nothing was written: the store has another round or another certificate of the statement.
    Elsewise,
    /// Nothing was written: another instance leads.
    NotLeading,
}

/// What is to be told of a statement.
#[derive(Debug)]
pub(crate) struct Untold<C: Curve> {
    pub(crate) digest: B256,
    pub(crate) certificate: Option<Certificate<C>>,
    pub(crate) confirmation: Option<Confirmation>,
    /// Says what was told.
    pub(crate) mark: Vec<u8>,
}

/// What a new certificate is beside the stored one.
enum Beside {
    /// It takes its place.
    Better(Change),
    /// The stored one covers as much.
    NoBetter,
    /// The stored one has signatures that it lacks.
    Apart,
}

/// A round as it is stored, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredRound {
    pub(super) statement: Statement,
    pub(super) terms: Round,
    pub(super) opened_at: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) confirmation: Option<Confirmation>,
    /// Of a round that is not brought to L1: how many had signed when it had its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) certified: Option<u64>,
}

impl StoredRound {
    /// What the round has come to, if all that is to come is a better certificate.
    pub(super) const fn closed(&self) -> Option<Progress> {
        match (self.confirmation, self.certified) {
            (Some(confirmation), _) => Some(Progress::Confirmed(confirmation)),
            (None, Some(signers)) => Some(Progress::Reached { signers }),
            (None, None) => None,
        }
    }

    /// Whether L1 at this height is too far past the round.
    pub(super) fn is_over(&self, head: u64, blocks: u32) -> bool {
        let reference_block = u64::from(self.terms.reference_block());
        self.closed().is_none() && head.saturating_sub(reference_block) > u64::from(blocks)
    }

    /// L1 block from which on what is kept of it grows old; `None` for what is kept for ever.
    pub(super) const fn aged_from(&self) -> Option<u64> {
        match (&self.statement, &self.confirmation) {
            (Statement::Alert(_), _) => None,
            (_, Some(confirmation)) => Some(confirmation.l1_block),
            (_, None) => Some(self.terms.reference_block() as u64),
        }
    }

    /// Whether these are two copies of one round.
    fn is_same(&self, other: &Self) -> bool {
        self.opened_at == other.opened_at && self.terms == other.terms
    }

    fn signature<C: Curve>(
        &self,
        digest: &B256,
        operator: OperatorId,
        signature: &G1Bytes<C>,
    ) -> Vec<u8> {
        let mut key = self.signatures(digest);
        key.extend(operator.0);
        key.extend(signature.0.as_ref());
        key
    }

    /// What the keys of its signatures begin with.
    fn signatures(&self, digest: &B256) -> Vec<u8> {
        [digest.as_slice(), &self.opened_at.0.to_be_bytes()].concat()
    }
}

/// Seconds since 1970. It tells rounds of one statement apart and nothing else: clocks jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UnixTime(u64);

impl UnixTime {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.unwrap_or_default().as_secs())
    }
}

impl Ledger {
    pub(super) fn new(store: Arc<dyn Store>, domain: Domain, fence: Option<Change>) -> Self {
        Self {
            store,
            domain,
            fence,
        }
    }

    pub(super) async fn round(&self, digest: &B256) -> Result<Option<StoredRound>, StoreError> {
        let row = self.row(digest).await?;
        Ok(row.map(|(round, _)| round))
    }

    /// A round with the bytes that it is stored as.
    async fn row(&self, digest: &B256) -> Result<Option<(StoredRound, Vec<u8>)>, StoreError> {
        let Some(value) = self.store.get(Table::Rounds, digest.as_slice()).await? else {
            return Ok(None);
        };
        let round = serde_json::from_slice(&value)
            .map_err(|_| StoreError::damaged(Table::Rounds, digest.as_slice()))?;
        Ok(Some((round, value)))
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
            let page = self.page(&prefix, after.as_deref()).await?;
            for key in &page {
                let read = || {
                    let (operator, point) = key.get(prefix.len()..)?.split_first_chunk::<WORD>()?;
                    let point = C::G1::try_from(point).ok()?;
                    Some((OperatorId(operator.into()), G1Bytes(point)))
                };
                let damaged = || StoreError::damaged(Table::Signatures, key);
                signatures.push(read().ok_or_else(damaged)?);
            }
            after = match page.into_iter().next_back() {
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
        let mut changes = Vec::with_capacity(batch.signatures.len() + 3);
        if batch.is_first {
            changes.push(Change {
                expected: Expected::Absent,
                ..put(Table::Rounds, digest.to_vec(), encode(round)?)
            });
            changes.push(put(Table::Unconfirmed, self.digest_key(digest), Vec::new()));
        }
        changes.extend(batch.signatures.iter().map(|(operator, signature)| {
            let key = round.signature(digest, *operator, signature);
            put(Table::Signatures, key, Vec::new())
        }));
        if let Some(certificate) = batch.certificate {
            match self.beside(digest, certificate).await? {
                Beside::Better(change) => changes.extend([change, self.news(digest)]),
                Beside::NoBetter => {}
                Beside::Apart => return Ok(Recorded::Elsewise),
            }
        }
        if changes.is_empty() {
            return Ok(Recorded::Durable);
        }
        self.write(changes).await
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

    /// Keeps a round as closed. Its signatures have done what they were for.
    pub(super) async fn close(
        &self,
        digest: &B256,
        round: &StoredRound,
    ) -> Result<Recorded, StoreError> {
        let closed = put(Table::Rounds, digest.to_vec(), encode(round)?);
        let unconfirmed = remove(Table::Unconfirmed, self.digest_key(digest));
        let mut changes = vec![closed, unconfirmed, self.news(digest)];
        changes.extend(self.aging(Kept::Round, digest, round));
        match self.write(changes).await? {
            Recorded::Durable => self.remove_signatures(digest, round).await,
            other => Ok(other),
        }
    }

    /// Removes a round with its signatures, whichever part of it is there.
    pub(super) async fn forget(
        &self,
        digest: &B256,
        round: &StoredRound,
    ) -> Result<Recorded, StoreError> {
        // The round itself goes last, so that what a crash leaves is found again.
        let removed = self.remove_signatures(digest, round).await?;
        let row = self.row(digest).await?;
        let Some((_, value)) = row.filter(|(stored, _)| stored.is_same(round)) else {
            // The statement has another round by now.
            return Ok(removed);
        };
        let removed_row = Change {
            expected: Expected::Value(value),
            ..remove(Table::Rounds, digest.to_vec())
        };
        let unconfirmed = remove(Table::Unconfirmed, self.digest_key(digest));
        let mut changes = vec![removed_row, unconfirmed];
        // It may have a certificate that L1 never took.
        changes.extend(self.aging(Kept::Certificate, digest, round));
        self.write(changes).await
    }

    /// Removes what has aged since `before` or longer, so many statements at most. Gives which.
    pub(super) async fn prune(&self, kept: Kept, before: u64) -> Result<Vec<B256>, StoreError> {
        let prefix = self.aging_prefix(kept);
        let rows = self.store.scan(Table::Aging, &prefix, None, PAGE).await?;
        let mut removed = Vec::new();
        let mut changes = Vec::new();
        for (key, _) in rows {
            let damaged = || StoreError::damaged(Table::Aging, &key);
            let rest = key.get(prefix.len()..).ok_or_else(damaged)?;
            let (since, digest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
            let digest = B256::try_from(digest).map_err(|_| damaged())?;
            if u64::from_be_bytes(*since) >= before {
                break;
            }
            // A certificate whose statement has another round by now goes with that one.
            if kept == Kept::Round || self.row(&digest).await?.is_none() {
                changes.extend([
                    remove(Table::Rounds, digest.to_vec()),
                    remove(Table::Certificates, digest.to_vec()),
                    remove(Table::Untold, self.digest_key(&digest)),
                ]);
            }
            changes.push(remove(Table::Aging, key));
            removed.push(digest);
        }
        if changes.is_empty() {
            return Ok(removed);
        }
        match self.write(changes).await? {
            Recorded::Durable => Ok(removed),
            // Who leads prunes.
            Recorded::Elsewise | Recorded::NotLeading => Ok(Vec::new()),
        }
    }

    /// The row that says since when something of a round is growing old.
    fn aging(&self, kept: Kept, digest: &B256, round: &StoredRound) -> Option<Change> {
        let since = round.aged_from()?.to_be_bytes();
        let prefix = self.aging_prefix(kept);
        let key = [prefix.as_slice(), &since, digest.as_slice()].concat();
        Some(put(Table::Aging, key, Vec::new()))
    }

    fn aging_prefix(&self, kept: Kept) -> Vec<u8> {
        [domain_key(&self.domain).as_slice(), &[kept as u8]].concat()
    }

    async fn remove_signatures(
        &self,
        digest: &B256,
        round: &StoredRound,
    ) -> Result<Recorded, StoreError> {
        let prefix = round.signatures(digest);
        loop {
            let page = self.page(&prefix, None).await?;
            if page.is_empty() {
                return Ok(Recorded::Durable);
            }
            let signatures = page.into_iter().map(|key| remove(Table::Signatures, key));
            match self.write(signatures.collect()).await? {
                Recorded::Durable => {}
                other => return Ok(other),
            }
        }
    }

    /// Keys of signatures.
    async fn page(&self, prefix: &[u8], after: Option<&[u8]>) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = self
            .store
            .scan(Table::Signatures, prefix, after, PAGE)
            .await?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    /// That there is something to tell of a statement. No two are the same, so that what is taken
    /// back is what was told.
    fn news(&self, digest: &B256) -> Change {
        let mut mark = [0; 16];
        rand::rng().fill_bytes(&mut mark);
        put(Table::Untold, self.digest_key(digest), mark.to_vec())
    }

    /// Statements of which there is something to tell, after `after`, in the order of their digests.
    pub(super) async fn untold<C: Curve>(
        &self,
        after: Option<B256>,
    ) -> Result<Vec<Untold<C>>, StoreError> {
        let prefix = domain_key(&self.domain);
        let after = after.map(|digest| self.digest_key(&digest));
        let rows = self
            .store
            .scan(Table::Untold, &prefix, after.as_deref(), UNTOLD_PAGE)
            .await?;
        let mut untold = Vec::with_capacity(rows.len());
        for (key, mark) in rows {
            let digest = key.get(prefix.len()..).map(B256::try_from);
            let digest = digest.and_then(Result::ok);
            let digest = digest.ok_or_else(|| StoreError::damaged(Table::Untold, &key))?;
            let round = self.round(&digest).await?;
            untold.push(Untold {
                digest,
                certificate: self.certificate(&digest).await?,
                confirmation: round.and_then(|it| it.confirmation),
                mark,
            });
        }
        Ok(untold)
    }

    /// Takes that all of it was told. What is new since stays.
    pub(super) async fn told<C: Curve>(&self, untold: &[Untold<C>]) -> Result<(), StoreError> {
        let changes = untold.iter().map(|it| Change {
            expected: Expected::Value(it.mark.clone()),
            ..remove(Table::Untold, self.digest_key(&it.digest))
        });
        if self.store.write(changes.clone().collect()).await? == Written::Applied {
            return Ok(());
        }
        for change in changes {
            let _ = self.store.write(vec![change]).await?;
        }
        Ok(())
    }

    /// Makes the changes if this instance leads.
    async fn write(&self, mut changes: Vec<Change>) -> Result<Recorded, StoreError> {
        let fence = changes.len();
        changes.extend(self.fence.clone());
        match self.store.write(changes).await? {
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

fn encode(round: &StoredRound) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(round).map_err(StoreError::backend)
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
