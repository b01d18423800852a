//! Tasks as they are stored.

use std::sync::Arc;

use alloy_primitives::{B256, TxHash};
use mach_core::{G1Bytes, OperatorId, Round};
use serde::{Deserialize, Serialize};

use super::Deployment;
use crate::store::{Change, Expected, Store, StoreError, Table, Written};

/// Rows that are read at a time.
const PAGE: usize = 1024;
/// Bytes of what the rows of a deployment begin with.
const PREFIX: usize = 28;

/// What a row has. The number stands in keys.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// The number of the next task.
    Next = 0,
    Task = 1,
    Signature = 2,
}

/// A task as it is stored, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredTask {
    /// Given once, whatever becomes of the task.
    pub(super) index: u32,
    pub(super) round: Round,
    /// Whether an operator has signed it; of a row that does not say so, one may have.
    #[serde(default = "unless_said")]
    pub(super) is_signed: bool,
    /// The transaction that brought the alert to L1, once it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) finished: Option<TxHash>,
}

const fn unless_said() -> bool {
    true
}

impl StoredTask {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(StoreError::backend)
    }
}

/// The tasks of a deployment in a store, and the signatures of those that are not finished.
pub(super) struct TaskRows {
    store: Arc<dyn Store>,
    prefix: [u8; PREFIX],
}

impl TaskRows {
    pub(super) fn new(store: Arc<dyn Store>, deployment: &Deployment) -> Self {
        let mut prefix = [0; PREFIX];
        let (chains, coordinator) = prefix.split_at_mut(8);
        let (l1, l2) = chains.split_at_mut(4);
        l1.copy_from_slice(&deployment.layer1_chain_id.to_be_bytes());
        l2.copy_from_slice(&deployment.layer2_chain_id.to_be_bytes());
        coordinator.copy_from_slice(deployment.registry_coordinator.as_slice());
        Self { store, prefix }
    }

    pub(super) async fn task(&self, alert_hash: &B256) -> Result<Option<StoredTask>, StoreError> {
        let row = self.row(alert_hash).await?;
        Ok(row.map(|(task, _)| task))
    }

    /// Hashes of stored tasks after `after`, in their order.
    pub(super) async fn hashes(&self, after: Option<B256>) -> Result<Vec<B256>, StoreError> {
        let prefix = self.key(Kept::Task, &[]);
        let after = after.map(|hash| self.key(Kept::Task, hash.as_slice()));
        let rows = self
            .store
            .scan(Table::Tasks, &prefix, after.as_deref(), PAGE);
        let hashes = rows.await?.into_iter().map(|(key, _)| {
            let hash = key.get(prefix.len()..).map(B256::try_from);
            let hash = hash.and_then(Result::ok);
            hash.ok_or_else(|| StoreError::damaged(Table::Tasks, &key))
        });
        hashes.collect()
    }

    /// Makes a task of an alert that has none, with a number that no other has or had. `None` if somebody was
    /// faster.
    pub(super) async fn add(
        &self,
        alert_hash: &B256,
        round: &Round,
    ) -> Result<Option<StoredTask>, StoreError> {
        let next_key = self.key(Kept::Next, &[]);
        loop {
            let before = self.store.get(Table::Tasks, &next_key).await?;
            let index = match before.as_deref().map(<[u8; 4]>::try_from) {
                None => 0,
                Some(Ok(index)) => u32::from_be_bytes(index),
                Some(Err(_)) => return Err(StoreError::damaged(Table::Tasks, &next_key)),
            };
            let next = index.checked_add(1);
            let next = next.ok_or_else(|| StoreError::backend("every number is given"))?;
            let task = StoredTask {
                index,
                round: round.clone(),
                is_signed: false,
                finished: None,
            };
            let changes = vec![
                Change {
                    table: Table::Tasks,
                    key: self.key(Kept::Task, alert_hash.as_slice()),
                    expected: Expected::Absent,
                    value: Some(task.encode()?),
                },
                Change {
                    table: Table::Tasks,
                    key: next_key.clone(),
                    expected: before.map_or(Expected::Absent, Expected::Value),
                    value: Some(next.to_be_bytes().to_vec()),
                },
            ];
            match self.store.write(changes).await? {
                Written::Applied => return Ok(Some(task)),
                Written::Conflict { change: 0 } => return Ok(None),
                // The number went to another alert.
                Written::Conflict { .. } => {}
            }
        }
    }

    /// Adds a signature to a task that is not finished; `false` if it is, or is not there any more.
    pub(super) async fn sign(
        &self,
        alert_hash: &B256,
        index: u32,
        operator: OperatorId,
        signature: &G1Bytes,
    ) -> Result<bool, StoreError> {
        let mut key = self.signatures_key(alert_hash, index);
        key.extend(operator.0);
        while let Some((task, row)) = self.open(alert_hash, index).await? {
            let signed = StoredTask {
                is_signed: true,
                ..task
            };
            let changes = vec![
                Change {
                    table: Table::Tasks,
                    key: self.key(Kept::Task, alert_hash.as_slice()),
                    expected: Expected::Value(row),
                    value: Some(signed.encode()?),
                },
                Change {
                    table: Table::Tasks,
                    key: key.clone(),
                    expected: Expected::Anything,
                    value: Some(signature.0.to_vec()),
                },
            ];
            // If not, somebody else was the first to sign, or the task has gone.
            if self.store.write(changes).await? == Written::Applied {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All signatures of a task, one of each operator.
    pub(super) async fn signatures(
        &self,
        alert_hash: &B256,
        index: u32,
    ) -> Result<Vec<(OperatorId, G1Bytes)>, StoreError> {
        let prefix = self.signatures_key(alert_hash, index);
        let rows = self.store.scan(Table::Tasks, &prefix, None, usize::MAX);
        let signatures = rows.await?.into_iter().map(|(key, value)| {
            let damaged = || StoreError::damaged(Table::Tasks, &key);
            let operator = key.get(prefix.len()..).map(B256::try_from);
            let operator = operator.and_then(Result::ok).ok_or_else(damaged)?;
            let signature: [u8; 64] = value.as_slice().try_into().map_err(|_| damaged())?;
            Ok((OperatorId(operator), G1Bytes(signature.into())))
        });
        signatures.collect()
    }

    /// Takes that the alert of a task stands on L1.
    pub(super) async fn finish(
        &self,
        alert_hash: &B256,
        index: u32,
        transaction: TxHash,
    ) -> Result<(), StoreError> {
        while let Some((task, row)) = self.open(alert_hash, index).await? {
            let finished = StoredTask {
                finished: Some(transaction),
                ..task
            };
            let value = Some(finished.encode()?);
            if self.close(alert_hash, index, row, value).await? {
                break;
            }
        }
        Ok(())
    }

    /// Removes what there is of a task; `false` if that may only be while nobody has signed it, and somebody has.
    pub(super) async fn remove(
        &self,
        alert_hash: &B256,
        index: u32,
        is_junk: bool,
    ) -> Result<bool, StoreError> {
        while let Some((task, row)) = self.row(alert_hash).await? {
            if task.index != index {
                break;
            }
            if is_junk && task.is_signed {
                return Ok(false);
            }
            if self.close(alert_hash, index, row, None).await? {
                break;
            }
        }
        Ok(true)
    }

    /// Makes a row one that takes no signatures, or none, and removes those that it has. Answers `false` if the row
    /// was changed meanwhile; nothing is done then.
    async fn close(
        &self,
        alert_hash: &B256,
        index: u32,
        row: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> Result<bool, StoreError> {
        let prefix = self.signatures_key(alert_hash, index);
        let mut change = Some(Change {
            table: Table::Tasks,
            key: self.key(Kept::Task, alert_hash.as_slice()),
            expected: Expected::Value(row),
            value,
        });
        loop {
            let rows = self.store.scan(Table::Tasks, &prefix, None, PAGE).await?;
            // One may come until the change is made, and none after it.
            if change.is_none() && rows.is_empty() {
                return Ok(true);
            }
            let removals = rows.into_iter().map(|(key, _)| Change {
                table: Table::Tasks,
                key,
                expected: Expected::Anything,
                value: None,
            });
            let changes = change.take().into_iter().chain(removals).collect();
            if self.store.write(changes).await? != Written::Applied {
                return Ok(false);
            }
        }
    }

    /// The row of a task that takes signatures.
    async fn open(
        &self,
        alert_hash: &B256,
        index: u32,
    ) -> Result<Option<(StoredTask, Vec<u8>)>, StoreError> {
        let row = self.row(alert_hash).await?;
        Ok(row.filter(|(task, _)| task.index == index && task.finished.is_none()))
    }

    async fn row(&self, alert_hash: &B256) -> Result<Option<(StoredTask, Vec<u8>)>, StoreError> {
        let key = self.key(Kept::Task, alert_hash.as_slice());
        let Some(bytes) = self.store.get(Table::Tasks, &key).await? else {
            return Ok(None);
        };
        let task = serde_json::from_slice(&bytes);
        let task = task.map_err(|_| StoreError::damaged(Table::Tasks, &key))?;
        Ok(Some((task, bytes)))
    }

    fn signatures_key(&self, alert_hash: &B256, index: u32) -> Vec<u8> {
        let mut key = self.key(Kept::Signature, alert_hash.as_slice());
        key.extend(index.to_be_bytes());
        key
    }

    fn key(&self, kept: Kept, rest: &[u8]) -> Vec<u8> {
        [self.prefix.as_slice(), &[kept as u8], rest].concat()
    }
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let (kept, rest) = key.get(PREFIX..)?.split_first()?;
    if *kept == Kept::Next as u8 {
        return Some("the number of the original's next task".to_owned());
    }
    let alert_hash = B256::from(rest.first_chunk::<32>()?);
    Some(match rest.get(36..).map(B256::try_from) {
        Some(Ok(operator)) => {
            format!("the signature of alert {alert_hash} by operator {operator}")
        }
        _ => format!("the task of alert {alert_hash}"),
    })
}
