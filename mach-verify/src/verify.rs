//! The verdict on one block.

use alloy_consensus::Header;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::Sealed;
use mach_core::{Assurance, ExecutionSummary, Fault, L2Block, Mismatch, Verdict};

use crate::{
    ChainSpec, ExecuteError, Unsupported, Witness,
    compare::compare,
    execute::{self, Execution, State, Stop},
    header, output_root,
    state::{MemoryStore, StateError, TrieState},
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
    verify(spec, None, block, witness)
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
    verify(spec, Some(parent), block, witness)
}

fn verify(
    spec: &ChainSpec,
    parent: Option<&Sealed<Header>>,
    block: &L2Block,
    witness: &Witness,
) -> Result<Verdict, ExecuteError> {
    check_rules(spec, block)?;
    if let Some(parent) = parent
        && let Some(mismatch) = Mismatch::check(block.header.parent_hash, parent.seal())
    {
        return Ok(Verdict::Invalid(Fault::ParentHash(mismatch)));
    }
    let ancestry = Ancestry::of(block, parent, witness)?;
    if let Err(fault) = header::check(spec, block, ancestry.parent.as_deref()) {
        return accuse(spec, block, fault);
    }
    let store =
        MemoryStore::from_witness(witness.state.iter().cloned(), witness.codes.iter().cloned());
    let fresh = || {
        TrieState::new(&store, ancestry.state_root).with_block_hashes(ancestry.block_hashes.clone())
    };
    let mut state = fresh();
    let verdict = match run(spec, block, &mut state)? {
        (Verdict::Invalid(_), Some(error)) if execute::reads_vault(spec, block, &mut fresh()) => {
            return Err(ExecuteError::from_state(block.number(), error));
        }
        (verdict, _) => verdict,
    };
    let is_claimed =
        ancestry.assurance == Assurance::ExecutedOnClaim || !state.claimed_hashes_read().is_empty();
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

/// Executes a block whose header has passed, and compares. Beside the verdict stands what
/// [`execute::execute`] remarks on it.
pub(crate) fn run<S>(
    spec: &ChainSpec,
    block: &L2Block,
    state: &mut S,
) -> Result<(Verdict, Option<StateError>), ExecuteError>
where
    S: State<Error = StateError>,
{
    let number = block.number();
    let (outcome, assumption) = execute::execute(spec, block, state);
    let fault = match outcome {
        Ok(execution) => match compare(&block.header, &execution) {
            Ok(()) => return Ok((Verdict::Valid(summary(block, &execution)), assumption)),
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
    accuse(spec, block, fault).map(|verdict| (verdict, assumption))
}

/// The verdict that a broken rule makes, on a chain whose rules are known to the end.
pub(crate) fn accuse(
    spec: &ChainSpec,
    block: &L2Block,
    fault: Fault,
) -> Result<Verdict, ExecuteError> {
    match spec.extensions() {
        Some(name) => Err(ExecuteError::Unsupported {
            block: block.number(),
            source: Unsupported::Extensions(name),
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
