//! A signing guard that outlives its process.

use alloy_primitives::{Address, BlockNumber, ChainId};
use async_trait::async_trait;
use mach_core::{
    Attestation, BlockRef, Domain, Statement,
    ports::{BoxError, GuardError, SigningGuard},
};

use super::{
    history::Height,
    interchange::{GuardFile, GuardFileError, RollupHistory},
};
use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};

/// Rows that are read at a time.
const PAGE: usize = 1024;

/// Records in a [`Store`] what is about to be signed, before it is signed.
///
/// - For one height one block is attested, with one outcome, for ever.
/// - A block that was attested is not alerted, and the other way round, unless the operator takes
///   the attestation back ([`Self::retract`]). A wrong output *proposal* for a block that was
///   attested is no contradiction, if the alert computes the attested root.
/// - A block is alerted once for each [`AlertKind`](mach_core::AlertKind), with one outcome.
/// - The same statement is permitted again and again.
///
/// A statement that is permitted is durable: [`Store::write`] has answered. Rows are replaced only if they are
/// what they were when they were read, so several guards on one store cannot contradict each other
/// either. If the store cannot be written nothing is permitted.
#[derive(Clone, Debug)]
pub struct StoredGuard<S>(S);

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Statements that were not known.
    pub added: u64,
    /// Statements that were known already.
    pub known: u64,
}

impl<S: Store> StoredGuard<S> {
    /// A guard on `store`.
    pub const fn new(store: S) -> Self {
        Self(store)
    }

    /// Takes an attestation back: from now on the block may be alerted, and never attested again.
    ///
    /// For the operator who found its own verdict wrong. It contradicts itself then, knowingly, and
    /// whoever slashes may say so. Answers `false` if this block was not attested.
    ///
    /// Errors: [`GuardError::Backend`].
    pub async fn retract(
        &self,
        domain: &Domain,
        rollup: ChainId,
        block: BlockRef,
    ) -> Result<bool, GuardError> {
        let key = key(domain, rollup, block.number);
        loop {
            let (mut height, stored) = self.read(&key).await?;
            match &height.attestation {
                Some(attestation) if attestation.block == block => {}
                _ => return Ok(false),
            }
            height.is_retracted = true;
            if self.replace(&key, stored, &height).await? {
                return Ok(true);
            }
        }
    }

    /// The attestation of a height, unless it was taken back.
    ///
    /// Errors: [`GuardError::Backend`].
    pub async fn attestation(
        &self,
        domain: &Domain,
        rollup: ChainId,
        number: BlockNumber,
    ) -> Result<Option<Attestation>, GuardError> {
        let (height, _) = self.read(&key(domain, rollup, number)).await?;
        Ok(height.attestation.filter(|_| !height.is_retracted))
    }

    /// Where something was signed: L1 chains and service managers, in order.
    ///
    /// Errors: [`GuardError::Backend`].
    pub async fn domains(&self) -> Result<Vec<Domain>, GuardError> {
        let mut domains = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = (self.0)
                .scan(Table::Guard, &[], after.as_deref(), 1)
                .await
                .map_err(backend)?;
            let Some((key, _)) = rows.first() else {
                return Ok(domains);
            };
            let domain = domain_of(key).ok_or_else(|| damaged(key))?;
            // Behind its last row: no rollup and height are higher.
            after = Some([domain_key(&domain).as_slice(), &[0xff; 16]].concat());
            domains.push(domain);
        }
    }

    /// Everything that was signed in `domain`, to be kept or taken to another machine.
    ///
    /// Errors: [`GuardError::Backend`].
    pub async fn export(&self, domain: &Domain) -> Result<GuardFile, GuardError> {
        let prefix = domain_key(domain);
        let mut data: Vec<RollupHistory> = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self
                .0
                .scan(Table::Guard, &prefix, after.as_deref(), PAGE)
                .await
                .map_err(backend)?;
            for (key, value) in &rows {
                let rollup = rollup_of(key).ok_or_else(|| damaged(key))?;
                let height = decode(key, value)?;
                if data.last().is_none_or(|it| it.rollup_chain_id != rollup) {
                    data.push(RollupHistory::new(rollup));
                }
                if let Some(history) = data.last_mut() {
                    history.add(height);
                }
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(GuardFile::new(domain, data)),
            }
        }
    }

    /// Adds what another guard exported. What is here stays.
    ///
    /// Nothing is added from a file of another domain, or if a statement of the file contradicts
    /// one that is known: then both were signed, and which one counts is for people to find out.
    ///
    /// Errors: [`GuardFileError`].
    pub async fn import(
        &self,
        domain: &Domain,
        file: &GuardFile,
    ) -> Result<ImportSummary, GuardFileError> {
        let heights = file.heights(domain)?;
        loop {
            let mut summary = ImportSummary::default();
            let mut changes = Vec::new();
            for ((rollup, number), imported) in &heights {
                let key = key(domain, *rollup, *number);
                let (mut known, stored) = self.read(&key).await?;
                let before = known.clone();
                let added = known.merge(imported, domain)?;
                summary.added += added;
                summary.known += imported.len() - added;
                if known != before {
                    changes.push(change(key, stored, &known)?);
                }
            }
            match self.0.write(changes).await.map_err(backend)? {
                Written::Applied => return Ok(summary),
                // Somebody signs at the same time.
                Written::Conflict { .. } => {}
            }
        }
    }

    async fn read(&self, key: &[u8]) -> Result<(Height, Option<Vec<u8>>), GuardError> {
        let stored = self.0.get(Table::Guard, key).await.map_err(backend)?;
        let height = match &stored {
            Some(value) => decode(key, value)?,
            None => Height::default(),
        };
        Ok((height, stored))
    }

    /// Answers `false` if somebody else was faster.
    async fn replace(
        &self,
        key: &[u8],
        stored: Option<Vec<u8>>,
        height: &Height,
    ) -> Result<bool, GuardError> {
        let change = change(key.to_vec(), stored, height)?;
        let written = self.0.write(vec![change]).await.map_err(backend)?;
        Ok(written == Written::Applied)
    }
}

#[async_trait]
impl<S: Store> SigningGuard for StoredGuard<S> {
    async fn permit(&self, statement: &Statement, domain: &Domain) -> Result<(), GuardError> {
        let number = statement.block().number;
        let key = key(domain, statement.rollup_chain_id(), number);
        loop {
            let (mut height, stored) = self.read(&key).await?;
            // What is known was durable before it could be read.
            if !height.permit(statement, domain)? || self.replace(&key, stored, &height).await? {
                return Ok(());
            }
        }
    }
}

impl RollupHistory {
    fn add(&mut self, height: Height) {
        if let Some(attestation) = height.attestation {
            if height.is_retracted {
                self.retracted.push(attestation.block);
            }
            self.attestations.push(attestation);
        }
        self.alerts.extend(height.alerts);
    }
}

/// L1 chain, service manager, rollup and height, each big-endian: rows of a rollup lie together,
/// in the order of its blocks.
fn key(domain: &Domain, rollup: ChainId, number: BlockNumber) -> Vec<u8> {
    let mut key = domain_key(domain);
    key.extend(rollup.to_be_bytes());
    key.extend(number.to_be_bytes());
    key
}

/// Chain id and address.
const DOMAIN_BYTES: usize = 8 + 20;

fn domain_of(key: &[u8]) -> Option<Domain> {
    let (chain, rest) = key.split_first_chunk()?;
    let (address, _) = rest.split_first_chunk::<20>()?;
    Some(Domain {
        l1_chain_id: ChainId::from_be_bytes(*chain),
        service_manager: Address::from(*address),
    })
}

fn rollup_of(key: &[u8]) -> Option<ChainId> {
    let bytes = key.get(DOMAIN_BYTES..)?.first_chunk()?;
    Some(ChainId::from_be_bytes(*bytes))
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let (domain, rollup) = (domain_of(key)?, rollup_of(key)?);
    let number = key.get(DOMAIN_BYTES + 8..)?;
    let number = BlockNumber::from_be_bytes(number.try_into().ok()?);
    let Domain {
        l1_chain_id,
        service_manager,
    } = domain;
    Some(format!(
        "what was signed about block {number} of rollup {rollup} for service manager \
         {service_manager} on chain {l1_chain_id}"
    ))
}

fn decode(key: &[u8], value: &[u8]) -> Result<Height, GuardError> {
    serde_json::from_slice(value).map_err(|_| damaged(key))
}

fn change(key: Vec<u8>, stored: Option<Vec<u8>>, height: &Height) -> Result<Change, GuardError> {
    let value = serde_json::to_vec(height).map_err(|error| GuardError::Backend(error.into()))?;
    Ok(Change {
        table: Table::Guard,
        key,
        expected: stored.map_or(Expected::Absent, Expected::Value),
        value: Some(value),
    })
}

fn backend(error: StoreError) -> GuardError {
    GuardError::Backend(BoxError::from(error))
}

fn damaged(key: &[u8]) -> GuardError {
    backend(StoreError::damaged(Table::Guard, key))
}
