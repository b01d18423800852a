//! Answers out of the index.

use alloy_primitives::{B256, BlockNumber, ChainId, TxHash};

use super::{
    FinalityConfig, FinalityError, FinalityIndex,
    hub::Subscription,
    rollup::Rollup,
    rows,
    view::{
        AlertView, AttestationView, BlockView, FinalityEvent, Heads, RollupView, TransactionView,
    },
};

impl FinalityIndex {
    /// The rollups that are served, ascending by chain id.
    pub fn rollups(&self) -> Vec<RollupView> {
        let rollups = self.readable();
        rollups.values().map(|it| self.view(it)).collect()
    }

    /// One rollup.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn rollup(&self, rollup: ChainId) -> Result<RollupView, FinalityError> {
        self.with(rollup, |rollup| self.view(rollup))
    }

    /// The newest blocks of a rollup.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn heads(&self, rollup: ChainId) -> Result<Heads, FinalityError> {
        self.with(rollup, Rollup::heads)
    }

    /// What is known of the block at a height.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn block_at(
        &self,
        rollup: ChainId,
        number: BlockNumber,
    ) -> Result<BlockView, FinalityError> {
        self.with(rollup, |rollup| rollup.at(number))
    }

    /// What is known of the block with this hash.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn block_with_hash(&self, rollup: ChainId, hash: B256) -> Result<BlockView, FinalityError> {
        self.with(rollup, |rollup| rollup.with_hash(hash))
    }

    /// What is known of a transaction's block.
    ///
    /// Errors: [`FinalityError`].
    pub async fn transaction(
        &self,
        rollup: ChainId,
        transaction: TxHash,
    ) -> Result<TransactionView, FinalityError> {
        self.with(rollup, |_| ())?;
        // While it is looked at, the block may be replaced.
        let _writing = self.0.writer.lock().await;
        let found = rows::block_of(&*self.0.store, rollup, &transaction).await?;
        let block = self.with(rollup, |rollup| match found {
            // Another process on the same store may be on another fork.
            Some(block) if rollup.links.contains(block) => rollup.at(block.number),
            _ => rollup.unknown(),
        })?;
        Ok(TransactionView { transaction, block })
    }

    /// Certified attestations of a rollup, newest first, below `before`: at most `limit`, and what else
    /// there is of the last height.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn attestations(
        &self,
        rollup: ChainId,
        before: Option<BlockNumber>,
        limit: usize,
    ) -> Result<Vec<AttestationView>, FinalityError> {
        self.with(rollup, |rollup| {
            let mut part: Vec<AttestationView> = Vec::new();
            for next in rollup.attestations_before(before) {
                let height = part.last().map(|it| it.block.number);
                if part.len() >= limit && height != Some(next.block.number) {
                    break;
                }
                part.push(next.clone());
            }
            part
        })
    }

    /// Certified alerts of a rollup, ascending by block, resolved ones included.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn alerts(&self, rollup: ChainId) -> Result<Vec<AlertView>, FinalityError> {
        self.with(rollup, |rollup| rollup.alerts().cloned().collect())
    }

    /// The certificate of a statement, as the JSON of a [`CertificateFile`](mach_core::CertificateFile).
    ///
    /// Errors: [`FinalityError::UnknownStatement`] if there is none.
    pub async fn certificate(
        &self,
        rollup: ChainId,
        digest: B256,
    ) -> Result<Vec<u8>, FinalityError> {
        self.with(rollup, |_| ())?;
        let certificate = rows::certificate(&*self.0.store, rollup, &digest).await?;
        certificate.ok_or(FinalityError::UnknownStatement(digest))
    }

    /// Digest of the attestation of exactly this height.
    ///
    /// Errors: [`FinalityError::UnknownRollup`].
    pub fn attestation_at(
        &self,
        rollup: ChainId,
        number: BlockNumber,
    ) -> Result<Option<B256>, FinalityError> {
        self.with(rollup, |rollup| {
            rollup.attestation_at(number).map(|it| it.digest)
        })
    }

    /// Where the statements count.
    pub fn config(&self) -> &FinalityConfig {
        &self.0.config
    }

    /// Everything that happens after the event `last`. It begins with a snapshot if there is no such
    /// event, or too much has happened since.
    pub(super) fn subscribe(&self, last: Option<u64>) -> Subscription {
        // No event comes between what is known and where the stream begins.
        let rollups = self.readable();
        let snapshot = || FinalityEvent::Snapshot {
            rollups: rollups.values().map(|it| self.view(it)).collect(),
        };
        self.0.hub.subscribe(last, snapshot)
    }
}
