//! What is asked for, read from text.

use alloy_primitives::{B256, BlockNumber, ChainId};
use axum::extract::{
    Path, Query,
    rejection::{PathRejection, QueryRejection},
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::problem::Problem;

/// A block or a statement, by height or by 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Number(BlockNumber),
    Hash(B256),
}

impl Which {
    /// Decimal digits, or `0x` and 64 hexadecimal ones.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        if text.starts_with("0x") {
            return hash(text).map(Self::Hash);
        }
        number(text, "block").map(Self::Number)
    }
}

pub(super) fn rollup(text: &str) -> Result<ChainId, Problem> {
    number(text, "rollup")
}

pub(super) fn hash(text: &str) -> Result<B256, Problem> {
    let is_prefixed = text.starts_with("0x");
    (text.parse().ok())
        .filter(|_| is_prefixed)
        .ok_or_else(|| Problem::bad("a hash is 0x and 64 hexadecimal digits"))
}

fn number(text: &str, of: &str) -> Result<u64, Problem> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (text.parse().ok())
        .filter(|_| is_digits)
        .ok_or_else(|| Problem::bad(format!("the {of} is no decimal number of 64 bits")))
}

pub(super) type Segments<T> = Result<Path<T>, PathRejection>;
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(super) fn segments<T>(segments: Segments<T>) -> Result<T, Problem> {
    let segments = segments.map_err(|error| Problem::bad(error.body_text()))?;
    Ok(segments.0)
}

pub(super) fn asked<T: DeserializeOwned>(asked: Asked<T>) -> Result<T, Problem> {
    let asked = asked.map_err(|error| Problem::bad(error.body_text()))?;
    Ok(asked.0)
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only what is about blocks below this height.
    pub(super) before: Option<u64>,
    /// At most this many, from 1 to 100, and what else there is of the last height.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(super) limit: Option<usize>,
}

impl Page {
    pub(super) fn before(self) -> Result<Option<u64>, Problem> {
        // OpenAPI's int64 has no more bits.
        match self.before {
            Some(before) if before > i64::MAX as u64 => {
                Err(Problem::bad("before is a number of 63 bits"))
            }
            before => Ok(before),
        }
    }

    pub(super) fn limit(self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(20) {
            limit @ 1..=100 => Ok(limit),
            _ => Err(Problem::bad("limit is from 1 to 100")),
        }
    }
}

/// What is told of.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfRollup {
    /// Only of this rollup.
    pub(super) rollup: Option<u64>,
}

/// A place in the stream of events.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Since {
    /// Only events of this rollup.
    pub(super) rollup: Option<u64>,
    /// The last event that was seen; the header `Last-Event-ID` says the same.
    pub(super) last_event_id: Option<u64>,
}
