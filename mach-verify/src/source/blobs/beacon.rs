use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alloy_consensus::Header;
use alloy_eips::eip4844::{BYTES_PER_BLOB, Blob};
use alloy_primitives::{B256, Sealed, hex};
use async_trait::async_trait;
use mach_core::ports::{BlobSource, SourceError};
use reqwest::{header::ACCEPT, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use url::Url;

use super::folder::{boxed, malformed};
use crate::derive::versioned_hash;

/// Longest answer that is read, in bytes: 128 blobs in hexadecimal, and what stands around them.
const MAX_ANSWER_BYTES: usize = 128 * (2 * BYTES_PER_BLOB + 8 * 1024);

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A consensus node, asked over the beacon API.
///
/// `/eth/v1/beacon/blobs/{slot}` is asked first, and where a node does not serve that,
/// `/eth/v1/beacon/blob_sidecars/{slot}`. Nodes keep blobs for 18 days, archives longer.
///
/// Source: <https://ethereum.github.io/beacon-APIs/>
#[derive(Debug)]
pub struct BeaconNode {
    client: reqwest::Client,
    url: Url,
    /// Second of slot 0, and seconds of a slot.
    clock: Mutex<Option<(u64, u64)>>,
}

impl BeaconNode {
    /// The node at an HTTP URL.
    ///
    /// Errors: [`SourceError::Backend`].
    pub fn new(mut url: Url) -> Result<Self, SourceError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SourceError::Backend(
                "the URL is not http:// or https://".into(),
            ));
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A request that goes elsewhere is a URL that is wrong, and keys may be in it.
            .redirect(Policy::none())
            .build()
            .map_err(backend)?;
        // A path is joined to a folder, not to a file.
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self {
            client,
            url,
            clock: Mutex::new(None),
        })
    }

    /// The slot whose block has this timestamp.
    async fn slot(&self, block: u64, timestamp: u64) -> Result<u64, SourceError> {
        let known = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let (genesis, seconds) = match known {
            Some(clock) => clock,
            None => {
                let genesis: Genesis = self.ask(block, "eth/v1/beacon/genesis", &[]).await?;
                let spec: Spec = self.ask(block, "eth/v1/config/spec", &[]).await?;
                let clock = (
                    number(block, &genesis.genesis_time)?,
                    number(block, &spec.seconds_per_slot)?,
                );
                *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
                clock
            }
        };
        timestamp
            .checked_sub(genesis)
            .and_then(|age| age.checked_div(seconds))
            .ok_or_else(|| malformed(block, "the block has no slot"))
    }

    /// The `data` of an answer.
    async fn ask<T: DeserializeOwned>(
        &self,
        block: u64,
        path: &str,
        hashes: &[B256],
    ) -> Result<T, SourceError> {
        let mut url = self
            .url
            .join(path)
            .map_err(|error| SourceError::Backend(Box::new(error)))?;
        for hash in hashes {
            url.query_pairs_mut()
                .append_pair("versioned_hashes", &hash.to_string());
        }
        let request = self.client.get(url).header(ACCEPT, "application/json");
        let response = request.send().await.map_err(backend)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Err(SourceError::NotHeld(block)),
            status => {
                let error = format!("the beacon node answers with status {status}");
                return Err(SourceError::Backend(error.into()));
            }
        }
        let body = read(response).await?;
        let data: Data<T> =
            serde_json::from_slice(&body).map_err(|error| malformed(block, error))?;
        Ok(data.data)
    }

    /// From the newer endpoint: blobs without what says which is which.
    async fn plain(
        &self,
        block: u64,
        slot: u64,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let path = format!("eth/v1/beacon/blobs/{slot}");
        let blobs: Vec<String> = self.ask(block, &path, hashes).await?;
        let mut found = Vec::with_capacity(blobs.len());
        for blob in &blobs {
            let blob = decode(block, blob)?;
            found.push((versioned_hash(&blob), blob));
        }
        pick(block, hashes, &found)
    }

    /// From the older endpoint, which says the commitments.
    async fn sidecars(
        &self,
        block: u64,
        slot: u64,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let path = format!("eth/v1/beacon/blob_sidecars/{slot}");
        let sidecars: Vec<Sidecar> = self.ask(block, &path, &[]).await?;
        let mut found = Vec::new();
        for sidecar in &sidecars {
            let commitment =
                hex::decode(&sidecar.kzg_commitment).map_err(|error| malformed(block, error))?;
            let mut hash: [u8; 32] = Sha256::digest(commitment).into();
            let [version, ..] = &mut hash;
            *version = 1;
            let hash = B256::new(hash);
            if hashes.contains(&hash) {
                found.push((Some(hash), decode(block, &sidecar.blob)?));
            }
        }
        pick(block, hashes, &found)
    }
}

#[async_trait]
impl BlobSource for BeaconNode {
    async fn blobs(
        &self,
        header: &Sealed<Header>,
        hashes: &[B256],
    ) -> Result<Vec<Box<Blob>>, SourceError> {
        let block = header.number;
        let slot = self.slot(block, header.timestamp).await?;
        match self.plain(block, slot, hashes).await {
            Ok(blobs) => Ok(blobs),
            // The node does not serve the endpoint, or has not the blobs: the other one says.
            Err(error) => match self.sidecars(block, slot, hashes).await {
                Ok(blobs) => Ok(blobs),
                Err(SourceError::NotHeld(_)) => Err(error),
                Err(other) => Err(other),
            },
        }
    }
}

/// The body, unless it is longer than is read.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, SourceError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(backend)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(SourceError::Backend("the answer is too large".into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// URLs of nodes hold keys, which do not belong into logs.
fn backend(error: reqwest::Error) -> SourceError {
    SourceError::Backend(Box::new(error.without_url()))
}

/// The blobs with these hashes, in this order.
fn pick(
    block: u64,
    hashes: &[B256],
    found: &[(Option<B256>, Box<Blob>)],
) -> Result<Vec<Box<Blob>>, SourceError> {
    let pick = |hash: &B256| {
        let is_it = |(of, _): &&(Option<B256>, Box<Blob>)| *of == Some(*hash);
        let (_, blob) = found.iter().find(is_it)?;
        Some(blob.clone())
    };
    hashes
        .iter()
        .map(pick)
        .collect::<Option<_>>()
        .ok_or(SourceError::NotHeld(block))
}

fn decode(block: u64, text: &str) -> Result<Box<Blob>, SourceError> {
    let bytes = hex::decode(text).map_err(|error| malformed(block, error))?;
    boxed(&bytes).ok_or_else(|| malformed(block, "the length is not that of a blob"))
}

fn number(block: u64, text: &str) -> Result<u64, SourceError> {
    text.parse().map_err(|error| malformed(block, error))
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Genesis {
    genesis_time: String,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "SECONDS_PER_SLOT")]
    seconds_per_slot: String,
}

#[derive(Deserialize)]
struct Sidecar {
    blob: String,
    kzg_commitment: String,
}
