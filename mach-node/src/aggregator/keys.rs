//! Operator keys by reference block.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, Weak},
};

use mach_bls::{OperatorKeys, Scheme};
use mach_core::{
    Bn254, QuorumNumbers,
    ports::{AggregateError, OperatorRegistry},
};
use tokio::sync::{OnceCell, Semaphore};

use super::{blocking, malformed, rounds::lock};

/// Sets of earlier blocks that are kept: whoever catches up asks for one after the other, several times.
const MAX_EARLIER: usize = 4;

type Cell<S> = OnceCell<Arc<OperatorKeys<S>>>;

/// Reads operator sets and proves their keys, each set once for all who ask at the same time.
///
/// Who waits for a set of long ago holds up nobody who needs the newest one.
pub(crate) struct KeyRing<S: Scheme = Bn254> {
    sets: Mutex<Sets<S>>,
    /// One set of long ago is read at a time.
    earlier: Semaphore,
}

struct Sets<S: Scheme> {
    newest: Option<Arc<OperatorKeys<S>>>,
    /// The last ones of earlier blocks, the newest reading last.
    earlier: VecDeque<Arc<OperatorKeys<S>>>,
    /// Those that are being read.
    reading: BTreeMap<u32, Weak<Cell<S>>>,
}

impl<S: Scheme> KeyRing<S> {
    pub(crate) fn new() -> Self {
        Self {
            sets: Mutex::new(Sets {
                newest: None,
                earlier: VecDeque::new(),
                reading: BTreeMap::new(),
            }),
            earlier: Semaphore::new(1),
        }
    }

    /// Keys of the operators at `reference_block`.
    pub(crate) async fn at(
        &self,
        reference_block: u32,
        quorums: &QuorumNumbers,
        registry: &dyn OperatorRegistry<S>,
    ) -> Result<Arc<OperatorKeys<S>>, AggregateError> {
        let (cell, newest) = {
            let mut sets = lock(&self.sets);
            if let Some(keys) = sets.known(reference_block) {
                return Ok(keys);
            }
            (sets.cell(reference_block), sets.newest.clone())
        };
        let is_earlier = (newest.as_ref()).is_some_and(|it| reference_block < it.reference_block());
        let keys = cell
            .get_or_try_init(|| async {
                // It is never closed.
                let _turn = match is_earlier {
                    true => self.earlier.acquire().await.ok(),
                    false => None,
                };
                let set = registry.operator_set(quorums, reference_block).await;
                let set = set.map_err(AggregateError::Registry)?;
                // Thousands of keys take seconds, unless they were proved before.
                let prove = move || match newest {
                    Some(newest) => newest.next(&set),
                    None => OperatorKeys::new(&set),
                };
                let keys = Arc::new(blocking(prove).await?.map_err(malformed)?);
                lock(&self.sets).keep(&keys);
                Ok::<_, AggregateError>(keys)
            })
            .await?;
        Ok(Arc::clone(keys))
    }
}

impl<S: Scheme> Sets<S> {
    fn known(&self, reference_block: u32) -> Option<Arc<OperatorKeys<S>>> {
        let mut known = self.newest.iter().chain(&self.earlier);
        let found = known.find(|it| it.reference_block() == reference_block);
        found.map(Arc::clone)
    }

    fn cell(&mut self, reference_block: u32) -> Arc<Cell<S>> {
        self.reading.retain(|_, cell| cell.strong_count() > 0);
        let reading = self.reading.get(&reference_block).and_then(Weak::upgrade);
        reading.unwrap_or_else(|| {
            let cell = Arc::new(Cell::new());
            (self.reading).insert(reference_block, Arc::downgrade(&cell));
            cell
        })
    }

    /// One of long ago does not take the place of what all others need.
    fn keep(&mut self, keys: &Arc<OperatorKeys<S>>) {
        let is_newer = |it: &Arc<OperatorKeys<S>>| it.reference_block() < keys.reference_block();
        if self.newest.as_ref().is_none_or(is_newer) {
            self.newest = Some(Arc::clone(keys));
            return;
        }
        if self.earlier.len() >= MAX_EARLIER {
            self.earlier.pop_front();
        }
        self.earlier.push_back(Arc::clone(keys));
    }
}
