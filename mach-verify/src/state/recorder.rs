use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{B256, Bytes, map::B256Set};

use super::StateStore;
use crate::trie::NodeStore;

/// A store that remembers what was read from it.
///
/// After a block was executed and its state root computed on a [`TrieState`](super::TrieState) over
/// a recorder, what it remembers is enough to do both again, and nothing in it was unneeded.
/// Another implementation that removes before it inserts may need siblings that are not in it.
#[derive(Debug, Default)]
pub struct Recorder<S> {
    store: S,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    seen: B256Set,
    recorded: Recorded,
}

/// Nodes and codes that were read, each once, in the order of their first reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Encoded trie nodes; the first is the root of the account trie.
    pub nodes: Vec<Bytes>,
    /// Codes of contracts.
    pub codes: Vec<Bytes>,
}

impl<S> Recorder<S> {
    /// Recorder in front of `store`, with nothing recorded.
    pub fn new(store: S) -> Self {
        Self {
            store,
            read: Mutex::default(),
        }
    }

    /// Takes what was recorded so far; the next reading starts from nothing.
    pub fn take(&self) -> Recorded {
        mem::take(&mut *self.read()).recorded
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        // Nothing can panic between two writes to the record, so it is never half done.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: NodeStore> NodeStore for Recorder<S> {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        let node = self.store.node(hash)?;
        let read = &mut *self.read();
        if read.seen.insert(*hash) {
            read.recorded.nodes.push(node.clone());
        }
        Some(node)
    }
}

impl<S: StateStore> StateStore for Recorder<S> {
    fn code(&self, hash: &B256) -> Option<Bytes> {
        let code = self.store.code(hash)?;
        let read = &mut *self.read();
        if read.seen.insert(*hash) {
            read.recorded.codes.push(code.clone());
        }
        Some(code)
    }
}
