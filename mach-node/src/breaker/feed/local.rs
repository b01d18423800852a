//! A feed from the same process.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{AlertFeed, FeedError, FeedEvent};

/// Events that wait to be taken; who sends more waits.
const CAPACITY: usize = 64;

/// How often the feed says that it is alive while its sender is.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Takes what a [`LocalFeedSender`] sends. It is lost when every sender is gone.
#[derive(Debug)]
pub struct LocalFeed(mpsc::Receiver<FeedEvent>);

/// The other end of a [`LocalFeed`].
#[derive(Clone, Debug)]
pub struct LocalFeedSender(mpsc::Sender<FeedEvent>);

impl LocalFeed {
    /// Both ends. Nothing is known until a [`FeedEvent::Snapshot`] is sent.
    pub fn new() -> (LocalFeedSender, Self) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (LocalFeedSender(sender), Self(receiver))
    }
}

impl LocalFeedSender {
    /// Tells the breaker. Returns whether there is one.
    pub async fn send(&self, event: FeedEvent) -> bool {
        self.0.send(event).await.is_ok()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("nobody sends any more")]
struct Gone;

#[async_trait]
impl AlertFeed for LocalFeed {
    async fn next(&mut self) -> Result<FeedEvent, FeedError> {
        match tokio::time::timeout(ALIVE_EVERY, self.0.recv()).await {
            Err(_) => Ok(FeedEvent::Alive),
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(FeedError(Gone.into())),
        }
    }
}
