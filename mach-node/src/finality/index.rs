//! The index: certificates and chains in.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use alloy_primitives::{B256, ChainId, keccak256};
use mach_bls::verify_self_contained;
use mach_core::{
    Alert, BlockRef, Certificate, CertificateFile, Confirmation, L2Block, Statement as Signed,
};
use tokio::sync::Mutex;

use super::{
    FinalityConfig, FinalityError,
    hub::Hub,
    links::Place,
    rollup::{Known, Rollup, Statement, confirmed, unconfirmed},
    rows,
    view::{AlertView, AttestationView, FinalityEvent, RollupView, StakeShare},
};
use crate::store::{Change, Store, Written};

/// Transactions of one block that can be asked for.
const MAX_TRANSACTIONS: usize = 1 << 16;
/// Blocks, and statements, that are removed at a time.
const MAX_REMOVED: usize = 64;

/// What became of the blocks of some rollups: seen, attested, confirmed, alerted. Clones share it.
///
/// What it was told is on the disk before it is told to others, and is there again after a restart.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a port")]
pub struct FinalityIndex(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) config: FinalityConfig,
    pub(super) store: Arc<dyn Store>,
    rollups: RwLock<BTreeMap<ChainId, Rollup>>,
    /// Held by whoever changes something, from the store to the events.
    pub(super) writer: Mutex<Writer>,
    pub(super) hub: Hub,
}

/// What whoever changes something knows.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Changes of statements in the store that are known here, where others make some, too.
    pub(super) changes: u64,
}

/// What became of a block of the rollup's node.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was known.
    Known,
    /// It is the newest one now.
    Taken,
    /// Its parent is not known: the index needs that first.
    Unlinked,
}

impl FinalityIndex {
    /// The index with what `store` has of it.
    ///
    /// Errors: [`FinalityError::Store`].
    pub async fn open(
        store: impl Store + 'static,
        config: FinalityConfig,
    ) -> Result<Self, FinalityError> {
        let store: Arc<dyn Store> = Arc::new(store);
        // What comes while the rows are read is read once more.
        let changes = match config.shared {
            Some(_) => rows::changes(&*store).await?,
            None => 0,
        };
        let mut rollups = BTreeMap::new();
        for chain_id in &config.rollups {
            let mut rollup = Rollup::new(*chain_id);
            for (block, parent) in rows::blocks(&*store, *chain_id).await? {
                // Rows are written and removed at the ends only, but the disk may have been full when
                // one was to be removed, and another process may have written some.
                let is_next =
                    |head: BlockRef| head.number + 1 == block.number && head.hash == parent;
                while rollup.links.head().is_some_and(|head| !is_next(head)) {
                    if let Some(first) = rollup.links.first() {
                        let stale = rows::remove_block(&*store, *chain_id, first.number, &[]);
                        let _ = store.write(stale.await?).await?;
                    }
                    rollup.links.drop_first();
                }
                rollup.links.put(block);
            }
            for statement in rows::statements(&*store, *chain_id).await? {
                take(&mut rollup, statement);
            }
            rollups.insert(*chain_id, rollup);
        }
        Ok(Self(Arc::new(Shared {
            config,
            store,
            rollups: RwLock::new(rollups),
            writer: Mutex::new(Writer { changes }),
            hub: Hub::new(),
        })))
    }

    // ------------------------------------------------------------------ what comes in

    /// Takes a certificate that the aggregator made. One with more stake takes the place of an
    /// earlier one.
    ///
    /// Checks what it proves by itself; that its operators are those of L1 is for whoever made it.
    ///
    /// Errors: [`FinalityError`].
    pub async fn certified(&self, certificate: &Certificate) -> Result<(), FinalityError> {
        if certificate.domain != self.0.config.domain {
            return Err(FinalityError::OtherDomain);
        }
        let digest = certificate.digest();
        let rollup = certificate.statement.rollup_chain_id();
        let stake = StakeShare::new(&certificate.round, &certificate.quorums);
        let mut statement = match &certificate.statement {
            Signed::Alert(alert) => Statement::Alert(AlertView::new(alert, digest, stake)),
            Signed::Attestation(attestation) => Statement::Attestation(AttestationView {
                digest,
                rollup,
                block: attestation.block,
                stake,
                confirmation: None,
            }),
        };
        if !self.is_news(&mut statement)? {
            return Ok(());
        }
        verify_self_contained(certificate)?;
        let json = CertificateFile(certificate.clone()).to_json();
        let mut writer = self.0.writer.lock().await;
        loop {
            if !self.is_news(&mut statement)? {
                return Ok(());
            }
            let certificate = rows::put_certificate(rollup, &digest, json.clone());
            if self
                .record(&mut writer, &statement, Some(certificate))
                .await?
            {
                break;
            }
        }
        let event = match &statement {
            Statement::Attestation(it) => FinalityEvent::Attested(it.clone()),
            Statement::Alert(it) => FinalityEvent::Alerted(it.clone()),
        };
        self.change(rollup, event, |rollup| take(rollup, statement));
        self.prune(rollup).await
    }

    /// Whether a certificate says more than is known, which is kept in `statement` with it.
    fn is_news(&self, statement: &mut Statement) -> Result<bool, FinalityError> {
        let digest = statement.digest();
        self.with(statement.rollup(), |rollup| {
            (rollup.statement(&digest)).is_none_or(|known| keep(statement, &known))
        })
    }

    /// Takes that a statement stands on L1. One without a certificate here changes nothing.
    ///
    /// Errors: [`FinalityError::Store`].
    pub async fn confirmed(&self, confirmation: &Confirmation) -> Result<(), FinalityError> {
        let mut writer = self.0.writer.lock().await;
        let digest = confirmation.digest;
        let statement = loop {
            let Some(statement) = self.find(&digest, |known| confirmed(known, *confirmation))
            else {
                return Ok(());
            };
            if self.record(&mut writer, &statement, None).await? {
                break statement;
            }
        };
        let event = FinalityEvent::Confirmed {
            rollup: statement.rollup(),
            digest,
            block: statement.block(),
            is_alert: matches!(statement, Statement::Alert(_)),
            confirmation: *confirmation,
        };
        self.change(statement.rollup(), event, |rollup| take(rollup, statement));
        Ok(())
    }

    /// Takes that a statement does not stand on L1 any more, which it is not known to have been withdrawn from.
    ///
    /// Errors: [`FinalityError::Store`].
    pub async fn unconfirmed(&self, digest: B256) -> Result<(), FinalityError> {
        let mut writer = self.0.writer.lock().await;
        let statement = loop {
            let Some(statement) = self.find(&digest, unconfirmed) else {
                return Ok(());
            };
            if self.record(&mut writer, &statement, None).await? {
                break statement;
            }
        };
        let event = FinalityEvent::Unconfirmed {
            rollup: statement.rollup(),
            digest,
            block: statement.block(),
            is_alert: matches!(statement, Statement::Alert(_)),
        };
        self.change(statement.rollup(), event, |rollup| take(rollup, statement));
        Ok(())
    }

    /// Takes that an alert was found to be removed on L1, at this block. It is in force until
    /// [`Self::watch_alerts`] has found so for long enough, for which it has to be known that L1 had it.
    ///
    /// Errors: [`FinalityError::Store`].
    pub async fn withdrawn(&self, digest: B256, l1_block: u64) -> Result<(), FinalityError> {
        let confirmation = Confirmation {
            digest,
            transaction: None,
            l1_block,
            gas_used: None,
        };
        let mut writer = self.0.writer.lock().await;
        let (alert, statement) = loop {
            let found = self.find(&digest, |known| match known {
                Known::Alert(alert) if alert.confirmation.is_none() => Some(AlertView {
                    confirmation: Some(confirmation),
                    ..(*alert).clone()
                }),
                _ => None,
            });
            let Some(alert) = found else {
                return Ok(());
            };
            let statement = Statement::Alert(alert.clone());
            if self.record(&mut writer, &statement, None).await? {
                break (alert, statement);
            }
        };
        let rollup = alert.rollup;
        let event = FinalityEvent::Alerted(alert);
        self.change(rollup, event, |rollup| take(rollup, statement));
        Ok(())
    }

    /// Takes an alert that stands on L1, whoever raised it. L1 has checked it: there need not be a
    /// certificate here.
    ///
    /// Errors: [`FinalityError`].
    pub async fn found(
        &self,
        alert: &Alert,
        confirmation: &Confirmation,
    ) -> Result<(), FinalityError> {
        let (digest, rollup) = (confirmation.digest, alert.rollup_chain_id);
        let view = AlertView {
            confirmation: Some(*confirmation),
            ..AlertView::new(alert, digest, StakeShare::of([]))
        };
        let statement = Statement::Alert(view.clone());
        let mut writer = self.0.writer.lock().await;
        loop {
            let is_known = |rollup: &Rollup| rollup.statement(&digest).is_some();
            if self.with(rollup, is_known)? {
                break;
            }
            if self.record(&mut writer, &statement, None).await? {
                let event = FinalityEvent::Alerted(view);
                self.change(rollup, event, |rollup| take(rollup, statement));
                return Ok(());
            }
        }
        drop(writer);
        // Of one that is known, its confirmation may not have come through, and it stands again if it
        // was withdrawn.
        self.confirmed(confirmation).await?;
        self.reopened(digest).await
    }

    /// Takes that an alert was withdrawn on L1.
    ///
    /// Errors: [`FinalityError::Store`].
    pub async fn resolved(&self, digest: B256) -> Result<(), FinalityError> {
        self.set_resolved(digest, true).await
    }

    /// Takes that an alert that was withdrawn stands again.
    ///
    /// Errors: [`FinalityError::Store`].
    pub async fn reopened(&self, digest: B256) -> Result<(), FinalityError> {
        self.set_resolved(digest, false).await
    }

    async fn set_resolved(&self, digest: B256, is_resolved: bool) -> Result<(), FinalityError> {
        let mut writer = self.0.writer.lock().await;
        let (alert, statement) = loop {
            let found = self.find(&digest, |known| match known {
                Known::Alert(alert) if alert.is_resolved != is_resolved => Some(AlertView {
                    is_resolved,
                    ..(*alert).clone()
                }),
                _ => None,
            });
            let Some(alert) = found else {
                return Ok(());
            };
            let statement = Statement::Alert(alert.clone());
            if self.record(&mut writer, &statement, None).await? {
                break (alert, statement);
            }
        };
        let (rollup, block) = (alert.rollup, alert.block);
        let event = if is_resolved {
            FinalityEvent::Resolved {
                rollup,
                digest,
                block,
            }
        } else {
            FinalityEvent::Alerted(alert)
        };
        self.change(rollup, event, |rollup| take(rollup, statement));
        Ok(())
    }

    /// Takes how much stake has signed an attestation so far. That is no proof, and not kept.
    pub fn signed(&self, digest: B256, statement: &Signed, stake: StakeShare) {
        if let Signed::Attestation(attestation) = statement {
            let (rollup, block) = (attestation.rollup_chain_id, attestation.block);
            self.update(rollup, |rollup| rollup.signed(digest, block, stake));
        }
    }

    /// Takes that a round has ended without a certificate.
    pub fn expired(&self, digest: B256) {
        for rollup in self.writable().values_mut() {
            rollup.expired(&digest);
        }
    }

    /// Takes a block of the rollup's node. Blocks come in order; one that replaces others takes
    /// their place.
    ///
    /// The block's hash is trusted to be that of its header, as every
    /// [`L2Source`](mach_core::ports::L2Source) has to see to.
    ///
    /// Errors: [`FinalityError`].
    pub async fn seen(&self, block: &L2Block) -> Result<Seen, FinalityError> {
        let (chain_id, reference) = (block.chain_id, block.reference());
        let _writing = self.0.writer.lock().await;
        let parent = block.header.parent_hash;
        let place = self.with(chain_id, |rollup| rollup.links.place(reference, parent))?;
        let replaced = match place {
            Place::Known => return Ok(Seen::Known),
            Place::Unlinked => return Ok(Seen::Unlinked),
            Place::OnTop { replaced } => replaced,
        };
        let transactions = block.transactions.iter().take(MAX_TRANSACTIONS);
        let transactions: Vec<_> = transactions.map(keccak256).collect();
        let mut changes = Vec::new();
        for block in &replaced {
            let removed = rows::remove_block(&*self.0.store, chain_id, block.number, &transactions);
            changes.extend(removed.await?);
            if block.number == reference.number {
                // The row of the block comes last, and is written below.
                changes.pop();
            }
        }
        changes.extend(rows::put_block(chain_id, reference, parent, &transactions));
        self.write(changes).await?;
        self.update(chain_id, |rollup| {
            rollup.replace(replaced);
            rollup.links.put(reference);
        });
        self.prune(chain_id).await?;
        Ok(Seen::Taken)
    }

    /// Forgets the chain of the rollup's node, so that it can start anew at another block.
    ///
    /// Errors: [`FinalityError`].
    pub async fn restart(&self, rollup: ChainId) -> Result<(), FinalityError> {
        let _writing = self.0.writer.lock().await;
        while let Some(first) = self.with(rollup, |rollup| rollup.links.first())? {
            let removed = rows::remove_block(&*self.0.store, rollup, first.number, &[]);
            self.write(removed.await?).await?;
            self.update(rollup, |rollup| rollup.links.drop_first());
        }
        Ok(())
    }

    // ------------------------------------------------------------------ inside

    /// Removes what is too old. Called with the writer's lock.
    async fn prune(&self, chain_id: ChainId) -> Result<(), FinalityError> {
        let retain = self.0.config.retain.max(1);
        // One more block makes one too many; where fewer are to be kept than before, many more.
        for _ in 0..MAX_REMOVED {
            let too_many = |rollup: &Rollup| {
                let is_full = rollup.links.len() as u64 > retain;
                is_full.then(|| rollup.links.first()).flatten()
            };
            let Some(first) = self.with(chain_id, too_many)? else {
                break;
            };
            let removed = rows::remove_block(&*self.0.store, chain_id, first.number, &[]);
            self.write(removed.await?).await?;
            self.update(chain_id, |rollup| rollup.links.drop_first());
        }
        let newest = |rollup: &Rollup| {
            let attested = rollup.attestations_before(None).next();
            let attested = attested.map(|it| it.block.number);
            attested.max(rollup.links.head().map(|it| it.number))
        };
        let oldest = self.with(chain_id, newest)?.unwrap_or_default();
        let oldest = oldest.saturating_sub(retain);
        // From the store first: what it still has after a failure is known, and removed by the next turn.
        let gone = self.with(chain_id, |rollup| rollup.outdated(oldest, MAX_REMOVED))?;
        if !gone.is_empty() {
            let rows = gone.iter();
            let rows = rows.flat_map(|(digest, _)| rows::remove_statement(chain_id, digest));
            self.write(rows.collect()).await?;
            self.update(chain_id, |rollup| rollup.forget(&gone));
        }
        Ok(())
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), FinalityError> {
        // Nothing is expected of these rows.
        match self.0.store.write(changes).await? {
            Written::Applied | Written::Conflict { .. } => Ok(()),
        }
    }

    /// Changes a rollup and tells what happened.
    pub(super) fn change(
        &self,
        chain_id: ChainId,
        event: FinalityEvent,
        change: impl FnOnce(&mut Rollup),
    ) {
        self.tell(chain_id, [event], change);
    }

    fn update(&self, chain_id: ChainId, change: impl FnOnce(&mut Rollup)) {
        self.tell(chain_id, [], change);
    }

    /// Under one lock, so that whoever subscribes knows a change or hears of it.
    pub(super) fn tell(
        &self,
        chain_id: ChainId,
        events: impl IntoIterator<Item = FinalityEvent>,
        change: impl FnOnce(&mut Rollup),
    ) {
        let mut rollups = self.writable();
        let Some(rollup) = rollups.get_mut(&chain_id) else {
            return;
        };
        let before = rollup.heads();
        change(rollup);
        for event in events {
            self.0.hub.send(event);
        }
        let heads = rollup.heads();
        if heads != before {
            self.0.hub.send(FinalityEvent::Head {
                rollup: chain_id,
                heads,
            });
        }
    }

    pub(super) fn find<T>(
        &self,
        digest: &B256,
        read: impl Fn(&Known<'_>) -> Option<T>,
    ) -> Option<T> {
        let rollups = self.readable();
        let known = rollups.values().find_map(|it| it.statement(digest))?;
        read(&known)
    }

    pub(super) fn with<T>(
        &self,
        chain_id: ChainId,
        read: impl FnOnce(&Rollup) -> T,
    ) -> Result<T, FinalityError> {
        let rollups = self.readable();
        let rollup = rollups.get(&chain_id);
        let rollup = rollup.ok_or(FinalityError::UnknownRollup(chain_id))?;
        Ok(read(rollup))
    }

    pub(super) fn view(&self, rollup: &Rollup) -> RollupView {
        RollupView {
            rollup: rollup.chain_id,
            heads: rollup.heads(),
            alerts: rollup.standing().cloned().collect(),
            first_block: rollup.links.first().map(|it| it.number),
            domain: self.0.config.domain,
        }
    }

    pub(super) fn readable(&self) -> RwLockReadGuard<'_, BTreeMap<ChainId, Rollup>> {
        let rollups = self.0.rollups.read();
        rollups.unwrap_or_else(PoisonError::into_inner)
    }

    fn writable(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<ChainId, Rollup>> {
        let rollups = self.0.rollups.write();
        rollups.unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn take(rollup: &mut Rollup, statement: Statement) {
    match statement {
        Statement::Attestation(attestation) => rollup.attest(attestation),
        Statement::Alert(alert) => rollup.accuse(alert),
    }
}

/// Keeps of a statement what its new certificate does not say. Answers whether the certificate says
/// more than the one that is known.
fn keep(statement: &mut Statement, known: &Known<'_>) -> bool {
    match (statement, known) {
        (Statement::Attestation(new), Known::Attestation(old)) => {
            new.confirmation = old.confirmation;
            new.stake.covers_more_than(&old.stake)
        }
        (Statement::Alert(new), Known::Alert(old)) => {
            new.confirmation = old.confirmation;
            // The same alert is raised anew only on L1.
            new.is_resolved = old.is_resolved;
            new.stake.covers_more_than(&old.stake)
        }
        // Two statements of different kinds have different digests.
        _ => false,
    }
}
