//! Calls, one at a time and many at once.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use alloy_consensus::Header;
use alloy_json_rpc::{ErrorPayload, RpcRecv, RpcSend};
use alloy_primitives::{Address, B256};
use alloy_rpc_client::{RpcClient, Waiter};
use alloy_transport::{TransportError, TransportErrorKind};
use mach_core::ports::{BoxError, SourceError};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::{HttpError, RpcSource};

/// Code of geth for an item of a batch whose answers have grown too large.
const RESPONSE_TOO_LARGE: i64 = -32003;

/// What was found out about a node, shared by the clones of a source.
#[derive(Debug)]
pub(super) struct Learned {
    /// Most calls that it takes in a batch.
    pub(super) batch_size: AtomicUsize,
    /// It does not serve `debug_getRawBlock`.
    pub(super) no_raw_blocks: AtomicBool,
    /// It does not serve `debug_getRawHeader`.
    pub(super) no_raw_headers: AtomicBool,
    /// It does not serve `debug_getRawReceipts`.
    pub(super) no_raw_receipts: AtomicBool,
    /// It does not serve `debug_executionWitness`.
    pub(super) no_witnesses: AtomicBool,
    /// It does not serve `eth_getProof`.
    pub(super) no_proofs: AtomicBool,
    /// What came with the newest blocks, for their witnesses.
    company: Mutex<VecDeque<(B256, Company)>>,
}

/// What is asked for together with a block whose witness has to be gathered.
#[derive(Clone, Debug, Default)]
pub(super) struct Company {
    /// The parent's header, as the node says.
    pub(super) parent: Option<Header>,
    /// Who left logs in the block.
    pub(super) loggers: Vec<Address>,
}

/// Most blocks whose company is kept.
const MAX_COMPANY: usize = 32;

impl Learned {
    pub(super) fn new(batch_size: usize) -> Arc<Self> {
        Arc::new(Self {
            batch_size: AtomicUsize::new(batch_size.max(1)),
            no_raw_blocks: AtomicBool::new(false),
            no_raw_headers: AtomicBool::new(false),
            no_raw_receipts: AtomicBool::new(false),
            no_proofs: AtomicBool::new(false),
            no_witnesses: AtomicBool::new(false),
            company: Mutex::default(),
        })
    }

    pub(super) fn keep(&self, block: B256, company: Company) {
        let mut kept = self.company.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MAX_COMPANY {
            kept.pop_front();
        }
        kept.push_back((block, company));
    }

    pub(super) fn company_of(&self, block: B256) -> Option<Company> {
        let kept = self.company.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = kept.iter().rev().filter(|(hash, _)| *hash == block);
        found.next().map(|(_, company)| company.clone())
    }
}

/// One call of a batch.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: &'static str,
    params: Box<RawValue>,
}

/// An item of the answer to a batch.
pub(super) type Item = Result<Box<RawValue>, ErrorPayload>;

impl Call {
    /// `None` if the parameters cannot be written as JSON, which those of this crate can.
    pub(super) fn new(method: &'static str, params: impl RpcSend) -> Result<Self, SourceError> {
        let params = to_raw_value(&params)
            .map_err(|error| failed(method, TransportError::ser_err(error)))?;
        Ok(Self { method, params })
    }

    /// The answer as `R`, an answered error being one.
    pub(super) fn read<R: DeserializeOwned>(&self, item: Item) -> Result<R, SourceError> {
        let item = item.map_err(|error| failed(self.method, TransportError::ErrorResp(error)))?;
        serde_json::from_str(item.get())
            .map_err(|error| failed(self.method, TransportError::deser_err(error, item.get())))
    }
}

impl RpcSource {
    pub(super) async fn request<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, SourceError> {
        request(&self.client, method, params).await
    }

    /// `None` if the node answers with an error: it does not serve the method, or not for this
    /// block. Once it has said the first, which `unserved` remembers, it is not asked again.
    pub(super) async fn served<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
        unserved: &AtomicBool,
    ) -> Result<Option<R>, SourceError> {
        if unserved.load(Relaxed) {
            return Ok(None);
        }
        match self.client.request(method, params).await {
            Ok(answer) => Ok(Some(answer)),
            Err(TransportError::ErrorResp(error)) => {
                unserved.fetch_or(is_unserved(method, &error), Relaxed);
                Ok(None)
            }
            Err(error) => Err(failed(method, error)),
        }
    }

    /// Answers to all calls, in their order, in as few round trips as the node permits.
    pub(super) async fn batch(&self, calls: &[Call]) -> Result<Vec<Item>, SourceError> {
        let mut answers: Vec<Option<Item>> = calls.iter().map(|_| None).collect();
        let mut is_again = false;
        loop {
            let size = self.learned.batch_size.load(Relaxed).max(1);
            let mut open: Vec<_> = (calls.iter().zip(&mut answers))
                .filter(|(_, answer)| answer.is_none())
                .take(size)
                .collect();
            if open.is_empty() {
                return Ok(answers.into_iter().flatten().collect());
            }
            let is_done = match self.send(&mut open).await {
                Ok(is_done) => is_done,
                // It may have failed for another reason, once.
                Err(error) if open.len() > 1 && !is_again && is_vague(&error) => {
                    is_again = true;
                    continue;
                }
                Err(error) if open.len() > 1 && is_about_size(&error) => false,
                Err(error) => {
                    let method = open.first().map_or("batch", |(call, _)| call.method);
                    return Err(failed(method, error));
                }
            };
            if !is_done {
                let smaller = (open.len() / 2).max(1);
                tracing::debug!(smaller, "the node does not take so large a batch");
                self.learned.batch_size.fetch_min(smaller, Relaxed);
            }
        }
    }

    /// Sends calls together and fills in the answers. Whether all are answered; if there is one
    /// call, or an error is about one, it is.
    async fn send(&self, calls: &mut [(&Call, &mut Option<Item>)]) -> Result<bool, TransportError> {
        if let [(call, answer)] = calls {
            let item: Result<Box<RawValue>, _> =
                (self.client.request(call.method, &*call.params)).await;
            **answer = Some(match item {
                Ok(item) => Ok(item),
                Err(TransportError::ErrorResp(error)) => Err(error),
                Err(error) => return Err(error),
            });
            return Ok(true);
        }
        let mut batch = self.client.new_batch();
        let mut waiters: Vec<Waiter<Box<RawValue>>> = Vec::with_capacity(calls.len());
        for (call, _) in calls.iter() {
            waiters.push(batch.add_call(call.method, &&*call.params)?);
        }
        batch.send().await?;
        let mut is_done = true;
        let mut answered = Vec::with_capacity(calls.len());
        for waiter in waiters {
            let item = match waiter.await {
                Ok(item) => Some(Ok(item)),
                Err(TransportError::ErrorResp(error)) if error.code == RESPONSE_TOO_LARGE => None,
                Err(TransportError::ErrorResp(error)) => Some(Err(error)),
                Err(TransportError::Transport(TransportErrorKind::MissingBatchResponse(_))) => None,
                Err(error) => return Err(error),
            };
            is_done &= item.is_some();
            answered.push(item);
        }
        // One error and nothing else is about the batch as a whole.
        let is_refused = !is_done
            && answered.iter().flatten().count() == 1
            && answered.iter().flatten().all(Result::is_err);
        if !is_refused {
            for ((_, answer), item) in calls.iter_mut().zip(answered) {
                **answer = item;
            }
        }
        Ok(is_done)
    }
}

/// Whether fewer calls at once may get through.
fn is_about_size(error: &TransportError) -> bool {
    match http_error(error) {
        Some(HttpError::TooLarge(_) | HttpError::NotJsonRpc { .. }) => true,
        Some(HttpError::Status { status, .. }) => matches!(status, 400 | 413 | 414 | 422 | 500),
        _ => false,
    }
}

/// Whether something else than the size of the batch may be meant.
fn is_vague(error: &TransportError) -> bool {
    match http_error(error) {
        Some(HttpError::NotJsonRpc { .. }) => true,
        Some(HttpError::Status { status, .. }) => *status == 500,
        _ => false,
    }
}

/// Whether the node says that there is no such method, or not for this caller, whatever the block:
/// by the code of JSON-RPC, or in words that are about the method. What is missing, disabled or not
/// available otherwise may be there for the next block.
pub(super) fn is_unserved(method: &str, error: &ErrorPayload) -> bool {
    const METHOD_NOT_FOUND: i64 = -32601;
    if error.code == METHOD_NOT_FOUND {
        return true;
    }
    let message = error.message.to_lowercase();
    let Some((before, after)) = message.split_once(&method.to_lowercase()) else {
        return false;
    };
    let is_mark = |it: char| !it.is_alphanumeric();
    let (before, after) = (
        before.trim_end_matches(is_mark),
        after.trim_start_matches(is_mark),
    );
    let after = after.strip_prefix("is ").unwrap_or(after);
    const AFTER: [&str; 7] = [
        "does not exist",
        "not found",
        "not available",
        "not supported",
        "not allowed",
        "not enabled",
        "disabled",
    ];
    const BEFORE: [&str; 5] = [
        "unsupported method",
        "method not found",
        "not supported",
        "not allowed",
        "not whitelisted",
    ];
    AFTER.iter().any(|it| after.starts_with(it)) || BEFORE.iter().any(|it| before.ends_with(it))
}

fn http_error(error: &TransportError) -> Option<&HttpError> {
    match error {
        TransportError::Transport(kind) => kind.as_custom()?.downcast_ref(),
        _ => None,
    }
}

pub(super) async fn request<P: RpcSend, R: RpcRecv>(
    client: &RpcClient,
    method: &'static str,
    params: P,
) -> Result<R, SourceError> {
    (client.request(method, params).await).map_err(|error| failed(method, error))
}

pub(super) fn failed(method: &'static str, error: TransportError) -> SourceError {
    const SHOWN: usize = 200;
    let source: BoxError = match error {
        TransportError::Transport(TransportErrorKind::Custom(source)) => source,
        // The text is the whole answer.
        TransportError::DeserError { err, text } => {
            let text = text.chars().take(SHOWN).collect();
            let short: TransportError = TransportError::DeserError { err, text };
            Box::new(short)
        }
        error => Box::new(error),
    };
    SourceError::Backend(Box::new(RequestError { method, source }))
}

/// Which request failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{method}")]
struct RequestError {
    method: &'static str,
    #[source]
    source: BoxError,
}
