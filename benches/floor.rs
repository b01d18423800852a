//! The least that validating a block can cost on one core.

use alloy_primitives::{B256, Bytes};
use mach_core::L2Block;
use mach_keccak::Backend;
use mach_verify::{
    ChainSpec, Witness,
    state::{BlockHashes, MemoryStore, Recorder, TrieState},
};

use crate::RawEvm;

/// The parts of the floor, each to be run over and over by itself.
#[expect(missing_debug_implementations, reason = "holds caches of no interest")]
pub struct Floor<'a> {
    raw: RawEvm<'a, MemoryStore>,
    used: Vec<Bytes>,
    dirty: Vec<Bytes>,
}

impl<'a> Floor<'a> {
    /// Executes the block to find what it reads and which nodes it changes.
    ///
    /// Errors: whatever keeps the block from being executed, and a state root that is not that of
    /// its header.
    pub fn new(
        spec: &'a ChainSpec,
        block: &'a L2Block,
        witness: &Witness,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let parent = witness.header(block.header.parent_hash);
        let root = (parent.as_ref().map(|parent| parent.state_root))
            .or(witness.parent_state_root)
            .ok_or("no parent state")?;
        let mut hashes = BlockHashes::new();
        for (number, hash) in &witness.block_hashes {
            hashes.claim(*number, *hash);
        }
        if let Some(parent) = parent {
            hashes.prove(parent.number, parent.seal());
        }
        let store = || {
            MemoryStore::from_witness(witness.state.iter().cloned(), witness.codes.iter().cloned())
        };
        let recorder = Recorder::new(store());
        let state = TrieState::new(&recorder, root).with_block_hashes(hashes.clone());
        let mut state = RawEvm::new(spec, block, state)?.into_state()?;
        let updates = state.commit()?;
        if updates.root != block.header.state_root {
            return Err("the peer comes to another state".into());
        }
        let recorded = recorder.take();
        let mut used = recorded.codes;
        used.sort_unstable_by_key(|code| core::cmp::Reverse(code.len()));
        used.extend(recorded.nodes);
        let dirty = updates.nodes.into_iter().map(|(_, node)| node).collect();

        let state = TrieState::new(store(), root).with_block_hashes(hashes);
        let raw = RawEvm::new(spec, block, state)?;
        Ok(Self { raw, used, dirty })
    }

    /// Keccak of the nodes and codes that were used.
    pub fn witness_keccak(&self, backend: Backend) -> Vec<B256> {
        backend.hash(&self.used)
    }

    /// Senders of all transactions.
    pub fn recovery(&self) -> usize {
        self.raw.recover().unwrap_or_default()
    }

    /// Execution with known senders on state in memory; the gas.
    pub fn evm(&mut self) -> u64 {
        self.raw.execute().unwrap_or_default()
    }

    /// Keccak of the nodes that changed, encoded already.
    pub fn node_keccak(&self, backend: Backend) -> Vec<B256> {
        backend.hash(&self.dirty)
    }

    /// Bytes of the nodes and codes that were used.
    pub fn used_bytes(&self) -> usize {
        self.used.iter().map(|it| it.len()).sum()
    }
}
