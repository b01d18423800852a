//! Events, as server-sent events and over WebSocket.

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy_primitives::ChainId;
use axum::{
    Extension,
    extract::{
        State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};

use super::{
    Api,
    ask::{Asked, Since, asked},
    problem::Problem,
};
use crate::{
    finality::{EventRecord, FinalityEvent, hub::Subscription},
    http::Streamed,
};

/// Events that wait for one listener; who is further behind is cut off.
const MAX_WAITING: usize = 256;
/// How long a listener may take to read one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest message of a listener, which has nothing to say.
const MAX_HEARD: usize = 1024;
/// Close code: the listener is too slow, and may come back.
const TRY_AGAIN: u16 = 1013;

/// Server-sent events.
///
/// Each has the `id`, the type as its `event`, and an `EventRecord` as its `data`. The first is a
/// snapshot, unless `Last-Event-ID` names one that is not long ago. Who reads too slowly is cut off
/// and may resume.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(Since),
    responses(
        (status = 200, description = "Events without end", body = EventRecord, content_type = "text/event-stream"),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many listeners", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    headers: HeaderMap,
    since: Asked<Since>,
) -> Result<Response, Problem> {
    let events = listen(&api, &headers, asked(since)?)?;
    let stream = events.map(|record| Ok::<_, Infallible>(sse(&record)));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let no_cache = [("cache-control", "no-store"), ("x-accel-buffering", "no")];
    let events = Sse::new(stream).keep_alive(keep_alive);
    Ok((Extension(Streamed), no_cache, events).into_response())
}

/// WebSocket: each message is an `EventRecord` in text; what the client sends is ignored.
#[utoipa::path(
    get, path = "/v1/ws", tag = "events", params(Since),
    responses(
        (status = 101, description = "The connection is a WebSocket now"),
        (status = 400, description = "The request is malformed, or asks for no WebSocket", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "The connection cannot be a WebSocket", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many listeners", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn web_socket(
    State(api): State<Api>,
    headers: HeaderMap,
    since: Asked<Since>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let since = asked(since)?;
    let upgrade = upgrade.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let events = listen(&api, &headers, since)?;
    let upgrade = upgrade
        .max_message_size(MAX_HEARD)
        .max_frame_size(MAX_HEARD);
    Ok(upgrade.on_upgrade(move |socket| tell(socket, events)))
}

async fn tell(mut socket: WebSocket, events: impl Stream<Item = Arc<EventRecord>> + Send) {
    let mut events = std::pin::pin!(events);
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    loop {
        let message = tokio::select! {
            event = events.next() => match event {
                Some(record) => Message::text(json(&record)),
                None => {
                    let reason = "too slow".into();
                    let close = CloseFrame { code: TRY_AGAIN, reason };
                    let close = socket.send(Message::Close(Some(close)));
                    let _ = tokio::time::timeout(SEND_TIMEOUT, close).await;
                    return;
                }
            },
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = alive.tick() => Message::Ping(Default::default()),
        };
        let sent = tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The events that a listener asks for. The stream ends when the listener is too slow.
fn listen(
    api: &Api,
    headers: &HeaderMap,
    since: Since,
) -> Result<impl Stream<Item = Arc<EventRecord>> + Send + use<>, Problem> {
    if let Some(rollup) = since.rollup {
        api.index.rollup(rollup)?;
    }
    let last = match headers.get("last-event-id") {
        Some(header) => {
            let read = header.to_str().ok().and_then(|text| text.parse().ok());
            let unread = || Problem::bad("Last-Event-ID is not the id of an event");
            Some(read.ok_or_else(unread)?)
        }
        None => since.last_event_id,
    };
    let full = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listeners");
    let permit = Arc::clone(&api.listeners).try_acquire_owned();
    let permit = permit.map_err(|_| full())?;
    let subscription = api.index.subscribe(last);
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    tokio::spawn(forward(subscription, since.rollup, sender, permit));
    Ok(stream::unfold(receiver, |mut receiver| async {
        let record = receiver.recv().await?;
        Some((record, receiver))
    }))
}

/// Hands events to one listener until it goes, or falls behind: its place is free then, even if it
/// never reads again.
async fn forward(
    subscription: Subscription,
    rollup: Option<ChainId>,
    sender: mpsc::Sender<Arc<EventRecord>>,
    _place: OwnedSemaphorePermit,
) {
    let Subscription {
        missed,
        mut receiver,
    } = subscription;
    let of_rollup = |record: &Arc<EventRecord>| match rollup {
        Some(rollup) => narrowed(record, rollup),
        None => Some(Arc::clone(record)),
    };
    // What was missed may be more than may wait, and the listener has not read yet.
    for record in missed.iter().filter_map(of_rollup) {
        let sent = tokio::time::timeout(SEND_TIMEOUT, sender.send(record)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
    loop {
        let record = tokio::select! {
            record = receiver.recv() => record,
            () = sender.closed() => return,
        };
        match record {
            Ok(record) => {
                if let Some(record) = of_rollup(&record)
                    && sender.try_send(record).is_err()
                {
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {
                return;
            }
        }
    }
}

/// The event as far as it is about this rollup.
fn narrowed(record: &Arc<EventRecord>, rollup: ChainId) -> Option<Arc<EventRecord>> {
    let of = match &record.event {
        FinalityEvent::Snapshot { rollups } => {
            let rollups = rollups.iter().filter(|it| it.rollup == rollup);
            return Some(Arc::new(EventRecord {
                id: record.id,
                event: FinalityEvent::Snapshot {
                    rollups: rollups.cloned().collect(),
                },
            }));
        }
        FinalityEvent::Attested(it) => it.rollup,
        FinalityEvent::Alerted(it) => it.rollup,
        FinalityEvent::Confirmed { rollup, .. }
        | FinalityEvent::Unconfirmed { rollup, .. }
        | FinalityEvent::Resolved { rollup, .. }
        | FinalityEvent::Head { rollup, .. } => *rollup,
    };
    (of == rollup).then(|| Arc::clone(record))
}

fn sse(record: &EventRecord) -> Event {
    Event::default()
        .id(record.id.to_string())
        .event(record.event.name())
        .data(json(record))
}

fn json(record: &EventRecord) -> String {
    serde_json::to_string(record).expect("an event has text for keys and nothing else can fail")
}

#[cfg(test)]
mod tests {
    use super::{super::Beside, *};
    use crate::{
        finality::{FinalityConfig, FinalityIndex, Seen},
        store::MemoryStore,
    };
    use alloy_consensus::Header;
    use alloy_primitives::{Address, B256};
    use mach_core::{Domain, L2Block};

    const SINCE: Since = Since {
        rollup: Some(10),
        last_event_id: None,
    };

    async fn api() -> Api {
        let domain = Domain {
            l1_chain_id: 1,
            service_manager: Address::ZERO,
        };
        let config = FinalityConfig::new(domain, [10, 11]);
        let index = FinalityIndex::open(MemoryStore::new(), config).await;
        Api::new(index.unwrap(), Beside::default())
    }

    /// Each block is one event: the head is another.
    async fn produce(api: &Api, rollup: u64, numbers: std::ops::Range<u64>) {
        let mut parent = B256::ZERO;
        for number in numbers {
            let header = Header {
                number,
                parent_hash: parent,
                ..Default::default()
            };
            let block = L2Block::new(rollup, header, Vec::new());
            assert_eq!(api.index.seen(&block).await.unwrap(), Seen::Taken);
            parent = block.hash();
            // The task that forwards has its turn.
            tokio::task::yield_now().await;
        }
    }

    /// Nothing piles up for whoever does not read, and its place is free.
    #[tokio::test]
    async fn a_slow_listener_is_cut_off() {
        let api = api().await;
        let all = api.listeners.available_permits();
        let slow = listen(&api, &HeaderMap::new(), SINCE).unwrap();
        assert_eq!(api.listeners.available_permits(), all - 1);
        produce(&api, 10, 0..MAX_WAITING as u64 * 2).await;
        assert_eq!(api.listeners.available_permits(), all);
        // The snapshot and what had room, then the end.
        assert_eq!(slow.count().await, MAX_WAITING);
    }

    #[tokio::test]
    async fn who_goes_away_makes_room() {
        let api = api().await;
        let all = api.listeners.available_permits();
        let gone = listen(&api, &HeaderMap::new(), SINCE).unwrap();
        drop(gone);
        while api.listeners.available_permits() < all {
            tokio::task::yield_now().await;
        }
        // And when there is no room, that is said.
        let places = api.listeners.try_acquire_many(all as u32).unwrap();
        let refused = listen(&api, &HeaderMap::new(), SINCE).err().unwrap();
        assert_eq!(refused.status, 503);
        drop(places);
    }

    #[tokio::test]
    async fn a_listener_hears_of_its_rollup_only() {
        let api = api().await;
        let heard = listen(&api, &HeaderMap::new(), SINCE).unwrap();
        produce(&api, 11, 0..3).await;
        produce(&api, 10, 0..2).await;
        let heard: Vec<_> = heard.take(3).collect().await;
        let rollup = |record: &Arc<EventRecord>| match &record.event {
            FinalityEvent::Snapshot { rollups } => rollups.iter().map(|it| it.rollup).collect(),
            FinalityEvent::Head { rollup, .. } => vec![*rollup],
            other => panic!("{other:?}"),
        };
        assert_eq!(heard.iter().flat_map(rollup).collect::<Vec<_>>(), [10; 3]);
    }
}
