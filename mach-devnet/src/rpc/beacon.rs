//! The part of a consensus layer's API that gives blobs, on the port of the RPC.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use alloy_primitives::B256;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tower::{BoxError, Layer, Service};

use super::Handler;
use crate::chain::{Chain, ChainError, Ethereum};

/// Where every path of the API begins.
const PREFIX: &str = "/eth/v1/";

/// An answer: HTTP status and JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    const fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    fn error(status: u16, message: &str) -> Self {
        let body = json!({ "code": status, "message": message });
        Self { status, body }
    }
}

impl Chain<Ethereum> {
    /// Answers a GET request.
    ///
    /// Source: <https://ethereum.github.io/beacon-APIs/>.
    pub(crate) fn beacon(&self, path: &str, query: &str) -> Answer {
        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match path.as_slice() {
            ["eth", "v1", "node", "version"] => Answer::ok(json!({
                "data": { "version": concat!("mach-devnet/", env!("CARGO_PKG_VERSION")) }
            })),
            ["eth", "v1", "beacon", "genesis"] => Answer::ok(json!({ "data": {
                "genesis_time": self.genesis_time().to_string(),
                "genesis_validators_root": B256::ZERO,
                "genesis_fork_version": "0x00000000",
            } })),
            ["eth", "v1", "config", "spec"] => Answer::ok(json!({ "data": {
                "SECONDS_PER_SLOT": self.block_time().to_string(),
                "SLOTS_PER_EPOCH": "32",
                "DEPOSIT_CHAIN_ID": self.chain_id().to_string(),
            } })),
            ["eth", "v1", "beacon", "blob_sidecars", slot] => self.of_slot(slot, |hashes| {
                let wanted = parameter(query, "indices");
                self.sidecars(hashes, &wanted)
            }),
            ["eth", "v1", "beacon", "blobs", slot] => self.of_slot(slot, |hashes| {
                let wanted = parameter(query, "versioned_hashes");
                self.plain_blobs(hashes, &wanted)
            }),
            _ => Answer::error(404, "not found"),
        }
    }

    fn of_slot(
        &self,
        slot: &str,
        answer: impl FnOnce(&[B256]) -> Result<Option<Value>, ChainError>,
    ) -> Answer {
        let number = match (slot, slot.parse()) {
            ("head", _) => Some(self.head()),
            ("genesis", _) => Some(0),
            (_, Ok(slot)) => self.block_of_slot(slot),
            (_, Err(_)) => return Answer::error(400, "not a slot"),
        };
        let Some(hashes) = number.and_then(|number| self.blob_hashes(number)) else {
            return Answer::error(404, "block not found");
        };
        match answer(&hashes) {
            Ok(Some(data)) => Answer::ok(json!({
                "version": "fulu",
                "execution_optimistic": false,
                "finalized": false,
                "data": data,
            })),
            Ok(None) => Answer::error(404, "blobs are no longer kept"),
            Err(error) => Answer::error(500, &error.to_string()),
        }
    }

    /// Sidecars as they were until Fulu. Their block header and its proof are left empty.
    fn sidecars(&self, hashes: &[B256], wanted: &[&str]) -> Result<Option<Value>, ChainError> {
        let mut sidecars = Vec::new();
        for (hash, index) in hashes.iter().zip(0u64..) {
            let index = index.to_string();
            if !wanted.is_empty() && !wanted.contains(&index.as_str()) {
                continue;
            }
            let Some(kept) = self.role().blobs().get(hash) else {
                return Ok(None);
            };
            sidecars.push(json!({
                "index": index,
                "blob": kept.blob,
                "kzg_commitment": kept.commitment,
                "kzg_proof": kept.proof()?,
            }));
        }
        Ok(Some(sidecars.into()))
    }

    fn plain_blobs(&self, hashes: &[B256], wanted: &[&str]) -> Result<Option<Value>, ChainError> {
        let wanted: Vec<B256> = wanted.iter().filter_map(|hash| hash.parse().ok()).collect();
        let chosen = hashes
            .iter()
            .filter(|hash| wanted.is_empty() || wanted.contains(hash));
        let blobs: Option<Vec<Value>> = chosen
            .map(|hash| Some(json!(self.role().blobs().get(hash)?.blob)))
            .collect();
        Ok(blobs.map(Value::from))
    }

    fn genesis_time(&self) -> u64 {
        self.block(0.into())
            .map_or(0, |block| block.header.timestamp)
    }

    /// The block in a slot; where time was skipped there is none.
    fn block_of_slot(&self, slot: u64) -> Option<u64> {
        let (genesis, period) = (self.genesis_time(), self.block_time().max(1));
        let slot_of = |number: u64| {
            let block = self.block(number.into())?;
            Some(block.header.timestamp.saturating_sub(genesis) / period)
        };
        let (mut low, mut high) = (0, self.head());
        while low < high {
            let middle = low + (high - low) / 2;
            if slot_of(middle)? < slot {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (slot_of(low)? == slot).then_some(low)
    }
}

/// Values of a query's parameter, which may come several times or with commas.
fn parameter<'a>(query: &'a str, name: &str) -> Vec<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .flat_map(|(_, values)| values.split(',').flat_map(|value| value.split("%2C")))
        .collect()
}

/// Puts the API in front of the RPC.
#[derive(Clone, Debug)]
pub(super) struct BeaconLayer(pub(super) Arc<dyn Handler>);

impl<S> Layer<S> for BeaconLayer {
    type Service = BeaconService<S>;

    fn layer(&self, inner: S) -> BeaconService<S> {
        BeaconService {
            inner,
            handler: Arc::clone(&self.0),
        }
    }
}

/// Answers the API's paths, and hands on everything else.
#[derive(Clone, Debug)]
pub(super) struct BeaconService<S> {
    inner: S,
    handler: Arc<dyn Handler>,
}

impl<S, B> Service<HttpRequest<B>> for BeaconService<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let uri = request.uri();
        let answer = uri
            .path()
            .starts_with(PREFIX)
            .then(|| {
                let query = uri.query().unwrap_or_default();
                self.handler.beacon(uri.path(), query)
            })
            .flatten();
        let Some(Answer { status, body }) = answer else {
            let handed_on = self.inner.call(request);
            return Box::pin(async { handed_on.await.map_err(Into::into) });
        };
        Box::pin(async move {
            let mut response = HttpResponse::new(HttpBody::from(body.to_string()));
            *response.status_mut() = status.try_into()?;
            let json = "application/json".try_into()?;
            response.headers_mut().insert("content-type", json);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Devnet;

    #[test]
    fn paths_from_outside_get_an_answer() {
        let devnet = Devnet::new().unwrap();
        for _ in 0..6 {
            devnet.step().unwrap();
        }
        let status = |path: &str, query: &str| devnet.l1().beacon(path, query).status;
        assert_eq!(status("/eth/v1/beacon/blobs/1", ""), 200);
        assert_eq!(
            status("/eth/v1/beacon/blobs/head", "versioned_hashes=0x"),
            200
        );
        assert_eq!(status("/eth/v1/beacon/blobs/2", ""), 404);
        assert_eq!(status("/eth/v1/beacon/blobs/18446744073709551615", ""), 404);
        assert_eq!(status("/eth/v1/beacon/blob_sidecars/-1", ""), 400);
        assert_eq!(
            status("/eth/v1/beacon/blob_sidecars/1", "indices=7&&=&indices"),
            200
        );
        assert_eq!(status("/eth/v1/", ""), 404);
        assert_eq!(status("", ""), 404);
    }

    #[test]
    fn values_come_one_by_one_or_together() {
        assert_eq!(
            parameter("a=1&b=2&a=3,4&a=5%2C6", "a"),
            ["1", "3", "4", "5", "6"]
        );
        assert!(parameter("b=1", "a").is_empty());
    }
}
