//! The cases in the store: a row for each, its proof and its way behind it.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use mach_core::Domain;
use mach_prove::Proof;

use super::{Case, Descent, Stage};
use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};

/// Rows that are read at a time.
const PAGE: usize = 256;
/// Where the proof of a case is kept: behind its key.
const PROOF: u8 = 1;
/// Where the headers are kept that lead to its block.
const DESCENT: u8 = 2;

/// What is kept with a case when it goes on.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) proof: Option<Box<Proof>>,
    pub(super) descent: Option<Box<Descent>>,
}

/// The rows of one contract.
pub(super) struct Rows<S> {
    store: S,
    prefix: Vec<u8>,
}

impl<S: Store> Rows<S> {
    pub(super) fn new(store: S, domain: &Domain) -> Self {
        let prefix = domain_key(domain);
        Self { store, prefix }
    }

    /// All cases.
    pub(super) async fn load(&self) -> Result<BTreeMap<B256, Case>, StoreError> {
        let mut cases = BTreeMap::new();
        let mut after = None::<Vec<u8>>;
        loop {
            let rows = self
                .store
                .scan(Table::Zk, &self.prefix, after.as_deref(), PAGE)
                .await?;
            for (key, value) in &rows {
                let damaged = || StoreError::damaged(Table::Zk, key);
                let (digest, rest) = (key.get(self.prefix.len()..))
                    .and_then(|rest| rest.split_first_chunk::<32>())
                    .ok_or_else(damaged)?;
                if rest.is_empty() {
                    let case: Case = serde_json::from_slice(value).map_err(|_| damaged())?;
                    cases.insert(B256::new(*digest), case);
                }
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(cases),
            }
        }
    }

    /// Makes a case durable with what is kept with it. One that is over needs nothing of that any more, but the proof by
    /// which it convicts what is proposed again.
    pub(super) async fn write(
        &self,
        digest: &B256,
        case: &Case,
        kept: &Kept,
    ) -> Result<(), StoreError> {
        let value = serde_json::to_vec(case).map_err(StoreError::backend)?;
        let mut changes = vec![change(self.key(digest, None), Some(value))];
        if case.stage.needs_proof() {
            if let Some(proof) = &kept.proof {
                changes.push(change(self.key(digest, Some(PROOF)), Some(proof.to_json())));
            }
            if let Some(descent) = &kept.descent {
                let json = serde_json::to_vec(descent).map_err(StoreError::backend)?;
                changes.push(change(self.key(digest, Some(DESCENT)), Some(json)));
            }
        } else {
            let is_done = matches!(case.stage, Stage::Done { .. });
            let removals = self.removals(digest);
            changes.extend(removals.into_iter().skip(usize::from(is_done)));
        }
        self.apply(changes).await
    }

    /// Forgets a case.
    pub(super) async fn remove(&self, digest: &B256) -> Result<(), StoreError> {
        let mut changes = vec![change(self.key(digest, None), None)];
        changes.extend(self.removals(digest));
        self.apply(changes).await
    }

    /// The proof of a case, if there is one that can be read.
    pub(super) async fn proof(&self, digest: &B256) -> Result<Option<Proof>, StoreError> {
        let key = self.key(digest, Some(PROOF));
        let row = self.store.get(Table::Zk, &key).await?;
        Ok(row.and_then(|row| Proof::parse(&row).ok()))
    }

    /// The way from what is accused to its block, if it is kept and can be read.
    pub(super) async fn descent(&self, digest: &B256) -> Result<Option<Descent>, StoreError> {
        let key = self.key(digest, Some(DESCENT));
        let row = self.store.get(Table::Zk, &key).await?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    fn removals(&self, digest: &B256) -> [Change; 2] {
        [PROOF, DESCENT].map(|what| change(self.key(digest, Some(what)), None))
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        match self.store.write(changes).await? {
            Written::Applied => Ok(()),
            Written::Conflict { .. } => Err(StoreError::backend("the store has changed")),
        }
    }

    fn key(&self, digest: &B256, what: Option<u8>) -> Vec<u8> {
        let mut key = [self.prefix.as_slice(), digest.as_slice()].concat();
        key.extend(what);
        key
    }
}

const fn change(key: Vec<u8>, value: Option<Vec<u8>>) -> Change {
    Change {
        table: Table::Zk,
        key,
        expected: Expected::Anything,
        value,
    }
}

/// Takes up what an earlier process gave up for a reason that people may have mended.
pub(super) fn resumed(case: &mut Case) -> bool {
    let Stage::GivenUp { resume, .. } = &mut case.stage else {
        return false;
    };
    let Some(stage) = resume.take() else {
        return false;
    };
    case.stage = *stage;
    case.trouble = None;
    case.ended_at = None;
    true
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let digest: [u8; 32] = key.get(28..60)?.try_into().ok()?;
    let what = match key.get(60) {
        None => "the case of",
        Some(&PROOF) => "proof of",
        Some(_) => "the headers of",
    };
    Some(format!("{what} alert {}", B256::from(digest)))
}

#[cfg(test)]
mod tests {
    use mach_core::{Alert, AlertKind, BlockRef};

    use super::{super::Trouble, *};
    use crate::store::MemoryStore;

    fn case(stage: Stage) -> Case {
        let block = BlockRef {
            number: 3,
            hash: B256::repeat_byte(3),
        };
        let trouble = Trouble {
            since: 5,
            tries: 7,
            prover: 2,
            hangs: 1,
            stage: stage.name().to_owned(),
            reason: "no memory".to_owned(),
        };
        Case {
            alert: Alert {
                kind: AlertKind::InvalidBlock,
                rollup_chain_id: 901,
                block,
                rule: 4,
                claimed: B256::repeat_byte(1),
                computed: B256::repeat_byte(2),
            },
            found_at: 1,
            is_posted: false,
            basis: None,
            ended_at: (!stage.is_open()).then_some(9),
            stage,
            trouble: Some(trouble),
        }
    }

    fn given_up(resume: Option<Stage>) -> Stage {
        Stage::GivenUp {
            reason: "7 tries".to_owned(),
            resume: resume.map(Box::new),
        }
    }

    #[test]
    fn what_people_may_have_mended_is_taken_up_where_it_was() {
        let id = B256::repeat_byte(8);
        for stage in [Stage::Found, Stage::Opened, Stage::Shown { id }] {
            let mut taken_up = case(given_up(Some(stage.clone())));
            assert!(resumed(&mut taken_up));
            // As if nothing had failed before.
            let fresh = Case {
                trouble: None,
                ..case(stage)
            };
            assert_eq!(taken_up, fresh);
        }
    }

    #[test]
    fn what_is_over_or_at_work_is_left_as_it_is() {
        let id = B256::repeat_byte(8);
        for stage in [
            given_up(None),
            Stage::Done { id },
            Stage::Found,
            Stage::Shown { id },
        ] {
            let mut left = case(stage.clone());
            assert!(!resumed(&mut left));
            assert_eq!(left, case(stage));
        }
    }

    /// A row of a process that counted no hangs, and did not know what stands on L1.
    #[test]
    fn a_row_of_an_earlier_version_is_read() {
        let mut row = serde_json::to_value(case(Stage::Found)).unwrap();
        assert!(row["trouble"].as_object_mut().unwrap().remove("hangs") == Some(1.into()));
        assert!(row.as_object_mut().unwrap().remove("isPosted") == Some(false.into()));
        let read: Case = serde_json::from_value(row).unwrap();
        assert_eq!(read.trouble.unwrap().hangs, 0);
    }

    /// Until a case has ended for good its way is kept.
    #[tokio::test]
    async fn what_is_kept_beside_a_case_goes_with_its_end() {
        let domain = Domain {
            l1_chain_id: 900,
            service_manager: Default::default(),
        };
        let rows = Rows::new(MemoryStore::new(), &domain);
        let (id, digest) = (B256::repeat_byte(8), B256::repeat_byte(7));
        let kept = Kept {
            descent: Some(Box::default()),
            proof: None,
        };
        rows.write(&digest, &case(Stage::Opened), &kept)
            .await
            .unwrap();
        let target = super::super::Target::Block {
            hash: id,
            number: 3,
            expected: id,
        };
        for stage in [
            Stage::Convicted { id, target },
            given_up(Some(Stage::Opened)),
        ] {
            rows.write(&digest, &case(stage.clone()), &Kept::default())
                .await
                .unwrap();
            assert!(rows.descent(&digest).await.unwrap().is_some(), "{stage:?}");
            assert_eq!(rows.load().await.unwrap()[&digest].stage, stage);
        }
        let done = case(Stage::Done { id });
        rows.write(&digest, &done, &Kept::default()).await.unwrap();
        assert!(rows.descent(&digest).await.unwrap().is_none());
        rows.remove(&digest).await.unwrap();
        assert!(rows.load().await.unwrap().is_empty());
    }
}
