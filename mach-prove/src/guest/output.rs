use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, Bytes, U256, address};
use mach_core::{Fault, Mismatch};
use mach_verify::{
    output_root,
    state::{MemoryStore, TrieState},
};

use super::Refusal;
use crate::{Journal, OutputInput};

/// Predeploy whose storage holds the withdrawals to L1.
const MESSAGE_PASSER: Address = address!("0x4200000000000000000000000000000000000016");

/// Compares a posted root with the output root of a header.
///
/// Whether the header itself is right is a question to [`run_block`](super::run_block).
///
/// Errors: [`Refusal`], also if the posted root is the right one.
pub fn run_output(input: &[u8]) -> Result<Journal, Refusal> {
    let (input, config_hash) = OutputInput::read(Bytes::copy_from_slice(input))?;
    let (spec, header) = (&input.spec, &input.header);
    if !spec.is_optimism() {
        return Err(Refusal::NoOutputRoots);
    }
    spec.check_supported(header.number, header.timestamp)?;
    // A fork or an extension may compute the root in another way.
    if let Some(doubt) = spec.doubt(header.timestamp) {
        return Err(doubt.into());
    }
    let message_passer_root = message_passer_root(&input)?;
    let computed = output_root(header.state_root, message_passer_root, header.seal());
    let values = Mismatch::check(input.claimed, computed);
    let fault = Fault::OutputRoot(values.ok_or(Refusal::RightOutput(computed))?);
    let (context, words) = (&input.context, fault.words());
    Ok(Journal {
        l1_chain_id: context.l1_chain_id,
        service_manager: context.service_manager,
        prover: context.prover,
        rollup_chain_id: U256::from(spec.chain_id()),
        config_hash,
        parent_hash: header.parent_hash,
        block_hash: header.seal(),
        block_number: header.number,
        fault: fault.code(),
        claimed: words.claimed,
        computed: words.computed,
        output_root: computed,
    })
}

/// Storage root of the message passer under the header.
fn message_passer_root(input: &OutputInput) -> Result<B256, Refusal> {
    let OutputInput {
        spec,
        header,
        proof,
        ..
    } = input;
    if spec.is_isthmus_active_at_timestamp(header.timestamp) {
        return header.withdrawals_root.ok_or(Refusal::NoWithdrawalsRoot);
    }
    let store = MemoryStore::from_witness(proof.iter().cloned(), []);
    let mut state = TrieState::new(store, header.state_root);
    state
        .storage_root(MESSAGE_PASSER)
        .map_err(Refusal::MessagePasser)
}
