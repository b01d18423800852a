//! JSON-RPC as far as a proxy has to understand it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Errors that JSON-RPC and EIP-1474 name.
pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const UNAVAILABLE: i32 = -32002;
pub(super) const LIMIT_EXCEEDED: i32 = -32005;

/// One request. What it says besides these three is not handed on: a node that reads keys without
/// regard to case, or the last of several, would see another request than was judged.
#[derive(Debug, Deserialize)]
pub(super) struct Call<'a> {
    /// As it was sent; `None` for a notification.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) params: Option<&'a RawValue>,
}

/// What a client sent.
#[derive(Debug)]
pub(super) enum Payload<'a> {
    Single(Result<Call<'a>, Error>),
    Batch(Vec<Result<Call<'a>, Error>>),
}

/// `null` is there, unlike what is not.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// An error object.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Error {
    pub(super) code: i32,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Box<RawValue>>,
}

impl Error {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    fn invalid_request(error: &serde_json::Error) -> Self {
        Self::new(INVALID_REQUEST, format!("not a request: {error}"))
    }
}

impl<'a> Payload<'a> {
    /// Errors: what the whole is answered with.
    pub(super) fn parse(bytes: &'a [u8], max_batch: usize) -> Result<Self, Error> {
        let not_json =
            |error: serde_json::Error| Error::new(PARSE_ERROR, format!("not JSON: {error}"));
        if !bytes.trim_ascii_start().starts_with(b"[") {
            let value: &RawValue = serde_json::from_slice(bytes).map_err(not_json)?;
            return Ok(Self::Single(call(value)));
        }
        let values: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(not_json)?;
        if values.is_empty() {
            return Err(Error::new(INVALID_REQUEST, "empty batch"));
        }
        if values.len() > max_batch {
            let message = format!("{} calls in a batch, at most {max_batch}", values.len());
            return Err(Error::new(LIMIT_EXCEEDED, message));
        }
        Ok(Self::Batch(values.into_iter().map(call).collect()))
    }
}

fn call(value: &RawValue) -> Result<Call<'_>, Error> {
    let call: Call<'_> =
        serde_json::from_str(value.get()).map_err(|error| Error::invalid_request(&error))?;
    if call.id.is_some_and(|id| id.get().starts_with(['{', '['])) {
        return Err(Error::new(INVALID_REQUEST, "the id is no string or number"));
    }
    Ok(call)
}

/// A request that says what was judged and nothing else.
pub(super) fn request(id: Option<usize>, method: &str, params: Option<&str>) -> String {
    // A string is always serialized.
    let method = serde_json::to_string(method).unwrap_or_default();
    let mut text = format!(r#"{{"jsonrpc":"2.0","method":{method}"#);
    if let Some(id) = id {
        text.push_str(&format!(r#","id":{id}"#));
    }
    if let Some(params) = params {
        text.push_str(r#","params":"#);
        text.push_str(params);
    }
    text.push('}');
    text
}

/// An answer whose id is `null` where it has to be guessed.
pub(super) fn failure(id: Option<&RawValue>, error: &Error) -> String {
    let id = id.map_or("null", RawValue::get);
    // Its parts are strings, numbers and JSON.
    let error = serde_json::to_string(error).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

/// An answer with `result`, which is JSON.
pub(super) fn success(id: Option<&RawValue>, result: &str) -> String {
    let id = id.map_or("null", RawValue::get);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// What a node answers.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// The answer under the id that the client chose.
    pub(super) fn under(&self, id: Option<&RawValue>) -> String {
        let shown = id.map_or("null", RawValue::get);
        match (self.error, self.result) {
            (Some(error), _) => {
                let error = error.get();
                format!(r#"{{"jsonrpc":"2.0","id":{shown},"error":{error}}}"#)
            }
            (None, Some(result)) => success(id, result.get()),
            (None, None) => failure(id, &Error::new(UNAVAILABLE, "the node gave no answer")),
        }
    }
}

/// Several answers as one.
pub(super) fn batch(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(text: &str) -> Result<Call<'_>, Error> {
        match Payload::parse(text.as_bytes(), 10).unwrap() {
            Payload::Single(call) => call,
            Payload::Batch(_) => panic!("one call"),
        }
    }

    #[test]
    fn ids_are_kept_as_they_are() {
        for id in [
            "1",
            "\"a\\u0062\"",
            "null",
            "1e2",
            "18446744073709551616",
            "-0.5",
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
            let call = single(&text).unwrap();
            assert_eq!(call.id.unwrap().get(), id);
            let answer = failure(call.id, &Error::new(-1, "no"));
            assert!(answer.contains(&format!(r#""id":{id},"#)), "{answer}");
        }
        let notification = single(r#"{"method":"m"}"#).unwrap();
        assert!(notification.id.is_none() && notification.params.is_none());
        assert_eq!(
            single(r#"{"id":[1],"method":"m"}"#).unwrap_err().code,
            INVALID_REQUEST
        );
    }

    #[test]
    fn what_is_no_request_is_told_apart() {
        let code = |text: &str| match Payload::parse(text.as_bytes(), 2) {
            Err(error) => error.code,
            Ok(Payload::Single(call)) => call.unwrap_err().code,
            Ok(Payload::Batch(_)) => 0,
        };
        assert_eq!(code(""), PARSE_ERROR);
        assert_eq!(code("{"), PARSE_ERROR);
        assert_eq!(code("[1,"), PARSE_ERROR);
        assert_eq!(code("{} {}"), PARSE_ERROR);
        assert_eq!(code("[]"), INVALID_REQUEST);
        assert_eq!(code("{}"), INVALID_REQUEST);
        assert_eq!(code(r#"{"method":7}"#), INVALID_REQUEST);
        assert_eq!(code("[1,2]"), 0);
        assert_eq!(code(" [1,2,3]"), LIMIT_EXCEEDED);
        // A node might take the one or the other.
        assert_eq!(code(r#"{"method":"a","method":"b"}"#), INVALID_REQUEST);
    }

    #[test]
    fn a_request_says_what_was_judged_and_nothing_else() {
        let text = r#"{"id":1,"METHOD":"eth_sendRawTransaction","method":"eth_chain\u0049d","Params":[1]}"#;
        let call = single(text).unwrap();
        assert_eq!(
            request(Some(0), &call.method, call.params.map(RawValue::get)),
            r#"{"jsonrpc":"2.0","method":"eth_chainId","id":0}"#
        );
        assert_eq!(
            request(None, "a\"b", Some("[null]")),
            r#"{"jsonrpc":"2.0","method":"a\"b","params":[null]}"#
        );
    }

    #[test]
    fn answers_come_under_the_id_of_the_client() {
        let id: Box<RawValue> = RawValue::from_string("\"x\"".into()).unwrap();
        let under = |text: &str| {
            let answer: Answer<'_> = serde_json::from_str(text).unwrap();
            answer.under(Some(&id))
        };
        assert_eq!(
            under(r#"{"id":0,"result":null,"error":null}"#),
            r#"{"jsonrpc":"2.0","id":"x","result":null}"#
        );
        assert_eq!(
            under(r#"{"id":0,"error":{"code":3,"message":"m","data":"0x"}}"#),
            r#"{"jsonrpc":"2.0","id":"x","error":{"code":3,"message":"m","data":"0x"}}"#
        );
        assert!(under(r#"{"id":0}"#).contains("-32002"));
    }
}
