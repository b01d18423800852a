//! What is to be told of the rounds, to whoever was not there when it happened.

use alloy_primitives::B256;
use mach_core::{Certificate, Confirmation, Curve};
use rand::RngCore;

use super::{Ledger, put, remove};
use crate::store::{Change, Expected, StoreError, Table, Written, domain_key};

/// Certificates that are read at a time.
const PAGE: usize = 64;

/// What is to be told of a statement.
#[derive(Debug)]
pub(crate) struct Untold<C: Curve> {
    pub(crate) digest: B256,
    pub(crate) certificate: Option<Certificate<C>>,
    pub(crate) confirmation: Option<Confirmation>,
    /// L1 block at which the alert was found to be removed there.
    pub(crate) withdrawn: Option<u64>,
    /// Whether L1 had it and has it no more.
    pub(crate) is_lost: bool,
    /// Says what was told.
    pub(crate) mark: Vec<u8>,
}

impl Ledger {
    /// That there is something to tell of a statement. No two are the same, so that what is taken
    /// back is what was told.
    pub(super) fn news(&self, digest: &B256) -> Change {
        let mut mark = [0; 16];
        rand::rng().fill_bytes(&mut mark);
        put(Table::Untold, self.digest_key(digest), mark.to_vec())
    }

    /// Statements of which there is something to tell, after `after`, in the order of their digests.
    pub(in crate::aggregator) async fn untold<C: Curve>(
        &self,
        after: Option<B256>,
    ) -> Result<Vec<Untold<C>>, StoreError> {
        let prefix = domain_key(&self.domain);
        let after = after.map(|digest| self.digest_key(&digest));
        let rows = self
            .store
            .scan(Table::Untold, &prefix, after.as_deref(), PAGE)
            .await?;
        let mut untold = Vec::with_capacity(rows.len());
        for (key, mark) in rows {
            let digest = key.get(prefix.len()..).map(B256::try_from);
            let digest = digest.and_then(Result::ok);
            let digest = digest.ok_or_else(|| StoreError::damaged(Table::Untold, &key))?;
            let round = self.row(&digest).await?.map(|it| it.round);
            untold.push(Untold {
                digest,
                certificate: self.certificate(&digest).await?,
                confirmation: round.as_ref().and_then(|it| it.confirmation),
                withdrawn: round.as_ref().and_then(|it| it.withdrawn),
                is_lost: round.is_some_and(|it| it.is_lost),
                mark,
            });
        }
        Ok(untold)
    }

    /// Takes that all of it was told. What is new since stays.
    pub(in crate::aggregator) async fn told<C: Curve>(
        &self,
        untold: &[Untold<C>],
    ) -> Result<(), StoreError> {
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
}
