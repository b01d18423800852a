//! The verdict on one block.

use core::{fmt::Debug, time::Duration};

use alloy_consensus::Header;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::Sealed;
use mach_core::{Assurance, ExecutionSummary, Fault, L2Block, Mismatch, Verdict};

use crate::{
    ChainSpec, ExecuteError, Unsupported, Witness,
    compare::compare,
    execute::{self, Execution, State, Stop, Transactions},
    header, output_root,
    phases::{Phase, Phases, Watch, clock},
    state::{HashedWitness, StateError, StateStore, TrieState},
    witness::Ancestry,
};

/// Executes `block` on the state of its parent and says whether every field of its header holds.
///
/// Pure and synchronous: the same three values give the same verdict everywhere. Checked are the
/// rules of [`Fault`], in its order; not checked are seals and ommer ancestry under proof of work,
/// what only the consensus layer knows (withdrawals, randomness), and whether the block follows
/// from L1.
///
/// Errors: [`ExecuteError`], whenever the witness or our knowledge does not suffice. A damaged or
/// incomplete witness can never give a fault.
pub fn verify_block(
    spec: &ChainSpec,
    block: &L2Block,
    witness: &Witness,
) -> Result<Verdict, ExecuteError> {
    verify(spec, None, block, witness, &Watch::default())
}

/// [`verify_block`], and where the time went.
///
/// Errors: [`ExecuteError`]; the phases are those until then.
pub fn verify_block_in_phases(
    spec: &ChainSpec,
    block: &L2Block,
    witness: &Witness,
) -> (Result<Verdict, ExecuteError>, Phases) {
    verify_block_timed(clock, spec, block, witness)
}

/// [`verify_block_in_phases`] by another clock, where there is no time: a virtual machine counts its
/// cycles.
///
/// Errors: [`ExecuteError`]; the phases are those until then.
pub fn verify_block_timed(
    clock: fn() -> Duration,
    spec: &ChainSpec,
    block: &L2Block,
    witness: &Witness,
) -> (Result<Verdict, ExecuteError>, Phases) {
    let watch = Watch::start(clock);
    let verdict = verify(spec, None, block, witness, &watch);
    (verdict, watch.phases())
}

/// [`verify_block`] on a parent that is known, such as the block that was verified before.
///
/// The witness need not hold the parent's header, and a block that names another parent has the
/// fault [`Fault::ParentHash`].
///
/// Errors: [`ExecuteError`].
pub fn verify_child(
    spec: &ChainSpec,
    parent: &Sealed<Header>,
    block: &L2Block,
    witness: &Witness,
) -> Result<Verdict, ExecuteError> {
    verify(spec, Some(parent), block, witness, &Watch::default())
}

fn verify(
    spec: &ChainSpec,
    parent: Option<&Sealed<Header>>,
    block: &L2Block,
    witness: &Witness,
    watch: &Watch,
) -> Result<Verdict, ExecuteError> {
    check_rules(spec, block)?;
    if let Some(parent) = parent
        && let Some(mismatch) = Mismatch::check(block.header.parent_hash, parent.seal())
    {
        return accuse(spec, block, Fault::ParentHash(mismatch));
    }
    let ancestry = Ancestry::of(block, parent, witness, |_| None)?;
    let parent = ancestry.parent.as_deref();
    if let Err(fault) = watch.during(Phase::Roots, || header::check(spec, block, parent)) {
        return accuse(spec, block, fault);
    }
    let store = watch.during(Phase::Keccak, || {
        HashedWitness::new(&witness.state, &witness.codes)
    });
    let mut state =
        TrieState::new(&store, ancestry.state_root).with_block_hashes(ancestry.block_hashes);
    let assurance = ancestry.assurance;
    judge_in_phases(spec, block, None, assurance, &mut state, watch)
}

/// Executes a block whose header has passed on `state`, which is the state after it if the verdict
/// is valid. `transactions` are those of the block, if they were decoded before.
pub(crate) fn judge<S>(
    spec: &ChainSpec,
    block: &L2Block,
    transactions: Option<Transactions>,
    assurance: Assurance,
    state: &mut TrieState<S>,
) -> Result<Verdict, ExecuteError>
where
    S: StateStore + Debug,
{
    let watch = Watch::default();
    judge_in_phases(spec, block, transactions, assurance, state, &watch)
}

fn judge_in_phases<S>(
    spec: &ChainSpec,
    block: &L2Block,
    transactions: Option<Transactions>,
    assurance: Assurance,
    state: &mut TrieState<S>,
    watch: &Watch,
) -> Result<Verdict, ExecuteError>
where
    S: StateStore + Debug,
{
    let verdict = run_in_phases(spec, block, transactions, state, watch)?;
    let is_claimed =
        assurance == Assurance::ExecutedOnClaim || !state.claimed_hashes_read().is_empty();
    match verdict {
        Verdict::Invalid(fault) if is_claimed => Err(ExecuteError::Unproven {
            block: block.number(),
            fault: Box::new(fault),
        }),
        Verdict::Valid(mut summary) if is_claimed => {
            summary.assurance = Assurance::ExecutedOnClaim;
            Ok(Verdict::Valid(summary))
        }
        verdict => Ok(verdict),
    }
}

/// Whether the rules of the block are known at all.
pub(crate) fn check_rules(spec: &ChainSpec, block: &L2Block) -> Result<(), ExecuteError> {
    let number = block.number();
    if block.chain_id != spec.chain_id() {
        return Err(ExecuteError::WrongChain {
            block: number,
            expected: spec.chain_id(),
            actual: block.chain_id,
        });
    }
    let unsupported = |source| ExecuteError::Unsupported {
        block: number,
        source,
    };
    spec.check_supported(number, block.header.timestamp)
        .map_err(unsupported)?;
    let header = block.header.inner();
    check_size(spec, block)?;
    let foreign = if header.block_access_list_hash.is_some() {
        Some("blockAccessListHash")
    } else if header.slot_number.is_some() {
        Some("slotNumber")
    } else {
        None
    };
    foreign.map_or(Ok(()), |field| {
        Err(unsupported(Unsupported::HeaderField(field)))
    })
}

/// Largest encoding of an Ethereum block from Osaka on, in bytes (EIP-7934).
///
/// No fault names the size of a block, so a larger one is undecided.
const MAX_OSAKA_BLOCK_BYTES: usize = 8 * 1024 * 1024;

fn check_size(spec: &ChainSpec, block: &L2Block) -> Result<(), ExecuteError> {
    if spec.is_optimism() || !spec.is_osaka_active_at_timestamp(block.header.timestamp) {
        return Ok(());
    }
    let transactions: usize = block.transactions.iter().map(|bytes| bytes.len()).sum();
    // Everything else in a block is far smaller than half of the limit.
    if transactions < MAX_OSAKA_BLOCK_BYTES / 2 || block.encode_rlp().len() <= MAX_OSAKA_BLOCK_BYTES
    {
        return Ok(());
    }
    Err(ExecuteError::Body {
        block: block.number(),
        field: "size",
        source: "larger than EIP-7934 permits".into(),
    })
}

/// Executes a block whose header has passed, and compares.
pub(crate) fn run<S>(
    spec: &ChainSpec,
    block: &L2Block,
    state: &mut S,
) -> Result<Verdict, ExecuteError>
where
    S: State<Error = StateError>,
{
    run_in_phases(spec, block, None, state, &Watch::default())
}

fn run_in_phases<S>(
    spec: &ChainSpec,
    block: &L2Block,
    transactions: Option<Transactions>,
    state: &mut S,
    watch: &Watch,
) -> Result<Verdict, ExecuteError>
where
    S: State<Error = StateError>,
{
    let number = block.number();
    let fault = match execute::execute(spec, block, transactions, state, watch) {
        Ok(execution) => match compare(&block.header, &execution) {
            Ok(()) => return Ok(Verdict::Valid(summary(block, &execution))),
            Err(fault) => fault,
        },
        Err(Stop::Fault(fault)) => fault,
        Err(Stop::State(error)) => return Err(ExecuteError::from_state(number, error)),
        Err(Stop::Unsupported(source)) => {
            return Err(ExecuteError::Unsupported {
                block: number,
                source,
            });
        }
        Err(Stop::Body(field, source)) => {
            return Err(ExecuteError::Body {
                block: number,
                field,
                source,
            });
        }
        Err(Stop::Evm(source)) => {
            return Err(ExecuteError::Evm {
                block: number,
                source,
            });
        }
    };
    accuse(spec, block, fault)
}

/// The verdict that a broken rule makes, on a chain whose rules are known to the end.
pub(crate) fn accuse(
    spec: &ChainSpec,
    block: &L2Block,
    fault: Fault,
) -> Result<Verdict, ExecuteError> {
    match spec.doubt(block.header.timestamp) {
        Some(source) => Err(ExecuteError::Unsupported {
            block: block.number(),
            source,
        }),
        None => Ok(Verdict::Invalid(fault)),
    }
}

fn summary(block: &L2Block, execution: &Execution) -> ExecutionSummary {
    let hash = block.hash();
    ExecutionSummary {
        block: block.reference(),
        gas_used: execution.gas_used,
        transactions: block.transactions.len() as u64,
        state_root: execution.state_root,
        output_root: (execution.message_passer_root)
            .map(|root| output_root(execution.state_root, root, hash)),
        assurance: Assurance::Executed,
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::EMPTY_ROOT_HASH;
    use alloy_op_hardforks::OpHardfork;
    use alloy_primitives::B256;

    use super::*;

    /// A parent with an empty state, and a block without transactions at timestamp 2.
    fn blocks() -> (Header, Header) {
        let parent = Header {
            state_root: EMPTY_ROOT_HASH,
            gas_limit: 30_000_000,
            gas_used: 5_000_000,
            base_fee_per_gas: Some(1_000_000_000),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            ..Default::default()
        };
        let child = Header {
            parent_hash: parent.hash_slow(),
            number: 1,
            timestamp: 2,
            gas_used: 0,
            ..parent.clone()
        };
        (parent, child)
    }

    #[test]
    fn beyond_the_horizon_a_block_can_be_valid_and_not_invalid() {
        let (parent, child) = blocks();
        let witness = Witness {
            headers: vec![alloy_rlp::encode(&parent).into()],
            ..Default::default()
        };
        let spec = ChainSpec::optimism(901).with_op_forks_from_genesis(OpHardfork::Canyon);
        let before = spec.clone().with_horizon(1);
        let until = spec.with_horizon(2);

        let honest = L2Block::new(901, child.clone(), vec![]);
        for spec in [&before, &until] {
            let verdict = verify_block(spec, &honest, &witness).unwrap();
            assert!(matches!(verdict, Verdict::Valid(it) if it.assurance == Assurance::Executed));
        }
        // A fault of the parent, of the header, and of execution.
        let changes: [fn(&mut Header); 3] = [
            |header| header.parent_hash = B256::ZERO,
            |header| header.base_fee_per_gas = Some(7),
            |header| header.state_root = B256::repeat_byte(7),
        ];
        for change in changes {
            let mut lie = child.clone();
            change(&mut lie);
            let lie = L2Block::new(901, lie, vec![]);
            let parent = Sealed::new(parent.clone());
            let verdict = verify_child(&until, &parent, &lie, &witness);
            assert!(matches!(verdict, Ok(Verdict::Invalid(_))), "{verdict:?}");
            let verdict = verify_child(&before, &parent, &lie, &witness);
            assert!(
                matches!(
                    verdict,
                    Err(ExecuteError::Unsupported {
                        block: 1,
                        source: Unsupported::Horizon(1)
                    })
                ),
                "{verdict:?}"
            );
        }
    }
}
