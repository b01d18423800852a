use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// Largest answer that is read by default, in bytes: ten times the largest witness of a public chain.
pub const MAX_RESPONSE_BYTES: usize = 512 * 1024 * 1024;

/// How a node is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcOptions {
    /// How long an answer is waited for, connecting included; a node may execute the block first.
    pub timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Most requests in a second, a batch being one; `None` is no limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// Most requests under way at once.
    pub concurrent_requests: NonZeroUsize,
    /// How often a request is sent again if the node is busy or not reached. It waits for as long
    /// as the node says, or twice as long each time.
    pub retries: usize,
    /// Most calls in a batch. A node that takes fewer is noticed, and gets fewer.
    pub batch_size: NonZeroUsize,
}

impl Default for RpcOptions {
    /// For a node of one's own: 60 seconds, [`MAX_RESPONSE_BYTES`], no limit of the rate, 16 requests
    /// at once, 4 retries, 1,000 calls in a batch, which is geth's limit.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_response_bytes: MAX_RESPONSE_BYTES,
            requests_per_second: None,
            concurrent_requests: const { NonZeroUsize::new(16).unwrap() },
            retries: 4,
            batch_size: DEFAULT_BATCH_SIZE,
        }
    }
}

pub(super) const DEFAULT_BATCH_SIZE: NonZeroUsize = const { NonZeroUsize::new(1000).unwrap() };
