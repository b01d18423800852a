//! Blobs of L1 transactions.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::{Header, Transaction, TxEnvelope};
use alloy_eips::eip4844::{Blob, Bytes48, kzg_to_versioned_hash};
use alloy_primitives::{B256, Sealed};
use async_trait::async_trait;
use c_kzg::ethereum_kzg_settings;
use mach_core::ports::{BlobSource, SourceError};

use super::{Chain, ChainError, Ethereum};

/// Most blobs that are kept, the newest: 128 MiB.
const MAX_BLOBS: usize = 1024;

/// A blob with its commitment.
#[derive(Debug)]
pub(crate) struct KeptBlob {
    pub(crate) blob: Box<Blob>,
    pub(crate) commitment: Bytes48,
}

/// Blobs by their versioned hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blobs(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    by_hash: HashMap<B256, Arc<KeptBlob>>,
    order: VecDeque<B256>,
}

impl Blobs {
    /// Keeps a blob whose commitment is known.
    pub(crate) fn insert(&self, blob: Box<Blob>, commitment: Bytes48) -> B256 {
        let hash = kzg_to_versioned_hash(commitment.as_slice());
        let mut kept = self.kept();
        let new = kept
            .by_hash
            .insert(hash, Arc::new(KeptBlob { blob, commitment }));
        if new.is_none() {
            kept.order.push_back(hash);
        }
        if kept.order.len() > MAX_BLOBS
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_hash.remove(&oldest);
        }
        hash
    }

    /// Keeps a blob, and gives the versioned hash of its commitment.
    pub(crate) fn commit(&self, blob: Box<Blob>) -> Result<B256, ChainError> {
        let settings = ethereum_kzg_settings(0);
        let commitment = settings
            .blob_to_kzg_commitment(&c_kzg::Blob::new(**blob))
            .map_err(ChainError::execution)?;
        Ok(self.insert(blob, Bytes48::from(*commitment.to_bytes())))
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<Arc<KeptBlob>> {
        self.kept().by_hash.get(hash).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptBlob {
    /// The proof that a consensus layer shows beside the blob.
    pub(crate) fn proof(&self) -> Result<Bytes48, ChainError> {
        let blob = c_kzg::Blob::new(**self.blob);
        let commitment = c_kzg::Bytes48::new(*self.commitment);
        let proof = ethereum_kzg_settings(0)
            .compute_blob_kzg_proof(&blob, &commitment)
            .map_err(ChainError::execution)?;
        Ok(Bytes48::from(*proof.to_bytes()))
    }
}

impl Chain<Ethereum> {
    /// Versioned hashes of the blobs of a block, in order.
    pub(crate) fn blob_hashes(&self, number: u64) -> Option<Vec<B256>> {
        let block = self.block(number.into())?;
        let of = |one: &TxEnvelope| one.blob_versioned_hashes().unwrap_or_default().to_vec();
        Some(
            block
                .transactions
                .iter()
                .flat_map(|one| of(one.inner()))
                .collect(),
        )
    }
}

#[async_trait]
impl BlobSource for Chain<Ethereum> {
    async fn blobs(
        &self,
        header: &Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let kept = self.role().blobs();
        let blob = |hash| Some(kept.get(hash)?.blob.clone());
        let all: Option<Vec<_>> = hashes.iter().map(blob).collect();
        all.ok_or(SourceError::NotHeld(header.number))
    }
}
