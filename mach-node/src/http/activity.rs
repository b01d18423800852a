//! What a connection is doing, so that one that does nothing is cut off.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::Response,
};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::{HttpLimits, admission::Admission};

/// Most bytes of an answer that are handed over at a time.
pub(super) const PART: usize = 16 * 1024;
/// Most bytes that are handed over last. With HTTP/2 these wait in the connection, where nobody sees
/// them, if the client makes room for a first byte only; all others wait here.
const LAST: usize = 1024;

/// Marks an answer that may go on for ever, or for long, as events and files do: an extension of the
/// response. [`HttpLimits`] say how long its client may take for each part, not for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed;

/// What one connection is doing. HTTP/1, HTTP/2, a TLS handshake that does not go on: one measure
/// for all of them is whether there is a request.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests whose head has come and whose answer is not gone.
    requests: usize,
    /// Since when there is none of them.
    idle_since: Instant,
    /// When answers, or the parts of them that were handed over, have to be gone.
    due: BTreeMap<u64, Instant>,
    next: u64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            requests: 0,
            idle_since: Instant::now(),
            due: BTreeMap::new(),
            next: 0,
        })))
    }

    /// The head of a request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Request {
        let mut state = self.state();
        state.requests += 1;
        state.next += 1;
        Request {
            number: state.next,
            activity: Arc::clone(self),
        }
    }

    /// Ends when the connection has to.
    pub(super) async fn overdue(&self, limits: &HttpLimits) {
        loop {
            let now = Instant::now();
            let end = self.end(limits);
            if end.is_some_and(|end| end <= now) {
                return;
            }
            // What begins meanwhile is noticed late, by as much at most.
            let later = limits.head_timeout.min(limits.request_timeout);
            let later = now + later.min(limits.write_timeout);
            sleep_until(end.map_or(later, |end| end.min(later))).await;
        }
    }

    /// When the connection has to end if nothing changes.
    fn end(&self, limits: &HttpLimits) -> Option<Instant> {
        let state = self.state();
        if state.requests == 0 {
            return Some(state.idle_since + limits.head_timeout);
        }
        state.due.values().min().copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request until its answer is gone.
#[derive(Debug)]
pub(super) struct Request {
    number: u64,
    activity: Arc<Activity>,
}

impl Request {
    /// Goes with the answer, as `place` does.
    pub(super) fn answer(
        self,
        answer: Response<Body>,
        place: Option<Admission>,
        limits: &HttpLimits,
    ) -> Response<Body> {
        let is_streamed = answer.extensions().get::<Streamed>().is_some();
        if !is_streamed {
            self.has(limits.request_timeout);
        }
        answer.map(|body| {
            Body::new(Answer {
                body,
                left: Bytes::new(),
                for_each_part: is_streamed.then_some(limits.write_timeout),
                request: self,
                _place: place,
            })
        })
    }

    /// What is there has to be gone after this time.
    fn has(&self, time: Duration) {
        let due = Instant::now() + time;
        self.activity.state().due.insert(self.number, due);
    }

    /// What was there is gone.
    fn is_taken(&self) {
        self.activity.state().due.remove(&self.number);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.due.remove(&self.number);
        state.requests = state.requests.saturating_sub(1);
        if state.requests == 0 {
            state.idle_since = Instant::now();
        }
    }
}

/// A body that says when it is gone.
///
/// Whoever sends it asks for more when what was handed over is on its way, and waits without a word for
/// a client that makes no room.
struct Answer {
    body: Body,
    /// What of `body` is not handed over.
    left: Bytes,
    for_each_part: Option<Duration>,
    request: Request,
    _place: Option<Admission>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.for_each_part.is_some() {
            self.request.is_taken();
        }
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        if let Some(time) = self.for_each_part {
            self.request.has(time);
        }
        let part = match self.left.len() {
            left @ ..=LAST => left,
            left => PART.min(left - LAST),
        };
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, more) = (self.left.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(left + more.lower());
        if let Some(upper) = more.upper() {
            hint.set_upper(left + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt, stream};
    use http_body_util::BodyExt;

    fn limits() -> HttpLimits {
        HttpLimits {
            head_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(2),
            ..HttpLimits::default()
        }
    }

    async fn seconds_until_cut_off(activity: &Activity) -> u64 {
        let start = Instant::now();
        let limits = limits();
        let cut_off = activity.overdue(&limits);
        match tokio::time::timeout(Duration::from_secs(1000), cut_off).await {
            Ok(()) => start.elapsed().as_secs(),
            Err(_) => u64::MAX,
        }
    }

    fn answer(activity: &Arc<Activity>, body: Body) -> Body {
        let answer = Response::new(body);
        activity.begin().answer(answer, None, &limits()).into_body()
    }

    fn streamed(activity: &Arc<Activity>, parts: Vec<&'static str>) -> Body {
        let parts = stream::iter(parts).chain(stream::pending());
        let parts = parts.map(|part| Ok::<_, axum::Error>(Bytes::from(part)));
        let mut answer = Response::new(Body::from_stream(parts));
        answer.extensions_mut().insert(Streamed);
        activity.begin().answer(answer, None, &limits()).into_body()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_lives_as_long_as_it_does_something() {
        let activity = Activity::new();
        assert_eq!(seconds_until_cut_off(&activity).await, 3);

        // A handler is bounded elsewhere, and events go on for ever.
        let request = activity.begin();
        assert_eq!(seconds_until_cut_off(&activity).await, u64::MAX);
        let mut events = streamed(&activity, vec!["one", "two"]);
        drop(request);
        assert_eq!(seconds_until_cut_off(&activity).await, u64::MAX);

        // Answers that nobody takes, beside them: one whose length is known, and one of which it is not.
        let unknown = stream::pending::<Result<Bytes, axum::Error>>();
        for body in [Body::from("answer"), Body::from_stream(unknown)] {
            let answer = answer(&activity, body);
            assert_eq!(seconds_until_cut_off(&activity).await, 5);
            drop(answer);
        }

        // An event that nobody takes, until more is asked for.
        for _ in 0..2 {
            assert!(events.frame().await.is_some());
            assert_eq!(seconds_until_cut_off(&activity).await, 2);
        }
        assert!(events.frame().now_or_never().is_none());
        assert_eq!(seconds_until_cut_off(&activity).await, u64::MAX);
        drop(events);
        assert_eq!(seconds_until_cut_off(&activity).await, 3);
    }

    #[tokio::test]
    async fn an_answer_is_handed_over_in_parts() {
        let activity = Activity::new();
        for length in [0, 1, LAST, LAST + 1, PART + LAST, PART + LAST + 1, 100_000] {
            let bytes: Vec<_> = (0..length).map(|index| index as u8).collect();
            let mut answer = answer(&activity, Body::from(bytes.clone()));
            let (mut taken, mut last) = (Vec::new(), 0);
            while !answer.is_end_stream() {
                let left = (length - taken.len()) as u64;
                assert_eq!(answer.size_hint().exact(), Some(left));
                let part = answer.frame().await.unwrap().unwrap().into_data().unwrap();
                assert!(part.len() <= PART, "{}", part.len());
                last = part.len();
                taken.extend(part);
            }
            assert!(last <= LAST, "{last}");
            assert_eq!(taken, bytes);
        }
    }
}
