use std::sync::{Mutex, PoisonError};

use alloy_consensus::Header;
use alloy_eips::eip4844::{BYTES_PER_BLOB, Blob};
use alloy_primitives::{B256, Sealed, hex};
use async_trait::async_trait;
use mach_core::ports::{BlobSource, SourceError};
use reqwest::{StatusCode, header::ACCEPT};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use url::Url;

use super::folder::{boxed, malformed};
use crate::{
    derive::versioned_hash,
    source::{RpcOptions, rpc::http::Server},
};

/// Longest answer that is read, in bytes: 128 blobs in hexadecimal, and what stands around them.
const MAX_ANSWER_BYTES: usize = 128 * (2 * BYTES_PER_BLOB + 8 * 1024);

/// A consensus node, asked over the beacon API.
///
/// `/eth/v1/beacon/blobs/{slot}` is asked first, and where a node does not serve that,
/// `/eth/v1/beacon/blob_sidecars/{slot}`. Nodes keep blobs for 18 days, archives longer.
///
/// Source: <https://ethereum.github.io/beacon-APIs/>
#[derive(Debug)]
pub struct BeaconNode {
    server: Server,
    url: Url,
    /// Second of slot 0, and seconds of a slot.
    clock: Mutex<Option<(u64, u64)>>,
}

impl BeaconNode {
    /// The node at an HTTP URL, with the limits of [`RpcOptions::default`].
    ///
    /// Errors: [`SourceError::Backend`].
    pub fn new(url: Url) -> Result<Self, SourceError> {
        Self::with_options(url, &RpcOptions::default())
    }

    /// The node at an HTTP URL. Of an answer no more is read than 128 blobs take.
    ///
    /// Errors: [`SourceError::Backend`].
    pub fn with_options(mut url: Url, options: &RpcOptions) -> Result<Self, SourceError> {
        let options = RpcOptions {
            max_response_bytes: options.max_response_bytes.min(MAX_ANSWER_BYTES),
            ..options.clone()
        };
        let server = Server::new(&url, &options)?;
        // A path is joined to a folder, not to a file.
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self {
            server,
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
        let attempt = || async {
            let request = self.server.client().get(url.clone());
            let answer = (self.server)
                .send(request.header(ACCEPT, "application/json"))
                .await?;
            match answer.status {
                StatusCode::OK => Ok(Some(answer.body)),
                StatusCode::NOT_FOUND => Ok(None),
                _ => Err(answer.into_error()),
            }
        };
        let body = (self.server.retry(attempt).await)
            .map_err(|error| SourceError::Backend(Box::new(error)))?
            .ok_or(SourceError::NotHeld(block))?;
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use super::*;
    use crate::source::{
        HttpError,
        rpc::scripted::{Reply, Scripted},
    };

    fn data(value: Value) -> Reply {
        Reply::Json(json!({ "data": value }))
    }

    /// The L1 block of slot 1, whose blob is of zeros.
    fn asked() -> (Sealed<Header>, [B256; 1]) {
        let header = Header {
            timestamp: 112,
            ..Default::default()
        };
        let hash = versioned_hash(&Blob::default()).unwrap();
        (Sealed::new(header), [hash])
    }

    fn node(server: &Scripted, options: &RpcOptions) -> BeaconNode {
        BeaconNode::with_options(server.url(), options).unwrap()
    }

    fn busy(line: &str) -> Reply {
        Reply::Raw(429, vec![line.to_owned()], b"slow down".to_vec())
    }

    #[tokio::test]
    async fn a_busy_node_is_asked_again_when_it_says() {
        let server = Scripted::serve(|number, _| match number {
            0 => busy("retry-after: 1"),
            1 => Reply::Cut,
            2 => data(json!({ "genesis_time": "100" })),
            3 => data(json!({ "SECONDS_PER_SLOT": "12" })),
            4 => Reply::Raw(503, vec![], vec![]),
            _ => data(json!([hex::encode_prefixed([0; BYTES_PER_BLOB])])),
        })
        .await;
        let (header, hashes) = asked();
        let node = node(&server, &RpcOptions::default());
        let started = Instant::now();
        let blobs = node.blobs(&header, &hashes).await.unwrap();
        assert_eq!(blobs, [Box::<Blob>::default()]);
        assert!(started.elapsed() >= Duration::from_secs(1));
        assert_eq!(server.requests(), 6);
    }

    #[tokio::test]
    async fn a_node_that_hangs_or_stays_busy_is_given_up() {
        type IsNamed = fn(&HttpError) -> bool;
        let is_timeout: IsNamed = |error| matches!(error, HttpError::Timeout(_));
        let is_busy: IsNamed = |error| matches!(error, HttpError::Status { status: 429, .. });
        let is_large: IsNamed = |error| matches!(error, HttpError::TooLarge(1_000));
        for (reply, timeout, requests, is_named) in [
            (Reply::Hang, 300, 1, is_timeout),
            (busy("x-nothing: 1"), 60_000, 2, is_busy),
            // An hour is too long.
            (busy("retry-after: 3600"), 60_000, 1, is_busy),
            (Reply::Endless, 60_000, 1, is_large),
        ] {
            let server = Scripted::serve(move |_, _| reply.clone()).await;
            let options = RpcOptions {
                timeout: Duration::from_millis(timeout),
                retries: 1,
                max_response_bytes: 1_000,
                ..Default::default()
            };
            let (header, hashes) = asked();
            let error = (node(&server, &options).blobs(&header, &hashes).await).unwrap_err();
            assert!(error.is_transient());
            let SourceError::Backend(cause) = &error else {
                panic!("{error:?}");
            };
            let is_named = cause.downcast_ref().is_some_and(is_named);
            assert!(is_named, "{error:?}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            assert_eq!(server.requests(), requests);
        }
    }
}
