//! Events of a long range of blocks, in as few requests as the node allows.

use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{Filter, Log};
use alloy_transport::TransportError;

/// Most blocks that are asked for at once. Nodes of one's own allow it; others are asked for less.
const MAX_RANGE: u64 = 1_000_000;
/// Down to here a request that got no answer at all is taken to have been too much to ask for.
const SMALLEST_TIMEOUT: u64 = 10_000;

/// Reads on from a block, a range at a time.
pub(crate) struct LogReader<'a> {
    provider: &'a DynProvider,
    filter: Filter,
    from: u64,
    to: u64,
    range: u64,
}

impl<'a> LogReader<'a> {
    /// Reads what `filter` lets through in the blocks from `from` to `to`.
    pub(crate) const fn new(provider: &'a DynProvider, filter: Filter, from: u64, to: u64) -> Self {
        Self {
            provider,
            filter,
            from,
            to,
            range: MAX_RANGE,
        }
    }

    /// The next events and the block up to which they are complete; `None` at the end.
    ///
    /// Errors: the node does not answer, even for a single block.
    pub(crate) async fn next(&mut self) -> Result<Option<(Vec<Log>, u64)>, TransportError> {
        while self.from <= self.to {
            let last = self.to.min(self.from.saturating_add(self.range - 1));
            let filter = self.filter.clone().from_block(self.from).to_block(last);
            match self.provider.get_logs(&filter).await {
                Ok(logs) => {
                    self.from = last.saturating_add(1);
                    return Ok(Some((logs, last)));
                }
                Err(error) => {
                    let asked = last - self.from + 1;
                    let refused = error.is_error_resp() && asked > 1;
                    if !refused && asked <= SMALLEST_TIMEOUT {
                        return Err(error);
                    }
                    self.range = (asked / 2).max(1);
                }
            }
        }
        Ok(None)
    }
}
