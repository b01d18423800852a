//! Filters that are polled.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use alloy_primitives::U256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption};
use serde_json::Value;

use super::{Params, Rpc, RpcError, json};
use crate::chain::Role;

/// Most filters that are kept; a new one then takes the place of the oldest.
const MAX_FILTERS: usize = 1024;

/// Filters by id.
#[derive(Debug, Default)]
pub(super) struct Filters {
    next_id: u64,
    by_id: BTreeMap<u64, State>,
}

#[derive(Clone, Debug)]
struct State {
    kind: Kind,
    /// First block that was not reported yet.
    next: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Blocks,
    Logs(Box<Filter>),
}

impl Filters {
    fn add(&mut self, state: State) -> u64 {
        if self.by_id.len() >= MAX_FILTERS {
            self.by_id.pop_first();
        }
        self.next_id += 1;
        self.by_id.insert(self.next_id, state);
        self.next_id
    }
}

impl<R: Role> Rpc<R> {
    pub(super) fn new_block_filter(&self) -> Result<Value, RpcError> {
        self.add_filter(Kind::Blocks)
    }

    pub(super) fn new_log_filter(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let filter: Filter = params.required(0)?;
        if filter.is_paginatable() || filter.block_option == FilterBlockOption::default() {
            return self.add_filter(Kind::Logs(Box::new(filter)));
        }
        Err(RpcError::params(
            "a filter follows a range of blocks, not one block hash",
        ))
    }

    pub(super) fn filter_changes(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let id = filter_id(params)?;
        let head = self.chain.head();
        let mut filters = self.filters();
        let state = filters.by_id.get_mut(&id).ok_or_else(unknown)?;
        // After a reorganisation the head may lie below what was reported.
        let from = state.next.min(head + 1);
        let answer = match &state.kind {
            Kind::Blocks => {
                let hashes: Vec<_> = (from..=head)
                    .filter_map(|number| self.chain.block_hash(number))
                    .collect();
                json(hashes)?
            }
            Kind::Logs(_) if from > head => json(Vec::<()>::new())?,
            Kind::Logs(filter) => {
                let lowest = filter.get_from_block().unwrap_or_default().max(from);
                let highest = filter.get_to_block().unwrap_or(head).min(head);
                if lowest > highest {
                    json(Vec::<()>::new())?
                } else {
                    let part = filter.as_ref().clone().from_block(lowest).to_block(highest);
                    json(self.chain.logs(&part)?)?
                }
            }
        };
        state.next = head + 1;
        Ok(answer)
    }

    pub(super) fn filter_logs(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let id = filter_id(params)?;
        let kind = self
            .filters()
            .by_id
            .get(&id)
            .ok_or_else(unknown)?
            .kind
            .clone();
        match kind {
            Kind::Logs(filter) => json(self.chain.logs(&filter)?),
            Kind::Blocks => Err(RpcError::params("the filter is not one of logs")),
        }
    }

    pub(super) fn uninstall_filter(&self, params: &Params<'_>) -> Result<Value, RpcError> {
        let id = filter_id(params)?;
        json(self.filters().by_id.remove(&id).is_some())
    }

    fn add_filter(&self, kind: Kind) -> Result<Value, RpcError> {
        let next = self.chain.head() + 1;
        json(U256::from(self.filters().add(State { kind, next })))
    }

    fn filters(&self) -> MutexGuard<'_, Filters> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn filter_id(params: &Params<'_>) -> Result<u64, RpcError> {
    u64::try_from(params.required::<U256>(0)?).map_err(|_| unknown())
}

fn unknown() -> RpcError {
    RpcError::server("filter not found")
}
