//! `debug_executionWitness`: what a block's execution reads, recorded while it is done again.

use std::cell::RefCell;

use mach_verify::Witness;
use revm::database::{State, states::bundle_state::BundleRetention};

use super::{Block, Chain, ChainError, Role, state::block_hashes};

impl<R: Role> Chain<R> {
    /// What one needs to execute a block without a state, and nothing more.
    ///
    /// The published body is executed on the state of the parent's header, whatever the block's own
    /// header says. A transaction that cannot be included is left out, and what shows that it
    /// cannot is in the witness.
    pub(crate) fn execution_witness(&self, block: &Block<R>) -> Result<Witness, ChainError> {
        let inner = self.read();
        let parent_hash = block.header.parent_hash;
        let Some(parent) = inner.ledger.block_by_hash(&parent_hash) else {
            return Err(ChainError::UnknownBlock(parent_hash));
        };
        let root = parent.header.state_root;
        let hashes = block_hashes(&inner.ledger, block.number());
        let mut state = self.states().recorded(root).with_block_hashes(hashes);
        let mut db = State::builder()
            .with_database(&mut state)
            .with_bundle_update()
            .build();
        let execution = self
            .role()
            .execute(&mut db, &block.header, &block.transactions)?;
        db.merge_transitions(BundleRetention::PlainState);
        let changes = db.take_bundle();
        drop(db);
        state
            .apply_bundle(&changes)
            .map_err(ChainError::state(root))?;
        state.root().map_err(ChainError::state(root))?;
        // Headers may commit to more of the state: a rollup's to the storage of one account.
        let reading = RefCell::new(&mut state);
        let storage_root = |address| {
            reading
                .borrow_mut()
                .storage_root(address)
                .map_err(ChainError::state(root))
        };
        let mut header = block.header.inner().clone();
        self.role()
            .complete_header(&mut header, &execution, &storage_root)?;

        let oldest = state.claimed_hashes_read().iter().copied().min();
        let headers = (oldest.unwrap_or(u64::MAX).min(parent.number())..block.number())
            .filter_map(|number| inner.ledger.block(number))
            .map(|ancestor| alloy_rlp::encode(ancestor.header.inner()).into())
            .collect();
        let recorded = state.into_store().take();
        Ok(Witness {
            state: recorded.nodes,
            codes: recorded.codes,
            headers,
            ..Default::default()
        })
    }
}
