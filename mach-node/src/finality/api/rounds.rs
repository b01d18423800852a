//! Reports of an aggregator's rounds, made once for all who ask.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::ChainId;
use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};

use crate::{
    RoundView,
    finality::{FinalityError, RoundReport},
};

/// How long reports are told again.
const TOLD_AGAIN: Duration = Duration::from_millis(500);
/// Rounds that are told at a time.
const MAX_ROUNDS: usize = 100;

type Kept = BTreeMap<Option<ChainId>, (Instant, Reports)>;

/// Tells the rounds that an aggregator has.
///
/// With thousands of operators that is long. Clones share what was made for one of them, for half a
/// second.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub struct Rounds {
    tell: Arc<dyn Fn() -> Vec<RoundView> + Send + Sync>,
    kept: Arc<Mutex<Kept>>,
}

impl Rounds {
    /// `tell` returns the rounds as they are now, newest first.
    pub fn new(tell: impl Fn() -> Vec<RoundView> + Send + Sync + 'static) -> Self {
        Self {
            tell: Arc::new(tell),
            kept: Arc::default(),
        }
    }

    /// Reports of the rounds of one rollup, which is served, or of all.
    pub(super) async fn reports(&self, rollup: Option<ChainId>) -> Result<Reports, FinalityError> {
        let mut kept = Arc::clone(&self.kept).lock_owned().await;
        if let Some((made, reports)) = kept.get(&rollup)
            && made.elapsed() < TOLD_AGAIN
        {
            return Ok(reports.clone());
        }
        let tell = Arc::clone(&self.tell);
        // It has the lock: whoever does not wait for it begins no second one.
        let made = spawn_blocking(move || {
            let reports = Reports::of(tell(), rollup);
            // Who waited for these has them, however long they took.
            kept.insert(rollup, (Instant::now(), reports.clone()));
            reports
        });
        made.await
            .map_err(|error| FinalityError::Rounds(error.into()))
    }
}

/// A list of [`RoundReport`]s in JSON.
#[derive(Clone, Debug)]
pub(super) struct Reports(Arc<RawValue>);

impl Reports {
    pub(super) fn of(mut rounds: Vec<RoundView>, rollup: Option<ChainId>) -> Self {
        rounds.retain(|round| {
            rollup.is_none_or(|rollup| rollup == round.statement.rollup_chain_id())
        });
        rounds.truncate(MAX_ROUNDS);
        let reports = to_raw_value(&RoundReport::of(rounds));
        let reports = reports.expect("a report has text for keys and nothing else can fail");
        Self(reports.into())
    }
}

impl AsRef<[u8]> for Reports {
    fn as_ref(&self) -> &[u8] {
        self.0.get().as_bytes()
    }
}

impl Serialize for Reports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (*self.0).serialize(serializer)
    }
}

impl IntoResponse for Reports {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (kind, Body::from(Bytes::from_owner(self))).into_response()
    }
}
