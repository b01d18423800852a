//! Verification of the blocks of one chain, with what is known from those before.

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::Header;
use alloy_primitives::{B256, BlockNumber, Bytes, Sealed};
use mach_core::{L2Block, Verdict};
use mach_keccak::keccak256_batch;

use super::{
    headers::Headers,
    layer::{Fresh, Layer, Lock, Retained},
};
use crate::{
    ChainSpec, ExecuteError, Witness,
    execute::{Threads, Transactions},
    header,
    state::{AnalysedCode, BlockHashes, Recorder, TrieState},
    trie::WitnessNodes,
    verify::{accuse, check_rules, judge},
    witness::{Ancestry, MAX_ANCESTORS},
};

/// How much a [`Follower`] retains, in bytes.
///
/// It holds at most
///
/// ```text
/// node_bytes + code_bytes + state_bytes + 1,152 × headers
/// ```
///
/// between blocks: a node counts with its length and 384 bytes, a code with 9/8 of its length and
/// 640 bytes, a header with 1,152 bytes and what its `extraData` has beyond 32 bytes. Over
/// `state_bytes` goes what up to seven blocks decode. A block that is prepared or verified comes on
/// top while it is: with twice the bytes of its witness, 128 bytes for each item in it, 1 KiB for each
/// transaction, and what it decodes of the state. A limit that is too small costs time, or another
/// witness; it changes no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowLimits {
    /// For encoded trie nodes.
    pub node_bytes: usize,
    /// For codes with their jump destinations.
    pub code_bytes: usize,
    /// For the decoded state of the newest valid block. Measured every eighth block; if it is
    /// larger then, decoding starts again from the nodes.
    pub state_bytes: usize,
    /// Number of headers of usual size, of all branches; at least the 256 that `BLOCKHASH` reaches.
    pub headers: usize,
}

/// Blocks between two measurements of the decoded state, which looks at every account in it.
const MEASURE_EVERY: u64 = 8;

impl Default for FollowLimits {
    /// 256 MiB of nodes, 64 MiB each of codes and decoded state, 4,096 headers.
    fn default() -> Self {
        Self {
            node_bytes: 256 << 20,
            code_bytes: 64 << 20,
            state_bytes: 64 << 20,
            headers: 4096,
        }
    }
}

/// Verifies blocks of one chain and retains what they have in common.
///
/// The verdict on a block is that of [`verify_block`](crate::verify_block) on a complete witness.
/// What is saved is the work that blocks share: nodes and codes that are known byte by byte are not
/// hashed again, codes not analysed again, and the part of the state that the block before has
/// decoded stays as it is. A witness may leave out what is known: the part of the state that
/// blocks before have read or written, codes, headers. What is missing then is
/// [`ExecuteError::MissingNode`] and the like, never a fault.
///
/// Nothing is retained under a hash that was not computed here, whatever the verdict on the block
/// that it came with. So a damaged witness or an invalid block leaves nothing behind that could
/// change a later verdict. States are found by their roots: after a reorg the blocks of another
/// branch are verified on the state of the block that they name, as long as it is retained.
///
/// All methods take `&self`, and may run on several threads at once: [`Self::prepare`] for blocks to
/// come, and [`Self::verify`] for blocks whose witnesses are complete.
#[derive(Debug)]
pub struct Follower {
    spec: ChainSpec,
    state_bytes: usize,
    retained: Arc<Lock<Retained>>,
    headers: Lock<Headers>,
    /// State after the newest valid block, unless a block is executed on it at this moment.
    warm: Mutex<Option<Warm>>,
}

#[derive(Debug)]
struct Warm {
    root: B256,
    state: TrieState<Layer>,
}

/// A block for [`Follower::verify`], with the part of the work done that needs no state.
#[derive(Debug)]
pub struct Prepared {
    block: L2Block,
    witness: Witness,
    fresh: Arc<Fresh>,
    /// Until they are executed.
    transactions: Mutex<Option<Transactions>>,
}

impl Prepared {
    /// The block.
    pub const fn block(&self) -> &L2Block {
        &self.block
    }

    fn take_transactions(&self) -> Option<Transactions> {
        let mut transactions = (self.transactions.lock()).unwrap_or_else(PoisonError::into_inner);
        transactions.take()
    }

    /// Gives the block and its witness back.
    pub fn into_parts(self) -> (L2Block, Witness) {
        (self.block, self.witness)
    }
}

/// How much a [`Follower`] holds.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerSize {
    /// Trie nodes.
    pub nodes: usize,
    /// Bytes that they count with.
    pub node_bytes: usize,
    /// Codes.
    pub codes: usize,
    /// Bytes that they count with.
    pub code_bytes: usize,
    /// Most bytes that the decoded state may take.
    pub state_bytes: usize,
    /// Headers.
    pub headers: usize,
    /// Bytes that they count with.
    pub header_bytes: usize,
}

impl Follower {
    /// A follower of the chain of `spec` that knows nothing yet.
    pub fn new(spec: ChainSpec, limits: FollowLimits) -> Self {
        Self {
            spec,
            state_bytes: limits.state_bytes,
            retained: Arc::new(Lock::new(Retained::new(&limits))),
            headers: Lock::new(Headers::new(limits.headers.max(MAX_ANCESTORS))),
            warm: Mutex::new(None),
        }
    }

    /// Rules of the chain.
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// Does what needs no state: hashes what the witness has and the blocks before had not, finds
    /// jump destinations, decodes transactions and recovers who sent them.
    ///
    /// Blocks can be prepared in any order and while others are verified; it is cheaper after the
    /// block before was verified, and then [`Self::verify`] has less to do.
    pub fn prepare(&self, block: L2Block, witness: Witness) -> Prepared {
        self.prepare_on(Threads::Pool, block, witness)
    }

    pub(super) fn prepare_on(
        &self,
        threads: Threads,
        block: L2Block,
        witness: Witness,
    ) -> Prepared {
        let fresh = self.fresh(&witness);
        // A block whose rules are not known is not executed either.
        let is_known = check_rules(&self.spec, &block).is_ok();
        let transactions = is_known.then(|| Transactions::of(&self.spec, &block, threads));
        Prepared {
            block,
            witness,
            fresh: Arc::new(fresh),
            transactions: Mutex::new(transactions),
        }
    }

    /// Says whether every field of the block's header holds, as
    /// [`verify_block`](crate::verify_block) does.
    ///
    /// Blocks may come in any order, and several at once; one after its parent costs least.
    ///
    /// Errors: [`ExecuteError`], whenever the witness and what is retained do not suffice.
    pub fn verify(&self, prepared: &Prepared) -> Result<Verdict, ExecuteError> {
        let Prepared { block, witness, .. } = prepared;
        check_rules(&self.spec, block)?;
        let ancestry = self.ancestry(block, witness)?;
        self.remember(ancestry.parent.iter().chain([&block.header]));
        if let Err(fault) = header::check(&self.spec, block, ancestry.parent.as_deref()) {
            return accuse(&self.spec, block, fault);
        }
        let layer = Layer {
            retained: Arc::clone(&self.retained),
            fresh: Arc::clone(&prepared.fresh),
        };
        let hashes = ancestry.block_hashes;
        // Whatever becomes of the block, only a state after a valid one is put back.
        let warm = self.warm().take_if(|warm| warm.root == ancestry.state_root);
        let mut state = match warm {
            Some(warm) => warm.state.with_store(layer),
            None => TrieState::new(layer, ancestry.state_root),
        }
        .with_block_hashes(hashes);
        let transactions = prepared.take_transactions();
        let verdict = judge(
            &self.spec,
            block,
            transactions,
            ancestry.assurance,
            &mut state,
        );
        let after = match &verdict {
            Ok(Verdict::Valid(_)) => state.commit().ok(),
            _ => None,
        };
        let round = self.retained.read().round;
        if let Some(after) = &after
            && (!round.is_multiple_of(MEASURE_EVERY) || state.footprint() <= self.state_bytes)
        {
            let layer = Layer {
                retained: Arc::clone(&self.retained),
                fresh: Arc::default(),
            };
            let state = state.with_store(layer);
            *self.warm() = Some(Warm {
                root: after.root,
                state,
            });
        }
        (self.retained.write()).keep(prepared.fresh.take_used(), after);
        verdict
    }

    /// [`Self::prepare`] and [`Self::verify`] in one.
    ///
    /// Errors: as [`Self::verify`].
    pub fn verify_block(&self, block: L2Block, witness: Witness) -> Result<Verdict, ExecuteError> {
        self.verify(&self.prepare(block, witness))
    }

    /// Header of a block that was verified, or of its parent, as long as it is retained.
    pub fn header(&self, hash: &B256) -> Option<Sealed<Header>> {
        self.headers.read().get(hash)
    }

    /// A witness with which `block` is verified alone, made of `witness` and what is retained: for
    /// evidence, whose reader knows nothing of the blocks before. The block is executed for it.
    ///
    /// Errors: [`ExecuteError`], whenever the two do not suffice.
    pub fn complete(&self, block: &L2Block, witness: &Witness) -> Result<Witness, ExecuteError> {
        check_rules(&self.spec, block)?;
        let ancestry = self.ancestry(block, witness)?;
        // As claims, the hashes that are read are found afterwards.
        let mut hashes = BlockHashes::new();
        for at in (0..block.number()).rev().take(MAX_ANCESTORS) {
            if let Some(hash) = ancestry.block_hashes.get(at) {
                hashes.claim(at, hash);
            }
        }
        let recorder = Recorder::new(Layer {
            retained: Arc::clone(&self.retained),
            fresh: Arc::new(self.fresh(witness)),
        });
        let mut state = TrieState::new(&recorder, ancestry.state_root).with_block_hashes(hashes);
        let parent = ancestry.parent.as_deref();
        // What the header alone gives away needs the parent only.
        if header::check(&self.spec, block, parent).is_ok() {
            match judge(&self.spec, block, None, ancestry.assurance, &mut state) {
                Ok(_) | Err(ExecuteError::Unproven { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let oldest = state.claimed_hashes_read().iter().min().copied();
        let recorded = recorder.take();
        Ok(Witness {
            state: recorded.nodes,
            codes: recorded.codes,
            headers: self.lineage(block, witness, oldest),
            ..Default::default()
        })
    }

    /// Forgets the headers of branches that `block` being final rules out. Returns how many went.
    pub fn finalize(&self, block: B256) -> usize {
        self.headers.write().finalize(block)
    }

    /// What is held, counted as [`FollowLimits`] counts.
    pub fn size(&self) -> FollowerSize {
        let warm = self.warm();
        let (retained, headers) = (self.retained.read(), self.headers.read());
        FollowerSize {
            nodes: retained.nodes.len(),
            node_bytes: retained.nodes.bytes(),
            codes: retained.codes.len(),
            code_bytes: retained.codes.bytes(),
            state_bytes: warm.as_ref().map_or(0, |warm| warm.state.footprint()),
            headers: headers.len(),
            header_bytes: headers.bytes(),
        }
    }

    /// What the witness has and the blocks before had not, hashed.
    fn fresh(&self, witness: &Witness) -> Fresh {
        let (nodes, mut codes) = {
            let retained = self.retained.read();
            let round = retained.round;
            let unknown = |is_known: &dyn Fn(&Bytes) -> bool, items: &[Bytes]| -> Vec<Bytes> {
                items.iter().filter(|it| !is_known(it)).cloned().collect()
            };
            (
                unknown(&|it| retained.nodes.knows(it, round), &witness.state),
                unknown(&|it| retained.codes.knows(it, round), &witness.codes),
            )
        };
        // Copies, since a node may be a slice of the whole witness.
        let nodes = nodes.iter().map(|node| Bytes::copy_from_slice(node));
        let nodes = WitnessNodes::new(nodes);
        // Codes of equal length keep the lanes of the hash busy to the end.
        codes.sort_unstable_by_key(|code| Reverse(code.len()));
        let analysed = codes.iter().map(AnalysedCode::detached);
        let codes = keccak256_batch(&codes).into_iter().zip(analysed).collect();
        Fresh::new(nodes, codes)
    }

    fn ancestry(&self, block: &L2Block, witness: &Witness) -> Result<Ancestry, ExecuteError> {
        let headers = self.headers.read();
        let parent = headers.get(&block.header.parent_hash);
        Ancestry::of(block, parent.as_ref(), witness, |hash| {
            headers.parent_of(hash)
        })
    }

    /// Headers from the parent of `block` down to height `oldest`, at least the parent's, encoded;
    /// as far as they are known.
    fn lineage(
        &self,
        block: &L2Block,
        witness: &Witness,
        oldest: Option<BlockNumber>,
    ) -> Vec<Bytes> {
        let mut lineage = Vec::new();
        let mut hash = block.header.parent_hash;
        while lineage.len() < MAX_ANCESTORS
            && let Some(header) = self.header(&hash).or_else(|| witness.header(hash))
        {
            lineage.push(alloy_rlp::encode(header.inner()).into());
            if oldest.is_none_or(|oldest| header.number <= oldest) {
                break;
            }
            hash = header.parent_hash;
        }
        lineage
    }

    fn warm(&self) -> MutexGuard<'_, Option<Warm>> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember<'a>(&self, headers: impl Iterator<Item = &'a Sealed<Header>>) {
        let mut known = self.headers.write();
        for header in headers {
            known.insert(header);
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use alloy_primitives::{Address, KECCAK256_EMPTY, U256, keccak256};
    use alloy_trie::EMPTY_ROOT_HASH;

    use super::*;
    use crate::{
        follow::measure,
        state::{Account, AccountUpdate, MemoryStore},
    };

    fn address(number: usize) -> Address {
        Address::from_word(keccak256(number.to_be_bytes()))
    }

    /// Accounts without storage, and some with as many slots as there are accounts.
    fn populated() -> (MemoryStore, B256) {
        let mut state = TrieState::new(MemoryStore::new(), EMPTY_ROOT_HASH);
        for number in 0..ACCOUNTS {
            let slots = if number < STORAGES { SLOTS } else { 0 };
            let update = AccountUpdate {
                address: address(number),
                account: Some(Account {
                    nonce: 1,
                    balance: U256::from(number),
                    code_hash: KECCAK256_EMPTY,
                }),
                wipe_storage: false,
                storage: (0..slots)
                    .map(|slot| (U256::from(slot), U256::from(7)))
                    .collect(),
            };
            state.apply([update]).unwrap();
        }
        let updates = state.commit().unwrap();
        let root = updates.root;
        let mut store = MemoryStore::new();
        store.insert(updates);
        // Its room would be taken again, and nothing measured.
        std::mem::forget(state);
        (store, root)
    }

    const ACCOUNTS: usize = 20_000;
    const STORAGES: usize = 4;
    const SLOTS: usize = 5_000;

    /// What was decoded by reading and by writing, of accounts and of slots.
    #[test]
    fn what_is_counted_for_decoded_state_covers_what_is_held() {
        measure(
            "follow::follower::tests::what_is_counted_for_decoded_state_covers_what_is_held",
            |resident| {
                let (store, root) = populated();
                let before = resident();
                let mut state = TrieState::new(&store, root);
                for number in 0..ACCOUNTS {
                    assert!(state.account(address(number)).unwrap().is_some());
                }
                for (number, slot) in (0..STORAGES).flat_map(|it| (0..SLOTS).map(move |s| (it, s)))
                {
                    let value = state.storage(address(number), U256::from(slot)).unwrap();
                    assert_eq!(value, U256::from(7));
                }
                let held = resident().saturating_sub(before);
                (state.footprint(), held)
            },
        );
    }
}
