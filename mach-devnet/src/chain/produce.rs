//! Block production.

use std::sync::Arc;

use alloy_consensus::{
    Header, TxReceipt,
    proofs::{calculate_receipt_root, calculate_transaction_root},
    transaction::Recovered,
};
use alloy_primitives::{Address, B256, BlockNumber, Bloom, Sealed};
use revm::database::{State, states::bundle_state::BundleRetention};

use super::{
    Block, Chain, ChainError, Inner, Mining, PoolError, Role,
    pool::{MAX_TRANSACTION_BYTES, Terms},
    role::Planned,
    state::block_hashes,
};

/// A block that is executed and not yet published.
#[derive(Debug)]
pub(crate) struct Draft<R: Role> {
    /// The header, complete and correct.
    pub(crate) header: Header,
    /// The body.
    pub(crate) transactions: Vec<Recovered<R::Transaction>>,
    /// Receipts of the body.
    pub(crate) receipts: Vec<R::Receipt>,
}

impl<R: Role> Chain<R> {
    /// Makes the next block from what waits, if only an empty one. Gives its number.
    ///
    /// Errors: [`ChainError`]; the chain is as it was.
    pub fn mine(&self) -> Result<BlockNumber, ChainError> {
        let mut inner = self.write();
        self.mine_locked(&mut inner).map(|block| block.number())
    }

    /// Takes an EIP-2718 encoded transaction and gives its hash.
    ///
    /// With [`Mining::Auto`] it is in a block when this returns, if it can be in one.
    ///
    /// Errors: [`ChainError::Pool`] if it is not taken.
    pub fn send_raw_transaction(&self, bytes: &[u8]) -> Result<B256, ChainError> {
        // Blobs travel beside their transaction here, so they have another limit.
        let limit = if bytes.first() == Some(&0x03) { 16 } else { 1 } * MAX_TRANSACTION_BYTES;
        if bytes.len() > limit {
            return Err(PoolError::TooLarge(bytes.len()).into());
        }
        let transaction = self.role().decode_pooled(bytes)?;
        let sender = recover::<R>(&transaction)?;
        self.send(Recovered::new_unchecked(transaction, sender))
    }

    pub(crate) fn send(&self, transaction: Recovered<R::Transaction>) -> Result<B256, ChainError> {
        let mut inner = self.write();
        let hash = self.wait(&mut inner, transaction)?;
        if inner.mining == Mining::Auto {
            // More than one block if a gap was closed and not everything fits into one.
            loop {
                let waiting = inner.pool.len();
                self.mine_locked(&mut inner)?;
                let head = Arc::clone(inner.ledger.head());
                if inner.pool.len() == waiting || self.ready(&inner, &head).is_empty() {
                    break;
                }
            }
        }
        Ok(hash)
    }

    /// Takes a transaction for a later block, whatever [`Mining`] says.
    pub(crate) fn enqueue(
        &self,
        transaction: Recovered<R::Transaction>,
    ) -> Result<B256, ChainError> {
        self.wait(&mut self.write(), transaction)
    }

    fn wait(
        &self,
        inner: &mut Inner<R>,
        transaction: Recovered<R::Transaction>,
    ) -> Result<B256, ChainError> {
        use alloy_consensus::transaction::TxHashRef;
        let hash = *transaction.tx_hash();
        let head = Arc::clone(inner.ledger.head());
        let account = self
            .states()
            .account(head.header.state_root, transaction.signer())?;
        let account = account.unwrap_or_default();
        let terms = Terms {
            chain_id: self.chain_id(),
            gas_cap: head.header.gas_limit.min(self.role().transaction_gas_cap()),
            nonce: account.nonce,
            balance: account.balance,
        };
        inner.pool.insert(transaction, terms)?;
        Ok(hash)
    }

    /// Forgets all blocks above `number`, as a reorganisation does. Their signed transactions wait
    /// for a block again.
    ///
    /// Errors: [`ChainError::State`].
    pub fn rewind(&self, number: BlockNumber) -> Result<(), ChainError> {
        let mut inner = self.write();
        let removed = inner.ledger.truncate(number);
        let head = Arc::clone(inner.ledger.head());
        for transaction in removed.iter().flat_map(|block| &block.transactions) {
            let account = self
                .states()
                .account(head.header.state_root, transaction.signer())?;
            let account = account.unwrap_or_default();
            let terms = Terms {
                chain_id: self.chain_id(),
                gas_cap: head.header.gas_limit,
                nonce: account.nonce,
                balance: account.balance,
            };
            // What the protocol made is not taken, and that is right.
            let _ = inner.pool.insert(transaction.clone(), terms);
        }
        // The height before the rewind must not hide the next block from those who follow.
        self.shared.head.send_replace(head.number());
        Ok(())
    }

    fn mine_locked(&self, inner: &mut Inner<R>) -> Result<Arc<Block<R>>, ChainError> {
        let parent = Arc::clone(inner.ledger.head());
        let (draft, plan) = self.draft(inner, &parent)?;
        let published = (self.role()).publish(draft, plan, &parent.header, self.states())?;
        let block = inner.ledger.push(published);
        inner.skip = 0;
        let root = block.header.state_root;
        inner.pool.prune(|sender| self.next_nonce(root, sender));
        self.shared.head.send_replace(block.number());
        Ok(block)
    }

    /// Executes the next block.
    fn draft(
        &self,
        inner: &Inner<R>,
        parent: &Block<R>,
    ) -> Result<(Draft<R>, R::Plan), ChainError> {
        let role = self.role();
        let timestamp = parent.header.timestamp + inner.block_time + inner.skip;
        let Planned {
            mut header,
            first: mut candidates,
            plan,
        } = role.plan(&parent.header, timestamp)?;
        candidates.extend(self.ready(inner, parent));

        let root = parent.header.state_root;
        let hashes = block_hashes(&inner.ledger, header.number);
        let mut db = State::builder()
            .with_database(self.states().at(root).with_block_hashes(hashes))
            .with_bundle_update()
            .build();
        let execution = role.execute(&mut db, &header, &candidates)?;
        db.merge_transitions(BundleRetention::PlainState);
        let state_root = self.states().commit(root, &db.take_bundle())?;

        let transactions: Vec<_> = candidates
            .into_iter()
            .zip(&execution.rejected)
            .filter_map(|(transaction, rejected)| rejected.is_none().then_some(transaction))
            .collect();
        header.state_root = state_root;
        header.transactions_root = calculate_transaction_root(&transactions);
        header.receipts_root = calculate_receipt_root(&execution.receipts);
        header.logs_bloom = execution
            .receipts
            .iter()
            .fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
        header.gas_used = execution.gas_used;
        role.complete_header(&mut header, &execution, &|address: Address| {
            self.states().storage_root(state_root, address)
        })?;
        let draft = Draft {
            header,
            transactions,
            receipts: execution.receipts,
        };
        Ok((draft, plan))
    }

    fn ready(&self, inner: &Inner<R>, parent: &Block<R>) -> Vec<Recovered<R::Transaction>> {
        let root = parent.header.state_root;
        let base_fee = self.role().next_base_fee(&parent.header);
        inner
            .pool
            .ready(base_fee, |sender| self.next_nonce(root, sender))
    }

    fn next_nonce(&self, root: B256, sender: Address) -> Option<u64> {
        let account = self.states().account(root, sender).ok()?;
        Some(account.map_or(0, |account| account.nonce))
    }
}

impl<R: Role> Draft<R> {
    /// The block with this header and body, whatever they say.
    pub(crate) fn seal(self) -> Block<R> {
        Block {
            header: Sealed::new(self.header),
            transactions: self.transactions,
            receipts: self.receipts,
        }
    }
}

fn recover<R: Role>(transaction: &R::Transaction) -> Result<Address, PoolError> {
    use alloy_consensus::transaction::SignerRecoverable;
    transaction.recover_signer().map_err(|_| PoolError::Sender)
}
