//! What becomes of a request.

use std::sync::Arc;

use alloy_primitives::ChainId;
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use mach_core::{BlockRef, Confirmation};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    config::BreakerLimits,
    gate::{Gate, GateState, Restriction},
    jsonrpc::{
        self, Answer, Call, Error, INVALID_PARAMS, LIMIT_EXCEEDED, PARSE_ERROR, Payload,
        UNAVAILABLE,
    },
    methods::Kind,
    pin::{Heads, PinError, is_above, pin, quantity},
    policy::{Action, MethodRules, Policy, action},
    upstream::{Answered, Upstream, UpstreamError},
};

/// Code of the error that a call is refused with while an alert stands.
pub const ALERT_STANDS: i32 = -32050;

/// Code of the error that a call is refused with while it is not known whether an alert stands.
pub const FEED_LOST: i32 = -32051;

/// Everything that requests need. Shared.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) gate: Gate,
    pub(super) methods: MethodRules,
    pub(super) upstream: Upstream,
    pub(super) limits: BreakerLimits,
}

/// A response that is not built yet.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is to be done with one call.
enum Step {
    /// Handed on; of the answer is left what does not lie behind the end of the chain.
    Forward {
        params: Option<String>,
        seen: Option<(Kind, Heads)>,
    },
    /// Answered here.
    Result(String),
    Refuse(Error),
}

impl Proxy {
    /// Answers the body of one POST request.
    pub(super) async fn answer(self: &Arc<Self>, headers: HeaderMap, body: Bytes) -> Reply {
        let Some(restriction) = self.gate.restriction() else {
            count("served");
            return match self
                .upstream
                .send(Method::POST, headers, body.clone())
                .await
            {
                Ok(answered) => answered.into(),
                Err(error) => Reply::unavailable(&body, error),
            };
        };
        let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
        if !headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .all(is_plain)
        {
            let message = "while an alert stands requests have to be plain JSON";
            let body = jsonrpc::failure(None, &Error::new(PARSE_ERROR, message));
            return Reply::json(StatusCode::UNSUPPORTED_MEDIA_TYPE, body);
        }
        let parsed = Payload::parse(&body, self.limits.max_batch);
        match parsed {
            Err(error) => Reply::json(StatusCode::OK, jsonrpc::failure(None, &error)),
            Ok(payload) => self.judge(&restriction, headers, payload).await,
        }
    }

    /// Judges each call alone, hands on what is left, and puts the answers together.
    pub(super) async fn judge(
        &self,
        restriction: &Restriction,
        headers: HeaderMap,
        payload: Payload<'_>,
    ) -> Reply {
        let (calls, is_batch) = match payload {
            Payload::Single(call) => (vec![call], false),
            Payload::Batch(calls) => (calls, true),
        };
        let mut steps = Vec::with_capacity(calls.len());
        let mut requests = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let step = match call {
                Ok(call) => self.step(restriction, call).await,
                Err(error) => Step::Refuse(error.clone()),
            };
            count(match &step {
                Step::Forward { .. } => "forwarded",
                Step::Result(_) => "answered",
                Step::Refuse(_) => "refused",
            });
            if let (Step::Forward { params, .. }, Ok(call)) = (&step, call) {
                // Ids of our own, so that an answer belongs to one call, whatever the client chose.
                let id = call.id.map(|_| index);
                let params = params.as_deref().or(call.params.map(RawValue::get));
                requests.push(jsonrpc::request(id, &call.method, params));
            }
            steps.push(step);
        }
        let answered = match (requests.as_slice(), is_batch) {
            ([], _) => None,
            (requests, true) => Some(self.ask(headers, jsonrpc::batch(requests)).await),
            ([request, ..], false) => Some(self.ask(headers, request.clone()).await),
        };
        let received = match &answered {
            None => Ok(Vec::new()),
            Some(Err(error)) => Err(Error::new(UNAVAILABLE, error.to_string())),
            Some(Ok(answered)) => answers(answered),
        };
        let answers: Vec<String> = calls
            .iter()
            .zip(&steps)
            .enumerate()
            .filter_map(|(index, (call, step))| match call {
                Ok(call) => {
                    // A notification has no answer, not even a refusal.
                    let id = call.id?;
                    Some(put(Some(id), index, step, &received))
                }
                Err(_) => Some(put(None, index, step, &received)),
            })
            .collect();
        let body = match (answers.as_slice(), is_batch) {
            ([], _) => String::new(),
            (answers, true) => jsonrpc::batch(answers),
            ([answer, ..], false) => answer.clone(),
        };
        match answered {
            None => Reply::json(StatusCode::OK, body),
            Some(Err(error)) if received_nothing_else(&steps) => Reply::json(error.status(), body),
            Some(Err(_)) => Reply::json(StatusCode::OK, body),
            Some(Ok(Answered { mut headers, .. })) => {
                // The body is another one.
                for name in [header::CONTENT_ENCODING, header::ETAG] {
                    headers.remove(name);
                }
                let mut reply = Reply::json(StatusCode::OK, body);
                headers.remove(header::CONTENT_TYPE);
                if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
                    reply.headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
                }
                reply.headers.extend(headers);
                reply
            }
        }
    }

    async fn ask(&self, mut headers: HeaderMap, body: String) -> Result<Answered, UpstreamError> {
        // The answer is looked into.
        headers.remove(header::ACCEPT_ENCODING);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        self.upstream.send(Method::POST, headers, body.into()).await
    }

    /// What is to be done with a call under `restriction`.
    async fn step(&self, restriction: &Restriction, call: &Call<'_>) -> Step {
        let kind = match action(restriction.policy, &self.methods, &call.method) {
            Action::Serve => {
                return Step::Forward {
                    params: None,
                    seen: None,
                };
            }
            Action::Refuse => {
                let why = format!("{} is refused", shown(&call.method));
                return Step::Refuse(self.refusal(restriction, &why));
            }
            Action::Pin(kind) => kind,
        };
        if kind == Kind::Changes {
            // They stay where they are until the chain goes on.
            return Step::Result("[]".to_owned());
        }
        let heads = match self.upstream.heads(restriction).await {
            Ok(heads) => heads,
            Err(error) => return Step::Refuse(self.refusal(restriction, &error.to_string())),
        };
        match kind {
            Kind::Head => Step::Result(quantity(heads.latest).to_string()),
            Kind::Inclusion | Kind::BlockByHash => Step::Forward {
                params: None,
                seen: Some((kind, heads)),
            },
            kind => match pin(kind, call.params.map(RawValue::get), &heads) {
                Ok(params) => Step::Forward {
                    params: Some(params.to_string()),
                    seen: None,
                },
                Err(error @ (PinError::Above(_) | PinError::NoHead(_))) => {
                    Step::Refuse(self.refusal(restriction, &error.to_string()))
                }
                Err(error @ PinError::Malformed(_)) => Step::Refuse(Error::new(
                    INVALID_PARAMS,
                    format!(
                        "{} is answered at an attested block: {error}",
                        shown(&call.method)
                    ),
                )),
            },
        }
    }

    /// The error of a call that is refused, which names the alert.
    fn refusal(&self, restriction: &Restriction, why: &str) -> Error {
        let rollup = self.gate.rules().rollup;
        let (code, cause) = match (&restriction.alert, restriction.state) {
            (Some(alert), _) => {
                let about = alert
                    .block()
                    .map_or_else(String::new, |block| format!(" against block {block}"));
                (
                    ALERT_STANDS,
                    format!("alert {}{about} stands", alert.digest),
                )
            }
            (None, GateState::Tripped) => (ALERT_STANDS, "an alert stands".to_owned()),
            (None, _) => (
                FEED_LOST,
                "it is not known whether an alert stands".to_owned(),
            ),
        };
        let alert = restriction.alert.as_ref();
        let data = RefusalData {
            rollup,
            state: restriction.state,
            policy: restriction.policy,
            digest: alert.map(|alert| alert.digest),
            statement: alert.and_then(|alert| alert.statement.as_ref()),
            block: alert.and_then(super::feed::StandingAlert::block),
            confirmation: alert.and_then(|alert| alert.confirmation),
            standing: restriction.standing,
            attested: restriction.attested,
        };
        Error {
            code,
            message: format!("rollup {rollup}: {cause}, {why}"),
            data: to_raw_value(&data).ok(),
        }
    }
}

/// `data` of a refusal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusalData<'a> {
    rollup: ChainId,
    state: GateState,
    policy: Policy,
    digest: Option<alloy_primitives::B256>,
    statement: Option<&'a mach_core::Alert>,
    block: Option<BlockRef>,
    confirmation: Option<Confirmation>,
    standing: usize,
    attested: Option<BlockRef>,
}

fn count(outcome: &'static str) {
    metrics::counter!("mach_breaker_calls", "outcome" => outcome).increment(1);
}

/// The answers of the node, or the one error that all calls get.
fn answers(answered: &Answered) -> Result<Vec<Answer<'_>>, Error> {
    let body = &answered.body;
    if body.trim_ascii_start().starts_with(b"[") {
        if let Ok(answers) = serde_json::from_slice(body) {
            return Ok(answers);
        }
    } else if let Ok(answer) = serde_json::from_slice(body) {
        return Ok(vec![answer]);
    }
    let status = answered.status;
    let message = if status.is_success() {
        "the answer of the node behind the breaker is no JSON-RPC".to_owned()
    } else {
        format!("the node behind the breaker answers with HTTP status {status}")
    };
    Err(Error::new(UNAVAILABLE, message))
}

/// The answer to one call.
fn put(
    id: Option<&RawValue>,
    index: usize,
    step: &Step,
    received: &Result<Vec<Answer<'_>>, Error>,
) -> String {
    let (seen, received) = match (step, received) {
        (Step::Result(result), _) => return jsonrpc::success(id, result),
        (Step::Refuse(error), _) => return jsonrpc::failure(id, error),
        (Step::Forward { .. }, Err(error)) => return jsonrpc::failure(id, error),
        (Step::Forward { seen, .. }, Ok(received)) => (seen, received),
    };
    let index = index.to_string();
    let is_its_own = |answer: &&Answer<'_>| answer.id.is_some_and(|id| id.get() == index);
    // An error without an id is about the whole.
    let is_of_all = |answer: &&Answer<'_>| {
        answer.error.is_some() && answer.id.is_none_or(|id| id.get() == "null")
    };
    let answer = received.iter().find(is_its_own);
    let Some(answer) = answer.or_else(|| received.iter().find(is_of_all)) else {
        let message = "the node behind the breaker did not answer this call";
        return jsonrpc::failure(id, &Error::new(UNAVAILABLE, message));
    };
    match (seen, answer.result) {
        (Some((kind, heads)), Some(result)) if is_above(*kind, result.get(), heads) => {
            jsonrpc::success(id, "null")
        }
        _ => answer.under(id),
    }
}

/// Whether nothing in the reply is worth more than the failure of the node.
fn received_nothing_else(steps: &[Step]) -> bool {
    steps
        .iter()
        .all(|step| matches!(step, Step::Forward { .. }))
}

/// A method's name, which may be of any length.
fn shown(method: &str) -> String {
    method.chars().take(64).collect()
}

impl Reply {
    /// An answer of the breaker's own. It holds nothing that a page in a browser may not see.
    pub(super) fn json(status: StatusCode, body: String) -> Self {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let any = HeaderValue::from_static("*");
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    /// The calls in `body` have no answer.
    fn unavailable(body: &[u8], error: UpstreamError) -> Self {
        let code = match error {
            UpstreamError::Busy(_) | UpstreamError::TooLarge(_) => LIMIT_EXCEEDED,
            _ => UNAVAILABLE,
        };
        let answer = Error::new(code, error.to_string());
        let text = match Payload::parse(body, usize::MAX) {
            Ok(Payload::Single(Ok(call))) => jsonrpc::failure(call.id, &answer),
            Ok(Payload::Batch(calls)) => {
                let ids = calls.iter().filter_map(|call| call.as_ref().ok()?.id);
                let answers: Vec<_> = ids.map(|id| jsonrpc::failure(Some(id), &answer)).collect();
                jsonrpc::batch(&answers)
            }
            _ => jsonrpc::failure(None, &answer),
        };
        Self::json(error.status(), text)
    }
}

impl From<Answered> for Reply {
    fn from(answered: Answered) -> Self {
        Self {
            status: answered.status,
            headers: answered.headers,
            body: answered.body,
        }
    }
}
