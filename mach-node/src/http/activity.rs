//! What a connection is doing, so that one that does nothing is cut off.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::HttpLimits;

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
    /// When answers of known length have to be gone.
    due: Vec<(u64, Instant)>,
    next: u64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            requests: 0,
            idle_since: Instant::now(),
            due: Vec::new(),
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
            let later = now + limits.head_timeout.min(limits.request_timeout);
            sleep_until(end.map_or(later, |end| end.min(later))).await;
        }
    }

    /// When the connection has to end if nothing changes.
    fn end(&self, limits: &HttpLimits) -> Option<Instant> {
        let state = self.state();
        if state.requests == 0 {
            return Some(state.idle_since + limits.head_timeout);
        }
        state.due.iter().map(|(_, due)| *due).min()
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
    /// Goes with the answer. Answers that go on for ever, as events do, have no known length.
    pub(super) fn answer(self, body: Body, limits: &HttpLimits) -> Body {
        if body.size_hint().exact().is_some() {
            let due = Instant::now() + limits.request_timeout;
            self.activity.state().due.push((self.number, due));
        }
        Body::new(Answer {
            body,
            _request: self,
        })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.due.retain(|(number, _)| *number != self.number);
        state.requests = state.requests.saturating_sub(1);
        if state.requests == 0 {
            state.idle_since = Instant::now();
        }
    }
}

/// A body that says when it is gone.
struct Answer {
    body: Body,
    _request: Request,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits() -> HttpLimits {
        HttpLimits {
            head_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(5),
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

    #[tokio::test(start_paused = true)]
    async fn a_connection_lives_as_long_as_it_does_something() {
        let activity = Activity::new();
        assert_eq!(seconds_until_cut_off(&activity).await, 3);

        // A handler is bounded elsewhere, and events go on for ever.
        let request = activity.begin();
        assert_eq!(seconds_until_cut_off(&activity).await, u64::MAX);
        let events = Body::from_stream(futures::stream::pending::<Result<Bytes, axum::Error>>());
        let events = request.answer(events, &limits());
        assert_eq!(seconds_until_cut_off(&activity).await, u64::MAX);

        // An answer that nobody takes, beside them.
        let answer = activity.begin().answer(Body::from("answer"), &limits());
        assert_eq!(seconds_until_cut_off(&activity).await, 5);
        drop(answer);
        assert_eq!(seconds_until_cut_off(&activity).await, u64::MAX);
        drop(events);
        assert_eq!(seconds_until_cut_off(&activity).await, 3);
    }
}
