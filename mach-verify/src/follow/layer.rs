//! The state that a block is executed on: what was retained, over what came with the block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alloy_primitives::{B256, Bytes, map::B256Map};

use super::{FollowLimits, shelf::Shelf};
use crate::{
    state::{AnalysedCode, StateStore, StateUpdates},
    trie::{NodeStore, WitnessNodes},
};

/// Nodes and codes of the blocks before.
#[derive(Debug)]
pub(super) struct Retained {
    pub(super) nodes: Shelf<Bytes>,
    pub(super) codes: Shelf<AnalysedCode>,
    /// Counts blocks: the clock of the shelves.
    pub(super) round: u64,
}

impl Retained {
    pub(super) fn new(limits: &FollowLimits) -> Self {
        Self {
            nodes: Shelf::new(limits.node_bytes),
            codes: Shelf::new(limits.code_bytes),
            round: 0,
        }
    }

    /// Takes what a block has used, and the state after it if it is valid.
    pub(super) fn keep(&mut self, used: Used, after: Option<StateUpdates>) {
        self.round += 1;
        for (hash, node) in used.nodes {
            self.nodes.insert(hash, node, self.round);
        }
        for (hash, code) in used.codes {
            self.codes.insert(hash, code, self.round);
        }
        let after = after.unwrap_or_default();
        for (hash, node) in after.nodes {
            self.nodes.insert(hash, node, self.round);
        }
        for (hash, code) in after.codes {
            self.codes.insert(hash, AnalysedCode::new(code), self.round);
        }
        self.nodes.tidy();
        self.codes.tidy();
    }
}

/// A lock that no panic can leave in a state that matters: every value is found by a hash that was
/// computed, or not at all.
#[derive(Debug)]
pub(super) struct Lock<T>(RwLock<T>);

impl<T> Lock<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came with a block and was not known: nodes and codes by the hashes computed here, each in
/// memory of its own.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    pub(super) nodes: WitnessNodes,
    pub(super) codes: B256Map<AnalysedCode>,
    used: Mutex<Used>,
}

/// Those of the new nodes and codes that execution asked for.
#[derive(Debug, Default)]
pub(super) struct Used {
    nodes: Vec<(B256, Bytes)>,
    codes: Vec<(B256, AnalysedCode)>,
}

impl Fresh {
    pub(super) fn new(nodes: WitnessNodes, codes: B256Map<AnalysedCode>) -> Self {
        Self {
            nodes,
            codes,
            used: Mutex::default(),
        }
    }

    pub(super) fn take_used(&self) -> Used {
        std::mem::take(&mut *self.used())
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers from what is retained, then from what came with the block.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) retained: Arc<Lock<Retained>>,
    pub(super) fresh: Arc<Fresh>,
}

impl NodeStore for Layer {
    fn node(&self, hash: &B256) -> Option<Bytes> {
        {
            let retained = self.retained.read();
            if let Some(node) = retained.nodes.get(hash, retained.round) {
                return Some(node);
            }
        }
        let node = self.fresh.nodes.node(hash)?;
        self.fresh.used().nodes.push((*hash, node.clone()));
        Some(node)
    }
}

impl StateStore for Layer {
    fn code(&self, hash: &B256) -> Option<Bytes> {
        self.analysed_code(hash).map(|code| code.to_bytes())
    }

    fn analysed_code(&self, hash: &B256) -> Option<AnalysedCode> {
        {
            let retained = self.retained.read();
            if let Some(code) = retained.codes.get(hash, retained.round) {
                return Some(code);
            }
        }
        let code = self.fresh.codes.get(hash)?.clone();
        self.fresh.used().codes.push((*hash, code.clone()));
        Some(code)
    }
}
