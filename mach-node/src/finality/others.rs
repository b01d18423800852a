//! The index among others on one store.
//!
//! Every change of a statement has a number, and a row that says which statement it was. Who writes
//! expects the number that it knows: where another was faster, it takes in what that one wrote and looks
//! again. So all of them have the same statements, whichever of them was told.

use std::collections::BTreeSet;

use alloy_primitives::{B256, ChainId};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    FinalityError, FinalityIndex,
    index::{Writer, take},
    rollup::{Known, Statement},
    rows,
    view::FinalityEvent,
};
use crate::store::{Change, Written};

impl FinalityIndex {
    /// Takes in what other instances write to the same store, until `shutdown`. Of one that is the
    /// only one there is nothing to take in.
    pub async fn watch_others(&self, shutdown: CancellationToken) {
        let Some(pause) = self.0.config.shared else {
            return;
        };
        let watching = async {
            loop {
                tokio::time::sleep(pause).await;
                let mut writer = self.0.writer.lock().await;
                if let Err(error) = self.catch_up_with_others(&mut writer).await {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "what other instances did is not known"
                    );
                }
            }
        };
        shutdown.run_until_cancelled(watching).await;
    }

    /// Makes a statement durable, with what else is to be written. Answers `false` if another instance
    /// wrote something before, which is taken in then: what is to be said may be another thing now.
    pub(super) async fn record(
        &self,
        writer: &mut Writer,
        statement: &Statement,
        more: Option<Change>,
    ) -> Result<bool, FinalityError> {
        let mut changes = vec![rows::put_statement(statement)?];
        changes.extend(more);
        let is_shared = self.0.config.shared.is_some();
        if is_shared {
            changes.extend(rows::count_change(writer.changes, statement));
        }
        match self.0.store.write(changes).await? {
            Written::Applied => {
                writer.changes += u64::from(is_shared);
                Ok(true)
            }
            Written::Conflict { .. } => {
                self.catch_up_with_others(writer).await?;
                Ok(false)
            }
        }
    }

    async fn catch_up_with_others(&self, writer: &mut Writer) -> Result<(), FinalityError> {
        let store = &*self.0.store;
        let changes = rows::changes(store).await?;
        if changes == writer.changes {
            return Ok(());
        }
        let changed = match rows::changed(store, writer.changes, changes).await? {
            Some(changed) => changed,
            // Too many to be on record.
            None => self.all().await?,
        };
        for (rollup, digest) in changed {
            if let Some(statement) = rows::statement(store, rollup, &digest).await? {
                self.take_over(statement);
            }
        }
        writer.changes = changes;
        Ok(())
    }

    async fn all(&self) -> Result<BTreeSet<(ChainId, B256)>, FinalityError> {
        let mut all = BTreeSet::new();
        for rollup in &self.0.config.rollups {
            let statements = rows::statements(&*self.0.store, *rollup).await?;
            all.extend(statements.iter().map(|it| (*rollup, it.digest())));
        }
        Ok(all)
    }

    /// Takes a statement as another instance wrote it, and tells what is new about it.
    fn take_over(&self, statement: Statement) {
        let (rollup, digest) = (statement.rollup(), statement.digest());
        let (known_stake, was_confirmed, was_resolved) = self
            .find(&digest, |known| {
                Some(match known {
                    Known::Attestation(it) => {
                        (Some(it.stake.clone()), it.confirmation.is_some(), false)
                    }
                    Known::Alert(it) => (
                        Some(it.stake.clone()),
                        it.confirmation.is_some(),
                        it.is_resolved,
                    ),
                })
            })
            .unwrap_or((None, false, false));
        let (stake, confirmation, is_resolved, event) = match &statement {
            Statement::Attestation(it) => {
                let event = FinalityEvent::Attested(it.clone());
                (&it.stake, it.confirmation, false, event)
            }
            Statement::Alert(it) => {
                let event = FinalityEvent::Alerted(it.clone());
                (&it.stake, it.confirmation, it.is_resolved, event)
            }
        };
        let block = statement.block();
        let mut events = Vec::new();
        if known_stake.as_ref() != Some(stake) || (was_resolved && !is_resolved) {
            events.push(event);
        }
        let is_alert = matches!(statement, Statement::Alert(_));
        match confirmation {
            Some(confirmation) if !was_confirmed => events.push(FinalityEvent::Confirmed {
                rollup,
                digest,
                block,
                is_alert,
                confirmation,
            }),
            None if was_confirmed => events.push(FinalityEvent::Unconfirmed {
                rollup,
                digest,
                block,
                is_alert,
            }),
            _ => {}
        }
        if is_resolved && !was_resolved {
            events.push(FinalityEvent::Resolved {
                rollup,
                digest,
                block,
            });
        }
        self.tell(rollup, events, |rollup| take(rollup, statement));
    }
}
